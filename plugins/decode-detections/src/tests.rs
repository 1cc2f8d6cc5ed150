//! The plugin, driven through its C entry points.
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{
    Colour, Contract, Filter, Fit, Format, Layout, Picture, Reason, Status, Value, format, raw,
};

use super::edgemill_entry;

fn tensor(shape: &[u32]) -> format::Tensor {
    quantized(raw::DTYPE_F32, shape, 0.0, 0)
}

fn quantized(dtype: u32, given: &[u32], scale: f32, zero_point: i32) -> format::Tensor {
    let mut shape = [0; raw::MAX_RANK];
    shape[..given.len()].copy_from_slice(given);
    let rank = u32::try_from(given.len()).expect("few sides");
    format::Tensor::new(raw::Tensor { dtype, rank, shape, scale, zero_point }).expect("valid")
}

/// A model of pictures of 64 × 64, with two classes.
fn contract(head: &str, outputs: &[format::Tensor]) -> Contract {
    let picture = Picture {
        layout: Layout::Nchw,
        colour: Colour::Bgr,
        fit: Fit::Letterbox,
        filter: Filter::Area,
        fill: 114,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    Contract {
        model: "street".into(),
        version: "1.0.0".into(),
        inputs: vec![tensor(&[1, 3, 64, 64])],
        outputs: outputs.to_vec(),
        picture: Some(picture),
        window: None,
        head: head.into(),
        labels: vec!["person".into(), "car".into()],
    }
}

/// Frames of 640 × 320: ten pixels for each of the model's, of which rows 16 to 48 are seen.
fn bench(given: &[(&str, Value<'_>)], contract: &Contract) -> Bench {
    let mut bench = Bench::new(&edgemill_entry, given).expect("created");
    bench.ports(Some(contract)).expect("ports");
    let inputs: Vec<_> = contract.outputs.iter().map(|&output| Format::Tensor(output)).collect();
    let frame = raw::Detections { count: 10, frame_width: 640, frame_height: 320, reserved: 0 };
    let output = Format::Detections(format::Detections::new(frame).expect("valid"));
    bench.activate(&inputs, &[output], None).expect("activated");
    bench
}

/// Class, score and edges of what the model's outputs come to.
fn found(bench: &mut Bench, outputs: &[&[f32]], contract: &Contract) -> Vec<(u32, f32, [f32; 4])> {
    let packets: Vec<_> = outputs
        .iter()
        .zip(&contract.outputs)
        .map(|(numbers, format)| Some(bench.tensor(*format, numbers)))
        .collect();
    assert_eq!(bench.process(Reason::Input, &packets), Status::Ok);
    let emitted = bench.emitted().last().expect("one packet for each call").clone();
    let raw::Detections { count, frame_width, frame_height, .. } = *emitted.payload.detections();
    assert_eq!((frame_width, frame_height), (640, 320));
    let boxes = emitted.bytes.chunks_exact(size_of::<raw::Detection>()).take(count as usize);
    boxes.map(read).collect()
}

fn read(bytes: &[u8]) -> (u32, f32, [f32; 4]) {
    let words = bytes.as_chunks::<4>().0;
    let edges = [0, 1, 2, 3].map(|at| f32::from_le_bytes(words[at]).round());
    (u32::from_le_bytes(words[5]), f32::from_le_bytes(words[4]), edges)
}

/// A car at 40 to 240 by 40 to 140 of the frame, as each head says it: 4 to 24 by 20 to 30 in the model's picture.
const CAR: (u32, f32, [f32; 4]) = (1, 0.75, [40.0, 40.0, 240.0, 140.0]);

/// A name, the contract's head, the outputs' formats and their numbers.
type HeadCase<'a> = (&'a str, &'a str, Vec<format::Tensor>, Vec<&'a [f32]>);

#[test]
fn every_head_finds_the_same_car() {
    // Grids of 8 × 8, 4 × 4 and 2 × 2 cells; the car's centre is in column 1, row 3 of the first.
    let mut grids = vec![0.0_f32; 84 * 7];
    let row = [0.75, 0.125, 2.5_f32.ln(), 1.25_f32.ln(), 0.75, 0.5, 1.0];
    grids[25 * 7..26 * 7].copy_from_slice(&row);
    let centred = [14.0, 25.0, 20.0, 10.0, 1.0, 0.2, 0.75, 14.0, 25.0, 21.0, 10.0, 1.0, 0.2, 0.7];
    let across = [14.0, 14.0, 25.0, 25.0, 20.0, 21.0, 10.0, 10.0, 0.2, 0.2, 0.75, 0.7];
    let lists = [20.0 / 64.0, 4.0 / 64.0, 30.0 / 64.0, 24.0 / 64.0];
    let sixes = [4.0, 20.0, 24.0, 30.0, 0.75, 1.0, 0.0, 0.0, 9.0, 9.0, 0.1, 0.0];
    let edges = [lists, [0.0; 4]].concat();
    let (classes, scores, count): (&[f32], &[f32], &[f32]) = (&[1.0, 0.0], &[0.75, 0.0], &[1.0]);
    let two = [tensor(&[1, 2]), tensor(&[1, 2]), tensor(&[1])];
    let first: Vec<_> = [&[tensor(&[1, 2, 4])][..], &two].concat();
    let second = vec![two[0], first[0], two[2], two[1]];
    let cases: [HeadCase<'_>; 6] = [
        ("grids", "yolox", vec![tensor(&[1, 84, 7])], vec![&grids]),
        ("rows, one covered", "yolo", vec![tensor(&[1, 2, 7])], vec![&centred]),
        ("columns, one covered", "yolo", vec![tensor(&[1, 6, 2])], vec![&across]),
        ("finished rows", "boxes", vec![tensor(&[1, 2, 6])], vec![&sixes]),
        ("TensorFlow 1", "boxes", first, vec![&edges, classes, scores, count]),
        ("TensorFlow 2", "boxes", second, vec![scores, &edges, count, classes]),
    ];
    for (name, head, outputs, numbers) in cases {
        let contract = contract(head, &outputs);
        let mut bench = bench(&[], &contract);
        assert_eq!(found(&mut bench, &numbers, &contract), [CAR], "{name}");
    }
}

#[test]
fn anchors_come_from_a_file() {
    let path = std::env::temp_dir().join(format!("edgemill-car-{}", std::process::id()));
    let path = path.to_str().expect("a plain path");
    // The second anchor is the car.
    std::fs::write(path, "0.5, 0.5, 1, 1\n0.21875, 0.390625, 0.3125, 0.15625\n").expect("written");
    let contract = contract("ssd", &[tensor(&[1, 2, 3]), tensor(&[1, 2, 1, 4])]);
    let given = [("path", Value::Text(path))];
    let mut bench = bench(&given, &contract);
    let scores = [9.0, -3.0, -3.0, -9.0, -5.0, 3.0_f32.ln()];
    let boxes = found(&mut bench, &[&scores, &[0.0; 8]], &contract);
    let [(1, score, edges)] = boxes[..] else { panic!("{boxes:?}") };
    assert!((score - 0.75).abs() < 1e-6 && edges == CAR.2, "{boxes:?}");
    std::fs::remove_file(path).expect("it was there");
}

/// As MediaPipe's detectors have them: 16 cells of 16 pixels, two boxes in each, with one key point.
#[test]
fn anchors_come_by_their_grids() {
    let mut contract = contract("ssd", &[tensor(&[1, 32, 6]), tensor(&[1, 32, 1])]);
    contract.labels = vec!["car".into()];
    // The last box of the second row's first cell, whose centre is at 8, 24.
    let (mut boxes, mut scores) = ([0.0_f32; 192], [-9.0_f32; 32]);
    boxes[9 * 6..10 * 6].copy_from_slice(&[6.0, 1.0, 20.0, 10.0, 50.0, 50.0]);
    scores[9] = 3.0_f32.ln();
    let given = [
        ("cells", Value::Text("16:2")),
        ("order", Value::Text("xywh")),
        ("sides", Value::Text("factors")),
        ("centre-scale", Value::Float(64.0)),
        ("side-scale", Value::Float(64.0)),
    ];
    let mut bench = bench(&given, &contract);
    let found = found(&mut bench, &[&boxes, &scores], &contract);
    let [(0, score, edges)] = found[..] else { panic!("{found:?}") };
    assert!((score - 0.75).abs() < 1e-6 && edges == CAR.2, "{found:?}");
}

#[test]
fn quantized_numbers_are_read_by_their_rule() {
    let output = quantized(raw::DTYPE_U8, &[1, 1, 7], 0.25, 8);
    let contract = contract("yolo", &[output]);
    let mut bench = bench(&[], &contract);
    let packet = bench.tensor(output, &[64_u8, 108, 88, 48, 12, 8, 11]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let bytes = bench.emitted()[0].bytes.clone();
    assert_eq!(read(&bytes[..32]), CAR);
}

#[test]
fn thresholds_and_the_frame_bound_what_is_found() {
    let contract = contract("yolo", &[tensor(&[1, 2, 6])]);
    // One reaches out of the frame on all sides, one lies in the letterbox's bar.
    let numbers = [32.0, 32.0, 100.0, 100.0, 0.9, 0.1, 32.0, 4.0, 8.0, 8.0, 0.8, 0.1];
    let whole = (0, 0.9, [0.0, 0.0, 640.0, 320.0]);
    let cases: [(&str, Value<'_>, &[_]); 3] = [
        ("threshold", Value::Float(0.5), &[whole]),
        ("threshold", Value::Float(0.95), &[]),
        ("most", Value::Int(1), &[whole]),
    ];
    for (name, value, expected) in cases {
        let mut bench = bench(&[(name, value)], &contract);
        assert_eq!(found(&mut bench, &[&numbers], &contract), expected, "{name} {value:?}");
    }
    let mut bench = bench(&[], &contract);
    assert!(found(&mut bench, &[&[f32::NAN; 12]], &contract).is_empty());
}

#[test]
fn what_the_contract_leaves_unclear_is_refused() {
    let cases: [(&str, &str, &[&[u32]], &str); 8] = [
        ("no head", "classifier", &[&[1, 2]], "\"yolox\", \"yolo\", \"ssd\" and \"boxes\""),
        ("rows", "yolox", &[&[1, 86, 7]], "86 rows are not the cells"),
        ("classes", "yolox", &[&[1, 84, 8]], "2 labels has 7 numbers"),
        ("no rows", "yolox", &[&[1, 4, 21, 7]], "is not rows of numbers"),
        ("numbers", "yolo", &[&[1, 10, 9]], "6 or 7 numbers for a box"),
        ("outputs", "ssd", &[&[1, 10, 4]], "two outputs"),
        ("anchors", "ssd", &[&[1, 10, 4], &[1, 10, 3]], "set `path` to a file"),
        ("lists", "boxes", &[&[1, 10, 4], &[1, 9], &[1, 10], &[1]], "N × 6"),
    ];
    for (name, head, shapes, expected) in cases {
        let outputs: Vec<_> = shapes.iter().map(|shape| tensor(shape)).collect();
        let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
        let (_, text) = bench.ports(Some(&contract(head, &outputs))).expect_err(name);
        assert!(text.contains(expected), "{name}: {text}");
    }
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    let (_, text) = bench.ports(None).expect_err("no contract");
    assert!(text.contains("contract = "), "{text}");
}
