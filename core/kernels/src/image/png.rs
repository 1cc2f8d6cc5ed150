//! PNG files (ISO/IEC 15948), by the crate of that name.
use std::io::Cursor;

use ::png::{BitDepth, ColorType, Decoder, Encoder, Transformations};

use super::{ImageError, Limits, RgbPicture};

/// What a file begins with.
pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Decodes a PNG to R G B of 8 bits; how transparent a pixel is is not looked at.
pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<RgbPicture, ImageError> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(refused)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    limits.check(width, height)?;
    let mut pixels = vec![0; width * height * 4];
    let frame = reader.next_frame(&mut pixels).map_err(refused)?;
    pixels.truncate(frame.buffer_size());
    let rgb = match frame.color_type {
        ColorType::Rgb => pixels,
        ColorType::Rgba => {
            pixels.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect()
        }
        ColorType::GrayscaleAlpha => {
            pixels.as_chunks::<2>().0.iter().flat_map(|p| [p[0]; 3]).collect()
        }
        _ => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
    };
    RgbPicture::new(width, height, rgb)
}

/// The picture as a PNG file.
///
/// # Errors
/// [`ImageError::File`], which a picture that exists does not give rise to.
pub fn encode_png(picture: &RgbPicture) -> Result<Vec<u8>, ImageError> {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, side(picture.width()), side(picture.height()));
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(picture.pixels())?;
        writer.finish()
    });
    written.map_err(refused)?;
    Ok(file)
}

fn refused(error: impl std::fmt::Display) -> ImageError {
    let text = error.to_string();
    ImageError::File(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused() {
        let pixels: Vec<u8> = (0..5 * 3 * 3).map(|byte| byte * 5).collect();
        let picture = RgbPicture::new(5, 3, pixels).expect("a picture");
        let file = encode_png(&picture).expect("written");
        assert_eq!(decode(&file, Limits::default()).expect("read"), picture);
        let small = Limits { pixels: 14, ..Limits::default() };
        assert!(decode(&file, small).is_err());
        for length in 0..file.len() - 12 {
            assert!(decode(&file[..length], Limits::default()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn every_kind_of_pixel_becomes_three_bytes() {
        let cases = [
            (ColorType::Grayscale, BitDepth::One, vec![0b1000_0000], [255, 255, 255, 0, 0, 0]),
            (ColorType::GrayscaleAlpha, BitDepth::Eight, vec![9, 0, 8, 255], [9, 9, 9, 8, 8, 8]),
            (ColorType::Rgba, BitDepth::Eight, vec![1, 2, 3, 9, 4, 5, 6, 9], [1, 2, 3, 4, 5, 6]),
            (
                ColorType::Rgb,
                BitDepth::Sixteen,
                vec![1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0],
                [1, 2, 3, 4, 5, 6],
            ),
        ];
        for (colour, depth, data, expected) in cases {
            let mut file = Vec::new();
            let mut encoder = Encoder::new(&mut file, 2, 1);
            encoder.set_color(colour);
            encoder.set_depth(depth);
            encoder.write_header().unwrap().write_image_data(&data).unwrap();
            let picture = decode(&file, Limits::default()).expect("good");
            assert_eq!(picture.pixels(), expected, "{colour:?}");
        }
    }
}
