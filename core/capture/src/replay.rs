//! Frames from files: a folder of JPEG pictures, drawn as a camera would have delivered them, or one file of raw frames
//! as a camera delivered them.
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use edgemill_kernels::image::{ImageError, Limits, decode_jpeg, draw_letterboxed_into};

use crate::params::{Kind, Param};
use crate::picture::{self, Picture};
use crate::play::Frames;
use crate::text::show;

/// What the source takes.
pub(crate) const PARAMS: &[Param] = &[
    Param {
        name: "path",
        unit: "",
        help: "A folder of JPEG pictures, played in the order of their paths, or one file of raw frames.",
        kind: Kind::Text { fallback: None },
    },
    picture::width(2),
    picture::HEIGHT,
    picture::FORMAT,
    Param {
        name: "rate_hz",
        unit: "Hz",
        help: "Frames a second; 0 for as fast as they are taken.",
        kind: Kind::Float { least: 0.0, most: 10_000.0, fallback: Some(0.0) },
    },
    END,
];

/// The parameter `end`, the same for all that plays a recording.
pub(crate) const END: Param = Param {
    name: "end",
    unit: "",
    help: "After the last one: end the stream, stay without giving more, or begin again.",
    kind: Kind::Choice { words: &["stop", "idle", "loop"], fallback: Some("stop") },
};

/// Pictures in a folder, at most; what is above is a wrong path rather than a recording.
const MOST_PICTURES: usize = 1_000_000;
/// Folders within folders, so that a link to a parent is no endless walk.
const MOST_DEPTH: u32 = 16;

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The path or something in it cannot be read.
    #[error("{}: {source}", show(path))]
    Read {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No picture.
    #[error("{} holds no file that ends in .jpg or .jpeg; set `path` to a folder that does", show(.0))]
    NoPictures(PathBuf),
    /// Too large or too deep.
    #[error(
        "{} holds more than {MOST_PICTURES} pictures or {MOST_DEPTH} folders within folders; set `path` to a part of it",
        show(.0)
    )]
    TooMany(PathBuf),
    /// A file that is not a whole number of frames.
    #[error(
        "{} is {bytes} bytes, which is not a whole number of frames of {frame} bytes ({format}); \
         set `width`, `height` and `format` to what was recorded",
        show(path)
    )]
    NotFrames {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// Bytes of one frame.
        frame: u64,
        /// The format asked for.
        format: String,
    },
    /// A picture that does not decode.
    #[error("{}: {source}; mend it or take it out of the folder", show(path))]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
}

/// A recording whose frames can be had by number.
#[derive(Debug)]
pub(crate) enum Recording {
    Folder { files: Vec<PathBuf>, bytes: Vec<u8> },
    Raw { path: PathBuf, file: File, frames: u64 },
}

impl Recording {
    /// Lists the folder, or measures the file.
    pub(crate) fn open(path: &Path, picture: &Picture) -> Result<Self, ReplayError> {
        let kind = fs::metadata(path).map_err(|source| read(path, source))?;
        if kind.is_dir() {
            Ok(Self::Folder { files: list(path)?, bytes: Vec::new() })
        } else if is_jpeg(path) {
            Ok(Self::Folder { files: vec![path.to_path_buf()], bytes: Vec::new() })
        } else {
            raw(path, kind.len(), picture)
        }
    }
}

/// A recording in the format it is played in.
pub(crate) struct Replay {
    pub recording: Recording,
    pub picture: Picture,
}

impl Frames for Replay {
    fn count(&self) -> u64 {
        match &self.recording {
            Recording::Folder { files, .. } => files.len() as u64,
            Recording::Raw { frames, .. } => *frames,
        }
    }

    /// For a JPEG the decoder allocates the decoded picture; raw frames are read where they are wanted.
    fn fill(&mut self, index: u64, out: &mut [u8]) -> Result<(), ReplayError> {
        match &mut self.recording {
            Recording::Folder { files, bytes } => {
                let path = &files[usize::try_from(index).unwrap_or(usize::MAX)];
                draw_picture(path, bytes, &self.picture, out)
            }
            Recording::Raw { path, file, .. } => file
                .read_exact_at(out, index * out.len() as u64)
                .map_err(|source| read(path, source)),
        }
    }
}

fn read(path: &Path, source: io::Error) -> ReplayError {
    ReplayError::Read { path: path.to_path_buf(), source }
}

fn raw(path: &Path, bytes: u64, picture: &Picture) -> Result<Recording, ReplayError> {
    let frame = picture.bytes() as u64;
    if bytes == 0 || !bytes.is_multiple_of(frame) {
        let (path, format) = (path.to_path_buf(), picture.to_string());
        return Err(ReplayError::NotFrames { path, bytes, frame, format });
    }
    let file = File::open(path).map_err(|source| read(path, source))?;
    Ok(Recording::Raw { path: path.to_path_buf(), file, frames: bytes / frame })
}

/// All pictures below `folder`, in the order of their paths, which is the same on every file system.
fn list(folder: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((inner, depth)) = folders.pop() {
        for entry in fs::read_dir(&inner).map_err(|source| read(&inner, source))? {
            let path = entry.map_err(|source| read(&inner, source))?.path();
            if is_jpeg(&path) {
                files.push(path);
            } else if path.is_dir() {
                folders.push((path, depth + 1));
            }
        }
        if files.len() > MOST_PICTURES || depth > MOST_DEPTH {
            return Err(ReplayError::TooMany(folder.to_path_buf()));
        }
    }
    if files.is_empty() {
        return Err(ReplayError::NoPictures(folder.to_path_buf()));
    }
    files.sort();
    Ok(files)
}

fn is_jpeg(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("jpg") || e.eq_ignore_ascii_case("jpeg"))
}

fn draw_picture(
    path: &Path,
    bytes: &mut Vec<u8>,
    picture: &Picture,
    out: &mut [u8],
) -> Result<(), ReplayError> {
    let limits = Limits::default();
    bytes.clear();
    let file = File::open(path).map_err(|source| read(path, source))?;
    file.take(limits.file_bytes as u64 + 1)
        .read_to_end(bytes)
        .map_err(|source| read(path, source))?;
    decode_jpeg(bytes, limits)
        .and_then(|decoded| {
            let (width, height) = (picture.width as usize, picture.height as usize);
            draw_letterboxed_into(&decoded, picture.format, width, height, out)
        })
        .map_err(|source| ReplayError::Picture { path: path.to_path_buf(), source })
}
