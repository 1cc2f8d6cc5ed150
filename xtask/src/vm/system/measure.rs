//! What a box costs: its start beside the same system's without us, its memory, its size, its exposure.
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::base::{self, Base};
use super::guest::{BOOT, Guest, Power, words};
use super::unit;
use crate::image::debs;
use crate::vm::Context;

/// Boots of each kind.
const ROUNDS: usize = 5;
/// The kernel's words for a system that does not start us.
const WITHOUT: &str = "systemd.mask=edgemill.service systemd.mask=edgemill-keys.service";

/// Everything, as it was measured; times in seconds since the kernel began.
#[derive(Default)]
pub struct Measures {
    /// Of boots without us: when systemd had started everything.
    pub without: Vec<f64>,
    /// When our unit was ready.
    pub ready: Vec<f64>,
    /// When the line became active by the first decision.
    pub decided: Vec<f64>,
    /// Proportional set size of the daemon, MB.
    pub pss: Vec<f64>,
    /// The score of `systemd-analyze security`.
    pub exposure: f64,
    /// All files of the image, MB.
    pub root: f64,
    /// Those of the package `edgemill`, MB.
    pub package: f64,
}

/// Boots in turn with and without us.
///
/// # Errors
/// The box cannot be set up, or does not start.
pub fn measure(context: &Context) -> Result<Measures> {
    let base = base::ensure(context)?;
    let mut measures = Measures { root: base.image.root_used as f64 / 1e6, ..Measures::default() };
    let mut packages = base.image.packages.iter();
    let ours = packages.find(|deb| deb.to_string_lossy().contains("/edgemill_"));
    measures.package = debs::installed_size(ours.context("no package edgemill")?)? as f64 / 1e6;
    for round in 1..=ROUNDS {
        eprintln!("boot {round} of {ROUNDS}, without and with Edgemill");
        measures.without.push(without(context, &base)?);
        with(context, &base, &mut measures)?;
    }
    Ok(measures)
}

fn boot(context: &Context, base: &Base, words: String) -> Result<Guest> {
    let mut guest = Guest::boot(Power {
        image: &base.image,
        disk: &base.disk,
        keeps: false,
        disks: Vec::new(),
        words,
        share: &base.share,
        more: &[],
        log: context.log("system-measured"),
    })?;
    guest.ready()?;
    Ok(guest)
}

fn without(context: &Context, base: &Base) -> Result<f64> {
    let mut guest = boot(context, base, format!("{} {WITHOUT}", words(true)))?;
    guest.wait("systemd has started everything", "systemctl is-system-running", BOOT)?;
    guest.manager_time("-P FinishTimestampMonotonic")
}

fn with(context: &Context, base: &Base, measures: &mut Measures) -> Result<()> {
    let mut guest = boot(context, base, words(true))?;
    let line = guest.wire.wait(true, guest.began, BOOT)?;
    // The kernel's clock begins a little after power does.
    let clock = guest.run("cut -d' ' -f1 /proc/uptime")?;
    let clock: f64 = clock.parse().with_context(|| format!("/proc/uptime is {clock}"))?;
    measures.decided.push(clock - Instant::now().duration_since(line).as_secs_f64());
    measures.ready.push(guest.unit_time("ActiveEnterTimestampMonotonic")?);
    guest.wait("systemd has started everything", "systemctl is-system-running", BOOT)?;
    let pid = guest.pid()?;
    let pss =
        guest.run(&format!("sed -n 's/^Pss: *\\([0-9]*\\) kB/\\1/p' /proc/{pid}/smaps_rollup"))?;
    let pss: f64 = pss.trim().parse().with_context(|| format!("Pss is {pss:?}"))?;
    measures.pss.push(pss * 1024.0 / 1e6);
    measures.exposure = unit::exposure(&mut guest)?;
    Ok(())
}
