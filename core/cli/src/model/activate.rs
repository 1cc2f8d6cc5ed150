//! `edgemill model activate`: the candidate becomes the version that runs.
use super::store::{Writer, writer};
use crate::board::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model activate`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model activate traffic-light")]
pub struct Args {
    /// The model's name.
    model: String,
    #[command(flatten)]
    board: BoardArgs,
}

/// Activates; the version that ran until now becomes the previous one.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let said = match writer(&args.board.load()?)? {
        Writer::Daemon(client) => client.activate(&args.model)?,
        Writer::Here(mut store) => {
            let slot = store.activate(&args.model)?;
            format!("{} {} is active", args.model, slot.version)
        }
    };
    output.result(&said, &said)
}
