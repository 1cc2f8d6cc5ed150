//! Threads that share one piece of work at a time, and sleep while there is none. Each takes the next part that nobody has
//! begun, so that one which the system does not let run keeps the others from nothing. Nothing allocates or locks once
//! they have been made.
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

/// Does the part of that number.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

struct Shared {
    /// How many pieces of work there have been.
    turn: AtomicUsize,
    /// The present one: written while no part is left to begin or to end, read by who has taken a part until that is done.
    work: UnsafeCell<Option<Work<'static>>>,
    /// Parts that nobody has begun.
    left: AtomicUsize,
    /// Parts that are not done.
    undone: AtomicUsize,
    /// Helpers that have begun, and take no memory any more.
    ready: AtomicUsize,
    failed: AtomicBool,
    stop: AtomicBool,
}

// SAFETY: `work` is written only by the owner while nobody reads it, as stated there.
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
            undone: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let mut team = Self { shared, helpers: Vec::new() };
        for number in 1..threads.clamp(1, MAX_THREADS) {
            let shared = Arc::clone(&team.shared);
            let name = format!("helper {number}");
            let helper = thread::Builder::new().name(name).spawn(move || shared.help())?;
            team.helpers.push(helper);
        }
        let ready = || team.shared.ready.load(Ordering::Acquire) == team.helpers.len();
        wait(ready, thread::yield_now);
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
        let all = Items(items.as_mut_ptr());
        self.share(items.len(), &|number| {
            // SAFETY: `number` is within the slice, and each is taken once.
            run(unsafe { &mut *all.at(number) });
        });
    }

    fn share(&mut self, parts: usize, work: Work<'_>) {
        // SAFETY: only the lifetime changes; this function does not end before every part is done.
        let work = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        let shared = &*self.shared;
        // SAFETY: nobody reads it, as every part of the last turn is done.
        unsafe { *shared.work.get() = Some(work) };
        shared.undone.store(parts, Ordering::Relaxed);
        // Who takes a part sees what was written before.
        shared.left.store(parts, Ordering::Release);
        shared.turn.fetch_add(1, Ordering::SeqCst);
        self.helpers.iter().for_each(|helper| helper.thread().unpark());
        shared.take_parts();
        wait(|| shared.undone.load(Ordering::Acquire) == 0, thread::yield_now);
        assert!(!shared.failed.swap(false, Ordering::Relaxed), "a part has panicked");
    }
}

/// Items that threads take by their numbers.
struct Items<T>(*mut T);

// SAFETY: every item is used by one thread only, and may be sent to it.
unsafe impl<T: Send> Sync for Items<T> {}

impl<T> Items<T> {
    fn at(&self, index: usize) -> *mut T {
        self.0.wrapping_add(index)
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
    fn help(&self) {
        self.ready.fetch_add(1, Ordering::Release);
        let mut seen = 0;
        loop {
            // A wake-up that comes before the sleep is kept, so that none is missed.
            wait(|| self.turn.load(Ordering::SeqCst) != seen, thread::park);
            seen = self.turn.load(Ordering::SeqCst);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.take_parts();
        }
    }

    /// Does parts until none is left to begin.
    fn take_parts(&self) {
        let take =
            || self.left.fetch_update(Ordering::Acquire, Ordering::Relaxed, |n| n.checked_sub(1));
        while let Ok(left) = take() {
            // SAFETY: a part of it has been taken and is not done, so that it is not written.
            let work = unsafe { *self.work.get() }.expect("there is work while parts are left");
            if catch_unwind(AssertUnwindSafe(|| work(left - 1))).is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.undone.fetch_sub(1, Ordering::Release);
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
        team.each(&mut [1, 1], |item| assert_eq!(*item, 1));
    }
}
