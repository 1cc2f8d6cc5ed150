//! From power to the first decision.
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::guest::{BOOT, Guest};

/// READY, the first decision, the line: when each came, and what of the start of the system is ours.
pub fn to_gpio(guest: &mut Guest) -> Result<String> {
    let line = guest.wire.wait(true, guest.began, BOOT)?.duration_since(guest.began).as_secs_f64();
    guest.goes_on()?;
    let kernel = guest.run("cat /sys/kernel/debug/gpio")?;
    let ours = kernel.lines().find(|line| line.contains("|edgemill"));
    let ours = ours.with_context(|| format!("the kernel knows no line of ours: {kernel}"))?;
    ensure!(ours.contains("out hi"), "the kernel sees our line otherwise than its pin: {ours}");
    let [asked, ready] = [
        guest.unit_time("InactiveExitTimestampMonotonic")?,
        guest.unit_time("ActiveEnterTimestampMonotonic")?,
    ];
    guest.wait("systemd has started everything", "systemctl is-system-running", BOOT)?;
    let userspace = guest.manager_time("-P UserspaceTimestampMonotonic")?;
    let finish = guest.manager_time("-P FinishTimestampMonotonic")?;
    let share = (ready - asked) / (finish - userspace) * 100.0;
    Ok(format!(
        "READY {ready:.1} s and the system {finish:.1} s after the kernel began, line {line:.1} s after power; \
         {:.1} s ({share:.0} %) of userspace start-up is ours",
        ready - asked
    ))
}

/// A clock that begins in 1970: what is signed is verified, and decisions are made.
pub fn no_clock(guest: &mut Guest) -> Result<String> {
    let booted = guest.run("date +%Y-%m-%d")?;
    // systemd sets a clock that is behind itself to its own date of build. A board may do less.
    guest.run("date -s @86400 && systemctl restart edgemill")?;
    let began = Instant::now();
    guest.wire.wait(true, began, BOOT).context("on 2 January 1970")?;
    guest.goes_on()?;
    let year = guest.run("date +%Y")?;
    ensure!(year == "1970", "the clock went on to {year}");
    let plugins = guest.run("grep -c sha256 /usr/lib/edgemill/plugins/plugins.json")?;
    ensure!(plugins != "0", "no plugin is listed: nothing was verified");
    Ok(format!("decides on {booted}, which systemd made of 1970, and on 1970-01-02"))
}
