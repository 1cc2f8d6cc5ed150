//! Pictures: from a JPEG to a camera's frame, and from a frame to the tensor a model wants.
//!
//! There is one resampling routine (`resample`): the replay camera, training, evaluation and the pipeline
//! all see pictures through it. A frame is resampled in its own colour space and converted afterwards.

mod axis;
mod bmp;
mod colour;
mod draw;
mod elements;
mod file;
mod geometry;
mod jpeg;
mod kernel;
mod mark;
mod png;
mod prepare;
mod resample;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use draw::{draw_letterboxed, draw_letterboxed_into};
pub use file::{PICTURE_EXTENSIONS, decode_picture};
pub use geometry::{Placement, Rect};
pub use jpeg::{Limits, decode_jpeg, decode_jpeg_into};
pub use kernel::Kernel;
pub use mark::{Mark, mark};
pub use png::encode_png;
pub use prepare::{Colour, Element, Fit, FrameSpec, Layout, Picture, Preparer, Target};
pub use resample::Plane;

/// How pixels are weighed where a picture changes its size, along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Exact averages of the area where the picture shrinks, bilinear where it grows: nothing is passed over.
    Area,
    /// The two nearest in proportion (half-pixel centres, edges repeated), also where the picture shrinks: quicker,
    /// and what a model wants that was trained on pictures made so.
    Bilinear,
}

/// How the pixels of a frame are laid out, by V4L2's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// 4:2:2, bytes Y U Y V, BT.601 limited range; the width is even.
    Yuyv,
    /// 4:2:0, a plane of Y, then one of U V for two by two pixels, BT.601 limited range; both sides are even.
    Nv12,
    /// 8-bit luma, full range.
    Grey,
    /// Bytes R G B, full range.
    Rgb24,
}

impl PixelFormat {
    /// Bytes of one pixel in the first plane; of a YUYV pair, half.
    #[must_use]
    pub const fn pixel_bytes(self) -> usize {
        match self {
            Self::Yuyv => 2,
            Self::Nv12 | Self::Grey => 1,
            Self::Rgb24 => 3,
        }
    }

    /// Bytes of a frame without padding between its rows, one plane after the other.
    #[must_use]
    pub const fn frame_bytes(self, width: usize, height: usize) -> usize {
        let first = width * height * self.pixel_bytes();
        if matches!(self, Self::Nv12) { first + first / 2 } else { first }
    }
}

/// A picture of bytes R G B, row-major without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbPicture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl RgbPicture {
    /// Takes `width` × `height` pixels of three bytes.
    ///
    /// # Errors
    /// [`ImageError::Size`] unless there are exactly that many, and at least one.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, ImageError> {
        check_size(width, height)?;
        let needed = PixelFormat::Rgb24.frame_bytes(width, height);
        if pixels.len() != needed {
            return Err(ImageError::Bytes { what: "a picture", given: pixels.len(), needed });
        }
        Ok(Self { width, height, pixels })
    }

    /// Pixels in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The bytes.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// The longest side of a picture or frame, in pixels: fixed-point weights stay exact to 1 of 255 up to here.
pub const MAX_SIDE: usize = 16_384;

/// What can be wrong with a picture, a frame, or what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not a JPEG, damaged, or beyond the limits.
    #[error("cannot decode the JPEG: {0}")]
    Jpeg(String),
    /// A PNG or a bitmap, damaged or beyond the limits.
    #[error("cannot decode the picture: {0}")]
    File(String),
    /// A side is 0 or too long.
    #[error("a picture of {width}×{height} pixels: each side must be 1 to {MAX_SIDE}")]
    Size {
        /// Asked for.
        width: usize,
        /// Asked for.
        height: usize,
    },
    /// Chroma is shared by pairs of pixels.
    #[error("a frame {0} pixels wide of pixels in pairs: the width must be even")]
    OddWidth(usize),
    /// Chroma is shared by pairs of rows.
    #[error("an NV12 frame of {0} rows: the height must be even")]
    OddHeight(usize),
    /// A buffer does not have the size that its format says.
    #[error("{what} has {given} bytes, {needed} are needed")]
    Bytes {
        /// Which buffer.
        what: &'static str,
        /// Its size.
        given: usize,
        /// The size it should have.
        needed: usize,
    },
    /// The region does not lie in the frame.
    #[error("the region {0:?} must be x, y, width, height as fractions of the frame, inside it")]
    Region([f32; 4]),
    /// A mean or a standard deviation cannot be used.
    #[error("mean {mean} and std {std} of channel {channel}: both finite, std not 0")]
    Normalisation {
        /// Index of the channel.
        channel: usize,
        /// Given.
        mean: f32,
        /// Given.
        std: f32,
    },
    /// The output's affine rule cannot be used.
    #[error("scale {0} of the output tensor: it must be finite and above 0")]
    Scale(f32),
}

fn check_size(width: usize, height: usize) -> Result<(), ImageError> {
    if (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) {
        return Ok(());
    }
    Err(ImageError::Size { width, height })
}

fn check_frame(format: PixelFormat, width: usize, height: usize) -> Result<(), ImageError> {
    check_size(width, height)?;
    if matches!(format, PixelFormat::Yuyv | PixelFormat::Nv12) && width % 2 == 1 {
        return Err(ImageError::OddWidth(width));
    }
    if format == PixelFormat::Nv12 && height % 2 == 1 {
        return Err(ImageError::OddHeight(height));
    }
    Ok(())
}
