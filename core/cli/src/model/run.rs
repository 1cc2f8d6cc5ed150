//! `edgemill model run`: a network on tensors in NumPy's format.
use std::path::{Path, PathBuf};

use edgemill_engine::kernels;
use edgemill_model::graph::{Graph, ValueId};
use edgemill_model::tensor::TensorSpec;
use serde_json::json;

use super::npy::Array;
use crate::exit::Failure;
use crate::network;
use crate::output::Output;
use crate::runner::Runner;

/// Arguments of `edgemill model run`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: edgemill model run mobilenet.tflite --input x.npy --output results"
)]
pub struct Args {
    #[command(flatten)]
    network: network::Args,
    /// A tensor for an input, `NAME=FILE`; without a name, for the next input that has none.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    input: Vec<String>,
    /// The folder for the outputs: a file for each, named after it with `/` and `:` as `_`.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// In real numbers, even if the network is int8.
    #[arg(long)]
    reference: bool,
}

/// Runs once, in int8 where the whole network is, else in f32.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let network = args.network.open()?;
    let graph = args.network.graph(&network)?;
    let inputs = inputs(args, &graph)?;
    std::fs::create_dir_all(&args.output).map_err(|error| {
        let folder = args.output.display();
        Failure::model(format!("{folder}: cannot be made a folder for the outputs: {error}"))
    })?;
    let (mut runner, because) = match int8(args, &graph) {
        Ok(runner) => (runner, None),
        Err(why) => (Runner::real(&graph)?, Some(why)),
    };
    if let Some(why) = &because {
        args.network.note_real(why);
    }
    let bytes = |&id: &ValueId| vec![0; graph.value(id).spec().bytes()];
    let mut results: Vec<Vec<u8>> = graph.outputs().iter().map(bytes).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut views: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
    runner.run(&inputs, &mut views, |_| ())?;
    let (arithmetic, files) = (runner.arithmetic(), write(args, &graph, &results)?);
    let text = format!("{arithmetic}: {}", files.join(", "));
    output.result(&json!({ "arithmetic": arithmetic, "because": because, "outputs": files }), text)
}

/// On the engine, or why not.
fn int8(args: &Args, graph: &Graph<'_>) -> Result<Runner, String> {
    if args.reference {
        return Err("--reference says so".into());
    }
    Runner::int8(graph, kernels::best(), 1).map_err(|error| error.to_string())
}

/// A file for each output.
fn write(args: &Args, graph: &Graph<'_>, results: &[Vec<u8>]) -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    for (&id, bytes) in graph.outputs().iter().zip(results) {
        let value = graph.value(id);
        let path = args.output.join(file_name(value.name(), files.len()));
        Array::of_bytes(value.spec(), bytes).write(&path)?;
        files.push(path.display().to_string());
    }
    Ok(files)
}

fn file_name(name: &str, at: usize) -> String {
    let name = if name.is_empty() { format!("output{at}") } else { name.replace(['/', ':'], "_") };
    format!("{name}.npy")
}

/// The bytes of each input, in the graph's order.
fn inputs(args: &Args, graph: &Graph<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    let ids: Vec<ValueId> = graph.inputs().collect();
    let mut given: Vec<Option<Vec<u8>>> = ids.iter().map(|_| None).collect();
    let names = || ids.iter().map(|&id| graph.value(id).name()).collect::<Vec<_>>().join(", ");
    for input in &args.input {
        let place = |name: &str| ids.iter().position(|&id| graph.value(id).name() == name);
        let named = input.split_once('=').and_then(|(name, file)| Some((place(name)?, file)));
        let (at, file) = match named {
            Some((at, file)) => (Some(at), file),
            None => (given.iter().position(Option::is_none), input.as_str()),
        };
        let at = at.ok_or_else(|| {
            Failure::model(format!(
                "{input}: a file too many; the network's inputs are {}",
                names()
            ))
        })?;
        if let Some((name, file)) = input.split_once('=')
            && named.is_none()
            && !Path::new(input).exists()
        {
            let told = format!("{name}={file}: no input has this name; there are {}", names());
            return Err(Failure::model(told));
        }
        let (array, spec) = (Array::read(file.as_ref())?, graph.value(ids[at]).spec());
        check(file, &array, spec)?;
        let bytes = array.bytes(spec).map_err(|said| Failure::model(format!("{file}: {said}")))?;
        given[at] = Some(bytes);
    }
    given.into_iter().collect::<Option<_>>().ok_or_else(|| {
        Failure::model(format!(
            "an input is missing: give --input [NAME=]FILE for each of {}",
            names()
        ))
    })
}

fn check(file: &str, array: &Array, spec: &TensorSpec) -> Result<(), Failure> {
    let needed: Vec<usize> = spec.shape.iter().map(|&d| d as usize).collect();
    if array.shape != needed {
        return Err(Failure::model(format!(
            "{file}: shape {:?}, the network takes {needed:?}",
            array.shape
        )));
    }
    Ok(())
}
