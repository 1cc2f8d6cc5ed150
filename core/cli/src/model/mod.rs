//! `edgemill model …`: the whole life of a model, one file a verb.
//!
//! Before it is packed a model is a training folder, as `train` writes it; after, a package; on the box, what the
//! store holds.
mod activate;
mod compress;
mod described;
mod evaluate;
mod import;
mod inspect;
mod install;
mod list;
mod npy;
mod pack;
mod rollback;
mod run;
mod sign;
mod store;
mod train;
pub mod verify;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Output;

/// The verbs of `edgemill model`.
#[derive(Subcommand)]
pub enum Verb {
    /// Make a graph of an ONNX or TensorFlow Lite file.
    Import(import::Args),
    /// Run a network once on tensors in NumPy's format.
    Run(run::Args),
    /// Train a network on folders of pictures, by a recipe.
    Train(train::Args),
    /// Make a network int8.
    Compress(compress::Args),
    /// Measure a network's accuracy on pictures.
    Evaluate(evaluate::Args),
    /// Pack a network and seal it to the boxes that may open it.
    Pack(pack::Args),
    /// Sign a package.
    Sign(sign::Args),
    /// Show what a package says of itself; nothing of it is checked.
    Inspect(inspect::Args),
    /// Check a package: whole, signed and, with keys, opened.
    Verify(verify::Args),
    /// Bring a package into the box's store.
    Install(install::Args),
    /// Make the candidate of a model its active version.
    Activate(activate::Args),
    /// Go back to the previous version of a model.
    Rollback(rollback::Args),
    /// List the models of the box's store.
    List(list::Args),
}

/// Runs one of them.
pub fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Import(args) => import::run(args, output),
        Verb::Run(args) => run::run(args, output),
        Verb::Train(args) => train::run(args, output),
        Verb::Compress(args) => compress::run(args, output),
        Verb::Evaluate(args) => evaluate::run(args, output),
        Verb::Pack(args) => pack::run(args, output),
        Verb::Sign(args) => sign::run(args, output),
        Verb::Inspect(args) => inspect::run(args, output),
        Verb::Verify(args) => verify::run(args, output),
        Verb::Install(args) => install::run(args, output),
        Verb::Activate(args) => activate::run(args, output),
        Verb::Rollback(args) => rollback::run(args, output),
        Verb::List(args) => list::run(args, output),
    }
}
