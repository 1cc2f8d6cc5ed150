//! The store's thread: what is asked of it over the control socket, one thing after another. It may wait for fsync,
//! which nobody else of the daemon does.
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use edgemill_config::{Board, Paths};
use edgemill_control::{
    Failure as Refusal, FailureKind, Installed, ModelStatus, Reply, Responder, SlotStatus,
};
use edgemill_store::device::store::{Delivered, Slot, Slots};
use edgemill_store::device::{DeviceKey, Place, Policy, StoreError, now_unix_s};

use crate::exit::{Exit, Failure};
use crate::log::{self, Level};
use crate::models::{Shelf, TrustFile};
use crate::reload::Asker;
use crate::service::{Command, Desk};

/// What is asked.
pub enum Job {
    /// Which models there are.
    List(Responder),
    /// Bring the package in this file.
    Install(File, Responder),
    /// Make the candidate active.
    Activate(String, Responder),
    /// Go back to the previous.
    Rollback(String, Responder),
    /// Everything has run well for long enough: probations end.
    Proven,
    /// A stage that runs this model failed for good, and why.
    Failed(String, String),
    /// The daemon ends in order.
    EndedWell,
}

/// Who does it.
pub struct Keeper {
    shelf: Arc<Shelf>,
    trust: Arc<TrustFile>,
    board: String,
    paths: Paths,
    desk: Desk,
}

impl Keeper {
    /// Of this board's store. `desk` is told when another package has become active.
    pub fn new(shelf: Arc<Shelf>, trust: Arc<TrustFile>, board: &Board, desk: Desk) -> Self {
        let (board, paths) = (board.name.value.clone(), board.paths.clone());
        Self { shelf, trust, board, paths, desk }
    }

    /// Does jobs until nobody can ask any more.
    pub fn work(&self, jobs: &Receiver<Job>) {
        self.end_probations(false);
        for job in jobs {
            match job {
                Job::List(responder) => answer(responder, self.list()),
                Job::Install(file, responder) => answer(responder, self.install(file)),
                Job::Activate(model, responder) => self.activate(&model, responder),
                Job::Rollback(model, responder) => self.rollback(&model, responder),
                Job::Proven => self.end_probations(true),
                Job::Failed(model, why) => self.give_up(&model, &why),
                Job::EndedWell => self.shelf.end_starts(),
            }
        }
    }

    fn give_up(&self, model: &str, why: &str) {
        if self.shelf.give_up(model, why).is_some() {
            self.desk.ask(Command::Reload(None));
        }
    }

    fn list(&self) -> Result<Reply, Failure> {
        let listed = self.shelf.read(&self.paths, |store| {
            let models = store.state().models.iter();
            Ok(models.map(|(model, slots)| status(model, slots)).collect())
        });
        match listed {
            Ok(models) => Ok(Reply::Models(models)),
            Err(StoreError::Absent(_)) => Ok(Reply::Models(Vec::new())),
            Err(error) => Err(Failure::new(Exit::Model, error)),
        }
    }

    fn install(&self, file: File) -> Result<Reply, Failure> {
        let key = DeviceKey::find(&self.paths.device_key);
        let key = key.map_err(|error| Failure::new(Exit::Model, error))?;
        let place = Place::Board(&self.board);
        let policy = Policy { trust: self.trust.load()?, place, now_unix_s: now_unix_s() };
        let Delivered { model, slot, place } =
            self.shelf.write(&self.paths, |store| store.deliver(file, &policy, &key))?;
        self.tell(&format!("model {model} {} installed, now {place}", slot.version));
        self.end_probations(false);
        Ok(Reply::Installed(Installed { model, version: slot.version, slot: place.to_string() }))
    }

    fn activate(&self, model: &str, responder: Responder) {
        let slot = self.shelf.write(&self.paths, |store| store.activate(model));
        let told = |slot: Slot| format!("model {model}: version {} is active now", slot.version);
        self.changed(slot.map(told), responder);
    }

    fn rollback(&self, model: &str, responder: Responder) {
        let slot = self.shelf.write(&self.paths, |store| store.rollback(model));
        self.changed(
            slot.map(|slot| format!("model {model}: back to version {}", slot.version)),
            responder,
        );
    }

    /// From the end of its probation on, nothing older than the active package is taken. One that displaced nothing has
    /// nothing to go back to, and none.
    fn end_probations(&self, proven: bool) {
        let due = self.shelf.read(&self.paths, |store| {
            let due = store.state().models.iter().filter(|(_, slots)| {
                slots.probation.is_some()
                    && slots.active.is_some()
                    && (proven || slots.previous.is_none())
            });
            Ok(due.map(|(model, _)| model.clone()).collect::<Vec<_>>())
        });
        for model in due.unwrap_or_default() {
            match self.shelf.write(&self.paths, |store| store.commit(&model)) {
                Ok(()) => {
                    self.tell(&format!("model {model} is proven; nothing older is taken any more"))
                }
                Err(failure) => log::line(Level::Warn, "store", &failure.message),
            }
        }
    }

    /// The stages that use the model are made anew by a reload, and what comes of that is the answer.
    fn changed(&self, done: Result<String, Failure>, responder: Responder) {
        match done {
            Err(failure) => answer(responder, Err(failure)),
            Ok(done) => {
                self.tell(&done);
                self.desk.ask(Command::Reload(Some(Asker { responder, done: Some(done) })));
            }
        }
    }

    fn tell(&self, message: &str) {
        log::line(Level::Info, "store", message);
    }
}

fn answer(responder: Responder, answer: Result<Reply, Failure>) {
    responder.send(answer.map_err(|failure| refusal(&failure)));
}

fn status(model: &str, slots: &Slots) -> ModelStatus {
    let filled = slots.filled().map(|(name, slot)| SlotStatus {
        slot: name.to_string(),
        version: slot.version.clone(),
        counter: slot.counter,
        digest: slot.object.to_string(),
        bytes: slot.bytes,
    });
    ModelStatus { model: model.to_owned(), floor: slots.floor, slots: filled.collect() }
}

/// A failure as a client is told it.
pub fn refusal(failure: &Failure) -> Refusal {
    let kind = match failure.exit {
        Exit::Model => FailureKind::Model,
        _ => FailureKind::Configuration,
    };
    Refusal::new(kind, &failure.message)
}
