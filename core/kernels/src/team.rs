//! Threads that share one piece of work at a time, and sleep while there is none. Nothing allocates or locks once they
//! have been made.
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// The most threads of a team.
pub const MAX_THREADS: usize = 16;

/// Turns of waiting, some microseconds, before a thread lets others run or sleeps.
const PATIENCE: u32 = 20_000;

/// Helpers of the thread that owns it. They run on the cores that the thread that made them may run on.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

/// Runs the part of that number.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

struct Shared {
    /// How many pieces of work there have been.
    turn: AtomicUsize,
    /// The present one: written before `turn` rises, read after, and not used once `left` is 0.
    work: UnsafeCell<Option<Work<'static>>>,
    /// Helpers that are not done with it.
    left: AtomicUsize,
    failed: AtomicBool,
    stop: AtomicBool,
}

// SAFETY: `work` is written only by the owner while no helper reads it: before `turn` rises, and after `left` is 0.
unsafe impl Sync for Shared {}
// SAFETY: what `work` refers to is `Sync`.
unsafe impl Send for Shared {}

impl Team {
    /// A team of `threads`, its owner among them: at least 1, at most [`MAX_THREADS`].
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            turn: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            left: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let mut team = Self { shared, helpers: Vec::new() };
        for number in 1..threads.clamp(1, MAX_THREADS) {
            let shared = Arc::clone(&team.shared);
            let name = format!("helper {number}");
            let helper = thread::Builder::new().name(name).spawn(move || shared.help(number))?;
            team.helpers.push(helper);
        }
        Ok(team)
    }

    /// How many they are.
    #[must_use]
    pub fn threads(&self) -> usize {
        1 + self.helpers.len()
    }

    /// Calls `run` once with each of `items`, as many at once as there are threads; returns when all are done.
    ///
    /// # Panics
    /// If a call has panicked.
    pub fn each<T: Send>(&mut self, items: &mut [T], run: impl Fn(&mut T) + Sync) {
        let (all, threads) = (Items(items.as_mut_ptr(), items.len()), self.threads());
        self.share(&|number| {
            for index in (number..all.len()).step_by(threads) {
                // SAFETY: `index` is within the slice, and only this thread's number leads to it.
                run(unsafe { &mut *all.at(index) });
            }
        });
    }

    fn share(&mut self, work: Work<'_>) {
        // SAFETY: only the lifetime changes; `Done` waits until no helper uses it any more.
        let work_ = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        // SAFETY: no helper reads it now, as none is left over from the last turn.
        unsafe { *self.shared.work.get() = Some(work_) };
        self.shared.left.store(self.helpers.len(), Ordering::Relaxed);
        self.shared.turn.fetch_add(1, Ordering::SeqCst);
        self.helpers.iter().for_each(|helper| helper.thread().unpark());
        let done = Done(&self.shared);
        work(0);
        drop(done);
        assert!(!self.shared.failed.load(Ordering::Relaxed), "a helper has panicked");
    }
}

/// Items that threads take by their numbers.
struct Items<T>(*mut T, usize);

// SAFETY: every item is used by one thread only, and may be sent to it.
unsafe impl<T: Send> Sync for Items<T> {}

impl<T> Items<T> {
    fn len(&self) -> usize {
        self.1
    }

    fn at(&self, index: usize) -> *mut T {
        self.0.wrapping_add(index)
    }
}

/// Waits for the helpers, even when the owner's own part has panicked.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        wait(|| self.0.left.load(Ordering::Acquire) == 0, thread::yield_now);
    }
}

/// Looks again and again, and after a while does something else in between.
fn wait(ready: impl Fn() -> bool, tired: impl Fn()) {
    let mut turns = 0;
    while !ready() {
        if turns < PATIENCE {
            turns += 1;
            std::hint::spin_loop();
        } else {
            tired();
        }
    }
}

impl Shared {
    fn help(&self, number: usize) {
        let mut seen = 0;
        loop {
            // A wake-up that comes before the sleep is kept, so that none is missed.
            wait(|| self.turn.load(Ordering::SeqCst) != seen, thread::park);
            seen += 1;
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            // SAFETY: it was written before `turn` rose, and is not written again before `left` is 0.
            let work = unsafe { *self.work.get() }.expect("there is work in every turn");
            if catch_unwind(AssertUnwindSafe(|| work(number))).is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.left.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.turn.fetch_add(1, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // It catches its own panics.
            let _ = helper.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once() {
        for threads in 1..4 {
            let mut team = Team::new(threads).expect("threads");
            assert_eq!(team.threads(), threads);
            let mut items = [0_usize; 7];
            for turn in 1..300 {
                team.each(&mut items, |item| *item += 1);
                assert_eq!(items, [turn; 7]);
            }
        }
    }

    #[test]
    fn a_panic_comes_back() {
        let mut team = Team::new(2).expect("threads");
        let run = || team.each(&mut [1, 2], |item| assert_eq!(*item, 1));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}
