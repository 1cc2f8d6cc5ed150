//! The one format that a source of pictures gives, from its parameters.
use std::fmt;

use edgemill_abi::format::{FormatError, Image};
use edgemill_abi::{Format, raw};
use edgemill_kernels::image::PixelFormat;

use crate::params::{Checked, Kind, Param};

/// The longest side of a frame that sensors and drivers have today.
const MOST_SIDE: i64 = 8192;
/// The words for [`FORMATS`], V4L2's own names.
const WORDS: [&str; 3] = ["YUYV", "GREY", "RGB24"];
const FORMATS: [(PixelFormat, [u8; 4]); 3] =
    [(PixelFormat::Yuyv, *b"YUYV"), (PixelFormat::Grey, *b"GREY"), (PixelFormat::Rgb24, *b"RGB3")];

/// The word for one of V4L2's codes, if we take it.
pub(crate) fn word(code: [u8; 4]) -> Option<&'static str> {
    FORMATS.iter().zip(WORDS).find(|((_, known), _)| *known == code).map(|(_, word)| word)
}

/// The parameter `width`; the other two, like it, are the same for every source of pictures.
pub(crate) const fn width(least: i64) -> Param {
    Param {
        name: "width",
        unit: "pixels",
        help: "Width of a frame; even where the format is YUYV.",
        kind: Kind::Int { least, most: MOST_SIDE, fallback: Some(640) },
    }
}
pub(crate) const HEIGHT: Param = Param {
    name: "height",
    unit: "pixels",
    help: "Height of a frame.",
    kind: Kind::Int { least: 2, most: MOST_SIDE, fallback: Some(480) },
};
pub(crate) const FORMAT: Param = Param {
    name: "format",
    unit: "",
    help: "Pixel format, by V4L2's name.",
    kind: Kind::Choice { words: &WORDS, fallback: Some("YUYV") },
};

/// A picture's size and pixel format, rows without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
}

/// YUYV shares chroma between two pixels.
#[derive(Debug, thiserror::Error)]
#[error("parameter `width` is {0}; a YUYV frame has an even width")]
pub struct OddWidth(u32);

impl Picture {
    /// From parameters that have been checked one by one.
    pub(crate) fn new(params: &Checked) -> Result<Self, OddWidth> {
        let index = WORDS.iter().position(|word| *word == params.text("format"));
        let (format, _) = FORMATS[index.unwrap_or_default()];
        let (width, height) = (params.int("width"), params.int("height"));
        match format == PixelFormat::Yuyv && width % 2 == 1 {
            true => Err(OddWidth(width)),
            false => Ok(Self { format, width, height }),
        }
    }

    /// As the pipeline knows it.
    pub(crate) fn image(&self) -> Result<Format, FormatError> {
        let mut planes = [raw::Plane::default(); raw::MAX_PLANES];
        planes[0].stride = self.stride();
        let Self { width, height, .. } = *self;
        let (fourcc, plane_count) = (self.fourcc(), 1);
        Image::new(raw::Image { fourcc, width, height, plane_count, planes }).map(Format::Image)
    }

    /// V4L2's code.
    pub(crate) fn fourcc(&self) -> u32 {
        let code = FORMATS.iter().find(|(format, _)| *format == self.format);
        code.map_or(0, |(_, code)| u32::from_le_bytes(*code))
    }

    /// Bytes of a row.
    pub(crate) fn stride(&self) -> u32 {
        self.width * u32::try_from(self.format.pixel_bytes()).unwrap_or(u32::MAX)
    }

    /// Bytes of a frame.
    pub(crate) fn bytes(&self) -> usize {
        self.format.frame_bytes(self.width as usize, self.height as usize)
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = FORMATS.iter().position(|(format, _)| *format == self.format);
        let Self { width, height, .. } = self;
        write!(f, "{} {width}x{height}", WORDS[index.unwrap_or_default()])
    }
}
