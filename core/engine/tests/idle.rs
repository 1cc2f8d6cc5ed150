//! Networks with channels that have no weights: the engine leaves them out, and every bit stays.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the plain arithmetic that the engine is held against"
)]
use edgemill_engine::{Engine, Plan, kernels};
use edgemill_model::graph::{Clamp, Constant, Element, Graph, Op, Source, Window};
use edgemill_model::tensor::DType;

#[allow(dead_code, reason = "other tests use more of it")]
mod network;
#[path = "network/plain.rs"]
mod plain;

use network::{Builder, Random};

/// Convolutions one after the other, alone or not, with and without a border, some of them read twice.
fn convolutions(seed: u64) -> Graph<'static> {
    let mut b = Builder::new(seed);
    let (side, batch) = (6 + b.random.below(4), 1 + b.random.below(2));
    let mut x = b.input(&[batch, side, side, 3], Element::i8(0.02, 3));
    let mut last = None;
    for _ in 0..3 + b.random.below(4) {
        let channels = b.shape(x)[3];
        // Where 0 is the least element, what a rectifier lets nothing through is a border's element.
        let zero_point = if b.random.below(3) > 0 { -128 } else { i32::from(b.random.i8()) };
        let out = Element::i8(0.05, zero_point);
        let window = if b.random.below(2) == 0 { Window::same(3) } else { Window::valid(1, 1) };
        let alone = channels > 1 && b.random.below(3) == 0;
        let (made, groups) = if alone { (channels, channels) } else { (8 + b.random.below(30), 1) };
        last = Some(x);
        x = b.conv(x, made, window, groups, [1; 2], out);
    }
    let beside = last.filter(|_| b.random.below(3) == 0).map(|last| {
        let channels = b.shape(last)[3];
        b.conv(last, channels.min(9), Window::same(3), 1, [1; 2], Element::i8(0.1, 0))
    });
    let flat = |b: &mut Builder, x| {
        let shape = b.shape(x);
        let spec = b.graph.value(x).spec();
        let element = Element { dtype: spec.dtype, quantization: spec.quantization };
        let flat = Op::Reshape(vec![shape[0], shape[1..].iter().product()]);
        let flat = b.node("flat", flat, &[x], element);
        let y = b.dense(flat, 4, Clamp::NONE, Element::i8(0.5, 1));
        b.graph.output(y).unwrap();
    };
    flat(&mut b, x);
    if let Some(beside) = beside {
        flat(&mut b, beside);
    }
    b.graph
}

/// The same with weights of 0 for about half the channels that go into and come out of convolutions; some of their biases are
/// 0 as well.
fn pruned(graph: &Graph<'static>, seed: u64) -> Graph<'static> {
    let mut random = Random(seed);
    let mut out = Graph::new();
    for value in graph.values() {
        let (name, spec) = (value.name(), value.spec().clone());
        match value.source() {
            Source::Input => out.input(name, spec).unwrap(),
            Source::Node(node) => {
                let element = Element { dtype: spec.dtype, quantization: spec.quantization };
                out.node(name, node.op.clone(), &node.inputs, element).unwrap()
            }
            Source::Constant(constant) if spec.dtype == DType::I8 && spec.shape.len() == 4 => {
                let [filters, .., depth] = spec.shape[..] else { unreachable!() };
                let mut halves = |count: u32, one_in: u32| -> Vec<bool> {
                    (0..count).map(|_| random.below(one_in) == 0).collect()
                };
                let (idle, unread) = (halves(filters, 2), halves(depth, 1 + depth.min(3)));
                let each = spec.elements() / filters as usize;
                let left = |(i, w): (usize, i8)| {
                    if idle[i / each] || unread[i % depth as usize] && depth > 1 { 0 } else { w }
                };
                let weights: Vec<i8> = constant.i8s().enumerate().map(left).collect();
                let scales: Vec<f32> = constant.scales().collect();
                out.constant(name, spec, Constant::i8(&weights, &scales)).unwrap()
            }
            Source::Constant(constant) if spec.dtype == DType::I32 => {
                let bias = constant.i32s().map(|b| if random.below(2) == 0 { 0 } else { b });
                let bias: Vec<i32> = bias.collect();
                out.constant(name, spec, Constant::i32(&bias)).unwrap()
            }
            Source::Constant(constant) => out.constant(name, spec, constant.clone()).unwrap(),
        };
    }
    graph.outputs().iter().for_each(|&id| out.output(id).unwrap());
    out
}

#[test]
fn networks_without_idle_channels_have_the_same_bits() {
    let mut smaller = 0;
    for seed in 0..150 {
        let graph = pruned(&convolutions(seed), seed);
        let mut random = Random(seed);
        let input = graph.inputs().next().unwrap();
        let x: Vec<i8> = (0..graph.value(input).spec().elements()).map(|_| random.i8()).collect();
        let bytes: Vec<u8> = x.iter().map(|v| v.cast_unsigned()).collect();
        let plain = plain::run(&graph, &x);
        for kernel in kernels::available() {
            let plan = Plan::new(&graph, kernel).unwrap();
            let memory = vec![0xA5; plan.memory_bytes()];
            let mut engine = Engine::new(plan, &graph, memory).unwrap();
            let elements = |layer: &[u32]| layer.iter().product::<u32>() as usize;
            let all: usize = graph.nodes().map(|(id, _)| graph.value(id).spec().elements()).sum();
            let done: usize = engine
                .layers()
                .iter()
                .filter(|layer| layer.work != "border")
                .map(|layer| elements(&layer.shape))
                .sum();
            smaller += usize::from(done < all * 3 / 4);
            let sizes = graph.outputs().iter().map(|&y| graph.value(y).spec().bytes());
            let mut made: Vec<Vec<u8>> = sizes.map(|bytes| vec![0; bytes]).collect();
            let mut outputs: Vec<&mut [u8]> = made.iter_mut().map(Vec::as_mut_slice).collect();
            engine.run(&[&bytes], &mut outputs).unwrap();
            let first: Vec<i8> = made[0].iter().map(|y| y.cast_signed()).collect();
            assert_eq!(first, plain, "{}, seed {seed}", kernel.name());
        }
    }
    assert!(smaller > 100, "only {smaller} networks had channels to leave out");
}
