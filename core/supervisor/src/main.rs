//! The daemon `edgemilld`: runs the pipelines of a box and supervises them.
//!
//! It begins with a change of configuration from nothing to what the files say ([`change`]), and from then on its first
//! thread only hears and decides ([`daemon`]). Its laws: the supervisor never waits on what it supervises; a bad file
//! changes nothing; an actuator is in its safe state whenever nobody drives it.
#![forbid(unsafe_code)]

mod args;
mod assembly;
mod change;
mod check;
mod daemon;
mod exit;
mod fail_safe;
mod keeper;
mod log;
mod maker;
mod models;
mod plugins;
mod pulse;
mod reload;
mod report;
mod running;
mod service;
mod settings;
mod state;
mod translate;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use edgemill_host::LogThread;
use edgemill_linux::signal::SignalFd;

use args::{Args, Run, Verb};
use daemon::Daemon;
use exit::{Exit, Failure};

fn main() -> ExitCode {
    let began = Instant::now();
    let done = match Args::parse().verb {
        Verb::Run(args) => run(args, began),
        Verb::Check(args) => check::run(&args).map(|()| Exit::Done),
        Verb::FailSafe(args) => fail_safe::run(&args).map(|()| Exit::Done),
        Verb::MakeKeys(args) => models::make_keys(&args.folder).map(|()| Exit::Done),
    };
    let exit = done.unwrap_or_else(|failure| {
        log::error(&failure.message);
        failure.exit
    });
    ExitCode::from(exit as u8)
}

fn run(args: Run, began: Instant) -> Result<Exit, Failure> {
    settings::protect();
    let signals = SignalFd::new().map_err(Failure::internal)?;
    let lines = LogThread::start(log::plugin_line).map_err(Failure::internal)?;
    let end = Daemon::new(args.configs, Arc::new(lines), signals, began)?.run();
    if let Some(path) = &args.report {
        report::write(path, &end)?;
    }
    if end.exit != Exit::Done {
        return Err(Failure::new(end.exit, end.why));
    }
    Ok(end.exit)
}
