//! The preparing thread: the one that loads, creates, activates and destroys, so that none of it is ever waited for by the
//! thread that supervises or by a stage.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender};

use super::Factory;
use super::build::{Seated, build, remake};
use super::error::RunError;
use super::supervisor::Report;
use super::wiring::Instance;
use crate::spec::Spec;
use crate::stage::Stage;

/// What there is to prepare.
pub(super) enum Job {
    /// All that a spec asks for and is not there.
    Build { spec: Spec, current: Vec<Seated> },
    /// Another instance of a stage. `turn` comes back with the answer.
    Make { seated: Box<Seated>, turn: u64 },
    /// An instance that was deactivated.
    Destroy(Box<dyn Stage>),
    /// An instance that was activated and never called.
    Discard(Instance),
    /// No more jobs.
    Quit,
}

/// Starts the thread, which has the factory to itself.
pub(super) fn spawn(
    mut factory: Box<dyn Factory>,
    jobs: Receiver<Job>,
    reports: Sender<Report>,
) -> Result<(), RunError> {
    let run = move || {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Build { spec, current } => {
                    let result = build(&spec, &mut *factory, &current).map(Box::new);
                    let _ = reports.send(Report::Built { spec, result });
                }
                Job::Make { seated, turn } => {
                    let result = remake(&seated, &mut *factory);
                    let _ = reports.send(Report::Made { slot: seated.slot.id, turn, result });
                }
                Job::Destroy(stage) => destroy(stage),
                Job::Discard(instance) => discard(instance),
                Job::Quit => break,
            }
        }
    };
    thread::Builder::new().name("prepare".into()).spawn(run).map(drop).map_err(|error| {
        RunError::Service { thread: "preparing", problem: format!("cannot be made: {error}") }
    })
}

/// Destroying runs a plugin's code, which may panic.
fn destroy(stage: Box<dyn Stage>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(stage)));
}

/// Undoes an activation that nobody needs any more.
pub(super) fn discard(mut instance: Instance) {
    let _ = catch_unwind(AssertUnwindSafe(|| instance.stage.deactivate()));
    destroy(instance.stage);
}
