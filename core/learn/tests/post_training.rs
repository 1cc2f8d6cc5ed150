//! A network with a detector's end, from elsewhere, in int8.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
use edgemill_engine::Engine;
use edgemill_kernels::image::RgbPicture;
use edgemill_learn::quantize_imported;
use edgemill_learn::recipe::Calibration;
use edgemill_learn::reference::Reference;
use edgemill_model::contract::{Colour, Contract, Filter, Fit, Layout, Picture};
use edgemill_model::graph::{Clamp, Constant, Element, Function, Graph, Op, Pair, ValueId, Window};
use edgemill_model::tensor::{DType, TensorSpec};

fn spec(shape: &[u32]) -> TensorSpec {
    TensorSpec { dtype: DType::F32, shape: shape.to_vec(), quantization: None }
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mix = |i: u32| (i ^ (seed << 20)).wrapping_mul(0x9e37_79b9).rotate_left(13);
    (1..).take(count).map(|i| (mix(i) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Boxes that are wide and scores that are narrow, joined at the end.
fn network() -> Graph<'static> {
    let mut graph = Graph::new();
    let x = graph.input("x", spec(&[1, 8, 8, 3])).unwrap();
    let constant = |graph: &mut Graph<'static>, shape: &[u32], seed| {
        let elements = numbers(shape.iter().product::<u32>() as usize, seed);
        graph.constant("c", spec(shape), Constant::f32(&elements)).unwrap()
    };
    let node = |graph: &mut Graph<'static>, op: Op, inputs: &[ValueId]| {
        graph.node("n", op, inputs, Element::F32).unwrap()
    };
    let weights = constant(&mut graph, &[6, 3, 3, 3], 1);
    let bias = constant(&mut graph, &[6], 2);
    let convolution =
        Op::Conv2d { window: Window::same(3), dilation: [1, 1], groups: 1, clamp: Clamp::NONE };
    let seen = node(&mut graph, convolution, &[x, weights, bias]);
    let seen = node(&mut graph, Op::Unary(Function::Swish), &[seen]);
    let factors = constant(&mut graph, &[6], 3);
    let product = Op::Binary { function: Pair::Mul, clamp: Clamp::NONE };
    let boxes = node(&mut graph, product.clone(), &[seen, factors]);
    let many = graph.constant("many", spec(&[1]), Constant::f32(&[100.0])).unwrap();
    let boxes = node(&mut graph, product, &[boxes, many]);
    let scores = node(&mut graph, Op::Unary(Function::Sigmoid), &[seen]);
    let joined = node(&mut graph, Op::Concat { axis: 3 }, &[boxes, scores]);
    let rows = graph.node("rows", Op::Reshape(vec![1, 64, 12]), &[joined], Element::F32).unwrap();
    graph.output(rows).unwrap();
    graph
}

fn contract() -> Contract {
    let picture = Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: Fit::Stretch,
        filter: Filter::Area,
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.5; 4],
        std: [0.5; 4],
    };
    Contract {
        inputs: vec![spec(&[1, 8, 8, 3])],
        outputs: vec![spec(&[1, 64, 12])],
        picture: Some(picture),
        window: None,
        head: "boxes".into(),
        labels: Vec::new(),
    }
}

#[test]
fn each_part_of_a_detector_s_end_keeps_its_own_precision() {
    let graph = network();
    let pixels: Vec<u8> = (0..192_u8).map(|i| i.wrapping_mul(151)).collect();
    let pictures = [RgbPicture::new(8, 8, pixels.clone()).unwrap()];
    let int8 =
        quantize_imported(&graph, &contract(), &pictures, Calibration::MinMax, &mut |_, _| ())
            .unwrap();
    let output = int8.value(int8.outputs()[0]);
    assert_eq!((output.name(), output.spec()), ("rows", &spec(&[1, 64, 12])));
    let real: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 127.5 - 1.0).collect();
    let expected = Reference::new(&graph).unwrap().run(&[&real]).unwrap().remove(0);
    let input: Vec<u8> = pixels.iter().map(|&p| p.wrapping_sub(128)).collect();
    let mut found = vec![0; 64 * 12 * 4];
    Engine::load(&int8).unwrap().run(&[&input], &mut [&mut found]).unwrap();
    let found = found.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    let most = expected.iter().fold(0.0_f32, |most, e| most.max(e.abs()));
    assert!(most > 50.0, "boxes are wide: {most}");
    for (at, (found, expected)) in found.zip(&expected).enumerate() {
        let near = if at % 12 < 6 { most * 0.03 } else { 0.02 };
        assert!((found - expected).abs() < near, "{at}: {found}, not {expected}");
    }
}

#[test]
fn what_int8_has_no_form_for_is_named() {
    let mut graph = Graph::new();
    let x = graph.input("x", spec(&[1, 8, 8, 3])).unwrap();
    let y = graph.node("powers", Op::Unary(Function::Exp), &[x], Element::F32).unwrap();
    let pair = Op::Binary { function: Pair::Power, clamp: Clamp::NONE };
    let z = graph.node("power", pair, &[y, x], Element::F32).unwrap();
    graph.output(z).unwrap();
    let pictures = [RgbPicture::new(8, 8, vec![9; 192]).unwrap()];
    let contract = contract();
    let error =
        quantize_imported(&graph, &contract, &pictures, Calibration::MinMax, &mut |_, _| ())
            .unwrap_err();
    assert!(error.to_string().contains("power"), "{error}");
    let none = Contract { picture: None, ..contract };
    let error = quantize_imported(&graph, &none, &pictures, Calibration::MinMax, &mut |_, _| ())
        .unwrap_err();
    assert!(error.to_string().contains("networks of one picture"), "{error}");
}

/// A convolution whose channels are of very different sizes, x × gate(x), a depthwise one, and one that reads all channels.
fn uneven(function: Function) -> Graph<'static> {
    let mut graph = Graph::new();
    let x = graph.input("x", spec(&[1, 8, 8, 3])).unwrap();
    let layer = |graph: &mut Graph<'static>, x: ValueId, shape: [u32; 4], groups, sizes: &[f32]| {
        let mut weights = numbers(shape.iter().product::<u32>() as usize, shape[0] + groups);
        let each = weights.len() / sizes.len();
        let filters = weights.chunks_exact_mut(each).zip(sizes);
        filters.for_each(|(filter, size)| filter.iter_mut().for_each(|w| *w *= size));
        let weights = graph.constant("w", spec(&shape), Constant::f32(&weights)).unwrap();
        let bias = graph.constant("b", spec(&[shape[0]]), Constant::f32(sizes)).unwrap();
        let window = Window::same(shape[1]);
        let op = Op::Conv2d { window, dilation: [1, 1], groups, clamp: Clamp::NONE };
        graph.node("n", op, &[x, weights, bias], Element::F32).unwrap()
    };
    let seen = layer(&mut graph, x, [4, 3, 3, 3], 1, &[0.05, 40.0, 0.2, 1.0]);
    let seen = graph.node("n", Op::Unary(function), &[seen], Element::F32).unwrap();
    let seen = layer(&mut graph, seen, [4, 3, 3, 1], 4, &[8.0, 0.002, 2.0, 0.5]);
    let seen = graph.node("n", Op::Unary(function), &[seen], Element::F32).unwrap();
    let made = layer(&mut graph, seen, [2, 1, 1, 4], 1, &[1.0, 1.0]);
    graph.output(made).unwrap();
    graph
}

#[test]
fn small_channels_beside_great_ones_are_not_lost() {
    for function in [Function::Swish, Function::HardSwish] {
        let graph = uneven(function);
        let pixels: Vec<u8> = (0..192_u8).map(|i| i.wrapping_mul(151)).collect();
        let pictures = [RgbPicture::new(8, 8, pixels.clone()).unwrap()];
        let contract = contract();
        let calibration = Calibration::MinMax;
        let mut seen = Vec::new();
        let mut progress = |done, of| seen.push((done, of));
        let int8 =
            quantize_imported(&graph, &contract, &pictures, calibration, &mut progress).unwrap();
        assert_eq!(seen, [(1, 2), (2, 2)]);
        let real: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 127.5 - 1.0).collect();
        let expected = Reference::new(&graph).unwrap().run(&[&real]).unwrap().remove(0);
        let input: Vec<u8> = pixels.iter().map(|&p| p.wrapping_sub(128)).collect();
        let mut found = vec![0; 8 * 8 * 2 * 4];
        Engine::load(&int8).unwrap().run(&[&input], &mut [&mut found]).unwrap();
        let found = found.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let most = expected.iter().fold(0.0_f32, |most, e| most.max(e.abs()));
        let off = found.zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
        assert!(off < most * 0.03, "{function:?}: off by {off} of {most}");
    }
}
