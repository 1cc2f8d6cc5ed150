//! Buffers of one output port: equal in size, fixed in number, mapped once, counted in private memory.
//!
//! The memory is a memfd sealed against other writers, so that a worker may map it and read. Which buffers are
//! in use is a bitmap, and how often each is referred to an array, both of the daemon's own. Taking a buffer and
//! giving it back never wait. The lowest free buffer is taken, so that a pool touches no more memory than it
//! needs and reuses what is warm in the cache.
#![expect(unsafe_code, reason = "buffers are shared memory, whose owner changes at run time")]
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use edgemill_abi::{PacketView, ViewError, raw};
use edgemill_linux::memfd::{Memfd, Seal, SharedMapping};

/// Whole cache lines: no two buffers share one, and every element type is aligned.
const ALIGNMENT: u64 = 64;

/// Every pool of the process has a number of its own, so that a handle names one buffer and no other.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Why a pool cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The sizes multiply to more than memory.
    #[error("{count} buffers of {bytes} bytes are more than this machine can address")]
    TooLarge {
        /// Bytes of each.
        bytes: u64,
        /// How many.
        count: u32,
    },
    /// The kernel's answer.
    #[error(transparent)]
    Linux(#[from] edgemill_linux::Error),
}

/// The buffers of one output port.
#[derive(Debug)]
pub struct Pool {
    id: u32,
    memory: Memfd,
    mapping: SharedMapping,
    buffer_bytes: usize,
    stride: usize,
    references: Box<[AtomicU32]>,
    used: Box<[AtomicU64]>,
}

impl Pool {
    /// `count` buffers of `bytes` bytes each, none in use.
    ///
    /// # Errors
    /// They are more than the machine has, or the kernel refuses.
    pub fn new(name: &str, bytes: u64, count: u32) -> Result<Arc<Self>, PoolError> {
        let stride = bytes.max(1).checked_next_multiple_of(ALIGNMENT);
        let total = stride.and_then(|stride| stride.checked_mul(count.max(1).into()));
        let sizes = [Some(bytes), stride, total].map(|size| usize::try_from(size?).ok());
        let [Some(buffer_bytes), Some(stride), Some(total)] = sizes else {
            return Err(PoolError::TooLarge { bytes, count });
        };
        let mut memory = Memfd::create(name, total)?;
        let mapping = memory.map_writable()?;
        memory.seal(Seal::OtherWriters)?;
        let references = (0..count).map(|_| AtomicU32::new(0)).collect();
        let used =
            (0..count.div_ceil(64)).map(|word| AtomicU64::new(absent(count, word))).collect();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self { id, memory, mapping, buffer_bytes, stride, references, used }))
    }

    /// The lowest free buffer, for its taker alone; `None` when all are in use. Never waits.
    #[must_use]
    pub fn acquire(self: &Arc<Self>) -> Option<BufferMut> {
        let slot = self.used.iter().zip(0_u32..).find_map(|(word, index)| {
            let bit = claim_lowest_zero(word)?;
            Some(index * 64 + bit)
        })?;
        self.references[slot as usize].store(1, Ordering::Relaxed);
        // A buffer in use keeps its pool; `BufferRef::drop` gives this count back.
        let pool = NonNull::from(&**self);
        std::mem::forget(Arc::clone(self));
        Some(BufferMut(BufferRef { pool, slot }))
    }

    /// Buffers in use now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let ones = self.used.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize);
        // Bits that stand for no buffer are always set.
        ones.sum::<usize>() - (self.used.len() * 64 - self.references.len())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.references.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }

    /// Bytes of each.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    fn start_of(&self, slot: u32) -> *mut u8 {
        debug_assert!((slot as usize) < self.references.len());
        // SAFETY: `new` mapped `stride` bytes for each of the slots, and a slot's number comes from `acquire`.
        unsafe { self.mapping.as_ptr().add(slot as usize * self.stride) }
    }
}

impl AsFd for Pool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

/// Bits of the last word that stand for no buffer: in use for ever.
fn absent(count: u32, word: u32) -> u64 {
    match count - word * 64 {
        1..64 => u64::MAX << (count - word * 64),
        _ => 0,
    }
}

fn claim_lowest_zero(word: &AtomicU64) -> Option<u32> {
    let mut seen = word.load(Ordering::Relaxed);
    while seen != u64::MAX {
        let bit = seen.trailing_ones();
        // Acquire: what the last owner did to the buffer is over before the new one begins.
        match word.compare_exchange_weak(
            seen,
            seen | 1 << bit,
            Ordering::Acquire,
            Ordering::Relaxed,
        ) {
            Ok(_) => return Some(bit),
            Err(now) => seen = now,
        }
    }
    None
}

/// A counted reference to a buffer that is no longer written. Clones refer to the same bytes.
#[derive(Debug)]
pub struct BufferRef {
    pool: NonNull<Pool>,
    slot: u32,
}

// SAFETY: the pool's counts are atomic, and the bytes are only read once a `BufferRef` exists apart from its
// `BufferMut`.
unsafe impl Send for BufferRef {}
// SAFETY: as above.
unsafe impl Sync for BufferRef {}

impl BufferRef {
    fn pool(&self) -> &Pool {
        // SAFETY: the count that `acquire` forgot keeps the pool until the last reference is dropped.
        unsafe { self.pool.as_ref() }
    }

    /// Names the buffer; never 0, and unique in the process.
    #[must_use]
    pub fn handle(&self) -> u64 {
        u64::from(self.pool().id) << 32 | u64::from(self.slot + 1)
    }

    /// As it crosses the boundary.
    #[must_use]
    pub fn raw(&self) -> raw::Buffer {
        let size = self.pool().buffer_bytes as u64;
        raw::Buffer { handle: self.handle(), data: self.pool().start_of(self.slot), size }
    }

    /// Its bytes, all of them, whatever the payload uses.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let pool = self.pool();
        // SAFETY: the slot lies in the mapping (`start_of`) for `buffer_bytes`; nobody writes it any more (see
        // `BufferMut`), and it is not given to another before this reference is dropped.
        unsafe { slice::from_raw_parts(pool.start_of(self.slot), pool.buffer_bytes) }
    }
}

impl Clone for BufferRef {
    fn clone(&self) -> Self {
        self.pool().references[self.slot as usize].fetch_add(1, Ordering::Relaxed);
        Self { pool: self.pool, slot: self.slot }
    }
}

impl Drop for BufferRef {
    fn drop(&mut self) {
        let pool = self.pool();
        let (slot, bit) = (self.slot as usize, 1_u64 << (self.slot % 64));
        if pool.references[slot].fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // All other owners are done with the bytes before the buffer is free.
        fence(Ordering::Acquire);
        pool.used[slot / 64].fetch_and(!bit, Ordering::Release);
        // SAFETY: `acquire` forgot one count of the pool for this buffer in use; this is its end, reached once.
        drop(unsafe { Arc::from_raw(self.pool.as_ptr().cast_const()) });
    }
}

/// A buffer whose one owner may write it. Becomes a [`BufferRef`] when it is emitted and is never written again.
#[derive(Debug)]
pub struct BufferMut(BufferRef);

impl BufferMut {
    /// Its bytes, with what the last owner left there.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let pool = self.0.pool();
        // SAFETY: as in `BufferRef::bytes`; `acquire` gave the buffer to this value alone, and the reference
        // inside is not cloned before `freeze`.
        unsafe { slice::from_raw_parts_mut(pool.start_of(self.0.slot), pool.buffer_bytes) }
    }

    /// As it crosses the boundary; whoever gets it is the one owner.
    #[must_use]
    pub fn raw(&self) -> raw::Buffer {
        self.0.raw()
    }

    /// Ends the writing.
    #[must_use]
    pub fn freeze(self) -> BufferRef {
        self.0
    }
}

/// What a packet carries, checked, over the bytes that `buffer` keeps.
pub(crate) fn view<'a>(
    packet: &raw::Packet,
    buffer: Option<&'a BufferRef>,
) -> Result<PacketView<'a>, ViewError> {
    let mut packet = *packet;
    packet.buffer = buffer
        .map_or(raw::Buffer { handle: 0, data: std::ptr::null_mut(), size: 0 }, BufferRef::raw);
    // SAFETY: address and size are the buffer's own, which `buffer` keeps and nobody writes for all of `'a`.
    unsafe { PacketView::new(&packet) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_given_until_none_is_left_lowest_first() {
        for count in [1_u32, 63, 64, 65, 130] {
            let pool = Pool::new("test", 100, count).unwrap();
            let mut taken: Vec<_> = (0..count).map(|_| pool.acquire().unwrap()).collect();
            assert!(pool.acquire().is_none());
            assert_eq!(pool.in_use(), count as usize);
            let handle = taken[0].0.handle();
            drop(taken.remove(0));
            assert_eq!(pool.acquire().unwrap().0.handle(), handle);
            drop(taken);
            assert_eq!(pool.in_use(), 0);
        }
    }

    #[test]
    fn a_buffer_is_free_after_its_last_reference() {
        let pool = Pool::new("test", 4, 1).unwrap();
        let mut first = pool.acquire().unwrap();
        first.bytes_mut().copy_from_slice(b"abcd");
        let one = first.freeze();
        let two = one.clone();
        drop(one);
        assert!(pool.acquire().is_none());
        assert_eq!(two.bytes(), b"abcd");
        drop(two);
        assert!(pool.acquire().is_some());
    }

    #[test]
    fn a_buffer_outlives_its_pool() {
        let pool = Pool::new("test", 8, 2).unwrap();
        let kept = pool.acquire().unwrap().freeze();
        drop(pool);
        assert_eq!(kept.bytes().len(), 8);
    }

    #[test]
    fn buffers_do_not_overlap() {
        let pool = Pool::new("test", 65, 3).unwrap();
        let mut all: Vec<_> = (0..3).map(|_| pool.acquire().unwrap()).collect();
        for (buffer, value) in all.iter_mut().zip(1..) {
            buffer.bytes_mut().fill(value);
        }
        for (buffer, value) in all.into_iter().zip(1..) {
            assert!(buffer.freeze().bytes().iter().all(|byte| *byte == value));
        }
    }

    #[test]
    fn threads_take_and_return_every_buffer_once() {
        let pool = Pool::new("test", 8, 5).unwrap();
        std::thread::scope(|scope| {
            for mark in 0..4_u64 {
                let pool = &pool;
                scope.spawn(move || {
                    for turn in 0..50_000_u64 {
                        let Some(mut buffer) = pool.acquire() else { continue };
                        let value = (mark << 32 | turn).to_le_bytes();
                        buffer.bytes_mut().copy_from_slice(&value);
                        let shared = buffer.freeze();
                        let other = shared.clone();
                        assert_eq!(shared.bytes(), value);
                        drop(shared);
                        assert_eq!(other.bytes(), value);
                    }
                });
            }
        });
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn more_than_memory_is_refused() {
        assert!(matches!(Pool::new("t", u64::MAX, 2), Err(PoolError::TooLarge { .. })));
        assert!(matches!(Pool::new("t", 1 << 60, 1 << 20), Err(PoolError::TooLarge { .. })));
    }
}
