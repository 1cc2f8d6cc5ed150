//! Draws a picture as a camera would have delivered it.
use super::resample::{Resampler, Wanted};
use super::{ImageError, PixelFormat, Rect, RgbPicture, check_frame, colour};

/// A frame of `format` with `picture` in it: aspect kept, centred, the rest black.
///
/// # Errors
/// [`ImageError::Size`] or [`ImageError::OddWidth`] if there is no such frame.
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
    let (source_width, source_height) = (picture.width(), picture.height());
    let inner = Rect::whole(width, height).inscribed(source_width, source_height);
    let whole = Rect::whole(source_width, source_height);
    let mut resampler =
        Resampler::new(PixelFormat::Rgb24, Wanted::All, whole, inner.width, inner.height);
    let mut row = vec![0; inner.width * 3];
    let mut pixels = vec![[0; 3]; width];
    let black = encoded_row(&pixels, format);
    for (y, out) in frame.chunks_exact_mut(width * format.pixel_bytes()).enumerate() {
        if !(inner.y..inner.y + inner.height).contains(&y) {
            out.copy_from_slice(&black);
            continue;
        }
        resampler.row(picture.pixels(), source_width * 3, y - inner.y, &mut row);
        for (pixel, value) in pixels[inner.x..].iter_mut().zip(row.as_chunks::<3>().0) {
            *pixel = value.map(colour::whole);
        }
        encode_row(&pixels, format, out);
    }
    Ok(())
}

fn encoded_row(pixels: &[[u8; 3]], format: PixelFormat) -> Vec<u8> {
    let mut out = vec![0; pixels.len() * format.pixel_bytes()];
    encode_row(pixels, format, &mut out);
    out
}

fn encode_row(pixels: &[[u8; 3]], format: PixelFormat, out: &mut [u8]) {
    match format {
        PixelFormat::Yuyv => {
            let pairs = pixels.as_chunks::<2>().0;
            for (&[left, right], out) in pairs.iter().zip(out.as_chunks_mut::<4>().0) {
                let [u, v] = colour::uv_of(left, right);
                *out = [colour::y_of(left), u, colour::y_of(right), v];
            }
        }
        PixelFormat::Grey => {
            for (pixel, out) in pixels.iter().zip(out) {
                *out = colour::luma(*pixel);
            }
        }
        PixelFormat::Rgb24 => out.copy_from_slice(pixels.as_flattened()),
    }
}
