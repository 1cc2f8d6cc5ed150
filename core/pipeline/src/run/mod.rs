//! Running a pipeline: start, watch, reload, stop.
//!
//! A [`Runtime`] has a thread for each stage, one that prepares and one that supervises. The owner holds the handle, reads
//! status and events, and is never made to wait but by [`Runtime::start`] and [`Runtime::wait`].
mod build;
mod error;
mod inbox;
mod preparer;
mod seat;
mod shared;
mod status;
mod supervisor;
mod wiring;
mod worker;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use edgemill_linux::event::Waker;

pub use error::RunError;
pub use status::{PoolStatus, StageStatus, Status};

use crate::account::Account;
use crate::negotiate::Plan;
use crate::slot::{State, Stop};
use crate::spec::{Spec, StageSpec};
use crate::stage::{Stage, StageError};
use preparer::Job;
use shared::Shared;
use supervisor::{Report, Supervisor};
use wiring::Ways;

/// Makes the instances of stages. Only ever called on the preparing thread, where loading and opening may take their
/// time.
pub trait Factory: Send {
    /// A new instance for a stage: created, its ports known, not activated.
    ///
    /// # Errors
    /// The stage cannot be made: its plugin, model or device is not to be had.
    fn prepare(&mut self, stage: &StageSpec) -> Result<Box<dyn Stage>, StageError>;
}

/// How often, and how soon, a stage that fails is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Pause before the first attempt; each further one within the window doubles it.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// Failures longer ago than this are forgiven.
    pub window: Duration,
    /// Failures within the window that are answered by an attempt; at the next the stage is held, unless it is a source
    /// that holds a device: that is tried at the longest pause for as long as it takes.
    pub limit: u32,
}

impl Default for RestartPolicy {
    /// A glitch costs a tenth of a second; what still fails after 6 attempts in a minute will not mend itself.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            most: Duration::from_secs(10),
            window: Duration::from_secs(60),
            limit: 6,
        }
    }
}

/// How a pipeline is run, whatever its stages.
#[derive(Clone, Debug)]
pub struct Options {
    /// For stages that fail.
    pub restart: RestartPolicy,
    /// How long [`Stop::Drain`] may take before what is left is dropped.
    pub drain_limit: Duration,
    /// How long making an instance may take before the process counts as lost ([`Event::Fatal`]).
    pub prepare_limit: Duration,
    /// Rung after each event, for an owner that polls descriptors.
    pub waker: Option<Arc<Waker>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            restart: RestartPolicy::default(),
            drain_limit: Duration::from_secs(2),
            prepare_limit: Duration::from_secs(30),
            waker: None,
        }
    }
}

/// What the owner of a pipeline is told. One that is not read in time is dropped; the status has the truth.
#[derive(Debug)]
pub enum Event {
    /// A stage's state has changed.
    State {
        /// Which.
        stage: String,
        /// To what.
        state: State,
        /// What led to it, where that is trouble.
        why: Option<String>,
    },
    /// Something worth a line in the log.
    Warning {
        /// Of which stage.
        stage: String,
        /// What.
        text: String,
    },
    /// A stage was put into its safe state, or that failed.
    FailSafe {
        /// Which.
        stage: String,
        /// Why it was due.
        why: String,
        /// How it failed.
        error: Option<String>,
    },
    /// A stage failed whose policy is to halt; the pipeline stops.
    Halted {
        /// Which.
        stage: String,
        /// How.
        why: String,
    },
    /// This process cannot go on: it should exit, be restarted, and have its actuators put into their safe state.
    Fatal {
        /// Because of which stage.
        stage: String,
        /// What happened.
        why: String,
    },
    /// A reload is under way, with the stages that change, or was refused and nothing has changed.
    Reloaded(Result<Vec<String>, RunError>),
    /// Every stage has ended.
    Ended(Account),
}

/// Events that wait to be read.
const MOST_EVENTS: usize = 1024;

/// A pipeline that runs. Dropping the handle leaves it running; [`Runtime::stop`] ends it.
pub struct Runtime {
    shared: Arc<Shared>,
    reports: Sender<Report>,
    events: Receiver<Event>,
    plan: Plan,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("pipeline", &self.plan.name).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Prepares every stage, negotiates, activates and sets all going. Waits for the preparing thread, which may load
    /// and decrypt, so that whatever is wrong is an error here.
    ///
    /// # Errors
    /// Why it cannot run, with the stage to look at; nothing is left running.
    pub fn start(
        spec: Spec,
        factory: Box<dyn Factory>,
        options: Options,
    ) -> Result<Self, RunError> {
        let (reports, heard) = unbounded();
        let (jobs, to_do) = unbounded();
        let (events, told) = bounded(MOST_EVENTS);
        preparer::spawn(factory, to_do, reports.clone())?;
        let ways = Ways { reports: reports.clone(), jobs };
        let _ = ways.jobs.send(Job::Build { spec, current: Vec::new() });
        let built = match heard.recv_timeout(options.prepare_limit) {
            Ok(Report::Built { result, .. }) => result,
            _ => {
                Err(service("preparing", &format!("did not answer in {:?}", options.prepare_limit)))
            }
        };
        let layout = built.inspect_err(|_| {
            let _ = ways.jobs.send(Job::Quit);
        })?;
        let shared = Arc::new(Shared::default());
        let plan = layout.plan.clone();
        let mut supervisor = Supervisor::new(options, Arc::clone(&shared), heard, ways, events);
        // Stages that have their thread already end with the rest of it.
        let begun = supervisor.begin(*layout);
        if begun.is_err() {
            let _ = reports.send(Report::Stop(Stop::Drop));
        }
        let thread = thread::Builder::new().name("supervise".into());
        thread
            .spawn(move || supervisor.run())
            .map_err(|error| service("supervising", &format!("cannot be made: {error}")))?;
        begun.map(|()| Self { shared, reports, events: told, plan })
    }

    /// How it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// All numbers now; exact once nothing moves (see [`Account`]).
    #[must_use]
    pub fn account(&self) -> Account {
        self.shared.account()
    }

    /// What was agreed at the start.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What happens.
    #[must_use]
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Ends it, in order; [`Event::Ended`] says when that is done. A drop may follow a drain. Does not wait.
    pub fn stop(&self, stop: Stop) {
        let _ = self.reports.send(Report::Stop(stop));
    }

    /// Changes it to another spec, stage by stage, only what differs, each at a packet boundary. Does not wait:
    /// [`Event::Reloaded`] says whether the new spec is good; if not, nothing has changed.
    pub fn reload(&self, spec: Spec) {
        let _ = self.reports.send(Report::Reload(spec));
    }

    /// Waits for the end, and gives the last account; `None` if the end has not come in time.
    #[must_use]
    pub fn wait(&self, timeout: Option<Duration>) -> Option<Account> {
        let ended = self.shared.ended();
        let account = match timeout {
            Some(timeout) => ended.recv_timeout(timeout).ok()?,
            None => ended.recv().ok()?,
        };
        // For whoever asks again.
        self.shared.end_again(account.clone());
        Some(account)
    }
}

fn service(thread: &'static str, problem: &str) -> RunError {
    RunError::Service { thread, problem: problem.into() }
}

/// What a pipeline would be, without running it: prepares each stage, here and now, and negotiates.
///
/// # Errors
/// Why it could not run, with the stage to look at.
pub fn check(spec: &Spec, factory: &mut dyn Factory) -> Result<Plan, RunError> {
    build::plan(spec, factory)
}
