//! The table of functions that an instance is given, `edgemill_host`: from C into a [`HostCalls`]. Two are behind
//! it: the pipeline ([`crate::PluginStage`]) and the conformance suite's bench.
use std::ffi::{CStr, c_char, c_void};

use edgemill_abi::raw;

/// The extensions this host offers, by name.
pub(crate) const EXTENSIONS: &[&str] = &[];

/// What a host does, with pointers already followed. Called on any thread of the plugin's.
pub(crate) trait HostCalls: Sync {
    fn emit(&self, port: u32, packet: &raw::Packet) -> raw::Status;
    fn emit_from(&self, port: u32, packet: &raw::Packet, origin: &raw::Packet) -> raw::Status;
    fn acquire(&self, port: u32, size: u64) -> Result<raw::Buffer, raw::Status>;
    fn retain(&self, buffer: &raw::Buffer) -> raw::Status;
    fn release(&self, buffer: &raw::Buffer) -> raw::Status;
    fn log(&self, level: u32, text: &[u8]);
    fn metric(&self, name: &CStr, value: f64);
    fn now_ns(&self) -> u64;
    fn secret_alloc(&self, size: u64, alignment: u64) -> *mut c_void;
    fn secret_free(&self, memory: *mut c_void);
    /// Whether `parallel` may run now.
    fn parallel(&self) -> raw::Status;
    /// A call got NULL where it must not be.
    fn null(&self, _call: &'static str) {}
}

/// The table that leads to `context`.
pub(crate) fn host<H: HostCalls>(context: *const H) -> raw::Host {
    const SIZE: u32 = {
        assert!(size_of::<raw::Host>() < 4096);
        #[expect(clippy::cast_possible_truncation, reason = "checked in the line above")]
        {
            size_of::<raw::Host>() as u32
        }
    };
    raw::Host {
        abi_version: raw::ABI_VERSION,
        struct_size: SIZE,
        context: context.cast_mut().cast(),
        emit: Some(emit::<H>),
        emit_from: Some(emit_from::<H>),
        acquire: Some(acquire::<H>),
        retain: Some(retain::<H>),
        release: Some(release::<H>),
        log: Some(log::<H>),
        metric: Some(metric::<H>),
        now_ns: Some(now_ns::<H>),
        secret_alloc: Some(secret_alloc::<H>),
        secret_free: Some(secret_free::<H>),
        parallel: Some(parallel::<H>),
        get_extension: Some(get_extension),
    }
}

/// # Safety
/// `table` is one that [`host`] made for an `H`, which is still there.
unsafe fn context<'a, H>(table: *const raw::Host) -> &'a H {
    // SAFETY: the caller's promise. A plugin keeps it by passing back the table it was created with (host.h).
    unsafe { &*(*table).context.cast::<H>() }
}

unsafe extern "C" fn emit<H: HostCalls>(
    table: *const raw::Host,
    port: u32,
    packet: *const raw::Packet,
) -> raw::Status {
    // SAFETY: host.h: the plugin passes its own table, and a packet (or, against the rules, NULL).
    let (host, packet) = unsafe { (context::<H>(table), packet.as_ref()) };
    match packet {
        Some(packet) => host.emit(port, packet),
        None => refuse_null(host, "emit"),
    }
}

unsafe extern "C" fn emit_from<H: HostCalls>(
    table: *const raw::Host,
    port: u32,
    packet: *const raw::Packet,
    origin: *const raw::Packet,
) -> raw::Status {
    // SAFETY: as in `emit`, for both packets.
    let (host, packet, origin) = unsafe { (context::<H>(table), packet.as_ref(), origin.as_ref()) };
    match (packet, origin) {
        (Some(packet), Some(origin)) => host.emit_from(port, packet, origin),
        _ => refuse_null(host, "emit_from"),
    }
}

unsafe extern "C" fn acquire<H: HostCalls>(
    table: *const raw::Host,
    port: u32,
    size: u64,
    out: *mut raw::Buffer,
) -> raw::Status {
    // SAFETY: as in `emit`.
    let host = unsafe { context::<H>(table) };
    if out.is_null() {
        return refuse_null(host, "acquire");
    }
    match host.acquire(port, size) {
        Ok(buffer) => {
            // SAFETY: not NULL (checked above); host.h: it leads to a buffer struct for the host to write.
            unsafe { out.write(buffer) };
            raw::OK
        }
        Err(status) => status,
    }
}

unsafe extern "C" fn retain<H: HostCalls>(
    table: *const raw::Host,
    buffer: *const raw::Buffer,
) -> raw::Status {
    // SAFETY: as in `emit`, for a buffer.
    let (host, buffer) = unsafe { (context::<H>(table), buffer.as_ref()) };
    buffer.map_or_else(|| refuse_null(host, "retain"), |buffer| host.retain(buffer))
}

unsafe extern "C" fn release<H: HostCalls>(
    table: *const raw::Host,
    buffer: *const raw::Buffer,
) -> raw::Status {
    // SAFETY: as in `emit`, for a buffer.
    let (host, buffer) = unsafe { (context::<H>(table), buffer.as_ref()) };
    buffer.map_or_else(|| refuse_null(host, "release"), |buffer| host.release(buffer))
}

unsafe extern "C" fn log<H: HostCalls>(
    table: *const raw::Host,
    level: u32,
    text: *const c_char,
    length: u64,
) {
    // SAFETY: as in `emit`.
    let host = unsafe { context::<H>(table) };
    match (text.is_null(), usize::try_from(length)) {
        (false, Ok(length)) if isize::try_from(length).is_ok() => {
            // SAFETY: not NULL and no longer than a slice may be (checked here); host.h: it has `length` bytes.
            host.log(level, unsafe { std::slice::from_raw_parts(text.cast(), length) });
        }
        _ => host.null("log"),
    }
}

unsafe extern "C" fn metric<H: HostCalls>(
    table: *const raw::Host,
    name: *const c_char,
    value: f64,
) {
    // SAFETY: as in `emit`.
    let host = unsafe { context::<H>(table) };
    if name.is_null() {
        return host.null("metric");
    }
    // SAFETY: not NULL (checked above); host.h: a name is ended by NUL.
    host.metric(unsafe { CStr::from_ptr(name) }, value);
}

unsafe extern "C" fn now_ns<H: HostCalls>(table: *const raw::Host) -> u64 {
    // SAFETY: as in `emit`.
    unsafe { context::<H>(table) }.now_ns()
}

unsafe extern "C" fn secret_alloc<H: HostCalls>(
    table: *const raw::Host,
    size: u64,
    alignment: u64,
) -> *mut c_void {
    // SAFETY: as in `emit`.
    unsafe { context::<H>(table) }.secret_alloc(size, alignment)
}

unsafe extern "C" fn secret_free<H: HostCalls>(table: *const raw::Host, memory: *mut c_void) {
    // SAFETY: as in `emit`.
    let host = unsafe { context::<H>(table) };
    if !memory.is_null() {
        host.secret_free(memory);
    }
}

/// In order, on the caller's thread: a stage has no helper threads yet.
unsafe extern "C" fn parallel<H: HostCalls>(
    table: *const raw::Host,
    run: Option<unsafe extern "C" fn(*mut c_void, u32)>,
    data: *mut c_void,
    count: u32,
) -> raw::Status {
    // SAFETY: as in `emit`.
    let host = unsafe { context::<H>(table) };
    let Some(run) = run else { return refuse_null(host, "parallel") };
    let status = host.parallel();
    if status == raw::OK {
        for index in 0..count {
            // SAFETY: host.h: `run` takes the plugin's own `data` and each index below `count`.
            unsafe { run(data, index) };
        }
    }
    status
}

/// [`EXTENSIONS`] is empty, so no name has one.
unsafe extern "C" fn get_extension(
    _table: *const raw::Host,
    _name: *const c_char,
) -> *const c_void {
    std::ptr::null()
}

fn refuse_null(host: &impl HostCalls, call: &'static str) -> raw::Status {
    host.null(call);
    raw::ERR_BAD_ARGUMENT
}
