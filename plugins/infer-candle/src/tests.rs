use edgemill_reference::graph::{Clamp, Constant, Element, Graph, Op};
use edgemill_reference::tensor::{self, TensorSpec};
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{Contract, Format, Reason, Status, format, raw};

use super::edgemill_entry;

fn tensor(dtype: u32, elements: u32, scale: f32, zero_point: i32) -> format::Tensor {
    let shape = [1, elements, 0, 0, 0, 0];
    format::Tensor::new(raw::Tensor { dtype, rank: 2, shape, scale, zero_point }).expect("valid")
}

fn spec(shape: Vec<u32>) -> TensorSpec {
    TensorSpec { dtype: tensor::DType::F32, shape, quantization: None }
}

/// Two numbers → their sum and their difference.
fn graph() -> Vec<u8> {
    let mut graph = Graph::new();
    let x = graph.input("x", spec(vec![1, 2])).expect("an input");
    let weights = Constant::f32(&[1.0, 1.0, 1.0, -1.0]);
    let weights = graph.constant("w", spec(vec![2, 2]), weights).expect("a constant");
    let dense = Op::Dense { clamp: Clamp::NONE };
    let y = graph.node("y", dense, &[x, weights], Element::F32).expect("a node");
    graph.output(y).expect("an output");
    graph.to_bytes()
}

fn contract(input: format::Tensor, output: format::Tensor) -> Contract {
    Contract {
        model: "sums".into(),
        version: "1.0.0".into(),
        inputs: vec![input],
        outputs: vec![output],
        picture: None,
        window: None,
        head: "regression".into(),
        labels: Vec::new(),
    }
}

fn bench(contract: &Contract, input: format::Tensor, output: format::Tensor) -> Bench {
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    bench.ports(Some(contract)).expect("ports");
    let (input, output) = ([Format::Tensor(input)], [Format::Tensor(output)]);
    bench.activate(&input, &output, Some((&graph(), contract))).expect("activated");
    bench
}

#[test]
fn real_numbers_go_through() {
    let real = tensor(raw::DTYPE_F32, 2, 0.0, 0);
    let mut bench = bench(&contract(real, real), real, real);
    let packet = bench.tensor(real, &[0.5_f32, 2.0]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let bytes: Vec<u8> = [2.5_f32, -1.5].iter().flat_map(|real| real.to_le_bytes()).collect();
    assert_eq!(bench.emitted()[0].bytes, bytes);
}

#[test]
fn bytes_are_read_and_written_by_their_rules() {
    let cases = [
        ("int8", raw::DTYPE_I8, 3, [5_u8, 7], -2, [(6.0 / 0.5 - 2.0), (-2.0 / 0.5 - 2.0)]),
        ("uint8", raw::DTYPE_U8, 130, [132, 134], 7, [(6.0 / 0.5 + 7.0), (-2.0 / 0.5 + 7.0)]),
        ("int8, ends", raw::DTYPE_I8, -128, [127, 127], 0, [127.0, 0.0]),
        ("uint8, ends", raw::DTYPE_U8, 255, [0, 255], 200, [0.0, 0.0]),
    ];
    for (name, dtype, zero_in, given, zero_out, expected) in cases {
        let (input, output) = (tensor(dtype, 2, 1.0, zero_in), tensor(dtype, 2, 0.5, zero_out));
        let mut bench = bench(&contract(input, output), input, output);
        let packet = bench.packet(Format::Tensor(input), &given);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok, "{name}");
        let emitted = bench.emitted();
        let real = emitted[0].bytes.iter().map(|&byte| match dtype {
            raw::DTYPE_I8 => f32::from(byte.cast_signed()),
            _ => f32::from(byte),
        });
        let real: Vec<f32> = real.collect();
        assert_eq!(real, expected, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let (two, three) = (tensor(raw::DTYPE_F32, 2, 0.0, 0), tensor(raw::DTYPE_F32, 3, 0.0, 0));
    let formats = [Format::Tensor(two)];
    let (good, wide) = (contract(two, two), contract(two, three));
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    let (_, text) = bench.ports(None).expect_err("no contract");
    assert!(text.contains("model = "), "{text}");
    bench.ports(Some(&good)).expect("ports");
    let cases = [
        ("no model", None, &formats, "access.toml"),
        ("not a graph", Some((&b"EMGRAPH\0"[..], &good)), &formats, "graph bytes"),
        (
            "other shapes",
            Some((&graph()[..], &wide)),
            &[Format::Tensor(three)],
            "the graph's outputs",
        ),
    ];
    for (name, model, outputs, expected) in cases {
        let (_, text) = bench.activate(&formats, outputs, model).expect_err(name);
        assert!(text.contains(expected), "{name}: {text}");
    }
}
