//! Where the box's secrets are, and where they are not.
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::base::{self, PACKAGE, SECRETS};
use super::guest::Guest;
use super::search::{found, runs};
use crate::vm::Context;

/// The key comes from the sealed credential, and from nowhere else.
pub fn credential(guest: &mut Guest) -> Result<String> {
    let files =
        guest.run("find / -xdev \\( -name store.key -o -name device.key \\) -type f | sort")?;
    let sealed = "/etc/credstore.encrypted/device.key\n/etc/credstore.encrypted/store.key";
    ensure!(files == sealed, "keys lie elsewhere too: {files}");
    let kind = guest.run("findmnt -n -o FSTYPE -T /run/credentials/edgemill.service")?;
    ensure!(kind == "ramfs" || kind == "tmpfs", "the service's credentials are on {kind}");

    let cursor = guest.cursor()?;
    guest.run("mv /etc/credstore.encrypted/store.key /run/hidden.key")?;
    let _ = guest.ask("systemctl restart edgemill")?;
    let code = guest.unit("ExecMainStatus")?;
    let said = guest.journal(&cursor)?;
    guest.run("mv /run/hidden.key /etc/credstore.encrypted/store.key")?;
    // 5: model, key or store (edgemilld --help).
    ensure!(code == "5", "without its key the daemon ended with {code}: {said}");
    let message = said.lines().find(|line| line.contains("store.key") && line.contains("absent"));
    let message =
        message.with_context(|| format!("no line says what is missing: {said}"))?.to_owned();
    guest.settle()?;
    Ok(format!("sealed only; without it: {message}"))
}

/// The raw disk of a box that is set up holds neither key nor model in clear; and the search would find them.
pub fn no_plain_bytes(context: &Context) -> Result<String> {
    let outcome = search(context);
    let text = outcome.as_ref().map_or_else(|error| format!("{error:#}"), Clone::clone);
    fs::write(context.log("no_plain_bytes"), text + "\n")?;
    outcome
}

fn search(context: &Context) -> Result<String> {
    let base = base::ensure(context)?;
    let disk = fs::read(&base.disk)?;
    let mut wanted = runs(&fs::read(&base.plain_model)?);
    let models = wanted.len();
    for name in SECRETS {
        wanted.extend(secret(&base.share.join(name))?);
    }
    let hits = found(&disk, &wanted);
    ensure!(hits.is_empty(), "secret {hits:?} of {} is in clear on the disk", wanted.len());
    // The package's own ciphertext is there: the search looks at what was installed.
    let package = fs::read(base.share.join(PACKAGE))?;
    let sealed = runs(&package[package.len() / 2..]);
    ensure!(!found(&disk, &sealed).is_empty(), "the installed model is not on this disk at all");
    // And it would find each secret, wherever it began.
    let mut control = disk[..1 << 20].to_vec();
    for (index, secret) in wanted.iter().enumerate() {
        control.resize(control.len() + index % 7 + 1, 0);
        control.extend(secret);
    }
    let all = found(&control, &wanted).len();
    ensure!(all == wanted.len(), "the search finds {all} of {} in a control", wanted.len());
    Ok(format!(
        "{models} runs of the model and {} forms of both keys are not in {:.0} MB; all are in the control",
        wanted.len() - models,
        disk.len() as f64 / 1e6
    ))
}

/// A key as text and as bytes, from `edgemill-key-1 ROLE HEX`.
fn secret(file: &Path) -> Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    let hex = text.split_whitespace().nth(2).context("not a key")?;
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    let bytes = bytes.filter(|bytes| bytes.len() == 32).context("not a key of 32 bytes")?;
    Ok(vec![hex.as_bytes().to_vec(), bytes])
}
