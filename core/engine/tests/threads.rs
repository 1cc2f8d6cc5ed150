//! Several threads make the same bits as one, whatever they share.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
use edgemill_engine::{Engine, Plan, kernels};
use edgemill_model::graph::{
    Clamp, Constant, Element, Function, Graph, Op, Pair, Reduction, ValueId, Window,
};
use edgemill_model::tensor::{DType, TensorSpec};

#[allow(dead_code, reason = "other tests need more of it")]
mod network;

use network::{Builder, Random};

fn rule() -> Element {
    Element::i8(0.05, -3)
}

/// Bytes of the output.
fn run(graph: &Graph<'_>, kernel: &'static dyn kernels::Kernel, threads: usize) -> Vec<u8> {
    let plan = Plan::new(graph, kernel).unwrap().threads(threads);
    let memory = vec![0xA5; plan.memory_bytes()];
    let mut engine = Engine::new(plan, graph, memory).unwrap();
    let mut random = Random(7);
    let input = graph.value(graph.inputs().next().unwrap()).spec().bytes();
    // Of real numbers, none that are not finite.
    let x: Vec<u8> = (0..input).map(|_| random.i8().cast_unsigned() & 0x3F).collect();
    let mut y = vec![0; graph.value(graph.outputs()[0]).spec().bytes()];
    engine.run(&[&x], &mut [&mut y]).unwrap();
    y
}

/// Of a picture with so much that is worth sharing.
fn check(what: &str, shape: &[u32], node: impl Fn(&mut Builder, ValueId) -> ValueId) {
    let mut b = Builder::new(3);
    let x = b.input(shape, rule());
    let y = node(&mut b, x);
    b.graph.output(y).unwrap();
    for kernel in kernels::available() {
        let one = run(&b.graph, kernel, 1);
        assert!(one.iter().any(|y| *y != one[0]), "{what}: always the same");
        for threads in [2, 3, 5] {
            let some = run(&b.graph, kernel, threads);
            assert!(some == one, "{what}, {}, {threads} threads", kernel.name());
        }
    }
}

const PICTURE: [u32; 4] = [1, 37, 41, 23];

fn pool(kernel: u32, stride: u32, border: u32) -> Window {
    let around = [border; 2];
    Window { rows: around, columns: around, ..Window::valid(kernel, stride) }
}

#[test]
fn convolutions() {
    for (kernel, stride, groups) in [(1, 1, 1), (3, 1, 1), (3, 2, 23), (3, 1, 23)] {
        let window = pool(kernel, stride, kernel / 2);
        check("convolution", &PICTURE, |b, x| b.conv(x, 23, window, groups, [1; 2], rule()));
    }
    for groups in [1, 5, 10] {
        let line = Window { kernel: [1, 5], columns: [2, 2], ..Window::valid(1, 1) };
        let shape = [1, 1, 301, 10];
        check("one row", &shape, |b, x| b.conv(x, 10, line, groups, [1; 2], rule()));
    }
}

#[test]
fn transposed_convolutions() {
    for (kernel, stride) in [(2, 2), (3, 2), (2, 3)] {
        let window = Window::valid(kernel, stride);
        check("transposed", &[1, 13, 14, 9], |b, x| {
            let [w, bias] = b.weights(&[7, kernel, kernel, 9]);
            let (dilation, extra, clamp) = ([1; 2], [0; 2], Clamp::NONE);
            let op = Op::ConvTranspose2d { window, dilation, groups: 1, extra, clamp };
            b.node("y", op, &[x, w, bias], rule())
        });
    }
}

#[test]
fn pools() {
    for (kernel, stride, border) in [(2, 2, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2)] {
        let window = pool(kernel, stride, border);
        check("max pool", &PICTURE, |b, x| b.node("y", Op::MaxPool(window), &[x], rule()));
        check("average", &PICTURE, |b, x| b.node("y", Op::AveragePool(window), &[x], rule()));
    }
}

#[test]
fn pairs() {
    let op = || Op::Binary { function: Pair::Add, clamp: Clamp::NONE };
    check("two sides", &PICTURE, |b, x| {
        let other = b.node("pool", Op::MaxPool(pool(3, 1, 1)), &[x], rule());
        b.node("y", op(), &[x, other], rule())
    });
    check("a side for each channel", &[1, 37, 41, 96], |b, x| {
        let mean = Op::Reduce { by: Reduction::Mean, axes: vec![1, 2] };
        let mean = b.node("mean", mean, &[x], Element::i8(0.01, 5));
        b.node("y", op(), &[mean, x], rule())
    });
    check("a side for each row", &[1, 37, 41, 96], |b, x| {
        let Element { dtype, quantization } = rule();
        let spec = TensorSpec { dtype, shape: vec![1, 37, 1, 1], quantization };
        let values: Vec<i8> = (0..37).collect();
        let rows = b.graph.constant("rows", spec, Constant::i8(&values, &[])).unwrap();
        b.node("y", op(), &[x, rows], rule())
    });
}

#[test]
fn what_is_taken_one_by_one() {
    check("table", &PICTURE, |b, x| b.node("y", Op::Unary(Function::HardSwish), &[x], rule()));
    let (size, step, origin) = ([75, 80], [0.49, 0.51], [0.0, -0.25]);
    let resize = Op::Resize { size, step, origin };
    check("resize", &PICTURE, |b, x| b.node("y", resize.clone(), &[x], rule()));
}

#[test]
fn real_numbers_that_are_quantized() {
    let mut graph = Graph::new();
    let spec = TensorSpec { dtype: DType::F32, shape: PICTURE.to_vec(), quantization: None };
    let x = graph.input("x", spec).unwrap();
    let y = graph.node("y", Op::Quantize, &[x], Element::i8(0.004, 3)).unwrap();
    graph.output(y).unwrap();
    for kernel in kernels::available() {
        assert!(run(&graph, kernel, 3) == run(&graph, kernel, 1), "{}", kernel.name());
    }
}
