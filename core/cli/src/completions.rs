//! `edgemill completions`: what a shell needs to complete this tool's words.
use clap::CommandFactory;

use crate::exit::Failure;
use crate::output::print;

/// Arguments of `edgemill completions`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill completions bash > /etc/bash_completion.d/edgemill")]
pub struct Args {
    /// The shell to print it for.
    shell: clap_complete::Shell,
}

/// Prints the script on stdout.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut command = crate::Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "edgemill", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}
