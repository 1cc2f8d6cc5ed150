//! The devices of a board, by the names that pipelines use.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::error::{ConfigError, Fault, Found, choice, few, name, shown, within};
use crate::limits;
use crate::place::{Located, Place, Source};
use crate::raw::{RawCamera, RawLine, RawThermal, RawWatchdog};

/// A camera, and the picture that it is asked for where a pipeline does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Unique among the board's cameras.
    pub name: Located<String>,
    /// What the source `v4l` takes as its `device`: a path, `card:NAME` or `driver:NAME`.
    pub device: Located<String>,
    /// Pixel format.
    pub format: Option<Located<String>>,
    /// Pixels.
    pub width: Option<Located<u64>>,
    /// Pixels.
    pub height: Option<Located<u64>>,
    /// Frames a second.
    pub rate_hz: Option<Located<u64>>,
    /// `NAME=VALUE, …`: what it is set to when it is opened.
    pub controls: Option<Located<String>>,
}

/// A GPIO line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Unique among the board's lines.
    pub name: Located<String>,
    /// Name (`gpiochip0`), label (`pinctrl-rp1`) or path of its chip; `None` where Linux knows the line by a name.
    pub chip: Option<Located<String>>,
    /// Its offset on the chip, or the name that Linux has for it.
    pub at: LineAt,
    /// Whether it is active when it is low.
    pub active_low: bool,
    /// What it does when no program holds it; `None` where that is not known.
    pub idle: Option<Idle>,
}

/// Which line of the chips it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineAt {
    /// On its chip, from 0.
    Offset(u64),
    /// As `gpioinfo` lists it.
    KernelName(String),
}

/// What a GPIO line does when no program holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// An input, which a resistor pulls low.
    PullDown,
    /// An input, which a resistor pulls high.
    PullUp,
    /// An input that nothing pulls.
    Floating,
    /// It stays as it was driven last.
    Keeps,
}

/// The hardware watchdog. systemd pats it (`RuntimeWatchdogSec=`), not Edgemill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Its device.
    pub device: PathBuf,
    /// What it is to be set to, in seconds; no more than it can count.
    pub timeout_s: u64,
}

/// A sensor of the kernel's, and when the kernel or the firmware slows the cores down.
#[derive(Clone, Debug, PartialEq)]
pub struct Thermal {
    /// As `/sys/class/thermal/thermal_zone*/type` has it.
    pub zone: Located<String>,
    /// Degrees Celsius.
    pub throttle_c: u64,
}

/// Pixel formats that the source `v4l` takes.
pub const PICTURE_FORMATS: [&str; 5] = ["YUYV", "GREY", "RGB24", "NV12", "MJPEG"];
const IDLES: [(&str, Idle); 4] = [
    ("pull-down", Idle::PullDown),
    ("pull-up", Idle::PullUp),
    ("floating", Idle::Floating),
    ("keeps", Idle::Keeps),
];
/// As the source `v4l` has it.
const MOST_SIDE: u64 = 8192;
/// As the source `v4l` has it.
const MOST_RATE_HZ: u64 = 1000;
/// Linux counts the lines of a chip in 16 bits.
const MOST_OFFSET: u64 = u16::MAX as u64;
/// Above any trip point: chips stop at about 125 °C.
const MOST_DEGREES: u64 = 150;

impl Idle {
    /// As it stands in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        IDLES.iter().find(|(_, idle)| *idle == self).map_or("", |(word, _)| word)
    }
}

pub(crate) fn check_cameras(
    raw: Vec<RawCamera>,
    source: &Source<'_>,
    found: &mut Found,
) -> Option<Vec<Camera>> {
    found.note(few("cameras", raw.len(), limits::CAMERAS, || source.whole()))?;
    let cameras: Vec<Option<Camera>> =
        raw.into_iter().map(|camera| check_camera(camera, source, found)).collect();
    let cameras = cameras.into_iter().collect::<Option<Vec<_>>>()?;
    unique("camera", cameras.iter().map(|camera| &camera.name), found);
    Some(cameras)
}

fn check_camera(raw: RawCamera, source: &Source<'_>, found: &mut Found) -> Option<Camera> {
    let mut number = |key, raw: Option<Spanned<u64>>, least, most| {
        let number = raw.map(|number| source.locate(number));
        let checked =
            number.map(|number| within(key, &number, least, most).map(|_| number)).transpose();
        found.note(checked)
    };
    let width = number("width", raw.width, 2, MOST_SIDE);
    let height = number("height", raw.height, 2, MOST_SIDE);
    let rate_hz = number("rate-hz", raw.rate_hz, 1, MOST_RATE_HZ);
    let format = raw.format.map(|word| source.locate(word));
    let known = PICTURE_FORMATS.map(|word| (word, ()));
    let format =
        found.note(format.map(|word| choice("format", &word, &known).map(|()| word)).transpose());
    let controls = raw.controls.map(|controls| text("controls", source.locate(controls)));
    let controls = found.note(controls.transpose());
    let name = found.note(name("camera", source.locate(raw.name)));
    let device = found.note(check_camera_device(source.locate(raw.device)));
    Some(Camera {
        name: name?,
        device: device?,
        format: format?,
        width: width?,
        height: height?,
        rate_hz: rate_hz?,
        controls: controls?,
    })
}

fn check_camera_device(device: Located<String>) -> Result<Located<String>, ConfigError> {
    let device = text("device", device)?;
    let named = ["card:", "driver:"].iter().find_map(|prefix| device.strip_prefix(prefix));
    match named {
        Some("") => Err(syntax("device", "names no camera after the colon", &device.at)),
        None if !device.starts_with('/') => {
            Err(syntax("device", "is none of /dev/…, card:NAME and driver:NAME", &device.at))
        }
        _ => Ok(device),
    }
}

pub(crate) fn check_lines(
    raw: Vec<RawLine>,
    source: &Source<'_>,
    found: &mut Found,
) -> Option<Vec<Line>> {
    found.note(few("lines", raw.len(), limits::LINES, || source.whole()))?;
    let lines: Vec<Option<Line>> =
        raw.into_iter().map(|line| check_line(line, source, found)).collect();
    let lines = lines.into_iter().collect::<Option<Vec<_>>>()?;
    unique("line", lines.iter().map(|line| &line.name), found);
    Some(lines)
}

fn check_line(raw: RawLine, source: &Source<'_>, found: &mut Found) -> Option<Line> {
    let name = found.note(name("line", source.locate(raw.name)))?;
    let chip = raw.chip.map(|chip| text("chip", source.locate(chip))).transpose();
    let chip = found.note(chip)?;
    let offset = raw.offset.map(|number| source.locate(number));
    let kernel_name = raw.kernel_name.map(|text| source.locate(text));
    let wrong = |problem: &str| {
        let (what, problem) = ("line", problem.to_owned());
        Fault::Entry { what, name: shown(&name), problem }.at(name.at.clone())
    };
    let at = match (offset, kernel_name) {
        (Some(_), Some(_)) => Err(wrong("has both offset and kernel-name; keep one of them")),
        (None, None) => Err(wrong(
            "has neither offset nor kernel-name; add chip and offset, or the name in gpioinfo",
        )),
        (Some(_), None) if chip.is_none() => {
            Err(wrong("has an offset and no chip; add the chip's label, name or path"))
        }
        (Some(offset), None) => within("offset", &offset, 0, MOST_OFFSET).map(LineAt::Offset),
        (None, Some(kernel)) => {
            text("kernel-name", kernel).map(|kernel| LineAt::KernelName(kernel.value))
        }
    };
    let idle = raw.idle.map(|word| choice("idle", &source.locate(word), &IDLES)).transpose();
    let (at, idle) = (found.note(at), found.note(idle));
    Some(Line { at: at?, idle: idle?, chip, active_low: raw.active_low, name })
}

pub(crate) fn check_watchdog(
    raw: RawWatchdog,
    source: &Source<'_>,
) -> Result<Watchdog, ConfigError> {
    let device = text("device", source.locate(raw.device))?;
    if !device.starts_with('/') {
        return Err(syntax("device", "is no path in /dev", &device.at));
    }
    let most = limits::MILLISECONDS / 1000;
    let timeout_s = within("timeout-s", &source.locate(raw.timeout_s), 1, most)?;
    Ok(Watchdog { device: Path::new(&device.value).to_owned(), timeout_s })
}

pub(crate) fn check_thermal(
    raw: Vec<RawThermal>,
    source: &Source<'_>,
    found: &mut Found,
) -> Option<Vec<Thermal>> {
    found.note(few("thermal zones", raw.len(), limits::THERMAL_ZONES, || source.whole()))?;
    let zones: Vec<Option<Thermal>> = raw
        .into_iter()
        .map(|raw| {
            let zone = found.note(text("zone", source.locate(raw.zone)));
            let throttle =
                found.note(within("throttle-c", &source.locate(raw.throttle_c), 1, MOST_DEGREES));
            Some(Thermal { zone: zone?, throttle_c: throttle? })
        })
        .collect();
    zones.into_iter().collect()
}

/// Cores of each cluster: all that there are, and none twice.
pub(crate) fn check_clusters(
    raw: Vec<Vec<Spanned<u64>>>,
    cores: usize,
    source: &Source<'_>,
) -> Result<Vec<Vec<usize>>, ConfigError> {
    few("clusters", raw.len(), limits::CORES, || source.whole())?;
    if cores == 0 && !raw.is_empty() {
        return Err(syntax(
            "clusters",
            "need cores, which this file does not list",
            &source.whole(),
        ));
    }
    let mut first: BTreeMap<u64, Place> = BTreeMap::new();
    let mut clusters = Vec::new();
    for cluster in raw {
        let mut members = Vec::new();
        for number in cluster {
            let number = source.locate(number);
            let most = u64::try_from(cores.saturating_sub(1)).unwrap_or(u64::MAX);
            let core = within("a cluster's core", &number, 0, most)?;
            if let Some(first) = first.insert(core, number.at.clone()) {
                let fault = Fault::Duplicate { what: "core", name: core.to_string(), first };
                return Err(fault.at(number.at));
            }
            members.push(usize::try_from(core).unwrap_or(usize::MAX));
        }
        clusters.push(members);
    }
    if !clusters.is_empty() && first.len() != cores {
        let problem = format!("name {} of the {cores} cores", first.len());
        return Err(syntax("clusters", &problem, &source.whole()));
    }
    Ok(clusters)
}

fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a Located<String>>,
    found: &mut Found,
) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for name in names {
        if let Some(first) = seen.insert(name, &name.at) {
            let fault = Fault::Duplicate { what, name: shown(name), first: first.clone() };
            found.push(fault.at(name.at.clone()));
        }
    }
}

/// Neither empty nor longer than a path, and without NUL, which no plugin can be given.
fn text(key: &str, text: Located<String>) -> Result<Located<String>, ConfigError> {
    if text.is_empty() || text.contains('\0') || text.len() > limits::TEXT_BYTES {
        return Err(syntax(key, "must have 1 to 4096 bytes and no NUL character", &text.at));
    }
    Ok(text)
}

fn syntax(key: &str, problem: &str, at: &Place) -> ConfigError {
    Fault::Syntax(format!("{key} {problem}")).at(at.clone())
}
