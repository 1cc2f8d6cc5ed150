//! `edgemill model compress`: the networks of a training folder, in int8.
use std::path::PathBuf;

use edgemill_learn::{Trained, compress};
use serde_json::json;

use super::train::read_pictures;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model compress`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model compress model --data train")]
pub struct Args {
    /// The training folder; the int8 networks are written into it.
    folder: PathBuf,
    /// The pictures it was trained on, which show what range each activation has.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Weights int8 per channel, activations int8 per tensor.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let trained = Trained::load(&args.folder).map_err(Failure::model)?;
    let dataset = read_pictures(&args.data, &trained.recipe)?;
    let compressed = compress(&trained, &dataset).map_err(Failure::model)?;
    compressed.save(&args.folder).map_err(Failure::model)?;
    let (before, after) = (compressed.best_f32().len(), compressed.best_int8().len());
    output.result(
        &json!({ "graph_bytes_f32": before, "graph_bytes_int8": after }),
        format!("{before} bytes in f32, {after} bytes in int8"),
    )
}
