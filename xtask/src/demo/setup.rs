//! What stands before the main job: packages, build, keys, signed plugins, configuration.
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use super::places::Places;
use crate::command::run;
use crate::host_packages::{self, Need};

/// The plugins of the demo's pipeline, as Cargo names their packages.
const PLUGINS: [&str; 4] = ["preprocess-image", "infer-int8", "decide-rule", "actuate-log"];

/// Installs what the machine lacks, or names the exact command.
pub fn packages() -> Result<()> {
    host_packages::ensure(&[Need::CCompiler, Need::Libclang, Need::Pip])
}

/// Builds everything but this program, which runs.
pub fn build(places: &Places) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&places.root).args(["build", "--release", "--locked"]);
    cargo.args(["--workspace", "--exclude", "xtask"]);
    host_packages::prepare(&mut cargo);
    run(&mut cargo)
}

/// Makes a development key set, once.
pub fn keys(places: &Places) -> Result<()> {
    let keys = places.demo("keys");
    if keys.join("trust.json").exists() {
        return Ok(());
    }
    fs::create_dir_all(&places.demo)?;
    run(places.tool().args(["key", "init"]).arg(keys))
}

/// Copies the plugins and signs the list of them.
pub fn plugins(places: &Places) -> Result<()> {
    let folder = places.demo("plugins");
    fs::create_dir_all(&folder)?;
    for plugin in PLUGINS {
        let built = places.release.join(format!("lib{}.so", plugin.replace('-', "_")));
        replace(&built, &folder.join(format!("{plugin}.so")))?;
    }
    let mut sign = places.tool();
    run(sign.args(["plugin", "sign"]).arg(&folder).arg("--keys").arg(places.demo("keys")))
}

/// A new file under the old name: a daemon that still runs keeps the one it has.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::rename(&new, to).with_context(|| format!("cannot write {}", to.display()))
}

/// Writes what a person would write about the machine and its users.
pub fn board(places: &Places) -> Result<()> {
    write(&places.demo("board.toml"), include_str!("board.toml"))?;
    write(&places.demo("access.toml"), include_str!("access.toml"))
}

/// Where the frames come from.
pub enum Source<'a> {
    /// The test pictures.
    Replay,
    /// A V4L2 device.
    Camera(&'a str),
}

impl Source<'_> {
    /// The source's lines in the pipeline's file.
    fn lines(&self) -> String {
        match self {
            Self::Replay => include_str!("replay.toml").into(),
            Self::Camera(device) => include_str!("camera.toml").replace("@DEVICE@", device),
        }
    }

    /// What its frames do when the next stage is behind: pictures of a test wait, those of a camera are replaced.
    fn edge(&self) -> &'static str {
        match self {
            Self::Replay => r#"overflow = "block", capacity = 1"#,
            Self::Camera(_) => r#"overflow = "latest""#,
        }
    }
}

/// Writes the pipeline, pinned to two of the cores that this process may use, or to the one.
pub fn pipeline(places: &Places, source: &Source<'_>) -> Result<()> {
    let [first, last] = cores()?;
    let text = include_str!("pipeline.toml")
        .replace("@SOURCE@", source.lines().trim())
        .replace("@EDGE@", source.edge())
        .replace("@FIRST@", &first.to_string())
        .replace("@LAST@", &last.to_string());
    fs::create_dir_all(places.demo("pipelines"))?;
    write(&places.demo("pipelines/traffic-light.toml"), &text)
}

fn cores() -> Result<[usize; 2]> {
    let mask = sched_getaffinity(Pid::from_raw(0))?;
    let mut allowed = (0..CpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false));
    let first = allowed.next().context("this process may use no core")?;
    Ok([first, allowed.next().unwrap_or(first)])
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
