//! A frame that a camera sent: a JPEG, which is decoded within its limits; and the same bytes taken as pixels of NV12, of any size, in
//! two planes. All kernels make the same tensor of them.
#![no_main]

use edgemill_kernels::image::{
    Colour, Element, Filter, Fit, FrameSpec, Kernel, Layout, Limits, Picture, PixelFormat, Plane,
    Preparer, Target, decode_jpeg,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { file_bytes: 1 << 20, side: 4096, pixels: 1 << 20 };
    if let Err(error) = decode_jpeg(bytes, limits) {
        assert!(error.to_string().len() < 400, "{error}");
    }
    let Some((&[width, height, split, filter, side], pixels)) = bytes.split_first_chunk() else {
        return;
    };
    let frame = FrameSpec {
        format: PixelFormat::Nv12,
        width: width.into(),
        height: height.into(),
    };
    let picture = Picture {
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        fit: Fit::Letterbox,
        filter: if filter % 2 == 0 { Filter::Area } else { Filter::Bilinear },
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    let (side, element) = (usize::from(side), Element::F32);
    let target = Target { width: side, height: side, element };
    let (luma, chroma) = pixels.split_at(pixels.len() * usize::from(split) / 255);
    let planes = [luma, chroma].map(|bytes| Plane { bytes, stride: width.into() });
    let by = |kernel| {
        let mut preparer = Preparer::with_kernel(frame, &picture, target, kernel).ok()?;
        let mut tensor = vec![0; preparer.output_bytes()];
        preparer.prepare_planes(&planes, &mut tensor).ok().map(|()| tensor)
    };
    let tensors: Vec<_> = Kernel::available().into_iter().map(by).collect();
    assert!(tensors.windows(2).all(|pair| pair[0] == pair[1]));
});
