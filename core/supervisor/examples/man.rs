//! Writes edgemilld's manual page, `edgemilld.8`, into the folder named: `cargo run --example man -- FOLDER`. It is no
//! part of the daemon, which need not carry what writes it.
#[path = "../src/args.rs"]
mod args;
#[path = "../src/exit.rs"]
#[expect(dead_code, reason = "only the help is of interest")]
mod exit;

use std::path::Path;

use clap::CommandFactory;

fn main() -> std::io::Result<()> {
    let folder =
        std::env::args_os().nth(1).ok_or_else(|| std::io::Error::other("name a folder"))?;
    let mut page = Vec::new();
    clap_mangen::Man::new(args::Args::command()).section("8").render(&mut page)?;
    std::fs::write(Path::new(&folder).join("edgemilld.8"), page)
}
