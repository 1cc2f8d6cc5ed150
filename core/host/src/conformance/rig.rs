//! One instance on its bench, led through its life.
use edgemill_abi::{Format, FormatError, Reason, Status, raw};
use edgemill_pipeline::stage::Ports;

use super::allocations::Counter;
use super::bench::Bench;
use super::ledger::{Ledger, Phase};
use super::synth::{self, Numbers};
use super::{Findings, Subject};
use crate::contract::{ModelContract, RawContract};
use crate::descriptor::DescriptorFault;
use crate::instance::{FailSafe, Instance};
use crate::params::RawValues;
use crate::ports;

/// An instance under test, created and asked for its ports. Fields are dropped in this order.
pub(super) struct Rig<'s> {
    subject: &'s Subject,
    instance: Instance,
    bench: Bench,
    contract: Option<RawContract>,
    pub ports: Ports,
    numbers: Numbers,
    sequence: u64,
    /// Set to have calls of the allocator counted.
    pub counter: Option<Counter>,
    /// Calls of the allocator in the last `process`.
    pub allocations: u64,
}

/// Why there is no rig.
#[derive(Debug)]
pub(super) enum Refusal {
    Create(raw::Status),
    Ports(raw::Status),
    PortsFault(DescriptorFault),
}

/// What `activate` came to.
pub(super) enum Activation {
    Answered(raw::Status),
    NoFormat(String, FormatError),
}

impl<'s> Rig<'s> {
    pub(super) fn new(subject: &'s Subject, seed: u64) -> Result<Self, Refusal> {
        let values = RawValues::new(subject.values.iter());
        Self::made(subject, values.as_slice(), Some(&subject.contract), seed)
    }

    /// With another contract, or none.
    pub(super) fn with_contract(
        subject: &'s Subject,
        contract: Option<&ModelContract>,
    ) -> Result<Self, Refusal> {
        let values = RawValues::new(subject.values.iter());
        Self::made(subject, values.as_slice(), contract, 4)
    }

    /// With values that nobody has checked.
    pub(super) fn with_values(
        subject: &'s Subject,
        values: &[raw::ParamValue],
    ) -> Result<Self, Refusal> {
        Self::made(subject, values, Some(&subject.contract), 4)
    }

    fn made(
        subject: &'s Subject,
        values: &[raw::ParamValue],
        contract: Option<&ModelContract>,
        seed: u64,
    ) -> Result<Self, Refusal> {
        let bench = Bench::new();
        subject.progress.entering("create");
        // SAFETY: the bench's table stays until `bench` is dropped, after `instance`.
        let instance = unsafe { Instance::create(&subject.library, bench.host(), values) };
        let contract = contract.map(RawContract::new);
        let (ports, numbers) = (Ports::default(), Numbers::new(seed));
        let instance = instance.map_err(Refusal::Create)?;
        let mut rig = Self {
            subject,
            instance,
            bench,
            contract,
            ports,
            numbers,
            sequence: 0,
            counter: None,
            allocations: 0,
        };
        rig.ports = rig.ask_ports()?;
        Ok(rig)
    }

    pub(super) fn ask_ports(&mut self) -> Result<Ports, Refusal> {
        self.subject.progress.entering("ports");
        let contract = self.contract.as_ref().map_or(std::ptr::null(), RawContract::as_ptr);
        // SAFETY: the contract is dropped after the instance.
        let raw = unsafe { self.instance.ports(contract) }.map_err(Refusal::Ports)?;
        // SAFETY: `ports` answered OK, which says that the pointers are as plugin.h has them.
        unsafe { ports::read(&raw) }.map_err(Refusal::PortsFault)
    }

    /// With the model that the suite was given.
    pub(super) fn activate(&mut self) -> Activation {
        self.activate_with(Some(&self.subject.model).filter(|m| !m.is_empty()).map(Vec::as_slice))
    }

    pub(super) fn activate_with(&mut self, model: Option<&[u8]>) -> Activation {
        let inputs = match formats(&self.ports.inputs) {
            Ok(formats) => formats,
            Err((port, error)) => return Activation::NoFormat(port, error),
        };
        let outputs = match self.output_formats(&inputs) {
            Ok(formats) => formats,
            Err((port, error)) => return Activation::NoFormat(port, error),
        };
        self.bench.ledger().prepare(&self.ports, &inputs, &outputs);
        let [inputs, outputs] =
            [inputs, outputs].map(|f| f.iter().map(Format::raw).collect::<Vec<_>>());
        let model = model.map(|bytes| raw::Model {
            data: bytes.as_ptr(),
            size: bytes.len() as u64,
            contract: self.contract.as_ref().map_or(std::ptr::null(), RawContract::as_ptr),
        });
        let at = model.as_ref().map_or(std::ptr::null(), |m| &raw const *m);
        self.subject.progress.entering("activate");
        // SAFETY: one format for each port; the model's bytes and contract are the subject's and the rig's, which
        // outlive the instance; the struct itself is kept below.
        let status = unsafe { self.instance.activate(&inputs, &outputs, at) };
        Activation::Answered(status)
    }

    /// As the first input where the port takes that too, so that a stage which passes packets on can.
    fn output_formats(&self, inputs: &[Format]) -> Result<Vec<Format>, (String, FormatError)> {
        let picked = formats(&self.ports.outputs)?;
        let like_input = |(port, picked): (_, Format)| match inputs.first() {
            Some(input) if synth::takes(port, input) => *input,
            _ => picked,
        };
        Ok(self.ports.outputs.iter().zip(picked).map(like_input).collect())
    }

    /// One call with a packet on each port for which `present` says so.
    pub(super) fn process(
        &mut self,
        reason: Reason,
        present: impl Fn(usize) -> bool,
    ) -> raw::Status {
        let count = self.ports.inputs.len();
        let mut ledger = self.bench.ledger();
        let packets: Vec<Option<raw::Packet>> = (0..count)
            .map(|i| present(i).then(|| ledger.input(i, self.sequence, &mut self.numbers)))
            .collect();
        self.sequence += 1;
        ledger.enter(Phase::Process);
        drop(ledger);
        let inputs: Vec<*const raw::Packet> = packets
            .iter()
            .map(|p| p.as_ref().map_or(std::ptr::null(), |p| &raw const *p))
            .collect();
        self.subject.progress.entering("process");
        let before = self.counter.map(Counter::read);
        // SAFETY: one pointer for each input port; packets and buffers live until after the call.
        let status = unsafe { self.instance.process(reason.raw(), &inputs) };
        self.allocations = self.counter.zip(before).map_or(0, |(c, before)| c.read() - before);
        self.bench.ledger().leave();
        status
    }

    /// A call with nothing but a reason.
    pub(super) fn call(&mut self, reason: Reason) -> raw::Status {
        self.process(reason, |_| false)
    }

    /// What drives the stage: input, or a turn where it has no input ports.
    pub(super) fn drive(&mut self) -> raw::Status {
        if self.ports.inputs.is_empty() {
            self.call(Reason::Turn)
        } else {
            self.process(Reason::Input, |_| true)
        }
    }

    pub(super) fn deactivate(&mut self) {
        self.subject.progress.entering("deactivate");
        self.bench.ledger().enter(Phase::Deactivate);
        self.instance.deactivate();
        let mut ledger = self.bench.ledger();
        ledger.leave();
        ledger.check_released();
    }

    pub(super) fn destroy(self) {
        self.subject.progress.entering("destroy");
    }

    pub(super) fn unknown_extension(&mut self) -> bool {
        self.subject.progress.entering("get_extension");
        !self.instance.extension(c"edgemill.there_is_no_such_extension/1").is_null()
    }

    pub(super) fn fail_safe(&mut self) -> Option<FailSafe> {
        self.subject.progress.entering("get_extension");
        self.instance.fail_safe()
    }

    pub(super) fn apply(&mut self, fail_safe: &FailSafe) -> raw::Status {
        self.subject.progress.entering("fail_safe.apply");
        // SAFETY: it was got from this instance by `fail_safe`.
        unsafe { self.instance.apply(fail_safe) }
    }

    pub(super) fn bench(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.bench.ledger()
    }
}

fn formats(ports: &[edgemill_pipeline::stage::Port]) -> Result<Vec<Format>, (String, FormatError)> {
    ports.iter().map(|p| synth::pick(p).map_err(|e| (p.name.clone(), e))).collect()
}

impl Refusal {
    /// Notes it under the check it belongs to.
    pub(super) fn note(&self, findings: &mut Findings) {
        match self {
            Self::Create(raw::ERR_IO) => {
                findings.skip("life-cycle", "create found no device or file; see its parameters");
            }
            Self::Create(status) => findings.answer("create", *status),
            Self::Ports(status) => findings.answer("ports", *status),
            Self::PortsFault(fault) => findings.fail("ports", fault.to_string()),
        }
    }
}

impl Activation {
    /// Whether it is active; what kept it from that is noted. `given`: whether it got a model.
    pub(super) fn note(&self, given: bool, findings: &mut Findings) -> bool {
        match self {
            Self::Answered(raw::OK) => return true,
            Self::Answered(raw::ERR_IO) => {
                findings.skip("life-cycle", "activate found no device or file; see its parameters");
            }
            Self::Answered(raw::ERR_DENIED) if !given => {
                findings.skip("life-cycle", "activate wants a model; give one to the suite");
            }
            Self::Answered(status) => findings.answer("activate", *status),
            Self::NoFormat(port, error) => {
                findings.fail("ports", format!("no packet fits the ranges of `{port}`: {error}"));
            }
        }
        false
    }
}

/// For messages: the status' name, or its number where it has none.
pub(super) fn word(status: raw::Status) -> String {
    Status::from_raw(status).map_or_else(|| status.to_string(), |s| format!("\"{s}\""))
}
