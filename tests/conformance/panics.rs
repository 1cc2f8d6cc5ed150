//! A plugin made with the sdk that panics answers a fault; the process lives on.
use std::path::PathBuf;

use edgemill_host::{Outcome, ValidateOptions, validate};

use crate::fixture::{names, options, text};
use crate::{Case, Verdict, expect};

/// The callback that panics, the checks that must fail, and what the first of them says.
const PANICS: &[(&str, &[&str], &str)] = &[
    ("create", &["life-cycle"], "create answers \"fault\""),
    ("ports", &["life-cycle"], "ports answers \"fault\""),
    ("activate", &["life-cycle"], "activate answers \"fault\""),
    ("process", &["life-cycle"], "process, call 1 of cycle 1, answers \"fault\""),
    ("deactivate", &["life-cycle"], "activate answers \"fault\""),
    ("destroy", &[], ""),
    ("fail-safe", &["fail-safe"], "apply answers \"fault\" before activate"),
];

pub fn cases() -> Vec<Case> {
    let case = |&(callback, checks, detail): &'static (&str, &[&str], &str)| {
        Case::new(format!("panic_in_{callback}"), move || panics(callback, checks, detail))
    };
    PANICS.iter().map(case).collect()
}

fn panics(callback: &str, checks: &[&str], detail: &str) -> Verdict {
    let options = ValidateOptions { params: vec![text("callback", callback)], ..options() };
    let report = validate(&panicking(), &options);
    let crash_free = names(&report, Outcome::Pass).contains(&"no-crash");
    let first = report.with(Outcome::Fail).next().map_or("", |f| f.detail.as_str());
    let found = crash_free && names(&report, Outcome::Fail) == checks && first.contains(detail);
    expect(found, || format!("{checks:?} must fail, with: {detail}\n{report}"))
}

/// Built by `cargo test` as an example of this package.
fn panicking() -> PathBuf {
    let mut folder = std::env::current_exe().expect("a running test has a path");
    folder.pop();
    folder.pop();
    folder.join("examples/libpanicking.so")
}
