//! Sources: a V4L2 camera, a replay of files, a test pattern, sensor series.
//!
//! A source is a [`Stage`] without inputs and with one output, `out`. What it may be told is in [`SOURCES`], and
//! [`create`] checks what it is told against that. A source never waits long in a call, whatever its rate, so that a
//! stop or a reload finds it soon; it allocates in a call only where a picture must be decoded.
#![deny(unsafe_code)]

mod camera;
mod csv;
pub mod look;
mod pace;
mod params;
pub mod pattern;
mod picture;
mod play;
mod replay;
mod series;
mod source;
mod text;

use edgemill_pipeline::stage::Stage;

use camera::Camera;
use params::Checked;
use pattern::Pattern;
use picture::Picture;
use play::{End, Player};
use replay::{Recording, Replay};
use series::Series;
use source::SourceStage;

pub use camera::{CameraError, CameraNode, Node, nodes};
pub use csv::CsvError;
pub use params::{Kind, MAX_TEXT, Param, ParamError, Params, Value};
pub use picture::OddSide;
pub use replay::ReplayError;
pub use source::{Context, Error, Log};

/// A kind of source and what it may be told.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// As it stands in `source = "…"`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// In the order of their importance.
    pub params: &'static [Param],
}

/// All the sources there are.
pub const SOURCES: [Descriptor; 4] = [
    Descriptor { name: "v4l", summary: "A V4L2 camera.", params: camera::PARAMS },
    Descriptor {
        name: "replay",
        summary: "A folder of pictures or a file of raw frames, played as if by a camera.",
        params: replay::PARAMS,
    },
    Descriptor {
        name: "pattern",
        summary: "A test picture with the frame's number in it.",
        params: pattern::PARAMS,
    },
    Descriptor {
        name: "series",
        summary: "Readings of sensors from a CSV file.",
        params: series::PARAMS,
    },
];

/// What a kind of source may be told.
///
/// # Errors
/// [`Error::Kind`] if there is no such source.
pub fn describe(kind: &str) -> Result<&'static Descriptor, Error> {
    SOURCES.iter().find(|source| source.name == kind).ok_or_else(|| Error::Kind {
        name: text::cut(kind),
        known: SOURCES.map(|source| source.name).join(", "),
    })
}

/// Makes a source. Files are opened here, a folder is listed and a CSV file read, so that what is wrong with them is
/// known before anything runs; a camera is opened when the stage is activated.
///
/// # Errors
/// A parameter that is unknown or does not fit, or a file that cannot be played.
pub fn create(kind: &str, params: &Params, context: Context) -> Result<Box<dyn Stage>, Error> {
    let source = describe(kind)?;
    let checked = Checked::new(source.name, source.params, params)?;
    match source.name {
        "v4l" => v4l(&checked, context),
        "replay" => replay(&checked, context),
        "pattern" => pattern(&checked, context),
        _ => series(&checked, context),
    }
}

fn v4l(params: &Checked, context: Context) -> Result<Box<dyn Stage>, Error> {
    let picture = Picture::new(params)?;
    let camera = Camera::new(camera::keep(&context.base, params.text("device")), picture, params)?;
    Ok(SourceStage::boxed(camera, picture.image()?, context))
}

fn replay(params: &Checked, context: Context) -> Result<Box<dyn Stage>, Error> {
    let picture = Picture::new(params)?;
    let recording = Recording::open(&context.base.join(params.text("path")), &picture)?;
    let end = End::from_word(params.text("end"));
    let player = Player::new(Replay { recording, picture }, params.float("rate-hz"), end);
    Ok(SourceStage::boxed(player, picture.image()?, context))
}

fn pattern(params: &Checked, context: Context) -> Result<Box<dyn Stage>, Error> {
    let picture = Picture::new(params)?;
    let pattern = Pattern::new(&picture, params)?;
    let player = Player::new(pattern, params.float("rate-hz"), End::Stop);
    Ok(SourceStage::boxed(player, picture.image()?, context))
}

fn series(params: &Checked, context: Context) -> Result<Box<dyn Stage>, Error> {
    let series = Series::open(&context.base.join(params.text("path")), params)?;
    let rate_hz = params.float("rate-hz");
    let packets_hz = match params.text("pace") {
        "fast" => 0.0,
        _ => rate_hz / f64::from(params.int("samples")),
    };
    let format = series.format(rate_hz)?;
    let player = Player::new(series, packets_hz, End::from_word(params.text("end")));
    Ok(SourceStage::boxed(player, format, context))
}
