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

/// Parameters, and the event with its two values.
type CountCase<'a> = (&'a [(&'a str, Value<'a>)], &'a str, f64, f64);

#[test]
fn boxes_are_counted_by_class_score_and_place() {
    let format = tensor(raw::DTYPE_F32, 6, 0.0, 0);
    let contract = Contract { head: "yolox".into(), ..contract(format, &["person", "car"]) };
    let frame = raw::Detections { count: 4, frame_width: 100, frame_height: 50, reserved: 0 };
    let frame = Format::Detections(format::Detections::new(frame).expect("valid"));
    let found = |x0: f32, class_id: u32, score: f32| {
        let raw::Detection { track_id, .. } = raw::Detection::default();
        raw::Detection { x0, y0: 10.0, x1: x0 + 10.0, y1: 40.0, score, class_id, track_id }
    };
    // Centres at 15, 55, 60 and 85 of 100.
    let boxes =
        [found(10.0, 0, 0.9), found(50.0, 0, 0.5), found(55.0, 1, 0.8), found(80.0, 0, 0.4)];
    let bytes: Vec<u8> = boxes.iter().flat_map(bytes_of).collect();
    let (person, car) = (("class", Value::Text("person")), ("class", Value::Text("car")));
    let left = ("left", Value::Float(0.5));
    let cases: [CountCase<'_>; 6] = [
        (&[], "found", 4.0, 0.9),
        (&[person], "person", 3.0, 0.9),
        (&[car, ("event", Value::Text("traffic"))], "traffic", 1.0, 0.8),
        (&[person, left, ("width", Value::Float(0.2))], "person", 1.0, 0.5),
        (&[person, ("threshold", Value::Float(0.45)), left], "person", 1.0, 0.5),
        (&[person, ("at-least", Value::Int(4)), ("unknown", Value::Text("few"))], "few", 3.0, 0.9),
    ];
    for (given, name, count, score) in cases {
        let mut bench = Bench::new(&edgemill_entry, given).expect("created");
        bench.ports(Some(&contract)).expect("ports");
        bench.activate(&[frame], &[Format::Event], None).expect("activated");
        let packet = bench.packet(frame, &bytes);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
        let event = bench.emitted()[0].event();
        assert_eq!(event.name().as_str(), name, "{given:?}");
        let values: Vec<_> = event.values().iter().map(|(_, value)| *value).collect();
        assert!(values[0] == count && (values[1] - score).abs() < 1e-6, "{given:?}: {values:?}");
    }
    let mut bench = Bench::new(&edgemill_entry, &[("class", Value::Text("cat"))]).expect("created");
    let (_, text) = bench.ports(Some(&contract)).expect_err("refused");
    assert!(text.contains("no class \"cat\"; it has person, car"), "{text}");
}

fn bytes_of(found: &raw::Detection) -> Vec<u8> {
    let edges = [found.x0, found.y0, found.x1, found.y1, found.score].map(f32::to_le_bytes);
    let class = found.class_id.to_le_bytes();
    [edges.as_flattened(), &class, &found.track_id.to_le_bytes()].concat()
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
