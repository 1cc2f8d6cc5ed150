//! The tool `edgemill`: one file per verb, each with its arguments and a `run`.
#![forbid(unsafe_code)]

mod bench;
mod board;
mod check;
mod completions;
mod exit;
mod key;
mod man;
mod model;
mod network;
mod output;
mod plugin;
mod progress;
mod run;
mod runner;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Makes a small Linux board see, decide and act by itself.
#[derive(Parser)]
#[command(name = "edgemill", version, after_help = exit::HELP, max_term_width = 100)]
struct Cli {
    /// Print JSON on stdout: one object for each result.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run pipelines in the foreground.
    Run(run::Args),
    /// Check a pipeline without running it: ports, formats, pool depths.
    Check(check::Args),
    /// Show what the running daemon does.
    Status(status::Args),
    /// List, inspect, validate and sign plugins.
    #[command(subcommand)]
    Plugin(plugin::Verb),
    /// Train, compress, measure, pack, sign, install and look after models.
    #[command(subcommand)]
    Model(model::Verb),
    /// Make and show keys.
    #[command(subcommand)]
    Key(key::Verb),
    /// Look at this machine, and show what a board's file says.
    #[command(subcommand)]
    Board(board::Verb),
    /// Measure the pipeline itself, and networks.
    #[command(subcommand)]
    Bench(bench::Verb),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    Man(man::Args),
}

fn main() -> ExitCode {
    edgemill_host::child::maybe_run();
    let cli = Cli::parse();
    let output = output::Output::new(cli.json);
    let done = match &cli.verb {
        Verb::Run(args) => run::run(args, &output),
        Verb::Check(args) => check::run(args, &output),
        Verb::Status(args) => status::run(args, &output),
        Verb::Plugin(verb) => plugin::run(verb, &output),
        Verb::Model(verb) => model::run(verb, &output),
        Verb::Key(verb) => key::run(verb, &output),
        Verb::Board(verb) => board::run(verb, &output),
        Verb::Bench(verb) => bench::run(verb, &output),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
