//! The order in which nodes are lowered.
use std::collections::{BTreeSet, HashMap, HashSet};

use super::{label, proto};
use crate::ImportError;

/// An order in which every node comes after what it reads.
pub(super) fn sorted(graph: &proto::Graph) -> Result<Vec<usize>, ImportError> {
    let mut maker = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|o| !o.is_empty()) {
            if maker.insert(output.as_str(), at).is_some() {
                return Err(ImportError::File(format!("two nodes make {output:?}")));
            }
        }
    }
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    let mut missing = vec![0_usize; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        let before: HashSet<usize> =
            node.inputs.iter().filter_map(|i| maker.get(i.as_str()).copied()).collect();
        missing[at] = before.len();
        before.into_iter().for_each(|b| readers[b].push(at));
    }
    let mut known = vec![false; graph.nodes.len()];
    let is_live = |at: usize, known: &[bool]| {
        let made_now = |name: &String| match maker.get(name.as_str()) {
            Some(&before) => known[before],
            None => name.is_empty() || graph.constants.contains_key(name),
        };
        !graph.nodes[at].inputs.iter().all(made_now)
    };
    // What is made of constants alone comes first, since a node looks ahead at what its reader does with them.
    let mut ready: BTreeSet<(bool, usize)> = (0..missing.len())
        .filter(|&at| missing[at] == 0)
        .map(|at| (is_live(at, &known), at))
        .collect();
    let mut order = Vec::new();
    while let Some((live, at)) = ready.pop_first() {
        order.push(at);
        known[at] = !live;
        for &reader in &readers[at] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert((is_live(reader, &known), reader));
            }
        }
    }
    if order.len() < missing.len() {
        let at = missing.iter().position(|&m| m > 0).unwrap_or(0);
        let name = label(&graph.nodes[at]);
        return Err(ImportError::File(format!(
            "node {name:?} reads what it makes, by way of others"
        )));
    }
    Ok(order)
}
