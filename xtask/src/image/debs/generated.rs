//! Files of the packages that are written by programs: manual pages, completions, and what builds a plugin.
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{output, run};
use crate::image::files::{fresh, under};

/// Shells and the files that their completions are read from.
const SHELLS: [(&str, &str); 3] =
    [("bash", "edgemill"), ("zsh", "_edgemill"), ("fish", "edgemill.fish")];

/// Writes them all into `to`, by the programs built for the host in `native`.
pub fn write(root: &Path, native: &Path, to: &Path, version: &str) -> Result<()> {
    fresh(to)?;
    manual(&native.join("edgemill"), &["man"], &to.join("man1"))?;
    manual(&native.join("examples/man"), &[], &to.join("man8"))?;
    let completions = to.join("completions");
    fresh(&completions)?;
    for (shell, file) in SHELLS {
        let script = output(Command::new(native.join("edgemill")).args(["completions", shell]))?;
        fs::write(completions.join(file), script)?;
    }
    let flags = format!(
        "includedir=/usr/include\nplugindir=/usr/lib/edgemill/plugins\n\n\
         Name: edgemill\nDescription: Edgemill's plugin boundary\nVersion: {version}\nCflags: -I${{includedir}}\n"
    );
    fs::write(to.join("edgemill.pc"), flags).context("cannot write edgemill.pc")?;
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    fs::write(to.join("sdk.toml"), sdk_workspace(&workspace)).context("cannot write sdk.toml")
}

/// A workspace of the SDK and the boundary alone, with what both take from ours.
fn sdk_workspace(ours: &str) -> String {
    let taken = |section: &str| {
        section.starts_with("[workspace.package]") || section.starts_with("[workspace.lints.")
    };
    let sections: String = ours.split_inclusive("\n\n").filter(|text| taken(text)).collect();
    let line = |text: &&str| text.starts_with("thiserror = ");
    let dependency = ours.lines().find(line).unwrap_or_default();
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"abi\", \"sdk\"]\n\n\
         [workspace.dependencies]\nedgemill-abi = {{ path = \"abi\" }}\n\
         edgemill-sdk = {{ path = \"sdk\" }}\n{dependency}\n\n{}\n",
        sections.trim_end()
    )
}

fn manual(program: &Path, words: &[&str], to: &Path) -> Result<()> {
    fresh(to)?;
    run(Command::new(program).args(words).arg(to))?;
    for page in under(to)? {
        // Without a name and a time, or the bytes would differ from run to run.
        run(Command::new("gzip").args(["-9", "-n"]).arg(page))?;
    }
    Ok(())
}
