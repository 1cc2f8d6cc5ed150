//! `edgemill model list`: what the box's store holds.
use edgemill_config::Board;
use edgemill_control::{Client, ClientError, ModelStatus, SlotStatus};
use edgemill_store::device::ReadStore;
use edgemill_store::device::store::Slots;

use super::store::store_key;
use crate::board::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model list`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model list --board target/demo/board.toml")]
pub struct Args {
    #[command(flatten)]
    board: BoardArgs,
}

/// Asks the daemon while one runs, since it alone may have the store's key; else reads the store.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let board = args.board.load()?;
    let models = match Client::connect(&board.paths.run) {
        Ok(client) => client.models()?,
        Err(ClientError::NoDaemon(_)) => read(&board)?,
        Err(error) => return Err(error.into()),
    };
    let lines: Vec<String> = models.iter().flat_map(lines).collect();
    let text = if lines.is_empty() { "the store holds no model".into() } else { lines.join("\n") };
    output.result(&models, text)
}

fn read(board: &Board) -> Result<Vec<ModelStatus>, Failure> {
    let store = ReadStore::open(&board.paths.store, store_key(board)?)?;
    Ok(store.state().models.iter().map(|(name, slots)| status(name, slots)).collect())
}

fn status(model: &str, slots: &Slots) -> ModelStatus {
    let filled = slots.filled().map(|(name, slot)| SlotStatus {
        slot: name.to_string(),
        version: slot.version.clone(),
        counter: slot.counter,
        digest: slot.object.to_string(),
        bytes: slot.bytes,
    });
    ModelStatus { model: model.to_owned(), floor: slots.floor, slots: filled.collect() }
}

fn lines(model: &ModelStatus) -> Vec<String> {
    let line = |slot: &SlotStatus| {
        format!(
            "{:<20}{:<11}{:<10}counter {:<4}floor {:<4}{} bytes  {}",
            model.model,
            slot.slot,
            slot.version,
            slot.counter,
            model.floor,
            slot.bytes,
            slot.digest
        )
    };
    model.slots.iter().map(line).collect()
}
