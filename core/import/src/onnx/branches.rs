//! `If` whose condition is known: the branch that it takes stands in its place.
use std::collections::{HashMap, HashSet};

use super::proto::{Attribute, Graph, Node};
use super::{Importer, label};
use crate::builder::Value;
use crate::{ImportError, MAX_NODES};

impl Importer<'_> {
    /// The branch of a node, if it is an `If` whose condition is known.
    pub(super) fn branch(&self, at: usize) -> Option<&'static str> {
        let node = self.node(at);
        if node.op != "If" || !node.domain.is_empty() {
            return None;
        }
        let Some(Value::Host(condition)) = self.values.get(node.inputs.first()?) else {
            return None;
        };
        let holds = condition.f64s().first().is_some_and(|&c| c != 0.0);
        Some(if holds { "then_branch" } else { "else_branch" })
    }
}

/// Puts a branch in the place of the node at `at`.
pub fn take(graph: &mut Graph, at: usize, branch: &str) -> Result<(), ImportError> {
    let mut node = std::mem::take(&mut graph.nodes[at]);
    let name = label(&node);
    let wrong = |what: &str| ImportError::File(format!("node {name:?} (If): {what}"));
    let Some(Attribute::Graph(mut inner)) = node.attributes.remove(branch) else {
        return Err(wrong(&format!("it has no {branch}")));
    };
    if inner.outputs.len() < node.outputs.len() {
        return Err(wrong("its branch gives less than the node does"));
    }
    if graph.nodes.len() + inner.nodes.len() + node.outputs.len() > MAX_NODES {
        return Err(wrong(&format!("its branches make more than {MAX_NODES} nodes")));
    }
    let made = inner.nodes.iter().flat_map(|n| n.outputs.iter().cloned());
    let own: HashSet<String> = made.chain(inner.constants.keys().cloned()).collect();
    rename(&mut inner, &own, &format!("{name}/"));
    let given = inner.outputs.into_iter().zip(&node.outputs).map(|(port, output)| Node {
        op: "Identity".into(),
        inputs: vec![port.name],
        outputs: vec![output.clone()],
        ..Node::default()
    });
    let nodes: Vec<Node> = inner.nodes.into_iter().chain(given).collect();
    graph.nodes.splice(at..=at, nodes);
    graph.constants.extend(inner.constants);
    Ok(())
}

/// Gives names that a branch makes itself a prefix: the other branches may make the same.
fn rename(graph: &mut Graph, own: &HashSet<String>, prefix: &str) {
    let new = |name: &mut String| {
        if own.contains(name) {
            *name = format!("{prefix}{name}");
        }
    };
    for node in &mut graph.nodes {
        node.inputs.iter_mut().chain(&mut node.outputs).for_each(new);
        for attribute in node.attributes.values_mut() {
            if let Attribute::Graph(inner) = attribute {
                rename(inner, own, prefix);
            }
        }
    }
    graph.outputs.iter_mut().for_each(|port| new(&mut port.name));
    let constants = std::mem::take(&mut graph.constants).into_iter();
    let renamed = |(mut name, constant)| {
        new(&mut name);
        (name, constant)
    };
    graph.constants = constants.map(renamed).collect::<HashMap<_, _>>();
}
