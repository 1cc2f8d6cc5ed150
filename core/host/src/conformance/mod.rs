//! The conformance suite: whether a plugin keeps the rules of the boundary. Each trial runs in a child process, so
//! that a crash or a hang is a finding too.
mod allocations;
mod bench;
mod checks;
mod ledger;
mod life;
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
    /// For a stage that names a contract; `None` for a made-up one, of a classifier of small pictures.
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
    /// Checks that must have passed, since the trial would only fail again for the same reason.
    needs: &'static [&'static str],
    run: fn(&Subject, &mut Findings),
}

const LOAD: &[&str] =
    &["loads", "abi-version", "struct-size", "functions", "descriptor", "extensions"];
const LIFE: &[&str] = &[
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
];
/// What an instance must do to be made and asked for its ports.
const MADE: &[&str] = &["no-crash", "no-hang", "statuses", "ports"];
/// What an instance must do to be led through any part of its life.
const ALIVE: &[&str] = &["no-crash", "no-hang", "life-cycle", "statuses", "ports"];
/// Of [`LIFE`], what makes the bench note a fault during `process`, which allocates.
const QUIET: &[&str] = &[
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
];

/// Every trial, in order; the first is [`Library::open`], which the others begin with as well. A crash or a hang is
/// found under `no-crash` and `no-hang` in the ordinary life, and under a trial's first check in all others.
const TRIALS: &[Trial] = &[
    Trial { name: "load", checks: LOAD, needs: &[], run: |_, _| {} },
    Trial { name: "life", checks: LIFE, needs: LOAD, run: life::lead },
    Trial { name: "no-buffer", checks: &["no-buffer"], needs: QUIET, run: trials::no_buffer },
    Trial {
        name: "two-instances",
        checks: &["two-instances"],
        needs: ALIVE,
        run: trials::two_instances,
    },
    Trial {
        name: "unknown-parameter",
        checks: &["unknown-parameter"],
        needs: MADE,
        run: trials::unknown_parameter,
    },
    Trial {
        name: "bad-parameter",
        checks: &["bad-parameter"],
        needs: MADE,
        run: trials::bad_parameter,
    },
    Trial {
        name: "missing-parameter",
        checks: &["missing-parameter"],
        needs: MADE,
        run: trials::missing_parameter,
    },
    Trial { name: "order", checks: &["order"], needs: MADE, run: trials::order },
    Trial { name: "contract", checks: &["contract"], needs: MADE, run: trials::contract },
    Trial { name: "model", checks: &["model"], needs: ALIVE, run: trials::model },
    Trial { name: "realtime", checks: &["realtime"], needs: QUIET, run: trials::realtime },
    Trial { name: "fail-safe", checks: &["fail-safe"], needs: MADE, run: trials::fail_safe },
];

/// Name of every check, and the rule it holds a plugin to, in the order of the report.
pub fn checks() -> impl Iterator<Item = (&'static str, &'static str)> {
    checks::CHECKS.iter().copied()
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
    contract: ModelContract,
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
        let passed = |check: &str| report.with(Outcome::Pass).any(|f| f.check == check);
        match trial.needs.iter().find(|need| !passed(need)) {
            Some(need) => {
                let mut findings = Findings::of(trial.checks);
                findings.skip_all(&format!("needs `{need}` to pass first"));
                report.extend(findings);
            }
            None => report.extend(run(trial, path, options)),
        }
    }
    report
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
    child::run(&Job::Check(Box::new(request)), model, &variables, options.timeout)
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
            let contract = request.contract.unwrap_or_else(synth::contract);
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

#[cfg(test)]
mod tests {
    use super::{TRIALS, checks};

    #[test]
    fn the_trials_decide_every_check_once_and_need_only_earlier_ones() {
        let mut decided = Vec::new();
        for trial in TRIALS {
            assert!(trial.needs.iter().all(|need| decided.contains(need)), "{}", trial.name);
            decided.extend(trial.checks);
        }
        assert_eq!(decided, checks().map(|(name, _)| name).collect::<Vec<_>>());
    }
}
