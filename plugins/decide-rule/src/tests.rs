//! The plugin, driven through its C entry points.
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{Contract, Format, Reason, Status, Value, format, raw};

use super::edgemill_entry;

fn tensor(dtype: u32, classes: u32, scale: f32, zero_point: i32) -> format::Tensor {
    let shape = [1, classes, 0, 0, 0, 0];
    format::Tensor::new(raw::Tensor { dtype, rank: 2, shape, scale, zero_point }).expect("valid")
}

fn contract(output: format::Tensor, labels: &[&str]) -> Contract {
    Contract {
        model: "traffic-light".into(),
        version: "1.0.0".into(),
        inputs: vec![output],
        outputs: vec![output],
        picture: None,
        window: None,
        head: "classifier".into(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
    }
}

fn bench(given: &[(&str, Value<'_>)], contract: &Contract, input: format::Tensor) -> Bench {
    let mut bench = Bench::new(&edgemill_entry, given).expect("created");
    bench.ports(Some(contract)).expect("ports");
    bench.activate(&[Format::Tensor(input)], &[Format::Event], None).expect("activated");
    bench
}

const LIGHTS: [&str; 3] = ["red", "yellow", "green"];

#[test]
fn int8_and_f32_are_decided_by_the_same_rule() {
    let int8 = tensor(raw::DTYPE_I8, 3, 1.0 / 256.0, -128);
    let contract = contract(int8, &LIGHTS);
    let mut i8s = bench(&[], &contract, int8);
    let packet = i8s.tensor(int8, &[-128_i8, 64, -64]);
    assert_eq!(i8s.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let f32s_format = tensor(raw::DTYPE_F32, 3, 0.0, 0);
    let mut f32s = bench(&[], &contract, f32s_format);
    let packet = f32s.tensor(f32s_format, &[0.0_f32, 0.75, 0.25]);
    assert_eq!(f32s.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let (a, b) = (i8s.emitted()[0].event(), f32s.emitted()[0].event());
    assert_eq!(a, b);
    assert_eq!(a.name().as_str(), "yellow");
    let values: Vec<_> = a.values().iter().map(|(n, v)| (n.as_str(), *v)).collect();
    assert_eq!(values, [("score", 0.75), ("class", 1.0), ("margin", 0.5)]);
}

#[test]
fn logits_are_made_probabilities() {
    let format = tensor(raw::DTYPE_F32, 2, 0.0, 0);
    let given = [("scores", Value::Text("logits"))];
    let mut bench = bench(&given, &contract(format, &["off", "on"]), format);
    let packet = bench.tensor(format, &[1000.0_f32, 1000.0 + 3.0_f32.ln()]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let event = bench.emitted()[0].event();
    assert_eq!(event.name().as_str(), "on");
    assert!((event.values()[0].1 - 0.75).abs() < 1e-4, "{event:?}");
}

#[test]
fn doubt_and_wavering_are_answered_as_the_parameters_say() {
    let format = tensor(raw::DTYPE_F32, 3, 0.0, 0);
    let given = [
        ("threshold", Value::Float(0.6)),
        ("unknown", Value::Text("dark")),
        ("hold", Value::Int(2)),
    ];
    let mut bench = bench(&given, &contract(format, &LIGHTS), format);
    let (red, green) = ([0.9_f32, 0.1, 0.0], [0.0, 0.1, 0.9]);
    let doubt = [0.5, 0.5, 0.0];
    let mut names = Vec::new();
    for scores in [red, red, green, red, green, green, doubt, doubt] {
        let packet = bench.tensor(format, &scores);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
        names.push(bench.emitted()[0].event().name().to_string());
    }
    assert_eq!(names, ["dark", "red", "red", "red", "red", "green", "green", "dark"]);
}

#[test]
fn labels_of_any_length_give_names_that_differ() {
    let format = tensor(raw::DTYPE_F32, 3, 0.0, 0);
    let labels = ["a very long speed limit of 30", "a very long speed limit of 50", "stop"];
    let mut bench = bench(&[], &contract(format, &labels), format);
    let mut names = Vec::new();
    for scores in [[1.0_f32, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
        let packet = bench.tensor(format, &scores);
        bench.process(Reason::Input, &[Some(packet)]);
        names.push(bench.emitted()[0].event().name().to_string());
    }
    assert_eq!(names, ["a very long speed limit", "a very long speed lim~1", "stop"]);
}

#[test]
fn contracts_that_name_too_few_classes_are_refused() {
    let format = tensor(raw::DTYPE_F32, 3, 0.0, 0);
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    let (_, text) = bench.ports(Some(&contract(format, &["red"]))).expect_err("refused");
    assert!(text.contains("1 labels for 3 classes"), "{text}");
    let (_, text) = bench.ports(None).expect_err("refused");
    assert!(text.contains("contract = "), "{text}");
}

#[test]
fn numbers_that_are_none_are_a_fault() {
    let format = tensor(raw::DTYPE_F32, 3, 0.0, 0);
    let mut bench = bench(&[], &contract(format, &LIGHTS), format);
    let packet = bench.tensor(format, &[f32::NAN, 0.0, 1.0]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::BadArgument);
    assert!(bench.emitted().is_empty());
}
