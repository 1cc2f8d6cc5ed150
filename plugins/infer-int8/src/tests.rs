use edgemill_engine::graph::{Clamp, Constant, Element, Graph, Op, Window};
use edgemill_engine::tensor::{self, Quantization, TensorSpec};
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{Contract, Format, Reason, Status, Value, format, raw};

use super::edgemill_entry;

fn tensor(elements: u32, scale: f32, zero_point: i32) -> format::Tensor {
    let shape = [1, elements, 0, 0, 0, 0];
    let tensor = raw::Tensor { dtype: raw::DTYPE_I8, rank: 2, shape, scale, zero_point };
    format::Tensor::new(tensor).expect("valid")
}

/// Two numbers → their sum and difference, and the sum and difference held above 0.
fn graph() -> Vec<u8> {
    let spec = |dtype, shape: &[u32], quantization| TensorSpec {
        dtype,
        shape: shape.to_vec(),
        quantization,
    };
    let mut graph = Graph::new();
    let rule = Quantization { scale: 0.5, zero_point: 3 };
    let x = graph.input("x", spec(tensor::DType::I8, &[1, 2], Some(rule))).expect("an input");
    let weights = Constant::i8(&[1, 1, 1, -1], &[1.0, 1.0]);
    let weights =
        graph.constant("w", spec(tensor::DType::I8, &[2, 2], None), weights).expect("a constant");
    for (name, clamp) in [("all", Clamp::NONE), ("positive", Clamp::RELU)] {
        let y = graph
            .node(name, Op::Dense { clamp }, &[x, weights], Element::i8(1.0, -7))
            .expect("a node");
        graph.output(y).expect("an output");
    }
    graph.to_bytes()
}

fn contract(input: format::Tensor, output: format::Tensor) -> Contract {
    Contract {
        model: "sums".into(),
        version: "1.0.0".into(),
        inputs: vec![input],
        outputs: vec![output, output],
        picture: None,
        window: None,
        head: "regression".into(),
        labels: Vec::new(),
    }
}

fn formats(tensors: &[format::Tensor]) -> Vec<Format> {
    tensors.iter().map(|tensor| Format::Tensor(*tensor)).collect()
}

#[test]
fn every_output_is_what_the_graph_says() {
    let contract = contract(tensor(2, 0.5, 3), tensor(2, 1.0, -7));
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    bench.ports(Some(&contract)).expect("ports");
    let (inputs, outputs) = (formats(&contract.inputs), formats(&contract.outputs));
    bench.activate(&inputs, &outputs, Some((&graph(), &contract))).expect("activated");
    assert!(bench.logged().iter().any(|line| line.text.contains("runs on")));
    // 1.0 and 4.0: their sum is 5, their difference -3.
    for _ in 0..2 {
        let packet = bench.packet(inputs[0], &[5, 11]);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
        let bytes: Vec<Vec<i8>> = bench
            .emitted()
            .iter()
            .map(|e| e.bytes.iter().map(|b| b.cast_signed()).collect())
            .collect();
        assert_eq!(bytes, [[5 - 7, -3 - 7], [5 - 7, -7]]);
    }
    assert_eq!(bench.process(Reason::Flush, &[None]), Status::Ok);
    bench.exhaust(true);
    let packet = bench.packet(inputs[0], &[5, 11]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    assert!(bench.emitted().is_empty());
}

/// What a picture of 16 × 16 becomes in a convolution of 3 × 3, by so many threads.
fn convolved(threads: i64) -> Vec<u8> {
    let mut graph = Graph::new();
    let spec = |shape: &[u32], quantization| TensorSpec {
        dtype: tensor::DType::I8,
        shape: shape.to_vec(),
        quantization,
    };
    let rule = Some(Quantization { scale: 0.5, zero_point: 3 });
    let x = graph.input("x", spec(&[1, 16, 16, 2], rule)).expect("an input");
    let weights: Vec<i8> = (0..8).flat_map(|k| (0..18).map(move |i| i * 7 % 51 - 5 * k)).collect();
    let weights = Constant::i8(&weights, &[0.01; 8]);
    let weights = graph.constant("w", spec(&[8, 3, 3, 2], None), weights).expect("a constant");
    let op = Op::Conv2d {
        window: Window { rows: [1; 2], columns: [1; 2], ..Window::valid(3, 1) },
        dilation: [1; 2],
        groups: 1,
        clamp: Clamp::NONE,
    };
    let y = graph.node("y", op, &[x, weights], Element::i8(0.5, -7)).expect("a node");
    graph.output(y).expect("an output");
    let picture = |channels, scale, zero_point| {
        let shape = [1, 16, 16, channels, 0, 0];
        let tensor = raw::Tensor { dtype: raw::DTYPE_I8, rank: 4, shape, scale, zero_point };
        format::Tensor::new(tensor).expect("valid")
    };
    let contract = Contract {
        outputs: vec![picture(8, 0.5, -7)],
        ..contract(picture(2, 0.5, 3), picture(8, 0.5, -7))
    };
    let given = [("threads", Value::Int(threads))];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    bench.ports(Some(&contract)).expect("ports");
    let (inputs, outputs) = (formats(&contract.inputs), formats(&contract.outputs));
    let bytes = graph.to_bytes();
    bench.activate(&inputs, &outputs, Some((&bytes, &contract))).expect("activated");
    let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
    let packet = bench.packet(inputs[0], &bytes);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    bench.emitted()[0].bytes.clone()
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = convolved(1);
    assert!(one.windows(2).any(|pair| pair[0] != pair[1]), "it computes something");
    for threads in [2, 3, 16] {
        assert_eq!(convolved(threads), one, "{threads} threads");
    }
    let refused = Bench::new(&edgemill_entry, &[("threads", Value::Int(17))]);
    let (_, text) = refused.err().expect("too many");
    assert!(text.contains("1..=16"), "{text}");
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let good = contract(tensor(2, 0.5, 3), tensor(2, 1.0, -7));
    let scaled = contract(tensor(2, 0.25, 3), tensor(2, 1.0, -7));
    let wide = contract(tensor(2, 0.5, 3), tensor(3, 1.0, -7));
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    let (_, text) = bench.ports(None).expect_err("no contract");
    assert!(text.contains("model = "), "{text}");
    let cases = [
        ("no model", &good, None, "access.toml"),
        ("not a graph", &good, Some(b"EMGRAPH\0".to_vec()), "graph bytes"),
        ("another scale", &scaled, Some(graph()), "input 0: the graph has"),
        ("another shape", &wide, Some(graph()), "output 0: the graph has"),
    ];
    for (name, contract, bytes, expected) in cases {
        let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
        bench.ports(Some(contract)).expect("ports");
        let (inputs, outputs) = (formats(&contract.inputs), formats(&contract.outputs));
        let model = bytes.as_deref().map(|bytes| (bytes, contract));
        let (_, text) = bench.activate(&inputs, &outputs, model).expect_err(name);
        assert!(text.contains(expected), "{name}: {text}");
    }
}

#[test]
fn a_contract_with_too_many_tensors_is_refused() {
    let one = tensor(2, 0.5, 3);
    let many = Contract { outputs: vec![one; 17], ..contract(one, one) };
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    let (_, text) = bench.ports(Some(&many)).expect_err("too many");
    assert!(text.contains("17 tensors"), "{text}");
}
