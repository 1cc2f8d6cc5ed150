//! Frames from files: a folder of pictures, drawn as a camera would have delivered them, or one file of raw frames
//! as a camera delivered them.
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use edgemill_kernels::image::{
    ImageError, Limits, PICTURE_EXTENSIONS, RgbPicture, decode_picture, draw_letterboxed_into,
};

use crate::params::{Kind, Param};
use crate::picture::{self, Picture};
use crate::play::Frames;
use crate::text::show;

/// What the source takes.
pub(crate) const PARAMS: &[Param] = &[
    Param {
        name: "path",
        unit: "",
        help: "A folder of JPEG, PNG or BMP pictures, played in the order of their paths, or one file of raw frames.",
        kind: Kind::Text { fallback: None },
    },
    picture::width(2),
    picture::HEIGHT,
    picture::DRAWN,
    Param {
        name: "rate-hz",
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
    #[error("{}: {source}; check the path and that this user may read it", show(path))]
    Read {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No picture.
    #[error(
        "{} holds no file that ends in .jpg, .jpeg, .png or .bmp; set `path` to a folder that does",
        show(.0)
    )]
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
        if kind.is_dir() || is_picture(path) {
            Ok(Self::Folder { files: pictures(path)?, bytes: Vec::new() })
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

/// All pictures below a folder, in the order of their paths, or the one that `path` is.
///
/// # Errors
/// There is none, there are too many, or the folder cannot be read.
pub fn pictures(path: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    if path.is_file() { Ok(vec![path.to_path_buf()]) } else { list(path) }
}

/// In the order of their paths, which is the same on every file system.
fn list(folder: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((inner, depth)) = folders.pop() {
        for entry in fs::read_dir(&inner).map_err(|source| read(&inner, source))? {
            let path = entry.map_err(|source| read(&inner, source))?.path();
            if is_picture(&path) {
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

fn is_picture(path: &Path) -> bool {
    let ends_in = |known: &&str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(known));
    PICTURE_EXTENSIONS.iter().any(ends_in)
}

/// Decodes a picture's file, by way of `bytes`, which are kept for the next.
pub(crate) fn open_picture(path: &Path, bytes: &mut Vec<u8>) -> Result<RgbPicture, ReplayError> {
    let limits = Limits::default();
    bytes.clear();
    let file = File::open(path).map_err(|source| read(path, source))?;
    file.take(limits.file_bytes as u64 + 1)
        .read_to_end(bytes)
        .map_err(|source| read(path, source))?;
    decode_picture(bytes, limits).map_err(|source| damaged(path, source))
}

fn damaged(path: &Path, source: ImageError) -> ReplayError {
    ReplayError::Picture { path: path.to_path_buf(), source }
}

fn draw_picture(
    path: &Path,
    bytes: &mut Vec<u8>,
    picture: &Picture,
    out: &mut [u8],
) -> Result<(), ReplayError> {
    let decoded = open_picture(path, bytes)?;
    let (width, height) = (picture.width as usize, picture.height as usize);
    draw_letterboxed_into(&decoded, picture.pixels(), width, height, out)
        .map_err(|source| damaged(path, source))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use edgemill_kernels::image::PixelFormat;

    use super::{Recording, Replay};
    use crate::picture::{Coding, Picture};
    use crate::play::Frames;

    fn data(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
    }

    fn picture(format: PixelFormat) -> Picture {
        Picture { coding: Coding::Pixels(format), width: 16, height: 8 }
    }

    fn open(path: &Path, picture: Picture) -> Replay {
        Replay { recording: Recording::open(path, &picture).unwrap(), picture }
    }

    /// A file that goes away with the value.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let name = format!("edgemill-replay-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, bytes).unwrap();
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_folder_is_played_in_the_order_of_its_paths() {
        let picture = picture(PixelFormat::Rgb24);
        let mut replay = open(&data("pictures"), picture);
        assert_eq!(replay.count(), 2);
        let mut frame = vec![9; picture.bytes()];
        replay.fill(0, &mut frame).unwrap();
        let (edge, middle) = ([frame[0], frame[1], frame[2]], &frame[3 * 8..3 * 9]);
        assert_eq!(edge, [0; 3], "a tall picture stands between black bars");
        assert!(middle[2] > 190 && middle[0] < 10, "a/z.JPG is blue: {middle:?}");
        replay.fill(1, &mut frame).unwrap();
        assert!(frame[0] > 190 && frame[2] < 10, "b.jpg is red and fills the frame");
    }

    #[test]
    fn one_picture_is_a_recording_too() {
        let replay = open(&data("pictures/b.jpg"), picture(PixelFormat::Yuyv));
        assert_eq!(replay.count(), 1);
    }

    #[test]
    fn raw_frames_come_as_they_were_recorded() {
        let picture = picture(PixelFormat::Yuyv);
        let bytes: Vec<u8> =
            (0..3 * 256).map(|i| u8::try_from(i / 256 * 7 + i % 5).unwrap()).collect();
        let file = Temporary::new("raw", &bytes);
        let mut replay = open(&file.0, picture);
        assert_eq!(replay.count(), 3);
        let mut frame = vec![0; picture.bytes()];
        for index in [2_usize, 0, 1] {
            replay.fill(index as u64, &mut frame).unwrap();
            assert_eq!(frame, bytes[index * 256..][..256]);
        }
    }

    #[test]
    fn each_fault_has_its_message() {
        let short = Temporary::new("short", &[0; 300]);
        let empty = Temporary::new("empty", &[]);
        let cases = [
            ("absent", data("nowhere"), "nowhere: No such file or directory"),
            ("no picture", data("../../src"), "holds no file that ends in .jpg"),
            (
                "not a whole number",
                short.0.clone(),
                "is 300 bytes, which is not a whole number of frames of 256",
            ),
            ("empty", empty.0.clone(), "is 0 bytes"),
        ];
        for (fault, path, message) in cases {
            let error = Recording::open(&path, &picture(PixelFormat::Yuyv)).expect_err(fault);
            assert!(error.to_string().contains(message), "{fault}: {error}");
        }
    }

    #[test]
    fn a_damaged_picture_is_named_and_the_next_one_still_comes() {
        let picture = picture(PixelFormat::Grey);
        let mut replay = open(&data("damaged"), picture);
        let mut frame = vec![0; picture.bytes()];
        let error = replay.fill(1, &mut frame).expect_err("cut").to_string();
        assert!(error.contains("damaged/2-cut.jpg: cannot decode the JPEG"), "{error}");
        replay.fill(2, &mut frame).unwrap();
    }
}
