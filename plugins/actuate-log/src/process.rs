//! Lines of JSON, each written by one call.
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;

use edgemill_sdk::{Error, Event, Origin, Result};

/// The longest line: two names of every event byte escaped as `\u00XX`, and the numbers, fit twice.
const LINE_BYTES: usize = 2048;

/// The file and the line that is being made.
pub struct Log {
    path: String,
    file: File,
    line: String,
    /// A line was begun and not ended, because the disk was full.
    torn: bool,
    /// The last line is a fail-safe.
    safe: bool,
}

impl Log {
    pub fn open(path: &str) -> Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|error| Error::io(format!("cannot open {path}: {error}")))?;
        let line = String::with_capacity(LINE_BYTES);
        Ok(Self { path: path.to_owned(), file, line, torn: false, safe: false })
    }

    pub fn decision(&mut self, origin: Origin, acted_ns: u64, event: &Event) -> Result<()> {
        self.safe = false;
        self.write(format_args!("{}", Decision { origin, acted_ns, event }))
    }

    /// Writes the line unless it is the last one already.
    pub fn fail_safe(&mut self, acted_ns: u64) -> Result<()> {
        if !self.safe {
            self.write(format_args!(r#"{{"acted_ns":{acted_ns},"event":"fail-safe"}}"#))?;
        }
        self.safe = true;
        Ok(())
    }

    fn write(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        self.line.clear();
        if self.torn {
            self.line.push('\n');
        }
        let formatted = writeln!(self.line, "{text}");
        formatted.map_err(|_| Error::io("a line cannot be formatted"))?;
        let written = self.file.write_all(self.line.as_bytes());
        self.torn = written.is_err();
        written.map_err(|error| Error::io(format!("cannot write to {}: {error}", self.path)))
    }
}

struct Decision<'a> {
    origin: Origin,
    acted_ns: u64,
    event: &'a Event,
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { stream, sequence, capture_ns, .. } = self.origin;
        write!(f, r#"{{"stream":{stream},"sequence":{sequence},"capture_ns":{capture_ns}"#)?;
        write!(f, r#","acted_ns":{},"event":"#, self.acted_ns)?;
        string(f, self.event.name().as_str())?;
        f.write_str(r#","values":{"#)?;
        for (index, (name, value)) in self.event.values().iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            string(f, name.as_str())?;
            f.write_str(":")?;
            number(f, *value)?;
        }
        f.write_str("}}")
    }
}

/// RFC 8259, section 7. Names hold no control characters, which the packet's check sees to.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

/// RFC 8259, section 6, knows no infinity and no NaN.
fn number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_finite() { write!(f, "{value}") } else { f.write_str("null") }
}
