//! The models that stages are told of: from the store, by the grants of access.toml.
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use edgemill_config::{Access, Board, Located, Paths, printable};
use edgemill_host::ModelContract;
use edgemill_store::device::grants::{Grants, Rule};
use edgemill_store::device::store::SlotName;
use edgemill_store::device::{
    DeviceKey, ModelView, Place, Policy, ReadStore, Store, StoreError, StoreKey, Trust, now_unix_s,
};

use crate::exit::{Exit, Failure};
use crate::log::{self, Level};

/// trust.json, read when first needed: a board without models and signed plugins needs none.
#[derive(Debug)]
pub struct TrustFile {
    path: PathBuf,
    trust: OnceLock<Trust>,
}

impl TrustFile {
    /// That of a board.
    pub fn new(paths: &Paths) -> Self {
        Self { path: paths.trust.clone(), trust: OnceLock::new() }
    }

    /// What the box believes in.
    ///
    /// # Errors
    /// The file is absent, or not signed by the keys pinned beside it.
    pub fn load(&self) -> Result<&Trust, Failure> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust);
        }
        let trust = Trust::load(&self.path).map_err(|error| Failure::new(Exit::Model, error))?;
        Ok(self.trust.get_or_init(|| trust))
    }
}

/// The store, as this process has it. One lock, held by the preparing thread or the store's, never by the
/// supervisor's.
#[derive(Debug)]
pub struct Shelf(Mutex<Backing>);

#[derive(Debug)]
enum Backing {
    /// There is no store at the board's place.
    Absent,
    /// For a look.
    Read(ReadStore),
    /// This process alone writes it.
    Write(Store),
}

impl Backing {
    fn read(&self) -> Option<&ReadStore> {
        match self {
            Self::Absent => None,
            Self::Read(store) => Some(store),
            Self::Write(store) => Some(store),
        }
    }
}

impl Shelf {
    /// Opens the board's store, if there is one, to be written by this process alone until it ends.
    ///
    /// # Errors
    /// Another process has it, its key is not there, or it was changed.
    pub fn own(paths: &Paths) -> Result<Self, Failure> {
        Self::open(paths, |paths, key| Store::open(&paths.store, key).map(Backing::Write))
    }

    /// Opens the board's store, if there is one, to be read as it is now.
    ///
    /// # Errors
    /// Its key is not there, or it was changed.
    pub fn look(paths: &Paths) -> Result<Self, Failure> {
        Self::open(paths, |paths, key| ReadStore::open(&paths.store, key).map(Backing::Read))
    }

    fn open(
        paths: &Paths,
        open: impl FnOnce(&Paths, StoreKey) -> Result<Backing, StoreError>,
    ) -> Result<Self, Failure> {
        let backing = if paths.store.exists() {
            match open(paths, store_key(paths)?) {
                Err(StoreError::Absent(_)) => Backing::Absent,
                opened => opened.map_err(model_failure)?,
            }
        } else {
            Backing::Absent
        };
        Ok(Self(Mutex::new(backing)))
    }

    /// Runs `change` on the store, which is made if there is none yet.
    ///
    /// # Errors
    /// The store cannot be made, or what `change` answers.
    pub fn write<R>(
        &self,
        paths: &Paths,
        change: impl FnOnce(&mut Store) -> Result<R, StoreError>,
    ) -> Result<R, Failure> {
        let mut backing = self.lock();
        if !matches!(&*backing, Backing::Write(_)) {
            let store = Store::open_or_create(&paths.store, store_key(paths)?);
            *backing = Backing::Write(store.map_err(model_failure)?);
        }
        match &mut *backing {
            Backing::Write(store) => change(store).map_err(model_failure),
            Backing::Absent | Backing::Read(_) => {
                Err(Failure::internal("the store was not opened to be written"))
            }
        }
    }

    /// Runs `look` on the store.
    ///
    /// # Errors
    /// There is none, or what `look` answers.
    pub fn read<R>(
        &self,
        paths: &Paths,
        look: impl FnOnce(&ReadStore) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let backing = self.lock();
        let store = backing.read().ok_or_else(|| StoreError::Absent(paths.store.clone()))?;
        look(store)
    }

    /// Counts this start against every active package on probation; those that have used theirs up are gone back from.
    pub fn begin_starts(&self) {
        self.on_trial(|store, model| {
            let failed = store.slot(model, SlotName::Active)?.version.clone();
            Ok(store.begin_start(model)?.map(|back| {
                told_back(model, &failed, &back.version, "the daemon died whenever it ran")
            }))
        });
    }

    /// The daemon ends in order: this start does not count against a package on probation.
    pub fn end_starts(&self) {
        self.on_trial(|store, model| store.end_start(model).map(|()| None));
    }

    /// Goes back from the active package of `model`, if it is on probation, since its stage failed; says so.
    pub fn give_up(&self, model: &str, why: &str) -> Option<String> {
        let mut told = None;
        self.on_trial(|store, on_trial| {
            if on_trial != model {
                return Ok(None);
            }
            let failed = store.slot(model, SlotName::Active)?.version.clone();
            let back = store.rollback(model)?;
            told = Some(told_back(model, &failed, &back.version, why));
            Ok(told.clone())
        });
        told
    }

    /// Runs `change` for each model whose active package is on probation, where this process writes the store, and logs
    /// what it says. A disk that takes no change must not keep the box from its work.
    fn on_trial(
        &self,
        mut change: impl FnMut(&mut Store, &str) -> Result<Option<String>, StoreError>,
    ) {
        let Backing::Write(store) = &mut *self.lock() else { return };
        let models = store.state().models.iter().filter(|(_, slots)| slots.trial().is_some());
        for model in models.map(|(model, _)| model.clone()).collect::<Vec<_>>() {
            match change(store, &model) {
                Ok(None) => (),
                Ok(Some(told)) => log::line(Level::Error, "store", &told),
                Err(error) => {
                    log::line(Level::Warn, "store", &format!("probation of {model}: {error}"));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Backing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told_back(model: &str, failed: &str, back: &str, why: &str) -> String {
    format!(
        "model {model} {failed} failed on probation, back to version {back}: {why}; \
         `edgemill model activate {model}` tries it again"
    )
}

/// Makes the two secrets of a box in `folder`, `device.key` with its public side `device.pub` and `store.key`.
///
/// # Errors
/// One is there already, or the folder does not take them.
pub fn make_keys(folder: &Path) -> Result<(), Failure> {
    let made = DeviceKey::create(folder).and_then(|device| {
        StoreKey::create(folder)?;
        Ok(device)
    });
    let device = made.map_err(|error| Failure::new(Exit::Model, error))?;
    log::line(Level::Info, "", &format!("made keys; device key {}", device.public().fingerprint()));
    Ok(())
}

fn store_key(paths: &Paths) -> Result<StoreKey, Failure> {
    StoreKey::find(&paths.store_key).map_err(|error| Failure::new(Exit::Model, error))
}

/// A fault of the store, in the daemon's terms.
pub fn model_failure(error: StoreError) -> Failure {
    Failure::new(Exit::Model, error)
}

/// What stages may have of the store, under one configuration.
#[derive(Debug)]
pub struct Models {
    shelf: Arc<Shelf>,
    trust: Arc<TrustFile>,
    grants: Grants,
    board: String,
    paths: Paths,
    /// What was gone back from under this configuration.
    gone_back: Mutex<Vec<String>>,
}

impl Models {
    /// The store as access.toml opens it.
    pub fn new(shelf: Arc<Shelf>, trust: Arc<TrustFile>, board: &Board, access: &Access) -> Self {
        let rules = access.grants.iter().map(|grant| Rule {
            pipeline: grant.pipeline.value.clone(),
            stage: grant.stage.value.clone(),
            model: grant.model.value.clone(),
        });
        let grants = Grants::new(rules);
        let (board, paths) = (board.name.value.clone(), board.paths.clone());
        Self { shelf, trust, grants, board, paths, gone_back: Mutex::default() }
    }

    /// A stage with the model's active package cannot be made: goes back from it, if it is on probation. Whether
    /// there is another one to try now.
    pub fn give_up(&self, model: &str, why: &str) -> bool {
        let told = self.shelf.give_up(model, why);
        let went_back = told.is_some();
        self.gone_back.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
        went_back
    }

    /// What was gone back from.
    pub fn gone_back(&self) -> Vec<String> {
        self.gone_back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which package of the model is active now: changes when it does.
    ///
    /// # Errors
    /// There is no such model.
    pub fn active(&self, model: &Located<String>) -> Result<String, Failure> {
        self.shelf
            .read(&self.paths, |store| Ok(store.slot(model, SlotName::Active)?.object.to_string()))
            .map_err(|error| at(model, error))
    }

    /// The contract of the active package, which needs no grant.
    ///
    /// # Errors
    /// There is no such model, or its package was changed.
    pub fn contract(&self, model: &Located<String>) -> Result<ModelContract, Failure> {
        let manifest = self
            .shelf
            .read(&self.paths, |store| store.manifest(model, SlotName::Active))
            .map_err(|error| at(model, error))?;
        let release = manifest.release;
        Ok(ModelContract {
            model: release.name,
            version: release.version,
            contract: release.contract,
        })
    }

    /// Verifies and decrypts the active package for a stage.
    ///
    /// # Errors
    /// No grant; no such model; or the package is not for this board, superseded, expired or changed.
    pub fn open(
        &self,
        pipeline: &str,
        stage: &str,
        model: &Located<String>,
    ) -> Result<ModelView, Failure> {
        let grant = self
            .grants
            .may_open(pipeline, stage, model)
            .map_err(|refused| at(model, StoreError::Refused(refused)))?;
        let place = Place::Board(&self.board);
        let policy = Policy { trust: self.trust.load()?, place, now_unix_s: now_unix_s() };
        self.shelf
            .read(&self.paths, |store| store.open_model(model, &grant, &policy))
            .map_err(|error| at(model, error))
    }
}

fn at(model: &Located<String>, error: StoreError) -> Failure {
    let name = printable(model, 48);
    Failure::new(Exit::Model, format!("{}: model `{name}`: {error}", model.at))
}
