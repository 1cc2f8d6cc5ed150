//! Cameras and GPIO chips of this machine, which only the devices themselves can tell of.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_capture::nodes;
use gpiocdev::chip::{Chip, chips};

/// What was found; what was not is told in `notes`.
#[derive(Debug, Default)]
pub struct Devices {
    /// Nodes that a pipeline can take pictures from.
    pub cameras: Vec<Camera>,
    /// GPIO chips.
    pub chips: Vec<Gpio>,
    /// What could not be found, and why.
    pub notes: Vec<String>,
}

/// A camera.
#[derive(Debug)]
pub struct Camera {
    /// Its link in /dev/v4l/by-path where it has one, else its node.
    pub device: PathBuf,
    /// Its name for people.
    pub card: String,
    /// The kernel's driver.
    pub driver: String,
    /// Format, width and height that it offers; `None` where it has no format that is taken.
    pub picture: Option<(&'static str, u32, u32)>,
}

/// A GPIO chip.
#[derive(Debug)]
pub struct Gpio {
    /// `gpiochip0`
    pub name: String,
    /// What the driver calls it.
    pub label: String,
    /// Offset, the kernel's name and whether a driver or program has it.
    pub lines: Vec<(u32, String, bool)>,
}

impl Devices {
    /// Opens every video node and every GPIO chip of this machine.
    pub fn look() -> Self {
        let mut devices = Self::default();
        devices.look_for_cameras();
        devices.look_for_chips();
        devices
    }

    fn look_for_cameras(&mut self) {
        let nodes = nodes();
        if nodes.is_empty() {
            self.notes.push("no camera in /dev/video*".to_owned());
        }
        for node in nodes {
            match node.camera {
                Ok(found) => self.cameras.push(Camera {
                    device: by_path(&node.path).unwrap_or(node.path),
                    card: found.card,
                    driver: found.driver,
                    picture: found.picture,
                }),
                Err(error) => self.notes.push(error.to_string()),
            }
        }
    }

    fn look_for_chips(&mut self) {
        let paths = chips().unwrap_or_default();
        for path in &paths {
            match chip(path) {
                Ok(found) => self.chips.push(found),
                Err(error) => self.notes.push(format!(
                    "{}: {error}; its lines show to a user of the group gpio, or to root",
                    path.display()
                )),
            }
        }
        if paths.is_empty() {
            self.notes.push("no GPIO chip in /dev/gpiochip*".to_owned());
        }
    }
}

/// The link that names the socket a camera is plugged into.
fn by_path(node: &Path) -> Option<PathBuf> {
    let listed = fs::read_dir("/dev/v4l/by-path").ok()?;
    let mut links: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    links.sort();
    links.into_iter().find(|link| fs::canonicalize(link).is_ok_and(|target| target == node))
}

fn chip(path: &Path) -> gpiocdev::Result<Gpio> {
    let chip = Chip::from_path(path)?;
    let info = chip.info()?;
    let line = |offset| {
        let line = chip.line_info(offset)?;
        Ok((offset, line.name, line.used))
    };
    let lines = (0..info.num_lines).map(line).collect::<gpiocdev::Result<_>>()?;
    Ok(Gpio { name: info.name, label: info.label, lines })
}
