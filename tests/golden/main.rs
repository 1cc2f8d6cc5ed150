//! Bytes that must be the same on every machine, compared with files in the repository.
//!
//! With `EDGEMILL_BLESS=1` in the environment the files are written anew; the change is then to be explained where it is
//! committed.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
use std::fmt::Write;
use std::path::Path;

use edgemill_engine::{Engine, Plan, kernels};
use edgemill_kernels::image::{
    Colour, Element as PixelElement, Filter, Fit, FrameSpec, Layout, Limits, Picture, PixelFormat,
    Preparer, Target, decode_jpeg, draw_letterboxed,
};
use edgemill_model::graph::{Clamp, Element, Graph, Op, Pair, Window};

#[allow(dead_code, reason = "the engine's own tests need more of it")]
#[path = "../../core/engine/tests/network/mod.rs"]
mod network;

use network::{Builder, Random};

/// Lines of hexadecimal bytes against the file of that name.
fn compare(name: &str, rows: &[Vec<u8>]) {
    let mut text = String::new();
    for row in rows {
        row.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("EDGEMILL_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (i, (given, golden)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(given, golden, "{name}, line {}", i + 1);
    }
    assert_eq!(text, golden, "{name}");
}

/// All outputs of a network for pictures of random bytes, by one kernel.
fn outputs(graph: &Graph<'_>, kernel: &'static dyn kernels::Kernel) -> Vec<Vec<u8>> {
    let plan = Plan::new(graph, kernel).unwrap();
    let memory = vec![0; plan.memory_bytes()];
    let mut engine = Engine::new(plan, graph, memory).unwrap();
    let bytes = |id| graph.value(id).spec().bytes();
    let input = bytes(graph.inputs().next().unwrap());
    let run = |seed: u64| {
        let mut random = Random(seed);
        let x: Vec<u8> = (0..input).map(|_| random.i8().cast_unsigned()).collect();
        let mut outputs: Vec<Vec<u8>> =
            graph.outputs().iter().map(|&id| vec![0; bytes(id)]).collect();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        engine.run(&[&x], &mut slices).unwrap();
        outputs.concat()
    };
    (0..32).map(run).collect()
}

/// Every operation of an int8 network but those of the small one.
fn mixed() -> Graph<'static> {
    let mut b = Builder::new(42);
    let element = |scale| Element::i8(scale, -20);
    let x = b.input(&[1, 24, 20, 5], element(0.02));
    let c = b.conv(x, 12, Window { stride: [2, 1], ..Window::same(3) }, 1, [1, 1], element(0.1));
    let d = b.conv(c, 12, Window::same(5), 12, [1, 1], element(0.3));
    let e = b.conv(d, 12, Window { rows: [2, 2], ..Window::same(3) }, 3, [2, 1], element(0.5));
    let s = b.node(
        "sum",
        Op::Binary { function: Pair::Add, clamp: Clamp::RELU6 },
        &[c, e],
        element(0.05),
    );
    let a = b.node("mean", Op::AveragePool(Window::same(3)), &[s], element(0.06));
    let c = b.node("held", Op::Clamp(Clamp { low: -0.5, high: 5.0 }), &[a], element(0.07));
    let m = b.node(
        "max",
        Op::MaxPool(Window { stride: [3; 2], ..Window::same(3) }),
        &[c],
        element(0.07),
    );
    let elements = b.shape(m).iter().product();
    let flat = b.node("flat", Op::Reshape(vec![1, elements]), &[m], element(0.07));
    let d = b.dense(flat, 10, Clamp::NONE, element(4.0));
    let rows = b.node("rows", Op::Reshape(vec![elements / 12, 12]), &[m], element(0.07));
    let soft = b.node("soft", Op::Softmax, &[rows], Element::i8(1.0 / 256.0, -128));
    b.graph.output(d).unwrap();
    b.graph.output(soft).unwrap();
    b.graph
}

#[test]
fn networks() {
    for kernel in kernels::available() {
        println!("{}", kernel.name());
        compare("small.hex", &outputs(&network::small(2026), kernel));
        compare("mixed.hex", &outputs(&mixed(), kernel));
    }
}

/// From a JPEG to a tensor of 32×32, by way of a camera's frame.
fn prepared(format: PixelFormat, picture: &Picture) -> Vec<Vec<u8>> {
    let lights = decode_jpeg(include_bytes!("lights.jpg"), Limits::default()).unwrap();
    let (width, height) = (640, 480);
    let frame = draw_letterboxed(&lights, format, width, height).unwrap();
    let element = PixelElement::I8 { scale: 1.0 / 64.0, zero_point: -10 };
    let target = Target { width: 32, height: 32, element };
    let mut preparer = Preparer::new(FrameSpec { format, width, height }, picture, target).unwrap();
    let mut out = vec![0; preparer.output_bytes()];
    preparer.prepare(&frame, width * format.pixel_bytes(), &mut out).unwrap();
    out.chunks(32).map(<[u8]>::to_vec).collect()
}

fn picture() -> Picture {
    Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: Fit::Stretch,
        filter: Filter::Area,
        fill: 114,
        region: [0.22, 0.0, 0.56, 1.0],
        mean: [0.4, 0.5, 0.6, 0.0],
        std: [0.3, 0.25, 0.2, 1.0],
    }
}

#[test]
fn pictures() {
    compare("yuyv.hex", &prepared(PixelFormat::Yuyv, &picture()));
    let chosen = Picture { layout: Layout::Nchw, fit: Fit::Letterbox, ..picture() };
    compare("rgb.hex", &prepared(PixelFormat::Rgb24, &chosen));
    let chosen = Picture { colour: Colour::Grey, fit: Fit::Crop, ..picture() };
    compare("grey.hex", &prepared(PixelFormat::Grey, &chosen));
    let chosen = Picture { filter: Filter::Bilinear, ..picture() };
    compare("nv12.hex", &prepared(PixelFormat::Nv12, &chosen));
}

#[test]
fn a_wrong_preparation_is_another_tensor() {
    let right = prepared(PixelFormat::Yuyv, &picture());
    let wrong = [
        ("colour order", Picture { colour: Colour::Bgr, ..picture() }),
        ("crop", Picture { region: [0.0, 0.0, 1.0, 1.0], ..picture() }),
        ("fit", Picture { fit: Fit::Letterbox, ..picture() }),
        ("layout", Picture { layout: Layout::Nchw, ..picture() }),
        ("mean", Picture { mean: [0.0; 4], ..picture() }),
    ];
    for (name, picture) in wrong {
        let wrong = prepared(PixelFormat::Yuyv, &picture);
        let elements = right.concat().into_iter().zip(wrong.concat());
        let changed = elements.filter(|(a, b)| a != b).count();
        assert!(changed > 1000, "{name} changed only {changed} of 3072 elements");
    }
}
