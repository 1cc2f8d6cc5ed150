//! Each check has a plugin that fails it and no other.
use std::collections::BTreeSet;
use std::time::Duration;

use edgemill_host::{Outcome, ValidateOptions, checks, validate};

use crate::Case;
use crate::fixture::{bad_plugin, names, options};

/// The fault of `bad_plugin.c`, the check that must find it, and what its detail must say.
const FAULTS: &[(&str, &str, &str)] = &[
    ("LOADS", "loads", "undefined symbol: edgemill_no_such_function"),
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
    ("MODEL", "model", "OK to half a model"),
    ("REALTIME", "realtime", "calls the allocator 2 times"),
    ("FAIL_SAFE", "fail-safe", "before activate"),
];

pub fn cases() -> Vec<Case> {
    let one = |&(fault, check, detail): &'static (&str, &str, &str)| Case {
        name: format!("fault_{}", fault.to_lowercase()),
        run: Box::new(move || fails_only(fault, check, detail)),
    };
    let mut cases = vec![
        Case { name: "good_plugin_passes_every_check".to_owned(), run: Box::new(good) },
        Case { name: "every_check_has_a_fault".to_owned(), run: Box::new(every_check) },
    ];
    cases.extend(FAULTS.iter().map(one));
    cases
}

fn good() -> Result<(), String> {
    let report = validate(&bad_plugin(None)?, &options());
    let all: Vec<&str> = checks().collect();
    if names(&report, Outcome::Pass) == all { Ok(()) } else { Err(report.to_string()) }
}

fn every_check() -> Result<(), String> {
    let covered: BTreeSet<&str> = FAULTS.iter().map(|(_, check, _)| *check).collect();
    let all: BTreeSet<&str> = checks().collect();
    if covered == all { Ok(()) } else { Err(format!("{covered:?} is not {all:?}")) }
}

fn fails_only(fault: &str, check: &str, detail: &str) -> Result<(), String> {
    let hangs = check == "no-hang";
    let timeout = if hangs { Duration::from_secs(3) } else { options().timeout };
    let report = validate(&bad_plugin(Some(fault))?, &ValidateOptions { timeout, ..options() });
    let found = names(&report, Outcome::Fail) == [check]
        && report.with(Outcome::Fail).all(|f| f.detail.contains(detail));
    if found { Ok(()) } else { Err(format!("{check} must fail alone, with: {detail}\n{report}")) }
}
