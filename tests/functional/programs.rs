//! Where the built programs are.
use std::path::PathBuf;
use std::process::Command;

use edgemill_tests::emulator::start;

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
         -p probe -p preprocess-image -p decide-rule -p actuate-log -p actuate-gpio -p infer-int8",
        path.display()
    );
    path
}

/// A built program, ready to be given arguments.
pub fn program(name: &str) -> Command {
    start(&file(name))
}
