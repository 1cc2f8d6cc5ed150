use edgemill_sdk::testing::Bench;
use edgemill_sdk::{
    Colour, Contract, Filter, Fit, Format, Layout, Picture, Reason, Status, format, raw,
};

use super::edgemill_entry;

fn tensor(dtype: u32, shape: [u32; 4], scale: f32, zero_point: i32) -> format::Tensor {
    let [a, b, c, d] = shape;
    let shape = [a, b, c, d, 0, 0];
    format::Tensor::new(raw::Tensor { dtype, rank: 4, shape, scale, zero_point }).expect("valid")
}

fn image(fourcc: u32, width: u32, height: u32, stride: u32, offset: u32) -> format::Image {
    let mut planes = [raw::Plane::default(); 3];
    planes[0] = raw::Plane { offset, stride };
    format::Image::new(raw::Image { fourcc, width, height, plane_count: 1, planes }).expect("valid")
}

fn contract(input: format::Tensor, colour: Colour) -> Contract {
    let picture = Picture {
        layout: Layout::Nhwc,
        colour,
        fit: Fit::Stretch,
        filter: Filter::Area,
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    Contract {
        model: "light".into(),
        version: "1.0.0".into(),
        inputs: vec![input],
        outputs: vec![input],
        picture: Some(picture),
        window: None,
        head: "classifier".into(),
        labels: Vec::new(),
    }
}

fn bench(contract: &Contract, frame: format::Image, output: format::Tensor) -> Bench {
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    bench.ports(Some(contract)).expect("ports");
    let (input, output) = ([Format::Image(frame)], [Format::Tensor(output)]);
    bench.activate(&input, &output, None).expect("activated");
    bench
}

const RAW: f32 = 1.0 / 255.0;

#[test]
fn pixels_become_elements_in_the_order_of_the_contract() {
    // Two rows of two pixels, three bytes of padding after each, the plane four bytes into the buffer.
    let bytes = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 7, 8, 9, 10, 11, 12];
    let frame = image(raw::FOURCC_RGB24, 2, 2, 9, 4);
    let u8s = tensor(raw::DTYPE_U8, [1, 2, 2, 3], RAW, 0);
    let i8s = tensor(raw::DTYPE_I8, [1, 2, 2, 3], RAW, -128);
    let cases = [
        ("rgb", Colour::Rgb, u8s, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("bgr", Colour::Bgr, u8s, [3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]),
        ("int8", Colour::Rgb, i8s, [129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140]),
    ];
    for (name, colour, output, expected) in cases {
        let mut bench = bench(&contract(output, colour), frame, output);
        let packet = bench.packet(Format::Image(frame), &bytes);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok, "{name}");
        assert_eq!(bench.emitted()[0].bytes, expected, "{name}");
    }
}

#[test]
fn frames_of_every_format_are_taken_and_f32_is_given() {
    let output = tensor(raw::DTYPE_F32, [1, 1, 1, 1], 0.0, 0);
    let int8 = tensor(raw::DTYPE_I8, [1, 1, 1, 1], RAW, -128);
    let cases = [
        ("grey", raw::FOURCC_GREY, 4, vec![51; 8], 51.0 / 255.0),
        ("yuyv", raw::FOURCC_YUYV, 8, [235, 128, 235, 128].repeat(4), 1.0),
        ("rgb", raw::FOURCC_RGB24, 12, vec![204; 24], 204.0 / 255.0),
    ];
    for (name, fourcc, stride, bytes, expected) in cases {
        let frame = image(fourcc, 4, 2, stride, 0);
        let mut bench = bench(&contract(int8, Colour::Grey), frame, output);
        let packet = bench.packet(Format::Image(frame), &bytes);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok, "{name}");
        let bytes = bench.emitted()[0].bytes.clone();
        let given = f32::from_le_bytes(bytes.try_into().expect("one element"));
        assert!((given - expected).abs() < 1e-6, "{name}: {given}");
    }
}

#[test]
fn a_frame_may_have_two_planes() {
    // Two by two pixels of white in the lower half of four rows, red chroma everywhere.
    let (luma, chroma) = ([[16; 8], [235; 8]].concat(), [128; 8]);
    let mut planes = [raw::Plane::default(); 3];
    (planes[0], planes[1]) =
        (raw::Plane { offset: 8, stride: 4 }, raw::Plane { offset: 0, stride: 4 });
    let raw = raw::Image { fourcc: raw::FOURCC_NV12, width: 4, height: 4, plane_count: 2, planes };
    let frame = format::Image::new(raw).expect("valid");
    let output = tensor(raw::DTYPE_U8, [1, 2, 2, 3], RAW, 0);
    let mut bench = bench(&contract(output, Colour::Rgb), frame, output);
    let packet = bench.packet(Format::Image(frame), &[&chroma[..], &luma].concat());
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    assert_eq!(bench.emitted()[0].bytes, [[0; 6], [255; 6]].concat());
}

#[test]
fn a_jpeg_is_decoded_and_one_that_is_damaged_is_named() {
    let jpeg = include_bytes!("../../../tests/golden/lights.jpg");
    let packed = |width| format::Image::packed(raw::FOURCC_MJPEG, width, 71).expect("known");
    let frame = format::Image::new(packed(53)).expect("valid");
    let output = tensor(raw::DTYPE_U8, [1, 71, 53, 3], RAW, 0);
    let mut bytes = vec![0x55; 2 * 53 * 71];
    bytes[..jpeg.len()].copy_from_slice(jpeg);
    let mut good = bench(&contract(output, Colour::Rgb), frame, output);
    let packet = good.packet(Format::Image(frame), &bytes);
    assert_eq!(good.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let lamp = &good.emitted()[0].bytes[(15 * 53 + 26) * 3..][..3];
    assert!(lamp[0] > 200 && lamp[1] < 60 && lamp[2] < 60, "the upper lamp is red: {lamp:?}");
    bytes[200..].fill(0);
    let packet = good.packet(Format::Image(frame), &bytes);
    assert_eq!(good.process(Reason::Input, &[Some(packet)]), Status::BadArgument);
}

#[test]
fn contracts_that_are_no_picture_are_refused() {
    let three = tensor(raw::DTYPE_I8, [1, 2, 2, 3], RAW, -128);
    let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
    let (_, text) = bench.ports(None).expect_err("no contract");
    assert!(text.contains("contract = "), "{text}");
    let series = Contract { picture: None, ..contract(three, Colour::Rgb) };
    let (_, text) = bench.ports(Some(&series)).expect_err("no picture");
    assert!(text.contains("does not take a picture"), "{text}");
    let wrong = [
        ("channels", tensor(raw::DTYPE_I8, [1, 2, 2, 4], RAW, 0), "4 channels"),
        ("batch", tensor(raw::DTYPE_I8, [2, 2, 2, 3], RAW, 0), "not one picture"),
        ("type", tensor(raw::DTYPE_I32, [1, 2, 2, 3], 0.0, 0), "without a scale"),
    ];
    let frame = Format::Image(image(raw::FOURCC_YUYV, 4, 4, 8, 0));
    for (name, output, expected) in wrong {
        let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
        bench.ports(Some(&contract(output, Colour::Rgb))).expect(name);
        let output = Format::Tensor(output);
        let (_, text) = bench.activate(&[frame], &[output], None).expect_err(name);
        assert!(text.contains(expected), "{name}: {text}");
    }
}

#[test]
fn a_frame_of_another_size_is_a_fault_of_its_sender() {
    let output = tensor(raw::DTYPE_I8, [1, 2, 2, 3], RAW, -128);
    let frame = image(raw::FOURCC_YUYV, 4, 4, 8, 0);
    let mut bench = bench(&contract(output, Colour::Rgb), frame, output);
    let other = Format::Image(image(raw::FOURCC_YUYV, 2, 4, 4, 0));
    let packet = bench.packet(other, &[0; 16]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::BadArgument);
    assert!(bench.emitted().is_empty());
}
