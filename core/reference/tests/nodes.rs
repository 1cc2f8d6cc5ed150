//! Every kind of node against plain loops, in real numbers and on int8 grids.
use edgemill_model::graph::{Clamp, Constant, Element, Graph, Op, Pair, ValueId, Window};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};
use edgemill_reference::{Reference, ReferenceError};

fn spec(dtype: DType, shape: &[u32]) -> TensorSpec {
    TensorSpec { dtype, shape: shape.to_vec(), quantization: None }
}

/// Values in -1..1, all over the place.
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mix = |i: u32| {
        (i ^ (seed << 20)).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b)
    };
    (1..).take(count).map(|i| (mix(i) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn input(graph: &mut Graph<'static>, shape: &[u32]) -> ValueId {
    graph.input("x", spec(DType::F32, shape)).expect("an input")
}

fn constant(graph: &mut Graph<'static>, shape: &[u32], seed: u32) -> (ValueId, Vec<f32>) {
    let elements = values(shape.iter().product::<u32>() as usize, seed);
    let id = graph.constant("c", spec(DType::F32, shape), Constant::f32(&elements));
    (id.expect("a constant"), elements)
}

fn run(mut graph: Graph<'static>, output: ValueId, inputs: &[&[f32]]) -> Vec<f32> {
    graph.output(output).expect("an output");
    let reference = Reference::new(&graph).expect("it can be run");
    reference.run(inputs).expect("the inputs fit").remove(0)
}

fn assert_near(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let far = found.iter().zip(expected).position(|(a, b)| (a - b).abs() > 1e-4);
    assert_eq!(far, None, "{name}: {found:?}, not {expected:?}");
}

/// The pixel of `x` (height 5, width 6) that tap (ky, kx) of the window at (y, x) sees.
fn pixel(window: &Window, dilation: [u32; 2], at: [u32; 2], tap: [u32; 2]) -> Option<usize> {
    let along = |axis: usize, before: u32, size: u32| {
        let place = at[axis] * window.stride[axis] + tap[axis] * dilation[axis];
        place.checked_sub(before).filter(|&place| place < size)
    };
    let (y, x) = (along(0, window.rows[0], 5)?, along(1, window.columns[0], 6)?);
    Some((y * 6 + x) as usize)
}

/// Calls `each` with the pixels that every window sees, and the taps that see them.
fn sweep(window: &Window, dilation: [u32; 2], mut each: impl FnMut(&[(usize, usize)])) {
    let places = |axis: usize, border: [u32; 2], size: u32| {
        let covered = (window.kernel[axis] - 1) * dilation[axis] + 1;
        (size + border[0] + border[1] - covered) / window.stride[axis] + 1
    };
    for y in 0..places(0, window.rows, 5) {
        for x in 0..places(1, window.columns, 6) {
            let taps =
                (0..window.kernel[0]).flat_map(|ky| (0..window.kernel[1]).map(move |kx| [ky, kx]));
            let seen = taps
                .enumerate()
                .filter_map(|(tap, at)| Some((tap, pixel(window, dilation, [y, x], at)?)));
            each(&seen.collect::<Vec<_>>());
        }
    }
}

const WINDOWS: [(&str, Window, [u32; 2]); 4] = [
    ("plain", Window::valid(3, 1), [1, 1]),
    ("strided", Window { kernel: [3, 2], stride: [2, 3], rows: [1, 0], columns: [0, 1] }, [1, 1]),
    ("dilated", Window { kernel: [2, 3], stride: [1, 1], rows: [0, 1], columns: [2, 1] }, [2, 2]),
    ("same", Window::same(5), [1, 1]),
];

#[test]
fn convolutions_of_all_groups() {
    for (name, window, dilation) in WINDOWS {
        for groups in [1_usize, 2, 4] {
            let (channels, filters) = (4, 8);
            let (depth, of_group) = (channels / groups, filters / groups);
            let mut graph = Graph::new();
            let x = input(&mut graph, &[1, 5, 6, 4]);
            let [height, width] = window.kernel;
            let shape = [8, height, width, u32::try_from(depth).expect("small")];
            let (w, weights) = constant(&mut graph, &shape, 2);
            let (b, bias) = constant(&mut graph, &[8], 3);
            let clamp = Clamp { low: -0.5, high: 1.0 };
            let op = Op::Conv2d {
                window,
                dilation,
                groups: u32::try_from(groups).expect("small"),
                clamp,
            };
            let y = graph.node("y", op, &[x, w, b], Element::F32).expect("a node");
            let picture = values(120, 1);
            let found = run(graph, y, &[&picture]);
            let taps = (height * width) as usize;
            let mut expected = Vec::new();
            sweep(&window, dilation, |seen| {
                for filter in 0..filters {
                    let product = |&(tap, pixel): &(usize, usize)| -> f32 {
                        (0..depth)
                            .map(|c| {
                                let channel = filter / of_group * depth + c;
                                weights[(filter * taps + tap) * depth + c]
                                    * picture[pixel * channels + channel]
                            })
                            .sum()
                    };
                    let sum = bias[filter] + seen.iter().map(product).sum::<f32>();
                    expected.push(sum.clamp(-0.5, 1.0));
                }
            });
            assert_near(&format!("{name}, {groups} groups"), &found, &expected);
        }
    }
}

#[test]
fn pools() {
    for (name, window, _) in WINDOWS {
        let picture = values(120, 1);
        let channel = |seen: &[(usize, usize)], c: usize| -> Vec<f32> {
            seen.iter().map(|&(_, pixel)| picture[pixel * 4 + c]).collect()
        };
        let (mut greatest, mut means) = (Vec::new(), Vec::new());
        sweep(&window, [1, 1], |seen| {
            for c in 0..4 {
                let values = channel(seen, c);
                greatest.push(values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                means.push(values.iter().sum::<f32>() / values.len() as f32);
            }
        });
        for (op, expected) in [(Op::MaxPool(window), greatest), (Op::AveragePool(window), means)] {
            let mut graph = Graph::new();
            let x = input(&mut graph, &[1, 5, 6, 4]);
            let y = graph.node("y", op.clone(), &[x], Element::F32).expect("a node");
            assert_near(&format!("{name} {op:?}"), &run(graph, y, &[&picture]), &expected);
        }
    }
}

#[test]
fn dense_without_a_bias_and_with_one() {
    for with_bias in [false, true] {
        let mut graph = Graph::new();
        let x = input(&mut graph, &[2, 3]);
        let (w, weights) = constant(&mut graph, &[4, 3], 2);
        let (b, bias) = constant(&mut graph, &[4], 3);
        let inputs = if with_bias { vec![x, w, b] } else { vec![x, w] };
        let y = graph.node("y", Op::Dense { clamp: Clamp::RELU }, &inputs, Element::F32);
        let rows = values(6, 1);
        let mut expected = Vec::new();
        for row in rows.chunks(3) {
            for (unit, weights) in weights.chunks(3).enumerate() {
                let sum: f32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
                expected.push((sum + if with_bias { bias[unit] } else { 0.0 }).max(0.0));
            }
        }
        assert_near("dense", &run(graph, y.expect("a node"), &[&rows]), &expected);
    }
}

#[test]
fn elementwise() {
    let (a, b) = (values(6, 1), values(6, 2));
    let clamp = Clamp { low: -0.25, high: 0.5 };
    let exponentials: Vec<f32> = a.iter().map(|v| v.exp()).collect();
    let softmax =
        exponentials.chunks(3).flat_map(|row| row.iter().map(|e| e / row.iter().sum::<f32>()));
    let cases = [
        (
            Op::Binary { function: Pair::Add, clamp },
            a.iter().zip(&b).map(|(a, b)| (a + b).clamp(-0.25, 0.5)).collect::<Vec<_>>(),
        ),
        (Op::Clamp(clamp), a.iter().map(|a| a.clamp(-0.25, 0.5)).collect()),
        (Op::Softmax, softmax.collect()),
        (Op::Reshape(vec![3, 1, 2]), a.clone()),
    ];
    for (op, expected) in cases {
        let mut graph = Graph::new();
        let (x, other) = (input(&mut graph, &[2, 3]), input(&mut graph, &[2, 3]));
        let inputs = if matches!(op, Op::Binary { .. }) { vec![x, other] } else { vec![x] };
        let y = graph.node("y", op.clone(), &inputs, Element::F32).expect("a node");
        assert_near(&format!("{op:?}"), &run(graph, y, &[&a, &b]), &expected);
    }
}

#[test]
fn a_softmax_of_great_numbers_is_no_overflow() {
    let mut graph = Graph::new();
    let x = input(&mut graph, &[1, 3]);
    let y = graph.node("y", Op::Softmax, &[x], Element::F32).expect("a node");
    assert_near("softmax", &run(graph, y, &[&[1000.0, 1000.0, -1000.0]]), &[0.5, 0.5, 0.0]);
}

#[test]
fn int8_nodes_give_what_their_grids_hold() {
    let mut graph = Graph::new();
    let x = input(&mut graph, &[1, 2]);
    let quantized = graph.node("q", Op::Quantize, &[x], Element::i8(0.5, 10)).expect("a node");
    // Weights 2 and -1 of a scale of 0.5, 1 and 1 of 0.25; biases in steps of 0.25 and of 0.125.
    let weights = Constant::i8(&[4, -2, 4, 4], &[0.5, 0.25]);
    let w = graph.constant("w", spec(DType::I8, &[2, 2]), weights).expect("a constant");
    let b =
        graph.constant("b", spec(DType::I32, &[2]), Constant::i32(&[4, -8])).expect("a constant");
    let dense = Op::Dense { clamp: Clamp::NONE };
    let y = graph.node("y", dense, &[quantized, w, b], Element::i8(0.3, 0)).expect("a node");
    let real = graph.node("d", Op::Dequantize, &[y], Element::F32).expect("a node");
    // 1.2 and -0.8 are 1 and -1 on the grid: 2 + 1 + 1 = 4 and 1 - 1 - 1 = -1, then in steps of 0.3.
    assert_near("dense", &run(graph, real, &[&[1.2, -0.8]]), &[13.0 * 0.3, -3.0 * 0.3]);
}

#[test]
fn a_grid_ends_where_its_bytes_end() {
    let mut graph = Graph::new();
    let rule = Quantization { scale: 0.1, zero_point: 120 };
    let spec = TensorSpec { quantization: Some(rule), ..spec(DType::I8, &[3]) };
    let x = graph.input("x", spec).expect("an input");
    let y = graph.node("y", Op::Dequantize, &[x], Element::F32).expect("a node");
    assert_near("ends", &run(graph, y, &[&[100.0, -100.0, 0.26]]), &[0.7, -24.8, 0.3]);
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let mut graph = Graph::new();
    let x = input(&mut graph, &[1, 2]);
    let y = graph.node("y", Op::Softmax, &[x], Element::F32).expect("a node");
    graph.output(y).expect("an output");
    let reference = Reference::new(&graph).expect("it can be run");
    let none = reference.run(&[]);
    assert!(matches!(none, Err(ReferenceError::Inputs { given: 0, needed: 1 })));
    let short = reference.run(&[&[1.0]]);
    assert!(matches!(short, Err(ReferenceError::Elements { index: 0, given: 1, needed: 2 })));
}

#[test]
fn matrices_are_multiplied_behind_any_axes_and_repeated_along_those_of_one() {
    let mut graph = Graph::new();
    let a = input(&mut graph, &[2, 3, 1, 2, 4]);
    let (b, right) = constant(&mut graph, &[2, 1, 2, 4, 3], 9);
    let y = graph.node("y", Op::MatMul, &[a, b], Element::F32).expect("a node");
    let left = values(2 * 3 * 2 * 4, 5);
    let mut expected = Vec::new();
    for (n, m, k) in (0..12).map(|at| (at / 6, at / 2 % 3, at % 2)) {
        for (row, column) in (0..6).map(|at| (at / 3, at % 3)) {
            let a = |i: usize| left[((n * 3 + m) * 2 + row) * 4 + i];
            let b = |i: usize| right[((n * 2 + k) * 4 + i) * 3 + column];
            expected.push((0..4).map(|i| a(i) * b(i)).sum());
        }
    }
    assert_near("matrices", &run(graph, y, &[&left]), &expected);
}
