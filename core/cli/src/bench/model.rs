//! `edgemill bench model`: a network by itself, run after run on one input, every layer every time.
use std::fmt::Write;
use std::time::{Duration, Instant};

use edgemill_engine::kernels::{self, Kernel};
use edgemill_engine::{Engine, EngineError, Layer};
use edgemill_model::graph::Graph;
use serde::Serialize;
use serde_json::Value;

use super::tensors::{Shown, input};
use crate::exit::Failure;
use crate::network;
use crate::output::Output;
use crate::runner::{Runner, hold_to};

/// Arguments of `edgemill bench model`.
#[derive(clap::Args)]
#[command(after_help = "\
A network that is not int8 throughout is measured in real numbers, as infer-candle runs it; stderr and JSON
(`arithmetic`) say so.

JSON: median_us, min_us and p99_us of n runs; arena_bytes and weights_bytes; memory_bytes, the resident memory that
loading and a first run added; kernel; threads; output, the elements of all outputs in their order, int8 (uint8 less
128), for inputs whose element i, in the order batch, height, width, channel, is i * 37 mod 251 - 128.

Example: taskset -c 1 edgemill bench model mobilenet.tflite --profile")]
pub struct Args {
    #[command(flatten)]
    network: network::Args,
    /// How many threads share each layer.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
    /// How long to measure, after a warm-up.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Show what each layer costs: its least time, its multiplications, and how near the peak of one core that is.
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
    arithmetic: &'static str,
    kernel: &'static str,
    threads: usize,
    /// `None` in real numbers: candle takes memory as it goes.
    arena_bytes: Option<usize>,
    weights_bytes: Option<usize>,
    memory_bytes: Option<u64>,
    output: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
}

/// What the layers cost.
#[derive(Serialize)]
struct Profile {
    peak_macs_per_us: f64,
    layers: Vec<Cost>,
}

/// What one layer costs.
#[derive(Serialize)]
struct Cost {
    layer: String,
    work: &'static str,
    shape: Vec<u32>,
    us: f64,
    macs: u64,
    share_of_time: f64,
    share_of_peak: f64,
}

/// Measures, and profiles where that is wanted.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let before = resident();
    let mut bench = Bench::load(args)?;
    bench.time(Duration::ZERO)?;
    let memory_bytes = resident().zip(before).map(|(now, before)| now.saturating_sub(before));
    let mut times = bench.time(Duration::from_secs_f64(args.seconds.clamp(0.0, 3600.0)))?;
    let profile = if args.profile { Some(bench.profile()?) } else { None };
    times.sort_unstable();
    let at = |share: usize| us(times[(times.len() * share / 100).min(times.len() - 1)]);
    let Bench { runner, outputs, shown, threads, .. } = &bench;
    let engine = runner.engine();
    let measured = Measured {
        median_us: at(50),
        min_us: at(0),
        p99_us: at(99),
        n: times.len(),
        arithmetic: runner.arithmetic(),
        kernel: engine.map_or("candle", Engine::kernel),
        threads: *threads,
        arena_bytes: engine.map(Engine::arena_bytes),
        weights_bytes: engine.map(Engine::weights_bytes),
        memory_bytes,
        output: shown.iter().zip(outputs).flat_map(|(shown, y)| shown.elements(y)).collect(),
        profile,
    };
    output.result(&measured, page(&measured))
}

/// A network that is ready to run, its inputs, and room for its outputs.
struct Bench {
    runner: Runner,
    threads: usize,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
    shown: Vec<Shown>,
}

impl Bench {
    /// The file and its graph are let go: only what a run needs is kept.
    fn load(args: &Args) -> Result<Self, Failure> {
        let network = args.network.open()?;
        let graph = args.network.graph(&network)?;
        let (runner, threads) = runner(args, &graph)?;
        let room = |&id| vec![0; graph.value(id).spec().bytes()];
        Ok(Self {
            runner,
            threads,
            inputs: graph.inputs().map(|id| input(&graph, id)).collect(),
            outputs: graph.outputs().iter().map(room).collect(),
            shown: graph.outputs().iter().map(|&id| Shown::of(&graph, id)).collect(),
        })
    }

    /// The time of every run, after as many that are not counted as take a third of the time.
    fn time(&mut self, wanted: Duration) -> Result<Vec<Duration>, Failure> {
        let Self { runner, inputs, outputs, .. } = self;
        let (inputs, mut outputs) = (slices(inputs), slices_mut(outputs));
        let start = Instant::now();
        while start.elapsed() < wanted / 3 {
            runner.run(&inputs, &mut outputs, |_| ())?;
        }
        let mut times = Vec::with_capacity(1 << 16);
        let start = Instant::now();
        while times.is_empty() || start.elapsed() < wanted {
            let before = Instant::now();
            runner.run(&inputs, &mut outputs, |_| ())?;
            times.push(before.elapsed());
        }
        Ok(times)
    }

    /// The least time of each layer over some runs.
    fn profile(&mut self) -> Result<Profile, Failure> {
        const RUNS: usize = 50;
        let Self { runner, inputs, outputs, .. } = self;
        let (inputs, mut outputs) = (slices(inputs), slices_mut(outputs));
        let layers = runner.engine().map(Engine::layers).unwrap_or_default().to_vec();
        let mut least = vec![Duration::MAX; layers.len()];
        for _ in 0..RUNS {
            let mut before = Instant::now();
            runner.run(&inputs, &mut outputs, |number| {
                least[number] = least[number].min(before.elapsed());
                before = Instant::now();
            })?;
        }
        let kernel = runner.engine().and_then(|engine| kernels::by_name(engine.kernel()));
        let peak_macs_per_us = kernel.map_or(f64::INFINITY, kernels::peak_macs_per_us);
        let all: Duration = least.iter().sum();
        let cost = |(layer, time): (Layer, Duration)| {
            let Layer { name, work, shape, macs } = layer;
            let share_of_time = time.as_secs_f64() / all.as_secs_f64().max(1e-9);
            let share_of_peak = real(macs) / us(time).max(1e-3) / peak_macs_per_us;
            Cost { layer: name, work, shape, us: us(time), macs, share_of_time, share_of_peak }
        };
        let layers = layers.into_iter().zip(least).map(cost).collect();
        Ok(Profile { peak_macs_per_us, layers })
    }
}

/// On the engine, in real numbers only where it cannot, and by how many threads.
fn runner(args: &Args, graph: &Graph<'_>) -> Result<(Runner, usize), Failure> {
    let kernel = args.kernel.as_deref().map(kernel).transpose()?;
    let threads = args.threads.into();
    match Runner::int8(graph, kernel.unwrap_or_else(kernels::best), threads) {
        Ok(runner) => Ok((runner, threads)),
        Err(why @ (EngineError::Float(_) | EngineError::Unsupported(_)))
            if kernel.is_none() && !args.profile =>
        {
            args.network.note_real(&why);
            let threads = hold_to(threads);
            Ok((Runner::real(graph)?, threads))
        }
        Err(why) => Err(args.network.failure(&why)),
    }
}

fn kernel(name: &str) -> Result<&'static dyn Kernel, Failure> {
    kernels::by_name(name).ok_or_else(|| {
        let names: Vec<_> = kernels::available().iter().map(|kernel| kernel.name()).collect();
        let names = names.join(", ");
        Failure::model(format!("this processor has no kernel {name:?}; it has: {names}"))
    })
}

fn slices(tensors: &[Vec<u8>]) -> Vec<&[u8]> {
    tensors.iter().map(Vec::as_slice).collect()
}

fn slices_mut(tensors: &mut [Vec<u8>]) -> Vec<&mut [u8]> {
    tensors.iter_mut().map(Vec::as_mut_slice).collect()
}

/// Bytes of this process that lie in memory now; counted page by page, where the kernel does that.
fn resident() -> Option<u64> {
    let counted = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = counted.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for a ratio that is shown")]
fn real(macs: u64) -> f64 {
    macs as f64
}

fn page(measured: &Measured) -> String {
    let Measured { median_us, min_us, p99_us, n, arithmetic, kernel, weights_bytes, .. } = measured;
    let mut text = format!(
        "{median_us:.2} µs median, {min_us:.2} least, {p99_us:.2} p99, of {n} runs in {arithmetic} on {kernel}
"
    );
    if let (Some(weights), Some(arena)) = (weights_bytes, measured.arena_bytes) {
        let _ = write!(text, "{weights} bytes of weights, {arena} to compute in; ");
    }
    if let Some(memory) = measured.memory_bytes {
        let _ = write!(text, "loading and a first run added {memory} bytes to memory");
    }
    if let Some(profile) = &measured.profile {
        table(profile, &mut text);
    }
    text
}

fn table(profile: &Profile, text: &mut String) {
    let _ = write!(
        text,
        "

{:>9} {:>6} {:>11} {:>7}  {:12} {:14} layer",
        "µs", "share", "MACs", "of peak", "work", "makes"
    );
    for cost in &profile.layers {
        let shape: Vec<_> = cost.shape.iter().map(u32::to_string).collect();
        let peak = if cost.macs == 0 { String::new() } else { percent(cost.share_of_peak) };
        let _ = write!(
            text,
            "
{:>9.2} {:>6} {:>11} {peak:>7}  {:12} {:14} {}",
            cost.us,
            percent(cost.share_of_time),
            cost.macs,
            cost.work,
            shape.join("×"),
            cost.layer
        );
    }
    let us: f64 = profile.layers.iter().map(|cost| cost.us).sum();
    let macs: u64 = profile.layers.iter().map(|cost| cost.macs).sum();
    let peak = percent(real(macs) / us.max(1e-3) / profile.peak_macs_per_us);
    let _ = write!(
        text,
        "
{us:>9.2} {:>6} {macs:>11} {peak:>7}  all; the peak of one core is {:.0} MACs a µs",
        percent(1.0),
        profile.peak_macs_per_us
    );
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
