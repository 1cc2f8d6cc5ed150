//! Microseconds from a frame of 640×480 to a tensor.
//!
//!     cargo run --release -p edgemill-kernels --example bench
use std::error::Error;
use std::time::{Duration, Instant};

use edgemill_kernels::image::{
    Colour, Element, Fit, FrameSpec, Layout, Picture, PixelFormat, Preparer, Target,
};

fn main() -> Result<(), Box<dyn Error>> {
    let picture = Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: Fit::Stretch,
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    for format in [PixelFormat::Yuyv, PixelFormat::Grey, PixelFormat::Rgb24] {
        for side in [32, 96, 224] {
            let element = Element::I8 { scale: 1.0 / 255.0, zero_point: -128 };
            let target = Target { width: side, height: side, element };
            let frame = FrameSpec { format, width: 640, height: 480 };
            let (median, least) = time(Preparer::new(frame, &picture, target)?, frame)?;
            println!("{format:?} to {side}: median {median:8.2} µs, least {least:8.2} µs");
        }
    }
    Ok(())
}

/// Median and least time of a frame, over half a second.
fn time(mut preparer: Preparer, frame: FrameSpec) -> Result<(f64, f64), Box<dyn Error>> {
    let bytes = vec![77; frame.format.frame_bytes(frame.width, frame.height)];
    let mut out = vec![0; preparer.output_bytes()];
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < Duration::from_millis(500) {
        let before = Instant::now();
        preparer.prepare(&bytes, frame.width * frame.format.pixel_bytes(), &mut out)?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let microseconds = |t: Duration| t.as_secs_f64() * 1e6;
    Ok((microseconds(times[times.len() / 2]), microseconds(times[0])))
}
