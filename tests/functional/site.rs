//! A box of its own for each test: a folder with a board, pipelines, plugins and a store, and the daemon on it.
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use edgemill_control::{Client, Report, Status};

use crate::programs;

/// Far above what anything here takes, so that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The folder; removed at the end unless the test failed.
pub struct Site {
    pub folder: PathBuf,
}

impl Site {
    /// A board that takes unsigned plugins, and no pipelines yet.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("edgemill-functional-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        for inner in ["pipelines", "plugins"] {
            fs::create_dir_all(folder.join(inner)).expect("a folder");
        }
        let site = Self { folder };
        site.write("board.toml", &board("allow-unsigned = true"));
        site
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("inside the site")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    /// Copies a built plugin to where the board says; the crate `preprocess-image` builds
    /// `libpreprocess_image.so`.
    pub fn plugin(&self, id: &str) -> &Self {
        let built = programs::file(&format!("lib{}.so", id.replace('-', "_")));
        fs::copy(built, self.folder.join(format!("plugins/{id}.so"))).expect("a plugin");
        self
    }

    pub fn pipeline(&self, name: &str, stages: &str) -> PathBuf {
        self.write(&format!("pipelines/{name}.toml"), &format!("name = \"{name}\"\n{stages}"))
    }

    pub fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// `edgemilld run` on all pipelines, with a report.
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// As [`Site::start`], with more in its environment.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Daemon {
        let mut command = programs::program("edgemilld");
        command.arg("run").arg("--config").arg(self.folder.join("pipelines"));
        command.arg("--report").arg(self.folder.join("report.json"));
        command.envs(variables.iter().copied());
        Daemon::spawn(command, self)
    }

    /// `edgemilld run`, which must end by itself with success.
    pub fn run(&self) -> Report {
        let ended = self.start().wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.report()
    }

    /// `edgemilld check`.
    pub fn check(&self, file: &Path, json: bool) -> Output {
        let mut command = programs::program("edgemilld");
        command.arg("check").args(json.then_some("--json")).arg(file);
        command.output().expect("edgemilld starts")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the site is left for a look: {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A board's file with more lines before its paths.
pub fn board(more: &str) -> String {
    format!(
        "name = \"host\"\nmemory-lock = \"off\"\n{more}\n[paths]\nplugins = \"plugins\"\nstore = \"store\"\n\
         store-key = \"keys/store.key\"\ntrust = \"keys/trust.json\"\nrun = \"run\"\n"
    )
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
}

/// A daemon that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
    folder: PathBuf,
}

impl Daemon {
    fn spawn(mut command: Command, site: &Site) -> Self {
        let log = site.folder.join("stderr.log");
        let stderr = fs::File::create(&log).expect("a log");
        let child = command.stdin(Stdio::null()).stderr(stderr).spawn().expect("edgemilld starts");
        Self { child, folder: site.folder.clone(), log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.folder.join("run")).expect("the daemon listens")
    }

    /// Asks until the daemon answers that it is as wanted.
    pub fn wait_until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = Client::connect(&self.folder.join("run")).and_then(Client::status);
            match status {
                Ok(status) if wanted(&status) => return status,
                last if Instant::now() > until => {
                    panic!("never as wanted: {last:?}\n{}", self.stderr())
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Asks until the daemon answers that it is as wanted, and says whether it lived to do so.
    pub fn lives_until(&mut self, wanted: impl Fn(&Status) -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("our child").is_none() {
            let status = Client::connect(&self.folder.join("run")).and_then(Client::status);
            if status.is_ok_and(|status| wanted(&status)) {
                return true;
            }
            assert!(Instant::now() < until, "never as wanted:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Sends a signal by its name, as `kill -NAME` does.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return Ended {
                    code: status.code(),
                    stderr: self.stderr(),
                    folder: self.folder.clone(),
                };
            }
            assert!(Instant::now() < until, "the daemon does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub fn report(&self) -> Report {
        let path = self.folder.join("report.json");
        let mut text = String::new();
        fs::File::open(&path)
            .and_then(|mut file| file.read_to_string(&mut text))
            .expect("a report");
        serde_json::from_str(&text).expect("a report of this version")
    }
}

/// Every file under `folder` with its size, mode and bytes, so that two looks can be compared.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() {
                folders.push(path.clone());
                files.insert(path, b"folder".to_vec());
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap_or_default();
                files.insert(path, bytes);
            } else {
                files.insert(path, format!("{kind:?}").into_bytes());
            }
        }
    }
    files
}
