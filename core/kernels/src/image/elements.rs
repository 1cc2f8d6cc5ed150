//! From bytes of colours to the elements of a tensor.
use std::ops::Range;

use super::ImageError;
use super::kernel::{Affine, Kernel, PATTERN};
use super::prepare::{Element, Layout, Picture, Target};

/// Writes rows of one tensor.
pub(super) struct Elements {
    layout: Layout,
    width: usize,
    height: usize,
    channels: usize,
    /// Bytes of an element.
    size: usize,
    /// How bytes become elements: of all channels in turn, or of each channel.
    rules: Vec<Rule>,
    /// Elements of a row that the frame leaves empty, for each rule.
    empty: Vec<Vec<u8>>,
    kernel: Kernel,
}

enum Rule {
    /// Byte + this, modulo 256: the usual one of int8 networks.
    Shift(u8),
    /// An element for each byte, of each channel in turn.
    Tables(Vec<[u8; 256]>),
    Real(Box<Affine>),
}

impl Elements {
    pub fn new(picture: &Picture, target: Target, kernel: Kernel) -> Result<Self, ImageError> {
        let channels = picture.colour.channels();
        let groups: Vec<Range<usize>> = match picture.layout {
            Layout::Nhwc => std::iter::once(0..channels).collect(),
            Layout::Nchw => (0..channels).map(|c| c..c + 1).collect(),
        };
        let rules = groups.iter().map(|group| Rule::new(picture, group.clone(), target.element));
        let mut elements = Self {
            layout: picture.layout,
            width: target.width,
            height: target.height,
            channels,
            size: if target.element == Element::F32 { 4 } else { 1 },
            rules: rules.collect::<Result<_, _>>()?,
            empty: Vec::new(),
            kernel,
        };
        for (rule, group) in elements.rules.iter().zip(groups) {
            let bytes = vec![picture.fill; target.width * group.len()];
            let mut row = vec![0; bytes.len() * elements.size];
            rule.apply(kernel, &bytes, &mut row);
            elements.empty.push(row);
        }
        Ok(elements)
    }

    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Bytes of an element.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Writes elements from pixel [x, y] on, of `channel` where each has a plane, else of all in turn.
    pub fn write(&self, channel: usize, at: [usize; 2], bytes: &[u8], out: &mut [u8]) {
        let start = self.start(channel, at);
        let out = &mut out[start..][..bytes.len() * self.size];
        self.rules[channel].apply(self.kernel, bytes, out);
    }

    /// Leaves pixels of row `y` empty.
    pub fn fill_row(&self, y: usize, pixels: Range<usize>, out: &mut [u8]) {
        for (channel, empty) in self.empty.iter().enumerate() {
            let length = pixels.len() * empty.len() / self.width;
            let start = self.start(channel, [pixels.start, y]);
            out[start..][..length].copy_from_slice(&empty[..length]);
        }
    }

    fn start(&self, channel: usize, [x, y]: [usize; 2]) -> usize {
        let elements = match self.layout {
            Layout::Nhwc => (y * self.width + x) * self.channels,
            Layout::Nchw => (channel * self.height + y) * self.width + x,
        };
        elements * self.size
    }
}

impl Rule {
    fn new(
        picture: &Picture,
        channels: Range<usize>,
        element: Element,
    ) -> Result<Self, ImageError> {
        let factors: Vec<_> = channels.map(|c| factors(picture, c)).collect::<Result<_, _>>()?;
        match element {
            Element::F32 => Ok(Self::real(&factors)),
            Element::I8 { scale, zero_point } => {
                Self::bytes(&factors, quantizer(scale, zero_point, -128, 127)?)
            }
            Element::U8 { scale, zero_point } => {
                Self::bytes(&factors, quantizer(scale, zero_point, 0, 255)?)
            }
        }
    }

    fn real(factors: &[[f32; 2]]) -> Self {
        let of = |which: usize| std::array::from_fn(|i| factors[i % factors.len()][which]);
        const { assert!(PATTERN.is_multiple_of(3)) };
        Self::Real(Box::new(Affine { gains: of(0), offsets: of(1) }))
    }

    fn bytes(factors: &[[f32; 2]], quantize: impl Fn(f32) -> i32) -> Result<Self, ImageError> {
        let element = |pixel: usize, [gain, offset]: [f32; 2]| {
            let pixel = u8::try_from(pixel).expect("a table has 256 entries");
            quantize(f32::from(pixel) * gain + offset).to_le_bytes()[0]
        };
        let table = |&factors: &[f32; 2]| std::array::from_fn(|pixel| element(pixel, factors));
        let tables: Vec<[u8; 256]> = factors.iter().map(table).collect();
        let shift = tables[0][0];
        let shifted =
            |table: &[u8; 256]| (0..=255).zip(table).all(|(i, &e)| shift.wrapping_add(i) == e);
        Ok(if tables.iter().all(shifted) { Self::Shift(shift) } else { Self::Tables(tables) })
    }

    fn apply(&self, kernel: Kernel, bytes: &[u8], out: &mut [u8]) {
        match self {
            Self::Shift(shift) => {
                out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte.wrapping_add(*shift));
            }
            Self::Tables(tables) => match &tables[..] {
                [a, b, c] => {
                    let pixels = bytes.as_chunks::<3>().0;
                    for (out, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                        let [x, y, z] = pixel.map(usize::from);
                        *out = [a[x], b[y], c[z]];
                    }
                }
                [table, ..] => {
                    let elements = out.iter_mut().zip(bytes);
                    elements.for_each(|(out, &byte)| *out = table[usize::from(byte)]);
                }
                [] => {}
            },
            Self::Real(affine) => kernel.reals(affine, bytes, out),
        }
    }
}

/// What a byte of a channel is multiplied with, and what is added; each computed in f64 and rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the one rounding to f32 that is meant")]
fn factors(picture: &Picture, channel: usize) -> Result<[f32; 2], ImageError> {
    let (mean, std) = (picture.mean[channel], picture.std[channel]);
    if !mean.is_finite() || !std.is_finite() || std == 0.0 {
        return Err(ImageError::Normalisation { channel, mean, std });
    }
    let gain = 1.0 / (255.0 * f64::from(std));
    Ok([gain as f32, (-f64::from(mean) / f64::from(std)) as f32])
}

fn quantizer(
    scale: f32,
    zero_point: i32,
    least: i32,
    most: i32,
) -> Result<impl Fn(f32) -> i32, ImageError> {
    if !(scale.is_finite() && scale > 0.0) {
        return Err(ImageError::Scale(scale));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
    Ok(move |real: f32| {
        let steps = (f64::from(real) / f64::from(scale)).round_ties_even() as i32;
        steps.saturating_add(zero_point).clamp(least, most)
    })
}
