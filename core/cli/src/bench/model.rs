//! `edgemill bench model`: a network by itself, run after run on one input, every layer every time.
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edgemill_engine::graph::{Graph, Limits};
use edgemill_engine::kernels::{self, Kernel};
use edgemill_engine::{Engine, Layer, Plan};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill bench model`.
#[derive(clap::Args)]
#[command(after_help = "Example: taskset -c 1 edgemill bench model model.graph --profile")]
pub struct Args {
    /// The network: a graph of int8 nodes.
    file: PathBuf,
    /// How many threads share each layer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// How long to measure, after a warm-up.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Show what each layer costs.
    #[arg(long)]
    profile: bool,
    /// Run on this kernel instead of the fastest.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
}

/// What it came to.
#[derive(Serialize)]
struct Measured {
    median_us: f64,
    min_us: f64,
    p99_us: f64,
    n: usize,
    arena_bytes: usize,
    weights_bytes: usize,
    kernel: &'static str,
    threads: usize,
    output: Vec<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Vec<Cost>>,
}

/// What one layer costs.
#[derive(Serialize)]
struct Cost {
    layer: String,
    work: &'static str,
    shape: Vec<u32>,
    us: f64,
    macs: u64,
    share_of_peak: f64,
}

/// Measures, and profiles where that is wanted.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let kernel = kernel(args.kernel.as_deref())?;
    let bytes = read(&args.file)?;
    let graph = Graph::from_bytes(&bytes, Limits::default()).map_err(Failure::model)?;
    let plan = Plan::new(&graph, kernel).map_err(Failure::model)?.threads(args.threads);
    let memory = vec![0; plan.memory_bytes()];
    let engine = Engine::new(plan, &graph, memory).map_err(Failure::model)?;
    let mut bench = Bench::new(engine, &graph);
    let mut times = bench.time(Duration::from_secs_f64(args.seconds.clamp(0.0, 3600.0)))?;
    let profile = if args.profile { Some(bench.profile(kernel)?) } else { None };
    times.sort_unstable();
    let at = |share: usize| us(times[(times.len() * share / 100).min(times.len() - 1)]);
    let measured = Measured {
        median_us: at(50),
        min_us: at(0),
        p99_us: at(99),
        n: times.len(),
        arena_bytes: bench.engine.arena_bytes(),
        weights_bytes: bench.engine.weights_bytes(),
        kernel: kernel.name(),
        threads: args.threads,
        output: bench.outputs.concat().into_iter().map(u8::cast_signed).collect(),
        profile,
    };
    output.result(&measured, page(&measured))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::model(format!("{}: {error}", file.display())))
}

fn kernel(name: Option<&str>) -> Result<&'static dyn Kernel, Failure> {
    let Some(name) = name else { return Ok(kernels::best()) };
    kernels::by_name(name).ok_or_else(|| {
        let names: Vec<_> = kernels::available().iter().map(|kernel| kernel.name()).collect();
        let names = names.join(", ");
        Failure::model(format!("this processor has no kernel {name:?}; it has: {names}"))
    })
}

/// An engine with an input and room for its outputs.
struct Bench {
    engine: Engine,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

impl Bench {
    /// Byte i of each input is i × 37 mod 251 − 128.
    fn new(engine: Engine, graph: &Graph<'_>) -> Self {
        let bytes = |id| graph.value(id).spec().bytes();
        let byte = |i: usize| u8::try_from(i * 37 % 251).expect("below 251").wrapping_sub(128);
        let input = |id| (0..bytes(id)).map(byte).collect();
        let inputs = graph.inputs().map(input).collect();
        let outputs = graph.outputs().iter().map(|&id| vec![0; bytes(id)]).collect();
        Self { engine, inputs, outputs }
    }

    fn run(&mut self, done: impl FnMut(usize)) -> Result<(), Failure> {
        let inputs: Vec<&[u8]> = self.inputs.iter().map(Vec::as_slice).collect();
        let mut outputs: Vec<&mut [u8]> = self.outputs.iter_mut().map(Vec::as_mut_slice).collect();
        self.engine.run_watched(&inputs, &mut outputs, done).map_err(Failure::model)
    }

    /// The time of every run, after as many that are not counted as take a third of the time.
    fn time(&mut self, wanted: Duration) -> Result<Vec<Duration>, Failure> {
        let start = Instant::now();
        self.run(|_| ())?;
        while start.elapsed() < wanted / 3 {
            self.run(|_| ())?;
        }
        let mut times = Vec::with_capacity(1 << 16);
        let start = Instant::now();
        while times.is_empty() || start.elapsed() < wanted {
            let before = Instant::now();
            self.run(|_| ())?;
            times.push(before.elapsed());
        }
        Ok(times)
    }

    /// The least time of each layer over some runs.
    fn profile(&mut self, kernel: &dyn Kernel) -> Result<Vec<Cost>, Failure> {
        const RUNS: usize = 50;
        let layers = self.engine.layers().to_vec();
        let mut least = vec![Duration::MAX; layers.len()];
        for _ in 0..RUNS {
            let mut before = Instant::now();
            self.run(|number| {
                let now = Instant::now();
                least[number] = least[number].min(now - before);
                before = Instant::now();
            })?;
        }
        let peak = kernels::peak_macs_per_us(kernel);
        let cost = |(layer, time): (Layer, Duration)| {
            let Layer { name, work, shape, macs } = layer;
            let share_of_peak = real(macs) / us(time).max(1e-3) / peak;
            Cost { layer: name, work, shape, us: us(time), macs, share_of_peak }
        };
        Ok(layers.into_iter().zip(least).map(cost).collect())
    }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for a ratio that is shown")]
fn real(macs: u64) -> f64 {
    macs as f64
}

fn page(measured: &Measured) -> String {
    let Measured { median_us, min_us, p99_us, n, arena_bytes, weights_bytes, kernel, .. } =
        measured;
    let mut text = format!(
        "{median_us:.2} µs median, {min_us:.2} least, {p99_us:.2} p99, of {n} runs on {kernel}\n\
         {weights_bytes} bytes of weights, {arena_bytes} to compute in"
    );
    for cost in measured.profile.iter().flatten() {
        let shape: Vec<_> = cost.shape.iter().map(u32::to_string).collect();
        let _ = write!(
            text,
            "\n{:>9.2} µs {:>10} MACs {:>5.1} %  {:12} {:14} {}",
            cost.us,
            cost.macs,
            cost.share_of_peak * 100.0,
            cost.work,
            shape.join("×"),
            cost.layer
        );
    }
    text
}
