//! Names to numbers: every edge found, every port connected once, no circle.
use std::collections::HashSet;

use super::error::PlanError;
use crate::spec::{EdgeSpec, Spec};
use crate::stage::{Port, Ports};

/// A port by the numbers of its stage and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortId {
    /// Index in [`Spec::stages`].
    pub stage: usize,
    /// Index in the stage's inputs or outputs.
    pub port: usize,
}

/// An edge, its ends found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub from: PortId,
    pub to: PortId,
    /// Index in the receiving stage's [`crate::spec::StageSpec::inputs`].
    pub spec: usize,
}

/// All edges, in the order of the stages and ports that receive.
///
/// # Errors
/// A name that is not there or not clear, a port connected twice or not at all.
pub(super) fn links(spec: &Spec, ports: &[Ports]) -> Result<Vec<Link>, PlanError> {
    let mut names = HashSet::new();
    if let Some(twice) = spec.stages.iter().find(|stage| !names.insert(&stage.name)) {
        return Err(PlanError::DuplicateStage { stage: twice.name.clone() });
    }
    let mut links = Vec::new();
    for stage in 0..spec.stages.len() {
        links.extend(inputs_of(spec, ports, stage)?);
    }
    match unused_output(spec, ports, &links) {
        Some((stage, port)) => Err(PlanError::UnusedOutput { stage, port }),
        None => Ok(links),
    }
}

fn inputs_of(spec: &Spec, ports: &[Ports], stage: usize) -> Result<Vec<Link>, PlanError> {
    let name = || spec.stages[stage].name.clone();
    let inputs = &ports[stage].inputs;
    let mut links: Vec<Link> = Vec::new();
    for (index, edge) in spec.stages[stage].inputs.iter().enumerate() {
        let port = find(inputs, edge.port.as_deref()).ok_or_else(|| PlanError::NoSuchInput {
            stage: name(),
            port: edge.port.clone(),
            known: known(inputs),
        })?;
        let to = PortId { stage, port };
        if links.iter().any(|link| link.to == to) {
            let port = inputs[port].name.clone();
            return Err(PlanError::DuplicateInput { stage: name(), port });
        }
        links.push(Link { from: origin(spec, ports, stage, edge)?, to, spec: index });
    }
    for (port, missing) in inputs.iter().enumerate() {
        if !links.iter().any(|link| link.to.port == port) {
            return Err(PlanError::MissingInput { stage: name(), port: missing.name.clone() });
        }
    }
    links.sort_by_key(|link| link.to.port);
    Ok(links)
}

fn origin(spec: &Spec, ports: &[Ports], to: usize, edge: &EdgeSpec) -> Result<PortId, PlanError> {
    let to = || spec.stages[to].name.clone();
    let from = spec.stages.iter().position(|stage| stage.name == edge.from_stage);
    let stage =
        from.ok_or_else(|| PlanError::UnknownStage { stage: to(), from: edge.from_stage.clone() })?;
    let outputs = &ports[stage].outputs;
    let port = find(outputs, edge.from_port.as_deref()).ok_or_else(|| PlanError::NoSuchOutput {
        stage: to(),
        from: edge.from_stage.clone(),
        port: edge.from_port.clone(),
        known: known(outputs),
    })?;
    Ok(PortId { stage, port })
}

/// By name; without one, the only port there is.
fn find(ports: &[Port], name: Option<&str>) -> Option<usize> {
    match name {
        Some(name) => ports.iter().position(|port| port.name == name),
        None => (ports.len() == 1).then_some(0),
    }
}

fn known(ports: &[Port]) -> String {
    match ports {
        [] => "none".into(),
        _ => ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", "),
    }
}

fn unused_output(spec: &Spec, ports: &[Ports], links: &[Link]) -> Option<(String, String)> {
    let used: HashSet<_> = links.iter().map(|link| link.from).collect();
    let all = ports.iter().enumerate().flat_map(|(stage, ports)| {
        ports.outputs.iter().enumerate().map(move |(port, of)| (PortId { stage, port }, &of.name))
    });
    let (id, port) = all.into_iter().find(|(id, _)| !used.contains(id))?;
    Some((spec.stages[id.stage].name.clone(), port.clone()))
}

/// The stages, each after all that it takes inputs from.
///
/// # Errors
/// A circle, with every stage on it named.
pub(super) fn order(spec: &Spec, links: &[Link]) -> Result<Vec<usize>, PlanError> {
    let mut order = Vec::with_capacity(spec.stages.len());
    while order.len() < spec.stages.len() {
        let waits_for = |stage: usize| {
            links.iter().find(|link| link.to.stage == stage && !order.contains(&link.from.stage))
        };
        let next = (0..spec.stages.len())
            .find(|stage| !order.contains(stage) && waits_for(*stage).is_none());
        match next {
            Some(stage) => order.push(stage),
            None => return Err(circle(spec, links, &order)),
        }
    }
    Ok(order)
}

/// Walks upstream from a stage that cannot be ordered until a stage comes again.
fn circle(spec: &Spec, links: &[Link], ordered: &[usize]) -> PlanError {
    let mut walk: Vec<usize> = Vec::new();
    let mut stage = (0..spec.stages.len()).find(|stage| !ordered.contains(stage)).unwrap_or(0);
    while !walk.contains(&stage) {
        walk.push(stage);
        let up = links.iter().find(|l| l.to.stage == stage && !ordered.contains(&l.from.stage));
        stage = up.map_or(stage, |link| link.from.stage);
    }
    let start = walk.iter().position(|seen| *seen == stage).unwrap_or(0);
    let names = walk[start..].iter().rev().chain(walk.last());
    let names: Vec<_> = names.map(|stage| spec.stages[*stage].name.as_str()).collect();
    PlanError::Circle { stage: spec.stages[stage].name.clone(), way: names.join(" → ") }
}
