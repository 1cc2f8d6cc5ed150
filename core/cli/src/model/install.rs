//! `edgemill model install`: a package into the box's store, as candidate or, where the model is new, active.
use std::fs::File;
use std::path::PathBuf;

use edgemill_config::Board;
use edgemill_control::Installed;
use edgemill_store::device::store::Delivered;
use edgemill_store::device::{DeviceKey, Place, Policy, Store, StoreError, Trust, now_unix_s};

use super::store::{Writer, writer};
use crate::board::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model install`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model install lights.emp --board target/demo/board.toml")]
pub struct Args {
    /// The package.
    file: PathBuf,
    #[command(flatten)]
    board: BoardArgs,
}

/// Verifies and installs; a package that is refused changes nothing.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let board = args.board.load()?;
    let named =
        |error: &dyn std::fmt::Display| Failure::model(format!("{}: {error}", args.file.display()));
    let file = File::open(&args.file).map_err(|error| named(&error))?;
    let installed = match writer(&board)? {
        Writer::Daemon(client) => client.install(&file)?,
        Writer::Here(mut store) => {
            let policy = BoardPolicy::load(&board)?;
            policy.deliver(&mut store, &file).map_err(|error| named(&error))?
        }
    };
    let text =
        format!("{} {} is installed as {}", installed.model, installed.version, installed.slot);
    output.result(&installed, text)
}

/// By what this board judges a package.
struct BoardPolicy<'a> {
    trust: Trust,
    device: DeviceKey,
    place: Place<'a>,
}

impl<'a> BoardPolicy<'a> {
    fn load(board: &'a Board) -> Result<Self, Failure> {
        let trust = Trust::load(&board.paths.trust)?;
        let device = DeviceKey::find(&board.paths.device_key)?;
        Ok(Self { trust, device, place: Place::Board(&board.name.value) })
    }

    fn deliver(&self, store: &mut Store, package: &File) -> Result<Installed, StoreError> {
        let (trust, place) = (&self.trust, self.place);
        let policy = Policy { trust, place, now_unix_s: now_unix_s() };
        let Delivered { model, slot, place } = store.deliver(package, &policy, &self.device)?;
        Ok(Installed { model, version: slot.version, slot: place.to_string() })
    }
}
