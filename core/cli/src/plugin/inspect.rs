//! `edgemill plugin inspect`: what a plugin says of itself.
use std::fmt::{self, Display};
use std::path::PathBuf;

use edgemill_host::{Inspection, Param, inspect};

use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill plugin inspect`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill plugin inspect plugins/decide-rule.so")]
pub struct Args {
    /// The plugin's file.
    file: PathBuf,
}

/// Looks into the file in a child process.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let inspection = inspect(&args.file).map_err(Failure::plugin)?;
    output.result(&inspection, Page(&inspection))
}

struct Page<'a>(&'a Inspection);

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptor = &self.0.descriptor;
        writeln!(f, "{} {}: {}", descriptor.id, descriptor.version, descriptor.summary)?;
        let flags = [(descriptor.realtime, "realtime"), (descriptor.actuator, "actuator")];
        let flags: Vec<&str> =
            flags.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
        if !flags.is_empty() {
            writeln!(f, "flags     {}", flags.join(", "))?;
        }
        write!(f, "sha256    {}\nbytes     {}", self.0.sha256, self.0.bytes)?;
        descriptor.params.iter().try_for_each(|param| write!(f, "\n{}", Line(param)))
    }
}

/// One parameter.
struct Line<'a>(&'a Param);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let param = self.0;
        write!(f, "  {:<16}{:<8}", param.name, param.kind.word())?;
        match &param.default {
            Some(default) => write!(f, "= {default} ")?,
            None if param.required => write!(f, "(required) ")?,
            None => {}
        }
        if !param.unit.is_empty() {
            write!(f, "{} ", param.unit)?;
        }
        if let Some((least, most)) = param.range {
            write!(f, "[{least} … {most}] ")?;
        }
        if !param.choices.is_empty() {
            write!(f, "one of {} ", param.choices.join(", "))?;
        }
        write!(f, "{}", param.help)
    }
}
