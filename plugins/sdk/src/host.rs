//! What the host offers at any time: log, metrics, clock.
use std::ffi::CStr;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;

use edgemill_abi::{LogLevel, Status, raw};

/// Bytes of one log line; what is longer is cut.
const LINE_BYTES: usize = 1024;

macro_rules! table {
    ($($function:ident: $type:ty,)+) => {
        /// The host's table with every function present.
        pub(crate) struct Table {
            pub raw: *const raw::Host,
            $(pub $function: $type,)+
        }

        impl Table {
            /// Checks version, size and functions, in this order.
            ///
            /// # Errors
            /// What is wrong or missing, by its name in `host.h`.
            ///
            /// # Safety
            /// `host`, unless NULL, leads to the start of a host table that stays until destroy returns.
            pub unsafe fn new(host: *const raw::Host) -> Result<Self, &'static str> {
                if host.is_null() {
                    return Err("host");
                }
                // SAFETY: not NULL, and version and size stand first in every version of the table.
                let (version, size) = unsafe { ((*host).abi_version, (*host).struct_size) };
                if version != raw::ABI_VERSION {
                    return Err("abi_version");
                }
                if (size as usize) < size_of::<raw::Host>() {
                    return Err("struct_size");
                }
                // SAFETY: the table is of our version and at least as large as what we read of it.
                let table = unsafe { &*host };
                Ok(Self {
                    raw: host,
                    $($function: table.$function.ok_or(stringify!($function))?,)+
                })
            }
        }
    };
}

table! {
    emit: unsafe extern "C" fn(*const raw::Host, u32, *const raw::Packet) -> raw::Status,
    emit_from: unsafe extern "C" fn(*const raw::Host, u32, *const raw::Packet, *const raw::Packet) -> raw::Status,
    acquire: unsafe extern "C" fn(*const raw::Host, u32, u64, *mut raw::Buffer) -> raw::Status,
    retain: unsafe extern "C" fn(*const raw::Host, *const raw::Buffer) -> raw::Status,
    release: unsafe extern "C" fn(*const raw::Host, *const raw::Buffer) -> raw::Status,
    log: unsafe extern "C" fn(*const raw::Host, u32, *const std::ffi::c_char, u64),
    metric: unsafe extern "C" fn(*const raw::Host, *const std::ffi::c_char, f64),
    now_ns: unsafe extern "C" fn(*const raw::Host) -> u64,
    secret_alloc: unsafe extern "C" fn(*const raw::Host, u64, u64) -> *mut std::ffi::c_void,
    secret_free: unsafe extern "C" fn(*const raw::Host, *mut std::ffi::c_void),
    parallel: unsafe extern "C" fn(
        *const raw::Host,
        Option<unsafe extern "C" fn(*mut std::ffi::c_void, u32)>,
        *mut std::ffi::c_void,
        u32,
    ) -> raw::Status,
    get_extension: unsafe extern "C" fn(*const raw::Host, *const std::ffi::c_char) -> *const std::ffi::c_void,
}

/// The host of this instance. What it offers may be called from any thread.
#[derive(Clone, Copy)]
pub struct Host<'m> {
    table: *const Table,
    life: PhantomData<&'m Table>,
}

// SAFETY: the table is never written after create, and the functions reachable through `Host` itself (log, metric,
// now_ns) are [any-thread]. Those that are not can only be reached through `Setup` and `Call`.
unsafe impl Send for Host<'_> {}
// SAFETY: as above.
unsafe impl Sync for Host<'_> {}

impl<'m> Host<'m> {
    /// # Safety
    /// The table stays in its place for all of `'m`.
    pub(crate) unsafe fn new(table: *const Table) -> Self {
        Self { table, life: PhantomData }
    }

    pub(crate) fn table(self) -> &'m Table {
        // SAFETY: the table stays in its place for all of `'m`, promised in `new`, and is never written.
        unsafe { &*self.table }
    }

    /// Writes a line to the log, cut at 1,024 bytes. Does not allocate; the host may drop it when the log is behind.
    /// Usually called by [`log!`](crate::log!).
    pub fn log(self, level: LogLevel, text: fmt::Arguments<'_>) {
        let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
        // A full line is cut, which is what we want.
        let _ = line.write_fmt(text);
        let table = self.table();
        // SAFETY: `log` may be called at any time and reads `length` bytes of the line before it returns.
        unsafe {
            (table.log)(table.raw, level.raw(), line.bytes.as_ptr().cast(), line.length as u64)
        }
    }

    /// Sets a number that people watch, by a short name of letters, digits and `_`.
    pub fn metric(self, name: &CStr, value: f64) {
        let table = self.table();
        // SAFETY: `metric` may be called at any time and reads the name before it returns.
        unsafe { (table.metric)(table.raw, name.as_ptr(), value) }
    }

    /// CLOCK_MONOTONIC in nanoseconds.
    #[must_use]
    pub fn now_ns(self) -> u64 {
        let table = self.table();
        // SAFETY: `now_ns` may be called at any time.
        unsafe { (table.now_ns)(table.raw) }
    }

    /// Whether the host offers an extension.
    #[must_use]
    pub fn has_extension(self, name: &CStr) -> bool {
        let table = self.table();
        // SAFETY: `get_extension` may be called at any time and reads the name before it returns.
        let extension = unsafe { (table.get_extension)(table.raw, name.as_ptr()) };
        !extension.is_null()
    }
}

/// OK, or the refusal of a host call in words.
pub(crate) fn answer(raw: raw::Status, refusal: &'static str) -> crate::Result<()> {
    match Status::from_answer(raw) {
        status if status.is_error() => Err(crate::Error::new(status, refusal)),
        _ => Ok(()),
    }
}

/// Text in a buffer of fixed size, cut at a character's border.
struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_BYTES - self.length;
        let mut fits = room.min(text.len());
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.bytes[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Writes a line to the log: `log!(host, Info, "began at {}", place)`.
#[macro_export]
macro_rules! log {
    ($host:expr, $level:ident, $($text:tt)+) => {
        $crate::Host::log($host, $crate::LogLevel::$level, ::core::format_args!($($text)+))
    };
}
