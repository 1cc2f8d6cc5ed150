//! The C and C++ compilers, and running what they make, natively and when the tests themselves run under qemu-user.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

/// Where the headers are.
#[must_use]
pub fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/abi/include")
}

/// A folder of its own for each test, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// # Panics
    /// The system's folder for temporary files cannot be written.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(format!("edgemill-abi-{process}-{count}"));
        fs::create_dir_all(&path).expect("a scratch folder");
        Self(path)
    }

    /// A path in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A C compiler, strict, for the architecture that this test was built for.
#[must_use]
pub fn cc() -> Command {
    let cross = format!("{}-linux-gnu-gcc", env::consts::ARCH);
    let native = env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut command = Command::new(if runs(&cross) { cross } else { native });
    command.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]);
    command.arg("-I").arg(include());
    command
}

/// A C++ compiler. The headers say the same on every 64-bit architecture, so the machine's own will do.
#[must_use]
pub fn cxx() -> Command {
    let mut command = Command::new(env::var("CXX").unwrap_or_else(|_| "c++".into()));
    command.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic"]);
    command.arg("-I").arg(include());
    command
}

/// Runs a command that must succeed, and gives what it wrote.
///
/// # Panics
/// It did not.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    finished(&format!("{command:?}"), &output)
}

/// Runs a program made for the architecture of this test, by the emulator where the machine cannot.
///
/// # Panics
/// It failed.
pub fn run(program: &Path) -> String {
    match Command::new(program).output() {
        // Under qemu-user a program that cannot be executed ends with the shell's number for that.
        Ok(output) if output.status.code() != Some(127) => {
            finished(&program.display().to_string(), &output)
        }
        _ => {
            let emulator = format!("qemu-{}-static", env::consts::ARCH);
            succeed(Command::new(emulator).arg(program))
        }
    }
}

fn finished(what: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}
