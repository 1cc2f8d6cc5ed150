//! `edgemill model rollback`: the previous version runs again.
use super::store::{Writer, writer};
use crate::board::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model rollback`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model rollback traffic-light")]
pub struct Args {
    /// The model's name.
    model: String,
    #[command(flatten)]
    board: BoardArgs,
}

/// Goes back; the version that ran until now becomes the candidate.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let said = match writer(&args.board.load()?)? {
        Writer::Daemon(client) => client.rollback(&args.model)?,
        Writer::Here(mut store) => {
            let slot = store.rollback(&args.model)?;
            format!("{} {} is active", args.model, slot.version)
        }
    };
    output.result(&said, &said)
}
