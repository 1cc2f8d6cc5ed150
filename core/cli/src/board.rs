//! Where this box keeps its things: the board's file that a verb works by.
use std::path::{Path, PathBuf};

use edgemill_config::{Board, Config};

use crate::exit::{Code, Failure};

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
