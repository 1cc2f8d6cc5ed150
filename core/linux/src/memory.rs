//! Memory that stays in RAM and out of other hands. See mlock(2), madvise(2).
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::libc::c_void;
use nix::sys::mman::{
    MapFlags, MlockAllFlags, MmapAdvise, ProtFlags, madvise, mlock, mlockall, mmap_anonymous,
    mprotect, munmap,
};
use zeroize::Zeroize;

use crate::error::{Context, Error, Result};

/// Private memory for secrets: zeroed when made, wiped when dropped, kept out of core dumps and of children,
/// and locked in RAM where RLIMIT_MEMLOCK allows ([`LockedMemory::is_locked`] tells).
#[derive(Debug)]
pub struct LockedMemory {
    start: NonNull<c_void>,
    length: usize,
    refusal: Option<Error>,
}

// SAFETY: the mapping belongs to this value alone, which hands out references by the usual rules.
unsafe impl Send for LockedMemory {}
// SAFETY: as above; `&self` only ever gives `&[u8]`.
unsafe impl Sync for LockedMemory {}

impl LockedMemory {
    /// `length` bytes, page-aligned, all zero.
    ///
    /// # Errors
    /// The kernel has no memory, or the length is 0. That it will not lock is no error here.
    pub fn new(length: usize) -> Result<Self> {
        let start = map_private(length)?;
        let size = || format!("{length} bytes");
        // SAFETY: the range is the mapping just made; the two hints change none of its bytes.
        let advised = unsafe {
            madvise(start, length, MmapAdvise::MADV_DONTDUMP)
                .and_then(|()| madvise(start, length, MmapAdvise::MADV_WIPEONFORK))
        };
        // SAFETY: the range is the mapping just made.
        let locked = unsafe { mlock(start, length) }.context("mlock", size);
        let refusal = locked.err().or_else(|| advised.context("madvise", size).err());
        Ok(Self { start, length, refusal })
    }

    /// Whether all the protections hold; if not, [`LockedMemory::refusal`] says what the kernel refused.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.refusal.is_none()
    }

    /// What the kernel refused: most often mlock, by RLIMIT_MEMLOCK.
    #[must_use]
    pub fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `new` mapped `length` readable bytes, zeroed by the kernel; `&self` keeps writers out.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }

    /// The bytes, to be written.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, writable too; `&mut self` keeps everyone else out.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        self.as_mut_slice().zeroize();
        // SAFETY: the range is the mapping made in `new`; no reference outlives `self`. Unmapping also unlocks.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

/// [`LockedMemory`] whose pages the processor lets nobody write, until it is dropped and wiped: a stray write of
/// a plugin is a fault, not another model.
#[derive(Debug)]
pub struct ReadOnlyMemory(LockedMemory);

impl LockedMemory {
    /// Takes away the right to write. See mprotect(2).
    ///
    /// # Errors
    /// The kernel refuses; the memory is wiped then.
    pub fn into_read_only(self) -> Result<ReadOnlyMemory> {
        self.protect(ProtFlags::PROT_READ)?;
        Ok(ReadOnlyMemory(self))
    }

    fn protect(&self, protection: ProtFlags) -> Result<()> {
        // SAFETY: the range is the mapping made in `new`. It is made read-only only by `into_read_only`, which
        // takes the value, so that `as_mut_slice` is out of reach until `ReadOnlyMemory::drop` makes it writable.
        unsafe { mprotect(self.start, self.length, protection) }
            .context("mprotect", || format!("{} bytes", self.length))
    }
}

impl ReadOnlyMemory {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As [`LockedMemory::refusal`].
    #[must_use]
    pub fn refusal(&self) -> Option<&Error> {
        self.0.refusal()
    }
}

impl Drop for ReadOnlyMemory {
    fn drop(&mut self) {
        let writable = self.0.protect(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
        // Secrets that cannot be wiped must not outlive their owner; the kernel clears the pages of the dead.
        writable.unwrap_or_else(|_| std::process::abort());
    }
}

fn map_private(length: usize) -> Result<NonNull<c_void>> {
    let size = NonZeroUsize::new(length).ok_or(nix::errno::Errno::EINVAL);
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that exists.
    size.and_then(|size| unsafe { mmap_anonymous(None, size, protection, MapFlags::MAP_PRIVATE) })
        .context("mmap", || format!("{length} bytes"))
}

/// Keeps every page of the process in RAM, those to come too; with `on_fault` only once they are touched.
///
/// # Errors
/// RLIMIT_MEMLOCK does not allow it.
pub fn lock_process(on_fault: bool) -> Result<()> {
    let mut flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
    if on_fault {
        // MCL_ONFAULT of mman.h, which nix does not name.
        flags |= MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    }
    mlockall(flags).context("mlockall", String::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_zeroed_writable_and_says_whether_it_is_locked() {
        let mut memory = LockedMemory::new(5000).unwrap();
        assert!(memory.as_slice().iter().all(|byte| *byte == 0));
        memory.as_mut_slice()[4999] = 7;
        assert_eq!(memory.as_slice()[4999], 7);
        assert_eq!(memory.is_locked(), memory.refusal().is_none());
    }

    #[test]
    fn what_is_read_only_keeps_its_bytes() {
        let mut memory = LockedMemory::new(5000).unwrap();
        memory.as_mut_slice()[4999] = 7;
        let memory = memory.into_read_only().unwrap();
        assert_eq!(memory.as_slice()[4999], 7);
        let start = format!("{:x}-", memory.as_slice().as_ptr().addr());
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let own = maps.lines().find(|line| line.starts_with(&start)).unwrap();
        assert!(own.contains(" r--p "), "{own}");
    }

    #[test]
    fn no_bytes_and_too_many_are_refused() {
        for length in [0, usize::MAX / 2] {
            assert_eq!(LockedMemory::new(length).unwrap_err().call, "mmap");
        }
    }
}
