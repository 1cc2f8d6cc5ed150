//! A box that runs: the image in a virtual machine, its root shell, and its GPIO line seen from outside.
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::wire::{Monitor, Wire};
use crate::image::{self, Image};
use crate::vm::console::Answer;
use crate::vm::machine::{Drive, Machine, Setup};

/// For what a box does in a second, on a loaded host.
pub const SOON: Duration = Duration::from_secs(60);
/// From power to a shell, and from there to the first decision.
pub const BOOT: Duration = Duration::from_secs(180);
/// Where the guest has the host's folder. Under /run, which can be written to even if nothing else can.
pub const SHARE: &str = "/run/host";

/// What a box is booted from, and how.
pub struct Power<'a> {
    pub image: &'a Image,
    pub disk: &'a Path,
    /// Whether what the box writes stays on the disk.
    pub keeps: bool,
    /// Further disks: `/dev/vdb` and so on.
    pub disks: Vec<PathBuf>,
    /// The kernel's words.
    pub words: String,
    /// A folder for both.
    pub share: &'a Path,
    /// Further words for QEMU.
    pub more: &'a [&'a str],
    /// The log of the whole run.
    pub log: PathBuf,
}

/// A box that has power.
pub struct Guest {
    pub machine: Machine,
    pub wire: Wire,
    /// When it was given power.
    pub began: Instant,
    /// The folder that both have.
    pub share: PathBuf,
    log: PathBuf,
}

impl Guest {
    /// Gives it power.
    ///
    /// # Errors
    /// QEMU cannot be had.
    pub fn boot(power: Power<'_>) -> Result<Self> {
        let monitor = Monitor::new();
        let mut setup = Setup::new(&power.image.kernel, &power.log);
        setup.initrd = Some(power.image.initrd.clone());
        setup.append = format!("{} systemd.debug_shell=hvc0", power.words);
        setup.memory_mib = 1024;
        let options = if power.keeps { "" } else { "snapshot=on" };
        let disks = std::iter::once(power.disk.to_owned()).chain(power.disks);
        setup.drives = disks.map(|file| Drive { file, options }).collect();
        setup.share = Some(power.share.into());
        setup.watchdog = true;
        setup.reboots = true;
        setup.shell = true;
        setup.more = monitor.words();
        setup.more.extend(power.more.iter().map(ToString::to_string));
        setup.limit = Duration::from_secs(900);
        let machine = Machine::start(&setup)?;
        let began = Instant::now().checked_sub(machine.age()).unwrap_or_else(Instant::now);
        let (share, log) = (power.share.to_owned(), power.log);
        Ok(Self { machine, wire: monitor.watch()?, began, share, log })
    }

    /// Waits for its shell, and mounts the host's folder.
    pub fn ready(&mut self) -> Result<()> {
        let shell = self.machine.shell()?;
        shell.wait_ready(BOOT)?;
        // A shell that edits no lines, and programs that know of no colours and no pages.
        let plain = "TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 SYSTEMD_PAGER= LC_ALL=C.UTF-8";
        let _ = shell.ask(&format!("export {plain}; exec sh"), Duration::from_secs(1));
        shell.wait_ready(SOON)?;
        // A prompt would stand before the first line of each answer.
        shell.run("PS1= PS2=", SOON)?;
        let mount = "mount -t 9p -o trans=virtio,version=9p2000.L host";
        self.run(&format!("mkdir -p {SHARE} && {mount} {SHARE}"))?;
        Ok(())
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        self.wire.is_watched()
    }

    /// Runs a command that must go well; says what it printed.
    pub fn run(&mut self, command: &str) -> Result<String> {
        self.machine.shell()?.run(command, SOON)
    }

    /// Runs a command, whatever it comes to.
    pub fn ask(&mut self, command: &str) -> Result<Answer> {
        self.machine.shell()?.ask(command, SOON)
    }

    /// Turns it off in order, and says when that was asked for.
    pub fn power_off(&mut self) -> Result<Instant> {
        let asked = Instant::now();
        // Its answer may come or not.
        let _ = self.machine.shell()?.ask("systemctl poweroff", Duration::from_secs(1));
        self.machine.wait_end(SOON)?;
        Ok(asked)
    }

    /// Repeats a command until it goes well, and says what it printed then.
    pub fn wait(&mut self, what: &str, command: &str, limit: Duration) -> Result<String> {
        let until = Instant::now() + limit;
        loop {
            let Answer { code, text } = self.ask(command)?;
            if code == 0 {
                return Ok(text);
            }
            if Instant::now() > until {
                bail!("{what}: not within {limit:?}; `{command}` says: {text}");
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// A property of our unit, as systemd has it.
    pub fn unit(&mut self, property: &str) -> Result<String> {
        self.run(&format!("systemctl show edgemill -P {property}"))
    }

    /// A time of our unit on the guest's monotonic clock, in seconds.
    pub fn unit_time(&mut self, property: &str) -> Result<f64> {
        self.manager_time(&format!("edgemill -P {property}"))
    }

    /// A time of systemd itself, likewise.
    pub fn manager_time(&mut self, words: &str) -> Result<f64> {
        let text = self.run(&format!("systemctl show {words}"))?;
        let us: f64 = text.parse().with_context(|| format!("{words} is {text:?}"))?;
        ensure!(us > 0.0, "{words}: it has not happened");
        Ok(us / 1e6)
    }

    /// The daemon's process, as systemd has it.
    pub fn pid(&mut self) -> Result<u32> {
        let text = self.unit("MainPID")?;
        let pid = text.parse().with_context(|| format!("the unit's MainPID is {text:?}"))?;
        ensure!(pid != 0, "the daemon does not run");
        Ok(pid)
    }

    /// What the daemon says of itself.
    pub fn status(&mut self) -> Result<Value> {
        let text = self.run("edgemill --json status")?;
        serde_json::from_str(&text).with_context(|| format!("`edgemill status` said {text}"))
    }

    /// What it says of a stage.
    pub fn stage(&mut self, name: &str) -> Result<Value> {
        let status = self.status()?;
        let stages = status["pipelines"][0]["stages"].as_array();
        let stage = stages.into_iter().flatten().find(|stage| stage["name"] == name);
        Ok(stage.with_context(|| format!("status has no stage `{name}`: {status}"))?.clone())
    }

    /// Decisions that the actuator has taken since the daemon began.
    pub fn decisions(&mut self) -> Result<u64> {
        self.stage("act")?["delivered"].as_u64().context("act has no count")
    }

    /// Waits until decisions come, which must be soon.
    pub fn goes_on(&mut self) -> Result<()> {
        let (before, until) = (self.decisions()?, Instant::now() + SOON);
        while self.decisions()? <= before + 3 {
            ensure!(Instant::now() < until, "no decision came within {SOON:?}");
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// What the daemon has logged since it was started, or since a cursor.
    pub fn journal(&mut self, since: &str) -> Result<String> {
        self.run(&format!("journalctl -u edgemill --no-pager -o cat --after-cursor='{since}'"))
    }

    /// A place in the journal.
    pub fn cursor(&mut self) -> Result<String> {
        let text = self.run("journalctl -n 0 --show-cursor --no-pager")?;
        let cursor = text.lines().find_map(|line| line.strip_prefix("-- cursor: "));
        Ok(cursor.context("journalctl shows no cursor")?.to_owned())
    }

    /// Puts a file into the guest.
    pub fn put(&mut self, path: &str, text: &str) -> Result<()> {
        fs::write(self.share.join("put"), text)?;
        self.run(&format!("install -D -m 0644 {SHARE}/put {path}")).map(drop)
    }

    /// Everything as it was when the box was set up: files, no drop-ins, decisions that drive the line.
    pub fn settle(&mut self) -> Result<()> {
        self.run(
            "rm -rf /etc/edgemill/pipelines; cp -a /run/pristine/. /etc/edgemill; \
             if [ -d /run/systemd/system/edgemill.service.d ]; then \
             rm -r /run/systemd/system/edgemill.service.d; systemctl daemon-reload; fi; \
             systemctl reset-failed edgemill; systemctl restart edgemill",
        )?;
        self.wire.wait(true, Instant::now(), SOON).context("after a restart")?;
        Ok(())
    }

    /// Remembers how `/etc/edgemill` is, for [`Guest::settle`].
    pub fn remember(&mut self) -> Result<()> {
        self.run("cp -a /etc/edgemill /run/pristine").map(drop)
    }

    /// Shows one case, and writes what the box said meanwhile to the case's own log.
    pub fn show(
        &mut self,
        to: &Path,
        case: impl FnOnce(&mut Self) -> Result<String>,
    ) -> Result<String> {
        let from = fs::metadata(&self.log)?.len();
        let cursor = self.cursor()?;
        let note = case(self);
        let journal = format!("journalctl --no-pager -o short-monotonic --after-cursor='{cursor}'");
        // The machine may be off by now; and what comes of it stands in the log.
        let _ = self.ask(&journal);
        if note.is_err() {
            let _ = self.settle();
        }
        let outcome = note.as_ref().map_or_else(|error| format!("failed: {error:#}"), Clone::clone);
        excerpt(&self.log, from, to, &outcome)?;
        note
    }
}

/// What was written to a log since it was `from` bytes long, and what came of it.
fn excerpt(log: &Path, from: u64, to: &Path, outcome: &str) -> Result<()> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    text.extend(format!("{outcome}\n").bytes());
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

/// The kernel's words for a root that may be written, and for one that may not.
pub fn words(writable: bool) -> String {
    let words = image::COMMAND_LINE;
    if writable { words.into() } else { words.replace(" rw ", " ro ") }
}
