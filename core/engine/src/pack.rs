//! Weights of a node, from the graph's bytes to the kernel's order, without a copy anywhere else.
use std::ops::Range;

use edgemill_kernels::int8::{Depthwise, Filter, Kernel};
use edgemill_model::graph::{Graph, ValueId};
use edgemill_model::tensor::Quantization;

/// Which node's weights go where.
pub(crate) struct Packing {
    /// The value that the node makes.
    pub node: ValueId,
    pub shape: Shape,
    /// The taps in their order, by number, if they are not all as the graph has them; one that is `None` has weight 0.
    pub taps: Option<Vec<Option<usize>>>,
    /// Of all packed weights.
    pub range: Range<usize>,
}

/// How a node's weights are cut up.
pub(crate) enum Shape {
    Depthwise(Depthwise),
    Dense { groups: usize, channels: usize, segments: usize, segment: usize },
}

pub(crate) fn pack(packing: &Packing, graph: &Graph<'_>, kernel: &dyn Kernel, memory: &mut [u8]) {
    let out = &mut memory[packing.range.clone()];
    let picked = packing.taps.as_deref().map(|taps| picked(graph, packing.node, taps));
    let node = Weights::of(graph, packing.node, picked.as_deref());
    match packing.shape {
        Shape::Depthwise(ref job) => {
            let (channels, taps) = (job.channels, job.taps[0] * job.taps[1]);
            node.with_filter(0..channels, 1, taps, |filter| {
                kernel.pack_depthwise(job, filter, out);
            });
        }
        Shape::Dense { groups, channels, segments, segment } => {
            let bytes = out.len() / groups;
            for (group, out) in out.chunks_exact_mut(bytes).enumerate() {
                let columns = group * channels..(group + 1) * channels;
                node.with_filter(columns, segments, segment, |filter| {
                    kernel.panels().pack(filter, channels, kernel.flip(), out);
                });
            }
        }
    }
}

/// Weights \[k, tap, depth\] of a node with such taps.
fn picked(graph: &Graph<'_>, id: ValueId, taps: &[Option<usize>]) -> Vec<u8> {
    let node = graph.value(id).node().expect("packings are made for nodes");
    let value = graph.value(node.inputs[1]);
    let data = value.constant().expect("the graph has checked that weights are constants").data();
    let [_, rows, columns, depth] = value.spec().shape[..] else { unreachable!("four axes") };
    let depth = depth as usize;
    let filters = data.chunks_exact(rows as usize * columns as usize * depth);
    let mut out = Vec::with_capacity(filters.len() * taps.len() * depth);
    for filter in filters {
        for tap in taps {
            match tap {
                Some(number) => out.extend_from_slice(&filter[number * depth..][..depth]),
                None => out.resize(out.len() + depth, 0),
            }
        }
    }
    out
}

/// A node's weights and bias as the graph has them.
pub(crate) struct Weights<'a> {
    weights: &'a [u8],
    bias: Option<&'a [u8]>,
    scales: &'a [[u8; 4]],
    zero_point: i32,
    /// Scales of what goes in and of what comes out.
    input: f64,
    output: f64,
}

impl<'a> Weights<'a> {
    pub fn of(graph: &'a Graph<'_>, id: ValueId, picked: Option<&'a [u8]>) -> Self {
        let node = graph.value(id).node().expect("packings are made for nodes");
        let constant = |i: usize| graph.value(node.inputs[i]).constant();
        let weights = constant(1).expect("the graph has checked that weights are constants");
        let rule = |id: ValueId| rule(graph, id);
        let (input, output) = (rule(node.inputs[0]), rule(id));
        Self {
            weights: picked.unwrap_or(weights.data()),
            bias: (node.inputs.len() == 3).then(|| constant(2).expect("as for weights").data()),
            scales: weights.scale_bytes(),
            zero_point: input.zero_point,
            input: f64::from(input.scale),
            output: f64::from(output.scale),
        }
    }

    fn with_filter(
        &self,
        columns: Range<usize>,
        segments: usize,
        segment: usize,
        pack: impl FnOnce(&Filter<'_>),
    ) {
        let length = segments * segment;
        let multipliers = |c: usize| self.multiplier(columns.start + c);
        pack(&Filter {
            weights: &self.weights[columns.start * length..columns.end * length],
            segments,
            segment,
            bias: self.bias.map(|bias| &bias[4 * columns.start..4 * columns.end]),
            multipliers: &multipliers,
            zero_point: self.zero_point,
        });
    }

    /// Scale of x × scale of w ÷ scale of the output, rounded to f32 once.
    #[expect(clippy::cast_possible_truncation, reason = "the one rounding to f32 that is meant")]
    pub fn multiplier(&self, channel: usize) -> f32 {
        let weights = f64::from(f32::from_le_bytes(self.scales[channel]));
        (self.input * weights / self.output) as f32
    }
}

/// The affine rule of an int8 activation.
pub(crate) fn rule(graph: &Graph<'_>, id: ValueId) -> Quantization {
    graph
        .value(id)
        .spec()
        .quantization
        .expect("the graph has checked that int8 nodes are quantized")
}
