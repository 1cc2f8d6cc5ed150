//! Stages for tests: they do as a script says, and count for themselves what the pipeline counts too.
#![allow(dead_code, reason = "each test file uses its own part")]
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edgemill_abi::raw::{self, FormatRange};
use edgemill_abi::{Format, Reason, format};
use edgemill_linux::clock::monotonic_ns;
use edgemill_linux::sched::affinity;
use edgemill_pipeline::account::Account;
use edgemill_pipeline::outlet::Outlet;
use edgemill_pipeline::packet::Packet;
use edgemill_pipeline::run::RestartPolicy;
use edgemill_pipeline::spec::Overflow;
use edgemill_pipeline::stage::{Flow, Port, Ports, Stage, StageError};
use edgemill_pipeline::{EdgeSpec, Event, Factory, Options, Runtime, Spec, StageSpec, State};

/// What a stage does with one call.
#[derive(Clone, Copy, Debug)]
pub enum Do {
    /// Hand the (first) input on, unchanged. A source emits, a sink takes.
    Pass,
    /// Write a buffer of its own.
    Make,
    /// Nothing.
    Consume,
    Fail,
    PassThenFail,
    Panic,
    /// Do not come back for so long.
    Hang(Duration),
    /// Take so long, then pass.
    Slow(Duration),
}

type Script = Arc<dyn Fn(u64) -> Do + Send + Sync>;

/// What a stage has counted, over all its instances.
#[derive(Debug, Default)]
pub struct Tally {
    pub calls: AtomicU64,
    pub inputs: AtomicU64,
    pub emitted: AtomicU64,
    pub failed: AtomicU64,
    pub hung: AtomicU64,
    pub flushes: AtomicU64,
    pub timers: AtomicU64,
    pub prepared: AtomicU64,
    pub deactivated: AtomicU64,
    pub destroyed: AtomicU64,
    pub safe: AtomicU64,
    pub last: Mutex<Vec<(u64, u64)>>,
    /// Where activate ran, which threads made by a stage inherit.
    pub cores: Mutex<Vec<usize>>,
}

impl Tally {
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// How the factory makes a stage.
#[derive(Clone)]
pub struct Cast {
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub script: Script,
    pub tally: Arc<Tally>,
    /// Of a source: packets until it ends.
    pub count: u64,
    pub pace: Duration,
    pub timer: Duration,
    pub is_actuator: bool,
    /// Preparing fails while this is set.
    pub broken: Arc<AtomicBool>,
    /// Its device is absent while this is set.
    pub away: Arc<AtomicBool>,
}

pub fn event() -> FormatRange {
    range(Format::Event)
}

pub fn range(format: Format) -> FormatRange {
    FormatRange { least: format.raw(), most: format.raw() }
}

pub fn bytes(count: u32) -> Format {
    let shape = [count, 0, 0, 0, 0, 0];
    let raw = raw::Tensor { dtype: raw::DTYPE_U8, rank: 1, shape, ..raw::Tensor::default() };
    Format::Tensor(format::Tensor::new(raw).expect("a format"))
}

pub fn port(name: &str, range: FormatRange) -> Port {
    Port { name: name.into(), ranges: vec![range], held: 0, burst: 1 }
}

/// A factory whose stages play the parts they were given, by the stage's `kind`.
#[derive(Clone, Default)]
pub struct Troupe(pub HashMap<String, Cast>);

impl Troupe {
    /// A stage of `kind` with so many ports of tensors of 64 bytes.
    pub fn with(
        mut self,
        kind: &str,
        inputs: usize,
        outputs: usize,
        script: impl Fn(u64) -> Do + Send + Sync + 'static,
    ) -> Self {
        let ports = |prefix: &str, count: usize| {
            (0..count).map(|n| port(&format!("{prefix}{n}"), range(bytes(64)))).collect()
        };
        let cast = Cast {
            inputs: ports("in", inputs),
            outputs: ports("out", outputs),
            script: Arc::new(script),
            tally: Arc::default(),
            count: u64::MAX,
            pace: Duration::ZERO,
            timer: Duration::ZERO,
            is_actuator: false,
            broken: Arc::default(),
            away: Arc::default(),
        };
        self.0.insert(kind.into(), cast);
        self
    }

    pub fn tune(mut self, kind: &str, change: impl FnOnce(&mut Cast)) -> Self {
        change(self.0.get_mut(kind).expect("the stage is cast"));
        self
    }

    pub fn tally(&self, kind: &str) -> Arc<Tally> {
        Arc::clone(&self.0[kind].tally)
    }

    pub fn start(&self, spec: Spec) -> Runtime {
        Runtime::start(spec, Box::new(self.clone()), quick()).expect("it starts")
    }
}

impl Factory for Troupe {
    fn prepare(&mut self, stage: &StageSpec) -> Result<Box<dyn Stage>, StageError> {
        let cast = self.0.get(&stage.kind).ok_or_else(|| StageError("no such kind".into()))?;
        if cast.broken.load(Ordering::SeqCst) {
            return Err(StageError("out of order".into()));
        }
        add(&cast.tally.prepared);
        let ports = Ports {
            inputs: cast.inputs.clone(),
            outputs: cast.outputs.clone(),
            timer_ns: u64::try_from(cast.timer.as_nanos()).expect("short"),
        };
        Ok(Box::new(Player { cast: cast.clone(), ports, outlet: None, formats: Vec::new() }))
    }
}

struct Player {
    cast: Cast,
    ports: Ports,
    outlet: Option<Arc<Outlet>>,
    formats: Vec<Format>,
}

impl Player {
    fn make(&self, input: Option<&Packet>) -> Result<(), StageError> {
        let outlet = self.outlet.as_ref().expect("active");
        for (port, format) in (0..).zip(&self.formats) {
            let result = if *format == Format::Event {
                let name = edgemill_abi::Name::fitted("red");
                let payload = raw::Payload::from(format::Event::named(name).raw());
                outlet.emit_sample(port, payload, None, monotonic_ns())
            } else if input.is_some() {
                outlet.acquire(port, 64).and_then(|buffer| {
                    let mut packet = *input.expect("there is one").raw();
                    (packet.buffer, packet.payload) = (buffer, format.payload());
                    outlet.emit(port, &packet)
                })
            } else {
                outlet.acquire_mut(port).and_then(|buffer| {
                    outlet.emit_sample(port, format.payload(), Some(buffer), monotonic_ns())
                })
            };
            if let Err(edgemill_abi::Status::NoBuffer) = result {
                continue;
            }
            result.map_err(|status| StageError(status.to_string()))?;
            add(&self.cast.tally.emitted);
        }
        Ok(())
    }

    fn pass(&self, inputs: &[Option<&Packet>]) -> Result<(), StageError> {
        let Some(input) = inputs.iter().flatten().next() else { return self.make(None) };
        let outlet = self.outlet.as_ref().expect("active");
        for port in (0..).take(self.formats.len()) {
            outlet.emit(port, input.raw()).map_err(|status| StageError(status.to_string()))?;
            add(&self.cast.tally.emitted);
        }
        Ok(())
    }
}

impl Stage for Player {
    fn ports(&self) -> &Ports {
        &self.ports
    }

    fn activate(
        &mut self,
        _: &[Format],
        outputs: &[Format],
        outlet: Arc<Outlet>,
    ) -> Result<(), StageError> {
        if self.awaits_device() {
            return Err(StageError("its device is away".into()));
        }
        (self.formats, self.outlet) = (outputs.to_vec(), Some(outlet));
        *self.cast.tally.cores.lock().expect("no panic") = affinity().unwrap_or_default();
        Ok(())
    }

    fn process(&mut self, reason: Reason, inputs: &[Option<&Packet>]) -> Result<Flow, StageError> {
        let tally = Arc::clone(&self.cast.tally);
        match reason {
            Reason::Flush => {
                add(&tally.flushes);
                return Ok(Flow::Continue);
            }
            Reason::Timer => add(&tally.timers),
            Reason::Turn if Tally::get(&tally.emitted) >= self.cast.count => return Ok(Flow::End),
            Reason::Turn if !self.cast.pace.is_zero() => {
                let pace = u64::try_from(self.cast.pace.as_nanos()).expect("short");
                let outlet = self.outlet.as_ref().expect("active");
                if outlet.sleep_until(monotonic_ns() + pace).is_err() {
                    return Ok(Flow::Continue);
                }
            }
            _ => {}
        }
        let call = tally.calls.fetch_add(1, Ordering::SeqCst);
        tally.inputs.fetch_add(inputs.iter().flatten().count() as u64, Ordering::SeqCst);
        if let [Some(packet)] = inputs {
            let origin = packet.origin();
            if let Ok(mut last) = tally.last.try_lock() {
                last.push((origin.stream, origin.sequence));
            }
        }
        match (self.cast.script)(call) {
            Do::Pass => self.pass(inputs)?,
            Do::Make => self.make(inputs.iter().flatten().next().copied())?,
            Do::Consume => {}
            Do::Fail => {
                add(&tally.failed);
                return Err(StageError("as the script says".into()));
            }
            Do::PassThenFail => {
                self.pass(inputs)?;
                add(&tally.failed);
                return Err(StageError("as the script says".into()));
            }
            Do::Panic => {
                add(&tally.failed);
                std::panic::resume_unwind(Box::new("as the script says"));
            }
            Do::Hang(time) => {
                add(&tally.hung);
                std::thread::sleep(time);
                // An abandoned instance gets nothing out any more.
                assert!(self.pass(inputs).is_err());
            }
            Do::Slow(time) => {
                std::thread::sleep(time);
                self.pass(inputs)?;
            }
        }
        Ok(Flow::Continue)
    }

    fn awaits_device(&self) -> bool {
        self.cast.away.load(Ordering::SeqCst)
    }

    fn deactivate(&mut self) {
        add(&self.cast.tally.deactivated);
    }

    fn fail_safe(&mut self) -> Option<Result<(), StageError>> {
        self.cast.is_actuator.then(|| {
            add(&self.cast.tally.safe);
            Ok(())
        })
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        add(&self.cast.tally.destroyed);
    }
}

/// Restarts without end and nearly without pause.
pub fn quick() -> Options {
    Options {
        restart: RestartPolicy {
            first: Duration::from_micros(100),
            most: Duration::from_micros(100),
            window: Duration::from_secs(1),
            limit: u32::MAX,
        },
        ..Options::default()
    }
}

pub fn stage(name: &str, from: &[&str]) -> StageSpec {
    StageSpec {
        name: name.into(),
        kind: name.into(),
        inputs: from.iter().zip(0..).map(|(from, n)| edge(from, n, Overflow::Block)).collect(),
        ..StageSpec::default()
    }
}

/// `from` is `stage` or `stage.port`; to port `in{n}`.
pub fn edge(from: &str, n: usize, overflow: Overflow) -> EdgeSpec {
    let (stage, port) = from.split_once('.').map_or((from, None), |(s, p)| (s, Some(p.into())));
    EdgeSpec {
        port: Some(format!("in{n}")),
        from_stage: stage.into(),
        from_port: port,
        overflow: Some(overflow),
        capacity: 4,
    }
}

pub fn spec(stages: Vec<StageSpec>) -> Spec {
    Spec { name: "test".into(), stages }
}

/// Waits for the end of a run, and for an account that adds up.
pub fn ended(runtime: &Runtime) -> Account {
    let account = runtime.wait(Some(Duration::from_secs(50))).unwrap_or_else(|| {
        panic!("it did not end: {:#?}", runtime.status());
    });
    account.check().unwrap_or_else(|error| panic!("{error}: {account:#?}"));
    account
}

/// Waits for an event.
pub fn until<R>(runtime: &Runtime, mut wanted: impl FnMut(&Event) -> Option<R>) -> R {
    let limit = Instant::now() + Duration::from_secs(20);
    let mut seen = Vec::new();
    while let Ok(event) = runtime.events().recv_deadline(limit) {
        if let Some(result) = wanted(&event) {
            return result;
        }
        seen.push(event);
    }
    panic!("the event did not come; these did: {seen:#?}");
}

pub fn until_state(runtime: &Runtime, name: &str, wanted: State) {
    until(runtime, |event| match event {
        Event::State { stage, state, .. } if stage == name && *state == wanted => Some(()),
        _ => None,
    });
}

/// Waits until something is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < limit, "{what} never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}
