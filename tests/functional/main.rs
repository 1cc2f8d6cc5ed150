//! The real `edgemilld`, seen only from outside: command line, files, signals, control socket, exit code. The plugin
//! `probe` fails on command and counts by itself, so that the daemon's account can be held against another.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod affinity;
mod bad_input;
mod boards;
mod c_plugins;
mod control;
mod counts;
mod detector;
mod fail_safe;
mod faults;
mod graphs;
mod hangs;
mod hostile;
mod keys;
mod look;
mod million;
mod notify;
mod policies;
mod probation;
mod programs;
mod reload;
mod service;
mod site;
mod stop;
