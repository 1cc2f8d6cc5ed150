//! Windows bitmaps, uncompressed, of 24 or 32 bits a pixel.
use super::{ImageError, Limits, RgbPicture};

/// What a file begins with.
pub(super) const MAGIC: &[u8] = b"BM";

/// The part of the header that says how pixels lie.
struct Header {
    start: usize,
    width: usize,
    height: usize,
    /// Whether the last row stands first.
    upwards: bool,
    pixel_bytes: usize,
}

/// Decodes a bitmap to R G B; the fourth byte of a pixel is not looked at.
pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<RgbPicture, ImageError> {
    let header = Header::read(bytes)?;
    limits.check(header.width, header.height)?;
    let stride = (header.width * header.pixel_bytes).next_multiple_of(4);
    let rows = bytes.get(header.start..).and_then(|rest| rest.get(..stride * header.height));
    let rows = rows.ok_or_else(|| refused("is cut off"))?;
    let mut pixels = Vec::with_capacity(header.width * header.height * 3);
    for y in 0..header.height {
        let y = if header.upwards { header.height - 1 - y } else { y };
        let row = rows[y * stride..].chunks_exact(header.pixel_bytes).take(header.width);
        pixels.extend(row.flat_map(|bgr| [bgr[2], bgr[1], bgr[0]]));
    }
    RgbPicture::new(header.width, header.height, pixels)
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let number = |at: usize| {
            let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
            four.map(|four| u32::from_le_bytes(*four)).ok_or_else(|| refused("is cut off"))
        };
        let height = number(22)?.cast_signed();
        let pixel_bytes = match (number(28)? & 0xffff, number(30)?) {
            (24, 0) => 3,
            (32, 0 | 3) => 4,
            _ => return Err(refused("is not of 24 or 32 bits a pixel without compression")),
        };
        Ok(Self {
            start: number(10)? as usize,
            width: number(18)? as usize,
            height: height.unsigned_abs() as usize,
            upwards: height > 0,
            pixel_bytes,
        })
    }
}

fn refused(what: &str) -> ImageError {
    ImageError::File(format!("the bitmap {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pixels above two: red, green, blue, white.
    fn bitmap(height: i32, bits: u16) -> Vec<u8> {
        let mut file = b"BM".to_vec();
        file.resize(54, 0);
        file[10] = 54;
        file[18] = 2;
        file[22..26].copy_from_slice(&height.to_le_bytes());
        file[28..30].copy_from_slice(&bits.to_le_bytes());
        let rows = [[[0, 0, 255_u8], [0, 255, 0]], [[255, 0, 0], [255, 255, 255]]];
        let order = if height > 0 { [1, 0] } else { [0, 1] };
        for row in order.map(|row| rows[row]) {
            let start = file.len();
            for bgr in row {
                file.extend(bgr);
                file.extend(vec![7; usize::from(bits / 8).saturating_sub(3)]);
            }
            file.resize(start + (file.len() - start).next_multiple_of(4), 0);
        }
        file
    }

    #[test]
    fn rows_go_up_or_down_in_three_bytes_or_four() {
        let expected = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
        for (height, bits) in [(2, 24), (-2, 24), (2, 32), (-2, 32)] {
            let file = bitmap(height, bits);
            let picture = decode(&file, Limits::default()).expect("good");
            assert_eq!(picture.pixels(), expected, "{height}, {bits}");
            for length in 0..file.len() {
                assert!(decode(&file[..length], Limits::default()).is_err(), "{length} bytes");
            }
        }
        assert!(decode(&bitmap(2, 8), Limits::default()).is_err());
        let mut wide = bitmap(2, 24);
        wide[18..22].fill(0x7f);
        assert!(decode(&wide, Limits::default()).is_err());
    }
}
