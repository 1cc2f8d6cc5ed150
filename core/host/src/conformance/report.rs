//! What the suite found.
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use edgemill_abi::raw;
use serde::{Deserialize, Serialize};

use super::checks::rule;
use super::ledger::Ledger;
use super::rig::word;
use crate::text::printable;

/// The most bytes of a finding's detail.
const DETAIL_BYTES: usize = 600;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The plugin keeps the rule.
    Pass,
    /// The check says nothing about this plugin; the detail says why.
    Skip,
    /// The plugin breaks the rule.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name.
    pub check: String,
    /// What it came to.
    pub outcome: Outcome,
    /// Why; empty for a pass.
    pub detail: String,
}

/// All checks over one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The plugin's file.
    pub path: PathBuf,
    /// In the order of the suite.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), findings: Vec::new() }
    }

    pub(super) fn extend(&mut self, findings: Findings) {
        self.findings.extend(findings.0);
    }

    /// Whether no check failed.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        self.with(Outcome::Fail).next().is_none()
    }

    /// The findings of one outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.outcome == outcome)
    }
}

impl fmt::Display for Report {
    /// A table: outcome, check, and the rule that is kept, or why not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.findings.iter().map(|f| f.check.len()).max().unwrap_or_default();
        for Finding { check, outcome, detail } in &self.findings {
            let outcome = match outcome {
                Outcome::Pass => "pass",
                Outcome::Skip => "skip",
                Outcome::Fail => "FAIL",
            };
            let why = if detail.is_empty() { rule(check) } else { detail };
            writeln!(f, "{outcome}  {check:width$}  {why}")?;
        }
        let count = |outcome| self.with(outcome).count();
        let (pass, fail, skip) = (count(Outcome::Pass), count(Outcome::Fail), count(Outcome::Skip));
        let path = printable(&self.path.to_string_lossy(), 300);
        write!(f, "{path}: {pass} passed, {fail} failed, {skip} skipped")
    }
}

/// The checks of one trial; each passes unless something is noted under it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn of(checks: &[&str]) -> Self {
        let pass = |check: &&str| Finding {
            check: (*check).to_owned(),
            outcome: Outcome::Pass,
            detail: String::new(),
        };
        Self(checks.iter().map(pass).collect())
    }

    /// A failure stands, and of several the first.
    pub(super) fn fail(&mut self, check: &str, detail: impl Into<String>) {
        self.note(check, Outcome::Fail, &detail.into());
    }

    pub(super) fn skip(&mut self, check: &str, detail: impl Into<String>) {
        self.note(check, Outcome::Skip, &detail.into());
    }

    pub(super) fn is_pass(&self, check: &str) -> bool {
        self.0.iter().any(|f| f.check == check && f.outcome == Outcome::Pass)
    }

    pub(super) fn skip_all(&mut self, detail: &str) {
        self.0.iter_mut().for_each(|f| f.set(Outcome::Skip, detail));
    }

    /// Of the ordinary life, what was never tried; that nothing crashed up to there still stands.
    pub(super) fn skip_passed(&mut self, detail: &str) {
        let tried = ["no-crash", "no-hang", "statuses", "ports"];
        let untried = |f: &&mut Finding| f.outcome == Outcome::Pass && !tried.contains(&&*f.check);
        self.0.iter_mut().filter(untried).for_each(|f| f.set(Outcome::Skip, detail));
    }

    /// What comes after `check` was not reached.
    pub(super) fn skip_after(&mut self, check: &str, detail: &str) {
        let after = self.0.iter_mut().skip_while(|f| f.check != check).skip(1);
        after.for_each(|f| f.set(Outcome::Skip, detail));
    }

    /// An answer that is not OK: a number without meaning, or an error in the ordinary life.
    pub(super) fn answer(&mut self, callback: &str, status: raw::Status) {
        let known = edgemill_abi::Status::from_raw(status).is_some();
        let check = if known { "life-cycle" } else { "statuses" };
        self.fail(check, format!("{callback} answers {}", word(status)));
    }

    /// The broken rules that the bench has noted.
    pub(super) fn take_all(&mut self, bench: &Ledger) {
        let faults: &BTreeMap<_, _> = bench.faults();
        faults.iter().for_each(|(check, detail)| self.fail(check, detail));
    }

    fn note(&mut self, check: &str, outcome: Outcome, detail: &str) {
        if let Some(finding) = self.0.iter_mut().find(|f| f.check == check)
            && finding.outcome < outcome
        {
            finding.set(outcome, detail);
        }
    }
}

impl Finding {
    fn set(&mut self, outcome: Outcome, detail: &str) {
        self.outcome = outcome;
        self.detail = printable(detail, DETAIL_BYTES);
    }
}
