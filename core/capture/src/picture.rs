//! The one format that a source of pictures gives, from its parameters.
use std::fmt;

use edgemill_abi::Format;
use edgemill_abi::format::{FormatError, Image};
use edgemill_kernels::image::PixelFormat;

use crate::params::{Checked, Kind, Param};

/// The longest side of a frame that sensors and drivers have today.
const MOST_SIDE: i64 = 8192;
/// The words for [`FORMATS`], V4L2's own names. Not every source gives all of them, but each the first few.
const WORDS: [&str; 5] = ["YUYV", "GREY", "RGB24", "NV12", "MJPEG"];
const FORMATS: [(Coding, [u8; 4]); 5] = [
    (Coding::Pixels(PixelFormat::Yuyv), *b"YUYV"),
    (Coding::Pixels(PixelFormat::Grey), *b"GREY"),
    (Coding::Pixels(PixelFormat::Rgb24), *b"RGB3"),
    (Coding::Pixels(PixelFormat::Nv12), *b"NV12"),
    (Coding::Jpeg, *b"MJPG"),
];

/// How a frame's picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Pixels(PixelFormat),
    /// Compressed, each frame on its own.
    Jpeg,
}

/// The word for one of V4L2's codes, if we take it.
pub(crate) fn word(code: [u8; 4]) -> Option<&'static str> {
    FORMATS.iter().zip(WORDS).find(|((_, known), _)| *known == code).map(|(_, word)| word)
}

/// The parameter `width`; the other two, like it, are the same for every source of pictures.
pub(crate) const fn width(least: i64) -> Param {
    Param {
        name: "width",
        unit: "pixels",
        help: "Width of a frame; even where the format is YUYV or NV12.",
        kind: Kind::Int { least, most: MOST_SIDE, fallback: Some(640) },
    }
}
pub(crate) const HEIGHT: Param = Param {
    name: "height",
    unit: "pixels",
    help: "Height of a frame; even where the format is NV12.",
    kind: Kind::Int { least: 2, most: MOST_SIDE, fallback: Some(480) },
};
/// The parameter `format` of a camera.
pub(crate) const FORMAT: Param = format_of(&WORDS);
/// Of a source that draws pictures.
pub(crate) const DRAWN: Param = format_of(WORDS.split_at(4).0);
/// Of a source that puts frames together row by row.
pub(crate) const IN_ROWS: Param = format_of(WORDS.split_at(3).0);

const fn format_of(words: &'static [&'static str]) -> Param {
    Param {
        name: "format",
        unit: "",
        help: "Pixel format, by V4L2's name.",
        kind: Kind::Choice { words, fallback: Some("YUYV") },
    }
}

/// A picture's size and coding, rows without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub coding: Coding,
    pub width: u32,
    pub height: u32,
}

/// Chroma is shared by two pixels, or two by two.
#[derive(Debug, thiserror::Error)]
#[error("parameter `{side}` is {length}; a {format} frame has an even {side}")]
pub struct OddSide {
    side: &'static str,
    length: u32,
    format: &'static str,
}

impl Picture {
    /// From parameters that have been checked one by one.
    pub(crate) fn new(params: &Checked) -> Result<Self, OddSide> {
        let index = WORDS.iter().position(|word| *word == params.text("format"));
        let (coding, _) = FORMATS[index.unwrap_or_default()];
        let picture = Self { coding, width: params.int("width"), height: params.int("height") };
        let pairs = match coding {
            Coding::Pixels(PixelFormat::Yuyv) => [2, 1],
            Coding::Pixels(PixelFormat::Nv12) => [2, 2],
            _ => [1, 1],
        };
        let sides = [("width", picture.width), ("height", picture.height)];
        let odd = sides.into_iter().zip(pairs).find(|((_, length), pair)| length % pair != 0);
        match odd {
            Some(((side, length), _)) => Err(OddSide { side, length, format: picture.word() }),
            None => Ok(picture),
        }
    }

    fn word(&self) -> &'static str {
        word(self.fourcc().to_le_bytes()).unwrap_or_default()
    }

    /// As the pipeline knows it.
    pub(crate) fn image(&self) -> Result<Format, FormatError> {
        let Self { width, height, .. } = *self;
        let packed = Image::packed(self.fourcc(), width, height).unwrap_or_default();
        Image::new(packed).map(Format::Image)
    }

    /// Of the pixels; of a JPEG, those that it is decoded to.
    pub(crate) fn pixels(&self) -> PixelFormat {
        match self.coding {
            Coding::Pixels(format) => format,
            Coding::Jpeg => PixelFormat::Rgb24,
        }
    }

    /// V4L2's code.
    pub(crate) fn fourcc(&self) -> u32 {
        let code = FORMATS.iter().find(|(coding, _)| *coding == self.coding);
        code.map_or(0, |(_, code)| u32::from_le_bytes(*code))
    }

    /// Bytes of a row of the first plane; of a JPEG there is none.
    pub(crate) fn stride(&self) -> u32 {
        match self.coding {
            Coding::Pixels(format) => {
                self.width * u32::try_from(format.pixel_bytes()).unwrap_or(u32::MAX)
            }
            Coding::Jpeg => 0,
        }
    }

    /// Rows of all planes, which follow one another.
    pub(crate) fn rows(&self) -> u32 {
        match self.coding {
            Coding::Pixels(PixelFormat::Nv12) => self.height / 2 * 3,
            _ => self.height,
        }
    }

    /// Bytes of a frame; of a JPEG, as many as it may have.
    pub(crate) fn bytes(&self) -> usize {
        let (width, height) = (self.width as usize, self.height as usize);
        match self.coding {
            Coding::Pixels(format) => format.frame_bytes(width, height),
            Coding::Jpeg => 2 * width * height,
        }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{}", self.word(), self.width, self.height)
    }
}
