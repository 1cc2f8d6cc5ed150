//! `cargo xtask vm`: boots Edgemill in virtual machines and shows that it does what it must, case by case.
mod cameras;
mod console;
pub mod crate_tests;
mod cut;
mod heard;
mod machine;
pub mod ramdisk;
pub mod system;
mod table;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cross;
use crate::demo::{self, Demo};
use table::Outcome;

/// Options of the run.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask vm late_camera two_cameras")]
pub struct Args {
    /// Print one JSON object on stdout; everything else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Take our programs and plugins from this folder where they are there, named as Cargo names them.
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// So many machines at once, where a case says nothing of times.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The cases to run; all when none is named.
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
}

/// One thing that is shown.
#[derive(Clone, Copy)]
pub struct Case {
    /// As it is named on the command line, in the table, and in `target/vm/NAME.log`.
    pub name: &'static str,
    /// It measures times, so that nothing else runs beside it.
    pub alone: bool,
    /// Shows it, and says in a few words what was measured.
    pub run: fn(&Context) -> Result<String>,
}

/// What cases run with.
pub struct Context {
    /// The workspace.
    pub root: PathBuf,
    /// Where programs and plugins are taken from before those that were built.
    pub binaries: Option<PathBuf>,
    demo: OnceLock<Demo>,
    preparing: Mutex<()>,
}

impl Context {
    /// Of this workspace.
    pub fn new(root: &Path, binaries: Option<PathBuf>) -> Self {
        let (demo, preparing) = (OnceLock::new(), Mutex::new(()));
        Self { root: root.into(), binaries, demo, preparing }
    }

    /// The demo's keys and its trained model, made by whichever case asks first.
    pub fn demo(&self) -> Result<&Demo> {
        let _alone = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.demo.get().is_none() {
            let _ = self.demo.set(demo::prepare(&self.root)?);
        }
        self.demo.get().context("the demo was not prepared")
    }

    /// One of our programs or plugins for arm64, by Cargo's name for the file.
    pub fn program(&self, file: &str) -> PathBuf {
        let given = self.binaries.iter().map(|folder| folder.join(file)).find(|path| path.exists());
        given.unwrap_or_else(|| cross::built(&self.root).join(file))
    }

    /// Where the console of a case is written to.
    pub fn log(&self, case: &str) -> PathBuf {
        log(&self.root, case)
    }
}

fn log(root: &Path, name: &str) -> PathBuf {
    root.join(format!("target/vm/{name}.log"))
}

fn all() -> Vec<Case> {
    [system::CASES.as_slice(), &cut::CASES, &cameras::CASES].concat()
}

/// Runs the cases and prints what they came to.
///
/// # Errors
/// A case failed, or there is none of that name.
pub fn run(root: &Path, args: &Args) -> Result<()> {
    let cases = chosen(&args.cases)?;
    // A typing error must not have what was built tested in place of what was meant.
    if let Some(folder) = args.binaries.as_ref().filter(|folder| !folder.is_dir()) {
        bail!("{} is not a folder", folder.display());
    }
    let binaries = args.binaries.as_ref().map(std::path::absolute).transpose()?;
    let context = Context::new(root, binaries);
    cross::run(root)?;
    cross::build(root, &["--workspace", "--exclude", "xtask", "--example", "vivid"])?;
    let outcomes = run_all(&context, &cases, args.jobs);
    if args.json {
        println!("{}", table::json(&outcomes));
    } else {
        print!("{}", table::text(&outcomes));
    }
    let failed: Vec<_> = outcomes.iter().filter(|it| it.note.is_err()).map(|it| it.name).collect();
    ensure!(failed.is_empty(), "{} failed; the consoles are in target/vm", failed.join(", "));
    Ok(())
}

/// Runs all of it as a part of the test run.
pub fn prove(root: &Path) -> Result<()> {
    run(root, &Args { json: false, binaries: None, jobs: 2, cases: Vec::new() })
}

fn chosen(names: &[String]) -> Result<Vec<Case>> {
    let all = all();
    if names.is_empty() {
        return Ok(all);
    }
    if let Some(odd) = names.iter().find(|name| all.iter().all(|case| case.name != *name)) {
        let known: Vec<_> = all.iter().map(|case| case.name).collect();
        bail!("there is no case `{odd}`; there are {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|case| names.iter().any(|name| name == case.name)).collect())
}

/// First those that want the machine for themselves, one after another, then the others side by side.
fn run_all(context: &Context, cases: &[Case], jobs: u8) -> Vec<Outcome> {
    let (alone, others): (Vec<_>, Vec<_>) = cases.iter().copied().partition(|case| case.alone);
    let mut outcomes: Vec<_> = alone.into_iter().map(|case| run_one(context, case)).collect();
    system::end();
    let waiting = Mutex::new(VecDeque::from(others));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || std::iter::from_fn(next).map(|case| run_one(context, case)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            outcomes.extend(thread.join().unwrap_or_default());
        }
    });
    outcomes.sort_by_key(|outcome| cases.iter().position(|case| case.name == outcome.name));
    outcomes
}

fn run_one(context: &Context, case: Case) -> Outcome {
    eprintln!("{:<18} begins", case.name);
    let began = Instant::now();
    let note = catch_unwind(AssertUnwindSafe(|| (case.run)(context)))
        .unwrap_or_else(|_| bail!("the case itself panicked"));
    let outcome = Outcome { name: case.name, seconds: began.elapsed().as_secs_f64(), note };
    eprint!("{}", table::line(&outcome));
    outcome
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_case_is_named_once_and_a_wrong_name_is_refused() {
        let mut names: Vec<_> = super::all().iter().map(|case| case.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(super::chosen(&["no_such".into()]).is_err());
    }
}
