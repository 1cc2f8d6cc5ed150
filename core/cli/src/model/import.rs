//! `edgemill model import`: an ONNX or TensorFlow Lite file becomes a graph.
use std::collections::BTreeMap;
use std::path::PathBuf;

use edgemill_import::Options;
use edgemill_model::graph::{Graph, Op, ValueId};
use serde_json::json;

use crate::exit::Failure;
use crate::network;
use crate::output::Output;

/// Arguments of `edgemill model import`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model import mobilenet.tflite -o mobilenet.graph")]
pub struct Args {
    /// An ONNX or TensorFlow Lite file.
    file: PathBuf,
    /// The graph.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Inputs that an ONNX network reads as pictures take batch, height, width, channel.
    #[arg(long)]
    channels_last: bool,
    /// The shape of an input that an ONNX file leaves open, as the file orders its axes: x=1,3,224,224.
    #[arg(long, value_name = "[NAME=]SIZES", value_parser = sizes)]
    shape: Vec<(String, Vec<u32>)>,
}

/// The sizes of an input, and its name if one is given.
fn sizes(text: &str) -> Result<(String, Vec<u32>), String> {
    let (name, list) = text.rsplit_once('=').unwrap_or(("", text));
    let sizes: Result<Vec<u32>, _> = list.split(',').map(|size| size.trim().parse()).collect();
    match sizes {
        Ok(sizes) if !sizes.contains(&0) => Ok((name.to_owned(), sizes)),
        _ => Err(format!("{list:?} is no list of sizes, such as 1,3,224,224")),
    }
}

/// Imports, and prints what it is.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let bytes = network::read(&args.file)?;
    let options = Options {
        channels_last: args.channels_last,
        shapes: args.shape.clone(),
        ..Options::default()
    };
    let graph = network::import(&args.file, &bytes, &options)?;
    let written = graph.to_bytes();
    std::fs::write(&args.output, &written)
        .map_err(|error| Failure::model(format!("{}: {error}", args.output.display())))?;
    let tensors = |ids: &[ValueId]| ids.iter().map(|&id| tensor(&graph, id)).collect::<Vec<_>>();
    let (inputs, outputs) =
        (tensors(&graph.inputs().collect::<Vec<_>>()), tensors(graph.outputs()));
    let operations = operations(&graph);
    let file = args.output.display().to_string();
    let text = page(&file, written.len(), &graph, &operations);
    let macs = graph.macs();
    output.result(
        &json!({
            "file": file, "bytes": written.len(), "inputs": inputs, "outputs": outputs, "macs": macs,
            "constant_bytes": graph.constant_bytes(), "operations": operations,
        }),
        text,
    )
}

fn tensor(graph: &Graph<'_>, id: ValueId) -> serde_json::Value {
    let value = graph.value(id);
    let spec = value.spec();
    json!({ "name": value.name(), "dtype": spec.dtype, "shape": spec.shape, "quantization": spec.quantization })
}

/// How many nodes do what.
fn operations(graph: &Graph<'_>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, node) in graph.nodes() {
        let name = match &node.op {
            Op::Binary { function, .. } => format!("{function:?}"),
            Op::Unary(function) => first_word(&format!("{function:?}")),
            Op::Reduce { by, .. } => format!("Reduce{by:?}"),
            op => first_word(&format!("{op:?}")),
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

fn page(
    file: &str,
    bytes: usize,
    graph: &Graph<'_>,
    operations: &BTreeMap<String, usize>,
) -> String {
    let mut lines = vec![format!("{file}: {bytes} bytes, {} multiplications", graph.macs())];
    let line = |side: &str, id: ValueId| {
        let value = graph.value(id);
        let shape: Vec<String> = value.spec().shape.iter().map(u32::to_string).collect();
        let dtype = format!("{:?}", value.spec().dtype).to_lowercase();
        format!("{side}  {} {dtype} {}", value.name(), shape.join("×"))
    };
    lines.extend(graph.inputs().map(|id| line("input ", id)));
    lines.extend(graph.outputs().iter().map(|&id| line("output", id)));
    let counts: Vec<String> =
        operations.iter().map(|(name, count)| format!("{count} {name}")).collect();
    lines.push(format!("nodes   {}", counts.join(", ")));
    lines.join("\n")
}
