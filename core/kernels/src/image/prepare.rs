//! From a camera's frame to the tensor a model wants, in one pass over the region's rows.
use super::resample::{Resampler, Wanted};
use super::{ImageError, PixelFormat, Placement, Rect, check_frame, colour};

/// Order of the axes of a picture tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Height, width, channel.
    Nhwc,
    /// Channel, height, width.
    Nchw,
}

/// Order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of full-range luma.
    Grey,
}

impl Colour {
    /// How many channels.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// How the region of a frame becomes the model's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Both axes scaled on their own.
    Stretch,
    /// Aspect kept, centred, the rest filled.
    Letterbox,
    /// Aspect kept, centred, what sticks out cut off.
    Crop,
}

/// What a model expects of a picture. An element is (pixel ÷ 255 − mean) ÷ std, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Axes of the tensor.
    pub layout: Layout,
    /// Channels of the tensor.
    pub colour: Colour,
    /// From region to picture.
    pub fit: Fit,
    /// Value of every channel where a letterbox leaves the picture empty.
    pub fill: u8,
    /// x, y, width, height as fractions of the frame.
    pub region: [f32; 4],
    /// Per channel, in the order of `colour`.
    pub mean: [f32; 4],
    /// Per channel, in the order of `colour`; never 0.
    pub std: [f32; 4],
}

/// The frames that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpec {
    /// Of the pixels.
    pub format: PixelFormat,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
}

/// Type of the tensor's elements; where there is a scale, real = scale × (element − zero point), the element
/// rounded to nearest, ties to even, and clamped to its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// IEEE 754 single precision, little-endian.
    F32,
    /// -128..=127
    I8 {
        /// Above 0.
        scale: f32,
        /// Element of the real 0.
        zero_point: i32,
    },
    /// 0..=255
    U8 {
        /// Above 0.
        scale: f32,
        /// Element of the real 0.
        zero_point: i32,
    },
}

/// The tensor that is made; its channels follow from the colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Of the tensor.
    pub element: Element,
}

/// Makes tensors from frames; all memory is taken by [`Preparer::new`].
pub struct Preparer {
    frame: FrameSpec,
    colour: Colour,
    target: Target,
    layout: Layout,
    fill: u8,
    /// Part of the target that the frame fills.
    inner: Rect,
    resampler: Resampler,
    resampled: Vec<u16>,
    pixels: Vec<[u8; 3]>,
    table: Table,
}

/// For each channel and value of a pixel the bytes of the element.
enum Table {
    One(Vec<[[u8; 1]; 256]>),
    Four(Vec<[[u8; 4]; 256]>),
}

impl Preparer {
    /// Plans the way from `frame` to `target` as `picture` says.
    ///
    /// # Errors
    /// [`ImageError`] naming the field that cannot be used.
    pub fn new(frame: FrameSpec, picture: &Picture, target: Target) -> Result<Self, ImageError> {
        check_frame(frame.format, frame.width, frame.height)?;
        let Placement { region, inner } = Placement::new(
            [frame.width, frame.height],
            picture.region,
            picture.fit,
            [target.width, target.height],
        )?;
        let grey = picture.colour == Colour::Grey;
        let wanted = if grey { Wanted::Luma } else { Wanted::All };
        let resampler = Resampler::new(frame.format, wanted, region, inner.width, inner.height);
        Ok(Self {
            frame,
            colour: picture.colour,
            target,
            layout: picture.layout,
            fill: picture.fill,
            inner,
            resampled: vec![0; inner.width * resampler.components()],
            resampler,
            pixels: vec![[picture.fill; 3]; target.width],
            table: Table::new(picture, target.element)?,
        })
    }

    /// Bytes of the tensor.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        let element = match self.table {
            Table::One(_) => 1,
            Table::Four(_) => 4,
        };
        self.target.width * self.target.height * self.colour.channels() * element
    }

    /// Fills the first bytes of `out` with the tensor of one frame, whose rows are `stride` bytes apart. Does not
    /// allocate.
    ///
    /// # Errors
    /// [`ImageError::Bytes`] if `frame` or `out` is too small.
    pub fn prepare(
        &mut self,
        frame: &[u8],
        stride: usize,
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        self.check_frame_bytes(frame.len(), stride)?;
        let (needed, given) = (self.output_bytes(), out.len());
        let out = out.get_mut(..needed).ok_or(ImageError::Bytes {
            what: "the tensor's buffer",
            given,
            needed,
        })?;
        for y in 0..self.target.height {
            self.prepare_row(frame, stride, y);
            match &self.table {
                Table::One(table) => self.write_row(table, y, out),
                Table::Four(table) => self.write_row(table, y, out),
            }
        }
        Ok(())
    }

    fn check_frame_bytes(&self, given: usize, stride: usize) -> Result<(), ImageError> {
        let row = self.frame.width * self.frame.format.pixel_bytes();
        if stride < row {
            return Err(ImageError::Bytes {
                what: "a row of the frame",
                given: stride,
                needed: row,
            });
        }
        let needed = stride.saturating_mul(self.frame.height - 1).saturating_add(row);
        if given < needed {
            return Err(ImageError::Bytes { what: "the frame", given, needed });
        }
        Ok(())
    }

    /// Pixels of row `y` in the order R G B, or grey in the first byte.
    fn prepare_row(&mut self, frame: &[u8], stride: usize, y: usize) {
        let Rect { x, width, .. } = self.inner;
        if !(self.inner.y..self.inner.y + self.inner.height).contains(&y) {
            return self.pixels.fill([self.fill; 3]);
        }
        // A row above may have been empty.
        self.pixels[..x].fill([self.fill; 3]);
        self.pixels[x + width..].fill([self.fill; 3]);
        self.resampler.row(frame, stride, y - self.inner.y, &mut self.resampled);
        let pixels = &mut self.pixels[x..x + width];
        convert_row(self.frame.format, self.colour, &self.resampled, pixels);
    }

    fn write_row<const N: usize>(&self, table: &[[[u8; N]; 256]], y: usize, out: &mut [u8]) {
        let (width, height) = (self.target.width, self.target.height);
        let channels = table.len();
        let (first, pixel_step, channel_step) = match self.layout {
            Layout::Nhwc => (y * width * channels, channels, 1),
            Layout::Nchw => (y * width, 1, width * height),
        };
        let elements = out.as_chunks_mut::<N>().0;
        for (c, values) in table.iter().enumerate() {
            let from = if self.colour == Colour::Bgr { 2 - c } else { c };
            let row = elements[first + c * channel_step..].iter_mut().step_by(pixel_step);
            for (element, pixel) in row.zip(&self.pixels) {
                *element = values[usize::from(pixel[from])];
            }
        }
    }
}

fn convert_row(format: PixelFormat, colour: Colour, row: &[u16], pixels: &mut [[u8; 3]]) {
    let threes = row.as_chunks::<3>().0;
    match (format, colour) {
        (PixelFormat::Yuyv, Colour::Grey) => {
            for (pixel, &y) in pixels.iter_mut().zip(row) {
                pixel[0] = colour::grey_of(y);
            }
        }
        (PixelFormat::Grey, _) => {
            for (pixel, &y) in pixels.iter_mut().zip(row) {
                *pixel = [colour::whole(y); 3];
            }
        }
        (PixelFormat::Rgb24, Colour::Grey) => {
            for (pixel, rgb) in pixels.iter_mut().zip(threes) {
                pixel[0] = colour::luma(rgb.map(colour::whole));
            }
        }
        (PixelFormat::Yuyv, _) => {
            for (pixel, &yuv) in pixels.iter_mut().zip(threes) {
                *pixel = colour::rgb_of(yuv);
            }
        }
        (PixelFormat::Rgb24, _) => {
            for (pixel, rgb) in pixels.iter_mut().zip(threes) {
                *pixel = rgb.map(colour::whole);
            }
        }
    }
}

impl Table {
    fn new(picture: &Picture, element: Element) -> Result<Self, ImageError> {
        match element {
            Element::F32 => Self::filled(picture, |real| real.to_le_bytes()).map(Self::Four),
            Element::I8 { scale, zero_point } => {
                let quantize = quantizer(scale, zero_point, -128, 127)?;
                Self::filled(picture, |real| [quantize(real).to_le_bytes()[0]]).map(Self::One)
            }
            Element::U8 { scale, zero_point } => {
                let quantize = quantizer(scale, zero_point, 0, 255)?;
                Self::filled(picture, |real| [quantize(real).to_le_bytes()[0]]).map(Self::One)
            }
        }
    }

    fn filled<const N: usize>(
        picture: &Picture,
        bytes: impl Fn(f32) -> [u8; N],
    ) -> Result<Vec<[[u8; N]; 256]>, ImageError> {
        let channel = |c: usize| {
            let (mean, std) = (picture.mean[c], picture.std[c]);
            if !mean.is_finite() || !std.is_finite() || std == 0.0 {
                return Err(ImageError::Normalisation { channel: c, mean, std });
            }
            Ok(std::array::from_fn(|pixel| bytes(normalised(pixel, mean, std))))
        };
        (0..picture.colour.channels()).map(channel).collect()
    }
}

/// Computed in f64 and rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the one rounding to f32 that is meant")]
fn normalised(pixel: usize, mean: f32, std: f32) -> f32 {
    let pixel = u8::try_from(pixel).expect("a table has 256 entries");
    ((f64::from(pixel) / 255.0 - f64::from(mean)) / f64::from(std)) as f32
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
