//! `board.toml`, checked: what the board is, and where things are on it.
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::error::{ConfigError, Errors, Fault, Found, choice, few, name, within};
use crate::hardware::{
    Camera, Line, Thermal, Watchdog, check_cameras, check_clusters, check_lines, check_thermal,
    check_watchdog,
};
use crate::limits;
use crate::place::{Located, Source};
use crate::raw::{self, RawBoard, RawPaths};

/// What the board is.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Models are signed for boards by this name.
    pub name: Located<String>,
    /// `None`: any.
    pub arch: Option<Located<Arch>>,
    /// The relative capacity of each core, 1 to 1024, as Linux' `cpu_capacity`; empty where the file lists none.
    pub cores: Vec<u32>,
    /// Cores that share a cache or a clock, by number; empty where the file lists none.
    pub clusters: Vec<Vec<usize>>,
    /// Memory that the pipelines may count on.
    pub memory_bytes: Option<u64>,
    /// Whether memory is locked.
    pub memory_lock: MemoryLock,
    /// Whether plugins may be loaded that no signed list names.
    pub allow_unsigned: bool,
    /// Where things are.
    pub paths: Paths,
    /// Cameras, which a source may name as `@NAME`.
    pub cameras: Vec<Camera>,
    /// GPIO lines, which an actuator may name as `@NAME`.
    pub lines: Vec<Line>,
    /// The hardware watchdog.
    pub watchdog: Option<Watchdog>,
    /// Thermal zones.
    pub thermal: Vec<Thermal>,
}

/// Instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// `x86_64`
    X86_64,
    /// `aarch64`
    Aarch64,
}

impl Arch {
    /// That of this program.
    pub const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// As it stands in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// Whether memory is locked, so that the frame path never waits for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLock {
    /// Where it is allowed; else a warning.
    Try,
    /// Or the daemon does not start.
    Require,
    /// Not at all.
    Off,
}

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Folder of plugins and of their signed list.
    pub plugins: PathBuf,
    /// Folder of the store.
    pub store: PathBuf,
    /// File of the store's key, where the service has no systemd credential `store.key`.
    pub store_key: PathBuf,
    /// File of the key that packages are sealed to; `device.key` beside the store's key unless the file says otherwise.
    pub device_key: PathBuf,
    /// `trust.json`: whose signatures count. Its pin, `root.pub`, lies beside it.
    pub trust: PathBuf,
    /// Folder of the control socket and of what lives as long as the daemon.
    pub run: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            plugins: "/usr/lib/edgemill/plugins".into(),
            store: "/var/lib/edgemill/store".into(),
            store_key: "/etc/edgemill/keys/store.key".into(),
            device_key: "/etc/edgemill/keys/device.key".into(),
            trust: "/etc/edgemill/trust/trust.json".into(),
            run: "/run/edgemill".into(),
        }
    }
}

const ARCHES: [(&str, Arch); 2] = [("x86_64", Arch::X86_64), ("aarch64", Arch::Aarch64)];
const MEMORY_LOCKS: [(&str, MemoryLock); 3] =
    [("try", MemoryLock::Try), ("require", MemoryLock::Require), ("off", MemoryLock::Off)];
/// 1024 is the fastest core of a board (Linux, Documentation/scheduler/sched-capacity.rst).
const MOST_CAPACITY: u64 = 1024;
/// 1 TiB, far above any board.
const MOST_MEMORY_MIB: u64 = 1 << 20;

impl Board {
    /// Reads the text of a board's file. Its relative paths are taken from the folder of `file`.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Errors> {
        let source = Source::new(text, file);
        let raw: RawBoard = raw::read(text, &source)?;
        let mut found = Found::default();
        let board = check(raw, &source, &mut found);
        found.or(board)
    }

    /// The board of a daemon that has no configuration yet.
    #[must_use]
    pub fn unknown(file: &Path) -> Self {
        let at = crate::Place::whole(file);
        Self {
            name: Located { value: "unknown".into(), at },
            arch: None,
            cores: Vec::new(),
            clusters: Vec::new(),
            memory_bytes: None,
            memory_lock: MemoryLock::Try,
            allow_unsigned: false,
            paths: Paths::default(),
            cameras: Vec::new(),
            lines: Vec::new(),
            watchdog: None,
            thermal: Vec::new(),
        }
    }
}

fn check(raw: RawBoard, source: &Source<'_>, found: &mut Found) -> Option<Board> {
    let name = found.note(name("board", source.locate(raw.name)));
    let arch = found.note(
        raw.arch
            .map(|word| {
                let word = source.locate(word);
                Ok(Located { value: choice("arch", &word, &ARCHES)?, at: word.at })
            })
            .transpose(),
    );
    let cores = found.note(check_cores(raw.cores, source));
    let clusters = cores
        .as_ref()
        .and_then(|cores| found.note(check_clusters(raw.clusters, cores.len(), source)));
    let memory = found.note(
        raw.memory_mib
            .map(|number| within("memory-mib", &source.locate(number), 1, MOST_MEMORY_MIB))
            .transpose(),
    );
    let memory_lock = found.note(match raw.memory_lock {
        None => Ok(MemoryLock::Try),
        Some(word) => choice("memory-lock", &source.locate(word), &MEMORY_LOCKS),
    });
    let paths = found.note(check_paths(raw.paths, source));
    let cameras = check_cameras(raw.camera, source, found);
    let lines = check_lines(raw.line, source, found);
    let watchdog = found.note(raw.watchdog.map(|raw| check_watchdog(raw, source)).transpose());
    let thermal = check_thermal(raw.thermal, source, found);
    Some(Board {
        name: name?,
        arch: arch?,
        cores: cores?,
        clusters: clusters?,
        memory_bytes: memory?.map(|mib| mib << 20),
        memory_lock: memory_lock?,
        allow_unsigned: raw.allow_unsigned,
        paths: paths?,
        cameras: cameras?,
        lines: lines?,
        watchdog: watchdog?,
        thermal: thermal?,
    })
}

fn check_cores(raw: Vec<Spanned<u64>>, source: &Source<'_>) -> Result<Vec<u32>, ConfigError> {
    few("cores", raw.len(), limits::CORES, || source.whole())?;
    raw.into_iter()
        .map(|number| {
            let capacity = within("a core's capacity", &source.locate(number), 1, MOST_CAPACITY)?;
            Ok(u32::try_from(capacity).unwrap_or(u32::MAX))
        })
        .collect()
}

fn check_paths(raw: RawPaths, source: &Source<'_>) -> Result<Paths, ConfigError> {
    let standard = Paths::default();
    let resolve = |raw: Option<Spanned<String>>, otherwise: PathBuf| match raw {
        None => Ok(otherwise),
        Some(path) => check_path(&source.locate(path), source),
    };
    let store_key = resolve(raw.store_key, standard.store_key)?;
    let device_key = resolve(raw.device_key, store_key.with_file_name("device.key"))?;
    Ok(Paths {
        plugins: resolve(raw.plugins, standard.plugins)?,
        store: resolve(raw.store, standard.store)?,
        store_key,
        device_key,
        trust: resolve(raw.trust, standard.trust)?,
        run: resolve(raw.run, standard.run)?,
    })
}

fn check_path(path: &Located<String>, source: &Source<'_>) -> Result<PathBuf, ConfigError> {
    if path.is_empty() || path.contains('\0') || path.len() > limits::TEXT_BYTES {
        let message = "a path has 1 to 4096 bytes and no NUL character".to_owned();
        return Err(Fault::Syntax(message).at(path.at.clone()));
    }
    Ok(source.resolve(path))
}
