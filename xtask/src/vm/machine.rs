//! A virtual 64-bit ARM machine: QEMU, started, spoken to and, where that is the test, killed.
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::console::{Console, Log, Shell};
use crate::command::shown;
use crate::host_packages::{self, Need};

/// A disk of the machine: a virtio block device, `/dev/vda` for the first.
pub struct Drive {
    /// A raw image.
    pub file: PathBuf,
    /// Further words of QEMU's `-drive`, such as `snapshot=on` (what is written is lost at the end) or `cache=none`.
    pub options: &'static str,
}

/// What a machine is made of.
pub struct Setup {
    pub kernel: PathBuf,
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub append: String,
    pub cores: u32,
    pub memory_mib: u32,
    pub drives: Vec<Drive>,
    /// A folder that the guest can mount: `mount -t 9p -o trans=virtio,version=9p2000.L host DIR`.
    pub share: Option<PathBuf>,
    /// An i6300esb, which resets the machine.
    pub watchdog: bool,
    /// Whether the machine starts again when it resets, or ends.
    pub reboots: bool,
    /// A second console, hvc0, on which the guest is to run a root shell.
    pub shell: bool,
    /// Further words for QEMU.
    pub more: Vec<String>,
    /// What the machine says, with times.
    pub log: PathBuf,
    /// Whether the log goes on after what an earlier machine wrote.
    pub same_log: bool,
    /// A machine older than this is taken for hung: no wait goes beyond it.
    pub limit: Duration,
}

impl Setup {
    /// Two cores, 512 MiB, and nothing but a kernel and a console.
    pub fn new(kernel: &Path, log: &Path) -> Self {
        Self {
            kernel: kernel.into(),
            initrd: None,
            append: "console=ttyAMA0 quiet panic=-1".into(),
            cores: 2,
            memory_mib: 512,
            drives: Vec::new(),
            share: None,
            watchdog: false,
            reboots: false,
            shell: false,
            more: Vec::new(),
            log: log.into(),
            same_log: false,
            // Many times a run's usual length, since a hosted machine may be slow.
            limit: Duration::from_secs(300),
        }
    }

    fn command(&self, socket: &Path) -> Command {
        // Dies with us, even if we are killed.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64"]);
        qemu.args(["-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi"]);
        qemu.args(["-smp", &self.cores.to_string(), "-m", &self.memory_mib.to_string()]);
        qemu.args(["-display", "none", "-monitor", "none", "-nic", "none"]);
        qemu.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        qemu.arg("-kernel").arg(&self.kernel).args(["-append", &self.append]);
        if let Some(initrd) = &self.initrd {
            qemu.arg("-initrd").arg(initrd);
        }
        for drive in &self.drives {
            let mut words = format!("if=virtio,format=raw,file={}", drive.file.display());
            if !drive.options.is_empty() {
                words += &format!(",{}", drive.options);
            }
            qemu.args(["-drive", &words]);
        }
        if let Some(share) = &self.share {
            let path = share.display();
            let words = format!("local,path={path},mount_tag=host,security_model=none");
            qemu.args(["-virtfs", &words]);
        }
        if self.watchdog {
            qemu.args(["-device", "i6300esb", "-watchdog-action", "reset"]);
        }
        if !self.reboots {
            qemu.arg("-no-reboot");
        }
        if self.shell {
            let words = format!("socket,id=shell,path={},server=on,wait=off", socket.display());
            qemu.args(["-device", "virtio-serial-pci", "-chardev", &words]);
            qemu.args(["-device", "virtconsole,chardev=shell"]);
        }
        qemu.args(&self.more);
        qemu
    }
}

/// A machine that runs. Dropping it cuts its power.
pub struct Machine {
    qemu: Child,
    began: Instant,
    deadline: Instant,
    /// The serial console.
    pub console: Console,
    /// The second console, where it was asked for.
    shell: Option<Shell>,
    trouble: Console,
    log: PathBuf,
}

impl Machine {
    /// Powers it on.
    ///
    /// # Errors
    /// QEMU cannot be had or started.
    pub fn start(setup: &Setup) -> Result<Self> {
        host_packages::ensure(&[Need::QemuSystem])?;
        let socket = socket_path();
        let log = if setup.same_log { Log::append } else { Log::create }(&setup.log)?;
        let mut command = setup.command(&socket);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let qemu = command.spawn();
        let mut qemu = qemu.with_context(|| format!("cannot start `{}`", shown(&command)))?;
        let times = [began, began + setup.limit];
        let stdin = qemu.stdin.take().context("QEMU has no input")?;
        let stdout = qemu.stdout.take().context("QEMU has no output")?;
        let stderr = qemu.stderr.take().context("QEMU has no errors")?;
        let console = Console::new(stdout, Some(Box::new(stdin)), log.clone(), "", times);
        let trouble = Console::new(stderr, None, log.clone(), "qemu| ", times);
        let mut machine = Self {
            qemu,
            began,
            deadline: times[1],
            console,
            shell: None,
            trouble,
            log: setup.log.clone(),
        };
        if setup.shell {
            machine.shell = Some(machine.connect(&socket, log)?);
        }
        Ok(machine)
    }

    fn connect(&mut self, socket: &Path, log: Log) -> Result<Shell> {
        let until = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if self.qemu.try_wait()?.is_none() && Instant::now() < until => {
                    sleep(Duration::from_millis(20));
                }
                Err(error) => bail!("QEMU gives no second console ({error}); {}", self.see()),
            }
        };
        let _ = fs::remove_file(socket);
        let writer = Box::new(stream.try_clone()?);
        let times = [self.began, self.deadline];
        Ok(Shell::new(Console::new(stream, Some(writer), log, "shell| ", times)))
    }

    /// The root shell on the second console.
    pub fn shell(&mut self) -> Result<&mut Shell> {
        self.shell.as_mut().context("this machine has no second console")
    }

    /// How long it has had power.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Processor time that the machine has had: how far it has come, whatever else the host has to do.
    ///
    /// # Errors
    /// It has ended.
    pub fn worked(&self) -> Result<Duration> {
        let mut sum = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.qemu.id()))? {
            // A thread may end meanwhile; those that matter stay.
            let stat = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            sum += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(sum))
    }

    /// Cuts the power: QEMU is killed where it stands (SIGKILL). What the guest had handed to its disk is in the
    /// host's page cache and stays; what the guest still had in its own memory is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.qemu.kill()?;
        self.qemu.wait()?;
        self.join();
        Ok(())
    }

    /// Waits until the machine has powered itself off.
    ///
    /// # Errors
    /// It is still on after `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let until = (Instant::now() + limit).min(self.deadline);
        loop {
            if let Some(status) = self.qemu.try_wait()? {
                self.join();
                return Ok(status);
            }
            if Instant::now() >= until {
                bail!("the machine is still on after {limit:?}; {}", self.see());
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn join(&mut self) {
        self.console.join();
        self.trouble.join();
    }

    fn see(&self) -> String {
        format!("its console is in {}", self.log.display())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Short, since the path of a socket has at most 107 bytes.
fn socket_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("edgemill-vm-{}-{number}", std::process::id()))
}
