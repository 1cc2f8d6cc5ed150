use std::time::Duration;

use edgemill_abi::raw::{self, FormatRange};

use super::*;
use crate::spec::{EdgeSpec, Overflow};

const YUYV: u32 = raw::FOURCC_YUYV;
const GREY: u32 = raw::FOURCC_GREY;

fn range(kind: u32, least: impl Into<raw::Payload>, most: impl Into<raw::Payload>) -> FormatRange {
    let format = |payload| raw::Format { kind, reserved: 0, payload };
    FormatRange { least: format(least.into()), most: format(most.into()) }
}

fn image(fourcc: u32, width: (u32, u32), height: (u32, u32)) -> FormatRange {
    let of = |width, height| raw::Image { fourcc, width, height, ..raw::Image::default() };
    range(raw::KIND_IMAGE, of(width.0, height.0), of(width.1, height.1))
}

fn strided(fourcc: u32, side: u32, stride: u32) -> FormatRange {
    let mut image = *image(fourcc, (side, side), (side, side)).least.payload.image();
    image.planes[0].stride = stride;
    range(raw::KIND_IMAGE, image, image)
}

fn tensor(dtype: u32, least: &[u32], most: &[u32], scale: f32, zero_point: i32) -> FormatRange {
    let of = |shape: &[u32]| {
        let rank = u32::try_from(shape.len()).unwrap();
        let mut tensor = raw::Tensor { dtype, rank, shape: [0; 6], scale, zero_point };
        tensor.shape[..shape.len()].copy_from_slice(shape);
        tensor
    };
    range(raw::KIND_TENSOR, of(least), of(most))
}

fn bytes(count: u32) -> FormatRange {
    tensor(raw::DTYPE_U8, &[count], &[count], 0.0, 0)
}

fn boxes(count: (u32, u32), frame: u32) -> FormatRange {
    let of =
        |count| raw::Detections { count, frame_width: frame, frame_height: frame, reserved: 0 };
    range(raw::KIND_DETECTIONS, of(count.0), of(count.1))
}

fn series(samples: (u32, u32), rate: (f64, f64)) -> FormatRange {
    let of = |samples, rate_hz| raw::Series {
        dtype: raw::DTYPE_F32,
        channels: 3,
        samples,
        reserved: 0,
        rate_hz,
    };
    range(raw::KIND_SERIES, of(samples.0, rate.0), of(samples.1, rate.1))
}

fn event() -> FormatRange {
    range(raw::KIND_EVENT, raw::Payload::default(), raw::Payload::default())
}

fn port(name: &str, ranges: &[FormatRange]) -> Port {
    Port { name: name.into(), ranges: ranges.to_vec(), held: 0, burst: 1 }
}

fn source(ranges: &[FormatRange]) -> Ports {
    Ports { outputs: vec![port("out", ranges)], ..Ports::default() }
}

fn sink(ranges: &[FormatRange]) -> Ports {
    Ports { inputs: vec![port("in", ranges)], ..Ports::default() }
}

fn middle(input: &[FormatRange], output: &[FormatRange]) -> Ports {
    Ports { inputs: sink(input).inputs, outputs: source(output).outputs, timer_ns: 0 }
}

fn stage(name: &str, from: &[&str]) -> StageSpec {
    let inputs = from.iter().map(|from| EdgeSpec {
        from_stage: (*from).into(),
        capacity: 4,
        overflow: Some(Overflow::Block),
        ..EdgeSpec::default()
    });
    let (name, inputs) = (name.into(), inputs.collect());
    StageSpec { name, inputs, hang: Duration::ZERO, ..StageSpec::default() }
}

fn spec(stages: Vec<StageSpec>) -> Spec {
    Spec { name: "p".into(), stages }
}

/// Each stage after the one before it.
fn line(names: &[&str]) -> Vec<StageSpec> {
    let from = |index: usize| names[index.saturating_sub(1)..index].to_vec();
    names.iter().enumerate().map(|(index, name)| stage(name, &from(index))).collect()
}

/// What two ports agree on, in words.
fn agree(gives: &[FormatRange], takes: &[FormatRange]) -> Result<Format, String> {
    let spec = spec(vec![stage("a", &[]), stage("b", &["a"])]);
    let plan = negotiate(&spec, &[source(gives), sink(takes)]).map_err(|error| {
        assert_eq!(error.stage(), "b");
        error.to_string()
    })?;
    assert_eq!(plan.stages[0].outputs[0].format, plan.stages[1].inputs[0].format);
    Ok(plan.stages[0].outputs[0].format)
}

fn words(gives: &[FormatRange], takes: &[FormatRange]) -> String {
    agree(gives, takes).map_or_else(|error| error, |format| describe(&format))
}

#[test]
fn two_ports_agree_on_the_largest_they_both_can_by_the_taker_s_preference() {
    let any = (1, 4096);
    let i8 = |scale, zero_point| tensor(raw::DTYPE_I8, &[1, 4], &[1, 4], scale, zero_point);
    let unshaped = tensor(0, &[], &[], 0.0, 0);
    let cases = [
        (vec![image(YUYV, (640, 640), (480, 480))], vec![image(0, any, any)], "image YUYV 640x480"),
        (vec![image(YUYV, any, any)], vec![image(YUYV, (2, 320), (1, 240))], "image YUYV 320x240"),
        (vec![image(YUYV, any, any)], vec![image(YUYV, (2, 321), (1, 9))], "image YUYV 320x9"),
        (
            vec![image(YUYV, (8, 8), (8, 8)), image(GREY, (8, 8), (8, 8))],
            vec![image(GREY, any, any), image(YUYV, any, any)],
            "image GREY 8x8",
        ),
        (
            vec![image(YUYV, (8, 8), (8, 8)), image(YUYV, (16, 16), (8, 8))],
            vec![image(GREY, any, any), image(0, any, any)],
            "image YUYV 8x8",
        ),
        (vec![i8(0.5, -128)], vec![i8(0.5, -128)], "tensor i8 [1, 4]"),
        (vec![i8(0.5, -128)], vec![i8(0.0, 0)], "tensor i8 [1, 4]"),
        (vec![unshaped], vec![i8(0.5, 3)], "tensor i8 [1, 4]"),
        (
            vec![tensor(raw::DTYPE_F32, &[1, 2], &[8, 9], 0.0, 0)],
            vec![tensor(raw::DTYPE_F32, &[3, 1], &[5, 70], 0.0, 0)],
            "tensor f32 [5, 9]",
        ),
        (
            vec![boxes((0, 10), 64)],
            vec![boxes((1, 100), 64)],
            "detections, at most 10, in frames of 64x64",
        ),
        (
            vec![series((1, 64), (100.0, 100.0))],
            vec![series((32, 32), (1.0, 1e6))],
            "series f32 of 3 x 32 at 100 Hz",
        ),
        (vec![event()], vec![bytes(1), event()], "event"),
    ];
    for (gives, takes, expected) in cases {
        assert_eq!(words(&gives, &takes), expected);
    }
}

#[test]
fn boxes_refer_to_the_picture_they_are_made_from() {
    let open = |count| raw::Detections { count, frame_width: 1, frame_height: 1, reserved: 0 };
    let any = |count| raw::Detections { frame_width: 4096, frame_height: 4096, ..open(count) };
    let open = range(raw::KIND_DETECTIONS, open(0), any(9));
    let frames = image(YUYV, (640, 640), (480, 480));
    let joined = |width| Ports {
        inputs: vec![port("picture", &[image(GREY, width, (9, 9))]), port("numbers", &[bytes(4)])],
        ..middle(&[], &[open])
    };
    let chain = |found: FormatRange| {
        let ports = vec![
            source(&[frames]),
            middle(&[frames], &[bytes(4)]),
            middle(&[bytes(4)], &[found]),
            middle(&[open], &[open]),
            sink(&[open]),
        ];
        let plan = negotiate(&spec(line(&["a", "b", "c", "d", "e"])), &ports).unwrap();
        [2, 3].map(|stage| describe(&plan.stages[stage].outputs[0].format))
    };
    let ours = "detections, at most 9, in frames of 640x480";
    assert_eq!(chain(open), [ours, ours]);
    // A stage that fixes its frame is believed, and what comes after it refers to that.
    let fixed = chain(boxes((0, 9), 64));
    assert!(fixed.iter().all(|format| format.ends_with("frames of 64x64")), "{fixed:?}");
    // Two pictures of one size are the frame; where their sizes differ, it stays open.
    for (width, expected) in [((640, 640), "4096x4096"), ((16, 16), "16x9")] {
        let grey = image(GREY, width, (9, 9));
        let small = image(GREY, (16, 16), (9, 9));
        let ports = vec![
            source(&[grey]),
            source(&[small]),
            middle(&[small], &[bytes(4)]),
            joined(width),
            sink(&[open]),
        ];
        let mut join = stage("d", &["a", "c"]);
        join.inputs[0].port = Some("picture".into());
        join.inputs[1].port = Some("numbers".into());
        let stages =
            vec![stage("a", &[]), stage("b", &[]), stage("c", &["b"]), join, stage("e", &["d"])];
        let plan = negotiate(&spec(stages), &ports).unwrap();
        let format = describe(&plan.stages[3].outputs[0].format);
        assert!(format.ends_with(expected), "{format}");
    }
}

#[test]
fn quantization_and_planes_come_from_whoever_states_them() {
    let i8 = |scale, zero_point| tensor(raw::DTYPE_I8, &[4], &[4], scale, zero_point);
    let Ok(Format::Tensor(agreed)) = agree(&[i8(0.0, 0)], &[i8(0.25, -7)]) else { panic!() };
    assert_eq!(agreed.quantization(), Some((0.25, -7)));
    let planes = |gives, takes| match agree(&[gives], &[takes]) {
        Ok(Format::Image(image)) => image.planes().to_vec(),
        other => panic!("{other:?}"),
    };
    let open = image(YUYV, (8, 8), (8, 8));
    assert_eq!(planes(open, open), [raw::Plane { offset: 0, stride: 16 }]);
    assert_eq!(planes(strided(YUYV, 8, 32), open), [raw::Plane { offset: 0, stride: 32 }]);
}

#[test]
fn ports_that_do_not_fit_are_refused_with_both_sides() {
    let i8 = |scale, zero_point| tensor(raw::DTYPE_I8, &[4], &[4], scale, zero_point);
    let grey = image(GREY, (8, 8), (8, 8));
    let cases = [
        (vec![grey], vec![bytes(64)], "b.in takes tensor u8 [64], but a.out gives image GREY 8x8"),
        (
            vec![grey],
            vec![image(YUYV, (8, 8), (8, 8))],
            "takes image YUYV 8x8, but a.out gives image GREY 8x8",
        ),
        (vec![grey], vec![image(GREY, (9, 20), (8, 8))], "takes image GREY 9..20x8"),
        (
            vec![i8(0.5, 1)],
            vec![i8(0.5, 2)],
            "scale 0.5 zero point 2, but a.out gives tensor i8 [4] scale 0.5 zero point 1",
        ),
        (vec![i8(0.5, 1)], vec![i8(0.25, 1)], "takes tensor i8 [4] scale 0.25"),
        (vec![bytes(4)], vec![bytes(5)], "takes tensor u8 [5]"),
        (
            vec![bytes(4)],
            vec![tensor(raw::DTYPE_U8, &[1, 4], &[1, 4], 0.0, 0)],
            "takes tensor u8 [1, 4]",
        ),
        (vec![boxes((0, 9), 64)], vec![boxes((0, 9), 65)], "detections"),
        (vec![series((1, 9), (1.0, 2.0))], vec![series((1, 9), (3.0, 4.0))], "at 3..4 Hz"),
        (vec![strided(YUYV, 8, 32)], vec![strided(YUYV, 8, 16)], "takes image YUYV 8x8"),
        (vec![bytes(1); 9], vec![bytes(2); 9], "or tensor u8 [2] or 5 more, but"),
        // Both leave open what has to be named.
        (vec![image(0, (8, 8), (8, 8))], vec![image(0, (8, 8), (8, 8))], "which is not a format"),
        (
            vec![tensor(0, &[4], &[4], 0.0, 0)],
            vec![tensor(0, &[4], &[4], 0.0, 0)],
            "0 is not a type",
        ),
        (
            vec![range(9, raw::Payload::default(), raw::Payload::default())],
            vec![event()],
            "unknown kind 9",
        ),
    ];
    for (gives, takes, expected) in cases {
        let error = words(&gives, &takes);
        assert!(error.contains(expected), "{expected:?} expected, got {error:?}");
        assert!(error.len() < 1000, "{error}");
    }
}

#[test]
fn a_tee_agrees_with_all_that_take_from_it() {
    let any = image(0, (1, 4096), (1, 4096));
    let stages = spec(vec![stage("a", &[]), stage("b", &["a"]), stage("c", &["a"])]);
    let gives = [image(YUYV, (8, 64), (8, 64)), image(GREY, (8, 64), (8, 64))];
    let takes = image(GREY, (1, 32), (1, 4096));
    let plan = negotiate(&stages, &[source(&gives), sink(&[any]), sink(&[takes])]).unwrap();
    assert_eq!(describe(&plan.stages[0].outputs[0].format), "image GREY 32x64");
    let other = image(YUYV, (1, 32), (1, 4096));
    let all = [source(&gives), sink(&[takes]), sink(&[other])];
    let error = negotiate(&stages, &all).unwrap_err();
    assert_eq!(error.stage(), "c");
    // What the first has left is what the second is offered.
    assert!(error.to_string().contains("a.out gives image GREY 8..32x8..64"), "{error}");
}

#[test]
fn graphs_that_are_none_are_refused_by_name() {
    let one = [bytes(1)];
    let (from, to, both) = (source(&one), sink(&one), middle(&one, &one));
    let named = |port: &str, mut stage: StageSpec| {
        stage.inputs[0].port = Some(port.into());
        stage
    };
    let out_of = |port: &str, mut stage: StageSpec| {
        stage.inputs[0].from_port = Some(port.into());
        stage
    };
    let two_inputs = Ports { inputs: vec![port("l", &one), port("r", &one)], ..Ports::default() };
    let bad = |change: fn(&mut Port)| {
        let mut ports = source(&one);
        change(&mut ports.outputs[0]);
        ports
    };
    let crowd = Ports {
        inputs: (0..17).map(|n| port(&format!("in{n}"), &one)).collect(),
        ..Ports::default()
    };
    let (a, b) = (|| stage("a", &[]), || stage("b", &["a"]));
    let bypassed = StageSpec { on_failure: OnFailure::Bypass, ..b() };
    let cases = [
        (vec![], vec![], "", "has no stages"),
        (vec![a(), a()], vec![from.clone(); 2], "a", "two stages are named a"),
        (vec![a()], vec![Ports::default()], "a", "neither inputs nor outputs"),
        (
            vec![a(), stage("b", &["c"])],
            vec![from.clone(), to.clone()],
            "b",
            "from \"c\", and there is no such stage",
        ),
        (
            vec![a(), named("x", b())],
            vec![from.clone(), to.clone()],
            "b",
            "has no input \"x\"; its inputs are: in",
        ),
        (
            vec![a(), b()],
            vec![from.clone(), two_inputs.clone()],
            "b",
            "no input that needs no name; its inputs are: l, r",
        ),
        (
            vec![a(), out_of("x", b())],
            vec![from.clone(), to.clone()],
            "b",
            "stage a, which has no output \"x\"; its outputs are: out",
        ),
        (
            vec![a(), stage("b", &["a", "a"])],
            vec![from.clone(), to.clone()],
            "b",
            "b.in is connected twice",
        ),
        (
            vec![a(), named("l", b())],
            vec![from.clone(), two_inputs],
            "b",
            "input b.r is not connected",
        ),
        (vec![a()], vec![from.clone()], "a", "output a.out is not connected"),
        (vec![a(), b()], vec![from.clone(), both.clone()], "b", "output b.out is not connected"),
        (
            vec![stage("a", &["c"]), b(), stage("c", &["b"])],
            vec![both.clone(); 3],
            "a",
            "circle: b → c → a → b",
        ),
        (vec![a(), b()], vec![bad(|p| p.burst = 0), to.clone()], "a", "a.out has a burst of 0"),
        (vec![a(), b()], vec![bad(|p| p.ranges.clear()), to.clone()], "a", "a.out lists no format"),
        (
            vec![a(), b()],
            vec![bad(|p| p.name = "a\nb".into()), to.clone()],
            "a",
            r"a.a\nb is not named by",
        ),
        (vec![stage("b", &[])], vec![crowd], "b", "b.in16 is the 17th input"),
        (vec![a(), bypassed], vec![from.clone(), to.clone()], "b", "cannot be bypassed"),
    ];
    for (stages, ports, blamed, expected) in cases {
        let error = negotiate(&spec(stages), &ports).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected:?} expected, got {error}");
        assert_eq!(error.stage(), blamed, "{error}");
    }
}

#[test]
fn policies_follow_what_flows_unless_the_spec_says_otherwise() {
    let cases = [
        (image(GREY, (8, 8), (8, 8)), None, (Overflow::Latest, 1)),
        (series((1, 1), (1.0, 1.0)), None, (Overflow::DropOldest, 4)),
        (bytes(1), None, (Overflow::Block, 4)),
        (event(), None, (Overflow::Block, 4)),
        (image(GREY, (8, 8), (8, 8)), Some(Overflow::Block), (Overflow::Block, 4)),
        (bytes(1), Some(Overflow::Latest), (Overflow::Latest, 1)),
    ];
    for (format, overflow, expected) in cases {
        let mut taker = stage("b", &["a"]);
        taker.inputs[0].overflow = overflow;
        let stages = spec(vec![stage("a", &[]), taker]);
        let plan = negotiate(&stages, &[source(&[format]), sink(&[format])]).unwrap();
        assert_eq!((plan.edges[0].overflow, plan.edges[0].capacity), expected);
    }
}

/// Depths worked out by hand from the rule at the head of the module.
#[test]
fn pools_are_as_deep_as_buffers_can_be_out() {
    let (small, large) = ([bytes(8)], [bytes(16)]);
    let depth = |stages: Vec<StageSpec>, ports: &[Ports]| {
        negotiate(&spec(stages), ports).unwrap().stages[0].outputs[0].buffers
    };
    let two = || vec![stage("a", &[]), stage("b", &["a"])];
    // burst 1 + capacity 4 + in hand 1
    assert_eq!(depth(two(), &[source(&small), sink(&small)]), 6);
    // burst 3, held 2
    let mut ports = [source(&small), sink(&small)];
    (ports[0].outputs[0].burst, ports[1].inputs[0].held) = (3, 2);
    assert_eq!(depth(two(), &ports), 3 + 4 + 1 + 2);
    // Two abandoned instances on each side keep what they had.
    let mut hanging = two();
    hanging.iter_mut().for_each(|stage| stage.hang = Duration::from_secs(1));
    assert_eq!(depth(hanging.clone(), &ports), 3 * 3 + 4 + 3 * (1 + 2));
    hanging.iter_mut().for_each(|stage| stage.holds_device = true);
    assert_eq!(depth(hanging, &ports), 3 + 4 + 1 + 2);
    // A stage that may hand its input on, and one that cannot.
    let three = || vec![stage("a", &[]), stage("b", &["a"]), stage("c", &["b"])];
    let same = [source(&small), middle(&small, &small), sink(&small)];
    assert_eq!(depth(three(), &same), 1 + (4 + 1) + (4 + 1));
    let other = [source(&small), middle(&small, &large), sink(&large)];
    assert_eq!(depth(three(), &other), 1 + (4 + 1));
    // A tee, and a join that keeps a capacity of each waiting for partners.
    let mut join = stage("b", &["a", "a"]);
    join.inputs[0].port = Some("l".into());
    join.inputs[1].port = Some("r".into());
    let inputs = vec![port("l", &small), port("r", &small)];
    let joined = Ports { inputs, ..Ports::default() };
    assert_eq!(depth(vec![stage("a", &[]), join], &[source(&small), joined]), 1 + 2 * (4 + 4 + 1));
    // Events need no buffers.
    assert_eq!(depth(two(), &[source(&[event()]), sink(&[event()])]), 0);
}

#[test]
fn more_buffers_than_any_machine_has_are_refused() {
    let huge = tensor(raw::DTYPE_U8, &[1 << 30], &[1 << 30], 0.0, 0);
    let mut taker = stage("b", &["a"]);
    taker.inputs[0].capacity = 1024;
    let stages = spec(vec![stage("a", &[]), taker]);
    let error = negotiate(&stages, &[source(&[huge]), sink(&[huge])]).unwrap_err();
    assert!(error.to_string().contains("1026 buffers of 1073741824 bytes"), "{error}");
}
