//! The power goes while the store changes: QEMU is killed, and the next boot of the same disk must find the old model or
//! the new one, and decide with it.
//!
//! A kill takes from the guest all that it has not handed to its disk: every page that was written and not flushed.
//! What it has handed over stays, in the order in which it came, since the host's page cache outlives QEMU; a disk that
//! loses or reorders its own cache is not shown by this.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::machine::{Drive, Machine, Setup};
use super::ramdisk::{Guest, Put};
use super::{Case, Context};
use crate::command::run as run_command;

/// All of them.
pub const CASES: [Case; 2] = [
    Case {
        name: "cut_install",
        alone: false,
        run: |context| cut(context, "cut_install", "candidate"),
    },
    Case {
        name: "cut_activate",
        alone: false,
        run: |context| cut(context, "cut_activate", "active"),
    },
];

/// Cuts of one operation. They are spread over a little more than its time.
const CUTS: u32 = 54;
const SPREAD: f64 = 1.1;
/// By how much the time is longer than was thought, if a cut after it found the operation still at work.
const STRETCH: f64 = 1.25;
const DISK_BYTES: u64 = 48 << 20;
/// Many times what it takes.
const SOON: Duration = Duration::from_secs(120);

/// The old model and the new one, by their versions.
const VERSIONS: [&str; 2] = ["1.0.0", "2.0.0"];
const PLUGINS: [&str; 4] = ["preprocess-image", "infer-int8", "decide-rule", "actuate-log"];

/// What the cuts came to.
#[derive(Default)]
struct Tally {
    old: u32,
    new: u32,
    /// Cuts after the operation had said that it was done: the new one, each.
    acknowledged: u32,
}

/// Cuts the power again and again; `slot` is where the new version is once the operation has been done.
fn cut(context: &Context, name: &'static str, slot: &str) -> Result<String> {
    let disk = new_disk(context, name)?;
    let script = format!("{name}.sh");
    let files = files(context, name)?;
    let guest = Guest { root: &context.root, name, files, script: &script, log: context.log(name) };
    let mut setup = guest.prepare()?;
    setup.drives.push(Drive { file: disk, options: "" });
    setup.cores = 1;
    measure(&setup).context("the first boot, which makes the store")?;
    setup.same_log = true;
    // The first boot has run the same code before, and QEMU has translated it: the second is like those that are cut.
    let mut takes = measure(&setup).context("the second boot, which is not cut before the end")?;
    let mut tally = Tally::default();
    // What the second boot left was acknowledged.
    let mut acknowledged = true;
    for number in 0..=CUTS {
        let see = || format!("cut {number} of {CUTS}");
        let mut machine = Machine::start(&setup)?;
        tally.add(&mut machine, slot, acknowledged).with_context(see)?;
        if number < CUTS {
            let part = part(number);
            acknowledged = cut_at(&mut machine, takes.mul_f64(part)).with_context(see)?;
            if part > 1.0 && !acknowledged {
                takes = takes.mul_f64(STRETCH);
            }
        }
    }
    let Tally { old, new, acknowledged } = tally;
    ensure!(old > 0 && new > 1, "{old} times the old state, {new} times the new: not both seen");
    let ms = takes.as_millis();
    Ok(format!(
        "{CUTS} cuts over {ms} ms and one after: {old} old, {new} new ({acknowledged} after it was done), never none"
    ))
}

/// Which part of the operation's time passes before a cut: spread evenly, in an order that favours no stretch of the run.
fn part(number: u32) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    SPREAD * (f64::from(number) * GOLDEN).fract()
}

/// How long the operation takes, uncut, in processor time of the machine: other work on the host changes that least.
fn measure(setup: &Setup) -> Result<Duration> {
    let mut machine = Machine::start(setup)?;
    let before = begin(&mut machine)?;
    let (which, _) = machine.console.wait_for_any(&["END", "FAILED"], SOON)?;
    ensure!(which == 0, "the operation failed");
    let takes = machine.worked()?.saturating_sub(before);
    machine.kill()?;
    Ok(takes)
}

/// Waits for the operation to begin, and says how much the machine has worked by then.
fn begin(machine: &mut Machine) -> Result<Duration> {
    let (which, _) = machine.console.wait_for_any(&["BEGIN", "FAILED"], SOON)?;
    ensure!(which == 0, "the box does not run before the operation begins");
    machine.worked()
}

/// Cuts when the operation has had so much time, and says whether it had been acknowledged by then.
fn cut_at(machine: &mut Machine, after: Duration) -> Result<bool> {
    let before = begin(machine)?;
    let done = |machine: &Machine| machine.console.find("END").is_some();
    let until = Instant::now() + SOON;
    // Once it is done, the machine does not work any more.
    while machine.worked()?.saturating_sub(before) < after && !done(machine) {
        ensure!(Instant::now() < until, "the operation does not end");
        sleep(Duration::from_millis(1));
    }
    machine.kill()?;
    ensure!(machine.console.find("FAILED").is_none(), "the operation failed before the cut");
    Ok(done(machine))
}

impl Tally {
    /// What the last cut has left.
    fn add(&mut self, machine: &mut Machine, slot: &str, acknowledged: bool) -> Result<()> {
        let decision = machine.console.wait_for_any(&["DECISION {", "BEGIN"], SOON)?;
        ensure!(decision.0 == 0, "no decision after the cut: the box has no model that runs");
        let models = machine.console.find("MODELS ").context("no list of models")?;
        let active = version(&models.text, "active")?;
        let active = active.with_context(|| format!("no active model: {}", models.text))?;
        ensure!(VERSIONS.contains(&active.as_str()), "the active model is {active}");
        let new = version(&models.text, slot)?.is_some_and(|version| version == VERSIONS[1]);
        ensure!(new || !acknowledged, "what was done is gone: {}", models.text);
        *(if new { &mut self.new } else { &mut self.old }) += 1;
        self.acknowledged += u32::from(acknowledged);
        Ok(())
    }
}

/// The version in a slot, of what `edgemill model list --json` printed.
fn version(line: &str, slot: &str) -> Result<Option<String>> {
    let text = line.strip_prefix("MODELS ").unwrap_or_default();
    let list: Value = serde_json::from_str(text).with_context(|| format!("no list: `{line}`"))?;
    let list = list.as_array().cloned().unwrap_or_else(|| vec![list]);
    let Some(model) = list.iter().find(|model| model["model"] == "traffic-light") else {
        bail!("the store has no model: {line}");
    };
    let slots = model["slots"].as_array().with_context(|| format!("no slots: {line}"))?;
    let found = slots.iter().find(|it| it["slot"] == slot);
    Ok(found.and_then(|it| Some(it["version"].as_str()?.to_owned())))
}

/// An empty file system.
fn new_disk(context: &Context, name: &str) -> Result<PathBuf> {
    let disk = context.root.join(format!("target/vm/{name}.disk"));
    fs::create_dir_all(context.root.join("target/vm"))?;
    File::create(&disk)?.set_len(DISK_BYTES)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.env("PATH", format!("{path}:/usr/sbin:/sbin")).args(["-q", "-F", "-t", "ext4"]);
    run_command(mke2fs.arg(&disk))?;
    Ok(disk)
}

fn files(context: &Context, name: &str) -> Result<Vec<Put>> {
    let (ours, to) = (context.root.join("tests/vm/cut"), |file: &str| format!("/edgemill/{file}"));
    let mut files = vec![
        Put::new(context.root.join("tests/vm/cut.sh"), "/cut.sh"),
        Put::new(context.program("edgemilld"), "/bin/edgemilld"),
        Put::new(context.program("edgemill"), "/bin/edgemill"),
        Put::new(ours.join("board.toml"), to("board.toml")),
        Put::new(ours.join("access.toml"), to("access.toml")),
        Put::new(ours.join("pipeline.toml"), to("pipelines/traffic-light.toml")),
        Put::new(picture(context)?, to("picture/light.jpg")),
    ];
    for plugin in PLUGINS {
        let built = context.program(&format!("lib{}.so", plugin.replace('-', "_")));
        files.push(Put::new(built, to(&format!("plugins/{plugin}.so"))));
    }
    let demo = context.demo()?;
    for key in ["device.key", "device.pub", "root.pub", "store.key", "trust.json"] {
        files.push(Put::new(demo.keys().join(key), to(&format!("keys/{key}"))));
    }
    for (index, version) in VERSIONS.iter().enumerate() {
        let counter = index + 1;
        let package = context.root.join(format!("target/vm/{name}-{counter}.emp"));
        demo.seal(version, counter, &demo.keys().join("device.pub"), &package)?;
        files.push(Put::new(package, to(&format!("{counter}.emp"))));
    }
    Ok(files)
}

/// A picture that the model has never seen.
fn picture(context: &Context) -> Result<PathBuf> {
    context.demo()?;
    let folder: &Path = &context.root.join("target/data/traffic-light/test/red");
    let first = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?.next();
    Ok(first.context("there is no picture of a red light")??.path())
}
