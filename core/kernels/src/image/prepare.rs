//! From a camera's frame to the tensor a model wants, in one pass over those of the region's rows that it needs.
use super::elements::Elements;
use super::kernel::{Conversion, Kernel};
use super::resample::{Plane, Resampler, Samples, padded};
use super::{Filter, ImageError, PixelFormat, Placement, Rect, check_frame};

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
    /// Aspect kept, in the upper left corner, the rest filled.
    Corner,
}

/// What a model expects of a picture. An element is (pixel ÷ 255 − mean) ÷ std, per channel, computed in f32 as
/// pixel × (1 ÷ (255 × std)) + (−mean ÷ std), each of the two factors rounded once.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Axes of the tensor.
    pub layout: Layout,
    /// Channels of the tensor.
    pub colour: Colour,
    /// From region to picture.
    pub fit: Fit,
    /// How pixels are weighed.
    pub filter: Filter,
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
    target: Target,
    /// Part of the target that the frame fills.
    inner: Rect,
    /// Of each plane that is read.
    resamplers: Vec<Resampler>,
    conversion: Conversion,
    /// Of each channel, the plane of `bytes` that it comes from.
    sources: &'static [usize],
    /// One after the other, [`padded`] to the same length.
    components: Vec<u16>,
    /// The same as bytes of the colours wanted.
    bytes: Vec<u8>,
    /// A row of pixels whose channels follow one another.
    line: Vec<u8>,
    elements: Elements,
    kernel: Kernel,
}

impl Preparer {
    /// Plans the way from `frame` to `target` as `picture` says.
    ///
    /// # Errors
    /// [`ImageError`] naming the field that cannot be used.
    pub fn new(frame: FrameSpec, picture: &Picture, target: Target) -> Result<Self, ImageError> {
        Self::with_kernel(frame, picture, target, Kernel::best())
    }

    /// As [`Preparer::new`], with the instructions named; the tensor is the same.
    ///
    /// # Errors
    /// As there.
    pub fn with_kernel(
        frame: FrameSpec,
        picture: &Picture,
        target: Target,
        kernel: Kernel,
    ) -> Result<Self, ImageError> {
        check_frame(frame.format, frame.width, frame.height)?;
        let Placement { region, inner } = Placement::new(
            [frame.width, frame.height],
            picture.region,
            picture.fit,
            [target.width, target.height],
        )?;
        let (samples, conversion) = way(frame.format, picture.colour);
        let size = [inner.width, inner.height];
        let resampler = |&s: &Samples| Resampler::new(s, region, size, picture.filter, kernel);
        let count: usize = samples.iter().map(|s| s.components()).sum();
        Ok(Self {
            frame,
            target,
            inner,
            resamplers: samples.iter().map(resampler).collect(),
            conversion,
            sources: sources(picture.colour, count),
            components: vec![0; padded(inner.width) * count],
            bytes: vec![0; padded(inner.width) * count],
            line: vec![0; inner.width * picture.colour.channels()],
            elements: Elements::new(picture, target, kernel)?,
            kernel,
        })
    }

    /// Bytes of the tensor.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        let Target { width, height, .. } = self.target;
        width * height * self.sources.len() * self.elements.size()
    }

    /// Fills the first bytes of `out` with the tensor of one frame, whose rows are `stride` bytes apart and whose planes
    /// follow one another. Does not allocate.
    ///
    /// # Errors
    /// [`ImageError::Bytes`] if `frame` or `out` is too small.
    pub fn prepare(
        &mut self,
        frame: &[u8],
        stride: usize,
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        let first = stride.saturating_mul(self.frame.height).min(frame.len());
        let planes = [&frame[..first], &frame[first..]].map(|bytes| Plane { bytes, stride });
        self.prepare_planes(&planes, out)
    }

    /// As [`Preparer::prepare`], of a frame whose planes may lie anywhere.
    ///
    /// # Errors
    /// As there.
    pub fn prepare_planes(
        &mut self,
        planes: &[Plane<'_>],
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        self.check(planes)?;
        let (needed, given) = (self.output_bytes(), out.len());
        let what = "the tensor's buffer";
        let out = out.get_mut(..needed).ok_or(ImageError::Bytes { what, given, needed })?;
        for y in 0..self.target.height {
            if (self.inner.y..self.inner.y + self.inner.height).contains(&y) {
                self.prepare_row(planes, y - self.inner.y);
                self.write_row(y, out);
            } else {
                self.elements.fill_row(y, 0..self.target.width, out);
            }
        }
        Ok(())
    }

    fn check(&self, planes: &[Plane<'_>]) -> Result<(), ImageError> {
        let row = self.frame.width * self.frame.format.pixel_bytes();
        for (plane, rows) in [self.frame.height, self.frame.height / 2].into_iter().enumerate() {
            if plane < self.resamplers.len() {
                check_plane(planes.get(plane), row, rows)?;
            }
        }
        Ok(())
    }

    /// Bytes of the colours wanted.
    fn prepare_row(&mut self, planes: &[Plane<'_>], y: usize) {
        let mut components = &mut self.components[..];
        for (resampler, plane) in self.resamplers.iter_mut().zip(planes) {
            let count = resampler.components() * padded(self.inner.width);
            let (own, rest) = components.split_at_mut(count);
            resampler.row(*plane, y, own);
            components = rest;
        }
        self.kernel.convert(self.conversion, &self.components, &mut self.bytes);
    }

    fn write_row(&mut self, y: usize, out: &mut [u8]) {
        let Rect { x, width, .. } = self.inner;
        self.elements.fill_row(y, 0..x, out);
        self.elements.fill_row(y, x + width..self.target.width, out);
        let pitch = padded(width);
        let plane = |source: usize| &self.bytes[source * pitch..][..pitch];
        match (self.elements.layout(), self.sources) {
            (Layout::Nhwc, &[a, b, c]) => {
                self.kernel.interleave([a, b, c].map(plane), &mut self.line);
                self.elements.write(0, [x, y], &self.line, out);
            }
            _ => {
                for (channel, &source) in self.sources.iter().enumerate() {
                    self.elements.write(channel, [x, y], &plane(source)[..width], out);
                }
            }
        }
    }
}

/// What is read of a format's planes, and how it becomes the colours wanted.
fn way(format: PixelFormat, colour: Colour) -> (&'static [Samples], Conversion) {
    match (format, colour) {
        (PixelFormat::Yuyv, Colour::Grey) => (&[Samples::YuyvLuma], Conversion::LumaToGrey),
        (PixelFormat::Yuyv, _) => (&[Samples::Yuyv], Conversion::YuvToRgb),
        (PixelFormat::Nv12, Colour::Grey) => (&[Samples::Single], Conversion::LumaToGrey),
        (PixelFormat::Nv12, _) => (&[Samples::Single, Samples::Chroma], Conversion::YuvToRgb),
        (PixelFormat::Grey, _) => (&[Samples::Single], Conversion::Whole),
        (PixelFormat::Rgb24, Colour::Grey) => (&[Samples::Rgb], Conversion::RgbToGrey),
        (PixelFormat::Rgb24, _) => (&[Samples::Rgb], Conversion::Whole),
    }
}

fn sources(colour: Colour, components: usize) -> &'static [usize] {
    match (colour, components) {
        (Colour::Grey, _) => &[0],
        (_, 1) => &[0, 0, 0],
        (Colour::Rgb, _) => &[0, 1, 2],
        (Colour::Bgr, _) => &[2, 1, 0],
    }
}

fn check_plane(plane: Option<&Plane<'_>>, row: usize, rows: usize) -> Result<(), ImageError> {
    let (given, stride) = plane.map_or((0, row), |plane| (plane.bytes.len(), plane.stride));
    if stride < row {
        return Err(ImageError::Bytes { what: "a row of the frame", given: stride, needed: row });
    }
    let needed = stride.saturating_mul(rows - 1).saturating_add(row);
    if given < needed {
        return Err(ImageError::Bytes { what: "the frame", given, needed });
    }
    Ok(())
}
