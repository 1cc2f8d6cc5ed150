//! What format 1 wrote, kept in `data/ok_format_1` so that it stays readable. Its keys guard nothing else.
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use edgemill_store::device::{
    DeviceKey, Place, Policy, ReadStore, Sealed, StoreKey, Trust, VerifyError,
};

use crate::fixture::{Folder, NOW, grant};

fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/security/data/ok_format_1"))
}

/// A key of the data, with the permissions that no repository keeps.
fn key_file(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    fs::copy(data().join(name), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    path
}

/// What was packed: two chunks, the last of five bytes.
fn payload() -> Vec<u8> {
    (0..=250).cycle().take(65_541).collect()
}

#[test]
fn ok_a_package_of_format_1_opens() {
    let folder = Folder::new();
    let trust = Trust::load(&data().join("trust.json")).unwrap();
    let device = DeviceKey::load(&key_file(&folder, "device.key")).unwrap();
    let policy = Policy { trust: &trust, place: Place::Board("qemu-virt"), now_unix_s: NOW };
    let package = || Sealed::read(File::open(data().join("model.emp")).unwrap()).unwrap();
    let view = package().verify(&policy, 1).unwrap().open(&device).unwrap();
    assert_eq!(view.bytes(), payload());
    assert_eq!(view.manifest().release.name, "traffic-light");
    let later = Policy { now_unix_s: 2_000_000_000, ..policy };
    let fault = package().verify(&later, 1).unwrap_err();
    assert!(matches!(fault, VerifyError::Expired { ended: 2_000_000_000 }), "{fault:?}");
}

#[test]
fn ok_a_store_of_format_1_opens() {
    let folder = Folder::new();
    let trust = Trust::load(&data().join("trust.json")).unwrap();
    let key = StoreKey::load(&key_file(&folder, "store.key")).unwrap();
    let store = ReadStore::open(&data().join("store"), key).unwrap();
    let policy = Policy { trust: &trust, place: Place::Board("host"), now_unix_s: NOW };
    let view = store.open_model("traffic-light", &grant(), &policy).unwrap();
    assert_eq!(view.bytes(), payload());
    assert_eq!(store.state().generation, 4);
    assert_eq!(store.slots("traffic-light").unwrap().floor, 1);
}
