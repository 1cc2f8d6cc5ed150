//! How programs are started when these tests were built for another machine than the one they run on.
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The names by which an emulator is told to us: Cargo's own variable, and the one that the daemon hands on.
const RUNNER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER";
/// See `core/host`'s child processes.
pub const EMULATOR: &str = "EDGEMILL_EMULATOR";

/// `path` as a command of this machine.
#[must_use]
pub fn start(path: &Path) -> Command {
    let Some(emulator) = emulator() else { return Command::new(path) };
    let mut words = emulator.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words.map(OsString::from)).arg(path).env(EMULATOR, &emulator);
    command
}

/// This program once more.
///
/// # Panics
/// The kernel does not say which file it is.
#[must_use]
pub fn start_self() -> Command {
    start(&std::env::current_exe().expect("a test has a file"))
}

/// The command that programs must be started through, if any.
fn emulator() -> Option<String> {
    if !emulated() {
        return None;
    }
    let told = [EMULATOR, RUNNER].into_iter().find_map(|name| std::env::var(name).ok());
    let registered = Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists();
    told.or_else(|| (!registered).then(|| "qemu-aarch64-static -cpu max".to_owned()))
}

/// Whether programs run under an emulator, where some calls into the kernel are missing.
#[must_use]
pub fn emulated() -> bool {
    cfg!(target_arch = "aarch64")
        && !std::fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.contains("CPU implementer"))
}
