//! A box set up as its user would: first boot, keys made by itself, its files written, its plugins signed, a model
//! sealed to it and installed. The disk it leaves is what all cases start from.
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::guest::{BOOT, Guest, Power, SHARE, words};
use crate::command::run;
use crate::cross;
use crate::demo::Demo;
use crate::image::{self, Image, Options};
use crate::vm::Context;

/// A box that is set up, without power.
pub struct Base {
    pub image: Image,
    /// Its root file system.
    pub disk: PathBuf,
    /// A file system with a copy of its `/var/lib/edgemill`.
    pub state: PathBuf,
    /// The folder that guests mount: packages, signing keys, programs for tests.
    pub share: PathBuf,
    /// The network in clear, as it is in the package.
    pub plain_model: PathBuf,
}

/// The package that is installed.
pub const PACKAGE: &str = "model-1.0.0.emp";
/// Newer ones of the same network, not installed.
pub const NEWER: [&str; 2] = ["model-1.1.0.emp", "model-2.0.0.emp"];
/// What the box's two secrets are in clear; made in the guest, for [`super::secrets`] to look for.
pub const SECRETS: [&str; 2] = ["store.key", "device.key"];

/// Sets it up once in a run. What kept it from being set up fails every case alike.
pub fn ensure(context: &Context) -> Result<Arc<Base>> {
    static DONE: Mutex<Option<Result<Arc<Base>, String>>> = Mutex::new(None);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || {
        let (base, demo) = plan(context)?;
        set_up(context, &base, demo)?;
        Ok::<_, anyhow::Error>(Arc::new(base))
    };
    let base = done.get_or_insert_with(|| made().map_err(|error| format!("{error:#}")));
    base.clone().map_err(|error| anyhow!("the box could not be set up: {error}"))
}

fn plan(context: &Context) -> Result<(Base, &Demo)> {
    let demo = context.demo()?;
    // With the whole workspace, so that dependencies keep the features that they were built with.
    cross::build(&context.root, &["--workspace", "--exclude", "xtask", "--example", "hostile"])?;
    let image = image::ensure(&context.root, &Options { binaries: context.binaries.clone() })?;
    let folder = context.root.join("target/vm/system");
    let base = Base {
        image,
        disk: folder.join("root.img"),
        state: folder.join("state.img"),
        share: folder.join("share"),
        plain_model: demo.plain_model()?,
    };
    Ok((base, demo))
}

fn set_up(context: &Context, base: &Base, demo: &Demo) -> Result<()> {
    let _ = fs::remove_dir_all(&base.share);
    fs::create_dir_all(&base.share)?;
    copy(&base.image.root, &base.disk)?;
    empty_file_system(&base.state)?;
    share_files(context, base, demo)?;
    let log = context.log("system-first-boot");
    let mut guest = Guest::boot(Power {
        image: &base.image,
        disk: &base.disk,
        keeps: true,
        disks: vec![base.state.clone()],
        words: words(true),
        share: &base.share,
        more: &[],
        log: log.clone(),
    })?;
    configure(&mut guest, base, demo).with_context(|| format!("see {}", log.display()))
}

/// The disks are mostly empty: holes stay holes.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut cp = std::process::Command::new("cp");
    run(cp.args(["--sparse=always", "--reflink=auto"]).arg(from).arg(to))
}

fn empty_file_system(file: &Path) -> Result<()> {
    let _ = fs::remove_file(file);
    fs::File::create(file)?.set_len(16 << 20)?;
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    run(std::process::Command::new("mke2fs").env("PATH", path).args(["-q", "-t", "ext4"]).arg(file))
}

/// What the guest takes from the host: the board's own pipeline and grants, and the author's keys.
fn share_files(context: &Context, base: &Base, demo: &Demo) -> Result<()> {
    let board = context.root.join("board/qemu-virt");
    // The board's pipeline asks for no real-time scheduling; a user may.
    let changes = [("cpu = [1]", "cpu = [1]\npriority = 10"), ("on = \"red\"", "on = \"green\"")];
    change(&board, &base.share, "pipelines/traffic-light.toml", &changes)?;
    // The network was never shown the camera's bars, so that two trainings may see different lamps in them. All green
    // is green: menu entry 8 of v4l2-tpg-core.c.
    let green = "device = \"driver:vivid\"\ncontrols = \"test_pattern=8\"";
    change(&board, &base.share, "board.toml", &[("device = \"driver:vivid\"", green)])?;
    fs::copy(board.join("access.toml"), base.share.join("access.toml"))?;
    let hostile = cross::built(&context.root).join("examples/hostile");
    fs::copy(&hostile, base.share.join("hostile"))?;
    run(std::process::Command::new("cp").arg("-r").arg(demo.keys()).arg(base.share.join("keys")))
}

/// A file of the board as a user would change it.
fn change(board: &Path, share: &Path, file: &str, changes: &[(&str, &str)]) -> Result<()> {
    let mut text = fs::read_to_string(board.join(file))?;
    for (from, to) in changes {
        ensure!(text.contains(from), "{file} of the board has no `{from}`");
        text = text.replace(from, to);
    }
    let name = Path::new(file).file_name().unwrap_or_default();
    Ok(fs::write(share.join(name), text)?)
}

fn configure(guest: &mut Guest, base: &Base, demo: &Demo) -> Result<()> {
    guest.ready()?;
    guest.wait("the daemon is up, without a pipeline", "systemctl is-active edgemill", BOOT)?;
    guest.run(&format!("cp /etc/edgemill/device.pub {SHARE}"))?;
    for (counter, package) in std::iter::once(PACKAGE).chain(NEWER).enumerate() {
        let version = package.trim_start_matches("model-").trim_end_matches(".emp");
        let recipient = base.share.join("device.pub");
        demo.seal(version, counter + 1, &recipient, &base.share.join(package))?;
    }
    guest.run(&format!(
        "install -m 0644 {SHARE}/keys/trust.json {SHARE}/keys/root.pub /etc/edgemill/trust && \
         edgemill plugin sign /usr/lib/edgemill/plugins --keys {SHARE}/keys"
    ))?;
    guest.run(&format!("edgemill model install {SHARE}/{PACKAGE}"))?;
    guest.run(&format!(
        "cp {SHARE}/board.toml {SHARE}/access.toml /etc/edgemill/ && cp {SHARE}/traffic-light.toml /etc/edgemill/pipelines/ && \
         systemctl reload edgemill"
    ))?;
    let first = guest.wire.wait(true, Instant::now(), Duration::from_secs(60));
    first.context("after the first pipeline was put there")?;
    keep_secrets(guest)?;
    guest.run("mount /dev/vdb /mnt && cp -a /var/lib/edgemill/. /mnt && umount /mnt")?;
    guest.power_off().map(drop)
}

/// Straight to the host, never to a disk of the guest.
fn keep_secrets(guest: &mut Guest) -> Result<()> {
    for name in SECRETS {
        let sealed = format!("/etc/credstore.encrypted/{name}");
        guest.run(&format!("systemd-creds decrypt --name={name} {sealed} - >{SHARE}/{name}"))?;
    }
    Ok(())
}
