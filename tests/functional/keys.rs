//! Keys, signed lists and packages, as an author makes them.
use std::fs::File;
use std::path::{Path, PathBuf};

use edgemill_model::contract::Contract;
use edgemill_model::manifest::{Boards, Release};
use edgemill_model::tensor::{DType, TensorSpec};
use edgemill_store::author::{KeyRing, Package, PluginName, sign_plugins};
use edgemill_store::keys::PublicDeviceKey;

use crate::site::{Site, board};

/// A site whose board trusts the keys in its folder `keys` and takes only signed plugins.
pub fn signed_site() -> (Site, KeyRing) {
    let site = Site::new();
    site.write("board.toml", &board(""));
    let ring = KeyRing::init(&site.folder.join("keys")).unwrap();
    (site, ring)
}

/// Signs a list of these plugins of the site.
pub fn sign(site: &Site, ring: &KeyRing, ids: &[&str]) {
    let name = |id: &&str| PluginName {
        file: format!("{id}.so"),
        id: (*id).to_owned(),
        version: "0.1.0".to_owned(),
    };
    let names: Vec<PluginName> = ids.iter().map(name).collect();
    sign_plugins(&site.folder.join("plugins"), &names, ring).unwrap();
}

pub fn release(counter: u64, boards: Boards) -> Release {
    let tensor =
        |shape: &[u32]| TensorSpec { dtype: DType::I8, shape: shape.to_vec(), quantization: None };
    Release {
        name: "light".into(),
        version: format!("{counter}.0.0"),
        counter,
        contract: Contract {
            inputs: vec![tensor(&[1, 8])],
            outputs: vec![tensor(&[1, 2])],
            picture: None,
            window: None,
            head: "classifier".into(),
            labels: vec!["off".into(), "on".into()],
        },
        boards,
        graph_format: "edgemill-graph-1".into(),
        report: std::collections::BTreeMap::default(),
        card: String::new(),
        licence: "CC0-1.0".into(),
        expires_unix_s: None,
    }
}

/// A package for the site's device, signed by `ring`.
pub fn package(site: &Site, ring: &KeyRing, name: &str, release: Release) -> PathBuf {
    let payload: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    package_of(site, ring, name, &payload, release)
}

/// As [`package`], of a graph that can be run.
pub fn package_of(
    site: &Site,
    ring: &KeyRing,
    name: &str,
    payload: &[u8],
    release: Release,
) -> PathBuf {
    let device = PublicDeviceKey::load(&site.folder.join("keys/device.pub")).unwrap();
    let path = site.folder.join(name);
    let sealed = Package::pack(payload, release).unwrap().seal(&[device]).unwrap().sign(ring);
    sealed.write_file(&path).unwrap();
    path
}

pub fn open(path: &Path) -> File {
    File::open(path).unwrap()
}
