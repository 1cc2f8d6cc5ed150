//! The host against files that are no plugins and a stage that has no grant; the conformance suite against plugins
//! that break one rule each, against an sdk-made plugin that panics, and over every plugin that Edgemill ships.
//!
//! A program of its own rather than a collection of test functions: the suite starts this binary again as its
//! child, which must reach [`child::maybe_run`] before anything else.
mod faults;
mod fixture;
mod loading;
mod panics;
mod shipped;
mod stage;

use std::process::ExitCode;

use edgemill_host::child;

/// What a case answers: what is wrong, if anything is.
type Verdict = Result<(), String>;

/// A case: its name, and what is wrong if it fails.
struct Case {
    name: String,
    run: Box<dyn Fn() -> Verdict>,
}

impl Case {
    fn new(name: impl Into<String>, run: impl Fn() -> Verdict + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// A verdict: fine if `right`, else what `why` says.
fn expect(right: bool, why: impl FnOnce() -> String) -> Verdict {
    if right { Ok(()) } else { Err(why()) }
}

fn main() -> ExitCode {
    child::maybe_run();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let cases =
        [loading::cases(), stage::cases(), faults::cases(), panics::cases(), shipped::cases()];
    let (mut passed, mut failed) = (0, 0);
    for case in cases.into_iter().flatten() {
        if !wanted.is_empty() && !wanted.iter().any(|w| case.name.contains(w)) {
            continue;
        }
        match (case.run)() {
            Ok(()) => {
                passed += 1;
                println!("test {} ... ok", case.name);
            }
            Err(why) => {
                failed += 1;
                println!("test {} ... FAILED\n{why}\n", case.name);
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
