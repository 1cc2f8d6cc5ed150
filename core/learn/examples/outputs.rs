//! Prints, for each JPEG below a folder, its name and the bytes that a model's int8 graph gives for it, so that two machines
//! can be compared line by line. Pictures are drawn and prepared as the pipeline does it.
//!
//!     cargo run --release -p edgemill-learn --example outputs -- GRAPH CONTRACT.json FOLDER
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use edgemill_engine::Engine;
use edgemill_learn::picture::Camera;
use edgemill_model::contract::Contract;
use edgemill_model::graph::{Graph, Limits};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [graph, contract, folder] = &arguments[..] else {
        return Err("usage: outputs GRAPH CONTRACT.json FOLDER".into());
    };
    let bytes = std::fs::read(graph)?;
    let graph = Graph::from_bytes(&bytes, Limits::default())?;
    let contract: Contract = serde_json::from_slice(&std::fs::read(contract)?)?;
    print(&graph, &contract, folder)
}

fn print(graph: &Graph<'_>, contract: &Contract, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::load(graph)?;
    let mut camera = Camera::new([640, 480]);
    let mut preparer = camera.preparer(contract)?;
    let mut input = vec![0; preparer.output_bytes()];
    let mut output = vec![0; graph.value(graph.outputs()[0]).spec().bytes()];
    let mut out = std::io::stdout().lock();
    for path in pictures(folder)? {
        camera.show(&path)?;
        camera.prepare(&mut preparer, &mut input)?;
        engine.run(&[&input], &mut [&mut output])?;
        let hex: String = output.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "{hex} {}", path.strip_prefix(folder)?.display())?;
    }
    eprintln!("kernel {}", engine.kernel());
    Ok(())
}

/// All JPEGs below `folder`, in the order of their names.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(pictures(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "jpg") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
