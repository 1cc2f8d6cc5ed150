//! Memory for what a plugin makes from a model's bytes: locked, wiped, and tracked, so that none of it outlives
//! the instance.
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use edgemill_linux::memory::LockedMemory;

/// The strictest alignment that can be had: a page's.
const MAX_ALIGNMENT: u64 = 4096;
/// The most bytes of one piece, above the largest model a box could hold in locked memory.
const MAX_BYTES: u64 = 1 << 30;

/// All pieces of one instance; dropping it wipes and frees what is left. Its lock is taken on the preparing
/// thread only.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Mutex<Vec<LockedMemory>>);

impl Secrets {
    /// Null when there is no memory, or the arguments make no sense. The second answer: whether it is locked.
    pub(crate) fn alloc(&self, size: u64, alignment: u64) -> (*mut c_void, bool) {
        let fits = (1..=MAX_BYTES).contains(&size)
            && alignment.is_power_of_two()
            && alignment <= MAX_ALIGNMENT;
        let size = usize::try_from(size).ok().filter(|_| fits);
        let Some(mut memory) = size.and_then(|size| LockedMemory::new(size).ok()) else {
            return (std::ptr::null_mut(), true);
        };
        let at = memory.as_mut_slice().as_mut_ptr().cast();
        let locked = memory.is_locked();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        (at, locked)
    }

    /// Wipes and frees a piece; false for an address that is not the start of one.
    pub(crate) fn free(&self, at: *const c_void) -> bool {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pieces.iter().position(|m| m.as_slice().as_ptr().cast() == at);
        found.map(|i| pieces.swap_remove(i)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn pieces_are_aligned_zeroed_and_freed_by_their_address() {
        let secrets = Secrets::default();
        let (at, _) = secrets.alloc(5000, 4096);
        assert!(!at.is_null() && at.addr() % 4096 == 0);
        // SAFETY: the piece has 5000 bytes, not freed yet.
        let bytes = unsafe { std::slice::from_raw_parts(at.cast::<u8>(), 5000) };
        assert!(bytes.iter().all(|&b| b == 0));
        let (other, _) = secrets.alloc(1, 1);
        assert!(!secrets.free(at.wrapping_byte_add(1)));
        assert!(secrets.free(at) && !secrets.free(at) && secrets.free(other));
    }

    #[test]
    fn arguments_without_sense_get_nothing() {
        for (size, alignment) in [(0, 8), (8, 0), (8, 3), (8, 8192), (u64::MAX, 8)] {
            assert!(Secrets::default().alloc(size, alignment).0.is_null(), "{size} {alignment}");
        }
    }
}
