//! The host's side: a table of C functions over a little state.
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{ptr, slice, thread};

use edgemill_abi::{Format, LogLevel, raw};

use crate::call::Origin;
use crate::format::Event;

/// A packet that came out.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// Output port.
    pub port: usize,
    /// Stream, sequence and times, as the host set them.
    pub origin: Origin,
    /// Kind of payload.
    pub kind: u32,
    /// What it says about itself.
    pub payload: raw::Payload,
    /// The buffer's bytes, or none.
    pub bytes: Vec<u8>,
    /// The buffer's handle; 0 for none.
    pub handle: u64,
}

impl Emitted {
    /// The event it carries.
    ///
    /// # Panics
    /// It carries something else, or one that is not valid.
    #[must_use]
    pub fn event(&self) -> Event {
        assert_eq!(self.kind, raw::KIND_EVENT, "an event was expected");
        Event::new(self.payload.event()).expect("a valid event")
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The line.
    pub text: String,
}

/// A buffer's memory, aligned as a pool's is.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

struct Slot {
    memory: Vec<Line>,
    size: usize,
    /// References of the plugin; those of inputs are the host's.
    references: usize,
}

#[derive(Default)]
struct State {
    slots: HashMap<u64, Slot>,
    handles: u64,
    sequence: u64,
    outputs: Vec<Format>,
    /// The inputs of the call that runs now.
    inputs: Vec<raw::Packet>,
    emitted: Vec<Emitted>,
    log: Vec<LogLine>,
    metrics: HashMap<String, f64>,
    secrets: HashMap<usize, Layout>,
    exhausted: bool,
    stopping: bool,
}

pub(super) struct FakeHost {
    table: raw::Host,
    state: Mutex<State>,
}

impl FakeHost {
    pub fn new() -> Box<Self> {
        let table = raw::Host {
            abi_version: raw::ABI_VERSION,
            struct_size: u32::try_from(size_of::<raw::Host>()).expect("small"),
            context: ptr::null_mut(),
            emit: Some(emit),
            emit_from: Some(emit_from),
            acquire: Some(acquire),
            retain: Some(retain),
            release: Some(release),
            log: Some(log),
            metric: Some(metric),
            now_ns: Some(now_ns),
            secret_alloc: Some(secret_alloc),
            secret_free: Some(secret_free),
            parallel: Some(parallel),
            get_extension: Some(get_extension),
        };
        let mut host = Box::new(Self { table, state: Mutex::default() });
        host.table.context = (&raw const host.state).cast_mut().cast();
        host
    }

    pub fn table(&self) -> *const raw::Host {
        &raw const self.table
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_outputs(&self, outputs: &[Format]) {
        self.state().outputs = outputs.to_vec();
    }

    pub fn begin(&self, inputs: &[Option<raw::Packet>]) {
        self.state().inputs = inputs.iter().flatten().copied().collect();
    }

    /// Ends a call: inputs that nobody retained are gone.
    pub fn finish(&self) {
        let mut state = self.state();
        for packet in std::mem::take(&mut state.inputs) {
            if state.slots.get(&packet.buffer.handle).is_some_and(|slot| slot.references == 0) {
                state.slots.remove(&packet.buffer.handle);
            }
        }
    }

    pub fn packet(&self, kind: u32, payload: raw::Payload, bytes: Option<&[u8]>) -> raw::Packet {
        let mut state = self.state();
        let mut buffer = raw::Buffer { handle: 0, data: ptr::null_mut(), size: 0 };
        if let Some(bytes) = bytes {
            buffer = state.buffer(bytes.len(), 0);
            // SAFETY: the slot's memory is at least as large as was asked for, and nobody else knows it yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.data, bytes.len()) };
        }
        let sequence = state.sequence;
        state.sequence += 1;
        raw::Packet {
            stream: 7,
            sequence,
            capture_ns: clock_ns(),
            deadline_ns: 0,
            generation: 0,
            kind,
            payload,
            buffer,
        }
    }

    pub fn take_emitted(&self) -> Vec<Emitted> {
        std::mem::take(&mut self.state().emitted)
    }

    pub fn take_log(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.state().log)
    }

    pub fn last_line(&self) -> String {
        self.state().log.last().map(|line| line.text.clone()).unwrap_or_default()
    }

    pub fn metric(&self, name: &str) -> Option<f64> {
        self.state().metrics.get(name).copied()
    }

    pub fn exhaust(&self, exhausted: bool) {
        self.state().exhausted = exhausted;
    }

    pub fn stop(&self) {
        self.state().stopping = true;
    }

    pub fn references(&self) -> usize {
        self.state().slots.values().map(|slot| slot.references).sum()
    }

    pub fn secrets(&self) -> usize {
        self.state().secrets.len()
    }
}

impl State {
    fn buffer(&mut self, size: usize, references: usize) -> raw::Buffer {
        self.handles += 1;
        let mut memory = vec![Line([0xa5; 64]); size.div_ceil(64).max(1)];
        let data = memory.as_mut_ptr().cast();
        self.slots.insert(self.handles, Slot { memory, size, references });
        raw::Buffer { handle: self.handles, data, size: size as u64 }
    }

    /// Takes the plugin's reference, or adds one to an input's buffer, as `emit` says.
    fn take_reference(&mut self, handle: u64) -> bool {
        let input = self.inputs.iter().any(|packet| packet.buffer.handle == handle);
        match self.slots.get_mut(&handle) {
            _ if handle == 0 || input => true,
            Some(slot) if slot.references > 0 => {
                slot.references -= 1;
                true
            }
            _ => false,
        }
    }

    fn emit(
        &mut self,
        port: usize,
        packet: &raw::Packet,
        origin: Option<&raw::Packet>,
    ) -> raw::Status {
        let known = self.take_reference(packet.buffer.handle);
        let format = self.outputs.get(port).copied();
        let fits = format.is_some_and(|format| fits(&format, packet));
        if !known || !fits || packet.buffer.handle == 0 && packet.kind != raw::KIND_EVENT {
            return raw::ERR_BAD_ARGUMENT;
        }
        if self.stopping {
            return raw::ERR_STOPPING;
        }
        let origin = match origin.or(self.inputs.first()) {
            Some(packet) => Origin::of(packet),
            None => self.stamp(),
        };
        let slot = self.slots.get(&packet.buffer.handle);
        let bytes = slot.map(|slot| {
            // SAFETY: the slot's memory has `size` bytes.
            unsafe { slice::from_raw_parts(slot.memory.as_ptr().cast::<u8>(), slot.size) }.to_vec()
        });
        self.emitted.push(Emitted {
            port,
            origin,
            kind: packet.kind,
            payload: packet.payload,
            bytes: bytes.unwrap_or_default(),
            handle: packet.buffer.handle,
        });
        raw::OK
    }

    fn stamp(&mut self) -> Origin {
        let sequence = self.sequence;
        self.sequence += 1;
        Origin { stream: 1, sequence, capture_ns: clock_ns(), deadline_ns: 0 }
    }
}

fn fits(format: &Format, packet: &raw::Packet) -> bool {
    match (format, Format::of_payload(packet.kind, &packet.payload)) {
        (Format::Detections(most), Ok(Format::Detections(found))) => {
            found.count() <= most.count() && found.frame() == most.frame()
        }
        (format, Ok(found)) => *format == found,
        _ => false,
    }
}

fn clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// # Safety
/// `host` is a table made by [`FakeHost::new`] whose host is alive.
unsafe fn locked<'a>(host: *const raw::Host) -> MutexGuard<'a, State> {
    // SAFETY: `context` was set to the state, which is alive while the host is.
    let state = unsafe { &*(*host).context.cast::<Mutex<State>>() };
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn emit(
    host: *const raw::Host,
    port: u32,
    packet: *const raw::Packet,
) -> raw::Status {
    // SAFETY: the table is ours; the packet is the plugin's, valid for the call.
    unsafe { locked(host).emit(port as usize, &*packet, None) }
}

unsafe extern "C" fn emit_from(
    host: *const raw::Host,
    port: u32,
    packet: *const raw::Packet,
    origin: *const raw::Packet,
) -> raw::Status {
    // SAFETY: as in `emit`.
    unsafe { locked(host).emit(port as usize, &*packet, Some(&*origin)) }
}

unsafe extern "C" fn acquire(
    host: *const raw::Host,
    port: u32,
    size: u64,
    out: *mut raw::Buffer,
) -> raw::Status {
    // SAFETY: the table is ours.
    let mut state = unsafe { locked(host) };
    if state.outputs.get(port as usize).is_none() {
        return raw::ERR_BAD_ARGUMENT;
    }
    if state.stopping {
        return raw::ERR_STOPPING;
    }
    if state.exhausted {
        return raw::ERR_NO_BUFFER;
    }
    let size = usize::try_from(size).expect("64-bit");
    // SAFETY: `out` is the plugin's, valid for the call.
    unsafe { *out = state.buffer(size, 1) };
    raw::OK
}

unsafe extern "C" fn retain(host: *const raw::Host, buffer: *const raw::Buffer) -> raw::Status {
    // SAFETY: the table is ours; the buffer is the plugin's, valid for the call.
    let (mut state, handle) = unsafe { (locked(host), (*buffer).handle) };
    state.slots.get_mut(&handle).map_or(raw::ERR_BAD_ARGUMENT, |slot| {
        slot.references += 1;
        raw::OK
    })
}

unsafe extern "C" fn release(host: *const raw::Host, buffer: *const raw::Buffer) -> raw::Status {
    // SAFETY: as in `retain`.
    let (mut state, handle) = unsafe { (locked(host), (*buffer).handle) };
    match state.slots.get_mut(&handle) {
        Some(slot) if slot.references > 0 => slot.references -= 1,
        _ => return raw::ERR_BAD_ARGUMENT,
    }
    raw::OK
}

unsafe extern "C" fn log(host: *const raw::Host, level: u32, text: *const c_char, length: u64) {
    let length = usize::try_from(length).expect("64-bit");
    // SAFETY: the table is ours; `text` leads to `length` bytes.
    let (mut state, text) =
        unsafe { (locked(host), slice::from_raw_parts(text.cast::<u8>(), length)) };
    let level = LogLevel::from_raw(level).expect("a known level");
    let text = std::str::from_utf8(text).expect("UTF-8").to_owned();
    state.log.push(LogLine { level, text });
}

unsafe extern "C" fn metric(host: *const raw::Host, name: *const c_char, value: f64) {
    // SAFETY: the table is ours; the name is ended by NUL.
    let (mut state, name) = unsafe { (locked(host), CStr::from_ptr(name)) };
    state.metrics.insert(name.to_str().expect("UTF-8").to_owned(), value);
}

unsafe extern "C" fn now_ns(_: *const raw::Host) -> u64 {
    clock_ns()
}

unsafe extern "C" fn secret_alloc(host: *const raw::Host, size: u64, align: u64) -> *mut c_void {
    let usize_of = |n: u64| usize::try_from(n).expect("64-bit");
    let layout = Layout::from_size_align(usize_of(size), usize_of(align)).expect("valid");
    // SAFETY: the layout's size is not 0, the sdk sees to it.
    let memory = unsafe { alloc_zeroed(layout) };
    // SAFETY: the table is ours.
    unsafe { locked(host) }.secrets.insert(memory.addr(), layout);
    memory.cast()
}

unsafe extern "C" fn secret_free(host: *const raw::Host, memory: *mut c_void) {
    // SAFETY: the table is ours.
    let layout = unsafe { locked(host) }.secrets.remove(&memory.addr()).expect("it is ours");
    // SAFETY: it was allocated with this layout and is freed once.
    unsafe { dealloc(memory.cast(), layout) }
}

/// A pointer that several threads may have.
#[derive(Clone, Copy)]
struct Shared(*mut c_void);
// SAFETY: `parallel` says that `run` may be called with it from several threads.
unsafe impl Send for Shared {}

/// On two threads, so that what must not be shared would be.
unsafe extern "C" fn parallel(
    _: *const raw::Host,
    run: Option<unsafe extern "C" fn(*mut c_void, u32)>,
    data: *mut c_void,
    count: u32,
) -> raw::Status {
    let Some(run) = run else { return raw::ERR_BAD_ARGUMENT };
    let data = Shared(data);
    thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                let data = data;
                // SAFETY: `run` may be called from several threads, as `host.h` says.
                (half..count).step_by(2).for_each(|index| unsafe { run(data.0, index) });
            });
        }
    });
    raw::OK
}

unsafe extern "C" fn get_extension(_: *const raw::Host, _: *const c_char) -> *const c_void {
    ptr::null()
}
