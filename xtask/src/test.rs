//! `cargo xtask test`: all the tests, natively and as aarch64, in the order in which they fail fastest.
mod parts;

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

/// Options of the test run.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask test --only style")]
pub struct Args {
    /// Run only the parts whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// Runs the parts, prints a line for each, and fails if any did.
pub fn run(root: &Path, args: &Args) -> Result<()> {
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let chosen: Vec<_> = parts::ALL.into_iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        bail!("no part has such a name; there are {}", parts::ALL.map(|(name, _)| name).join(", "));
    }
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for (name, part) in chosen {
        eprintln!("\n== {name}");
        let began = Instant::now();
        let outcome = part(root);
        let seconds = began.elapsed().as_secs();
        lines.push(match &outcome {
            Ok(()) => format!("{name:<10}{seconds:>5} s  passed"),
            Err(error) => format!("{name:<10}{seconds:>5} s  FAILED: {error:#}"),
        });
        if outcome.is_err() {
            failed.push(name);
        }
    }
    println!("\n{}", lines.join("\n"));
    if !failed.is_empty() {
        bail!("{} failed; `cargo xtask test --only NAME` runs one part again", failed.join(", "));
    }
    Ok(())
}
