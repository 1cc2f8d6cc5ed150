//! Runs the daemon and measures it from outside: its clock, its memory, the actuator's own log.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::Deserialize;

use super::places::Places;

/// A line of the actuator's log.
#[derive(Deserialize)]
pub struct Decision {
    /// Place of the picture in the replay, from 0.
    pub sequence: u64,
    /// When the camera gave the frame, CLOCK_MONOTONIC.
    pub capture_ns: u64,
    /// When the actuator acted on it, same clock.
    pub acted_ns: u64,
    /// What it decided.
    pub event: String,
}

/// What became of every packet, by the daemon's report.
pub struct Account {
    /// From the camera to the actuator.
    pub path: FlowPath,
    /// In the order of flow.
    pub stages: Vec<Stage>,
    /// The daemon's memory, as it says itself.
    pss_kb: u64,
}

#[derive(Deserialize)]
struct Report {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    daemon: DaemonStatus,
    pipelines: Vec<Pipeline>,
}

#[derive(Deserialize)]
struct DaemonStatus {
    pss_kib: u64,
}

#[derive(Deserialize)]
struct Pipeline {
    stages: Vec<Stage>,
    paths: Vec<FlowPath>,
}

/// sent = delivered + consumed + Σ dropped.
#[derive(Deserialize)]
pub struct FlowPath {
    /// Frames that the camera gave.
    pub sent: u64,
    /// Frames that the actuator acted on.
    pub delivered: u64,
    /// Frames lost, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// One stage.
#[derive(Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Time of one call.
    pub call: Quantiles,
}

/// Microseconds.
#[derive(Deserialize)]
pub struct Quantiles {
    /// Half are below.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
}

/// All that one run of the daemon showed.
pub struct Played {
    /// One for each packet that reached the actuator, in order.
    pub decisions: Vec<Decision>,
    /// From just before exec to the first decision.
    pub first_decision_ms: f64,
    /// Proportional set size of the daemon after the last frame.
    pub pss_kb: u64,
    /// The daemon's own final account.
    pub account: Account,
}

/// How long the daemon may take for all pictures before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plays the test pictures through a newly started daemon.
pub fn replay(places: &Places, pictures: usize) -> Result<Played> {
    let log = places.demo("log/decisions.jsonl");
    fs::create_dir_all(places.demo("log"))?;
    fs::write(&log, "").with_context(|| format!("cannot empty {}", log.display()))?;
    let began = monotonic_ns();
    let mut daemon = daemon(places).spawn().context("cannot start edgemilld")?;
    let waited = wait_for_lines(&log, pictures, &mut daemon);
    let pss_kb = memory_kb(daemon.id());
    stop(&mut daemon)?;
    waited?;
    let decisions = decisions(&log)?;
    let first = decisions.first().context("the actuator logged nothing")?;
    let account = account(places)?;
    Ok(Played {
        first_decision_ms: (first.acted_ns - began) as f64 / 1e6,
        decisions,
        // The daemon is undumpable: only root sees its memory from outside, anyone else takes its own word.
        pss_kb: pss_kb.unwrap_or(account.pss_kb),
        account,
    })
}

/// Runs in the foreground, printing decisions, until Ctrl-C.
pub fn watch_camera(places: &Places) -> Result<()> {
    eprintln!("decisions go to {}", places.demo("log/decisions.jsonl").display());
    crate::command::run(&mut daemon(places))
}

fn daemon(places: &Places) -> Command {
    let mut command = Command::new(places.program("edgemilld"));
    command.arg("run").arg("--config").arg(places.demo("pipelines/traffic-light.toml"));
    command.arg("--report").arg(places.demo("report.json"));
    command
}

fn wait_for_lines(log: &Path, lines: usize, daemon: &mut Child) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = fs::read(log)?.iter().filter(|&&byte| byte == b'\n').count();
        if seen >= lines {
            return Ok(());
        }
        if let Some(status) = daemon.try_wait()? {
            bail!(
                "edgemilld ended ({status}) after {seen} of {lines} decisions; its messages are above"
            );
        }
        if Instant::now() > deadline {
            bail!("edgemilld made {seen} of {lines} decisions in {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(5));
    }
}

fn stop(daemon: &mut Child) -> Result<()> {
    if daemon.try_wait()?.is_none() {
        kill(Pid::from_raw(i32::try_from(daemon.id())?), Signal::SIGTERM)?;
    }
    let status = daemon.wait()?;
    if !status.success() {
        bail!("edgemilld did not stop in good order ({status})");
    }
    Ok(())
}

/// The log's decisions. Where the actuator went to its safe state stands between them, with no sequence number.
fn decisions(log: &Path) -> Result<Vec<Decision>> {
    let text = fs::read_to_string(log)?;
    let lines = text.lines().filter(|line| line.contains("\"sequence\""));
    let parse = |line| serde_json::from_str(line).with_context(|| format!("in {}", log.display()));
    lines.map(parse).collect()
}

fn account(places: &Places) -> Result<Account> {
    let path = places.demo("report.json");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let report: Report =
        serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))?;
    let pipeline =
        report.status.pipelines.into_iter().next().context("the report has no pipeline")?;
    let path = pipeline.paths.into_iter().next().context("the report has no path")?;
    Ok(Account { path, stages: pipeline.stages, pss_kb: report.status.daemon.pss_kib })
}

/// Proportional set size of a process, as the kernel counts it (proc_pid_smaps_rollup).
pub fn memory_kb(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line =
        text.lines().find(|line| line.starts_with("Pss:")).context("no Pss in smaps_rollup")?;
    let number = line.split_whitespace().nth(1).context("no number after Pss")?;
    Ok(number.parse()?)
}

/// CLOCK_MONOTONIC, the clock packets carry.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the kernel has this clock");
    u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(now.tv_nsec()).unwrap_or(0)
}
