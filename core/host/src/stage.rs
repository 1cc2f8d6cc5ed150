//! A plugin's instance as a stage of a pipeline.
use std::ffi::{CStr, c_void};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use edgemill_abi::{Format, LogLevel, Reason, Status, raw};
use edgemill_linux::clock::monotonic_ns;
use edgemill_pipeline::outlet::Outlet;
use edgemill_pipeline::packet::Packet;
use edgemill_pipeline::stage::{Flow, Ports, Stage, StageError};

use crate::contract::{ModelContract, RawContract};
use crate::descriptor::{DescriptorFault, MAX_TEXT_BYTES, text};
use crate::instance::{FailSafe, Instance};
use crate::library::Library;
use crate::log::{LogSink, Text};
use crate::metrics::Metrics;
use crate::params::{RawValues, Values};
use crate::ports;
use crate::secrets::Secrets;
use crate::table::{self, HostCalls};
use crate::text::printable;

/// A model's bytes: verified, decrypted, read-only.
pub trait ModelBytes: Send {
    /// The same bytes at the same address for as long as `self` is not dropped.
    fn bytes(&self) -> &[u8];
}

/// All that makes one instance unlike another.
pub struct Setup {
    /// Name of the stage, for messages and the log.
    pub stage: String,
    /// From [`crate::params::check`].
    pub values: Values,
    /// Of the model that the stage names.
    pub contract: Option<ModelContract>,
    /// Only for a stage that is granted the model of `contract`.
    pub model: Option<Box<dyn ModelBytes>>,
    /// Where its lines go.
    pub log: Arc<dyn LogSink>,
}

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A callback did not answer OK.
    #[error("plugin {plugin}: {callback} answered \"{status}\"{}", because(.said))]
    Refused {
        /// Id of the plugin.
        plugin: String,
        /// Name of the callback.
        callback: &'static str,
        /// What it answered.
        status: Status,
        /// The last error it logged.
        said: String,
    },
    /// Its ports break a rule.
    #[error("plugin {plugin}: its ports are not valid: {fault}")]
    Ports {
        /// Id of the plugin.
        plugin: String,
        /// The rule.
        fault: DescriptorFault,
    },
    /// An actuator without a safe state.
    #[error("plugin {0}: an actuator, but it has no valid extension edgemill.fail_safe/1")]
    NoFailSafe(String),
    /// Bytes without a contract.
    #[error("plugin {0}: a model was given without its contract")]
    NoContract(String),
}

fn because(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// An instance of a plugin. Fields are dropped in this order: the instance is destroyed while all that it was
/// given is still there.
pub struct PluginStage {
    instance: Instance,
    active: bool,
    ports: Ports,
    /// One for each input port; filled anew for each call, so that a call allocates nothing.
    inputs: Box<[*const raw::Packet]>,
    fail_safe: Option<(FailSafe, String)>,
    model: Option<Model>,
    _contract: Option<RawContract>,
    /// All that it was ever activated with: the table leads to the last.
    outlets: Vec<Arc<Outlet>>,
    context: Arc<Context>,
    library: Arc<Library>,
}

// SAFETY: the pointers in `inputs` are used within one call only; everything else is Send.
unsafe impl Send for PluginStage {}

impl fmt::Debug for PluginStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginStage")
            .field("stage", &self.context.stage)
            .field("plugin", &self.library.descriptor().id)
            .finish_non_exhaustive()
    }
}

impl PluginStage {
    /// Makes an instance and asks it for its ports. Belongs on the preparing thread: the plugin may take its time.
    ///
    /// # Errors
    /// The plugin refuses, or what it answers breaks a rule.
    pub fn new(library: &Arc<Library>, setup: Setup) -> Result<Self, SetupError> {
        let plugin = || library.descriptor().id.clone();
        if setup.model.is_some() && setup.contract.is_none() {
            return Err(SetupError::NoContract(plugin()));
        }
        let context = Context::new(setup.stage, setup.log);
        let refused = |callback, status| SetupError::Refused {
            plugin: plugin(),
            callback,
            status: Status::from_answer(status),
            said: context.take_error(),
        };
        let values = RawValues::new(setup.values.iter());
        let contract = setup.contract.as_ref().map(RawContract::new);
        let contract_at = contract.as_ref().map_or(std::ptr::null(), RawContract::as_ptr);
        // SAFETY: the table lies in `context`, which `Self` drops after `instance`.
        let instance =
            unsafe { Instance::create(library, &raw const context.host, values.as_slice()) };
        let mut instance = instance.map_err(|status| refused("create", status))?;
        // SAFETY: `Self` drops the contract after the instance; below, the arrays live until destroy (plugin.h).
        let ports = unsafe {
            let raw = instance.ports(contract_at).map_err(|status| refused("ports", status))?;
            ports::read(&raw).map_err(|fault| SetupError::Ports { plugin: plugin(), fault })?
        };
        let fail_safe = read_fail_safe(&mut instance);
        if library.descriptor().actuator && fail_safe.is_none() {
            return Err(SetupError::NoFailSafe(plugin()));
        }
        Ok(Self {
            instance,
            active: false,
            inputs: vec![std::ptr::null(); ports.inputs.len()].into(),
            ports,
            fail_safe,
            model: setup.model.map(|bytes| Model::new(bytes, contract_at)),
            _contract: contract,
            outlets: Vec::new(),
            context,
            library: Arc::clone(library),
        })
    }

    /// The plugin it is an instance of.
    #[must_use]
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// What [`Stage::fail_safe`] does, in the plugin's words; `None` for a stage that drives nothing.
    #[must_use]
    pub fn fail_safe_state(&self) -> Option<&str> {
        self.fail_safe.as_ref().map(|(_, state)| state.as_str())
    }

    /// The numbers it shows, to be read from any thread while it runs.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.context.metrics)
    }

    fn failure(&self, what: &str, status: raw::Status) -> StageError {
        let (plugin, status) = (&self.library.descriptor().id, Status::from_answer(status));
        let said = because(&self.context.take_error());
        StageError(format!("plugin {plugin}: {what} answered \"{status}\"{said}"))
    }
}

fn read_fail_safe(instance: &mut Instance) -> Option<(FailSafe, String)> {
    let fail_safe = instance.fail_safe()?;
    // SAFETY: fail_safe.h: the state is a text that is valid until destroy.
    let state = unsafe { text("state", fail_safe.state, MAX_TEXT_BYTES) };
    Some((fail_safe, state.ok()?))
}

impl Stage for PluginStage {
    fn ports(&self) -> &Ports {
        &self.ports
    }

    fn activate(
        &mut self,
        inputs: &[Format],
        outputs: &[Format],
        outlet: Arc<Outlet>,
    ) -> Result<(), StageError> {
        let counts = (inputs.len(), outputs.len());
        if self.active || counts != (self.ports.inputs.len(), self.ports.outputs.len()) {
            let state = if self.active { "active already" } else { "not active" };
            return Err(StageError(format!("activate with {counts:?} formats, {state}")));
        }
        // What it said before is not why activate fails.
        self.context.take_error();
        self.context.lead_to(&outlet);
        self.outlets.push(outlet);
        let raw = |formats: &[Format]| formats.iter().map(Format::raw).collect::<Vec<_>>();
        let model = self.model.as_ref().map_or(std::ptr::null(), Model::as_ptr);
        // SAFETY: one format for each port (checked above); `Self` drops model and contract after the instance.
        match unsafe { self.instance.activate(&raw(inputs), &raw(outputs), model) } {
            raw::OK => {
                self.active = true;
                Ok(())
            }
            status => Err(self.failure("activate", status)),
        }
    }

    fn process(&mut self, reason: Reason, inputs: &[Option<&Packet>]) -> Result<Flow, StageError> {
        if !self.active || inputs.len() != self.inputs.len() {
            return Err(StageError(format!("process with {} inputs, or not active", inputs.len())));
        }
        for (to, from) in self.inputs.iter_mut().zip(inputs) {
            *to = from.map_or(std::ptr::null(), |packet| packet.raw());
        }
        self.context.inside.store(true, Ordering::Relaxed);
        // SAFETY: one pointer for each input port (checked above); `inputs` borrows the packets through the call.
        let status = unsafe { self.instance.process(reason.raw(), &self.inputs) };
        self.context.inside.store(false, Ordering::Relaxed);
        match status {
            raw::OK => Ok(Flow::Continue),
            raw::END if reason == Reason::Turn => Ok(Flow::End),
            status => Err(self.failure("process", status)),
        }
    }

    fn deactivate(&mut self) {
        if std::mem::take(&mut self.active) {
            self.instance.deactivate();
        }
    }

    fn fail_safe(&mut self) -> Option<Result<(), StageError>> {
        let (fail_safe, _) = self.fail_safe.as_ref()?;
        // SAFETY: it was got from this instance.
        let status = unsafe { self.instance.apply(fail_safe) };
        let failed = (status != raw::OK).then(|| self.failure("fail_safe", status));
        Some(failed.map_or(Ok(()), Err))
    }
}

impl Drop for PluginStage {
    fn drop(&mut self) {
        self.deactivate();
    }
}

/// The model as the plugin sees it, and the bytes behind it.
struct Model {
    raw: Box<raw::Model>,
    _bytes: Box<dyn ModelBytes>,
}

// SAFETY: the pointers lead to `_bytes`, which is Send, and to a contract that nobody changes.
unsafe impl Send for Model {}

impl Model {
    fn new(bytes: Box<dyn ModelBytes>, contract: *const raw::Contract) -> Self {
        let slice = bytes.bytes();
        let raw = raw::Model { data: slice.as_ptr(), size: slice.len() as u64, contract };
        Self { raw: Box::new(raw), _bytes: bytes }
    }

    fn as_ptr(&self) -> *const raw::Model {
        &raw const *self.raw
    }
}

/// What the table leads to. It stays in its place, and all that changes in it is atomic or behind a lock, so that a
/// call from whatever thread finds it sound.
struct Context {
    host: raw::Host,
    stage: String,
    log: Arc<dyn LogSink>,
    metrics: Arc<Metrics>,
    secrets: Secrets,
    /// Null before the first activate. The stage keeps what it leads to until after destroy.
    outlet: AtomicPtr<Outlet>,
    /// Within `process`.
    inside: AtomicBool,
    /// The last error logged, for the message when a callback fails. Only ever tried on the frame path.
    error: Mutex<Option<Text<MAX_TEXT_BYTES>>>,
}

// SAFETY: `host` has addresses of functions and of this value itself, written before anyone else sees it.
unsafe impl Send for Context {}
// SAFETY: as above; all other fields are Sync.
unsafe impl Sync for Context {}

impl Context {
    fn new(stage: String, log: Arc<dyn LogSink>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            host: table::host(this.as_ptr()),
            stage,
            log,
            metrics: Arc::default(),
            secrets: Secrets::default(),
            outlet: AtomicPtr::default(),
            inside: AtomicBool::new(false),
            error: Mutex::default(),
        })
    }

    fn lead_to(&self, outlet: &Arc<Outlet>) {
        self.outlet.store(Arc::as_ptr(outlet).cast_mut(), Ordering::Release);
    }

    fn take_error(&self) -> String {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.map(|e| printable(e.as_str(), 2 * MAX_TEXT_BYTES)).unwrap_or_default()
    }

    fn outlet(&self) -> Result<&Outlet, Status> {
        // SAFETY: null or the outlet of an activation, kept in `PluginStage::outlets` until the instance, which is
        // all that calls this, has been destroyed.
        unsafe { self.outlet.load(Ordering::Acquire).as_ref() }.ok_or(Status::BadArgument)
    }
}

fn answer(result: Result<(), Status>) -> raw::Status {
    result.map_or_else(Status::raw, |()| raw::OK)
}

impl HostCalls for Context {
    fn emit(&self, port: u32, packet: &raw::Packet) -> raw::Status {
        answer(self.outlet().and_then(|outlet| outlet.emit(port, packet)))
    }

    fn emit_from(&self, port: u32, packet: &raw::Packet, origin: &raw::Packet) -> raw::Status {
        answer(self.outlet().and_then(|outlet| outlet.emit_from(port, packet, origin)))
    }

    fn acquire(&self, port: u32, size: u64) -> Result<raw::Buffer, raw::Status> {
        self.outlet().and_then(|outlet| outlet.acquire(port, size)).map_err(Status::raw)
    }

    fn retain(&self, buffer: &raw::Buffer) -> raw::Status {
        answer(self.outlet().and_then(|outlet| outlet.retain(buffer.handle)))
    }

    fn release(&self, buffer: &raw::Buffer) -> raw::Status {
        answer(self.outlet().and_then(|outlet| outlet.release(buffer.handle)))
    }

    fn log(&self, level: u32, text: &[u8]) {
        let level = LogLevel::from_raw(level).unwrap_or(LogLevel::Info);
        let kept = &text[..text.len().min(MAX_TEXT_BYTES)];
        let text = match std::str::from_utf8(kept) {
            Ok(text) => text,
            // A character cut in two at the end, or no UTF-8 from there on.
            Err(e) => std::str::from_utf8(&kept[..e.valid_up_to()]).unwrap_or_default(),
        };
        if level == LogLevel::Error
            && let Ok(mut error) = self.error.try_lock()
        {
            *error = Some(Text::of(text));
        }
        self.log.line(level, &self.stage, text);
    }

    fn metric(&self, name: &CStr, value: f64) {
        self.metrics.set(name, value);
    }

    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }

    fn secret_alloc(&self, size: u64, alignment: u64) -> *mut c_void {
        let (at, locked) = self.secrets.alloc(size, alignment);
        if !locked {
            let warning = "memory for a model's weights could not be locked; raise RLIMIT_MEMLOCK";
            self.log.line(LogLevel::Warn, &self.stage, warning);
        }
        at
    }

    fn secret_free(&self, memory: *mut c_void) {
        self.secrets.free(memory);
    }

    fn parallel(&self) -> raw::Status {
        if self.inside.load(Ordering::Relaxed) { raw::OK } else { raw::ERR_BAD_ARGUMENT }
    }
}
