//! `edgemill model run`: a network on tensors in NumPy's format.
use std::path::PathBuf;

use edgemill_engine::Engine;
use edgemill_import::Options;
use edgemill_learn::reference::Reference;
use edgemill_model::graph::{Graph, Limits, MAGIC, ValueId};
use edgemill_model::tensor::{DType, TensorSpec};
use serde_json::json;

use super::import;
use super::npy::Array;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model run`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: edgemill model run mobilenet.tflite --input x.npy --output results"
)]
pub struct Args {
    /// A graph, or an ONNX or TensorFlow Lite file.
    file: PathBuf,
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
    let bytes = import::read(&args.file)?;
    let named =
        |error: &dyn std::fmt::Display| Failure::model(format!("{}: {error}", args.file.display()));
    let graph = if bytes.starts_with(&MAGIC) {
        Graph::from_bytes(&bytes, Limits::default()).map_err(|error| named(&error))?
    } else {
        import::import(&args.file, &bytes, &Options::default())?
    };
    let inputs = inputs(args, &graph)?;
    let engine = if args.reference { None } else { Engine::load(&graph).ok() };
    let (results, how) = match engine {
        Some(mut engine) => (on_engine(&graph, &mut engine, &inputs)?, "int8"),
        None => (on_reference(&graph, &inputs)?, "f32"),
    };
    std::fs::create_dir_all(&args.output).map_err(|error| named(&error))?;
    let mut files = Vec::new();
    for (&id, array) in graph.outputs().iter().zip(results) {
        let path = args.output.join(file_name(graph.value(id).name(), files.len()));
        array.write(&path)?;
        files.push(path.display().to_string());
    }
    output.result(
        &json!({ "arithmetic": how, "outputs": files }),
        format!("{how}: {}", files.join(", ")),
    )
}

fn file_name(name: &str, at: usize) -> String {
    let name = if name.is_empty() { format!("output{at}") } else { name.replace(['/', ':'], "_") };
    format!("{name}.npy")
}

/// One tensor for each input, in the graph's order.
fn inputs(args: &Args, graph: &Graph<'_>) -> Result<Vec<Array>, Failure> {
    let ids: Vec<ValueId> = graph.inputs().collect();
    let mut given: Vec<Option<Array>> = ids.iter().map(|_| None).collect();
    for input in &args.input {
        let place = |name: &str| ids.iter().position(|&id| graph.value(id).name() == name);
        let named = input.split_once('=').and_then(|(name, file)| Some((place(name)?, file)));
        let (at, file) = match named {
            Some((at, file)) => (Some(at), file),
            None => (given.iter().position(Option::is_none), input.as_str()),
        };
        let at = at.ok_or_else(|| {
            Failure::model(format!("{input}: the network has {} inputs", ids.len()))
        })?;
        let array = Array::read(file.as_ref())?;
        check(file, &array, graph.value(ids[at]).spec())?;
        given[at] = Some(array);
    }
    let names = || ids.iter().map(|&id| graph.value(id).name()).collect::<Vec<_>>().join(", ");
    given
        .into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| Failure::model(format!("an input is missing; there are {}", names())))
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

fn on_engine(
    graph: &Graph<'_>,
    engine: &mut Engine,
    inputs: &[Array],
) -> Result<Vec<Array>, Failure> {
    let ids: Vec<ValueId> = graph.inputs().collect();
    let bytes: Vec<Vec<u8>> = ids
        .iter()
        .zip(inputs)
        .map(|(&id, array)| array.bytes(graph.value(id).spec().dtype))
        .collect();
    let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let mut results: Vec<Vec<u8>> =
        graph.outputs().iter().map(|&id| vec![0; graph.value(id).spec().bytes()]).collect();
    let mut views: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
    engine.run(&slices, &mut views).map_err(Failure::internal)?;
    let array = |(&id, bytes): (&ValueId, Vec<u8>)| Array::of_bytes(graph.value(id).spec(), &bytes);
    Ok(graph.outputs().iter().zip(results).map(array).collect())
}

fn on_reference(graph: &Graph<'_>, inputs: &[Array]) -> Result<Vec<Array>, Failure> {
    let ids: Vec<ValueId> = graph.inputs().collect();
    let real = |(&id, array): (&ValueId, &Array)| {
        let mut elements = array.elements.clone();
        if let (Some(rule), true) = (graph.value(id).spec().quantization, array.dtype != DType::F32)
        {
            elements
                .iter_mut()
                .for_each(|e| *e = (*e - f64::from(rule.zero_point)) * f64::from(rule.scale));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the reference computes in f32")]
        elements.into_iter().map(|e| e as f32).collect::<Vec<f32>>()
    };
    let reals: Vec<Vec<f32>> = ids.iter().zip(inputs).map(real).collect();
    let slices: Vec<&[f32]> = reals.iter().map(Vec::as_slice).collect();
    let reference = Reference::new(graph).map_err(Failure::model)?;
    let results = reference.run(&slices).map_err(Failure::model)?;
    let array =
        |(&id, elements): (&ValueId, Vec<f32>)| Array::of_reals(graph.value(id).spec(), &elements);
    Ok(graph.outputs().iter().zip(results).map(array).collect())
}
