//! What becomes of operators that stand together as exporters and quantizers write them.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
mod making;

use edgemill_import::{Options, import};
use edgemill_model::graph::{Clamp, Graph, Op};
use edgemill_model::tensor::DType;
use edgemill_reference::Reference;
use making::{
    INT8, INT32, INT64, UINT8, constant, floats, model, node, node_number, node_with, tensor,
};

fn graph(bytes: &[u8]) -> Graph<'static> {
    import(bytes, &Options::default()).unwrap()
}

/// The result types of all convolutions.
fn convolutions(graph: &Graph<'_>) -> Vec<(DType, Clamp)> {
    let of = |(id, node): (_, &edgemill_model::graph::Node)| match node.op {
        Op::Conv2d { clamp, .. } => Some((graph.value(id).spec().dtype, clamp)),
        _ => None,
    };
    graph.nodes().filter_map(of).collect()
}

#[test]
fn bounds_that_are_made_after_a_convolution_are_done_with_it() {
    let nodes = [
        node("Conv", &["x", "w"], "c"),
        constant("low", &floats("", &[], &[0.0])),
        constant("high", &floats("", &[], &[6.0])),
        node("Clip", &["c", "low", "high"], "y"),
    ];
    let made = graph(&model(&[1, 1, 2, 2], &nodes, &[floats("w", &[1, 1, 1, 1], &[2.0])]));
    assert_eq!(convolutions(&made), [(DType::F32, Clamp::RELU6)]);
}

/// x is quantized, then a convolution whose weights and bias have one scale; `after` makes y of c.
fn quantized(after: &[Vec<u8>]) -> Vec<u8> {
    let before = [
        node("QuantizeLinear", &["x", "s", "z"], "xq"),
        node("DequantizeLinear", &["xq", "s", "z"], "xd"),
        node("DequantizeLinear", &["w", "s", "z"], "wd"),
        node("DequantizeLinear", &["b", "sb", "zb"], "bd"),
        node("Conv", &["xd", "wd", "bd"], "c"),
    ];
    let constants = [
        floats("s", &[], &[0.5]),
        floats("sb", &[], &[0.25]),
        tensor("z", INT8, &[], &[0]),
        tensor("zb", INT32, &[], &[0; 4]),
        tensor("w", INT8, &[2, 1, 1, 1], &[2, 4]),
        tensor("b", INT32, &[2], &[4, 0, 0, 0, 8, 0, 0, 0]),
    ];
    model(&[1, 1, 2, 2], &[&before[..], after].concat(), &constants)
}

#[test]
fn one_scale_for_a_bias_needs_no_axis_and_a_rule_is_seen_through_moves() {
    let after = [
        node("Relu", &["c"], "r"),
        node_with("MaxPool", &["r"], "p", &[("kernel_shape", &[1, 1])]),
        node_with("Transpose", &["p"], "t", &[("perm", &[0, 2, 3, 1])]),
        node("QuantizeLinear", &["t", "s", "z"], "q"),
        node("DequantizeLinear", &["q", "s", "z"], "y"),
    ];
    let made = graph(&quantized(&after));
    assert_eq!(convolutions(&made), [(DType::I8, Clamp::RELU)]);
    let result = Reference::new(&made).unwrap().run(&[&[1.0, -4.0, 2.0, 0.5]]).unwrap();
    assert_eq!(result, [[2.0, 4.0, 0.0, 0.0, 3.0, 6.0, 1.5, 3.0]]);
}

#[test]
fn what_is_computed_between_is_not_quantized() {
    let after = [
        node("Exp", &["c"], "e"),
        node("QuantizeLinear", &["e", "s", "z"], "q"),
        node("DequantizeLinear", &["q", "s", "z"], "y"),
    ];
    assert_eq!(convolutions(&graph(&quantized(&after))), [(DType::F32, Clamp::NONE)]);
}

#[test]
fn constants_that_int8_can_say_do_not_make_real_numbers_of_bytes() {
    let slopes = floats("a", &[2, 1, 1], &[0.5, 0.25]);
    let half = floats("h", &[], &[0.5]);
    let around = |middle: Vec<Vec<u8>>| {
        let before = [
            node("QuantizeLinear", &["x", "s", "z"], "xq"),
            node("DequantizeLinear", &["xq", "s", "z"], "xd"),
        ];
        let after = [
            node("QuantizeLinear", &["m", "s", "z"], "q"),
            node("DequantizeLinear", &["q", "s", "z"], "y"),
        ];
        let constants =
            [floats("s", &[], &[0.5]), tensor("z", INT8, &[], &[0]), slopes.clone(), half.clone()];
        model(&[1, 2, 1, 2], &[&before[..], &middle, &after].concat(), &constants)
    };
    for (middle, expected) in [
        (vec![node("PRelu", &["xd", "a"], "m")], [4.0, -2.0, -1.0, 2.0]),
        (vec![node("Mul", &["xd", "h"], "m")], [2.0, -2.0, -2.0, 1.0]),
        (vec![node("Div", &["xd", "h"], "m")], [8.0, -8.0, -8.0, 4.0]),
        (vec![node("Sub", &["h", "xd"], "m")], [-3.5, 4.5, 4.5, -1.5]),
    ] {
        let made = graph(&around(middle));
        let pair = made.nodes().find(|(_, node)| matches!(node.op, Op::Binary { .. }));
        assert_eq!(made.value(pair.unwrap().0).spec().dtype, DType::I8);
        let result = Reference::new(&made).unwrap().run(&[&[4.0, -4.0, -4.0, 2.0]]).unwrap();
        assert_eq!(result, [expected]);
    }
}

#[test]
fn a_scatter_along_an_axis_is_one_gather_along_it() {
    let at = |n: i64| n.to_le_bytes();
    let indices: Vec<u8> = [0, 0, 1, 0].into_iter().flat_map(at).collect();
    let constants = [tensor("i", INT64, &[2, 1, 2], &indices), floats("u", &[2, 1], &[7.0, 8.0])];
    let nodes = [node("ScatterND", &["x", "i", "u"], "y")];
    let made = graph(&model(&[2, 3], &nodes, &constants));
    let gathers: Vec<_> = made
        .nodes()
        .filter_map(
            |(_, node)| if let Op::Gather { axis, .. } = node.op { Some(axis) } else { None },
        )
        .collect();
    assert_eq!(gathers, [1]);
    let result = Reference::new(&made).unwrap().run(&[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]).unwrap();
    assert_eq!(result, [[7.0, 2.0, 3.0, 8.0, 5.0, 6.0]]);
}

#[test]
fn a_border_of_bytes_is_made_of_the_number_that_they_stand_for() {
    let nodes = [
        node("QuantizeLinear", &["x", "s", "z"], "q"),
        node("Pad", &["q", "p", "v"], "w"),
        node("DequantizeLinear", &["w", "s", "z"], "y"),
    ];
    let pads: Vec<u8> = [0_i64, 1].into_iter().flat_map(i64::to_le_bytes).collect();
    let constants = [
        floats("s", &[], &[0.5]),
        tensor("z", UINT8, &[], &[100]),
        tensor("p", INT64, &[2], &pads),
        tensor("v", UINT8, &[], &[102]),
    ];
    let made = graph(&model(&[2], &nodes, &constants));
    let result = Reference::new(&made).unwrap().run(&[&[1.0, 2.0]]).unwrap();
    assert_eq!(result, [[1.0, 2.0, 1.0]]);
}

#[test]
fn a_detector_s_grids_are_put_behind_each_other_as_they_lie() {
    let grid = |from: &str, to: &str| {
        let conv = node("Conv", &[from, "w"], &format!("{to}c"));
        [conv, node("Reshape", &[&format!("{to}c"), "s"], to)]
    };
    let last = [
        node_with("MaxPool", &["x"], "p", &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])]),
        node_number("Concat", &["a", "b"], "all", "axis", 2),
        node_with("Transpose", &["all"], "y", &[("perm", &[0, 2, 1])]),
    ];
    let nodes = [&grid("x", "a")[..], &last[..1], &grid("p", "b"), &last[1..]].concat();
    let shape: Vec<u8> = [1_i64, 2, -1].iter().flat_map(|d| d.to_le_bytes()).collect();
    let constants = [floats("w", &[2, 1, 1, 1], &[1.0, 10.0]), tensor("s", INT64, &[3], &shape)];
    let made = graph(&model(&[1, 1, 2, 2], &nodes, &constants));
    assert!(!made.nodes().any(|(_, node)| matches!(node.op, Op::Transpose(_))));
    let result = Reference::new(&made).unwrap().run(&[&[1.0, 2.0, 3.0, 4.0]]).unwrap();
    assert_eq!(result, [[1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0, 4.0, 40.0]]);
}
