//! `edgemilld fail-safe`: the actuators of a daemon that has died go to their safe state.
//!
//! The daemon leaves a list of its actuators in the run folder whenever its pipelines change, written whole or not
//! at all. This verb, which the unit runs however the daemon ended, loads only these plugins, by the digests they had
//! then, and applies what they offer. It reads no configuration and no store, so that neither can keep it from its work.
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgemill_config::printable;
use edgemill_host::{Library, LogThread, PluginStage, Setup};
use edgemill_pipeline::stage::Stage;
use serde::{Deserialize, Serialize};

use crate::args::FailSafe;
use crate::exit::{Exit, Failure};
use crate::log::{self, Level};
use crate::maker::Actuator;

/// The list's name in the run folder.
const LIST: &str = "actuators.json";
const VERSION: u32 = 1;
/// Far above what 32 pipelines of 64 stages need.
const LIST_BYTES: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    version: u32,
    actuators: Vec<Actuator>,
}

/// Writes the list of the actuators that run from now on, or changes nothing. Not synced: the run folder is not meant to
/// outlive the machine's power, and the supervisor's thread must not wait for a disk.
///
/// # Errors
/// The run folder does not take it.
pub fn record(run: &Path, actuators: Vec<Actuator>) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(&List { version: VERSION, actuators });
    let json = json.map_err(Failure::internal)?;
    let (path, new) = (run.join(LIST), run.join(format!("{LIST}.new")));
    let mut file = OpenOptions::new();
    let written = file
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(&json))
        .and_then(|()| fs::rename(&new, &path));
    written.map_err(|error| {
        let path = printable(&path.to_string_lossy(), 300);
        Failure::new(Exit::Device, format!("{path}: {error}; check the folder `run` of board.toml"))
    })
}

/// Whether there is a list.
pub fn is_recorded(run: &Path) -> bool {
    run.join(LIST).exists()
}

/// Applies the safe state of every actuator on the list; all are tried, whatever became of those before.
///
/// # Errors
/// The list cannot be read, or some actuator is not in its safe state now.
pub fn run(args: &FailSafe) -> Result<(), Failure> {
    let Some(list) = read(&args.run.join(LIST))? else {
        log::line(Level::Info, "", "no actuators have run here: nothing to put in its safe state");
        return Ok(());
    };
    let lines = LogThread::start(log::plugin_line).map_err(Failure::internal)?;
    let lines: Arc<LogThread> = Arc::new(lines);
    let mut failed = Vec::new();
    for actuator in &list.actuators {
        let (pipeline, stage) = (printable(&actuator.pipeline, 48), printable(&actuator.stage, 48));
        match apply(actuator, &lines) {
            Ok(state) => {
                let state = printable(&state, 400);
                log::line(Level::Warn, &stage, &format!("put in its safe state: {state}"));
            }
            Err(error) => {
                failed.push(format!("{pipeline}/{stage} is NOT in its safe state: {error}"))
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Plugin, failed.join("\n"))) }
}

/// Says what the safe state is, in the plugin's words.
fn apply(actuator: &Actuator, lines: &Arc<LogThread>) -> Result<String, String> {
    let library =
        Library::open(&actuator.path, Some(actuator.sha256)).map_err(|error| error.to_string())?;
    let setup = Setup {
        stage: actuator.stage.clone(),
        values: actuator.values.clone(),
        contract: None,
        model: None,
        log: lines.clone(),
    };
    let mut stage = PluginStage::new(&library, setup).map_err(|error| error.to_string())?;
    let applied = stage.fail_safe().ok_or("the plugin offers none")?;
    applied.map_err(|error| error.to_string())?;
    Ok(stage.fail_safe_state().unwrap_or_default().to_owned())
}

fn read(path: &PathBuf) -> Result<Option<List>, Failure> {
    let shown = printable(&path.to_string_lossy(), 300);
    let failed = |problem: String| Failure::new(Exit::Device, format!("{shown}: {problem}"));
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
        Ok(metadata) if metadata.len() > LIST_BYTES => return Err(failed("is too large".into())),
        Ok(_) => (),
    }
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let list: List = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    match list.version {
        VERSION => Ok(Some(list)),
        other => Err(failed(format!("is of version {other}, this edgemilld reads {VERSION}"))),
    }
}
