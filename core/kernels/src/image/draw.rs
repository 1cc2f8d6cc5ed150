//! Draws a picture as a camera would have delivered it.
use super::kernel::{Conversion, Kernel};
use super::resample::{Plane, Resampler, Samples, padded};
use super::{Filter, ImageError, PixelFormat, Rect, RgbPicture, check_frame, colour};

/// A frame of `format` with `picture` in it: aspect kept, centred, the rest black.
///
/// # Errors
/// [`ImageError::Size`], [`ImageError::OddWidth`] or [`ImageError::OddHeight`] if there is no such frame.
pub fn draw_letterboxed(
    picture: &RgbPicture,
    format: PixelFormat,
    width: usize,
    height: usize,
) -> Result<Vec<u8>, ImageError> {
    check_frame(format, width, height)?;
    let mut frame = vec![0; format.frame_bytes(width, height)];
    draw_letterboxed_into(picture, format, width, height, &mut frame)?;
    Ok(frame)
}

/// As [`draw_letterboxed`], into the first bytes of `frame`, rows without padding between them.
///
/// # Errors
/// As there, and [`ImageError::Bytes`] if `frame` is too small.
pub fn draw_letterboxed_into(
    picture: &RgbPicture,
    format: PixelFormat,
    width: usize,
    height: usize,
    frame: &mut [u8],
) -> Result<(), ImageError> {
    check_frame(format, width, height)?;
    let needed = format.frame_bytes(width, height);
    let given = frame.len();
    let Some(frame) = frame.get_mut(..needed) else {
        return Err(ImageError::Bytes { what: "the frame to draw into", given, needed });
    };
    let mut drawing = Drawing::new(picture, width, height);
    let (first, second) = frame.split_at_mut(width * height * format.pixel_bytes());
    for (y, out) in first.chunks_exact_mut(width * format.pixel_bytes()).enumerate() {
        encode_row(drawing.row(y), format, out);
    }
    for (y, out) in second.chunks_exact_mut(width).enumerate() {
        let above = drawing.row(2 * y).to_vec();
        encode_chroma(&above, drawing.row(2 * y + 1), out);
    }
    Ok(())
}

/// The picture at the frame's size, row by row.
struct Drawing<'p> {
    picture: &'p RgbPicture,
    inner: Rect,
    resampler: Resampler,
    components: Vec<u16>,
    bytes: Vec<u8>,
    pixels: Vec<[u8; 3]>,
}

impl<'p> Drawing<'p> {
    fn new(picture: &'p RgbPicture, width: usize, height: usize) -> Self {
        let whole = Rect::whole(picture.width(), picture.height());
        let inner = Rect::whole(width, height).inscribed(whole.width, whole.height);
        let size = [inner.width, inner.height];
        Self {
            picture,
            inner,
            resampler: Resampler::new(Samples::Rgb, whole, size, Filter::Area, Kernel::best()),
            components: vec![0; 3 * padded(inner.width)],
            bytes: vec![0; 3 * padded(inner.width)],
            pixels: vec![[0; 3]; width],
        }
    }

    fn row(&mut self, y: usize) -> &[[u8; 3]] {
        let Rect { x, width, .. } = self.inner;
        if !(self.inner.y..self.inner.y + self.inner.height).contains(&y) {
            self.pixels.fill([0; 3]);
            return &self.pixels;
        }
        let plane = Plane { bytes: self.picture.pixels(), stride: self.picture.width() * 3 };
        self.resampler.row(plane, y - self.inner.y, &mut self.components);
        let kernel = Kernel::best();
        kernel.convert(Conversion::Whole, &self.components, &mut self.bytes);
        let pitch = padded(width);
        let planes = [0, 1, 2].map(|c| &self.bytes[c * pitch..][..pitch]);
        kernel.interleave(planes, self.pixels[x..x + width].as_flattened_mut());
        &self.pixels
    }
}

/// A row of the first plane.
fn encode_row(pixels: &[[u8; 3]], format: PixelFormat, out: &mut [u8]) {
    match format {
        PixelFormat::Yuyv => {
            let pairs = pixels.as_chunks::<2>().0;
            for (pair, out) in pairs.iter().zip(out.as_chunks_mut::<4>().0) {
                let [u, v] = colour::uv_of(pair.iter().copied(), 1);
                *out = [colour::y_of(pair[0]), u, colour::y_of(pair[1]), v];
            }
        }
        PixelFormat::Nv12 => {
            pixels.iter().zip(out).for_each(|(pixel, out)| *out = colour::y_of(*pixel));
        }
        PixelFormat::Grey => {
            pixels.iter().zip(out).for_each(|(pixel, out)| *out = colour::luma(*pixel));
        }
        PixelFormat::Rgb24 => out.copy_from_slice(pixels.as_flattened()),
    }
}

/// U V of two rows.
fn encode_chroma(above: &[[u8; 3]], below: &[[u8; 3]], out: &mut [u8]) {
    let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
    for ((above, below), out) in pairs.zip(out.as_chunks_mut::<2>().0) {
        *out = colour::uv_of(above.iter().chain(below).copied(), 2);
    }
}
