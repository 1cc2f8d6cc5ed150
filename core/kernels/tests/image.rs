//! Pictures, against arithmetic in f64 that says plainly what should come out.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the plain arithmetic that the kernels are held against"
)]
use edgemill_kernels::image::{
    Colour, Element, Filter, Fit, FrameSpec, ImageError, Kernel, Layout, Limits, Picture,
    PixelFormat, Plane, Preparer, RgbPicture, Target, decode_jpeg, decode_jpeg_into,
    draw_letterboxed, draw_letterboxed_into,
};

const FORMATS: [PixelFormat; 4] =
    [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Grey, PixelFormat::Rgb24];
const FILTERS: [Filter; 2] = [Filter::Area, Filter::Bilinear];

fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut byte = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| byte()).collect()
}

/// Weight of each input element in output element `o`, by the definitions: covered area, or distance of centres.
fn weights(length: usize, out: usize, o: usize, filter: Filter) -> Vec<f64> {
    let scale = length as f64 / out as f64;
    if out <= length && filter == Filter::Area {
        let (low, high) = (o as f64 * scale, (o + 1) as f64 * scale);
        let covered = |i: usize| (high.min(i as f64 + 1.0) - low.max(i as f64)).max(0.0);
        return (0..length).map(|i| covered(i) / scale).collect();
    }
    let centre = ((o as f64 + 0.5) * scale - 0.5).clamp(0.0, length as f64 - 1.0);
    (0..length).map(|i| (1.0 - (centre - i as f64).abs()).max(0.0)).collect()
}

/// One channel of `size`, resampled to `out`.
fn resampled(
    pixel: impl Fn(usize, usize) -> f64,
    size: [usize; 2],
    out: [usize; 2],
    filter: Filter,
) -> Vec<f64> {
    let mut result = Vec::new();
    for row in 0..out[1] {
        let down = weights(size[1], out[1], row, filter);
        for column in 0..out[0] {
            let across = weights(size[0], out[0], column, filter);
            let mut sum = 0.0;
            for (y, wy) in down.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                for (x, wx) in across.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                    sum += wy * wx * pixel(x, y);
                }
            }
            result.push(sum);
        }
    }
    result
}

/// Y, U, V, or R, G, B, or luma of a pixel.
fn components(format: PixelFormat, frame: &[u8], width: usize, x: usize, y: usize) -> [f64; 3] {
    let chroma = frame.len() / 3 * 2 + y / 2 * width + x / 2 * 2;
    let byte = |i: usize| f64::from(frame[y * width * format.pixel_bytes() + i]);
    match format {
        PixelFormat::Yuyv => [byte(2 * x), byte(x / 2 * 4 + 1), byte(x / 2 * 4 + 3)],
        PixelFormat::Nv12 => [byte(x), f64::from(frame[chroma]), f64::from(frame[chroma + 1])],
        PixelFormat::Grey => [byte(x); 3],
        PixelFormat::Rgb24 => [byte(3 * x), byte(3 * x + 1), byte(3 * x + 2)],
    }
}

/// BT.601, from its own definition.
fn rgb(format: PixelFormat, [a, b, c]: [f64; 3]) -> [f64; 3] {
    if !matches!(format, PixelFormat::Yuyv | PixelFormat::Nv12) {
        return [a, b, c];
    }
    let (kr, kb) = (0.299, 0.114);
    let luma = (a - 16.0) * 255.0 / 219.0;
    let (cb, cr) = ((b - 128.0) * 255.0 / 224.0, (c - 128.0) * 255.0 / 224.0);
    let (red, blue) = (luma + 2.0 * (1.0 - kr) * cr, luma + 2.0 * (1.0 - kb) * cb);
    let green = (luma - kr * red - kb * blue) / (1.0 - kr - kb);
    [red, green, blue].map(|v| v.clamp(0.0, 255.0))
}

fn picture(colour: Colour, fit: Fit, region: [f32; 4]) -> Picture {
    let (mean, std) = ([0.0; 4], [1.0; 4]);
    let filter = Filter::Area;
    Picture { layout: Layout::Nhwc, colour, fit, filter, fill: 9, region, mean, std }
}

const RAW: Element = Element::U8 { scale: 1.0 / 255.0, zero_point: 0 };

fn prepared(frame: FrameSpec, bytes: &[u8], picture: &Picture, target: Target) -> Vec<u8> {
    let mut preparer = Preparer::new(frame, picture, target).unwrap();
    let mut out = vec![0xCC; preparer.output_bytes()];
    preparer.prepare(bytes, frame.width * frame.format.pixel_bytes(), &mut out).unwrap();
    out
}

#[test]
fn a_stretched_frame_is_within_one_of_the_reference() {
    let shapes = [
        ("smaller", [64, 48], [32, 32]),
        ("by odd parts", [90, 70], [37, 29]),
        ("by much", [320, 242], [11, 13]),
        ("same", [16, 12], [16, 12]),
        ("larger", [10, 8], [33, 40]),
        ("wider and lower", [12, 50], [31, 9]),
        ("to one", [98, 76], [1, 1]),
        ("from two", [2, 2], [7, 5]),
    ];
    for format in FORMATS {
        for filter in FILTERS {
            for (name, size, out) in shapes {
                let off = error_of(format, filter, size, out);
                assert!(off <= 1.0, "{format:?} {filter:?} {name}: off by {off}");
            }
        }
    }
}

/// The largest difference of noise that is resampled from the arithmetic in f64.
fn error_of(format: PixelFormat, filter: Filter, size: [usize; 2], out: [usize; 2]) -> f64 {
    let [width, height] = size;
    let bytes = noise(format.frame_bytes(width, height), width as u64);
    let frame = FrameSpec { format, width, height };
    let target = Target { width: out[0], height: out[1], element: RAW };
    let chosen = picture(Colour::Rgb, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
    let given = prepared(frame, &bytes, &Picture { filter, ..chosen }, target);
    let channels = [0, 1, 2]
        .map(|c| resampled(|x, y| components(format, &bytes, width, x, y)[c], size, out, filter));
    let pixels = given.chunks(3).enumerate();
    pixels
        .flat_map(|(i, pixel)| {
            let expected = rgb(format, [0, 1, 2].map(|c| channels[c][i]));
            [0, 1, 2].map(|c| (f64::from(pixel[c]) - expected[c]).abs())
        })
        .fold(0.0, f64::max)
}

/// Every kernel gives what the scalar one gives, over random shapes.
#[test]
fn kernels_agree() {
    let kernels = Kernel::available();
    let (scalar, others) = kernels.split_last().unwrap();
    assert_eq!(scalar.name(), "scalar");
    let mut dice = noise(20_000, 4).into_iter().map(usize::from);
    let mut below = |most: usize| (dice.next().unwrap() << 8 | dice.next().unwrap()) % most;
    for _ in 0..400 {
        let format = FORMATS[below(4)];
        let widest = [20, 90, 400][below(3)];
        let (width, height) = (2 * (1 + below(widest)), 2 * (1 + below(60)));
        let element = [Element::F32, RAW, Element::I8 { scale: 0.02, zero_point: -9 }][below(3)];
        let target = Target { width: 1 + below(70), height: 1 + below(70), element };
        let eighth = |n: usize| n as f32 / 8.0;
        let [x, y] = [below(6), below(6)];
        let region = [x, y, 1 + below(8 - x), 1 + below(8 - y)].map(eighth);
        let colour = [Colour::Rgb, Colour::Bgr, Colour::Grey][below(3)];
        let fit = [Fit::Stretch, Fit::Letterbox, Fit::Crop, Fit::Corner][below(4)];
        let chosen = Picture {
            layout: [Layout::Nhwc, Layout::Nchw][below(2)],
            filter: FILTERS[below(2)],
            mean: [0.4, 0.1 * below(5) as f32, 0.6, 0.0],
            std: [0.3, 0.2, 0.25, 1.0],
            ..picture(colour, fit, region)
        };
        let frame = FrameSpec { format, width, height };
        let mut bytes = noise(format.frame_bytes(width, height), below(999) as u64);
        if below(4) == 0 {
            bytes.iter_mut().for_each(|byte| *byte = if *byte < 128 { 0 } else { 255 });
        }
        let by = |kernel: &Kernel| {
            let mut preparer = Preparer::with_kernel(frame, &chosen, target, *kernel).unwrap();
            let mut out = vec![0xCC; preparer.output_bytes()];
            preparer.prepare(&bytes, width * format.pixel_bytes(), &mut out).unwrap();
            out
        };
        let expected = by(scalar);
        for kernel in others {
            assert!(by(kernel) == expected, "{}: {frame:?} {chosen:?} {target:?}", kernel.name());
        }
    }
    let names: Vec<_> = kernels.iter().map(|kernel| kernel.name()).collect();
    println!("{names:?}");
    assert_eq!(names.len(), 1 + usize::from(vectors()), "a kernel of this processor is not tried");
}

/// Whether this processor has the instructions that a kernel was written for.
fn vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(target_arch = "aarch64")]
    return true;
    #[allow(unreachable_code, reason = "other processors have the scalar loops only")]
    false
}

#[test]
fn planes_may_lie_anywhere() {
    let (width, height) = (6, 4);
    let frame = FrameSpec { format: PixelFormat::Nv12, width, height };
    let bytes = noise(36, 8);
    let target = Target { width: 5, height: 3, element: RAW };
    let chosen = picture(Colour::Rgb, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
    let mut preparer = Preparer::new(frame, &chosen, target).unwrap();
    let (mut together, mut apart) = (vec![0; 45], vec![0; 45]);
    preparer.prepare(&bytes, width, &mut together).unwrap();
    let padded = |rows: &[u8], stride: usize| -> Vec<u8> {
        rows.chunks(6).flat_map(|row| [row, &[7, 7, 7][..stride - 6]].concat()).collect()
    };
    let (luma, chroma) = (padded(&bytes[..24], 8), padded(&bytes[24..], 9));
    let planes = [Plane { bytes: &luma, stride: 8 }, Plane { bytes: &chroma[..15], stride: 9 }];
    preparer.prepare_planes(&planes, &mut apart).unwrap();
    assert_eq!(together, apart);
    let short = [planes[0], Plane { bytes: &chroma[..14], stride: 9 }];
    for planes in [&planes[..1], &short] {
        let error = preparer.prepare_planes(planes, &mut apart).unwrap_err();
        assert!(matches!(error, ImageError::Bytes { what: "the frame", .. }), "{error}");
    }
}

#[test]
fn a_region_is_as_if_cut_out_before() {
    for format in FORMATS.into_iter().filter(|&f| f != PixelFormat::Nv12) {
        let (width, height) = (40, 30);
        let bytes = noise(format.frame_bytes(width, height), 5);
        let frame = FrameSpec { format, width, height };
        let target = Target { width: 10, height: 9, element: RAW };
        // Columns 10 to 30, rows 6 to 21.
        let region = [0.25, 0.2, 0.5, 0.5];
        let given = prepared(frame, &bytes, &picture(Colour::Rgb, Fit::Stretch, region), target);
        let step = format.pixel_bytes();
        let cut: Vec<u8> = (6..21)
            .flat_map(|y| bytes[(y * width + 10) * step..(y * width + 30) * step].to_vec())
            .collect();
        let frame = FrameSpec { format, width: 20, height: 15 };
        let whole = picture(Colour::Rgb, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(given, prepared(frame, &cut, &whole, target), "{format:?}");
    }
}

#[test]
fn a_region_may_begin_between_a_pair() {
    let (format, width, height) = (PixelFormat::Yuyv, 10, 2);
    let bytes = noise(format.frame_bytes(width, height), 6);
    let frame = FrameSpec { format, width, height };
    // Columns 3 to 8: five pixels, not resized.
    let region = [0.3, 0.0, 0.5, 1.0];
    let target = Target { width: 5, height: 2, element: RAW };
    let given = prepared(frame, &bytes, &picture(Colour::Rgb, Fit::Stretch, region), target);
    for (i, pixel) in given.chunks(3).enumerate() {
        let expected = rgb(format, components(format, &bytes, width, 3 + i % 5, i / 5));
        for c in 0..3 {
            assert!((f64::from(pixel[c]) - expected[c]).abs() <= 1.0, "pixel {i} channel {c}");
        }
    }
}

#[test]
fn letterbox_and_crop_keep_the_aspect() {
    // A white frame of 40×20.
    let frame = FrameSpec { format: PixelFormat::Grey, width: 40, height: 20 };
    let mut bytes = vec![255; 800];
    let target = Target { width: 16, height: 16, element: RAW };
    let whole = [0.0, 0.0, 1.0, 1.0];
    let boxed = prepared(frame, &bytes, &picture(Colour::Grey, Fit::Letterbox, whole), target);
    for (y, row) in boxed.chunks(16).enumerate() {
        let expected = if (4..12).contains(&y) { 255 } else { 9 };
        assert!(row.iter().all(|&v| v == expected), "row {y}");
    }
    let tall = Target { width: 16, height: 4, element: RAW };
    let boxed = prepared(frame, &bytes, &picture(Colour::Grey, Fit::Letterbox, whole), tall);
    for row in boxed.chunks(16) {
        assert!(
            row.iter().enumerate().all(|(x, &v)| v == if (4..12).contains(&x) { 255 } else { 9 })
        );
    }
    // Left and right of the middle 20×20 it is black.
    for row in bytes.chunks_mut(40) {
        row[..10].fill(0);
        row[30..].fill(0);
    }
    let cropped = prepared(frame, &bytes, &picture(Colour::Grey, Fit::Crop, whole), target);
    assert!(cropped.iter().all(|&v| v == 255));
}

#[test]
fn elements_are_normalised_and_rounded_by_the_rule() {
    let frame = FrameSpec { format: PixelFormat::Rgb24, width: 1, height: 1 };
    let mut chosen = picture(Colour::Bgr, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
    (chosen.mean, chosen.std) = ([0.1, 0.5, 0.9, 0.0], [0.5, 0.25, 2.0, 1.0]);
    let bytes = [40, 200, 255];
    let real = |c: usize| {
        let pixel = f64::from(bytes[2 - c]) / 255.0;
        (pixel - f64::from(chosen.mean[c])) / f64::from(chosen.std[c])
    };
    let at = |element| Target { width: 1, height: 1, element };
    let floats = prepared(frame, &bytes, &chosen, at(Element::F32));
    let floats: Vec<f32> = floats.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    for (c, float) in floats.iter().enumerate() {
        assert!((f64::from(*float) - real(c)).abs() < 1e-6, "channel {c}: {float}");
    }
    let element = Element::I8 { scale: 0.02, zero_point: -5 };
    let given = prepared(frame, &bytes, &chosen, at(element));
    let expected = [0, 1, 2].map(|c| {
        let steps = (real(c) / f64::from(0.02_f32)).round_ties_even() - 5.0;
        (steps.clamp(-128.0, 127.0) as i8).cast_unsigned()
    });
    assert_eq!(given, expected);
}

#[test]
fn channels_may_come_first() {
    let frame = FrameSpec { format: PixelFormat::Rgb24, width: 4, height: 3 };
    let bytes = noise(36, 1);
    let target = Target { width: 4, height: 3, element: RAW };
    let mut chosen = picture(Colour::Rgb, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
    let last = prepared(frame, &bytes, &chosen, target);
    assert_eq!(last, bytes);
    chosen.layout = Layout::Nchw;
    let first = prepared(frame, &bytes, &chosen, target);
    for (i, pixel) in last.chunks(3).enumerate() {
        assert_eq!(pixel, [first[i], first[12 + i], first[24 + i]]);
    }
}

#[test]
fn rows_may_lie_apart_and_what_is_short_is_refused() {
    let frame = FrameSpec { format: PixelFormat::Grey, width: 4, height: 3 };
    let target = Target { width: 4, height: 3, element: RAW };
    let chosen = picture(Colour::Grey, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
    let mut preparer = Preparer::new(frame, &chosen, target).unwrap();
    let bytes = noise(7 + 7 + 4, 2);
    let mut out = [0; 12];
    preparer.prepare(&bytes, 7, &mut out).unwrap();
    assert_eq!(out[4..8], bytes[7..11]);
    let cases = [
        ("frame", preparer.prepare(&bytes[1..], 7, &mut [0; 12])),
        ("stride", preparer.prepare(&bytes, 3, &mut [0; 12])),
        ("huge stride", preparer.prepare(&bytes, usize::MAX, &mut [0; 12])),
        ("output", preparer.prepare(&bytes, 7, &mut [0; 11])),
    ];
    for (name, result) in cases {
        assert!(matches!(result, Err(ImageError::Bytes { .. })), "{name}");
    }
}

#[test]
fn what_cannot_be_prepared_is_refused() {
    let whole = [0.0, 0.0, 1.0, 1.0];
    let good = picture(Colour::Rgb, Fit::Stretch, whole);
    let frame = FrameSpec { format: PixelFormat::Yuyv, width: 4, height: 4 };
    let target = Target { width: 2, height: 2, element: RAW };
    let zero = Element::I8 { scale: 0.0, zero_point: 0 };
    let nan = Picture { mean: [f32::NAN, 0.0, 0.0, 0.0], ..good.clone() };
    let cases = [
        ("odd width", FrameSpec { width: 5, ..frame }, good.clone(), target),
        ("no rows", FrameSpec { height: 0, ..frame }, good.clone(), target),
        (
            "odd height",
            FrameSpec { format: PixelFormat::Nv12, height: 3, ..frame },
            good.clone(),
            target,
        ),
        ("too wide", FrameSpec { width: 16_386, ..frame }, good.clone(), target),
        ("empty target", frame, good.clone(), Target { width: 0, ..target }),
        ("scale of zero", frame, good.clone(), Target { element: zero, ..target }),
        ("std of zero", frame, Picture { std: [1.0, 0.0, 1.0, 1.0], ..good.clone() }, target),
        ("mean that is none", frame, nan, target),
        ("region outside", frame, Picture { region: [0.5, 0.0, 0.6, 1.0], ..good }, target),
    ];
    for (name, frame, picture, target) in cases {
        assert!(Preparer::new(frame, &picture, target).is_err(), "{name}");
    }
}

#[test]
fn a_drawn_picture_is_centred_between_black_bars() {
    // White, 3×6, in 40×12: 6×12 in the middle, from column 17 on.
    let white = RgbPicture::new(3, 6, vec![255; 54]).unwrap();
    for (format, black, bright) in [
        (PixelFormat::Grey, vec![0], vec![255]),
        (PixelFormat::Rgb24, vec![0; 3], vec![255; 3]),
        (PixelFormat::Yuyv, vec![16, 128], vec![235, 128]),
    ] {
        let frame = draw_letterboxed(&white, format, 40, 12).unwrap();
        for (i, pixel) in frame.chunks(format.pixel_bytes()).enumerate() {
            let inside = (17..23).contains(&(i % 40));
            assert_eq!(pixel, if inside { &bright[..] } else { &black[..] }, "{format:?} {i}");
        }
    }
}

#[test]
fn a_drawn_picture_comes_back() {
    // Smooth, so that sharing chroma loses little: drawn 4 times as large, then prepared at its own size.
    let (width, height) = (24, 16);
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|i| {
            let (x, y) = (i % width, i / width);
            [60 + 4 * x, 200 - 6 * y, 100 + 2 * x + y].map(|v| v as u8)
        })
        .collect();
    let original = RgbPicture::new(width, height, pixels).unwrap();
    for format in [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Rgb24] {
        let frame = FrameSpec { format, width: 4 * width, height: 4 * height };
        let bytes = draw_letterboxed(&original, format, frame.width, frame.height).unwrap();
        let target = Target { width, height, element: RAW };
        let whole = picture(Colour::Rgb, Fit::Stretch, [0.0, 0.0, 1.0, 1.0]);
        let back = prepared(frame, &bytes, &whole, target);
        for (i, (a, b)) in original.pixels().iter().zip(&back).enumerate() {
            assert!(a.abs_diff(*b) <= 4, "{format:?}, byte {i}: {a} became {b}");
        }
    }
}

#[test]
fn frames_that_cannot_be_drawn_are_refused() {
    let dot = RgbPicture::new(1, 1, vec![1, 2, 3]).unwrap();
    let odd = draw_letterboxed(&dot, PixelFormat::Yuyv, 3, 2).unwrap_err();
    assert!(matches!(odd, ImageError::OddWidth(3)), "{odd}");
    assert!(draw_letterboxed(&dot, PixelFormat::Grey, 0, 2).is_err());
    let short = draw_letterboxed_into(&dot, PixelFormat::Grey, 2, 2, &mut [0; 3]).unwrap_err();
    assert_eq!(short.to_string(), "the frame to draw into has 3 bytes, 4 are needed");
    assert!(RgbPicture::new(2, 2, vec![0; 11]).is_err());
}

#[test]
fn a_jpeg_is_decoded_within_its_limits() {
    let bytes = include_bytes!("../../../tests/golden/lights.jpg");
    let lights = decode_jpeg(bytes, Limits::default()).unwrap();
    assert_eq!((lights.width(), lights.height()), (53, 71));
    // The middles of the three lamps.
    let at = |x: usize, y: usize| &lights.pixels()[(y * 53 + x) * 3..][..3];
    for (y, colour) in [(15, [230, 30, 20]), (36, [240, 200, 30]), (57, [20, 220, 90])] {
        let near = at(26, y).iter().zip(&colour).all(|(a, b): (&u8, &u8)| a.abs_diff(*b) < 20);
        assert!(near, "{:?} at row {y}", at(26, y));
    }
    let mut into = vec![0; 53 * 71 * 3];
    decode_jpeg_into(bytes, [53, 71], &mut into).unwrap();
    assert_eq!(into, lights.pixels());
    let error = decode_jpeg_into(bytes, [71, 53], &mut into).unwrap_err();
    assert!(error.to_string().contains("it is 53×71 pixels, not 71×53"), "{error}");
    let error = decode_jpeg_into(bytes, [53, 71], &mut into[1..]).unwrap_err();
    assert!(matches!(error, ImageError::Bytes { .. }), "{error}");
    let most = Limits { file_bytes: bytes.len(), side: 71, pixels: 53 * 71 };
    decode_jpeg(bytes, most).unwrap();
    for (name, limits) in [
        ("bytes", Limits { file_bytes: bytes.len() - 1, ..most }),
        ("side", Limits { side: 70, ..most }),
        ("pixels", Limits { pixels: 53 * 71 - 1, ..most }),
    ] {
        let error = decode_jpeg(bytes, limits).unwrap_err();
        assert!(matches!(error, ImageError::Jpeg(_)), "{name}: {error}");
    }
}

/// Files that were damaged anywhere give a picture or an error, and messages stay short.
#[test]
fn a_damaged_jpeg_never_panics() {
    let bytes = include_bytes!("../../../tests/golden/lights.jpg");
    let places = noise(6000, 3);
    for triple in places.chunks_exact(3) {
        let mut damaged = bytes.to_vec();
        let at = (usize::from(triple[0]) << 8 | usize::from(triple[1])) % damaged.len();
        damaged[at] = triple[2];
        if let Err(error) = decode_jpeg(&damaged, Limits::default()) {
            assert!(error.to_string().len() < 400, "{error}");
        }
        let _ = decode_jpeg(&bytes[..at], Limits::default());
    }
}
