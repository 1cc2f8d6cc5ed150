//! Buffers of the suite, watched: who holds them, whether their bytes changed, and whether something was written
//! behind their end.
use std::cell::UnsafeCell;
use std::hash::{DefaultHasher, Hasher};

use edgemill_abi::raw;

/// What stands behind a buffer's end, at least one line of it.
const GUARD: u8 = 0x5c;

#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "reached by address only")] [u8; 64]);

/// A buffer, and what is known of it.
pub(super) struct Slot {
    lines: Box<[UnsafeCell<Line>]>,
    size: usize,
    /// The port it belongs to.
    pub port: Port,
    /// References that the plugin holds.
    pub held: u32,
    /// An input of the call that runs now.
    pub borrowed: bool,
    /// On its way to a consumer, until the call is over.
    pub emitted: bool,
    digest: u64,
}

/// Which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Input(usize),
    Output(usize),
}

impl Slot {
    pub(super) fn new(port: Port, size: usize) -> Self {
        let line = || UnsafeCell::new(Line([GUARD; 64]));
        let lines = (0..size.div_ceil(64) + 1).map(|_| line()).collect();
        Self { lines, size, port, held: 0, borrowed: false, emitted: false, digest: 0 }
    }

    pub(super) fn is_free(&self) -> bool {
        self.held == 0 && !self.borrowed && !self.emitted
    }

    /// As it crosses the boundary, under this handle.
    pub(super) fn raw(&self, handle: u64) -> raw::Buffer {
        raw::Buffer { handle, data: self.start(), size: self.size as u64 }
    }

    fn start(&self) -> *mut u8 {
        UnsafeCell::raw_get(self.lines.as_ptr()).cast()
    }

    /// Only between the plugin's calls, or within one that called the host: the plugin does not write meanwhile.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `lines` has at least `size` bytes; the plugin that also has the address waits for the host.
        unsafe { std::slice::from_raw_parts(self.start(), self.size) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; `&mut self` keeps the suite's own readers out.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.size) }
    }

    /// Notes the bytes, which must stay as they are from now on.
    pub(super) fn freeze(&mut self) {
        self.digest = digest(self.bytes());
    }

    pub(super) fn is_unchanged(&self) -> bool {
        digest(self.bytes()) == self.digest
    }

    /// Whether nothing was written behind the end.
    pub(super) fn is_within_bounds(&self) -> bool {
        let whole = size_of_val(&*self.lines);
        // SAFETY: `lines` has `whole` bytes, of which `size` come first; as in `bytes`.
        let guard = unsafe {
            std::slice::from_raw_parts(self.start().cast_const().add(self.size), whole - self.size)
        };
        guard.iter().all(|&b| b == GUARD)
    }
}

/// The same in every run of this binary.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
