//! A host for one instance under test. It gives what a host gives, and notes each call that breaks a rule.
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edgemill_abi::{LogLevel, raw};

use super::ledger::{Ledger, Phase};
use crate::metrics::is_metric_name;
use crate::secrets::Secrets;
use crate::table::{self, HostCalls};

/// The host; its table stays in its place.
pub(super) struct Bench(Arc<Inner>);

struct Inner {
    host: raw::Host,
    ledger: Mutex<Ledger>,
    clock: AtomicU64,
    secrets: Secrets,
}

// SAFETY: `host` holds addresses of functions and of this same value, written once before anyone sees it; all
// that changes is atomic or behind a lock.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Bench {
    pub(super) fn new() -> Self {
        Self(Arc::new_cyclic(|this| Inner {
            host: table::host(this.as_ptr()),
            ledger: Mutex::default(),
            clock: AtomicU64::new(1_000_000_000),
            secrets: Secrets::default(),
        }))
    }

    /// Valid as long as `self`.
    pub(super) fn host(&self) -> *const raw::Host {
        &raw const self.0.host
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger()
    }
}

impl Inner {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, call: &str, detail: &str) {
        self.ledger().fault("host-calls", format!("{call}: {detail}"));
    }
}

impl HostCalls for Inner {
    fn emit(&self, port: u32, packet: &raw::Packet) -> raw::Status {
        self.ledger().emit(port, packet)
    }

    fn emit_from(&self, port: u32, packet: &raw::Packet, origin: &raw::Packet) -> raw::Status {
        let mut ledger = self.ledger();
        if origin.buffer.handle != 0 && ledger.visible("emit_from", &origin.buffer).is_none() {
            return raw::ERR_BAD_ARGUMENT;
        }
        ledger.emit(port, packet)
    }

    fn acquire(&self, port: u32, size: u64) -> Result<raw::Buffer, raw::Status> {
        self.ledger().acquire(port, size)
    }

    fn retain(&self, buffer: &raw::Buffer) -> raw::Status {
        self.ledger().retain(buffer)
    }

    fn release(&self, buffer: &raw::Buffer) -> raw::Status {
        self.ledger().release(buffer)
    }

    fn log(&self, level: u32, text: &[u8]) {
        if LogLevel::from_raw(level).is_none() {
            self.fault("log", &format!("{level} is no level"));
        }
        if std::str::from_utf8(text).is_err() {
            self.fault("log", "a line that is not UTF-8");
        }
    }

    fn metric(&self, name: &CStr, _value: f64) {
        if !name.to_str().is_ok_and(is_metric_name) {
            self.fault("metric", "a name is at most 23 letters, digits and `_`");
        }
    }

    /// A clock that is the same in every run.
    fn now_ns(&self) -> u64 {
        self.clock.fetch_add(1000, Ordering::Relaxed)
    }

    fn secret_alloc(&self, size: u64, alignment: u64) -> *mut c_void {
        if self.ledger().phase != Phase::Preparing {
            self.fault("secret_alloc", "called outside of the preparing thread");
        }
        self.secrets.alloc(size, alignment).0
    }

    fn secret_free(&self, memory: *mut c_void) {
        if !self.secrets.free(memory) {
            self.fault("secret_free", "memory that secret_alloc did not give");
        }
    }

    fn parallel(&self) -> raw::Status {
        let right = self.ledger().within("parallel", &[Phase::Process]);
        if right { raw::OK } else { raw::ERR_BAD_ARGUMENT }
    }

    fn null(&self, call: &'static str) {
        self.fault(call, "passed NULL");
    }
}
