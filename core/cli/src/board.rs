//! `edgemill board …`: what the board is, and the board's file that other verbs work by.
mod detect;
mod devices;
mod machine;
mod show;
mod write;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use edgemill_config::{Board, Config};

use crate::exit::{Code, Failure};
use crate::output::Output;

/// The verbs of `edgemill board`.
#[derive(Subcommand)]
pub enum Verb {
    /// Look at this machine and write a first board.toml for it.
    Detect(detect::Args),
    /// Show the facts of a board's file.
    Show(show::Args),
}

/// Runs one of them.
pub fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Detect(args) => detect::run(args, output),
        Verb::Show(args) => show::run(args, output),
    }
}

/// The board's file when none is named.
const DEFAULT: &str = "/etc/edgemill/board.toml";

/// The option that all verbs share which touch a box.
#[derive(clap::Args)]
pub struct BoardArgs {
    /// The board's file, which says where store, keys and plugins are.
    #[arg(long, value_name = "FILE", default_value = DEFAULT)]
    board: PathBuf,
}

impl BoardArgs {
    /// Reads it; without the default file, the default places are taken.
    pub fn load(&self) -> Result<Board, Failure> {
        if self.board == Path::new(DEFAULT) && !self.board.exists() {
            return Ok(Board::unknown(&self.board));
        }
        Config::read_board(&self.board).map_err(|errors| Failure::new(Code::Configuration, errors))
    }
}
