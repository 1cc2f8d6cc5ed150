//! Graphs: what is refused, and that every graph has exactly one form in bytes.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
use edgemill_model::graph::{
    Clamp, Constant, Detect, Element, Function, Graph, GraphError, Limits, Op, Pair, Reduction,
    Span, ValueId, Window,
};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

fn spec(element: Element, shape: &[u32]) -> TensorSpec {
    TensorSpec { dtype: element.dtype, shape: shape.to_vec(), quantization: element.quantization }
}

fn bare(dtype: DType, shape: &[u32]) -> TensorSpec {
    TensorSpec { dtype, shape: shape.to_vec(), quantization: None }
}

const A: Element = Element::i8(0.5, 3);
const B: Element = Element::i8(0.25, -7);

fn conv(window: Window, groups: u32) -> Op {
    Op::Conv2d { window, dilation: [1, 1], groups, clamp: Clamp::RELU }
}

/// Every operation at least once.
fn every_operation() -> Graph<'static> {
    let mut g = Graph::new();
    let real = g.input("picture", bare(DType::F32, &[1, 6, 6, 2])).unwrap();
    let x = g.node("quantized", Op::Quantize, &[real], A).unwrap();
    let w = Constant::i8(&[1; 4 * 9 * 2], &[0.1; 4]);
    let w = g.constant("conv.w", bare(DType::I8, &[4, 3, 3, 2]), w).unwrap();
    let b = g.constant("conv.b", bare(DType::I32, &[4]), Constant::i32(&[5, -6, 7, -8])).unwrap();
    let y = g.node("conv", conv(Window::same(3), 1), &[x, w, b], B).unwrap();
    let dw = Constant::i8(&[2; 4 * 9], &[0.2; 4]);
    let dw = g.constant("dw.w", bare(DType::I8, &[4, 3, 3, 1]), dw).unwrap();
    let z = g.node("dw", conv(Window::same(3), 4), &[y, dw], B).unwrap();
    let sum =
        g.node("sum", Op::Binary { function: Pair::Add, clamp: Clamp::RELU6 }, &[y, z], A).unwrap();
    let p = g.node("max", Op::MaxPool(Window::valid(2, 2)), &[sum], A).unwrap();
    let q = g.node("mean", Op::AveragePool(Window::valid(3, 1)), &[p], B).unwrap();
    let flat = g.node("flat", Op::Reshape(vec![1, 4]), &[q], B).unwrap();
    let dense = Constant::i8(&[3; 12], &[0.3; 3]);
    let dense = g.constant("dense.w", bare(DType::I8, &[3, 4]), dense).unwrap();
    let d = g.node("dense", Op::Dense { clamp: Clamp::NONE }, &[flat, dense], A).unwrap();
    let c = g.node("held", Op::Clamp(Clamp::RELU6), &[d], A).unwrap();
    let s = g.node("softmax", Op::Softmax, &[c], Element::i8(1.0 / 256.0, -128)).unwrap();
    let real = g.node("real", Op::Dequantize, &[s], Element::F32).unwrap();
    g.output(s).unwrap();
    g.output(real).unwrap();
    let moved = every_move(&mut g, z);
    let made = every_other(&mut g, moved);
    g.output(made).unwrap();
    g.check().unwrap();
    g
}

/// What only moves elements, and what joins them.
fn every_move(g: &mut Graph<'static>, x: ValueId) -> ValueId {
    let mut step = |op: Op, inputs: &[ValueId]| g.node("moved", op, inputs, B).unwrap();
    let back = Span { start: 5, step: -2, count: 3 };
    let slice = step(Op::Slice(vec![Span::whole(1), back, Span::whole(6), Span::whole(4)]), &[x]);
    let picked = step(Op::Gather { axis: 1, indices: vec![0, 0, 2] }, &[slice]);
    let turned = step(Op::Transpose(vec![0, 2, 1, 3]), &[picked]);
    let tiled = step(Op::Tile(vec![1, 1, 2, 1]), &[turned]);
    let border = vec![[0; 2], [0; 2], [1, 2], [0; 2]];
    let wide = step(Op::Pad { borders: border, value: -0.5 }, &[tiled]);
    step(Op::Concat { axis: 2 }, &[wide, turned])
}

/// \[1, 6, 12, 4\] → one number.
fn every_other(g: &mut Graph<'static>, x: ValueId) -> ValueId {
    let w = Constant::i8(&[1; 2 * 4 * 2], &[0.1; 2]);
    let w = g.constant("up.w", bare(DType::I8, &[2, 2, 2, 2]), w).unwrap();
    let up = Op::ConvTranspose2d {
        window: Window { rows: [1, 0], ..Window::valid(2, 2) },
        dilation: [1, 1],
        groups: 2,
        extra: [1, 0],
        clamp: Clamp::NONE,
    };
    let up = g.node("up", up, &[x, w], A).unwrap();
    let smaller = Op::Resize { size: [3, 5], step: [4.0, 4.8], origin: [1.5, 1.9] };
    let smaller = g.node("smaller", smaller, &[up], A).unwrap();
    let curve = g.node("curve", Op::Unary(Function::Selu(1.6, 1.05)), &[smaller], B).unwrap();
    let chosen = g.node("chosen", Op::Select, &[curve, smaller, curve], A).unwrap();
    let product = Op::Transpose(vec![0, 1, 3, 2]);
    let turned = g.node("turned", product, &[chosen], A).unwrap();
    let square = g.node("square", Op::MatMul, &[turned, chosen], B).unwrap();
    let mean = Op::Reduce { by: Reduction::Mean, axes: vec![1, 3] };
    let mean = g.node("mean", mean, &[square], A).unwrap();
    let real = g.node("real", Op::Dequantize, &[mean], Element::F32).unwrap();
    let log = g.node("log", Op::LogSoftmax, &[real], Element::F32).unwrap();
    let greatest = Op::ArgMax { axis: 2, least: true, last: false };
    let whole = Element { dtype: DType::I32, quantization: None };
    let place = g.node("place", greatest, &[log], whole).unwrap();
    let place = g.node("cast", Op::Cast, &[place], Element::F32).unwrap();
    detections(g, place)
}

fn detections(g: &mut Graph<'static>, x: ValueId) -> ValueId {
    let boxes = g.node("tiled", Op::Tile(vec![1, 1, 2, 4]), &[x], Element::F32).unwrap();
    let boxes = g.node("boxes", Op::Reshape(vec![1, 2, 4]), &[boxes], Element::F32).unwrap();
    let anchors = Constant::f32(&[0.5; 8]);
    let anchors = g.constant("anchors", bare(DType::F32, &[2, 4]), anchors).unwrap();
    let detect = Detect {
        divisors: [10.0, 10.0, 5.0, 5.0],
        score: 0.1,
        overlap: 0.5,
        most: 3,
        per_class: Some(2),
    };
    g.node("found", Op::Detect(detect), &[boxes, boxes, anchors], Element::F32).unwrap()
}

#[test]
fn shapes_and_multiplications_are_inferred() {
    let g = every_operation();
    let shape = |name: &str| {
        g.values().iter().find(|v| v.name() == name).map(|v| v.spec().shape.clone()).unwrap()
    };
    assert_eq!(shape("conv"), [1, 6, 6, 4]);
    assert_eq!(shape("max"), [1, 3, 3, 4]);
    assert_eq!(shape("mean"), [1, 1, 1, 4]);
    assert_eq!(shape("softmax"), [1, 3]);
    assert_eq!(shape("up"), [1, 12, 24, 2]);
    assert_eq!(shape("square"), [1, 3, 2, 2]);
    assert_eq!(shape("found"), [1, 3, 7]);
    let up = 6 * 12 * 4 * 4;
    assert_eq!(g.macs(), 36 * 4 * 18 + 36 * 4 * 9 + 12 + up + 12 * 5);
    assert_eq!(g.constant_bytes(), 72 + 16 + 36 + 12 + 16 + 32);
}

#[test]
fn bytes_and_graph_are_one_to_one() {
    let g = every_operation();
    let bytes = g.to_bytes();
    let again = Graph::from_bytes(&bytes, Limits::default()).unwrap();
    assert_eq!(again, g);
    assert_eq!(again.to_bytes(), bytes);
}

#[test]
fn a_graph_cut_anywhere_is_refused() {
    let bytes = every_operation().to_bytes();
    for length in 0..bytes.len() {
        let error = Graph::from_bytes(&bytes[..length], Limits::default()).unwrap_err();
        assert!(matches!(error, GraphError::Bytes { .. }), "{length}: {error}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(Graph::from_bytes(&longer, Limits::default()).is_err());
}

/// Damaged bytes are refused or are another graph in its one form; nothing panics.
#[test]
fn a_damaged_graph_never_panics() {
    let bytes = every_operation().to_bytes();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..200_000 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % damaged.len();
            damaged[at] = state.to_le_bytes()[2];
        }
        if let Ok(graph) = Graph::from_bytes(&damaged, Limits::default()) {
            assert_eq!(graph.to_bytes(), damaged);
        }
    }
}

#[test]
fn limits_are_kept() {
    let g = every_operation();
    let bytes = g.to_bytes();
    let made = g.values().iter().filter(|v| v.constant().is_none());
    let elements = made.map(|v| v.spec().elements()).sum();
    let most = Limits { bytes: bytes.len(), values: g.values().len(), elements, macs: g.macs() };
    Graph::from_bytes(&bytes, most).unwrap();
    let tighter = [
        ("bytes", Limits { bytes: most.bytes - 1, ..most }),
        ("values", Limits { values: most.values - 1, ..most }),
        ("elements", Limits { elements: most.elements - 1, ..most }),
        ("macs", Limits { macs: most.macs - 1, ..most }),
    ];
    for (name, limits) in tighter {
        assert!(Graph::from_bytes(&bytes, limits).is_err(), "{name}");
    }
}

struct Parts {
    g: Graph<'static>,
    x: ValueId,
    real: ValueId,
    w: ValueId,
    bias: ValueId,
}

fn parts() -> Parts {
    let mut g = Graph::new();
    let x = g.input("x", spec(A, &[1, 4, 4, 2])).unwrap();
    let real = g.input("real", bare(DType::F32, &[1, 4, 4, 2])).unwrap();
    let w = Constant::i8(&[1; 18], &[0.1]);
    let w = g.constant("w", bare(DType::I8, &[1, 3, 3, 2]), w).unwrap();
    let bias = g.constant("bias", bare(DType::I32, &[2]), Constant::i32(&[1, 2])).unwrap();
    Parts { g, x, real, w, bias }
}

#[test]
fn nodes_that_cannot_be_are_refused() {
    let Parts { mut g, x, real, w, bias } = parts();
    let valid = conv(Window::valid(3, 1), 1);
    let huge = Window { kernel: [5; 2], ..Window::valid(5, 1) };
    let bordered = Window { rows: [65_536; 2], columns: [65_536; 2], ..Window::valid(3, 65_536) };
    let outside = Window { rows: [2, 0], ..Window::valid(2, 2) };
    let nan = Clamp { low: f32::NAN, high: 1.0 };
    let cases: Vec<(&str, Op, Vec<ValueId>, Element)> = vec![
        ("no weights", valid.clone(), vec![x], B),
        ("float input of an int8 node", valid.clone(), vec![real, w], B),
        ("float output of an int8 node", valid.clone(), vec![x, w], Element::F32),
        ("weights that are no constant", valid.clone(), vec![x, x], B),
        ("bias of another length", valid.clone(), vec![x, w, bias], B),
        ("weights as bias", valid.clone(), vec![x, w, w], B),
        ("kernel that is not the weights'", conv(Window::valid(2, 1), 1), vec![x, w], B),
        ("border beyond all memory", conv(bordered, 1), vec![x, w], B),
        ("no groups", conv(Window::valid(3, 1), 0), vec![x, w], B),
        ("groups that do not divide", conv(Window::valid(3, 1), 3), vec![x, w], B),
        ("no stride", conv(Window { stride: [0; 2], ..Window::valid(3, 1) }, 1), vec![x, w], B),
        ("window larger than the picture", Op::MaxPool(huge), vec![x], A),
        ("window outside the picture", Op::MaxPool(outside), vec![x], A),
        ("pool that changes the rule", Op::MaxPool(Window::valid(2, 2)), vec![x], B),
        ("reshape to another size", Op::Reshape(vec![1, 31]), vec![x], A),
        ("reshape beyond usize", Op::Reshape(vec![u32::MAX; 6]), vec![x], A),
        (
            "sum of unlike kinds",
            Op::Binary { function: Pair::Add, clamp: Clamp::NONE },
            vec![x, real],
            A,
        ),
        ("dense of a picture", Op::Dense { clamp: Clamp::NONE }, vec![x, w], B),
        ("clamp to nothing", Op::Clamp(nan), vec![x], A),
        ("quantize without a rule", Op::Quantize, vec![real], Element::F32),
        ("dequantize f32", Op::Dequantize, vec![real], Element::F32),
        ("zero point out of range", Op::Quantize, vec![real], Element::i8(1.0, 128)),
        ("scale of zero", Op::Quantize, vec![real], Element::i8(0.0, 0)),
    ];
    for (name, op, inputs, element) in cases {
        let error = g.node(name, op, &inputs, element).unwrap_err();
        assert!(matches!(&error, GraphError::Value { name: n, .. } if n == name), "{error}");
    }
    assert!(matches!(g.check(), Err(GraphError::Open { inputs: 2, outputs: 0 })));
    assert!(g.output(x).is_err(), "an input as output");
}

#[test]
fn constants_that_cannot_be_are_refused() {
    let mut g = Graph::new();
    let quantized = TensorSpec {
        quantization: Some(Quantization { scale: 1.0, zero_point: 0 }),
        ..bare(DType::I8, &[2])
    };
    let cases = [
        ("short", bare(DType::F32, &[3]), Constant::f32(&[1.0; 2])),
        ("infinite", bare(DType::F32, &[2]), Constant::f32(&[1.0, f32::INFINITY])),
        ("scales of another number", bare(DType::I8, &[2]), Constant::i8(&[1, 2], &[1.0])),
        ("negative scale", bare(DType::I8, &[1]), Constant::i8(&[1], &[-1.0])),
        ("two rules", quantized, Constant::i8(&[1, 2], &[1.0, 1.0])),
        ("empty dimension", bare(DType::I8, &[0]), Constant::i8(&[], &[])),
        ("control\u{7}character", bare(DType::I8, &[1]), Constant::i8(&[1], &[])),
    ];
    for (name, spec, constant) in cases {
        assert!(g.constant(name, spec, constant).is_err(), "{name}");
    }
}
