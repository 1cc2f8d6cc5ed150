//! Random networks: the engine, by every kernel of this processor, against plain loops, bit for bit.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the plain arithmetic that the engine is held against"
)]
use edgemill_engine::{Engine, EngineError, Plan, kernels};
use edgemill_model::graph::{Clamp, Constant, Element, Graph, Limits, Op, Pair, ValueId, Window};
use edgemill_model::tensor::{DType, TensorSpec};

mod network;
#[path = "network/plain.rs"]
mod plain;

use network::Builder;

fn element(b: &mut Builder) -> Element {
    let scale = 0.02 * f32::from(b.random.next().to_le_bytes()[1]) + 0.01;
    Element::i8(scale, i32::from(b.random.i8()))
}

fn window(b: &mut Builder, x: ValueId) -> Window {
    let shape = b.shape(x);
    let mut side = |size: u32| {
        let kernel = 1 + b.random.below(size.min(4));
        (kernel, 1 + b.random.below(3), [b.random.below(kernel), b.random.below(kernel)])
    };
    let (rows, columns) = (side(shape[1]), side(shape[2]));
    Window {
        kernel: [rows.0, columns.0],
        stride: [rows.1, columns.1],
        rows: rows.2,
        columns: columns.2,
    }
}

fn random_conv(b: &mut Builder, x: ValueId) -> ValueId {
    let channels = b.shape(x)[3];
    let (groups, out_channels) = match b.random.below(4) {
        0 => (channels, channels),
        1 if channels.is_multiple_of(2) => (2, 2 * (1 + b.random.below(9))),
        _ => (1, 1 + b.random.below(70)),
    };
    let window = window(b, x);
    let spare = [1, 2].map(|axis| b.shape(x)[axis] >= 2 * window.kernel[axis - 1]);
    let dilation = spare.map(|spare| if spare { 1 + b.random.below(2) } else { 1 });
    let out = element(b);
    b.conv(x, out_channels, window, groups, dilation, out)
}

fn rule(b: &Builder, x: ValueId) -> Element {
    let spec = b.graph.value(x).spec();
    Element { dtype: spec.dtype, quantization: spec.quantization }
}

fn random_node(b: &mut Builder, x: ValueId) -> ValueId {
    match b.random.below(10) {
        0..=3 => random_conv(b, x),
        4 => {
            // A convolution and the pool that is made along with it.
            let c = random_conv(b, x);
            let [_, h, w, _] = b.shape(c)[..] else { unreachable!() };
            let kernel = [2.min(h), 2.min(w)];
            let pool = Window { kernel, stride: kernel, ..Window::valid(1, 1) };
            let out = rule(b, c);
            b.node("pool", Op::MaxPool(pool), &[c], out)
        }
        5 => {
            let (pool, out) = (window(b, x), rule(b, x));
            b.node("max", Op::MaxPool(pool), &[x], out)
        }
        6 => {
            let (pool, out) = (window(b, x), element(b));
            b.node("mean", Op::AveragePool(pool), &[x], out)
        }
        7 => {
            let out = element(b);
            let y = b.conv(x, b.shape(x)[3], Window::same(3), 1, [1; 2], out);
            let sum = element(b);
            b.node("sum", Op::Binary { function: Pair::Add, clamp: Clamp::RELU6 }, &[x, y], sum)
        }
        8 => {
            // Two convolutions with borders of their own read what one has made.
            let read = random_conv(b, x);
            let outs = [element(b), element(b)];
            let channels = 1 + b.random.below(40);
            let [a, c] = [(3, outs[0]), (5, outs[1])]
                .map(|(kernel, out)| b.conv(read, channels, Window::same(kernel), 1, [1; 2], out));
            let sum = element(b);
            b.node("sum", Op::Binary { function: Pair::Add, clamp: Clamp::NONE }, &[a, c], sum)
        }
        _ => {
            let out = element(b);
            let clamped = b.node("clamp", Op::Clamp(Clamp { low: -1.0, high: 2.5 }), &[x], out);
            let out = element(b);
            let twice = b.node(
                "twice",
                Op::Binary { function: Pair::Add, clamp: Clamp::NONE },
                &[clamped, clamped],
                out,
            );
            let out = element(b);
            b.node("again", Op::Quantize, &[twice], out)
        }
    }
}

/// Up to six nodes on a batch of pictures, then a dense layer.
fn random_network(seed: u64) -> Graph<'static> {
    let mut b = Builder::new(seed);
    let mut most = |most| 1 + b.random.below(most);
    let shape = [most(2), most(12), most(12), most(24)];
    let input = element(&mut b);
    let mut x = b.input(&shape, input);
    for _ in 0..1 + b.random.below(6) {
        x = random_node(&mut b, x);
    }
    let shape = b.shape(x);
    let same = rule(&b, x);
    let flat = Op::Reshape(vec![shape[0], shape[1..].iter().product()]);
    let flat = b.node("flat", flat, &[x], same);
    let out = element(&mut b);
    let y = b.dense(flat, 5, Clamp::NONE, out);
    b.graph.output(y).unwrap();
    b.graph
}

fn elements(seed: u64, graph: &Graph<'_>) -> Vec<i8> {
    let mut random = network::Random(seed);
    let x = graph.inputs().next().unwrap();
    (0..graph.value(x).spec().elements()).map(|_| random.i8()).collect()
}

fn engine_output(graph: &Graph<'_>, kernel: &'static dyn kernels::Kernel, x: &[i8]) -> Vec<i8> {
    let plan = Plan::new(graph, kernel).unwrap();
    let memory = vec![0xA5; plan.memory_bytes()];
    let mut engine = Engine::new(plan, graph, memory).unwrap();
    let x: Vec<u8> = x.iter().map(|v| v.cast_unsigned()).collect();
    let mut y = vec![0; graph.value(graph.outputs()[0]).spec().bytes()];
    // Twice, since a run must not depend on what the one before left behind.
    for _ in 0..2 {
        engine.run(&[&x], &mut [&mut y]).unwrap();
    }
    y.into_iter().map(u8::cast_signed).collect()
}

#[test]
fn random_networks_equal_plain_loops() {
    let mut distinct = std::collections::BTreeSet::new();
    for seed in 0..250 {
        let bytes = random_network(seed).to_bytes();
        let graph = Graph::from_bytes(&bytes, Limits::default()).unwrap();
        let x = elements(seed, &graph);
        let plain = plain::run(&graph, &x);
        for kernel in kernels::available() {
            let name = kernel.name();
            assert_eq!(engine_output(&graph, kernel, &x), plain, "{name}, seed {seed}");
        }
        distinct.extend(plain);
    }
    assert!(distinct.len() > 200, "the networks say nearly always the same");
}

#[test]
fn threads_do_not_change_a_bit() {
    for seed in 0..60 {
        check_threads(&random_network(seed), seed);
    }
    // More channels than any kernel's panel has columns, and some that fill no panel.
    let mut b = Builder::new(1);
    let x = b.input(&[1, 90], Element::i8(0.1, 3));
    let y = b.dense(x, 333, Clamp::NONE, Element::i8(2.0, 0));
    b.graph.output(y).unwrap();
    check_threads(&b.graph, 1);
}

fn check_threads(graph: &Graph<'_>, seed: u64) {
    let x = elements(seed, graph);
    let bytes: Vec<u8> = x.iter().map(|v| v.cast_unsigned()).collect();
    for kernel in kernels::available() {
        let one = engine_output(graph, kernel, &x);
        for threads in [2, 3] {
            let plan = Plan::new(graph, kernel).unwrap().threads(threads);
            let memory = vec![0xA5; plan.memory_bytes()];
            let mut engine = Engine::new(plan, graph, memory).unwrap();
            let mut y = vec![0; graph.value(graph.outputs()[0]).spec().bytes()];
            engine.run(&[&bytes], &mut [&mut y]).unwrap();
            let y: Vec<i8> = y.into_iter().map(u8::cast_signed).collect();
            assert_eq!(y, one, "{}, seed {seed}, {threads} threads", kernel.name());
        }
    }
}

#[test]
fn memory_that_was_given_may_begin_anywhere() {
    let graph = network::small(1);
    let x: Vec<u8> = elements(1, &graph).into_iter().map(i8::cast_unsigned).collect();
    let mut outputs = Vec::new();
    for start in [0, 1, 33] {
        let plan = Plan::new(&graph, kernels::best()).unwrap();
        let mut memory = vec![0; plan.memory_bytes() + start];
        let mut engine = Engine::new(plan, &graph, &mut memory[start..]).unwrap();
        let mut y = [0; 3];
        engine.run(&[&x], &mut [&mut y]).unwrap();
        outputs.push(y);
    }
    assert!(outputs.iter().all(|y| *y == outputs[0]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let graph = network::small(1);
    let plan = Plan::new(&graph, kernels::best()).unwrap();
    let short = vec![0; plan.memory_bytes() - 1];
    let error = Engine::new(plan, &graph, short).err().unwrap();
    assert!(matches!(error, EngineError::Memory { .. }), "{error}");
    let mut engine = Engine::load(&graph).unwrap();
    let (x, mut y) = ([0; 3072], [0; 3]);
    let count = engine.run(&[], &mut [&mut y]).unwrap_err();
    assert!(matches!(count, EngineError::Count { side: "input", .. }), "{count}");
    let bytes = engine.run(&[&x[1..]], &mut [&mut y]).unwrap_err();
    assert!(matches!(bytes, EngineError::Bytes { side: "input", index: 0, .. }), "{bytes}");
    let bytes = engine.run(&[&x], &mut [&mut y[1..]]).unwrap_err();
    assert!(matches!(bytes, EngineError::Bytes { side: "output", .. }), "{bytes}");
}

#[test]
fn float_nodes_are_refused_by_name() {
    let mut graph = Graph::new();
    let spec =
        |shape: &[u32]| TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None };
    let x = graph.input("x", spec(&[1, 2])).unwrap();
    let w = graph.constant("w", spec(&[1, 2]), Constant::f32(&[1.0, 2.0])).unwrap();
    let op = Op::Dense { clamp: Clamp::NONE };
    let y = graph.node("last", op, &[x, w], Element::F32).unwrap();
    graph.output(y).unwrap();
    let error = Engine::load(&graph).err().unwrap();
    assert_eq!(
        error.to_string(),
        "node \"last\" is not int8: quantize the model first (edgemill model compress)"
    );
}

/// Damaged bytes that are still a graph are planned and run, or refused; nothing panics.
#[test]
fn a_damaged_graph_is_run_or_refused() {
    let limits = Limits { elements: 1 << 16, macs: 1 << 20, ..Limits::default() };
    let mut ran = 0;
    for seed in 0..3000 {
        let mut bytes = random_network(seed % 50).to_bytes();
        let mut random = network::Random(seed);
        for _ in 0..2 {
            let at = random.below(u32::try_from(bytes.len()).unwrap());
            bytes[at as usize] = random.i8().cast_unsigned();
        }
        let Ok(graph) = Graph::from_bytes(&bytes, limits) else { continue };
        let Ok(plan) = Plan::new(&graph, kernels::best()) else { continue };
        if plan.memory_bytes() > 16 << 20 {
            continue;
        }
        let memory = vec![0; plan.memory_bytes()];
        let mut engine = Engine::new(plan, &graph, memory).unwrap();
        let x = vec![7; graph.value(graph.inputs().next().unwrap()).spec().bytes()];
        let mut y = vec![0; graph.value(graph.outputs()[0]).spec().bytes()];
        engine.run(&[&x], &mut [&mut y]).unwrap();
        ran += 1;
    }
    assert!(ran > 300, "only {ran} of 3000 were run");
}

#[test]
fn real_numbers_go_in_and_come_out() {
    let mut b = Builder::new(9);
    let real = b.input(&[2, 3], Element::F32);
    let q = Element::i8(0.5, 1);
    let x = b.node("q", Op::Quantize, &[real], q);
    let soft = b.node("soft", Op::Softmax, &[x], Element::i8(1.0 / 256.0, -128));
    let back = b.node("back", Op::Dequantize, &[x], Element::F32);
    let soft = b.node("real", Op::Dequantize, &[soft], Element::F32);
    b.graph.output(back).unwrap();
    b.graph.output(soft).unwrap();
    let input = [0.2_f32, 1.5, -70.0, 0.0, 0.0, 0.0];
    let x: Vec<u8> = input.iter().flat_map(|v| v.to_le_bytes()).collect();
    for kernel in kernels::available() {
        let plan = Plan::new(&b.graph, kernel).unwrap();
        let memory = vec![0; plan.memory_bytes()];
        let mut engine = Engine::new(plan, &b.graph, memory).unwrap();
        let mut out = [[0; 24]; 2];
        let [back, soft] = &mut out;
        engine.run(&[&x], &mut [back, soft]).unwrap();
        let real = out.map(|y| {
            let y: Vec<f32> = y.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
            y
        });
        assert_eq!(real[0], [0.0, 1.5, -64.5, 0.0, 0.0, 0.0]);
        // 1 / (1 + e^1.5) and e^1.5 / (1 + e^1.5), in steps of 1/256.
        assert_eq!(
            real[1],
            [47.0 / 256.0, 209.0 / 256.0, 0.0, 85.0 / 256.0, 85.0 / 256.0, 85.0 / 256.0]
        );
    }
}
