//! `edgemill key …`: makes a set of keys and shows its public side; secrets are never printed.
use std::path::PathBuf;

use clap::Subcommand;
use edgemill_store::author::{KeyRing, Plan, PublicPart, show};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::Output;

/// The verbs of `edgemill key`.
#[derive(Subcommand)]
pub enum Verb {
    /// Make a new set: signing keys for the author, a key pair and a store key for one box.
    Init(InitArgs),
    /// Show the public keys of a set, by role and fingerprint.
    Show(ShowArgs),
}

/// Arguments of `edgemill key init`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill key init keys --targets-keys 3 --targets-threshold 2")]
pub struct InitArgs {
    /// A folder that is empty or not there yet.
    folder: PathBuf,
    /// Keys of the role that signs packages and plugin lists.
    #[arg(long, value_name = "N", default_value_t = 1)]
    targets_keys: usize,
    /// How many of them must sign.
    #[arg(long, value_name = "N", default_value_t = 1)]
    targets_threshold: usize,
}

/// Arguments of `edgemill key show`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill key show target/demo/keys")]
pub struct ShowArgs {
    /// The folder that `key init` made.
    folder: PathBuf,
}

/// A key as it is printed.
#[derive(Serialize)]
struct Line {
    role: String,
    fingerprint: String,
    public: String,
}

/// Runs one of them.
pub fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    let folder = match verb {
        Verb::Init(args) => {
            let (targets_keys, targets_threshold) = (args.targets_keys, args.targets_threshold);
            let plan = Plan { targets_keys, targets_threshold, ..Plan::default() };
            KeyRing::init_with(&args.folder, &plan).map_err(Failure::model)?;
            &args.folder
        }
        Verb::Show(args) => &args.folder,
    };
    let lines: Vec<Line> = show(folder).map_err(Failure::model)?.iter().map(line).collect();
    let text: Vec<String> =
        lines.iter().map(|line| format!("{:<9}{}", line.role, line.fingerprint)).collect();
    output.result(&lines, text.join("\n"))
}

fn line(part: &PublicPart) -> Line {
    Line {
        role: part.role.to_string(),
        fingerprint: format!("{:#}", part.fingerprint),
        public: part.public.clone(),
    }
}
