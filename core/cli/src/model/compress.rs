//! `edgemill model compress`: networks in int8, those of a training folder or one from elsewhere.
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use edgemill_capture::look;
use edgemill_learn::recipe::Calibration;
use edgemill_learn::{Trained, compress, quantize_imported};
use serde_json::json;

use super::described;
use super::train::read_pictures;
use crate::exit::Failure;
use crate::network;
use crate::output::Output;
use crate::progress::Bar;

/// Arguments of `edgemill model compress`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: edgemill model compress model --data train
          edgemill model compress yolox_nano.onnx --contract street.toml --data pictures --output street.graph

`edgemill model pack --help` has an example of a contract.")]
pub struct Args {
    /// The training folder, into which the int8 networks are written; or a float graph, an ONNX or a TensorFlow Lite file,
    /// with its contract.
    model: PathBuf,
    /// Pictures that show what range each activation has: those it was trained on; of a network from elsewhere some
    /// dozen such as it will see.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What is to be known of a network from elsewhere.
    #[arg(long, value_name = "FILE", requires = "output")]
    contract: Option<PathBuf>,
    /// What of the ranges of a network from elsewhere is covered.
    #[arg(long, value_enum, default_value_t = Covered::MinMax, requires = "contract")]
    calibration: Covered,
    /// The int8 graph of a network from elsewhere.
    #[arg(long, short, value_name = "FILE", requires = "contract")]
    output: Option<PathBuf>,
}

/// What int8 covers.
#[derive(Clone, Copy, ValueEnum)]
enum Covered {
    /// All that was seen.
    MinMax,
    /// All but the outermost 0.005 % on each side.
    Percentile,
    /// As much as leaves the least square error.
    Mse,
}

/// More pictures change nothing, and all are held at once.
const MOST_PICTURES: usize = 100;

/// Weights int8 per channel, activations int8 per tensor.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let (before, after) = match (&args.contract, &args.output) {
        (Some(contract), Some(to)) => imported(args, contract, to)?,
        _ => trained(&args.model, &args.data)?,
    };
    output.result(
        &json!({ "graph_bytes_f32": before, "graph_bytes_int8": after }),
        format!("{before} bytes in f32, {after} bytes in int8"),
    )
}

fn trained(folder: &Path, data: &Path) -> Result<(usize, usize), Failure> {
    if folder.is_file() {
        let text = format!(
            "{}: a network by itself needs --contract FILE and --output FILE: see `edgemill model compress --help`",
            folder.display()
        );
        return Err(Failure::model(text));
    }
    let trained = Trained::load(folder).map_err(Failure::model)?;
    let dataset = read_pictures(data, &trained.recipe)?;
    let compressed = compress(&trained, &dataset).map_err(Failure::model)?;
    compressed.save(folder).map_err(Failure::model)?;
    Ok((compressed.best_f32().len(), compressed.best_int8().len()))
}

fn imported(args: &Args, contract: &Path, to: &Path) -> Result<(usize, usize), Failure> {
    let bytes = network::read(&args.model)?;
    let graph = network::graph_in(&args.model, &bytes)?;
    let contract = described::read(contract, &graph)?.contract;
    let pictures = pictures(&args.data)?;
    let calibration = match args.calibration {
        Covered::MinMax => Calibration::MinMax,
        Covered::Percentile => Calibration::Percentile,
        Covered::Mse => Calibration::Mse,
    };
    let bar = Bar::new("runs", 0);
    let mut progress = |done: usize, of: usize| bar.at(done as u64, of as u64);
    let int8 = quantize_imported(&graph, &contract, &pictures, calibration, &mut progress);
    bar.done();
    let int8 = int8.map_err(Failure::model)?.to_bytes();
    std::fs::write(to, &int8)
        .map_err(|error| Failure::model(format!("{}: {error}", to.display())))?;
    Ok((graph.to_bytes().len(), int8.len()))
}

/// Those below a folder, evenly chosen where there are very many.
fn pictures(folder: &Path) -> Result<Vec<look::RgbPicture>, Failure> {
    let files = look::pictures(folder).map_err(Failure::model)?;
    let chosen: Vec<_> = files.iter().step_by(files.len().div_ceil(MOST_PICTURES).max(1)).collect();
    let bar = Bar::new("pictures", chosen.len() as u64);
    let open = |(done, path): (usize, &&PathBuf)| {
        bar.at(done as u64, chosen.len() as u64);
        look::open(path).map_err(Failure::model)
    };
    let pictures = chosen.iter().enumerate().map(open).collect();
    bar.done();
    pictures
}
