//! `edgemill plugin …`: what a plugin's file is, whether it keeps the rules, and who vouches for it.
mod inspect;
mod list;
mod sign;
mod validate;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Output;

/// The verbs of `edgemill plugin`.
#[derive(Subcommand)]
pub enum Verb {
    /// List the plugins of a folder.
    List(list::Args),
    /// Show what a plugin is and which parameters it has.
    Inspect(inspect::Args),
    /// Hold a plugin to every rule of the boundary.
    Validate(validate::Args),
    /// Sign the list of a folder's plugins.
    Sign(sign::Args),
}

/// Runs one of them.
pub fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::List(args) => list::run(args, output),
        Verb::Inspect(args) => inspect::run(args, output),
        Verb::Validate(args) => validate::run(args, output),
        Verb::Sign(args) => sign::run(args, output),
    }
}
