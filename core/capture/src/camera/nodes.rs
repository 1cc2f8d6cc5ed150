//! The video nodes of this machine, what each of them is, and which of them a card's or a driver's name means.
use std::path::{Path, PathBuf};

use v4l::framesize::{FrameSize, FrameSizeEnum};
use v4l::video::Capture;
use v4l::{Device, FourCC};

use super::device::Open;
use super::error::CameraError;
use super::{ioctl, offer};
use crate::picture;

/// A picture that is asked for where a camera offers it.
const USUAL: (u32, u32) = (640, 480);

/// A camera that a pipeline can take pictures from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Its name for people.
    pub card: String,
    /// The kernel's driver.
    pub driver: String,
    /// Format, width and height of a picture that it offers; `None` where it has no format that is taken.
    pub picture: Option<(&'static str, u32, u32)>,
}

/// A node in /dev, and the camera behind it or why there is none.
#[derive(Debug)]
pub struct Node {
    /// `/dev/videoN`
    pub path: PathBuf,
    /// What is behind it.
    pub camera: Result<Camera, CameraError>,
}

/// Every video node, in the order of their numbers. Each is opened and asked.
#[must_use]
pub fn nodes() -> Vec<Node> {
    let number = |path: &PathBuf| {
        path.to_str()?.strip_prefix("/dev/video")?.parse::<u32>().ok().map(|n| (n, path.clone()))
    };
    let listed = std::fs::read_dir("/dev").into_iter().flatten();
    let mut paths: Vec<_> = listed.filter_map(|entry| number(&entry.ok()?.path())).collect();
    paths.sort();
    let nodes = paths.into_iter().map(|(_, path)| Node { camera: look(&path), path });
    nodes.collect()
}

fn look(path: &Path) -> Result<Camera, CameraError> {
    let open = Open::new(path)?;
    let device = open.device();
    let unanswered = |source| CameraError::Open { path: path.to_owned(), source };
    let ioctl::Capability { card, driver, .. } = ioctl::capability(device).map_err(unanswered)?;
    Ok(Camera { card, driver, picture: best_picture(device) })
}

fn best_picture(device: &Device) -> Option<(&'static str, u32, u32)> {
    let code = ioctl::formats(device).into_iter().find(|code| picture::word(*code).is_some())?;
    let sizes = device.enum_framesizes(FourCC::new(&code)).unwrap_or_default();
    let usual = sizes.iter().any(|size| offers(size, USUAL));
    let (width, height) = if usual { USUAL } else { first(sizes.first()?) };
    Some((picture::word(code)?, width, height))
}

fn offers(offer: &FrameSize, (width, height): (u32, u32)) -> bool {
    match &offer.size {
        FrameSizeEnum::Discrete(size) => (size.width, size.height) == (width, height),
        FrameSizeEnum::Stepwise(size) => {
            let fits = |least, most, step, side| {
                (least..=most).contains(&side) && (side - least) % u32::max(step, 1) == 0
            };
            fits(size.min_width, size.max_width, size.step_width, width)
                && fits(size.min_height, size.max_height, size.step_height, height)
        }
    }
}

fn first(offer: &FrameSize) -> (u32, u32) {
    match &offer.size {
        FrameSizeEnum::Discrete(size) => (size.width, size.height),
        FrameSizeEnum::Stepwise(size) => (size.min_width, size.min_height),
    }
}

/// What `device` says a camera is known by.
enum Known<'a> {
    Path,
    Card(&'a str),
    Driver(&'a str),
}

fn known(device: &str) -> Known<'_> {
    match device.split_once(':') {
        Some(("card", name)) => Known::Card(name),
        Some(("driver", name)) => Known::Driver(name),
        _ => Known::Path,
    }
}

/// `device` as it is kept: a relative path begins at `base`, a card's or a driver's name does not.
pub(crate) fn keep(base: &Path, device: &str) -> PathBuf {
    match known(device) {
        Known::Path => base.join(device),
        Known::Card(_) | Known::Driver(_) => device.into(),
    }
}

/// The node: the path itself, or the first camera of that card or driver.
pub(super) fn find(device: &Path) -> Result<PathBuf, CameraError> {
    let matches = |camera: &Camera| match known(device.to_str().unwrap_or_default()) {
        Known::Path => false,
        Known::Card(card) => camera.card == card,
        Known::Driver(driver) => camera.driver == driver,
    };
    if matches!(known(device.to_str().unwrap_or_default()), Known::Path) {
        return Ok(device.to_owned());
    }
    let mut denied = None;
    for node in nodes() {
        match node.camera {
            Ok(camera) if matches(&camera) => return Ok(node.path),
            Err(error @ CameraError::Denied { .. }) => denied = denied.or(Some(error)),
            _ => (),
        }
    }
    let absent = CameraError::Absent { path: device.to_owned(), present: offer::cameras() };
    Err(denied.unwrap_or(absent))
}

#[cfg(test)]
mod tests {
    use super::{CameraError, Path, find, keep};

    #[test]
    fn only_a_path_begins_at_the_folder() {
        let base = Path::new("/etc/edgemill");
        for (device, kept) in [
            ("video0", "/etc/edgemill/video0"),
            ("/dev/video0", "/dev/video0"),
            ("card:USB 2.0 Camera: HD", "card:USB 2.0 Camera: HD"),
            ("driver:uvcvideo", "driver:uvcvideo"),
        ] {
            assert_eq!(keep(base, device), Path::new(kept));
        }
    }

    #[test]
    fn a_card_that_is_absent_is_named_and_a_path_is_taken_as_it_is() {
        let path = Path::new("/dev/v4l/by-path/x:1");
        assert_eq!(find(path).expect("not looked for"), path);
        let error = find(Path::new("card:no such card")).expect_err("absent");
        assert!(
            matches!(error, CameraError::Absent { .. } | CameraError::Denied { .. }),
            "{error}"
        );
        assert!(!error.to_string().is_empty());
    }
}
