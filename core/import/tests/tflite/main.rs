//! TensorFlow Lite files, written here, as graphs.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
mod detect;
mod flat;
mod kinds;
mod picks;
mod pictures;

use edgemill_import::{Options, import};
use edgemill_model::graph::{Graph, Op};
use edgemill_model::tensor::DType;
use edgemill_reference::Reference;

use flat::Field::{Bytes, F32, I32, I32s, None, Table, Tables, U8};
use flat::{FLOAT, Field, File, INT8, INT32};

fn read(file: &[u8]) -> Graph<'static> {
    import(file, &Options::default()).unwrap()
}

fn refusal(file: &[u8]) -> String {
    import(file, &Options::default()).unwrap_err().to_string()
}

fn run(file: &[u8], input: &[f32]) -> Vec<f32> {
    Reference::new(&read(file)).unwrap().run(&[input]).unwrap().remove(0)
}

fn ops(graph: &Graph<'_>) -> Vec<Op> {
    graph.nodes().map(|(_, node)| node.op.clone()).collect()
}

/// y = x + the dense form of a sparse constant.
fn with_sparse(shape: &[i32], elements: &[f32], sparsity: Vec<Field>) -> Vec<u8> {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, shape), file.tensor("y", FLOAT, shape));
    let dense = file.tensor("dense", FLOAT, shape);
    let sparse = file.f32s(shape, elements);
    file.set(sparse, 6, Table(sparsity));
    file.operator(124, &[sparse], dense, Vec::new());
    file.operator(0, &[x, dense], y, Vec::new());
    file.finish(&[x], &[y])
}

fn dense_axis(size: i32) -> Vec<Field> {
    vec![U8(0), I32(size)]
}

fn sparse_axis(segments: &[u8], places: &[i32]) -> Vec<Field> {
    let segments = Table(vec![Bytes(segments.to_vec())]);
    vec![U8(1), I32(0), U8(3), segments, U8(1), Table(vec![I32s(places.to_vec())])]
}

#[test]
fn sparse_constants_become_dense() {
    let axes = vec![dense_axis(2), sparse_axis(&[0, 2, 3], &[0, 2, 1])];
    let rows = vec![I32s(vec![0, 1]), None, Tables(axes)];
    assert_eq!(
        run(&with_sparse(&[2, 3], &[1.0, 2.0, 3.0], rows), &[0.0; 6]),
        [1., 0., 2., 0., 3., 0.]
    );
    let axes = vec![dense_axis(2), sparse_axis(&[0, 1, 2], &[1, 0]), dense_axis(2)];
    let blocks = vec![I32s(vec![0, 1, 2]), I32s(vec![1]), Tables(axes)];
    let file = with_sparse(&[2, 4], &[1.0, 2.0, 3.0, 4.0], blocks);
    assert_eq!(run(&file, &[0.0; 8]), [0., 0., 1., 2., 3., 4., 0., 0.]);
}

#[test]
fn sparse_constants_that_contradict_themselves_are_refused() {
    for (segments, places) in
        [(&[0, 9, 9][..], &[0, 2, 1][..]), (&[0, 2, 3], &[0, 7, 1]), (&[0], &[])]
    {
        let axes = vec![dense_axis(2), sparse_axis(segments, places)];
        let rows = vec![I32s(vec![0, 1]), None, Tables(axes)];
        let said = refusal(&with_sparse(&[2, 3], &[1.0, 2.0, 3.0], rows));
        assert!(said.contains("contradict") && said.contains("DENSIFY"), "{said}");
    }
    let deep = vec![I32s((0..20).collect()), I32s(vec![0; 18]), Tables(vec![dense_axis(1); 20])];
    assert!(refusal(&with_sparse(&[1, 1], &[1.0], deep)).contains("contradict"));
}

/// A picture of 6 × 6 under a window of 3 × 3 whose taps are 2 apart.
fn dilated(batches: bool) -> Vec<u8> {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 6, 6, 1]), file.tensor("y", FLOAT, &[1, 6, 6, 1]));
    let weights: Vec<f32> = (1_u8..10).map(f32::from).collect();
    let weights = file.f32s(&[1, 3, 3, 1], &weights);
    let options = |padding, apart| vec![U8(padding), I32(1), I32(1), U8(0), I32(apart), I32(apart)];
    if !batches {
        file.operator(3, &[x, weights], y, options(0, 2));
        return file.finish(&[x], &[y]);
    }
    let (cut, made) =
        (file.tensor("cut", FLOAT, &[4, 5, 5, 1]), file.tensor("made", FLOAT, &[4, 3, 3, 1]));
    let (block, pads, crops) =
        (file.i32s(&[2, 2]), file.i32s(&[2, 2, 2, 2]), file.i32s(&[0, 0, 0, 0]));
    file.operator(38, &[x, block, pads], cut, Vec::new());
    file.operator(3, &[cut, weights], made, options(1, 1));
    file.operator(37, &[made, block, crops], y, Vec::new());
    file.finish(&[x], &[y])
}

#[test]
fn a_convolution_between_space_and_batch_is_a_dilated_one() {
    let picture: Vec<f32> = (0_u8..36).map(f32::from).collect();
    assert_eq!(run(&dilated(true), &picture), run(&dilated(false), &picture));
    let made = ops(&read(&dilated(true)));
    let [Op::Conv2d { dilation: [2, 2], .. }, Op::Reshape(_)] = made[..] else {
        panic!("{made:?}");
    };
}

#[test]
fn space_goes_to_batch_and_back() {
    let mut file = File::default();
    let (x, cut) =
        (file.tensor("x", FLOAT, &[1, 2, 4, 1]), file.tensor("cut", FLOAT, &[4, 1, 2, 1]));
    let (twice, y) =
        (file.tensor("twice", FLOAT, &[4, 1, 2, 1]), file.tensor("y", FLOAT, &[1, 2, 3, 1]));
    let (block, none, crops) = (file.i32s(&[2, 2]), file.i32s(&[0; 4]), file.i32s(&[0, 0, 1, 0]));
    file.operator(38, &[x, block, none], cut, Vec::new());
    file.operator(0, &[cut, cut], twice, Vec::new());
    file.operator(37, &[twice, block, crops], y, Vec::new());
    let bytes = file.finish(&[x], &[cut, y]);
    let picture = [1., 2., 3., 4., 5., 6., 7., 8.];
    let made = Reference::new(&read(&bytes)).unwrap().run(&[&picture]).unwrap();
    assert_eq!(made[0], [1., 3., 2., 4., 5., 7., 6., 8.]);
    assert_eq!(made[1], [4., 6., 8., 12., 14., 16.]);
}

#[test]
fn sums_run_along_an_axis() {
    for (without, backwards, expected) in
        [(0, 0, [1., 2., 4., 6.]), (1, 0, [0., 0., 1., 2.]), (1, 1, [3., 4., 0., 0.])]
    {
        let mut file = File::default();
        let (x, y) = (file.tensor("x", FLOAT, &[2, 2]), file.tensor("y", FLOAT, &[2, 2]));
        let axis = file.constant("axis", INT32, &[], &0_i32.to_le_bytes());
        file.operator(128, &[x, axis], y, vec![U8(without), U8(backwards)]);
        assert_eq!(run(&file.finish(&[x], &[y]), &[1., 2., 3., 4.]), expected);
    }
}

#[test]
fn shapes_that_the_file_computes_are_known() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 2, 3]), file.tensor("y", FLOAT, &[1, 1]));
    let (shape, first) = (file.tensor("shape", INT32, &[3]), file.tensor("first", INT32, &[]));
    let (six, to) =
        (file.constant("six", INT32, &[], &6_i32.to_le_bytes()), file.tensor("to", INT32, &[2]));
    let (zero, one) = (file.i32s(&[0]), file.i32s(&[1]));
    file.operator(77, &[x], shape, Vec::new());
    file.operator(45, &[shape, zero, one, one], first, vec![None, None, None, None, I32(1)]);
    file.operator(83, &[first, six], to, vec![I32(2), I32(0)]);
    file.operator(22, &[x, to], y, Vec::new());
    let graph = read(&file.finish(&[x], &[y]));
    assert_eq!(graph.value(graph.outputs()[0]).spec().shape, [1, 6]);
}

#[test]
fn a_function_between_two_rules_is_int8() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", INT8, &[1, 4]), file.tensor("y", INT8, &[1, 4]));
    let (real, made) = (file.tensor("real", FLOAT, &[1, 4]), file.tensor("made", FLOAT, &[1, 4]));
    for (tensor, scale) in [(x, 0.1_f32), (y, 0.05)] {
        let scales = I32s(vec![scale.to_bits().cast_signed()]);
        file.set(tensor, 4, Table(vec![None, None, scales]));
    }
    file.operator(6, &[x], real, Vec::new());
    file.operator(111, &[real], made, Vec::new());
    file.operator(114, &[made], y, Vec::new());
    let graph = read(&file.finish(&[x], &[y]));
    assert!(
        graph.values().iter().all(|value| value.spec().dtype == DType::I8),
        "{:?}",
        ops(&graph)
    );
}

#[test]
fn an_operator_that_is_not_supported_is_named_with_its_node() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 4]), file.tensor("memory", FLOAT, &[1, 4]));
    file.operator(44, &[x], y, vec![F32(1.0)]);
    let said = refusal(&file.finish(&[x], &[y]));
    for word in ["UNIDIRECTIONAL_SEQUENCE_LSTM", "\"memory\"", "docs/importing.md"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn more_than_the_limits_is_refused() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1]), file.tensor("y", FLOAT, &[1]));
    let one = file.constant("one", FLOAT, &[], &1_f32.to_le_bytes());
    let size = file.i32s(&[1 << 14, 1 << 13]);
    file.operator(94, &[size, one], y, Vec::new());
    let said = refusal(&file.finish(&[x], &[y]));
    assert!(said.contains("FILL") && said.contains("67108864"), "{said}");
}
