//! From what a file says of a pipeline to what the pipeline is asked to be.
use edgemill_config as config;
use edgemill_pipeline::spec::{EdgeSpec, Join, Matching, OnFailure, Overflow, Spec, StageSpec};

use crate::maker::Identity;

/// The pipeline, with what each of its stages is, in the same order.
pub fn spec(pipeline: &config::Pipeline, identities: &[Identity]) -> Spec {
    let stages = pipeline.stages.iter().zip(identities).map(|(stage, made)| StageSpec {
        name: stage.name.value.clone(),
        kind: made.kind.clone(),
        inputs: stage.inputs.iter().map(edge).collect(),
        join: join(stage.join),
        cpu: stage.cpus.iter().map(|cpu| cpu.value).collect(),
        priority: stage.priority.as_ref().map(|priority| priority.value),
        on_failure: on_failure(stage.on_failure.value),
        hang: stage.hang,
        deadline: stage.deadline.as_ref().map(|time| time.value),
        stale: stage.stale.as_ref().map(|time| time.value),
        holds_device: made.holds_device,
    });
    Spec { name: pipeline.name.value.clone(), stages: stages.collect() }
}

fn edge(input: &config::Input) -> EdgeSpec {
    EdgeSpec {
        port: input.port.clone(),
        from_stage: input.from.value.clone(),
        from_port: input.output.clone(),
        overflow: input.overflow.map(overflow),
        capacity: input.capacity,
    }
}

fn overflow(policy: config::Overflow) -> Overflow {
    match policy {
        config::Overflow::Block => Overflow::Block,
        config::Overflow::DropOldest => Overflow::DropOldest,
        config::Overflow::DropNewest => Overflow::DropNewest,
        config::Overflow::Latest => Overflow::Latest,
    }
}

fn join(join: config::Join) -> Join {
    Join {
        matching: join.tolerance.map_or(Matching::Sequence, Matching::Nearest),
        timeout: join.timeout,
    }
}

fn on_failure(policy: config::OnFailure) -> OnFailure {
    match policy {
        config::OnFailure::Restart => OnFailure::Restart,
        config::OnFailure::Bypass => OnFailure::Bypass,
        config::OnFailure::Halt => OnFailure::Halt,
    }
}
