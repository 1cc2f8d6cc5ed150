//! A test picture that needs no device: colour bars, or a gradient that moves, with the frame's number in it.
use edgemill_kernels::image::{ImageError, RgbPicture, draw_letterboxed};

use crate::params::{Checked, Kind, Param};
use crate::picture::{self, Picture};
use crate::play::Frames;
use crate::replay::ReplayError;

/// What the source takes.
pub(crate) const PARAMS: &[Param] = &[
    picture::width(64),
    picture::HEIGHT,
    picture::IN_ROWS,
    Param {
        name: "pattern",
        unit: "",
        help: "Colour bars that stand still, or a gradient that moves by a pixel pair a frame.",
        kind: Kind::Choice { words: &["bars", "gradient"], fallback: Some("bars") },
    },
    Param {
        name: "rate-hz",
        unit: "Hz",
        help: "Frames a second; 0 for as fast as they are taken.",
        kind: Kind::Float { least: 0.0, most: 10_000.0, fallback: Some(30.0) },
    },
    Param {
        name: "frames",
        unit: "",
        help: "How many frames there are; 0 for no end.",
        kind: Kind::Int { least: 0, most: u32::MAX as i64, fallback: Some(0) },
    },
];

/// Rows at the top that hold the frame's number.
const STRIP_ROWS: usize = 8;
/// Bits of the number, one cell each, the highest first.
const CELLS: usize = 64;

/// White, yellow, cyan, green, magenta, red, blue, black at 75 % (SMPTE EG 1's bars, with black for the eighth).
const BARS: [[u8; 3]; 8] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
    [0, 0, 0],
];

/// Rows drawn once, from which every frame is put together by copying.
pub(crate) struct Pattern {
    count: u64,
    row: Vec<u8>,
    black: Vec<u8>,
    white: Vec<u8>,
    pixel_bytes: usize,
    /// Pixels by which each frame is shifted against the one before it.
    step: usize,
}

impl Pattern {
    pub(crate) fn new(picture: &Picture, params: &Checked) -> Result<Self, ImageError> {
        let width = picture.width as usize;
        let gradient = params.text("pattern") == "gradient";
        let colour = |x: usize| match gradient {
            true => ramp(x, width),
            false => BARS[x * BARS.len() / width],
        };
        let count = match params.int("frames") {
            0 => u64::MAX,
            frames => frames.into(),
        };
        Ok(Self {
            count,
            row: row(picture, colour)?,
            black: row(picture, |_| [0; 3])?,
            white: row(picture, |_| [255; 3])?,
            pixel_bytes: picture.pixels().pixel_bytes(),
            step: if gradient { 2 } else { 0 },
        })
    }

    /// Draws frame `number` into `frame`, which has the picture's bytes.
    pub(crate) fn draw(&self, number: u64, frame: &mut [u8]) {
        let pixels = self.row.len() / self.pixel_bytes;
        let shift = usize::try_from(number % pixels as u64).unwrap_or(0) * self.step % pixels;
        let (end, start) = self.row.split_at(shift * self.pixel_bytes);
        for (y, out) in frame.chunks_exact_mut(self.row.len()).enumerate() {
            if y < STRIP_ROWS {
                self.draw_number(number, out);
            } else {
                out[..start.len()].copy_from_slice(start);
                out[start.len()..].copy_from_slice(end);
            }
        }
    }

    fn draw_number(&self, number: u64, out: &mut [u8]) {
        out.copy_from_slice(&self.black);
        for cell in (0..CELLS).filter(|cell| number >> (CELLS - 1 - cell) & 1 == 1) {
            let bytes = cell_bytes(cell, out.len() / self.pixel_bytes, self.pixel_bytes);
            out[bytes.clone()].copy_from_slice(&self.white[bytes]);
        }
    }
}

impl Frames for Pattern {
    fn count(&self) -> u64 {
        self.count
    }

    fn fill(&mut self, index: u64, out: &mut [u8]) -> Result<(), ReplayError> {
        self.draw(index, out);
        Ok(())
    }
}

/// Up and down again, so that the row joins itself when it is shifted.
fn ramp(x: usize, width: usize) -> [u8; 3] {
    let there = 510 * x / width;
    let level = u8::try_from(there.min(510 - there)).unwrap_or(u8::MAX);
    [level, 255 - level, 128]
}

fn row(picture: &Picture, colour: impl Fn(usize) -> [u8; 3]) -> Result<Vec<u8>, ImageError> {
    let width = picture.width as usize;
    let pixels = (0..width).flat_map(colour).collect();
    draw_letterboxed(&RgbPicture::new(width, 1, pixels)?, picture.pixels(), width, 1)
}

/// The bytes of one cell in a row `width` pixels wide.
fn cell_bytes(cell: usize, width: usize, pixel_bytes: usize) -> std::ops::Range<usize> {
    cell * width / CELLS * pixel_bytes..(cell + 1) * width / CELLS * pixel_bytes
}

/// The number in a frame that the pattern drew, read back from its first row: for whoever tests what comes out of a
/// pipeline. `row` is `width` pixels of YUYV, GREY or RGB24; `None` if it is not a row of that many pixels.
#[must_use]
pub fn read_number(row: &[u8], width: usize) -> Option<u64> {
    let pixel_bytes = (1..=3).find(|bytes| bytes * width == row.len() && width >= CELLS)?;
    let bit = |cell| u64::from(row[cell_bytes(cell, width, pixel_bytes).start] >= 128);
    Some((0..CELLS).fold(0, |number, cell| number << 1 | bit(cell)))
}

#[cfg(test)]
mod tests {
    use super::{BARS, PARAMS, Pattern, read_number};
    use crate::params::{Checked, Params, Value};
    use crate::picture::Picture;

    fn pattern(pairs: &[(&str, Value)]) -> (Picture, Pattern) {
        let given: Params = pairs.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        let params = Checked::new("pattern", PARAMS, &given).unwrap();
        let picture = Picture::new(&params).unwrap();
        (picture, Pattern::new(&picture, &params).unwrap())
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn a_frame_s_number_is_read_back_in_every_format_and_width() {
        for format in ["YUYV", "GREY", "RGB24"] {
            for width in [64, 130, 640] {
                let (picture, pattern) =
                    pattern(&[("format", text(format)), ("width", Value::Int(width))]);
                let mut frame = vec![0; picture.bytes()];
                for number in [0, 1, 2, 0x8000_0000_0000_0001, u64::MAX, 123_456_789] {
                    pattern.draw(number, &mut frame);
                    let row = &frame[..picture.stride() as usize];
                    assert_eq!(read_number(row, picture.width as usize), Some(number), "{format}");
                }
            }
        }
        assert_eq!(read_number(&[0; 100], 99), None);
    }

    #[test]
    fn bars_stand_still_in_their_colours() {
        let (picture, pattern) = pattern(&[("format", text("RGB24"))]);
        let mut frames = [vec![1; picture.bytes()], vec![2; picture.bytes()]];
        for (number, frame) in frames.iter_mut().enumerate() {
            pattern.draw(number as u64, frame);
        }
        let below = 8 * picture.stride() as usize;
        assert_eq!(frames[0][below..], frames[1][below..]);
        for (bar, colour) in BARS.iter().enumerate() {
            let at = frames[0].len() - picture.stride() as usize + (bar * 80 + 40) * 3;
            assert_eq!(frames[0][at..at + 3], *colour);
        }
    }

    #[test]
    fn the_gradient_moves_by_two_pixels_a_frame() {
        let (picture, pattern) =
            pattern(&[("format", text("YUYV")), ("pattern", text("gradient"))]);
        let (mut now, mut next) = (vec![0; picture.bytes()], vec![0; picture.bytes()]);
        pattern.draw(318, &mut now);
        pattern.draw(319, &mut next);
        let row = picture.stride() as usize;
        let (now, next) = (&now[row * 9..row * 10], &next[row * 9..row * 10]);
        assert_eq!(now[4..], next[..row - 4]);
        assert_eq!(now[..4], next[row - 4..]);
        assert_ne!(now, next);
    }
}
