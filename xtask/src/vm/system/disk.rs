//! Disks that are full, or may not be written.
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::base::NEWER;
use super::faults::active;
use super::guest::{BOOT, Guest, SHARE};

/// No byte is left where the store is.
pub fn full(guest: &mut Guest) -> Result<String> {
    let (pid, began) = (guest.pid()?, Instant::now());
    let install = format!("edgemill model install {SHARE}/{}", NEWER[0]);
    let _ = guest.ask("dd if=/dev/zero of=/var/lib/fill bs=1M; sync")?;
    let left = guest.run("df --output=avail / | tail -n 1")?;
    let refused = guest.ask(&install)?;
    let version = active(&guest.run("edgemill --json model list")?);
    let goes_on = guest.goes_on();
    guest.run("rm /var/lib/fill && sync")?;
    ensure!(left.trim() == "0", "{left} KiB were left");
    ensure!(refused.code == 5, "install ended with {}: {}", refused.code, refused.text);
    ensure!(refused.text.contains("disk is full"), "it does not say why: {}", refused.text);
    ensure!(version.as_deref() == Some("1.0.0"), "{version:?} is active now");
    goes_on.context("while the disk was full")?;
    let installed = guest.run(&install).context("after space was made")?;
    ensure!(installed.contains("candidate"), "{installed}");
    ensure!(guest.pid()? == pid, "the daemon was restarted");
    ensure!(guest.wire.changes_since(began) == 0, "the line changed meanwhile");
    let said = refused.text.lines().next().unwrap_or_default().to_owned();
    Ok(format!("the daemon went on; refused with: {said}"))
}

/// Root file system read-only; only `/var/lib/edgemill`, on a disk of its own, can be written.
pub fn read_only(guest: &mut Guest) -> Result<String> {
    let seconds = guest.wire.wait(true, guest.began, BOOT)?.duration_since(guest.began);
    let options = guest.run("findmnt -n -o OPTIONS /")?;
    ensure!(options.split(',').any(|option| option == "ro"), "/ is mounted {options}");
    for path in ["/etc/edgemill/x", "/var/lib/x", "/var/tmp/x"] {
        ensure!(guest.ask(&format!("touch {path}"))?.code != 0, "{path} can be written");
    }
    guest.goes_on()?;
    let installed = guest.run(&format!("edgemill model install {SHARE}/{}", NEWER[0]))?;
    ensure!(installed.contains("candidate"), "{installed}");
    let failed = guest.run("systemctl list-units --failed --no-legend --plain")?;
    ensure!(!failed.contains("edgemill"), "{failed}");
    Ok(format!("decides {:.1} s after power, installs a model", seconds.as_secs_f64()))
}
