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
    /// What helpers have done when all is done that was begun.
    given: usize,
}

/// Does the part of that number.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

struct Shared {
    begun: Apart<Begun>,
    /// Parts that helpers have done, ever; it may go round.
    done: Apart<AtomicUsize>,
    /// Helpers that have begun, and take no memory any more.
    ready: AtomicUsize,
    failed: AtomicBool,
    stop: AtomicBool,
}

/// A piece of work. Both come to a helper's core together.
struct Begun {
    /// Written while no part is left to begin or to end, read by who has taken a part until that is done.
    work: UnsafeCell<Option<Work<'static>>>,
    /// [`TURN`] for each piece there has been, and the parts of the present one that nobody has begun.
    open: AtomicUsize,
}

/// What is written by different threads, each in cache lines of its own, which processors fetch in pairs.
#[repr(align(128))]
struct Apart<T>(T);

/// More than a piece of work has parts.
const TURN: usize = 1 << 10;

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
            begun: Apart(Begun { work: UnsafeCell::new(None), open: AtomicUsize::new(0) }),
            done: Apart(AtomicUsize::new(0)),
            ready: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let mut team = Self { shared, helpers: Vec::new(), given: 0 };
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

    /// Calls `run` once with each of `items`, as many at once as there are threads; returns when all are done. The first is
    /// always the owner's.
    ///
    /// # Panics
    /// If a call has panicked, or if there are 1024 items or more.
    pub fn each<T: Send>(&mut self, items: &mut [T], run: impl Fn(&mut T) + Sync) {
        assert!(items.len() < TURN, "{} items", items.len());
        let all = Items(items.as_mut_ptr());
        if !items.is_empty() {
            self.share(items.len(), &|number| {
                // SAFETY: `number` is within the slice, and each is taken once.
                run(unsafe { &mut *all.at(number) });
            });
        }
    }

    fn share(&mut self, parts: usize, work: Work<'_>) {
        // SAFETY: only the lifetime changes; this function does not end before every part is done.
        let work = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        let shared = &*self.shared;
        let Begun { work: place, open } = &shared.begun.0;
        // SAFETY: nobody reads it, as every part of the last turn is done.
        unsafe { *place.get() = Some(work) };
        // Who takes a part sees what was written before.
        open.store((open.load(Ordering::Relaxed) | (TURN - 1)) + parts, Ordering::Release);
        self.helpers.iter().for_each(|helper| helper.thread().unpark());
        shared.run(work, 0);
        let own = 1 + shared.take_parts(|| ());
        self.given = self.given.wrapping_add(parts - own);
        wait(|| shared.done.0.load(Ordering::Acquire) == self.given, thread::yield_now);
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
        let turn = || self.begun.0.open.load(Ordering::Acquire) / TURN;
        self.ready.fetch_add(1, Ordering::Release);
        let mut seen = 0;
        loop {
            // A wake-up that comes before the sleep is kept, so that none is missed.
            wait(|| turn() != seen, thread::park);
            seen = turn();
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            self.take_parts(|| {
                self.done.0.fetch_add(1, Ordering::Release);
            });
        }
    }

    /// Does parts until none is left to begin, and calls `done` after each; returns how many.
    fn take_parts(&self, done: impl Fn()) -> usize {
        let Begun { work, open } = &self.begun.0;
        let one_less = |open: usize| (open % TURN).checked_sub(1).map(|_| open - 1);
        let take = || open.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less);
        let mut count = 0;
        while let Ok(open) = take() {
            // SAFETY: a part of it has been taken and is not done, so that it is not written.
            let work = unsafe { *work.get() }.expect("there is work while parts are left");
            self.run(work, open % TURN);
            done();
            count += 1;
        }
        count
    }

    fn run(&self, work: Work<'_>, part: usize) {
        if catch_unwind(AssertUnwindSafe(|| work(part))).is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.begun.0.open.fetch_add(TURN, Ordering::Release);
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
