//! `edgemill board show`: the facts of a board's file, as a table.
use std::fmt::{self, Display};

use edgemill_config::{Board, Camera, Line, LineAt, MemoryLock, Thermal};
use serde::Serialize;

use super::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill board show`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill board show --board board/rock-5b/board.toml")]
pub struct Args {
    #[command(flatten)]
    board: BoardArgs,
}

/// Prints them.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let facts = Facts::of(&args.board.load()?);
    output.result(&facts, &facts)
}

#[derive(Serialize)]
struct Facts {
    name: String,
    arch: Option<&'static str>,
    cores: Vec<u32>,
    clusters: Vec<Vec<usize>>,
    memory_mib: Option<u64>,
    memory_lock: &'static str,
    allow_unsigned: bool,
    cameras: Vec<CameraFact>,
    lines: Vec<LineFact>,
    watchdog: Option<WatchdogFact>,
    thermal: Vec<ThermalFact>,
}

#[derive(Serialize)]
struct CameraFact {
    name: String,
    device: String,
    format: Option<String>,
    width: Option<u64>,
    height: Option<u64>,
    rate_hz: Option<u64>,
    controls: Option<String>,
}

#[derive(Serialize)]
struct LineFact {
    name: String,
    chip: Option<String>,
    offset: Option<u64>,
    kernel_name: Option<String>,
    active_low: bool,
    idle: Option<&'static str>,
}

#[derive(Serialize)]
struct WatchdogFact {
    device: String,
    timeout_s: u64,
}

#[derive(Serialize)]
struct ThermalFact {
    zone: String,
    throttle_c: u64,
}

impl Facts {
    fn of(board: &Board) -> Self {
        let watchdog = board.watchdog.as_ref().map(|watchdog| WatchdogFact {
            device: watchdog.device.display().to_string(),
            timeout_s: watchdog.timeout_s,
        });
        Self {
            name: board.name.value.clone(),
            arch: board.arch.as_ref().map(|arch| arch.value.word()),
            cores: board.cores.clone(),
            clusters: board.clusters.clone(),
            memory_mib: board.memory_bytes.map(|bytes| bytes >> 20),
            memory_lock: match board.memory_lock {
                MemoryLock::Try => "try",
                MemoryLock::Require => "require",
                MemoryLock::Off => "off",
            },
            allow_unsigned: board.allow_unsigned,
            cameras: board.cameras.iter().map(camera).collect(),
            lines: board.lines.iter().map(line).collect(),
            watchdog,
            thermal: board.thermal.iter().map(thermal).collect(),
        }
    }
}

fn camera(camera: &Camera) -> CameraFact {
    let number =
        |number: &Option<edgemill_config::Located<u64>>| number.as_ref().map(|it| it.value);
    let text =
        |text: &Option<edgemill_config::Located<String>>| text.as_ref().map(|it| it.value.clone());
    CameraFact {
        name: camera.name.value.clone(),
        device: camera.device.value.clone(),
        format: text(&camera.format),
        width: number(&camera.width),
        height: number(&camera.height),
        rate_hz: number(&camera.rate_hz),
        controls: text(&camera.controls),
    }
}

fn line(line: &Line) -> LineFact {
    let (offset, kernel_name) = match &line.at {
        LineAt::Offset(offset) => (Some(*offset), None),
        LineAt::KernelName(name) => (None, Some(name.clone())),
    };
    LineFact {
        name: line.name.value.clone(),
        chip: line.chip.as_ref().map(|chip| chip.value.clone()),
        offset,
        kernel_name,
        active_low: line.active_low,
        idle: line.idle.map(edgemill_config::Idle::word),
    }
}

fn thermal(thermal: &Thermal) -> ThermalFact {
    ThermalFact { zone: thermal.zone.value.clone(), throttle_c: thermal.throttle_c }
}

impl Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "board     {}", self.name)?;
        write!(f, "\narch      {}", self.arch.unwrap_or("any"))?;
        write!(f, "\ncores     {}", numbers(&self.cores))?;
        let clusters: Vec<_> = self.clusters.iter().map(|it| numbers(it)).collect();
        if !clusters.is_empty() {
            write!(f, "\nclusters  {}", clusters.join(" | "))?;
        }
        let memory = self.memory_mib.map_or("not stated".to_owned(), |mib| format!("{mib} MiB"));
        write!(f, "\nmemory    {memory}, lock: {}", self.memory_lock)?;
        write!(f, "\nplugins   {}", if self.allow_unsigned { "unsigned too" } else { "signed" })?;
        self.cameras.iter().try_for_each(|camera| write!(f, "\n{camera}"))?;
        self.lines.iter().try_for_each(|line| write!(f, "\n{line}"))?;
        if let Some(WatchdogFact { device, timeout_s }) = &self.watchdog {
            write!(
                f,
                "\nwatchdog  {device}, {timeout_s} s; for systemd: WatchdogDevice={device}, \
                 RuntimeWatchdogSec={timeout_s}"
            )?;
        }
        self.thermal.iter().try_for_each(|ThermalFact { zone, throttle_c }| {
            write!(f, "\nthermal   {zone}, slower from {throttle_c} °C")
        })
    }
}

impl Display for CameraFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "camera    @{}: {}", self.name, self.device)?;
        if let Some(format) = &self.format {
            write!(f, ", {format}")?;
        }
        if let (Some(width), Some(height)) = (self.width, self.height) {
            write!(f, ", {width}x{height}")?;
        }
        self.rate_hz.map_or(Ok(()), |hz| write!(f, ", {hz} Hz"))
    }
}

impl Display for LineFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line      @{}: ", self.name)?;
        match (self.offset, &self.kernel_name) {
            (Some(offset), _) => write!(f, "{offset}")?,
            (_, name) => f.write_str(name.as_deref().unwrap_or_default())?,
        }
        if let Some(chip) = &self.chip {
            write!(f, " of {chip}")?;
        }
        let active = if self.active_low { "low" } else { "high" };
        write!(f, ", active {active}, held by nobody: {}", self.idle.unwrap_or("not known"))
    }
}

fn numbers(all: &[impl Display]) -> String {
    match all {
        [] => "not stated".to_owned(),
        all => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
