//! A look at pictures: the two ends of a pipeline that is run over files, and what becomes of its findings.
//!
//! The program that runs it hands over one picture after the other ([`frames`]) and is handed what was found in each
//! ([`findings`]).
mod findings;
mod frames;

use std::fs;
use std::path::Path;

use edgemill_abi::raw;
use edgemill_kernels::image::{Mark, encode_png, mark};
use edgemill_pipeline::stage::Port;

use crate::replay::{ReplayError, open_picture};

pub use crate::replay::pictures;
pub use edgemill_kernels::image::RgbPicture;
pub use findings::{Finding, findings};
pub use frames::frames;

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The picture cannot be read.
    #[error(transparent)]
    Picture(#[from] ReplayError),
    /// The marked picture cannot be made.
    #[error("cannot draw the picture: {0}")]
    Draw(#[from] edgemill_kernels::image::ImageError),
    /// The marked picture cannot be written.
    #[error("{}: {source}", crate::text::show(path))]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Whether a port gives detections.
#[must_use]
pub fn gives_detections(port: &Port) -> bool {
    port.ranges.iter().any(|range| range.least.kind == raw::KIND_DETECTIONS)
}

/// Decodes a picture's file.
///
/// # Errors
/// [`LookError::Picture`].
pub fn open(path: &Path) -> Result<RgbPicture, LookError> {
    Ok(open_picture(path, &mut Vec::new())?)
}

/// Writes the picture with its findings marked as a PNG, and makes the folder it belongs in. `name` says what a class is
/// called.
///
/// # Errors
/// [`LookError::Draw`], [`LookError::Write`].
pub fn write(
    mut picture: RgbPicture,
    findings: &[Finding],
    name: impl Fn(u32) -> String,
    path: &Path,
) -> Result<(), LookError> {
    // The surest is drawn last, above all others.
    let marked = findings.iter().rev().map(|found| Mark {
        edges: found.edges,
        text: format!("{} {:.2}", name(found.class), found.score),
        class: found.class,
    });
    mark(&mut picture, &marked.collect::<Vec<_>>());
    let file = encode_png(&picture)?;
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(path, file))
        .map_err(|source| LookError::Write { path: path.to_path_buf(), source })
}
