//! Microseconds for one run of a graph, by every kernel of this processor.
//!
//!     cargo run --release -p edgemill-engine --example bench [GRAPH]
//!
//! Without a graph it runs a small network of random weights: 3×3 convolution to 32 channels, pool, 3×3 convolution to 64,
//! pool, dense 64, dense 3, on a picture of 32×32×3.
use std::error::Error;
use std::time::{Duration, Instant};

use edgemill_engine::{Engine, Plan, kernels};
use edgemill_model::graph::{Graph, Limits};

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/network/mod.rs"]
mod network;

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => network::small(2026).to_bytes(),
    };
    let graph = Graph::from_bytes(&bytes, Limits::default())?;
    println!("{} multiplications", graph.macs());
    for kernel in kernels::available() {
        let plan = Plan::new(&graph, kernel)?;
        let memory = vec![0; plan.memory_bytes()];
        let (median, least) = time(Engine::new(plan, &graph, memory)?, &graph)?;
        println!("{:24} median {median:8.2} µs, least {least:8.2} µs", kernel.name());
    }
    Ok(())
}

/// Median and least time of a run, over a second.
fn time(mut engine: Engine, graph: &Graph<'_>) -> Result<(f64, f64), Box<dyn Error>> {
    let bytes = |id| vec![0; graph.value(id).spec().bytes()];
    let inputs: Vec<Vec<u8>> = graph.inputs().map(bytes).collect();
    let mut outputs: Vec<Vec<u8>> = graph.outputs().iter().copied().map(bytes).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_secs(1) {
        let before = Instant::now();
        engine.run(&inputs, &mut outputs)?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let microseconds = |t: Duration| t.as_secs_f64() * 1e6;
    Ok((microseconds(times[times.len() / 2]), microseconds(times[0])))
}
