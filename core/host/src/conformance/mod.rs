//! The conformance suite: whether a plugin keeps the rules of the boundary. Each trial runs in a child process, so
//! that a crash or a hang is a finding too.
mod allocations;
mod bench;
mod memory;
mod report;
mod rig;
mod synth;
mod trials;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edgemill_pipeline::stage::{Port, Ports};
use serde::{Deserialize, Serialize};

use crate::child::{self, ChildError, Job, Progress};
use crate::contract::ModelContract;
use crate::library::{Library, LoadError, LoadFault};
use crate::params::{self, ParamInput, Values};
use report::Findings;
pub use report::{Finding, Outcome, Report};

/// What the plugin under test is given.
#[derive(Clone, Debug)]
pub struct ValidateOptions {
    /// Parameters, as a pipeline's file would set them.
    pub params: Vec<(String, ParamInput)>,
    /// For a stage that names a contract.
    pub contract: Option<ModelContract>,
    /// Plain bytes of the model of `contract`, for a stage that runs one.
    pub model: Option<Vec<u8>>,
    /// How long one trial may take; what takes longer hangs.
    pub timeout: Duration,
}

impl Default for ValidateOptions {
    /// Nothing given; five seconds for trials that take milliseconds.
    fn default() -> Self {
        Self { params: vec![], contract: None, model: None, timeout: Duration::from_secs(5) }
    }
}

/// A trial: a child process, and the checks that it decides.
struct Trial {
    name: &'static str,
    checks: &'static [&'static str],
    /// Trials all of whose checks must have passed.
    needs: &'static [&'static str],
    run: fn(&Subject, &mut Findings),
}

/// Every trial, in order; the first is [`Library::open`], which the others begin with as well. A crash or a hang is
/// found under `no-crash` and `no-hang` in the ordinary life, and under a trial's first check in all others.
const TRIALS: &[Trial] = &[
    Trial {
        name: "load",
        checks: &["loads", "abi-version", "struct-size", "functions", "descriptor", "extensions"],
        needs: &[],
        run: |_, _| {},
    },
    Trial {
        name: "life",
        checks: &[
            "no-crash",
            "no-hang",
            "life-cycle",
            "statuses",
            "ports",
            "host-calls",
            "formats",
            "burst",
            "held",
            "released",
            "borrowed",
            "bounds",
            "timer",
            "flush",
        ],
        needs: &["load"],
        run: trials::life,
    },
    after_life("no-buffer", &["no-buffer"], trials::no_buffer),
    after_life("two-instances", &["two-instances"], trials::two_instances),
    after_life("unknown-parameter", &["unknown-parameter"], trials::unknown_parameter),
    after_life("bad-parameter", &["bad-parameter"], trials::bad_parameter),
    after_life("missing-parameter", &["missing-parameter"], trials::missing_parameter),
    after_life("order", &["order"], trials::order),
    after_life("model", &["model"], trials::model),
    after_life("realtime", &["realtime"], trials::realtime),
    after_life("fail-safe", &["fail-safe"], trials::fail_safe),
];

const fn after_life(
    name: &'static str,
    checks: &'static [&'static str],
    run: fn(&Subject, &mut Findings),
) -> Trial {
    Trial { name, checks, needs: &["life"], run }
}

/// Every check of the suite, in the order of the report.
pub fn checks() -> impl Iterator<Item = &'static str> {
    TRIALS.iter().flat_map(|trial| trial.checks.iter().copied())
}

/// What a child is to try.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    trial: String,
    path: PathBuf,
    params: Vec<(String, ParamInput)>,
    contract: Option<ModelContract>,
}

/// What a trial works on.
struct Subject {
    library: Arc<Library>,
    values: Values,
    contract: Option<ModelContract>,
    /// Empty for none.
    model: Vec<u8>,
    progress: Progress,
}

/// Runs the whole suite over the plugin at `path`. The binary's `main` must begin with
/// [`crate::child::maybe_run`].
#[must_use]
pub fn validate(path: &Path, options: &ValidateOptions) -> Report {
    let mut report = Report::new(path);
    for trial in TRIALS {
        let unmet = trial.needs.iter().find(|need| !passed(&report, need));
        match unmet {
            Some(need) => report.extend(skipped(trial, need)),
            None => report.extend(run(trial, path, options)),
        }
    }
    report
}

/// Whether what other trials build on holds: no check of this trial failed, and its instance came to life.
fn passed(report: &Report, trial: &str) -> bool {
    let checks = TRIALS.iter().find(|t| t.name == trial).map_or(&[][..], |t| t.checks);
    let essential = |f: &&Finding| ESSENTIAL.contains(&&*f.check) && checks.contains(&&*f.check);
    report.findings.iter().filter(essential).all(|f| f.outcome == Outcome::Pass)
}

/// Checks without which the later trials would only fail again for the same reason.
const ESSENTIAL: &[&str] = &[
    "loads",
    "abi-version",
    "struct-size",
    "functions",
    "descriptor",
    "extensions",
    "no-crash",
    "no-hang",
    "life-cycle",
    "ports",
];

fn skipped(trial: &Trial, need: &str) -> Findings {
    let mut findings = Findings::of(trial.checks);
    for check in trial.checks {
        findings.skip(check, format!("needs the checks of `{need}` to pass first"));
    }
    findings
}

fn run(trial: &Trial, path: &Path, options: &ValidateOptions) -> Findings {
    let request = Request {
        trial: trial.name.to_owned(),
        path: path.to_owned(),
        params: options.params.clone(),
        contract: options.contract.clone(),
    };
    let preload = (trial.name == "realtime").then(allocations::Preload::new);
    let variables = match preload.as_ref().map(|p| p.as_ref().map(allocations::Preload::variable)) {
        None => vec![],
        Some(Ok(variable)) => vec![variable],
        Some(Err(error)) => {
            let mut findings = Findings::of(trial.checks);
            findings.skip("realtime", error.to_string());
            return findings;
        }
    };
    let model = options.model.as_deref().unwrap_or_default();
    child::run(&Job::Check(request), model, &variables, options.timeout)
        .unwrap_or_else(|error| died(trial, &error))
}

/// The child did not come back: a finding, under the check that stands for it.
fn died(trial: &Trial, error: &ChildError) -> Findings {
    let mut findings = Findings::of(trial.checks);
    let hung = matches!(error, ChildError::Hung { .. });
    let check = match (trial.name, hung) {
        ("life", true) => "no-hang",
        (_, _) => trial.checks[0],
    };
    findings.skip_all("the trial did not come to its end");
    findings.fail(check, error.to_string());
    findings
}

/// The child's part.
pub(crate) fn perform(request: Request, model: Vec<u8>, progress: Progress) -> Findings {
    let Some(trial) = TRIALS.iter().find(|t| t.name == request.trial) else {
        return Findings::default();
    };
    let mut findings = Findings::of(trial.checks);
    progress.entering("load");
    let library = match Library::open(&request.path, None) {
        Ok(library) => library,
        Err(error) => {
            note_load(&error, &mut findings);
            return findings;
        }
    };
    if trial.name == "load" {
        return findings;
    }
    match params::check(library.descriptor(), &request.params) {
        Ok(values) => {
            let contract = request.contract;
            (trial.run)(&Subject { library, values, contract, model, progress }, &mut findings);
        }
        Err(error) => findings.skip_all(&format!("{error}; give it to the suite")),
    }
    findings
}

fn note_load(error: &LoadError, findings: &mut Findings) {
    let check = match error.fault {
        LoadFault::AbiVersion { .. } => "abi-version",
        LoadFault::StructSize { .. } => "struct-size",
        LoadFault::MissingFunction(_) => "functions",
        LoadFault::Descriptor(_) => "descriptor",
        LoadFault::Extension(_) => "extensions",
        _ => "loads",
    };
    findings.skip_after(check, "an earlier check failed");
    findings.fail(check, error.to_string());
}

fn same_ports(a: &Ports, b: &Ports) -> bool {
    let same = |a: &[Port], b: &[Port]| {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| {
                (&a.name, a.held, a.burst) == (&b.name, b.held, b.burst)
                    && format!("{:?}", a.ranges) == format!("{:?}", b.ranges)
            })
    };
    a.timer_ns == b.timer_ns && same(&a.inputs, &b.inputs) && same(&a.outputs, &b.outputs)
}
