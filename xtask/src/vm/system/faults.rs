//! What happens to the line, and to the decisions, when the daemon, a stage or a model fails.
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::base::NEWER;
use super::guest::{Guest, SHARE, SOON};

/// `kill -9`: the safe state, a new daemon, decisions; and what the line does where nobody applies a safe state.
pub fn killed(guest: &mut Guest) -> Result<String> {
    let seconds = ends_and_comes_back(guest, "KILL")?;
    keeps_its_level(guest)?;
    Ok(format!("{seconds}; without the fail-safe the line stays active"))
}

/// SIGSTOP: the watchdog of systemd.
pub fn hung(guest: &mut Guest) -> Result<String> {
    let cursor = guest.cursor()?;
    let seconds = ends_and_comes_back(guest, "STOP")?;
    let said = guest.journal(&cursor)?;
    ensure!(said.contains("Watchdog timeout"), "it was not the watchdog: {said}");
    Ok(seconds)
}

/// Sends a signal to the daemon and follows the line.
fn ends_and_comes_back(guest: &mut Guest, signal: &str) -> Result<String> {
    let (pid, restarts, cursor) = (guest.pid()?, restarts(guest)?, guest.cursor()?);
    ensure!(guest.wire.is_high()?, "the line is not active before");
    let began = Instant::now();
    guest.run(&format!("kill -{signal} {pid}"))?;
    let safe = guest.wire.wait(false, began, SOON)?;
    let again = guest.wire.wait(true, safe, SOON)?;
    guest.goes_on()?;
    ensure!(guest.pid()? != pid, "it is the same process");
    ensure!(self::restarts(guest)? == restarts + 1, "systemd did not restart it once");
    let said = guest.journal(&cursor)?;
    ensure!(
        said.contains("put in its safe state"),
        "nobody says that the line was made safe: {said}"
    );
    let seconds = |at: Instant| at.duration_since(began).as_secs_f64();
    Ok(format!("safe after {:.2} s, decisions again after {:.2} s", seconds(safe), seconds(again)))
}

fn restarts(guest: &mut Guest) -> Result<u32> {
    Ok(guest.unit("NRestarts")?.parse()?)
}

/// The control of the experiment: no fail-safe, no restart. Then the board's `idle = "keeps"` is what is seen.
fn keeps_its_level(guest: &mut Guest) -> Result<()> {
    let only = "[Service]\nExecStopPost=\nRestart=no\n";
    guest.put("/run/systemd/system/edgemill.service.d/alone.conf", only)?;
    let pid = guest.pid()?;
    guest.run(&format!("systemctl daemon-reload; kill -9 {pid}"))?;
    let dead = "[ \"$(systemctl is-active edgemill)\" = failed ]";
    guest.wait("the daemon is gone", dead, SOON)?;
    sleep(Duration::from_secs(1));
    let held = guest.run("cat /sys/kernel/debug/gpio")?;
    let (high, driven) = (guest.wire.is_high()?, guest.wire.is_driven());
    guest.settle()?;
    ensure!(!held.contains("|edgemill"), "somebody holds the line still: {held}");
    ensure!(high && driven, "the line does not keep its level: high {high}, driven {driven}");
    Ok(())
}

/// Puts a stage of the plugin `probe` before the actuator, and restarts the daemon.
fn with_probe(guest: &mut Guest, stage: &str, params: &str) -> Result<()> {
    let pipeline = fs::read_to_string(guest.share.join("traffic-light.toml"))?;
    let changed = pipeline.replace("input = \"decide\"", "input = \"probe\"");
    ensure!(changed != pipeline, "the board's actuator does not listen to `decide`");
    let probe = format!(
        "\n[[stage]]\nname = \"probe\"\nplugin = \"probe\"\n{stage}\ninput = \"decide\"\n\
         params = {{ role = \"pass\", kind = \"event\", {params} }}\n"
    );
    guest.put("/etc/edgemill/pipelines/traffic-light.toml", &(changed + &probe))?;
    let began = Instant::now();
    guest.run("systemctl restart edgemill")?;
    let stopped = guest.wire.wait(false, began, SOON)?;
    guest.wire.wait(true, stopped, SOON)?;
    Ok(())
}

/// Every hundredth decision hangs a stage for ten minutes.
pub fn stage_hung(guest: &mut Guest) -> Result<String> {
    with_probe(guest, "hang-ms = 300", "hang-at = 100, every = 100, hang-ms = 600000")?;
    let (pid, cursor, restarts) = (guest.pid()?, guest.cursor()?, restarts(guest)?);
    let others = threads_of_others(guest, pid)?;
    let until = Instant::now() + SOON;
    loop {
        let stage = guest.stage("probe")?;
        if stage["hangs"].as_u64() >= Some(1) && stage["state"] == "running" {
            break;
        }
        ensure!(Instant::now() < until, "the stage did not hang, or was not replaced: {stage}");
    }
    guest.goes_on()?;
    ensure!(guest.pid()? == pid, "the daemon was restarted at once");
    ensure!(threads_of_others(guest, pid)? == others, "other stages have other threads now");
    let status = guest.status()?;
    let touched = stages(&status).find(|stage| stage["name"] != "probe" && stage["restarts"] != 0);
    ensure!(touched.is_none(), "another stage was restarted: {touched:?}");
    let again = guest.wire.wait(false, Instant::now(), SOON).context("at the third hang")?;
    let decided = guest.wire.wait(true, again, SOON)?.duration_since(again).as_secs_f64();
    ensure!(guest.pid()? != pid, "it is the same process");
    ensure!(self::restarts(guest)? == restarts + 1, "systemd did not restart it once");
    let said = guest.journal(&cursor)?;
    ensure!(said.contains("status=7"), "the daemon did not end with 7: {said}");
    guest.settle()?;
    Ok(format!(
        "after a hang the daemon and the other stages go on; at the third it ended, and decided again {decided:.1} s after \
         the line was safe"
    ))
}

fn stages(status: &Value) -> impl Iterator<Item = &Value> {
    status["pipelines"][0]["stages"].as_array().into_iter().flatten()
}

/// Name and number of each stage's thread but the probe's.
fn threads_of_others(guest: &mut Guest, pid: u32) -> Result<String> {
    guest.run(&format!(
        "for t in /proc/{pid}/task/*; do echo \"$(cat $t/comm) $t\"; done | \
         grep -E '^(camera|prepare|infer|decide|act) '"
    ))
}

/// A new model with which a stage takes the daemon down: the box goes back to the old one by itself.
pub fn bad_model(guest: &mut Guest) -> Result<String> {
    let grant =
        "[[grant]]\npipeline = \"traffic-light\"\nstage = \"probe\"\nmodel = \"traffic-light\"\n";
    let access = fs::read_to_string(guest.share.join("access.toml"))?;
    guest.put("/etc/edgemill/access.toml", &format!("{access}\n{grant}"))?;
    let crash = "bad-version = \"2.0.0\", bad-model = \"crash\"";
    with_probe(guest, "model = \"traffic-light\"", crash)?;
    guest.run(&format!("edgemill model install {SHARE}/{}", NEWER[1]))?;
    let (restarts, cursor, began) = (restarts(guest)?, guest.cursor()?, Instant::now());
    // Its answer may be lost with the daemon.
    let _ = guest.ask("edgemill model activate traffic-light")?;
    let safe = guest.wire.wait(false, began, SOON).context("with the bad model")?;
    let until = Instant::now() + SOON;
    // Each start of the bad model ends by itself: what counts is that it does not go on for ever.
    let version = loop {
        let listed = guest.ask("edgemill --json model list")?;
        let version = active(&listed.text).unwrap_or_default();
        if listed.code == 0 && version != "2.0.0" && guest.wire.is_high()? {
            break version;
        }
        ensure!(Instant::now() < until, "it did not go back: {}", listed.text);
        sleep(Duration::from_millis(200));
    };
    let seconds = Instant::now().duration_since(safe).as_secs_f64();
    guest.goes_on()?;
    let said = guest.journal(&cursor)?;
    ensure!(version == "1.0.0", "{version} is active");
    ensure!(said.contains("back to version 1.0.0"), "the log does not say so: {said}");
    let starts = self::restarts(guest)? - restarts;
    guest.settle()?;
    Ok(format!(
        "version 2.0.0 ended the daemon; back to 1.0.0 after {starts} restarts, {seconds:.1} s"
    ))
}

/// The version in use, by `edgemill --json model list`.
pub fn active(list: &str) -> Option<String> {
    let list: Value = serde_json::from_str(list).ok()?;
    let mut slots = list[0]["slots"].as_array()?.iter();
    let slot = slots.find(|slot| slot["slot"] == "active")?;
    Some(slot["version"].as_str()?.to_owned())
}
