//! What an instance under test holds, has emitted, and has broken.
use std::collections::BTreeMap;
use std::thread::{self, ThreadId};

use edgemill_abi::{Format, PacketView, raw};
use edgemill_pipeline::format::{describe, fits};
use edgemill_pipeline::stage::Ports;

use super::memory::{Port, Slot, digest};
use super::synth::{self, Numbers};

/// What the host answers when a buffer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Supply {
    #[default]
    Normal,
    NoBuffer,
    Stopping,
}

/// The callback that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// None, or one on the preparing thread.
    #[default]
    Preparing,
    Process,
    Deactivate,
}

/// The books of one instance.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) phase: Phase,
    thread: Option<ThreadId>,
    pub(super) supply: Supply,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    slots: Vec<Slot>,
    faults: BTreeMap<&'static str, String>,
    emissions: Vec<u64>,
}

struct Input {
    format: Format,
    held: u32,
}

struct Output {
    format: Format,
    burst: u32,
    acquired: u32,
    emitted: u32,
}

impl Ledger {
    /// Fixes the formats and makes all the buffers that will be needed.
    pub(super) fn prepare(&mut self, ports: &Ports, inputs: &[Format], outputs: &[Format]) {
        self.slots.clear();
        self.inputs.clear();
        self.outputs.clear();
        for (i, (port, &format)) in ports.inputs.iter().zip(inputs).enumerate() {
            self.inputs.push(Input { format, held: port.held });
            self.add(Port::Input(i), &format, port.held + 2);
        }
        for (i, (port, &format)) in ports.outputs.iter().zip(outputs).enumerate() {
            self.outputs.push(Output { format, burst: port.burst, acquired: 0, emitted: 0 });
            self.add(Port::Output(i), &format, 2 * port.burst);
        }
        self.emissions.reserve(4096);
    }

    fn add(&mut self, port: Port, format: &Format, count: u32) {
        let bytes = usize::try_from(format.buffer_bytes()).unwrap_or(0);
        self.slots.extend((0..count).map(|_| Slot::new(port, bytes)));
    }

    /// Notes a broken rule; of each check the first.
    pub(super) fn fault(&mut self, check: &'static str, detail: impl Into<String>) {
        self.faults.entry(check).or_insert_with(|| detail.into());
    }

    pub(super) fn faults(&self) -> &BTreeMap<&'static str, String> {
        &self.faults
    }

    /// Digests of all that was emitted, in order.
    pub(super) fn take_emissions(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.emissions)
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.thread = Some(thread::current().id());
        for output in &mut self.outputs {
            (output.acquired, output.emitted) = (0, 0);
        }
    }

    /// After a callback: what it may not have written is as it was, and what was emitted has arrived.
    pub(super) fn leave(&mut self) {
        let mut written = (false, false);
        for slot in &mut self.slots {
            let frozen = slot.borrowed || slot.emitted || matches!(slot.port, Port::Input(_));
            written.0 |= frozen && !slot.is_free() && !slot.is_unchanged();
            written.1 |= !slot.is_within_bounds();
            (slot.borrowed, slot.emitted) = (false, false);
        }
        if written.0 {
            self.fault("borrowed", "wrote into a buffer that it had not acquired, or had emitted");
        }
        if written.1 {
            self.fault("bounds", "wrote behind the end of a buffer");
        }
        self.phase = Phase::Preparing;
        self.thread = None;
    }

    /// After deactivate: nothing is held any more.
    pub(super) fn check_released(&mut self) {
        let held: u32 = self.slots.iter().map(|s| s.held).sum();
        if held > 0 {
            self.fault("released", format!("still holds {held} references after deactivate"));
        }
        self.slots.iter_mut().for_each(|s| s.held = 0);
    }

    /// A packet for an input port, borrowed until [`Ledger::leave`].
    pub(super) fn input(
        &mut self,
        port: usize,
        sequence: u64,
        numbers: &mut Numbers,
    ) -> raw::Packet {
        let format = self.inputs[port].format;
        let free = |s: &Slot| s.port == Port::Input(port) && s.is_free();
        let index = self.slots.iter().position(free).unwrap_or_default();
        let slot = &mut self.slots[index];
        let payload = synth::fill(&format, numbers, slot.bytes_mut());
        slot.freeze();
        slot.borrowed = true;
        let buffer = if format == Format::Event { NONE } else { slot.raw(handle(index)) };
        raw::Packet {
            stream: 1,
            sequence,
            capture_ns: 1_000_000 * (sequence + 1),
            deadline_ns: 0,
            generation: 1,
            kind: format.kind().raw(),
            payload,
            buffer,
        }
    }
}

/// What the plugin calls.
impl Ledger {
    /// Whether the call comes from within the callback, on its thread.
    pub(super) fn within(&mut self, call: &str, phases: &[Phase]) -> bool {
        let right = phases.contains(&self.phase) && self.thread == Some(thread::current().id());
        if !right {
            self.fault("host-calls", format!("called {call} where host.h does not allow it"));
        }
        right
    }

    pub(super) fn acquire(&mut self, port: u32, size: u64) -> Result<raw::Buffer, raw::Status> {
        if !self.within("acquire", &[Phase::Process]) {
            return Err(raw::ERR_BAD_ARGUMENT);
        }
        let index = port as usize;
        let Some(output) = self.outputs.get_mut(index) else {
            self.fault("host-calls", format!("acquired a buffer of port {port}, which is none"));
            return Err(raw::ERR_BAD_ARGUMENT);
        };
        if size > output.format.buffer_bytes() {
            let format = output.format.buffer_bytes();
            let fault = format!("acquired {size} bytes where the port's format takes {format}");
            self.fault("host-calls", fault);
            return Err(raw::ERR_BAD_ARGUMENT);
        }
        output.acquired += 1;
        if output.acquired > output.burst {
            let fault = format!(
                "acquired {} buffers in one call, burst is {}",
                output.acquired, output.burst
            );
            self.fault("burst", fault);
            return Err(raw::ERR_NO_BUFFER);
        }
        match self.supply {
            Supply::Normal => {}
            Supply::NoBuffer => return Err(raw::ERR_NO_BUFFER),
            Supply::Stopping => return Err(raw::ERR_STOPPING),
        }
        let free = |s: &Slot| s.port == Port::Output(index) && s.is_free();
        let found = self.slots.iter().position(free).ok_or(raw::ERR_NO_BUFFER)?;
        let slot = &mut self.slots[found];
        slot.bytes_mut().fill(0xa5);
        slot.held = 1;
        Ok(slot.raw(handle(found)))
    }

    pub(super) fn retain(&mut self, buffer: &raw::Buffer) -> raw::Status {
        if !self.within("retain", &[Phase::Process]) {
            return raw::ERR_BAD_ARGUMENT;
        }
        let Some(index) = self.visible("retain", buffer) else { return raw::ERR_BAD_ARGUMENT };
        if let Port::Input(port) = self.slots[index].port {
            let of_port = self.slots.iter().filter(|s| s.port == Port::Input(port));
            let (now, held) = (of_port.map(|s| s.held).sum::<u32>(), self.inputs[port].held);
            if now >= held {
                self.fault(
                    "held",
                    format!("retained input {} of a port whose held is {held}", now + 1),
                );
                return raw::ERR_BAD_ARGUMENT;
            }
        }
        self.slots[index].held += 1;
        raw::OK
    }

    pub(super) fn release(&mut self, buffer: &raw::Buffer) -> raw::Status {
        if !self.within("release", &[Phase::Process, Phase::Deactivate]) {
            return raw::ERR_BAD_ARGUMENT;
        }
        let index = slot_index(buffer.handle).filter(|&i| i < self.slots.len());
        match index.map(|i| &mut self.slots[i]) {
            Some(slot) if slot.held > 0 => {
                slot.held -= 1;
                raw::OK
            }
            _ => {
                self.fault("released", "released a buffer that it does not hold");
                raw::ERR_BAD_ARGUMENT
            }
        }
    }

    pub(super) fn emit(&mut self, port: u32, packet: &raw::Packet) -> raw::Status {
        if !self.within("emit", &[Phase::Process]) {
            return raw::ERR_BAD_ARGUMENT;
        }
        if packet.buffer.handle != 0 && !self.take(&packet.buffer) {
            return raw::ERR_BAD_ARGUMENT;
        }
        let Some(output) = self.outputs.get_mut(port as usize) else {
            self.fault("formats", format!("emitted from port {port}, which is none"));
            return raw::ERR_BAD_ARGUMENT;
        };
        output.emitted += 1;
        let (emitted, burst, format) = (output.emitted, output.burst, output.format);
        if emitted > burst {
            self.fault("burst", format!("emitted {emitted} packets in one call, burst is {burst}"));
            return raw::ERR_BAD_ARGUMENT;
        }
        if let Err(why) = self.check_format(&format, packet) {
            self.fault("formats", format!("output {port}: {why}"));
            return raw::ERR_BAD_ARGUMENT;
        }
        self.note(port, packet, &format);
        match self.supply {
            Supply::Stopping => raw::ERR_STOPPING,
            Supply::Normal | Supply::NoBuffer => raw::OK,
        }
    }

    pub(super) fn visible(&mut self, call: &str, buffer: &raw::Buffer) -> Option<usize> {
        let index = slot_index(buffer.handle)
            .filter(|&i| self.slots.get(i).is_some_and(|s| s.held > 0 || s.borrowed));
        if index.is_none() {
            self.fault("released", format!("{call}: a buffer that it neither holds nor sees now"));
        }
        index
    }

    /// Takes over the plugin's reference; an input's own buffer may go without one.
    fn take(&mut self, buffer: &raw::Buffer) -> bool {
        let Some(index) = self.visible("emit", buffer) else { return false };
        let slot = &mut self.slots[index];
        if !matches!(slot.port, Port::Input(_)) {
            slot.freeze();
        }
        slot.held = slot.held.saturating_sub(1);
        slot.emitted = true;
        true
    }

    fn check_format(&self, format: &Format, packet: &raw::Packet) -> Result<(), String> {
        let mut checked = *packet;
        if let Some(slot) = slot_index(packet.buffer.handle).and_then(|i| self.slots.get(i)) {
            checked.buffer = slot.raw(packet.buffer.handle);
        }
        // SAFETY: the buffer is one of ours (`take` has looked it up), or the handle is 0 and no byte is read.
        let view = unsafe { PacketView::new(&checked) };
        view.map_err(|e| e.to_string())?;
        if fits(format, packet.kind, &packet.payload) {
            return Ok(());
        }
        let got = Format::of_payload(packet.kind, &packet.payload).map_err(|e| e.to_string())?;
        Err(format!("emitted {} where {} was agreed", describe(&got), describe(format)))
    }

    fn note(&mut self, port: u32, packet: &raw::Packet, format: &Format) {
        let event = packet.payload.event();
        let values = event
            .values
            .iter()
            .fold(0, |sum: u64, v| sum.rotate_left(7) ^ v.value.to_bits() ^ digest(&v.name));
        let bytes =
            slot_index(packet.buffer.handle).and_then(|i| self.slots.get(i)).map_or(0, |slot| {
                let used = usize::try_from(format.buffer_bytes()).unwrap_or(0);
                digest(slot.bytes().get(..used).unwrap_or_default())
            });
        let parts = [u64::from(port), digest(&event.name), values, bytes];
        if self.emissions.len() < self.emissions.capacity() {
            self.emissions.push(parts.iter().fold(0, |sum: u64, p| sum.rotate_left(13) ^ p));
        }
    }
}

const NONE: raw::Buffer = raw::Buffer { handle: 0, data: std::ptr::null_mut(), size: 0 };

fn handle(index: usize) -> u64 {
    index as u64 + 1
}

fn slot_index(handle: u64) -> Option<usize> {
    usize::try_from(handle).ok()?.checked_sub(1)
}
