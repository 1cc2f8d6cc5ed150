//! Where the demo keeps what it makes: all of it under `target/`.
use std::path::{Path, PathBuf};

/// Every path the demo uses.
pub struct Places {
    /// The workspace.
    pub root: PathBuf,
    /// `target/release`: binaries and plugins as Cargo builds them.
    pub release: PathBuf,
    /// `target/demo`.
    pub demo: PathBuf,
}

impl Places {
    /// The places in this workspace.
    pub fn new(root: &Path) -> Self {
        let target = root.join("target");
        Self { root: root.into(), release: target.join("release"), demo: target.join("demo") }
    }

    /// Something under `target/demo`.
    pub fn demo(&self, name: &str) -> PathBuf {
        self.demo.join(name)
    }

    /// One of our programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.release.join(name)
    }

    /// The tool, ready for arguments.
    pub fn tool(&self) -> std::process::Command {
        std::process::Command::new(self.program("edgemill"))
    }
}
