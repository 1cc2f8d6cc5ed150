//! What the shipped unit says is what the kernel does: read back from the running daemon.
use anyhow::{Context as _, Result, ensure};

use super::guest::Guest;

/// CAP_IPC_LOCK (14) and CAP_SYS_NICE (23).
const CAPABILITIES: u64 = 1 << 14 | 1 << 23;
/// The score of `systemd-analyze security`, at most.
const EXPOSURE: f64 = 2.0;

/// User, capabilities, seccomp, namespaces, devices and files of the daemon.
pub fn hardening(guest: &mut Guest) -> Result<String> {
    let pid = guest.pid()?;
    let status = guest.run(&format!("cat /proc/{pid}/status"))?;
    let user = guest.run("id -u edgemill")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).with_context(|| format!("no {name} in /proc/{pid}/status"))
    };
    let ids: Vec<&str> = field("Uid")?.split_whitespace().collect();
    ensure!(user != "0" && ids.iter().all(|id| *id == user), "it runs as {ids:?}, not {user}");
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        let has = u64::from_str_radix(field(set)?, 16)?;
        ensure!(has == CAPABILITIES, "{set} is {has:#x}, not {CAPABILITIES:#x}");
    }
    ensure!(field("NoNewPrivs")? == "1", "it may gain privileges");
    ensure!(field("Seccomp")? == "2", "no system call filter is in force");
    for kind in ["mnt", "net", "uts"] {
        let own = format!("[ $(readlink /proc/{pid}/ns/{kind}) != $(readlink /proc/1/ns/{kind}) ]");
        ensure!(guest.ask(&own)?.code == 0, "its {kind} namespace is that of the system");
    }
    sandbox(guest, pid)?;
    let exposure = exposure(guest)?;
    ensure!(exposure <= EXPOSURE, "exposure {exposure} is above {EXPOSURE}");
    Ok(format!("user {user}, two capabilities, seccomp, own namespaces, exposure {exposure}"))
}

/// What root cannot do in the daemon's own view of the files, the daemon cannot.
fn sandbox(guest: &mut Guest, pid: u32) -> Result<()> {
    let inside = format!("nsenter --target {pid} --mount --net --");
    for path in ["/usr/bin/x", "/etc/x", "/var/x", "/sys/kernel/x"] {
        let tried = guest.ask(&format!("{inside} /bin/sh -c ': >{path}'"))?;
        ensure!(tried.code != 0, "it can write {path}");
    }
    // Its configuration is its user's to read only, though systemd mounts that folder for writing.
    let user = "setpriv --reuid=edgemill --regid=edgemill --clear-groups";
    let tried = guest.ask(&format!("{inside} {user} /bin/sh -c ': >/etc/edgemill/x'"))?;
    ensure!(tried.code != 0, "it can write /etc/edgemill");
    let home = guest.ask(&format!("{inside} /bin/ls /root"))?;
    ensure!(home.code != 0 || home.text.is_empty(), "it sees /root: {}", home.text);
    let own = guest
        .ask(&format!("{inside} /bin/sh -c ': >/var/lib/edgemill/x && rm /var/lib/edgemill/x'"))?;
    ensure!(own.code == 0, "it cannot write its own state: {}", own.text);
    // Its own /proc shows processes only; that of the system shows the reader's network.
    let links = guest.run(&format!("nsenter --target {pid} --net -- /bin/cat /proc/net/dev"))?;
    let foreign = links.lines().skip(2).find(|line| !line.trim_start().starts_with("lo:"));
    ensure!(foreign.is_none(), "it has a network device: {foreign:?}");
    Ok(())
}

/// What systemd says of the running unit.
pub fn exposure(guest: &mut Guest) -> Result<f64> {
    let text = guest.run("systemd-analyze security edgemill --no-pager")?;
    let line = text.lines().find(|line| line.contains("Overall exposure level"));
    let number = line.and_then(|line| line.split(": ").nth(1)?.split(' ').next()?.parse().ok());
    number.with_context(|| format!("systemd-analyze says no number: {text}"))
}

/// One of the daemon's threads, as the kernel has it.
#[derive(Debug, PartialEq)]
struct Thread {
    name: String,
    cores: String,
    priority: String,
    policy: String,
}

impl Thread {
    fn new(name: &str, cores: &str, priority: &str, policy: &str) -> Self {
        let [name, cores, priority, policy] = [name, cores, priority, policy].map(str::to_owned);
        Self { name, cores, priority, policy }
    }
}

/// Pinning, SCHED_FIFO and locked memory, thread by thread.
pub fn realtime(guest: &mut Guest) -> Result<String> {
    let pid = guest.pid()?;
    let threads = threads(guest, pid)?;
    let stages = [("camera", "0"), ("prepare", "0"), ("infer", "1"), ("decide", "0"), ("act", "0")];
    for (stage, core) in stages {
        // sched(7): 1 is SCHED_FIFO, 0 the usual.
        let (policy, priority) = if stage == "infer" { ("1", "10") } else { ("0", "0") };
        let wanted = Thread::new(stage, core, priority, policy);
        // A thread of the daemon's own may bear the name too.
        let named: Vec<_> = threads.iter().filter(|thread| thread.name == stage).collect();
        ensure!(named.contains(&&wanted), "there is no {wanted:?}, but {named:?}");
    }
    let locked =
        guest.run(&format!("sed -n 's/^VmLck:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/{pid}/status"))?;
    let locked: u64 = locked.parse().context("no VmLck")?;
    ensure!(locked > 1024, "{locked} kB of its memory is locked");
    ensure!(guest.status()?["daemon"]["memory_locked"] == true, "the daemon says otherwise");
    Ok(format!(
        "5 stages on their cores, infer at SCHED_FIFO 10, {:.0} MB of addresses locked as they are touched",
        locked as f64 / 1e3
    ))
}

/// Fields 40 and 41 of stat, proc_pid_stat(5), counted from behind the name, which may hold spaces.
fn threads(guest: &mut Guest, pid: u32) -> Result<Vec<Thread>> {
    let text = guest.run(&format!(
        "for t in /proc/{pid}/task/*; do echo \"$(cat $t/comm)|$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' $t/status)|\
         $(sed 's/.*) //' $t/stat | cut -d' ' -f38,39 | tr ' ' '|')\"; done"
    ))?;
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split('|').collect();
        let [name, cores, priority, policy] = fields[..] else { return None };
        Some(Thread::new(name, cores, priority, policy))
    };
    Ok(text.lines().filter_map(parse).collect())
}
