//! The supervisor's thread: signals, commands, what pipelines tell, the watchdog. Its law: it never waits for what it
//! supervises. What takes time has a thread of its own and reports back: changes of the configuration, the store, the
//! control socket, the log.
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use edgemill_control::{DaemonState, Listener, Reply, StartTimes, Status};
use edgemill_host::LogSink;
use edgemill_linux::event::Waker;
use edgemill_linux::notify::Notifier;
use edgemill_linux::poll;
use edgemill_linux::signal::{Signal, SignalFd};
use edgemill_pipeline::run::Event;
use edgemill_pipeline::{State, Stop};

use crate::change::{Base, Context};
use crate::exit::{Exit, Failure};
use crate::keeper::{Job, Keeper};
use crate::log::{self, Level};
use crate::models::TrustFile;
use crate::pulse::Pulse;
use crate::reload::{Asker, Change};
use crate::running::Running;
use crate::service::{self, Command, Desk, Door, Refusals, Service};
use crate::state::{is_trouble, tell_state};

/// Without anything to hear, the thread looks around this often.
const TICK: Duration = Duration::from_millis(250);
/// A new model has proven itself when everything has run well for so long.
const PROBATION: Duration = Duration::from_secs(600);

/// At the end the store's thread has this long for what it was asked last.
const STORE_GRACE: Duration = Duration::from_secs(1);

/// All that the supervisor's thread has.
pub struct Daemon {
    pub(crate) context: Arc<Context>,
    pub(crate) notifier: Notifier,
    signals: SignalFd,
    commands: Receiver<Command>,
    pub(crate) desk: Desk,
    /// `None` until the first configuration is in force.
    pub(crate) base: Option<Arc<Base>>,
    pub(crate) door: Option<Door>,
    control: Option<Control>,
    pub(crate) pipelines: Vec<Running>,
    /// The change of configuration that is under way.
    pub(crate) change: Option<Change>,
    /// Those who asked for another one meanwhile.
    pub(crate) asked_again: Option<Vec<Asker>>,
    pub(crate) start: StartTimes,
    pub(crate) reloads: u64,
    pub(crate) reload_refused: Option<String>,
    pub(crate) stopping: Option<&'static str>,
    /// Why this process cannot go on.
    fatal: Option<String>,
    pulse: Pulse,
    next_pat: Instant,
    /// Since when everything has run well under one configuration.
    pub(crate) well_since: Instant,
}

/// The control thread.
struct Control {
    stop: Arc<Waker>,
    thread: JoinHandle<()>,
    store: Sender<Job>,
    /// Disconnects when the store's thread has ended.
    store_ended: Receiver<()>,
}

/// How the daemon ended.
pub struct End {
    /// As the process exits.
    pub exit: Exit,
    /// Why, for a person.
    pub why: String,
    /// How long starting took.
    pub start: StartTimes,
    /// The last state; `None` where no configuration was ever in force.
    pub status: Option<Status>,
}

impl Daemon {
    /// Makes ready to run these files.
    ///
    /// # Errors
    /// The system has no descriptors, or NOTIFY_SOCKET is no address.
    pub fn new(
        configs: Vec<PathBuf>,
        lines: Arc<dyn LogSink>,
        signals: SignalFd,
        began: Instant,
    ) -> Result<Self, Failure> {
        let waker = Arc::new(Waker::new().map_err(Failure::internal)?);
        let (sender, commands) = channel();
        let desk = Desk::new(sender, Arc::clone(&waker));
        let context = Context { configs, log: lines, gauges: Arc::default(), waker, began };
        Ok(Self {
            context: Arc::new(context),
            notifier: Notifier::from_env().map_err(Failure::configuration)?,
            signals,
            commands,
            desk,
            base: None,
            door: None,
            control: None,
            pipelines: Vec::new(),
            change: None,
            asked_again: None,
            start: StartTimes::default(),
            reloads: 0,
            reload_refused: None,
            stopping: None,
            fatal: None,
            pulse: Pulse::default(),
            next_pat: began,
            well_since: began,
        })
    }

    /// Runs until the end.
    pub fn run(mut self) -> End {
        self.begin_change(None);
        loop {
            let (exit, why) = match self.turn() {
                Err(failure) => (failure.exit, failure.message),
                Ok(()) => match self.fatal.take() {
                    Some(why) => (Exit::Fault, why),
                    None => match self.over() {
                        Some(end) => end,
                        None => continue,
                    },
                },
            };
            return self.end(exit, why);
        }
    }

    /// One look at everything there may be to do.
    fn turn(&mut self) -> Result<(), Failure> {
        let waits = [self.signals.as_fd(), self.context.waker.as_fd()];
        let ready = poll::readable(&waits, Some(self.patience())).map_err(Failure::internal)?;
        if ready[1] {
            self.context.waker.take();
        }
        while let Some(signal) = self.signals.read().map_err(Failure::internal)? {
            match signal {
                Signal::Terminate | Signal::Interrupt => self.stop("told to stop by a signal"),
                Signal::Reload => self.begin_change(None),
            }
        }
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command)?;
        }
        for index in 0..self.pipelines.len() {
            while let Ok(event) = self.pipelines[index].runtime.events().try_recv() {
                self.hear(index, event);
            }
        }
        self.pipelines.retain(|running| !(running.leaving && running.ended.is_some()));
        self.finish_change();
        self.watch_stop();
        self.prove();
        self.pat();
        Ok(())
    }

    fn patience(&self) -> Duration {
        let left = self.next_pat.saturating_duration_since(Instant::now());
        left.clamp(Duration::from_millis(1), TICK)
    }

    fn obey(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Status(sender) => {
                // One that has waited too long is gone.
                let _ = self.status().map(|status| sender.try_send(Box::new(status)));
            }
            Command::Reload(responder) => self.begin_change(responder),
            Command::Stop(responder) => {
                self.stop("told to stop over the control socket");
                responder.send(Ok(Reply::Done("stopping".into())));
            }
            Command::Changed(changed) => return self.changed(*changed),
        }
        Ok(())
    }

    /// What a pipeline tells.
    fn hear(&mut self, index: usize, event: Event) {
        let running = &mut self.pipelines[index];
        let name = running.name().to_owned();
        let who = |stage: &str| format!("{name}/{stage}");
        match event {
            Event::State { stage, state, why } => {
                running.failed |= state == State::Held;
                if is_trouble(state) {
                    self.well_since = Instant::now();
                }
                tell_state(&who(&stage), state, why.as_deref());
                if state == State::Held {
                    self.blame(index, &stage, &why.unwrap_or_default());
                }
            }
            Event::Warning { stage, text } => log::line(Level::Warn, &who(&stage), &text),
            Event::FailSafe { stage, why, error: None } => {
                log::line(Level::Warn, &who(&stage), &format!("put in its safe state: {why}"));
            }
            Event::FailSafe { stage, why, error: Some(error) } => {
                let text = format!("NOT in its safe state, which was due because {why}: {error}");
                log::line(Level::Error, &who(&stage), &text);
            }
            Event::Halted { stage, why } => {
                running.failed = true;
                log::line(Level::Error, &who(&stage), &format!("halts the pipeline: {why}"));
                self.blame(index, &stage, &why);
            }
            Event::Fatal { stage, why } => {
                let text = format!("stage `{}`: {why}; this process cannot go on", who(&stage));
                self.fatal.get_or_insert(text);
                self.blame(index, &stage, &why);
            }
            Event::Reloaded(result) => self.reloaded(index, result),
            Event::Ended(account) => {
                running.ended = Some(account);
                log::line(Level::Info, &name, "has ended");
                self.reloaded_too_late(index);
            }
        }
        self.tell_status();
    }

    /// A stage failed for good: its model, if it is on probation, is what changed last.
    pub(crate) fn blame(&self, index: usize, stage: &str, why: &str) {
        if let Some(model) = self.pipelines[index].model_of(stage) {
            let why = format!("stage `{}/{stage}`: {why}", self.pipelines[index].name());
            self.ask_store(Job::Failed(model, why));
        }
    }

    /// A store's thread that is gone has said why.
    fn ask_store(&self, job: Job) {
        if let Some(control) = &self.control {
            let _ = control.store.send(job);
        }
    }

    // The end.

    fn stop(&mut self, why: &'static str) {
        if self.stopping.is_some() {
            // Asked twice: nobody wants to wait for what is under way.
            self.pipelines.iter().for_each(|running| running.runtime.stop(Stop::Drop));
            return;
        }
        self.stopping = Some(why);
        let _ = self.notifier.stopping();
        log::line(Level::Info, "", why);
        self.pipelines.iter_mut().for_each(Running::stop);
    }

    /// A stage that does not come back does not hold up the end.
    fn watch_stop(&mut self) {
        let now = Instant::now();
        let late = self
            .pipelines
            .iter()
            .find(|running| running.ended.is_none() && running.stop_by.is_some_and(|by| by <= now));
        if let Some(running) = late {
            let stages = running.unfinished().join(", ");
            let text =
                format!("pipeline `{}` does not stop: {stages} did not come back", running.name());
            self.fatal.get_or_insert(text);
        }
    }

    /// Whether there is nothing left to supervise, and what that means.
    fn over(&self) -> Option<(Exit, String)> {
        if let Some(why) = self.stopping {
            let all = self.pipelines.iter().all(|running| running.ended.is_some());
            return all.then(|| (Exit::Done, why.to_owned()));
        }
        let busy = self.change.is_some() || self.pipelines.is_empty();
        if busy || self.pipelines.iter().any(|running| running.ended.is_none()) {
            return None;
        }
        let failed: Vec<&str> =
            self.pipelines.iter().filter(|it| it.failed).map(Running::name).collect();
        Some(match failed.as_slice() {
            [] => (Exit::Done, "all pipelines have ended".to_owned()),
            names => (Exit::Fault, format!("failed: {}", names.join(", "))),
        })
    }

    fn end(mut self, exit: Exit, why: String) -> End {
        let status = self.status();
        if exit == Exit::Done && self.pipelines.iter().all(|running| !running.failed) {
            self.ask_store(Job::EndedWell);
        }
        if let Some(control) = self.control.take() {
            control.stop.wake();
            let _ = control.thread.join();
            drop(control.store);
            // What was asked of the store is done, unless the disk hangs.
            let _ = control.store_ended.recv_timeout(STORE_GRACE);
        }
        End { exit, why, start: self.start, status }
    }

    /// Ends the probation of models once everything has run well for long enough.
    fn prove(&mut self) {
        if self.well_since.elapsed() < PROBATION {
            return;
        }
        self.well_since = Instant::now();
        if self.state() == DaemonState::Running {
            self.ask_store(Job::Proven);
        }
    }

    /// Pats systemd's watchdog at half its interval.
    fn pat(&mut self) {
        let now = Instant::now();
        let Some(interval) = self.notifier.watchdog_interval() else {
            self.next_pat = now + TICK;
            return;
        };
        if self.next_pat <= now {
            self.next_pat = now + interval / 2;
            if self.pulse.beats(&self.pipelines, now) {
                let _ = self.notifier.watchdog();
            }
        }
    }

    /// Starts the threads that serve the control socket and the store.
    pub(crate) fn open(
        &mut self,
        listener: Listener,
        base: &Base,
        door: Door,
        trust: Arc<TrustFile>,
    ) -> Result<(), Failure> {
        let keeper = Keeper::new(Arc::clone(&base.shelf), trust, &base.board, self.desk.clone());
        let (store, jobs) = channel();
        let (ended, store_ended) = channel::<()>();
        spawn("store", move || {
            keeper.work(&jobs);
            drop(ended);
        })?;
        let stop = Arc::new(Waker::new().map_err(Failure::internal)?);
        let service = Service {
            door,
            desk: self.desk.clone(),
            store: store.clone(),
            denials: Refusals::default(),
            nonsense: Refusals::default(),
        };
        let told = Arc::clone(&stop);
        let thread = spawn("control", move || service::serve(&listener, service, &told))?;
        self.control = Some(Control { stop, thread, store, store_ended });
        Ok(())
    }
}

/// A thread of the daemon's own. Its stack is small: memory may be locked.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Failure> {
    const STACK_BYTES: usize = 256 * 1024;
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(work).map_err(Failure::internal)
}
