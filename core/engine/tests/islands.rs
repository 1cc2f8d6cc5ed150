//! What depends on one byte and becomes one table, and real numbers within a quantized network.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the plain arithmetic that the engine is held against"
)]
use edgemill_engine::{Engine, Plan, kernels};
use edgemill_model::graph::{Clamp, Constant, Element, Function, Op, Pair, Reduction, ValueId};
use edgemill_model::tensor::{DType, TensorSpec};

#[allow(dead_code, reason = "other tests need more of it")]
mod network;

use network::{Builder, Random};

const X: (f32, i32) = (0.05, -7);
const OUT: (f32, i32) = (0.031, 11);
const SHAPE: [u32; 2] = [9, 31];

fn element((scale, zero_point): (f32, i32)) -> Element {
    Element::i8(scale, zero_point)
}

fn real(value: i8, (scale, zero_point): (f32, i32)) -> f32 {
    (i32::from(value) - zero_point) as f32 * scale
}

fn round(steps: f32, (_, zero_point): (f32, i32)) -> i8 {
    (f64::from(steps).round_ties_even() + f64::from(zero_point)).clamp(-128.0, 127.0) as i8
}

/// A network of one input of int8, made of one value by `build`: its elements, the bytes of its output, the same by
/// every kernel, and how many steps they took.
fn run(build: impl Fn(&mut Builder, ValueId) -> ValueId) -> (Vec<i8>, Vec<u8>, usize) {
    let mut b = Builder::new(5);
    let x = b.input(&SHAPE, element(X));
    let y = build(&mut b, x);
    b.graph.output(y).unwrap();
    let mut random = Random(4);
    let elements: Vec<i8> = (0..SHAPE.iter().product()).map(|_| random.i8()).collect();
    let input: Vec<u8> = elements.iter().map(|v| v.cast_unsigned()).collect();
    let mut all = Vec::new();
    for kernel in kernels::available() {
        let plan = Plan::new(&b.graph, kernel).unwrap();
        let memory = vec![0xA5; plan.memory_bytes()];
        let mut engine = Engine::new(plan, &b.graph, memory).unwrap();
        let mut y = vec![0; b.graph.value(y).spec().bytes()];
        engine.run(&[&input], &mut [&mut y]).unwrap();
        all.push((y, engine.layers().len()));
    }
    assert!(all.iter().all(|made| *made == all[0]), "kernels differ");
    let (y, steps) = all.swap_remove(0);
    (elements, y, steps)
}

fn single(b: &mut Builder, value: i8, (scale, zero_point): (f32, i32)) -> ValueId {
    let Element { dtype, quantization } = element((scale, zero_point));
    let spec = TensorSpec { dtype, shape: vec![1], quantization };
    b.graph.constant("one", spec, Constant::i8(&[value], &[])).unwrap()
}

/// A hard swish as it is exported: each value rounded on its way, all in one table.
#[test]
fn functions_of_one_byte_are_one_table() {
    let rules = [(0.06, -3), (0.04, -128), (0.05, 4)];
    let (x, y, steps) = run(|b, x| {
        let binary = |function| Op::Binary { function, clamp: Clamp::NONE };
        let three = single(b, 100, (0.03, 0));
        let moved = b.node("moved", binary(Pair::Add), &[x, three], element(rules[0]));
        let bounded = b.node("bounded", Op::Clamp(Clamp::RELU6), &[moved], element(rules[1]));
        let product = b.node("product", binary(Pair::Mul), &[bounded, x], element(rules[2]));
        let sixth = single(b, 127, (1.0 / 6.0 / 127.0, 0));
        b.node("y", binary(Pair::Mul), &[sixth, product], element(OUT))
    });
    assert_eq!(steps, 1);
    let ratio = |by: f64, to: (f32, i32)| (by / f64::from(to.0)) as f32;
    for (&x, y) in x.iter().zip(y) {
        let steps = (i32::from(x) - X.1) as f32;
        let moved = steps * ratio(X.0.into(), rules[0]) + 100.0 * ratio(0.03_f32.into(), rules[0]);
        let moved = round(moved, rules[0]);
        let most = (6.0 / f64::from(rules[1].0)).round_ties_even() as i32 + rules[1].1;
        let bounded = round(real(moved, rules[0]) / rules[1].0, rules[1]);
        let bounded = i32::from(bounded).clamp(rules[1].1, most.min(127));
        let product = (bounded - rules[1].1) * (i32::from(x) - X.1);
        let scale = ratio(f64::from(rules[1].0) * f64::from(X.0), rules[2]);
        let product = round(product as f32 * scale, rules[2]);
        let sixth = f64::from(1.0_f32 / 6.0 / 127.0) * f64::from(rules[2].0);
        let last = (127 * (i32::from(product) - rules[2].1)) as f32 * ratio(sixth, OUT);
        assert_eq!(y.cast_signed(), round(last, OUT), "of {x}");
    }
}

/// What is read twice keeps bytes of its own.
#[test]
fn what_others_read_stays() {
    let (x, y, steps) = run(|b, x| {
        let half = b.node("half", Op::Unary(Function::Tanh), &[x], element((0.008, 0)));
        let swish = b.node("swish", Op::Unary(Function::Swish), &[half], element((0.01, -20)));
        let op = Op::Binary { function: Pair::Add, clamp: Clamp::NONE };
        b.node("y", op, &[half, swish], element(OUT))
    });
    assert!(steps >= 2);
    for (&x, y) in x.iter().zip(y) {
        let half = round(Function::Tanh.apply(real(x, X)) / 0.008, (0.008, 0));
        let swish = Function::Swish.apply(real(half, (0.008, 0)));
        let swish = round(swish / 0.01, (0.01, -20));
        let ratio = |scale: f32| (f64::from(scale) / f64::from(OUT.0)) as f32;
        let sum = f32::from(half) * ratio(0.008) + f32::from(swish + 20) * ratio(0.01);
        assert_eq!(y.cast_signed(), round(sum, OUT), "of {x}");
    }
}

#[test]
fn an_island_of_real_numbers_is_a_table() {
    let (x, y, steps) = run(|b, x| {
        let real = b.node("real", Op::Dequantize, &[x], Element::F32);
        let elu = b.node("elu", Op::Unary(Function::Elu(1.0)), &[real], Element::F32);
        let clamped = b.node("clamped", Op::Clamp(Clamp::RELU6), &[elu], Element::F32);
        b.node("y", Op::Quantize, &[clamped], element(OUT))
    });
    assert_eq!(steps, 1);
    for (&x, y) in x.iter().zip(y) {
        let made = Function::Elu(1.0).apply(real(x, X)).clamp(0.0, 6.0);
        assert_eq!(y.cast_signed(), round(made / OUT.0, OUT), "of {x}");
    }
}

/// A head in real numbers: a function, a sum with what each row comes to, and a softmax.
#[test]
fn a_head_of_real_numbers_runs() {
    let (x, y, _) = run(|b, x| {
        let real = b.node("real", Op::Dequantize, &[x], Element::F32);
        let bent = b.node("bent", Op::Unary(Function::LeakyRelu(0.1)), &[real], Element::F32);
        let reduce = Op::Reduce { by: Reduction::Mean, axes: vec![1] };
        let mean = b.node("mean", reduce, &[bent], Element::F32);
        let wide = b.node("wide", Op::Reshape(vec![9, 1]), &[mean], Element::F32);
        let op = Op::Binary { function: Pair::Sub, clamp: Clamp { low: -3.0, high: 9.0 } };
        let apart = b.node("apart", op, &[bent, wide], Element::F32);
        b.node("y", Op::Softmax, &[apart], Element::F32)
    });
    let made: Vec<f32> = y.as_chunks().0.iter().map(|&y| f32::from_le_bytes(y)).collect();
    for (x, y) in x.chunks(31).zip(made.chunks(31)) {
        let bent = |&x: &i8| f64::from(Function::LeakyRelu(0.1).apply(real(x, X)));
        let mean = x.iter().map(bent).sum::<f64>() / 31.0;
        let powers: Vec<f64> = x.iter().map(|x| (bent(x) - mean).clamp(-3.0, 9.0).exp()).collect();
        let sum: f64 = powers.iter().sum();
        for (y, power) in y.iter().zip(powers) {
            assert!((f64::from(*y) / (power / sum) - 1.0).abs() < 1e-4);
        }
    }
}

/// A convolution of real numbers is refused with what to do.
#[test]
fn real_weights_are_refused() {
    let mut b = Builder::new(5);
    let spec =
        |shape: &[u32]| TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None };
    let x = b.graph.input("x", spec(&[1, 4])).unwrap();
    let weights = Constant::f32(&[0.5; 8]);
    let w = b.graph.constant("w", spec(&[2, 4]), weights).unwrap();
    let y = b.node("y", Op::Dense { clamp: Clamp::NONE }, &[x, w], Element::F32);
    b.graph.output(y).unwrap();
    let error = Plan::new(&b.graph, kernels::best()).err().unwrap();
    assert!(error.to_string().contains("quantize the model first"), "{error}");
}
