//! How the daemon is, for people and programs.
use edgemill_control::{DaemonState, DaemonStatus, Status};
use edgemill_pipeline::State;

use crate::daemon::Daemon;
use crate::log::{self, Level};
use crate::report::pss_kib;
use crate::running::Running;

impl Daemon {
    /// All of it; `None` before the first configuration is in force.
    pub(crate) fn status(&self) -> Option<Status> {
        let base = self.base.as_ref()?;
        let pipelines = self.pipelines.iter();
        Some(Status {
            daemon: DaemonStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                board: base.board.name.value.clone(),
                uptime_ms: u64::try_from(self.context.began.elapsed().as_millis())
                    .unwrap_or(u64::MAX),
                state: self.state(),
                memory_locked: base.memory_locked,
                pss_kib: pss_kib(),
                reloads: self.reloads,
                reload_refused: self.reload_refused.clone(),
            },
            pipelines: pipelines.map(|running| running.status(&self.context.gauges)).collect(),
        })
    }

    pub(crate) fn state(&self) -> DaemonState {
        let trouble = |running: &Running| {
            running.runtime.status().stages.iter().any(|stage| is_trouble(stage.state))
        };
        if self.stopping.is_some() {
            DaemonState::Stopping
        } else if self.pipelines.is_empty() {
            DaemonState::Idle
        } else if self.pipelines.iter().any(trouble) {
            DaemonState::Degraded
        } else {
            DaemonState::Running
        }
    }

    /// One line for `systemctl status`.
    pub(crate) fn tell_status(&self) {
        let running = self.pipelines.iter().filter(|running| running.ended.is_none());
        let names = running.map(Running::name).collect::<Vec<_>>().join(", ");
        let text = match self.state() {
            DaemonState::Idle => self.what_to_do(),
            DaemonState::Running => format!("running: {names}"),
            DaemonState::Degraded => format!("not all stages run, see `edgemill status`: {names}"),
            DaemonState::Stopping => "stopping".to_owned(),
        };
        let _ = self.notifier.status(&text);
    }

    /// For a daemon without pipelines.
    pub(crate) fn what_to_do(&self) -> String {
        let folder = self.context.configs.first().map(|path| path.display().to_string());
        let folder = folder.unwrap_or_default();
        format!(
            "no pipelines: put NAME.toml into {folder}/ and reload (systemctl reload edgemill, or SIGHUP)"
        )
    }
}

/// Whether the stage does not do what it should.
pub fn is_trouble(state: State) -> bool {
    matches!(state, State::Degraded | State::Restarting | State::Held)
}

/// Logs a stage's new state.
pub fn tell_state(who: &str, state: State, why: Option<&str>) {
    let level = match state {
        State::Held => Level::Error,
        State::Degraded | State::Restarting => Level::Warn,
        State::Starting | State::Running | State::Stopped => Level::Debug,
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    if level != Level::Debug || !why.is_empty() {
        log::line(level, who, &format!("is {}{why}", state.word()));
    }
}
