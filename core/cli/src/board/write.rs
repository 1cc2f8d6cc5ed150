//! The text of a first `board.toml`.
use std::fmt::{self, Write};

use edgemill_config::{Arch, printable};

use super::devices::{Camera, Devices, Gpio};
use super::machine::{Machine, Watchdog, Zone};

/// What a name is when nothing is known.
const NO_NAME: &str = "unknown-board";
/// The longest text of a device that is repeated, in bytes.
const SHOWN: usize = 120;
/// Names of lines that are listed for one chip.
const MOST_LINES: usize = 64;

/// The file. `name` goes before what was found.
pub fn board(name: Option<&str>, machine: &Machine, devices: &Devices) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_board(&mut text, name, machine, devices);
    text
}

fn write_board(
    out: &mut String,
    name: Option<&str>,
    machine: &Machine,
    devices: &Devices,
) -> fmt::Result {
    let found = machine.identity.as_deref().and_then(slug);
    let model = machine.model.as_deref().unwrap_or("A machine that does not name itself");
    writeln!(out, "# {}, as `edgemill board detect` found it. Check every line,", shown(model))?;
    writeln!(
        out,
        "# name the source of what you add, and see docs/adding-a-board.md for what else there may be."
    )?;
    for note in machine.notes.iter().chain(&devices.notes) {
        writeln!(out, "# Not found: {}", printable(note, 400))?;
    }
    writeln!(out, "\n# Models are signed for boards by this name.")?;
    let name = name.map(str::to_owned).or(found).unwrap_or_else(|| NO_NAME.to_owned());
    writeln!(out, "name = {}", quoted(&name))?;
    writeln!(out, "arch = {}", quoted(Arch::HERE.word()))?;
    write_cores(out, machine)?;
    if let Some(mib) = machine.memory_mib {
        writeln!(out, "\n# MemTotal of /proc/meminfo. Write less where others need memory too.")?;
        writeln!(out, "memory-mib = {mib}")?;
    }
    writeln!(out, "\n# require: do not start without locked memory.\nmemory-lock = \"try\"")?;
    for (index, camera) in devices.cameras.iter().enumerate() {
        write_camera(out, index, camera)?;
    }
    devices.chips.iter().try_for_each(|chip| write_chip(out, chip))?;
    write_watchdogs(out, &machine.watchdogs)?;
    machine.zones.iter().try_for_each(|zone| write_zone(out, zone))
}

fn write_cores(out: &mut String, machine: &Machine) -> fmt::Result {
    if machine.cores == 0 {
        return Ok(());
    }
    match machine.capacities.is_empty() {
        true => {
            writeln!(out, "\n# The kernel states no capacity: the cores are taken to be alike.")?
        }
        false => writeln!(out, "\n# /sys/devices/system/cpu/cpu*/cpu_capacity")?,
    }
    let capacity = |core| machine.capacities.get(core).copied().unwrap_or(1024);
    let capacities: Vec<u32> = (0..machine.cores).map(capacity).collect();
    writeln!(out, "cores = {capacities:?}")?;
    if !machine.clusters.is_empty() {
        writeln!(out, "# /sys/devices/system/cpu/cpu*/topology")?;
        writeln!(out, "clusters = {:?}", machine.clusters)?;
    }
    Ok(())
}

fn write_camera(out: &mut String, index: usize, camera: &Camera) -> fmt::Result {
    let Camera { device, card, driver, picture } = camera;
    writeln!(out, "\n# card:{}, driver:{}", shown(card), shown(driver))?;
    let Some((format, width, height)) = picture else {
        return writeln!(
            out,
            "# {} has no format that is taken (YUYV, GREY, RGB24), so it is left out.",
            shown(&device.to_string_lossy())
        );
    };
    writeln!(out, "[[camera]]\nname = \"camera{index}\"")?;
    writeln!(out, "device = {}", quoted(&device.to_string_lossy()))?;
    writeln!(out, "format = \"{format}\"\nwidth = {width}\nheight = {height}")
}

/// What is wired to a line nobody can see: the lines are listed, and one is shown as an example.
fn write_chip(out: &mut String, chip: &Gpio) -> fmt::Result {
    let Gpio { name, label, lines } = chip;
    let used = lines.iter().filter(|(.., used)| *used).count();
    writeln!(
        out,
        "\n# {} ({}): {} lines, {used} of them in use.",
        shown(name),
        shown(label),
        lines.len()
    )?;
    let named = |line: &&(u32, String, bool)| !line.2 && !line.1.trim_matches('-').is_empty();
    let names: Vec<_> = lines
        .iter()
        .filter(named)
        .take(MOST_LINES)
        .map(|(offset, name, _)| format!("{offset} {}", printable(name, 32)))
        .collect();
    for some in names.chunks(8) {
        writeln!(out, "#   {}", some.join(", "))?;
    }
    let Some((offset, ..)) = lines.iter().find(|(.., used)| !used) else { return Ok(()) };
    writeln!(
        out,
        "# To use one, say what is wired to it and, by idle, what holds it when no program does:"
    )?;
    writeln!(out, "# [[line]]\n# name = \"relay\"\n# chip = {}", quoted(label))?;
    writeln!(out, "# offset = {offset}\n# idle = \"pull-down\"")
}

fn write_watchdogs(out: &mut String, watchdogs: &[Watchdog]) -> fmt::Result {
    // A board has one: the first, which is systemd's default too.
    let Some(Watchdog { name, identity, timeout_s }) = watchdogs.first() else { return Ok(()) };
    let identity = identity.as_deref().unwrap_or("which does not name itself");
    writeln!(out, "\n# {name}, {}. systemd pats it: RuntimeWatchdogSec=.", shown(identity))?;
    let off = if timeout_s.is_some() { "" } else { "# " };
    if timeout_s.is_none() {
        writeln!(out, "# The kernel does not show its time; see its driver.")?;
    }
    writeln!(out, "{off}[watchdog]\n{off}device = \"/dev/{name}\"")?;
    writeln!(out, "{off}timeout-s = {}", timeout_s.unwrap_or(30))
}

fn write_zone(out: &mut String, zone: &Zone) -> fmt::Result {
    match zone.throttle_c {
        Some(throttle_c) => {
            writeln!(out, "\n# The lowest passive trip of /sys/class/thermal.\n[[thermal]]")?;
            writeln!(out, "zone = {}\nthrottle-c = {throttle_c}", quoted(&zone.name))
        }
        None => writeln!(
            out,
            "\n# Thermal zone {} has no passive trip: whether anything slows down is for its firmware to say.",
            shown(&zone.name)
        ),
    }
}

/// `raspberrypi,4-model-b` → `raspberrypi-4-model-b`; `None` where nothing is left.
fn slug(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = text.chars().map(plain).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name.truncate(edgemill_config::limits::NAME_BYTES);
    (!name.is_empty()).then_some(name)
}

/// A device's text, fit for a comment.
fn shown(text: &str) -> String {
    printable(text, SHOWN)
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
