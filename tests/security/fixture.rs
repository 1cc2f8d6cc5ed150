//! Keys, packages and stores to attack.
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use edgemill_model::contract::Contract;
use edgemill_model::manifest::{Boards, Release};
use edgemill_model::tensor::{DType, TensorSpec};
use edgemill_store::author::{KeyRing, Package, Plan, SealedPackage};
use edgemill_store::device::grants::Rule;
use edgemill_store::device::{
    DeviceKey, Grant, Grants, ModelView, OpenError, Place, Policy, Sealed, Store, StoreKey, Trust,
    VerifyError,
};

pub const NOW: u64 = 1_800_000_000;
pub const BOARD: &str = "host";
pub const MODEL: &str = "traffic-light";

/// A folder that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("edgemill-security-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A desk with its keys, and a box that trusts them.
pub struct World {
    pub folder: Folder,
    pub ring: KeyRing,
    pub trust: Trust,
    pub device: DeviceKey,
}

impl World {
    pub fn new() -> Self {
        Self::planned(&Plan::default())
    }

    pub fn planned(plan: &Plan) -> Self {
        let folder = Folder::new();
        let keys = folder.path("keys");
        let ring = KeyRing::init_with(&keys, plan).unwrap();
        let trust = Trust::load(&keys.join("trust.json")).unwrap();
        let device = DeviceKey::load(&keys.join("device.key")).unwrap();
        Self { folder, ring, trust, device }
    }

    pub fn key_file(&self, name: &str) -> PathBuf {
        self.folder.path("keys").join(name)
    }

    pub fn store_key(&self) -> StoreKey {
        StoreKey::load(&self.key_file("store.key")).unwrap()
    }

    pub fn store_dir(&self) -> PathBuf {
        self.folder.path("store")
    }

    pub fn policy(&self) -> Policy<'_> {
        Policy { trust: &self.trust, place: Place::Board(BOARD), now_unix_s: NOW }
    }

    pub fn seal(&self, payload: &[u8], release: Release) -> SealedPackage {
        let package = Package::pack(payload, release).unwrap();
        package.seal(&[self.device.public().clone()]).unwrap().sign(&self.ring)
    }

    pub fn package(&self, payload: &[u8]) -> Vec<u8> {
        self.seal(payload, release()).to_bytes()
    }

    pub fn counted(&self, counter: u64) -> Vec<u8> {
        let release = Release { counter, version: format!("1.{counter}"), ..release() };
        self.seal(format!("weights {counter}").as_bytes(), release).to_bytes()
    }

    /// The whole way from bytes to a model.
    pub fn open(&self, package: &[u8]) -> Result<ModelView, Fault> {
        let sealed = Sealed::read(Cursor::new(package)).map_err(VerifyError::Package)?;
        Ok(sealed.verify(&self.policy(), 0)?.open(&self.device)?)
    }

    /// A store with `counters` installed and activated one after the other, the last one on probation.
    pub fn store_with(&self, counters: &[u64]) -> Store {
        let mut store = Store::open_or_create(&self.store_dir(), self.store_key()).unwrap();
        for &counter in counters {
            self.install(&mut store, counter).unwrap();
            store.activate(MODEL).unwrap();
        }
        store
    }

    pub fn install(
        &self,
        store: &mut Store,
        counter: u64,
    ) -> Result<edgemill_store::device::store::Slot, edgemill_store::device::StoreError> {
        store.install(&self.counted(counter)[..], &self.policy(), &self.device)
    }
}

/// Why the whole way failed, at whichever step.
#[derive(Debug)]
pub enum Fault {
    Verify(VerifyError),
    Open(OpenError),
}

impl From<VerifyError> for Fault {
    fn from(fault: VerifyError) -> Self {
        Self::Verify(fault)
    }
}

impl From<OpenError> for Fault {
    fn from(fault: OpenError) -> Self {
        Self::Open(fault)
    }
}

pub fn release() -> Release {
    let tensor =
        |dtype, shape: &[u32]| TensorSpec { dtype, shape: shape.into(), quantization: None };
    Release {
        name: MODEL.into(),
        version: "1.0".into(),
        counter: 1,
        contract: Contract {
            inputs: vec![tensor(DType::U8, &[1, 32, 32, 3])],
            outputs: vec![tensor(DType::F32, &[1, 2])],
            picture: None,
            window: None,
            head: "classifier".into(),
            labels: vec!["red".into(), "green".into()],
        },
        boards: Boards::Named(vec![BOARD.into()]),
        graph_format: "edgemill-graph-1".into(),
        report: BTreeMap::from([("accuracy".into(), 0.99)]),
        card: "A card.\nTwo lines.".into(),
        licence: "Apache-2.0".into(),
        expires_unix_s: None,
    }
}

pub fn grant() -> Grant {
    let [pipeline, stage, model] = ["lights", "infer", MODEL].map(String::from);
    let rule = Rule { pipeline, stage, model };
    Grants::new([rule]).may_open("lights", "infer", MODEL).unwrap()
}

/// Every file below `folder` with its bytes.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    files
}
