//! What a function flattens needs no range of its own: far below 0 a Swish is 0, and so an int8 step is better spent elsewhere.
use edgemill_model::graph::{Function, Graph, Node, Op};

use crate::calibrate::Range;
use crate::quantize::{PROBABILITY, affine};

/// Parts of a range that are looked at one by one.
const PARTS: u16 = 512;

/// `ranges` without those ends of a value for which every function that reads it gives the same int8 element.
#[must_use]
pub fn without_flat_ends(graph: &Graph<'_>, ranges: &[Range]) -> Vec<Range> {
    let mut readers: Vec<Vec<(Option<Function>, f32)>> = vec![Vec::new(); ranges.len()];
    for (id, node) in graph.nodes() {
        let function = function(node);
        let scale = match function {
            Some(Function::Sigmoid) => PROBABILITY.scale,
            _ => affine(ranges[id.index()]).scale,
        };
        node.inputs.iter().for_each(|input| readers[input.index()].push((function, scale)));
    }
    graph.outputs().iter().for_each(|output| readers[output.index()].push((None, 0.0)));
    let narrowed = |(range, readers): (&Range, &Vec<(Option<Function>, f32)>)| {
        let functions: Option<Vec<(Function, f32)>> =
            readers.iter().map(|&(function, scale)| Some((function?, scale))).collect();
        functions.filter(|f| !f.is_empty()).map_or(*range, |functions| narrow(*range, &functions))
    };
    ranges.iter().zip(&readers).map(narrowed).collect()
}

fn function(node: &Node) -> Option<Function> {
    if let Op::Unary(function) = node.op { Some(function) } else { None }
}

fn narrow(range: Range, functions: &[(Function, f32)]) -> Range {
    let Range { low, high } = range;
    if !(high - low).is_finite() {
        return range;
    }
    let at = |part: u16| low + (high - low) * f32::from(part) / f32::from(PARTS);
    let same = |a: f32, b: f32| {
        functions.iter().all(|(f, scale)| (f.apply(a) - f.apply(b)).abs() <= scale / 2.0)
    };
    let from = (0..PARTS).take_while(|&part| same(low, at(part))).last().unwrap_or(0);
    let to = (from + 1..=PARTS).rev().take_while(|&part| same(high, at(part))).last();
    Range { low: at(from), high: at(to.unwrap_or(PARTS)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_flat_goes() {
        let cases = [
            ("swish", Function::Swish, 0.02, (-6.5, 8.0)),
            ("sigmoid", Function::Sigmoid, 1.0 / 256.0, (-6.2, 6.2)),
            ("leaky relu", Function::LeakyRelu(0.1), 0.02, (-16.0, 8.0)),
        ];
        for (name, function, scale, (low, high)) in cases {
            let found = narrow(Range { low: -16.0, high: 8.0 }, &[(function, scale)]);
            let near = |a: f32, b: f32| (a - b).abs() < 0.25;
            assert!(near(found.low, low) && near(found.high, high), "{name}: {found:?}");
        }
    }
}
