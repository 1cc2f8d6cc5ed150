//! Each check has a plugin that fails it and no other.
use std::collections::BTreeSet;
use std::time::Duration;

use edgemill_host::{Outcome, ValidateOptions, checks, validate};

use crate::fixture::{bad_plugin, names, options};
use crate::{Case, Verdict, expect};

/// The fault of `bad_plugin.c`, the check that must find it, and what its detail must say.
const FAULTS: &[(&str, &str, &str)] = &[
    ("LOADS", "loads", "undefined symbol: edgemill_no_such_function"),
    ("CRASH_LOAD", "loads", "in load by SIGSEGV"),
    ("NO_ENTRY", "loads", "exports no `edgemill_entry`"),
    ("ABI_VERSION", "abi-version", "version 2"),
    ("STRUCT_SIZE", "struct-size", "bytes where version 1 has"),
    ("FUNCTIONS", "functions", "no `process` function"),
    ("DESCRIPTOR", "descriptor", "id: must be lower-case"),
    ("EXTENSIONS", "extensions", "edgemill.no_such_extension/1"),
    ("CRASH_CREATE", "no-crash", "in create by SIGSEGV"),
    ("CRASH_PORTS", "no-crash", "in ports by SIGSEGV"),
    ("CRASH_ACTIVATE", "no-crash", "in activate by SIGSEGV"),
    ("CRASH_PROCESS", "no-crash", "in process by SIGSEGV"),
    ("CRASH_DEACTIVATE", "no-crash", "in deactivate by SIGSEGV"),
    ("CRASH_DESTROY", "no-crash", "in destroy by SIGSEGV"),
    ("CRASH_GET_EXTENSION", "no-crash", "in get_extension by SIGSEGV"),
    ("ABORT", "no-crash", "in process by SIGABRT"),
    ("EXIT", "no-crash", "ended the process in process with code 0"),
    ("NO_HANG", "no-hang", "hung in process"),
    ("LIFE_CYCLE", "life-cycle", "activate answers \"bad argument\""),
    ("STATUSES", "statuses", "answers 42"),
    ("PORTS", "ports", "differs from the first"),
    ("HOST_CALLS", "host-calls", "acquire"),
    ("FORMATS", "formats", "output 0"),
    ("BURST", "burst", "burst is 1"),
    ("HELD", "held", "held is 1"),
    ("RELEASED", "released", "still holds 1"),
    ("BORROWED", "borrowed", "wrote into a buffer"),
    ("BOUNDS", "bounds", "behind the end"),
    ("TIMER", "timer", "\"fault\" to TIMER"),
    ("FLUSH", "flush", "\"fault\" to FLUSH"),
    ("NO_BUFFER", "no-buffer", "in process by SIGSEGV"),
    ("TWO_INSTANCES", "two-instances", "other output"),
    ("UNKNOWN_PARAMETER", "unknown-parameter", "in create by SIGSEGV"),
    ("BAD_PARAMETER", "bad-parameter", "in create by SIGSEGV"),
    ("MISSING_PARAMETER", "missing-parameter", "without `path`"),
    ("ORDER", "order", "\"ok\" before activate"),
    ("CONTRACT", "contract", "in ports by SIGSEGV"),
    ("MODEL", "model", "OK to half a model"),
    ("REALTIME", "realtime", "calls the allocator 2 times"),
    ("FAIL_SAFE", "fail-safe", "before activate"),
];

pub fn cases() -> Vec<Case> {
    let one = |&(fault, check, detail): &'static (&str, &str, &str)| {
        let name = format!("fault_{}", fault.to_lowercase());
        Case::new(name, move || fails_only(fault, check, detail))
    };
    let whole = [
        Case::new("good_plugin_passes_every_check", good),
        Case::new("every_check_has_a_fault", every_check),
    ];
    whole.into_iter().chain(FAULTS.iter().map(one)).collect()
}

fn good() -> Verdict {
    let report = validate(&bad_plugin(None)?, &options());
    let all: Vec<&str> = checks().map(|(name, _)| name).collect();
    expect(names(&report, Outcome::Pass) == all, || report.to_string())
}

fn every_check() -> Verdict {
    let covered: BTreeSet<&str> = FAULTS.iter().map(|(_, check, _)| *check).collect();
    let all: BTreeSet<&str> = checks().map(|(name, _)| name).collect();
    expect(covered == all, || format!("{covered:?} is not {all:?}"))
}

fn fails_only(fault: &str, check: &str, detail: &str) -> Verdict {
    let hangs = check == "no-hang";
    let timeout = if hangs { Duration::from_secs(3) } else { options().timeout };
    let report = validate(&bad_plugin(Some(fault))?, &ValidateOptions { timeout, ..options() });
    let found = names(&report, Outcome::Fail) == [check]
        && report.with(Outcome::Fail).all(|f| f.detail.contains(detail));
    expect(found, || format!("{check} must fail alone, with: {detail}\n{report}"))
}
