//! Every int8 operation that is not a convolution or a pool, by every kernel of this processor, against the formula
//! that `docs/graph-format.md` gives for it, element by element.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the plain arithmetic that the engine is held against"
)]
use edgemill_engine::{Engine, Plan, kernels};
use edgemill_model::graph::{
    Clamp, Constant, Element, Function, Graph, Op, Pair, Reduction, Span, ValueId, Window,
};
use edgemill_model::tensor::{DType, TensorSpec};

#[allow(dead_code, reason = "other tests need more of it")]
mod network;

use network::{Builder, Random};

const SHAPE: [u32; 4] = [2, 3, 5, 6];
const X: (f32, i32) = (0.05, -7);
const OUT: (f32, i32) = (0.031, 11);

/// An index for each axis, of every element in order.
fn places(shape: &[u32]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |before, &count| {
        let along = |place: Vec<usize>| {
            (0..count as usize).map(move |i| [&place[..], &[i]].concat()).collect::<Vec<_>>()
        };
        before.into_iter().flat_map(along).collect()
    })
}

fn at(shape: &[u32], place: &[usize]) -> usize {
    place.iter().zip(shape).fold(0, |at, (i, &count)| at * count as usize + i)
}

fn spec(shape: &[u32], (scale, zero_point): (f32, i32)) -> TensorSpec {
    let Element { dtype, quantization } = Element::i8(scale, zero_point);
    TensorSpec { dtype, shape: shape.into(), quantization }
}

fn round(steps: f32, (_, zero_point): (f32, i32)) -> i8 {
    (f64::from(steps).round_ties_even() + f64::from(zero_point)).clamp(-128.0, 127.0) as i8
}

/// Bytes of the outputs of `graph` for elements of its inputs, the same by every kernel.
fn run(graph: &Graph<'_>, inputs: &[&[i8]]) -> Vec<Vec<u8>> {
    let inputs: Vec<Vec<u8>> =
        inputs.iter().map(|x| x.iter().map(|v| v.cast_unsigned()).collect()).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
    for kernel in kernels::available() {
        let plan = Plan::new(graph, kernel).unwrap();
        let memory = vec![0xA5; plan.memory_bytes()];
        let mut engine = Engine::new(plan, graph, memory).unwrap();
        let mut y: Vec<Vec<u8>> =
            graph.outputs().iter().map(|&id| vec![0; graph.value(id).spec().bytes()]).collect();
        for _ in 0..2 {
            let mut outputs: Vec<&mut [u8]> = y.iter_mut().map(Vec::as_mut_slice).collect();
            engine.run(&inputs, &mut outputs).unwrap();
        }
        all.push(y);
    }
    assert!(all.iter().all(|y| *y == all[0]), "kernels differ");
    all.swap_remove(0)
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|b| b.cast_signed()).collect()
}

/// One node of one input, and what it is held against: the element at a place of the result.
fn one(op: Op, out: Element, expected: impl Fn(&[i8], &[usize]) -> i8) {
    let mut b = Builder::new(5);
    let x = b.graph.input("x", spec(&SHAPE, X)).unwrap();
    let name = format!("{op:?}");
    let y = b.node("y", op, &[x], out);
    b.graph.output(y).unwrap();
    let mut random = Random(3);
    let elements: Vec<i8> = (0..180).map(|_| random.i8()).collect();
    let plain: Vec<i8> = places(&b.shape(y)).iter().map(|p| expected(&elements, p)).collect();
    assert_eq!(signed(&run(&b.graph, &[&elements])[0]), plain, "{name}");
}

fn same() -> Element {
    Element::i8(X.0, X.1)
}

#[test]
fn moves_take_elements_from_where_they_should() {
    let x = |elements: &[i8], place: [usize; 4]| elements[at(&SHAPE, &place)];
    let spans = vec![
        Span::whole(2),
        Span { start: 2, step: -2, count: 2 },
        Span { start: 1, step: 2, count: 2 },
        Span { start: 3, step: 1, count: 3 },
    ];
    one(Op::Slice(spans), same(), |e, p| x(e, [p[0], 2 - 2 * p[1], 1 + 2 * p[2], 3 + p[3]]));
    let indices = vec![4, 0, 0, 3];
    one(Op::Gather { axis: 2, indices: indices.clone() }, same(), |e, p| {
        x(e, [p[0], p[1], indices[p[2]] as usize, p[3]])
    });
    one(Op::Transpose(vec![0, 3, 1, 2]), same(), |e, p| x(e, [p[0], p[2], p[3], p[1]]));
    one(Op::Transpose(vec![2, 1, 0, 3]), same(), |e, p| x(e, [p[2], p[1], p[0], p[3]]));
    one(Op::Tile(vec![2, 1, 3, 2]), same(), |e, p| x(e, [p[0] % 2, p[1], p[2] % 5, p[3] % 6]));
    let borders = vec![[0, 0], [1, 2], [0, 1], [2, 0]];
    let fill = round(0.4 / X.0, X);
    one(Op::Pad { borders, value: 0.4 }, same(), |e, p| {
        let inside = (1..4).contains(&p[1]) && p[2] < 5 && p[3] >= 2;
        if inside { x(e, [p[0], p[1] - 1, p[2], p[3] - 2]) } else { fill }
    });
}

#[test]
fn functions_are_tables_of_the_exact_one() {
    let functions = [
        Function::Abs,
        Function::Sigmoid,
        Function::Tanh,
        Function::HardSwish,
        Function::Swish,
        Function::Exp,
        Function::LeakyRelu(0.1),
        Function::HardSigmoid(0.2, 0.5),
    ];
    for function in functions {
        one(Op::Unary(function), Element::i8(OUT.0, OUT.1), |e, p| {
            let real = (i32::from(e[at(&SHAPE, p)]) - X.1) as f32 * X.0;
            round(function.apply(real) / OUT.0, OUT)
        });
    }
}

#[test]
fn reductions_sum_and_compare() {
    for axes in [vec![1, 2], vec![3], vec![0, 2], vec![0, 1, 2, 3]] {
        for by in [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min] {
            let moves = matches!(by, Reduction::Max | Reduction::Min);
            let out = if moves { same() } else { Element::i8(0.3, 11) };
            let reduced = |axis: usize| axes.iter().any(|&a| usize::from(a) == axis);
            one(Op::Reduce { by, axes: axes.clone() }, out, |e, p| {
                let all = places(&SHAPE);
                let here = all.iter().filter(|q| (0..4).all(|a| reduced(a) || q[a] == p[a]));
                let values: Vec<i32> = here.map(|q| e[at(&SHAPE, q)].into()).collect();
                let sum: i32 = values.iter().map(|v| v - X.1).sum();
                let ratio = f64::from(X.0) / f64::from(0.3_f32);
                match by {
                    Reduction::Max => *values.iter().max().unwrap() as i8,
                    Reduction::Min => *values.iter().min().unwrap() as i8,
                    Reduction::Mean => {
                        round(sum as f32 * (ratio / values.len() as f64) as f32, (0.3, 11))
                    }
                    _ => round(sum as f32 * ratio as f32, (0.3, 11)),
                }
            });
        }
    }
}

#[test]
fn a_resized_picture_lies_between_its_neighbours() {
    let (step, origin) = ([0.4_f32, 0.75], [-0.3_f32, 0.125]);
    let op = Op::Resize { size: [7, 6], step, origin };
    one(op, Element::i8(OUT.0, OUT.1), |e, p| {
        let place = |axis: usize, i: usize, last: usize| {
            let at = (origin[axis] + i as f32 * step[axis]).clamp(0.0, last as f32);
            let before = at.floor() as usize;
            (before, (before + 1).min(last), at - at.floor())
        };
        let ((up, down, v), (left, right, u)) = (place(0, p[1], 2), place(1, p[2], 4));
        let x = |row, column| {
            let element = e[at(&SHAPE, &[p[0], row, column, p[3]])];
            (i32::from(element) - X.1) as f32
        };
        let upper = x(up, left) * (1.0 - u) + x(up, right) * u;
        let lower = x(down, left) * (1.0 - u) + x(down, right) * u;
        let ratio = (f64::from(X.0) / f64::from(OUT.0)) as f32;
        round((upper * (1.0 - v) + lower * v) * ratio, OUT)
    });
}

/// Two inputs of these shapes, rules apart.
fn two(shapes: [&[u32]; 2], op: &Op, constant: bool) -> (Builder, [Vec<i8>; 2], ValueId) {
    let mut b = Builder::new(9);
    let mut random = Random(11);
    let mut elements =
        |shape: &[u32]| (0..shape.iter().product()).map(|_| random.i8()).collect::<Vec<_>>();
    let elements = shapes.map(&mut elements);
    let a = b.graph.input("a", spec(shapes[0], X)).unwrap();
    let of_b = spec(shapes[1], (0.02, 30));
    let c = if constant {
        b.graph.constant("b", of_b, Constant::i8(&elements[1], &[])).unwrap()
    } else {
        b.graph.input("b", of_b).unwrap()
    };
    let y = b.node("y", op.clone(), &[a, c], Element::i8(OUT.0, OUT.1));
    b.graph.output(y).unwrap();
    (b, elements, y)
}

#[test]
fn pairs_repeat_what_is_shorter() {
    let shapes: [[&[u32]; 2]; 4] =
        [[&SHAPE, &SHAPE], [&SHAPE, &[2, 1, 1, 6]], [&[6], &SHAPE], [&[3, 1, 1], &[1, 5, 6]]];
    let pairs = [Pair::Add, Pair::Sub, Pair::Mul, Pair::Div, Pair::Min, Pair::Max, Pair::Prelu];
    for (i, pair) in pairs.into_iter().enumerate() {
        for shapes in shapes {
            let op = Op::Binary { function: pair, clamp: Clamp::RELU6 };
            let (b, elements, y) = two(shapes, &op, i % 2 == 1);
            let inputs: Vec<&[i8]> = elements.iter().map(Vec::as_slice).collect();
            let made = signed(&run(&b.graph, &inputs[..2 - i % 2])[0]);
            for (place, made) in places(&b.shape(y)).iter().zip(made) {
                let element = |side: usize| {
                    let own = &place[place.len() - shapes[side].len()..];
                    let own: Vec<usize> =
                        own.iter().zip(shapes[side]).map(|(&i, &n)| i % n as usize).collect();
                    i32::from(elements[side][at(shapes[side], &own)])
                };
                let (p, q) = ((element(0) - X.1), (element(1) - 30));
                let ratio = |scale: f32| (f64::from(scale) / f64::from(OUT.0)) as f32;
                let steps = match pair {
                    Pair::Add => p as f32 * ratio(X.0) + q as f32 * ratio(0.02),
                    Pair::Sub => p as f32 * ratio(X.0) - q as f32 * ratio(0.02),
                    Pair::Mul => {
                        let scale = f64::from(X.0) * f64::from(0.02_f32) / f64::from(OUT.0);
                        (p * q) as f32 * scale as f32
                    }
                    pair => pair.apply(p as f32 * X.0, q as f32 * 0.02) / OUT.0,
                };
                // 0 to 6 in elements; what is no number is the least.
                let steps = if steps.is_nan() { f32::NEG_INFINITY } else { steps };
                let high = (6.0 / f64::from(OUT.0)).round_ties_even() as i32 + OUT.1;
                let expected = i32::from(round(steps, OUT)).clamp(OUT.1, high.min(127));
                assert_eq!(i32::from(made), expected, "{pair:?} at {place:?} of {shapes:?}");
            }
        }
    }
}

#[test]
fn matrices_are_multiplied_for_each_pair() {
    let shapes: [&[u32]; 2] = [&[2, 3, 4, 7], &[1, 3, 7, 5]];
    let (b, [of_a, of_b], y) = two(shapes, &Op::MatMul, false);
    let made = signed(&run(&b.graph, &[&of_a, &of_b])[0]);
    for (p, made) in places(&b.shape(y)).iter().zip(made) {
        let product = |k: usize| {
            let a = i32::from(of_a[at(shapes[0], &[p[0], p[1], p[2], k])]) - X.1;
            a * (i32::from(of_b[at(shapes[1], &[0, p[1], k, p[3]])]) - 30)
        };
        let sum: i32 = (0..7).map(product).sum();
        let scale = f64::from(X.0) * f64::from(0.02_f32) / f64::from(OUT.0);
        assert_eq!(made, round(sum as f32 * scale as f32, OUT), "{p:?}");
    }
}

#[test]
fn what_is_joined_takes_to_one_rule() {
    let shapes: [&[u32]; 2] = [&[2, 3, 1, 6], &[2, 3, 4, 6]];
    let (b, [of_a, of_b], y) = two(shapes, &Op::Concat { axis: 2 }, true);
    let made = signed(&run(&b.graph, &[&of_a])[0]);
    for (p, made) in places(&b.shape(y)).iter().zip(made) {
        let (element, rule) = if p[2] == 0 {
            (of_a[at(shapes[0], p)], X)
        } else {
            (of_b[at(shapes[1], &[p[0], p[1], p[2] - 1, p[3]])], (0.02, 30))
        };
        let real = (i32::from(element) - rule.1) as f32 * rule.0;
        assert_eq!(made, round(real / OUT.0, OUT), "{p:?}");
    }
}

#[test]
fn the_chosen_side_is_where_the_condition_says() {
    let mut b = Builder::new(1);
    let shape = [4, 6];
    let rules = [X, (0.02, 30), OUT];
    let inputs = rules.map(|rule| b.graph.input("x", spec(&shape, rule)).unwrap());
    let y = b.node("y", Op::Select, &inputs, Element::i8(OUT.0, OUT.1));
    b.graph.output(y).unwrap();
    let mut random = Random(2);
    let condition: Vec<i8> = (0..24).map(|i| if i % 3 == 0 { -7 } else { random.i8() }).collect();
    let [p, q]: [Vec<i8>; 2] =
        std::array::from_fn(|_| (0..24).map(|_| random.i8()).collect::<Vec<_>>());
    let made = signed(&run(&b.graph, &[&condition, &p, &q])[0]);
    for i in 0..24 {
        let real = (i32::from(p[i]) - 30) as f32 * 0.02;
        let expected = if condition[i] == -7 { q[i] } else { round(real / OUT.0, OUT) };
        assert_eq!(made[i], expected, "{i}");
    }
}

#[test]
fn the_greatest_is_found_and_bytes_are_converted() {
    let mut b = Builder::new(1);
    let x = b.graph.input("x", spec(&[3, 5], X)).unwrap();
    let plain = |dtype| Element { dtype, quantization: None };
    for (least, last) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = Op::ArgMax { axis: 1, least, last };
        let place = b.node("place", op, &[x], plain(DType::I32));
        b.graph.output(place).unwrap();
    }
    let quantization = Element::i8(0.05, 121).quantization;
    let bytes = b.node("u8", Op::Quantize, &[x], Element { dtype: DType::U8, quantization });
    b.graph.output(bytes).unwrap();
    let real = b.node("real", Op::Dequantize, &[bytes], Element::F32);
    b.graph.output(real).unwrap();
    let whole = b.node("whole", Op::Cast, &[real], plain(DType::I32));
    b.graph.output(whole).unwrap();
    let elements = [1, 9, -3, 9, -3, 5, 5, 5, 5, 5, -128, 127, 0, 127, -128];
    let out = run(&b.graph, &[&elements]);
    let words = |bytes: &[u8]| -> Vec<i32> {
        bytes.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word)).collect()
    };
    assert_eq!(words(&out[0]), [1, 0, 1]);
    assert_eq!(words(&out[1]), [3, 4, 3]);
    assert_eq!(words(&out[2]), [2, 0, 0]);
    assert_eq!(words(&out[3]), [4, 4, 4]);
    for (i, &element) in elements.iter().enumerate() {
        let byte = (i32::from(element) + 128).clamp(0, 255);
        assert_eq!(i32::from(out[4][i]), byte, "{i}");
        let real = (byte - 121) as f32 * 0.05;
        assert_eq!(f32::from_le_bytes(out[5].as_chunks().0[i]).to_bits(), real.to_bits());
        assert_eq!(words(&out[6])[i], real as i32);
    }
}

#[test]
fn a_transposed_convolution_spreads_every_pixel() {
    let mut random = Random(8);
    for case in 0..60 {
        let mut pick = |most| 1 + random.below(most);
        let (kernel, stride, dilation) =
            ([pick(4), pick(4)], [pick(3), pick(3)], [pick(2), pick(2)]);
        let groups = pick(2);
        let (depth, filters) = (pick(5), groups * pick(9));
        let shape = [pick(2), 1 + pick(4), 1 + pick(4), groups * depth];
        let window = Window { kernel, stride, rows: [pick(2) - 1, 0], columns: [0, pick(2) - 1] };
        let extra = [pick(2) - 1, pick(2) - 1];
        let mut b = Builder::new(case);
        let x = b.graph.input("x", spec(&shape, X)).unwrap();
        let [w, bias] = b.weights(&[filters, kernel[0], kernel[1], depth]);
        let op = Op::ConvTranspose2d { window, dilation, groups, extra, clamp: Clamp::NONE };
        let Ok(y) = b.graph.node("y", op, &[x, w, bias], Element::i8(1.5, 3)) else { continue };
        b.graph.output(y).unwrap();
        let elements: Vec<i8> = (0..shape.iter().product()).map(|_| b.random.i8()).collect();
        let made = signed(&run(&b.graph, &[&elements])[0]);
        let constant = |id| b.graph.value(id).constant().unwrap();
        let weights: Vec<i8> = constant(w).i8s().collect();
        let mut sums: Vec<i32> = Vec::new();
        let out = b.shape(y);
        for place in places(&out) {
            sums.push(constant(bias).i32s().nth(place[3]).unwrap());
        }
        let (depth, per_group) = (depth as usize, (filters / groups) as usize);
        for p in places(&shape) {
            let value = i32::from(elements[at(&shape, &p)]) - X.1;
            let group = p[3] / depth;
            for tap in places(&[kernel[0], kernel[1], per_group as u32]) {
                let row = p[1] * stride[0] as usize + tap[0] * dilation[0] as usize;
                let column = p[2] * stride[1] as usize + tap[1] * dilation[1] as usize;
                let (Some(row), Some(column)) = (
                    row.checked_sub(window.rows[0] as usize),
                    column.checked_sub(window.columns[0] as usize),
                ) else {
                    continue;
                };
                if row < out[1] as usize && column < out[2] as usize {
                    let filter = group * per_group + tap[2];
                    let of = [filters, kernel[0], kernel[1], depth as u32];
                    let weight = weights[at(&of, &[filter, tap[0], tap[1], p[3] % depth])];
                    sums[at(&out, &[p[0], row, column, filter])] += value * i32::from(weight);
                }
            }
        }
        for ((place, sum), made) in places(&out).iter().zip(sums).zip(made) {
            let scale = f64::from(constant(w).scales().nth(place[3]).unwrap());
            let multiplier = (f64::from(X.0) * scale / 1.5) as f32;
            assert_eq!(made, round(sum as f32 * multiplier, (1.5, 3)), "case {case} at {place:?}");
        }
    }
}
