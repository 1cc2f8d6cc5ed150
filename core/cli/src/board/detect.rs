//! `edgemill board detect`: a first board.toml for the machine it runs on.
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use edgemill_config::Board;
use edgemill_linux::file::write_atomic;
use serde::Serialize;

use super::devices::Devices;
use super::machine::Machine;
use super::write;
use crate::exit::{Code, Failure};
use crate::output::Output;

/// Arguments of `edgemill board detect`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill board detect --name my-board --output board.toml")]
pub struct Args {
    /// Write the file here, instead of on stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file where it exists.
    #[arg(long, requires = "output")]
    force: bool,
    /// The board's name; else it is made from the device tree's `compatible` or the product's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// What was found.
#[derive(Serialize)]
struct Found<'a> {
    name: &'a str,
    file: Option<&'a Path>,
    notes: Vec<&'a String>,
    board: &'a str,
}

/// Looks, and writes a file that a daemon would accept.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let (machine, devices) = (Machine::read(Path::new("/")), Devices::look());
    let text = write::board(args.name.as_deref(), &machine, &devices);
    let file = args.output.as_deref().unwrap_or(Path::new("board.toml"));
    let board = Board::parse(&text, file).map_err(|errors| match &args.name {
        // A name is all that the caller may have got wrong.
        Some(_) => Failure::new(Code::Configuration, errors),
        None => Failure::internal(format!("the file that was made is not accepted: {errors}")),
    })?;
    let notes: Vec<&String> = machine.notes.iter().chain(&devices.notes).collect();
    for note in &notes {
        eprintln!("not found: {}", edgemill_config::printable(note, 400));
    }
    if let Some(file) = &args.output {
        save(file, &text, args.force)?;
    }
    let name = board.name.value.as_str();
    let found = Found { name, file: args.output.as_deref(), notes, board: &text };
    match &args.output {
        Some(file) => output.result(&found, format!("{} describes board {name}", file.display())),
        None => output.result(&found, text.trim_end()),
    }
}

fn save(file: &Path, text: &str, force: bool) -> Result<(), Failure> {
    if force {
        return write_atomic(file, text.as_bytes(), 0o644).map_err(Failure::internal);
    }
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    created.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let file = file.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(
                Code::Configuration,
                format!("{file} exists; choose another --output, or replace it by --force"),
            ),
            _ => Failure::internal(format!("{file}: cannot be written: {error}")),
        }
    })
}
