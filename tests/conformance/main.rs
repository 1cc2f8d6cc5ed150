//! The conformance suite against plugins that break one rule each, against what an sdk-made plugin does when it
//! panics, and over every plugin that Edgemill ships.
//!
//! A program of its own rather than a collection of test functions: the suite starts this binary again as its
//! child, which must reach [`child::maybe_run`] before anything else.
mod faults;
mod fixture;
mod panics;
mod shipped;

use std::process::ExitCode;

use edgemill_host::child;

/// A case: its name, and what is wrong if it fails.
struct Case {
    name: String,
    run: Box<dyn Fn() -> Result<(), String>>,
}

fn main() -> ExitCode {
    child::maybe_run();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let cases = faults::cases().into_iter().chain(panics::cases()).chain(shipped::cases());
    let mut failed = 0;
    for case in cases {
        if !wanted.is_empty() && !wanted.iter().any(|w| case.name.contains(w)) {
            continue;
        }
        match (case.run)() {
            Ok(()) => println!("test {} ... ok", case.name),
            Err(why) => {
                failed += 1;
                println!("test {} ... FAILED\n{why}\n", case.name);
            }
        }
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
