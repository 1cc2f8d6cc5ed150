//! `edgemilld check`: what a pipeline would be, or everything that keeps it from being. Changes nothing on disk; what
//! plugins do when they are loaded happens in this process and ends with it.
use std::fmt::Write;
use std::sync::Arc;

use edgemill_config::Config;
use edgemill_host::LogThread;
use edgemill_pipeline::format::describe;
use serde::Serialize;

use crate::args::Check;
use crate::assembly::{Assembled, Known, assemble};
use crate::exit::Failure;
use crate::log;
use crate::maker::{Gauges, Maker};
use crate::models::{Models, Shelf, TrustFile};
use crate::plugins::Plugins;

/// All of a configuration, agreed on.
#[derive(Debug, Serialize)]
struct Checked {
    board: String,
    pipelines: Vec<CheckedPipeline>,
}

#[derive(Debug, Serialize)]
struct CheckedPipeline {
    name: String,
    stages: Vec<CheckedStage>,
    edges: Vec<CheckedEdge>,
    pool_bytes: u64,
}

#[derive(Debug, Serialize)]
struct CheckedStage {
    name: String,
    work: String,
    cpus: Vec<usize>,
    inputs: Vec<CheckedInput>,
    outputs: Vec<CheckedOutput>,
}

#[derive(Debug, Serialize)]
struct CheckedInput {
    port: String,
    format: String,
    held: u32,
}

#[derive(Debug, Serialize)]
struct CheckedOutput {
    port: String,
    format: String,
    burst: u32,
    buffers: u32,
    buffer_bytes: u64,
}

#[derive(Debug, Serialize)]
struct CheckedEdge {
    from: String,
    to: String,
    overflow: String,
    capacity: u32,
}

/// Checks the files and prints what came of it.
///
/// # Errors
/// Everything that is wrong.
pub fn run(args: &Check) -> Result<(), Failure> {
    let config = Config::load(&args.files).map_err(Failure::configuration)?;
    let trust = Arc::new(TrustFile::new(&config.board.paths));
    let plugins = Plugins::open(&config.board, &trust)?;
    let shelf = Arc::new(Shelf::look(&config.board.paths)?);
    let models = Models::new(shelf, trust, &config.board, &config.access);
    let lines = LogThread::start(log::plugin_line).map_err(Failure::internal)?;
    let gauges = Arc::<Gauges>::default();
    let maker = Arc::new(Maker::new(plugins, models, Arc::new(lines), gauges));
    let assembled = assemble(&config, &maker, &Known::default())?;
    let checked = Checked {
        board: config.board.name.value.clone(),
        pipelines: assembled.iter().map(checked).collect(),
    };
    print(&checked, args.json)
}

fn print(checked: &Checked, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string_pretty(checked).map_err(Failure::internal)? + "\n"
    } else {
        table(checked)
    };
    log::out(&text);
    Ok(())
}

fn checked(pipeline: &Assembled) -> CheckedPipeline {
    let plan = &pipeline.plan;
    let stage = |&index: &usize| {
        let (stage, spec) = (&plan.stages[index], &pipeline.spec.stages[index]);
        let inputs = stage.inputs.iter().map(|input| CheckedInput {
            port: input.port.clone(),
            format: describe(&input.format),
            held: input.held,
        });
        let outputs = stage.outputs.iter().map(|output| CheckedOutput {
            port: output.port.clone(),
            format: describe(&output.format),
            burst: output.burst,
            buffers: output.buffers,
            buffer_bytes: output.buffer_bytes,
        });
        CheckedStage {
            name: stage.name.clone(),
            work: pipeline.identities[index].work.clone(),
            cpus: spec.cpu.clone(),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
        }
    };
    let edges = plan.edges.iter().map(|edge| CheckedEdge {
        from: plan.giver(edge.from),
        to: plan.taker(edge.to),
        overflow: edge.overflow.word().to_owned(),
        capacity: edge.capacity,
    });
    CheckedPipeline {
        name: plan.name.clone(),
        stages: plan.order.iter().map(stage).collect(),
        edges: edges.collect(),
        pool_bytes: plan.pool_bytes(),
    }
}

/// For a person: a line for each stage and, under it, one for each output and each edge that begins there.
fn table(checked: &Checked) -> String {
    let mut text = String::new();
    for pipeline in &checked.pipelines {
        let _ = writeln!(text, "pipeline {} on board {}", pipeline.name, checked.board);
        let width =
            |of: fn(&CheckedStage) -> usize| pipeline.stages.iter().map(of).max().unwrap_or(0);
        let (name, work) = (width(|stage| stage.name.len()), width(|stage| stage.work.len()));
        for stage in &pipeline.stages {
            let cpus = match stage.cpus.as_slice() {
                [] => "any cpu".to_owned(),
                cpus => format!("cpu {cpus:?}"),
            };
            let _ = writeln!(text, "  {:name$}  {:work$}  {cpus}", stage.name, stage.work);
            for output in &stage.outputs {
                output_lines(&mut text, pipeline, stage, output);
            }
        }
        let _ = writeln!(text, "  pools: {} at most", size(pipeline.pool_bytes));
    }
    if checked.pipelines.is_empty() {
        text.push_str("no pipelines: put a file into the folder\n");
    }
    text
}

fn output_lines(
    text: &mut String,
    pipeline: &CheckedPipeline,
    stage: &CheckedStage,
    output: &CheckedOutput,
) {
    let pool = match output.buffers {
        0 => "no buffers".to_owned(),
        count => format!("{count} buffers of {}", size(output.buffer_bytes)),
    };
    let _ = writeln!(text, "    {}: {}; {pool}", output.port, output.format);
    let from = format!("{}.{}", stage.name, output.port);
    for edge in pipeline.edges.iter().filter(|edge| edge.from == from) {
        let _ =
            writeln!(text, "      → {} ({}, {} may wait)", edge.to, edge.overflow, edge.capacity);
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}
