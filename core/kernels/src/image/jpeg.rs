//! JPEG files (ITU-T T.81), by zune-jpeg.
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};

use super::{ImageError, MAX_SIDE, RgbPicture};

/// What a picture file may ask for at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: usize,
    /// Pixels of the longest side; at most [`MAX_SIDE`].
    pub side: usize,
    /// Pixels in all; memory taken is a few times three bytes of each.
    pub pixels: usize,
}

impl Default for Limits {
    /// 32 MiB of file, 64 million pixels.
    fn default() -> Self {
        Self { file_bytes: 32 << 20, side: MAX_SIDE, pixels: 64_000_000 }
    }
}

/// Decodes a JPEG to R G B. The same file gives the same bytes on every machine: the decoder is built without
/// its per-architecture loops.
///
/// # Errors
/// [`ImageError::Jpeg`] if the file is damaged or beyond `limits`.
pub fn decode_jpeg(bytes: &[u8], limits: Limits) -> Result<RgbPicture, ImageError> {
    let (mut decoder, [width, height]) = opened(bytes, limits)?;
    RgbPicture::new(width, height, decoder.decode().map_err(|e| refused(&e))?)
}

/// As [`decode_jpeg`], of a file that must be `width` × `height` pixels, into `out`, which has three bytes for each.
/// The decoder still allocates its tables and a few rows of coefficients, and frees them.
///
/// # Errors
/// As there; also if the size is another one, or `out` is not as large as that.
pub fn decode_jpeg_into(
    bytes: &[u8],
    [width, height]: [usize; 2],
    out: &mut [u8],
) -> Result<(), ImageError> {
    let needed = width * height * 3;
    if out.len() != needed {
        return Err(ImageError::Bytes { what: "a picture", given: out.len(), needed });
    }
    let limits = Limits { side: width.max(height), pixels: width * height, ..Limits::default() };
    let (mut decoder, size) = opened(bytes, limits)?;
    if size != [width, height] {
        let [w, h] = size;
        return Err(ImageError::Jpeg(format!("it is {w}×{h} pixels, not {width}×{height}")));
    }
    decoder.decode_into(out).map_err(|e| refused(&e))
}

type Decoder<'b> = JpegDecoder<ZCursor<&'b [u8]>>;

/// With its headers read and its size checked.
fn opened(bytes: &[u8], limits: Limits) -> Result<(Decoder<'_>, [usize; 2]), ImageError> {
    if bytes.len() > limits.file_bytes {
        let (given, most) = (bytes.len(), limits.file_bytes);
        return Err(ImageError::Jpeg(format!("it has {given} bytes, at most {most} are read")));
    }
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_strict_mode(true)
        .set_max_width(limits.side.min(MAX_SIDE))
        .set_max_height(limits.side.min(MAX_SIDE))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| refused(&e))?;
    let Some((width, height)) = decoder.dimensions() else {
        return Err(ImageError::Jpeg("it states no size".into()));
    };
    if width * height > limits.pixels {
        let most = limits.pixels;
        return Err(ImageError::Jpeg(format!(
            "it has {width}×{height} pixels, at most {most} are read"
        )));
    }
    Ok((decoder, [width, height]))
}

/// The decoder's own words, bounded and with what is not printable taken out.
fn refused(error: &dyn std::fmt::Debug) -> ImageError {
    let text = format!("{error:?}");
    ImageError::Jpeg(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_refused() {
        let cases: [(&str, &[u8]); 4] = [
            ("empty", b""),
            ("not a JPEG", b"\x89PNG\r\n\x1a\n\0\0\0\0"),
            ("marker only", b"\xff\xd8"),
            ("cut after APP0", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        ];
        for (name, bytes) in cases {
            assert!(decode_jpeg(bytes, Limits::default()).is_err(), "{name}");
        }
    }
}
