//! Where results go: text for people, JSON for machines, both on stdout.
use std::fmt::Display;

use serde::Serialize;

use crate::exit::Failure;

/// How this call wants its results.
pub struct Output {
    json: bool,
}

impl Output {
    /// JSON, or text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the caller is a machine.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one result: its JSON form, or `text`.
    pub fn result(&self, value: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        let line = if self.json {
            serde_json::to_string(value).map_err(Failure::internal)?
        } else {
            text.to_string()
        };
        print(&line)
    }
}

/// Prints on stdout. A reader that has gone, as in `edgemill … | head`, is no failure.
pub fn print(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::internal(error))
        }
        _ => Ok(()),
    }
}
