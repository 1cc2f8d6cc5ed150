//! `edgemill bench …`: what a pipeline, or a model, costs.
mod model;
mod pipeline;
mod tensors;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Output;

/// The verbs of `edgemill bench`.
#[derive(Subcommand)]
pub enum Verb {
    /// Send buffers through four stages, each a plugin, and measure what a frame costs.
    Pipeline(pipeline::Args),
    /// Run a network and measure what a run costs.
    Model(model::Args),
}

/// Runs one of them.
pub fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Pipeline(args) => pipeline::run(args, output),
        Verb::Model(args) => model::run(args, output),
    }
}
