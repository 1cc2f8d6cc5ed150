//! Once it is loaded, the engine takes no memory, neither on the caller's thread nor on its helpers'. Without the usual
//! harness, whose own thread takes some at any time.
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use edgemill_engine::{Engine, Plan, kernels};

#[allow(dead_code, reason = "other tests need more of it")]
mod network;

/// The system's memory, counted.
struct Counted;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it hands everything to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static MEMORY: Counted = Counted;

fn main() {
    let graph = network::small(1);
    for threads in [1, 2, 3] {
        let plan = Plan::new(&graph, kernels::best()).expect("a plan").threads(threads);
        let memory = vec![0; plan.memory_bytes()];
        let mut engine = Engine::new(plan, &graph, memory).expect("an engine");
        let (x, mut y) = ([5; 32 * 32 * 3], [0; 3]);
        let mut run = || engine.run(&[&x], &mut [&mut y]).expect("it runs");
        run();
        let before = TAKEN.load(Ordering::SeqCst);
        (0..100).for_each(|_| run());
        let taken = TAKEN.load(Ordering::SeqCst) - before;
        assert_eq!(taken, 0, "{threads} threads");
    }
    assert!(TAKEN.load(Ordering::SeqCst) > 0, "nothing was counted");
}
