//! How the daemon ends: a documented code for each class of failure, and a message that says what, where and what
//! next. The tool `edgemill` uses the same numbers.
use std::fmt::Display;

use edgemill_config::printable;

/// Shown under `edgemilld --help`.
pub const HELP: &str = "\
Exit codes: 0 ended as asked, 1 internal error, 2 wrong usage, 3 configuration, 4 plugin, 5 model, key or store,
6 device or system resource, 7 a pipeline failed: a stage was held or halted it, or hung.

Signals: SIGTERM and SIGINT stop in order, SIGHUP reads the configuration again.";

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All pipelines have ended, or it was told to stop.
    Done = 0,
    /// A defect of ours.
    Internal = 1,
    /// The configuration, or what only it can put right: ports that do not fit, a parameter.
    Configuration = 3,
    /// A plugin is absent, unsigned, not one, or breaks the rules.
    Plugin = 4,
    /// A model, package, key or the store.
    Model = 5,
    /// A device is absent or busy, or the system does not give what the board requires.
    Device = 6,
    /// A stage was held, halted its pipeline, or hung for good. systemd starts the daemon again.
    Fault = 7,
}

/// Why the daemon cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// As the process exits.
    pub exit: Exit,
    /// For a person.
    pub message: String,
}

/// No message is longer, whatever it quotes.
const MOST_BYTES: usize = 4000;

impl Failure {
    /// A failure of this class. Lines of the message stay lines; other control characters are escaped.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        let mut shown = String::new();
        for line in message.to_string().lines() {
            let gap = if shown.is_empty() { "" } else { "\n" };
            let left = MOST_BYTES.saturating_sub(shown.len());
            shown = shown + gap + &printable(line, left);
            if shown.len() >= MOST_BYTES {
                break;
            }
        }
        Self { exit, message: shown }
    }

    /// What the files say is wrong.
    pub fn configuration(error: impl Display) -> Self {
        Self::new(Exit::Configuration, error)
    }

    /// The system does not do its part.
    pub fn internal(error: impl Display) -> Self {
        Self::new(Exit::Internal, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded_and_safe_to_print() {
        let failure = Failure::configuration(format!("a\x1b[2J\nb{}", "é".repeat(5000)));
        assert!(failure.message.starts_with("a\\u{1b}[2J\nb"));
        assert!(failure.message.len() < 4096);
    }
}
