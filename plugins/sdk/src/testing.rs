//! A host for unit tests: it drives one instance through its real C entry points, hands it packets, and keeps what
//! it emits, logs and forgets to give back.
//!
//! ```
//! # use edgemill_sdk::{Call, Contract, Event, Format, Host, Name, Plugin, Port, Ports, Range, Reason};
//! # use edgemill_sdk::{Result, Setup, Status};
//! # struct Echo;
//! # impl Plugin for Echo {
//! #     type Params = ();
//! #     type Active<'m> = ();
//! #     fn create(_: Host<'_>, _: ()) -> Result<Self> { Ok(Self) }
//! #     fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
//! #         let port = |name| Port::new(name, Range::event());
//! #         Ok(Ports::new().input(port("in")).output(port("out")))
//! #     }
//! #     fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> { Ok(()) }
//! #     fn process<'m>(&mut self, _: &mut (), call: &Call<'_, 'm>) -> Result<()> {
//! #         call.input(0).map_or(Ok(()), |input| call.emit(0, input))
//! #     }
//! # }
//! # edgemill_sdk::export!(Echo);
//! use edgemill_sdk::testing::Bench;
//!
//! let mut bench = Bench::new(&edgemill_entry, &[]).expect("it is created");
//! bench.ports(None).expect("it has ports");
//! bench.activate(&[Format::Event], &[Format::Event], None).expect("it starts");
//! let red = bench.event(Event::named(Name::fitted("red")));
//! assert_eq!(bench.process(Reason::Input, &[Some(red)]), Status::Ok);
//! assert_eq!(bench.emitted()[0].event().name().as_str(), "red");
//! ```
mod contract;
mod host;

use std::ffi::{CStr, CString, c_void};
use std::ptr;

use edgemill_abi::{Format, ParamKind, Reason, Status, format, raw};

use crate::contract::Contract;
use crate::format::Event;
use crate::params::Value;
use contract::RawContract;
use host::FakeHost;
pub use host::{Emitted, LogLine};

/// One instance of a plugin and its host.
///
/// When it is dropped it deactivates and destroys the instance, and panics if a reference to a buffer or a piece of
/// locked memory was not given back.
pub struct Bench {
    descriptor: &'static raw::Descriptor,
    host: Box<FakeHost>,
    instance: *mut c_void,
    input_count: usize,
    active: bool,
    /// Contracts and models that the instance may refer to.
    lent: Vec<(RawContract, Vec<u8>)>,
}

impl Bench {
    /// Makes an instance with these parameters and the defaults of the others.
    ///
    /// # Errors
    /// What create answered, and the last line of the log.
    pub fn new(
        descriptor: &'static raw::Descriptor,
        given: &[(&str, Value<'_>)],
    ) -> Result<Self, (Status, String)> {
        let host = FakeHost::new();
        let values = RawValues::new(descriptor, given);
        let mut instance = ptr::null_mut();
        let create = descriptor.create.expect("a plugin has create");
        let count = u32::try_from(values.raw.len()).expect("few parameters");
        // SAFETY: the table and the values are as the headers say and outlive the call.
        let answer = unsafe { create(host.table(), values.raw.as_ptr(), count, &raw mut instance) };
        match Status::from_answer(answer) {
            Status::Ok => Ok(Self {
                descriptor,
                host,
                instance,
                input_count: 0,
                active: false,
                lent: Vec::new(),
            }),
            status => Err((status, host.last_line())),
        }
    }

    /// Asks for the ports.
    ///
    /// # Errors
    /// What ports answered, and the last line of the log.
    pub fn ports(&mut self, contract: Option<&Contract>) -> Result<raw::Ports, (Status, String)> {
        let contract = contract.map(RawContract::new);
        let mut out = raw::Ports {
            inputs: ptr::null(),
            outputs: ptr::null(),
            input_count: 0,
            output_count: 0,
            timer_ns: 0,
        };
        let ports = self.descriptor.ports.expect("a plugin has ports");
        let given = contract.as_ref().map_or(ptr::null(), |c| &raw const c.raw);
        // SAFETY: the instance is not destroyed; the contract and `out` outlive the call.
        let answer = unsafe { ports(self.instance, given, &raw mut out) };
        self.input_count = out.input_count as usize;
        self.checked(answer).map(|()| out)
    }

    /// Fixes the formats. `model` is its bytes and contract.
    ///
    /// # Errors
    /// What activate answered, and the last line of the log.
    pub fn activate(
        &mut self,
        inputs: &[Format],
        outputs: &[Format],
        model: Option<(&[u8], &Contract)>,
    ) -> Result<(), (Status, String)> {
        self.host.set_outputs(outputs);
        let raw = |formats: &[Format]| formats.iter().map(Format::raw).collect::<Vec<_>>();
        let (inputs, outputs) = (raw(inputs), raw(outputs));
        if let Some((bytes, contract)) = model {
            self.lent.push((RawContract::new(contract), bytes.to_vec()));
        }
        let model = model.and(self.lent.last()).map(|(contract, bytes)| raw::Model {
            data: bytes.as_ptr(),
            size: bytes.len() as u64,
            contract: &raw const contract.raw,
        });
        let model = model.as_ref().map_or(ptr::null(), ptr::from_ref);
        let activate = self.descriptor.activate.expect("a plugin has activate");
        // SAFETY: the instance is not destroyed; the formats outlive the call, contract and model the instance.
        let answer = unsafe { activate(self.instance, inputs.as_ptr(), outputs.as_ptr(), model) };
        self.active = answer == raw::OK;
        self.checked(answer)
    }

    fn checked(&self, answer: raw::Status) -> Result<(), (Status, String)> {
        match Status::from_answer(answer) {
            Status::Ok => Ok(()),
            status => Err((status, self.host.last_line())),
        }
    }

    /// Calls process. The packets come from [`Bench::event`] and [`Bench::packet`], and are given back afterwards.
    pub fn process(&mut self, reason: Reason, inputs: &[Option<raw::Packet>]) -> Status {
        assert!(inputs.len() >= self.input_count, "one entry for each input port");
        let pointers: Vec<*const raw::Packet> =
            inputs.iter().map(|p| p.as_ref().map_or(ptr::null(), ptr::from_ref)).collect();
        let process = self.descriptor.process.expect("a plugin has process");
        self.host.begin(inputs);
        // SAFETY: the instance is not destroyed; there is a pointer for each input, and the packets outlive the call.
        let answer = unsafe { process(self.instance, reason.raw(), pointers.as_ptr()) };
        self.host.finish();
        Status::from_answer(answer)
    }

    /// Calls deactivate.
    pub fn deactivate(&mut self) {
        let deactivate = self.descriptor.deactivate.expect("a plugin has deactivate");
        // SAFETY: the instance is not destroyed.
        unsafe { deactivate(self.instance) }
        self.active = false;
    }

    /// Applies the fail-safe; `None` where the plugin has none.
    pub fn fail_safe(&mut self) -> Option<Status> {
        let extension = self.extension(raw::EXT_FAIL_SAFE).cast::<raw::FailSafe>();
        // SAFETY: under this name a plugin offers a `FailSafe`, which stays until destroy.
        let apply = unsafe { extension.as_ref() }?.apply.expect("the extension has apply");
        // SAFETY: the instance is not destroyed, and no other callback runs.
        Some(Status::from_answer(unsafe { apply(self.instance) }))
    }

    /// An extension of the instance by name, or NULL.
    #[must_use]
    pub fn extension(&self, name: &CStr) -> *const c_void {
        let get = self.descriptor.get_extension;
        // SAFETY: the instance is not destroyed; the name is ended by NUL.
        get.map_or(ptr::null(), |get| unsafe { get(self.instance, name.as_ptr()) })
    }

    /// A packet with an event, as if from a camera: stream 7, sequences from 0.
    pub fn event(&mut self, event: Event) -> raw::Packet {
        self.host.packet(raw::KIND_EVENT, event.raw().into(), None)
    }

    /// A packet of a format with a buffer of these bytes.
    pub fn packet(&mut self, format: Format, bytes: &[u8]) -> raw::Packet {
        self.host.packet(format.kind().raw(), format.payload(), Some(bytes))
    }

    /// A packet with a tensor of these elements.
    pub fn tensor<T: crate::Element>(
        &mut self,
        tensor: format::Tensor,
        elements: &[T],
    ) -> raw::Packet {
        // SAFETY: elements are plain numbers without padding, so they may be read as bytes.
        let bytes = unsafe { elements.align_to::<u8>().1 };
        self.packet(Format::Tensor(tensor), bytes)
    }

    /// What was emitted since the last time it was asked.
    pub fn emitted(&mut self) -> Vec<Emitted> {
        self.host.take_emitted()
    }

    /// What was logged since the last time it was asked.
    pub fn logged(&mut self) -> Vec<LogLine> {
        self.host.take_log()
    }

    /// The last value of a metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.host.metric(name)
    }

    /// From now on no buffer is free (`true`), or some are.
    pub fn exhaust(&mut self, exhausted: bool) {
        self.host.exhaust(exhausted);
    }

    /// From now on host calls answer that the stage is stopping.
    pub fn stop(&mut self) {
        self.host.stop();
    }

    /// References that the plugin has and has not given back.
    #[must_use]
    pub fn references(&self) -> usize {
        self.host.references()
    }

    /// The instance, for calls that a host would never make.
    #[must_use]
    pub fn instance(&self) -> *mut c_void {
        self.instance
    }

    /// The table that the instance was given.
    #[must_use]
    pub fn table(&self) -> *const raw::Host {
        self.host.table()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.active {
            self.deactivate();
        }
        let references = self.references();
        let destroy = self.descriptor.destroy.expect("a plugin has destroy");
        // SAFETY: the instance is not destroyed, and is not used again.
        unsafe { destroy(self.instance) }
        if !std::thread::panicking() {
            assert_eq!(references, 0, "references to buffers were not given back");
            assert_eq!(self.host.secrets(), 0, "locked memory was not given back");
        }
    }
}

/// Values for create, with all they point to.
struct RawValues {
    raw: Vec<raw::ParamValue>,
    texts: Vec<CString>,
}

impl RawValues {
    /// The given ones and the defaults of the others; nothing is checked, that is what is tested.
    fn new(descriptor: &raw::Descriptor, given: &[(&str, Value<'_>)]) -> Self {
        let mut values = Self { raw: Vec::new(), texts: Vec::new() };
        for (name, value) in given {
            values.push(name, *value);
        }
        for index in 0..descriptor.param_count as usize {
            // SAFETY: a descriptor has `param_count` parameters, whose texts are ended by NUL.
            let (param, name, fallback) = unsafe {
                let param = &*descriptor.params.add(index);
                (param, CStr::from_ptr(param.name), CStr::from_ptr(param.fallback))
            };
            let (name, fallback) =
                (name.to_str().expect("UTF-8"), fallback.to_str().expect("UTF-8"));
            if !fallback.is_empty() && given.iter().all(|(n, _)| *n != name) {
                values.push(name, default(param.kind, fallback));
            }
        }
        values
    }

    fn push(&mut self, name: &str, value: Value<'_>) {
        let name = self.keep(name);
        let mut raw = raw::ParamValue {
            name,
            kind: 0,
            boolean: 0,
            integer: 0,
            number: 0.0,
            text: ptr::null(),
        };
        match value {
            Value::Bool(b) => (raw.kind, raw.boolean) = (raw::PARAM_BOOL, b.into()),
            Value::Int(i) => (raw.kind, raw.integer) = (raw::PARAM_INT, i),
            Value::Float(f) => (raw.kind, raw.number) = (raw::PARAM_FLOAT, f),
            Value::Text(t) => (raw.kind, raw.text) = (raw::PARAM_STRING, self.keep(t)),
        }
        self.raw.push(raw);
    }

    fn keep(&mut self, text: &str) -> *const std::ffi::c_char {
        self.texts.push(CString::new(text).expect("no NUL"));
        self.texts[self.texts.len() - 1].as_ptr()
    }
}

fn default(kind: u32, text: &str) -> Value<'_> {
    match ParamKind::from_raw(kind).expect("a known type") {
        ParamKind::Bool => Value::Bool(text.parse().expect("a boolean")),
        ParamKind::Int => Value::Int(text.parse().expect("an integer")),
        ParamKind::Float => Value::Float(text.parse().expect("a float")),
        ParamKind::String => Value::Text(text),
    }
}
