//! The end, in order and not.
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::guest::{BOOT, Guest, SOON};

/// From the request to stop our unit to its end, fail-safe included.
const STOP_S: f64 = 2.0;

/// The unit stops in order and in time, and so does the box with it.
pub fn shutdown(guest: &mut Guest) -> Result<String> {
    let mut took = Vec::new();
    // A loaded host may slow one of them.
    for _ in 0..3 {
        took.push(stop(guest)?);
        guest.run("systemctl start edgemill")?;
        guest.wire.wait(true, Instant::now(), SOON)?;
    }
    let best = took.iter().copied().fold(f64::INFINITY, f64::min);
    ensure!(best <= STOP_S, "the unit took {took:.2?} s to stop");
    let asked = guest.power_off()?;
    let off = asked.elapsed().as_secs_f64();
    let safe = guest.wire.wait(false, asked, SOON).context("at power-off")?;
    let safe = safe.duration_since(asked).as_secs_f64();
    Ok(format!(
        "unit {took:.2?} s; at power-off the line is safe after {safe:.1} s, off after {off:.1} s"
    ))
}

fn stop(guest: &mut Guest) -> Result<f64> {
    let asked = Instant::now();
    guest.run("systemctl stop edgemill")?;
    guest.wire.wait(false, asked, Duration::from_secs(5))?;
    let result = guest.unit("Result")?;
    ensure!(result == "success", "the unit ended with {result}");
    let began = guest.unit_time("ActiveExitTimestampMonotonic")?;
    Ok(guest.unit_time("InactiveEnterTimestampMonotonic")? - began)
}

/// The kernel crashes and stays where it is: the machine's own watchdog resets it, and the box decides again.
pub fn hw_watchdog(guest: &mut Guest) -> Result<String> {
    let identity = guest.run("cat /sys/class/watchdog/watchdog0/identity")?;
    ensure!(identity.contains("i6300ESB"), "the watchdog is {identity}");
    let patted = guest.run("systemctl show -P RuntimeWatchdogUSec")?;
    ensure!(patted != "0" && patted != "infinity", "systemd does not pat the watchdog");
    // A kernel that panics would otherwise restart by itself.
    guest.run("echo 0 >/proc/sys/kernel/panic && echo 1 >/proc/sys/kernel/sysrq")?;
    ensure!(guest.wire.is_high()?, "the line is not active before");
    let crashed = Instant::now();
    let _ = guest.machine.shell()?.ask("echo c >/proc/sysrq-trigger", Duration::from_secs(2));
    guest.machine.console.wait_for("Kernel panic", SOON)?;
    sleep(Duration::from_secs(1));
    let meanwhile = if guest.wire.is_high()? { "stays active" } else { "is inactive" };
    let reset = guest.wire.wait_event("WATCHDOG", crashed, SOON)?;
    let low = guest.wire.wait(false, reset, SOON)?;
    let decides = guest.wire.wait(true, low, BOOT)?.duration_since(reset).as_secs_f64();
    let after = reset.duration_since(crashed).as_secs_f64();
    Ok(format!(
        "reset {after:.1} s after the crash (the line {meanwhile} until then), decides {decides:.1} s later"
    ))
}
