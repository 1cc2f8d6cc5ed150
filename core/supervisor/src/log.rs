//! Lines for people on stderr, one write each. Never called on a stage's thread: what plugins say comes through the
//! host's log thread.
use std::io::Write;
use std::sync::OnceLock;

use edgemill_config::printable;
use edgemill_host::LogLevel;

/// How grave a line is; the numbers are those of syslog(3), which sd-daemon(3) takes before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Somebody must do something.
    Error = 3,
    /// It goes on, with less.
    Warn = 4,
    /// What one wants to read afterwards.
    Info = 6,
    /// Only for those who look for something.
    Debug = 7,
}

/// A line is cut after so many bytes.
const LINE_BYTES: usize = 4000;

/// Writes one line; `who` is a stage or empty.
pub fn line(level: Level, who: &str, text: &str) {
    let line = format(level, who, text, under_systemd());
    // Nobody is left to be told that stderr is gone.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Writes each line of an error's message.
pub fn error(message: &str) {
    message.lines().for_each(|text| line(Level::Error, "", text));
}

/// Writes a plugin's or a source's line: for the host's log thread.
pub fn plugin_line(level: LogLevel, stage: &str, text: &str) {
    let level = match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    line(level, stage, text);
}

/// Writes what was asked for to stdout. A reader that is gone has seen enough.
pub fn out(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// The journal sets the variable for those whose stderr it reads.
fn under_systemd() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| std::env::var_os("JOURNAL_STREAM").is_some())
}

fn format(level: Level, who: &str, text: &str, systemd: bool) -> String {
    let prefix = match (systemd, level) {
        (true, _) => format!("<{}>", level as u8),
        (false, Level::Error) => "error: ".to_owned(),
        (false, Level::Warn) => "warning: ".to_owned(),
        (false, _) => String::new(),
    };
    let who = if who.is_empty() { String::new() } else { format!("{who}: ") };
    let text = printable(text, LINE_BYTES);
    format!("{prefix}{who}{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_with_its_gravity() {
        assert_eq!(format(Level::Error, "", "a\nb", true), "<3>a\\u{a}b\n");
        assert_eq!(format(Level::Info, "infer", "ready", true), "<6>infer: ready\n");
        assert_eq!(format(Level::Warn, "", "x", false), "warning: x\n");
        assert_eq!(format(Level::Info, "", "x", false), "x\n");
    }
}
