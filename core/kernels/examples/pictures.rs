//! Microseconds from a frame of 640×480 to a tensor, a line of JSON for each case.
//!
//!     cargo run --release -p edgemill-kernels --example pictures
use std::error::Error;
use std::time::{Duration, Instant};

use edgemill_kernels::image::{
    Colour, Element, Filter, Fit, FrameSpec, Kernel, Layout, Picture, PixelFormat, Preparer, Target,
};

fn main() -> Result<(), Box<dyn Error>> {
    for format in [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Grey, PixelFormat::Rgb24] {
        for filter in [Filter::Bilinear, Filter::Area] {
            for side in [32, 96, 224] {
                for layout in [Layout::Nhwc, Layout::Nchw] {
                    measure(format, filter, side, layout)?;
                }
            }
        }
    }
    Ok(())
}

/// One line: int8 with the channels last, f32 with the channels first, as their usual users want them.
fn measure(
    format: PixelFormat,
    filter: Filter,
    side: usize,
    layout: Layout,
) -> Result<(), Box<dyn Error>> {
    let picture = Picture {
        layout,
        colour: Colour::Rgb,
        fit: Fit::Stretch,
        filter,
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    let (element, name) = match layout {
        Layout::Nhwc => (Element::I8 { scale: 1.0 / 255.0, zero_point: -128 }, "int8_nhwc"),
        Layout::Nchw => (Element::F32, "f32_nchw"),
    };
    let target = Target { width: side, height: side, element };
    let frame = FrameSpec { format, width: 640, height: 480 };
    let (median, least) = time(Preparer::new(frame, &picture, target)?, frame)?;
    let filter = format!("{filter:?}").to_lowercase();
    println!(
        "{{\"engine\": \"edgemill\", \"format\": \"{format:?}\", \"size\": {side}, \"resize\": \"{filter}\", \
         \"output\": \"{name}\", \"min_us\": {least:.2}, \"median_us\": {median:.2}, \"kernel\": \"{}\"}}",
        Kernel::best().name()
    );
    Ok(())
}

/// Median and least time of a frame, over half a second.
fn time(mut preparer: Preparer, frame: FrameSpec) -> Result<(f64, f64), Box<dyn Error>> {
    let count = frame.format.frame_bytes(frame.width, frame.height);
    let bytes: Vec<u8> = (0..count).map(|i| (i * 37 % 251).to_le_bytes()[0]).collect();
    let mut out = vec![0; preparer.output_bytes()];
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_millis(200) {
        let before = Instant::now();
        preparer.prepare(&bytes, frame.width * frame.format.pixel_bytes(), &mut out)?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let microseconds = |t: Duration| t.as_secs_f64() * 1e6;
    Ok((microseconds(times[times.len() / 2]), microseconds(times[0])))
}
