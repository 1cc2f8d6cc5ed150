//! A pipeline of one source and a stage that keeps what it is given.
#![allow(dead_code, reason = "each test file uses its own part")]
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use edgemill_abi::raw::{self, FormatRange};
use edgemill_abi::{Format, Kind, MAX_SIDE, Reason};
use edgemill_capture::{Context, Params, Value, create};
use edgemill_pipeline::account::Account;
use edgemill_pipeline::outlet::Outlet;
use edgemill_pipeline::packet::{Origin, Packet};
use edgemill_pipeline::run::{Factory, Options, RestartPolicy, RunError, Runtime};
use edgemill_pipeline::spec::{EdgeSpec, Overflow, Spec, StageSpec};
use edgemill_pipeline::stage::{Flow, Port, Ports, Stage, StageError};
use edgemill_pipeline::{State, Stop};

/// A packet as it came out of the source.
#[derive(Clone, Debug)]
pub struct Seen {
    pub origin: Origin,
    pub format: Format,
    pub bytes: Vec<u8>,
}

/// A source that plays.
pub struct Playing {
    pub runtime: Runtime,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub log: Arc<Mutex<Vec<String>>>,
}

/// Starts a source by its kind and parameters.
pub fn start(kind: &str, params: &[(&str, Value)]) -> Result<Playing, RunError> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::new(Mutex::new(Vec::new()));
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let (kept, lines) = (Arc::clone(&seen), Arc::clone(&log));
    let factory = Studio { kind: kind.to_owned(), params, seen: kept, log: lines };
    let source = StageSpec { name: "source".to_owned(), ..StageSpec::default() };
    let edge = EdgeSpec {
        from_stage: "source".to_owned(),
        overflow: Some(Overflow::Block),
        capacity: 4,
        ..EdgeSpec::default()
    };
    let keep = StageSpec { name: "keep".to_owned(), inputs: vec![edge], ..StageSpec::default() };
    let spec = Spec { name: "test".to_owned(), stages: vec![source, keep] };
    let restart = RestartPolicy { limit: 100, ..RestartPolicy::default() };
    let options = Options { restart, ..Options::default() };
    Ok(Playing { runtime: Runtime::start(spec, Box::new(factory), options)?, seen, log })
}

impl Playing {
    /// Waits for the source to end by itself.
    pub fn until_its_end(self) -> (Account, Vec<Seen>, Vec<String>) {
        let account = self.runtime.wait(Some(Duration::from_secs(60))).expect("it ends");
        account.check().expect("the account adds up");
        let seen = std::mem::take(&mut *lock(&self.seen));
        let log = std::mem::take(&mut *lock(&self.log));
        (account, seen, log)
    }

    /// Waits for so many packets, then stops the source.
    pub fn take(self, count: usize) -> (Account, Vec<Seen>, Vec<String>) {
        self.wait_for(count);
        self.runtime.stop(Stop::Drain);
        self.until_its_end()
    }

    /// Waits until so many packets have come.
    pub fn wait_for(&self, count: usize) {
        self.wait_until("enough packets", || lock(&self.seen).len() >= count);
    }

    /// Waits for the source to be in a state.
    pub fn wait_state(&self, state: State) {
        self.wait_until(state.word(), || {
            self.runtime.status().stages.iter().any(|s| s.name == "source" && s.state == state)
        });
    }

    fn wait_until(&self, what: &str, reached: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(60);
        while !reached() {
            assert!(Instant::now() < limit, "{what}: not in a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// What a test keeps; it is held only to look at it.
pub fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().expect("nobody panics while it is held")
}

struct Studio {
    kind: String,
    params: Params,
    seen: Arc<Mutex<Vec<Seen>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Factory for Studio {
    fn prepare(&mut self, stage: &StageSpec) -> Result<Box<dyn Stage>, StageError> {
        if stage.name == "keep" {
            return Ok(Box::new(Keep::new(Arc::clone(&self.seen))));
        }
        let lines = Arc::clone(&self.log);
        let log = Arc::new(move |_, line: &str| lock(&lines).push(line.to_owned()));
        let base = env!("CARGO_MANIFEST_DIR").into();
        Ok(create(&self.kind, &self.params, Context { base, log })?)
    }
}

/// Takes pictures and series of any format.
struct Keep {
    ports: Ports,
    format: Option<Format>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Keep {
    fn new(seen: Arc<Mutex<Vec<Seen>>>) -> Self {
        let image = |side| raw::Image { width: side, height: side, ..raw::Image::default() };
        let series = |count, rate_hz| raw::Series {
            dtype: raw::DTYPE_F32,
            channels: count,
            samples: count,
            reserved: 0,
            rate_hz,
        };
        let ranges = vec![
            range(Kind::Image, image(1), image(MAX_SIDE)),
            range(Kind::Series, series(1, f64::MIN_POSITIVE), series(u32::MAX, f64::MAX)),
        ];
        let input = Port { name: "in".to_owned(), ranges, held: 0, burst: 0 };
        Self { ports: Ports { inputs: vec![input], ..Ports::default() }, format: None, seen }
    }
}

fn range<P: Into<raw::Payload>>(kind: Kind, least: P, most: P) -> FormatRange {
    let end = |payload: P| raw::Format { kind: kind.raw(), reserved: 0, payload: payload.into() };
    FormatRange { least: end(least), most: end(most) }
}

impl Stage for Keep {
    fn ports(&self) -> &Ports {
        &self.ports
    }

    fn activate(
        &mut self,
        inputs: &[Format],
        _outputs: &[Format],
        _outlet: Arc<Outlet>,
    ) -> Result<(), StageError> {
        self.format = inputs.first().copied();
        Ok(())
    }

    fn process(&mut self, _: Reason, inputs: &[Option<&Packet>]) -> Result<Flow, StageError> {
        if let Some(packet) = inputs.first().copied().flatten() {
            let format = self.format.expect("activated");
            let bytes = packet.buffer().expect("a buffer").bytes();
            let bytes =
                bytes[..usize::try_from(format.buffer_bytes()).expect("it is in memory")].to_vec();
            let origin = packet.origin();
            lock(&self.seen).push(Seen { origin, format, bytes });
        }
        Ok(Flow::Continue)
    }

    fn deactivate(&mut self) {}
}
