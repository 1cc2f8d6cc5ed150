//! What can be wrong with a camera, one case for each thing that a person would do about it.
use std::io;
use std::path::PathBuf;

use crate::text::show;

/// Why a camera does not deliver.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// There is no such device node, or nothing behind it.
    #[error("camera {} is absent; {present}. Connect it, or set `device`", show(path))]
    Absent {
        /// The device node.
        path: PathBuf,
        /// The cameras there are, in words.
        present: String,
    },
    /// The node's permissions.
    #[error(
        "camera {} may not be opened by this user; add the user to the group of the device (usually `video`)",
        show(path)
    )]
    Denied {
        /// The device node.
        path: PathBuf,
    },
    /// Another program is streaming from it.
    #[error(
        "camera {0} is busy: another program streams from it; `fuser -v {0}` names that program",
        show(path)
    )]
    Busy {
        /// The device node.
        path: PathBuf,
    },
    /// It exists and is something else.
    #[error(
        "{} is {is}; a camera that streams single-planar video is needed: set `device` to one that does",
        show(path)
    )]
    NotACamera {
        /// The device node.
        path: PathBuf,
        /// What it is.
        is: String,
    },
    /// Format or size.
    #[error(
        "camera {} does not offer {wanted}; it offers {offers}. Set `format`, `width` and `height` to one of these",
        show(path)
    )]
    NoFormat {
        /// The device node.
        path: PathBuf,
        /// The format asked for.
        wanted: String,
        /// What it has, in words.
        offers: String,
    },
    /// Rate.
    #[error(
        "camera {} does not do {wanted} frames a second in this format; {offers}. Set `rate-hz` to a rate it has, or to 0",
        show(path)
    )]
    NoRate {
        /// The device node.
        path: PathBuf,
        /// The rate asked for.
        wanted: f64,
        /// What it has, in words.
        offers: String,
    },
    /// Not of the form that `controls` has.
    #[error("`{}` in `controls` is not NAME=VALUE with a whole number, as in \"auto_exposure=1, gain=16\"", .0.escape_debug())]
    Setting(String),
    /// A control that the camera lacks.
    #[error("camera {} has no control `{name}`; it has: {has}", show(path))]
    NoControl {
        /// The device node.
        path: PathBuf,
        /// The control asked for.
        name: String,
        /// Those it has.
        has: String,
    },
    /// A control that refuses its value.
    #[error(
        "camera {} does not set `{name}` to {value}: {source}; it goes from {least} to {most}, and another control may have to be set first",
        show(path)
    )]
    Control {
        /// The device node.
        path: PathBuf,
        /// The control.
        name: String,
        /// The value asked for.
        value: i64,
        /// Smallest it has.
        least: i64,
        /// Largest it has.
        most: i64,
        /// The system's answer.
        source: io::Error,
    },
    /// The node could not be opened.
    #[error("camera {} cannot be opened: {source}", show(path))]
    Open {
        /// The device node.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It refused on the way to streaming.
    #[error("camera {} does not start: {source}; look at the kernel's log (`dmesg`)", show(path))]
    Start {
        /// The device node.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It was streaming and is not any more.
    #[error("camera {} is lost: {source}; it is opened again when it is back", show(path))]
    Lost {
        /// The device node.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It streams, and nothing comes.
    #[error("camera {} has sent no frame for {waited_ms} ms; it is opened again", show(path))]
    Silent {
        /// The device node.
        path: PathBuf,
        /// How long nothing came.
        waited_ms: u64,
    },
}
