//! The command line.
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::exit::HELP;

/// Runs pipelines: sees, decides and acts.
#[derive(Debug, Parser)]
#[command(name = "edgemilld", version, after_help = HELP, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Runs pipelines until all have ended or a signal comes
    #[command(
        after_help = "Example: edgemilld run --config pipelines/traffic-light.toml --report report.json"
    )]
    Run(Run),
    /// Says what a pipeline would be: stages, ports, formats, pools; changes nothing on disk
    #[command(after_help = "Example: edgemilld check pipelines/traffic-light.toml")]
    Check(Check),
    /// Puts the actuators of a daemon that has died in their safe state
    #[command(
        name = "fail-safe",
        after_help = "Example: ExecStopPost=/usr/bin/edgemilld fail-safe"
    )]
    FailSafe(FailSafe),
    /// Makes the two secrets of a box: the key that packages are sealed to, and the key of its store
    #[command(
        name = "make-keys",
        after_help = "Example: edgemilld make-keys /run/edgemill-keys\n\n\
            edgemill-keys.service does this once, at the first boot, and keeps the secrets only as sealed credentials."
    )]
    MakeKeys(MakeKeys),
}

/// Arguments of `make-keys`.
#[derive(Debug, clap::Args)]
pub struct MakeKeys {
    /// A folder that holds no such keys yet
    pub folder: PathBuf,
}

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// A pipeline's file, or a folder of them; board.toml and access.toml are found beside the first or in the
    /// folder above
    #[arg(long = "config", value_name = "FILE", num_args = 1.., default_value = edgemill_config::DEFAULT_FOLDER)]
    pub configs: Vec<PathBuf>,
    /// Write the final account here, as JSON, when the daemon ends
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// One JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    /// A pipeline's file, or a folder of them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Arguments of `fail-safe`.
#[derive(Debug, clap::Args)]
pub struct FailSafe {
    /// The run folder of the daemon
    #[arg(long, value_name = "FOLDER", default_value = "/run/edgemill")]
    pub run: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn run_takes_several_files_however_they_are_given() {
        for words in ["run --config a b", "run --config a --config b"] {
            let words = ["edgemilld"].into_iter().chain(words.split(' '));
            let Verb::Run(run) = Args::try_parse_from(words).unwrap().verb else {
                panic!("not run")
            };
            assert_eq!(run.configs, [PathBuf::from("a"), PathBuf::from("b")]);
        }
    }
}
