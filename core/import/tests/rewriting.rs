//! Operators that graphs do not have, made of those that they have.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
mod making;

use edgemill_import::{Options, import};
use edgemill_model::graph::{Graph, Op};
use edgemill_reference::Reference;
use making::{
    INT64, branches, constant, floats, model, node, node_number, node_saying, node_with, tensor,
};

fn graph(bytes: &[u8]) -> Graph<'static> {
    import(bytes, &Options::default()).unwrap()
}

fn run(bytes: &[u8], x: &[f32]) -> Vec<f32> {
    Reference::new(&graph(bytes)).unwrap().run(&[x]).unwrap().remove(0)
}

fn integers(name: &str, shape: &[usize], list: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = list.iter().flat_map(|n| n.to_le_bytes()).collect();
    tensor(name, INT64, shape, &raw)
}

/// y of x and w by an equation.
fn einsum(equation: &str, shape: &[usize], w: &[u8]) -> Vec<u8> {
    let nodes = [node_saying("Einsum", &["x", "w"], "y", "equation", equation)];
    model(shape, &nodes, &[w.to_vec()])
}

#[test]
fn a_contraction_with_weights_is_one_dense_node() {
    let bytes = einsum(
        "bck , kd -> bdc",
        &[1, 2, 3],
        &floats("w", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
    );
    let made = graph(&bytes);
    let dense = made.nodes().filter(|(_, node)| matches!(node.op, Op::Dense { .. })).count();
    assert_eq!(dense, 1);
    assert_eq!(run(&bytes, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [4.0, 10.0, 5.0, 11.0]);
}

#[test]
fn an_equation_without_a_sum_multiplies_elements() {
    let w = floats("w", &[2], &[10.0, 100.0]);
    assert_eq!(run(&einsum("a,b", &[2], &w), &[1.0, 2.0]), [10.0, 100.0, 20.0, 200.0]);
    assert_eq!(run(&einsum("...i,i->...", &[2, 2], &w), &[1.0, 0.0, 0.0, 2.0]), [10.0, 200.0]);
    assert_eq!(run(&einsum("ii,i->", &[2, 2], &w), &[1.0, 5.0, 5.0, 2.0]), [210.0]);
}

#[test]
fn equations_that_do_not_fit_are_refused() {
    let w = floats("w", &[2], &[1.0, 1.0]);
    for equation in ["abc,b->a", "a->a", "a,b->c", "a$,b->a", "......a,b->a", "ab,b->a"] {
        assert!(import(&einsum(equation, &[2], &w), &Options::default()).is_err(), "{equation}");
    }
}

#[test]
fn a_known_condition_takes_its_branch_and_names_within_do_not_clash() {
    let branch = |op: &str| vec![node(op, &["x"], "t"), node("Neg", &["t"], "r")];
    let nodes = [
        constant("yes", &tensor("", 9, &[], &[1])),
        constant("no", &tensor("", 9, &[], &[0])),
        branches("yes", "a", "r", [&branch("Abs"), &branch("Exp")]),
        branches("no", "b", "r", [&branch("Exp"), &branch("Floor")]),
        node("Add", &["a", "b"], "y"),
    ];
    assert_eq!(run(&model(&[2], &nodes, &[]), &[-1.5, 2.5]), [0.5, -4.5]);
}

#[test]
fn a_condition_that_is_computed_is_refused_with_advice() {
    let branch = [node("Abs", &["x"], "t")];
    let nodes = [branches("x", "y", "t", [&branch, &branch])];
    let error = import(&model(&[1], &nodes, &[]), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("If") && error.contains("fixed shape"), "{error}");
}

#[test]
fn branches_within_branches_end() {
    let mut inner = vec![node("Abs", &["x"], "t")];
    for _ in 0..20 {
        inner = vec![branches("yes", "t", "t", [&inner, &[node("Abs", &["x"], "t")]])];
    }
    let yes = constant("yes", &tensor("", 9, &[], &[1]));
    let bytes = model(&[1], &[vec![yes], inner, vec![node("Neg", &["t"], "y")]].concat(), &[]);
    assert!(import(&bytes, &Options::default()).is_err());
}

#[test]
fn local_response_norm_by_a_pool_over_three_axes_is_one_over_channels() {
    // As PyTorch writes it: channels become the depth of a volume.
    let nodes = [
        node("Unsqueeze", &["x", "one"], "u"),
        node("Pad", &["u", "p"], "w"),
        node_with(
            "AveragePool",
            &["w"],
            "m",
            &[("kernel_shape", &[3, 1, 1]), ("strides", &[1, 1, 1])],
        ),
        node("Squeeze", &["m", "one"], "y"),
    ];
    let constants =
        [integers("one", &[1], &[1]), integers("p", &[10], &[0, 0, 1, 0, 0, 0, 0, 1, 0, 0])];
    let bytes = model(&[1, 4, 1, 2], &nodes, &constants);
    let expected = [4.0, 5.0, 9.0, 12.0, 15.0, 18.0, 12.0, 14.0].map(|sum: f32| sum / 3.0);
    for (a, b) in run(&bytes, &[1.0, 1.0, 3.0, 4.0, 5.0, 7.0, 7.0, 7.0]).iter().zip(expected) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

#[test]
fn a_convolution_over_depth_sums_its_layers() {
    let nodes = [node_with(
        "Conv",
        &["x", "w"],
        "y",
        &[("pads", &[1, 0, 0, 0, 0, 0]), ("strides", &[2, 1, 1])],
    )];
    let constants = [floats("w", &[1, 1, 2, 2, 1], &[1.0, 2.0, 10.0, 20.0])];
    // Layers 0 | 1 3 | 5 7: of each pair the rows weigh 1 and 2, the second layer ten times as much.
    let bytes = model(&[1, 1, 3, 2, 1], &nodes, &constants);
    assert_eq!(run(&bytes, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [50.0, 11.0 + 170.0]);
}

#[test]
fn the_greatest_come_in_order() {
    let bytes = model(&[1, 5], &[node("TopK", &["x", "k"], "y")], &[integers("k", &[1], &[3])]);
    assert_eq!(run(&bytes, &[3.0, 9.0, -1.0, 9.0, 4.0]), [9.0, 9.0, 4.0]);
}

#[test]
fn computed_indices_gather_rows_also_from_the_end() {
    let nodes =
        [node_number("Cast", &["x"], "i", "to", INT64.into()), node("Gather", &["w", "i"], "y")];
    let w = floats("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(run(&model(&[2], &nodes, &[w]), &[1.0, -1.0]), [3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn boxes_that_are_chosen_while_running_are_refused_with_advice() {
    let nodes = [node("NonMaxSuppression", &["x", "x"], "y")];
    let error =
        import(&model(&[1, 1, 4], &nodes, &[]), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("decode-detections"), "{error}");
}

#[test]
fn an_open_axis_gets_the_size_that_is_given() {
    let bytes = model(&[1, 0], &[node("Neg", &["x"], "y")], &[]);
    let error = import(&bytes, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("axis 1") && error.contains("--shape"), "{error}");
    for (name, shape, fits) in [
        ("x", vec![1, 3], true),
        ("", vec![1, 3], true),
        ("x", vec![2, 3], false),
        ("x", vec![3], false),
        ("z", vec![1, 3], false),
    ] {
        let shapes = vec![(name.to_owned(), shape)];
        let made = import(&bytes, &Options { shapes, ..Options::default() });
        assert_eq!(made.is_ok(), fits, "{name}");
    }
}

#[test]
fn what_was_pooled_goes_back_to_where_it_was() {
    let window: &[(&str, &[usize])] = &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])];
    let nodes = [
        making::node_giving("MaxPool", &["x"], &["m", "i"], window),
        node_with("MaxUnpool", &["m", "i"], "y", window),
    ];
    let x = [1.0, 2.0, 3.0, 4.0, 9.0, 0.0, 4.0, 4.0];
    let expected = [0.0, 0.0, 0.0, 4.0, 9.0, 0.0, 0.0, 0.0];
    assert_eq!(run(&model(&[1, 1, 2, 4], &nodes, &[]), &x), expected);
}

#[test]
fn an_activation_that_is_part_of_a_product_is_done() {
    let gemm =
        making::node_text_in("com.microsoft", "FusedGemm", &["x", "w"], "g", "activation", "Relu");
    let w = floats("w", &[2, 2], &[1.0, -1.0, 0.0, 1.0]);
    let bytes = model(&[1, 2], &[gemm, node("Neg", &["g"], "y")], &[w]);
    assert_eq!(run(&bytes, &[2.0, 1.0]), [-2.0, 0.0]);
}

#[test]
fn a_loss_of_targets_of_another_rank_is_refused() {
    let loss = [node("SoftmaxCrossEntropyLoss", &["x", "t"], "y")];
    let target = tensor("t", INT64, &[1], &[0; 8]);
    let error = import(&model(&[1, 2, 3], &loss, &[target]), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("number of axes"), "{error}");
}
