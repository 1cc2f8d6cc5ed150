//! Files that live in memory and can be sealed. See memfd_create(2), fcntl(2) under "File sealing".
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc::c_void;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, munmap};
use zeroize::Zeroize;

use crate::error::{Context, Result};

/// What a seal keeps from everyone, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Any change of size, and any write but through the mapping that exists: F_SEAL_FUTURE_WRITE.
    OtherWriters,
    /// Any change at all; there may be no writable mapping: F_SEAL_WRITE.
    Writing,
}

/// A file in memory.
#[derive(Debug)]
pub struct Memfd {
    file: File,
    name: String,
    length: usize,
    mapped: bool,
}

impl Memfd {
    /// A file of `length` zero bytes; `name` is only for /proc and people.
    ///
    /// # Errors
    /// The kernel has no descriptors or no memory.
    pub fn create(name: &str, length: usize) -> Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let owned = memfd_create(name, flags).context("memfd_create", || format!("{name:?}"))?;
        let file = File::from(owned);
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        file.set_len(bytes).context("ftruncate", || format!("{name:?} to {length} bytes"))?;
        Ok(Self { file, name: name.into(), length, mapped: false })
    }

    /// A file that holds what `bytes` gives and can never be changed again. No second copy is made on the way.
    ///
    /// # Errors
    /// `bytes` cannot be read, the kernel has no descriptors or no memory, or does not seal.
    pub fn holding(name: &str, mut bytes: impl Read) -> Result<Self> {
        let mut memfd = Self::create(name, 0)?;
        let copied = io::copy(&mut bytes, &mut memfd.file).context("copy", || memfd.show())?;
        memfd.length = usize::try_from(copied).unwrap_or(usize::MAX);
        memfd.seal(Seal::Writing)?;
        Ok(memfd)
    }

    /// Maps the whole file to be read and written. Once per file, so that what is mapped has one owner.
    ///
    /// # Errors
    /// It is mapped already, sealed or empty.
    pub fn map_writable(&mut self) -> Result<SharedMapping> {
        if self.mapped {
            return Err(Errno::EBUSY).context("mmap", || self.show());
        }
        let mapping = self.map(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        self.mapped = true;
        Ok(mapping)
    }

    /// Forbids writes for good, and seals the seals.
    ///
    /// # Errors
    /// It is sealed already, or a writable mapping stands in the way of [`Seal::Writing`].
    pub fn seal(&self, seal: Seal) -> Result<()> {
        let writes = match seal {
            Seal::OtherWriters => SealFlag::F_SEAL_FUTURE_WRITE,
            Seal::Writing => SealFlag::F_SEAL_WRITE,
        };
        let rest = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&self.file, FcntlArg::F_ADD_SEALS(writes | rest))
            .map(drop)
            .context("fcntl", || format!("F_ADD_SEALS on {}", self.show()))
    }

    /// Maps a file sealed by [`Seal::Writing`] to be read; nobody can change what is seen.
    ///
    /// # Errors
    /// It is not sealed so, or empty.
    pub fn map_readable(&self) -> Result<SealedMapping> {
        let seals = fcntl(&self.file, FcntlArg::F_GET_SEALS).context("fcntl", || self.show())?;
        if seals & SealFlag::F_SEAL_WRITE.bits() == 0 {
            return Err(Errno::EPERM).context("mmap", || format!("{}, not sealed", self.show()));
        }
        self.map(ProtFlags::PROT_READ).map(SealedMapping)
    }

    /// The path by which this process opens the file again, as a loader of libraries wants it. Valid as long
    /// as this value.
    #[must_use]
    pub fn proc_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }

    /// Bytes in the file.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the file has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn map(&self, protection: ProtFlags) -> Result<SharedMapping> {
        let size = NonZeroUsize::new(self.length).ok_or(Errno::EINVAL);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        size.and_then(|size| unsafe {
            mmap(None, size, protection, MapFlags::MAP_SHARED, &self.file, 0)
        })
        .map(|start| SharedMapping { start, length: self.length })
        .context("mmap", || self.show())
    }

    fn show(&self) -> String {
        format!("memfd {:?} of {} bytes", self.name, self.length)
    }
}

impl AsFd for Memfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<Memfd> for OwnedFd {
    fn from(memfd: Memfd) -> Self {
        memfd.file.into()
    }
}

/// A whole file, mapped and shared with whoever else maps it. Stays valid after the [`Memfd`] is closed.
#[derive(Debug)]
pub struct SharedMapping {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, which hands out references by the usual rules.
unsafe impl Send for SharedMapping {}
// SAFETY: as above; `&self` gives `&[u8]` and a raw pointer, whose use is the caller's to justify.
unsafe impl Sync for SharedMapping {}

impl SharedMapping {
    /// Where it starts; page-aligned. For those who divide it among threads by rules of their own.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr().cast()
    }

    /// Bytes mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: there is no empty mapping.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes. Nobody else writes them: a file is mapped to be written once, and is sealed before its
    /// descriptor goes to another process.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `Memfd::map` mapped `length` readable bytes; writers need `&mut self`.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.length) }
    }

    /// The bytes, to be written.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: only `Memfd::map_writable` gives this type away, with the pages writable.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.length) }
    }

    /// Overwrites all of it with zeroes, in a way the compiler does not leave out.
    pub fn wipe(&mut self) {
        self.as_mut_slice().zeroize();
    }

    /// Keeps it in RAM and out of core dumps.
    ///
    /// # Errors
    /// RLIMIT_MEMLOCK does not allow it.
    pub fn lock(&self) -> Result<()> {
        // SAFETY: the range is this mapping; neither call changes its bytes.
        unsafe {
            madvise(self.start, self.length, MmapAdvise::MADV_DONTDUMP)
                .and_then(|()| mlock(self.start, self.length))
        }
        .context("mlock", || format!("{} bytes", self.length))
    }
}

impl Drop for SharedMapping {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping made in `Memfd::map`; no reference outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

/// A mapped file that nobody can change.
#[derive(Debug)]
pub struct SealedMapping(SharedMapping);

impl std::ops::Deref for SealedMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_sealed_file_takes_writes_from_its_one_mapping_only() {
        let mut memfd = Memfd::create("pool", 4096).unwrap();
        let mut mapping = memfd.map_writable().unwrap();
        assert!(memfd.map_writable().is_err());
        memfd.seal(Seal::OtherWriters).unwrap();
        mapping.as_mut_slice()[0] = 42;
        assert!((&memfd.file).write_all(b"x").is_err());
        assert!(memfd.file.set_len(1).is_err());
        assert!(memfd.file.set_len(8192).is_err());
        assert!(memfd.map(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE).is_err());
        assert!(memfd.seal(Seal::OtherWriters).is_err());
        let mut first = [0];
        File::open(memfd.proc_path()).unwrap().read_exact(&mut first).unwrap();
        assert_eq!(first, [42]);
    }

    #[test]
    fn what_holds_bytes_is_read_and_never_written() {
        let memfd = Memfd::holding("library", &b"bytes"[..]).unwrap();
        assert_eq!(&*memfd.map_readable().unwrap(), b"bytes");
        assert!((&memfd.file).write_all(b"x").is_err());
    }

    #[test]
    fn an_unsealed_file_and_an_empty_one_are_not_mapped() {
        let memfd = Memfd::create("open", 10).unwrap();
        assert!(memfd.map_readable().is_err());
        assert!(Memfd::create("empty", 0).unwrap().map_writable().is_err());
        assert!(Memfd::holding("empty", io::empty()).unwrap().map_readable().is_err());
    }

    #[test]
    fn a_wipe_reaches_the_file() {
        let mut memfd = Memfd::create("secret", 100).unwrap();
        let mut mapping = memfd.map_writable().unwrap();
        mapping.as_mut_slice().fill(9);
        mapping.wipe();
        let mut bytes = Vec::new();
        File::open(memfd.proc_path()).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [0; 100]);
    }
}
