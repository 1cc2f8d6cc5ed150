//! Where the built programs are, and how they are started: by themselves, or through an emulator when these tests
//! were built for another machine than the one they run on.
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names by which an emulator is told to us: Cargo's own variable, and the one that the daemon hands on.
const RUNNER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER";
pub const EMULATOR: &str = "EDGEMILL_EMULATOR";

/// The folder that these tests were built into: `target/release` or `target/TRIPLE/release`.
pub fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    test.ancestors().nth(2).expect("tests lie in deps/").into()
}

/// A built file, or the command that builds it.
pub fn file(name: &str) -> PathBuf {
    let path = built().join(name);
    let target = if built().parent().is_some_and(|it| it.ends_with("aarch64-unknown-linux-gnu")) {
        " --config cross.toml"
    } else {
        ""
    };
    assert!(
        path.exists(),
        "{} is not built; run: cargo build --release{target} -p edgemill-supervisor -p edgemill-cli \
         -p probe -p preprocess-image -p decide-rule -p actuate-log -p infer-int8",
        path.display()
    );
    path
}

/// A built program, ready to be given arguments.
pub fn program(name: &str) -> Command {
    start(&file(name))
}

/// `path` as a command of this machine.
pub fn start(path: &Path) -> Command {
    let Some(emulator) = emulator() else { return Command::new(path) };
    let mut words = emulator.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words.map(OsString::from)).arg(path).env(EMULATOR, &emulator);
    command
}

/// The command that programs must be started through, if any.
fn emulator() -> Option<String> {
    if cfg!(not(target_arch = "aarch64")) {
        return None;
    }
    let told = [EMULATOR, RUNNER].into_iter().find_map(|name| std::env::var(name).ok());
    if told.is_some() {
        return told;
    }
    let native =
        std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("CPU implementer"));
    let registered = Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists();
    (!native && !registered).then(|| "qemu-aarch64-static -cpu max".to_owned())
}

/// Whether programs run under an emulator, where some calls into the kernel are missing.
pub fn emulated() -> bool {
    emulator().is_some()
}
