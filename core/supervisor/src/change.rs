//! The way from files to pipelines that run, at the start and at each reload. It has a thread of its own: it loads
//! libraries, decrypts models and opens devices, and the supervisor's thread must not wait for any of these.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use edgemill_config::{Arch, Board, Config};
use edgemill_control::{Listener, StartTimes};
use edgemill_host::LogSink;
use edgemill_linux::event::Waker;

use crate::assembly::{Assembled, Known, assemble};
use crate::exit::{Exit, Failure};
use crate::fail_safe;
use crate::log::{self, Level};
use crate::maker::{Actuator, Gauges, Maker};
use crate::models::{Models, Shelf, TrustFile};
use crate::plugins::Plugins;
use crate::running::{Running, actuators};
use crate::settings::lock_memory;

/// What every change works with.
pub struct Context {
    /// Files and folders of the command line.
    pub configs: Vec<PathBuf>,
    /// Where plugins' lines go.
    pub log: Arc<dyn LogSink>,
    /// Where plugins' numbers go.
    pub gauges: Arc<Gauges>,
    /// Rung when a pipeline has something to tell.
    pub waker: Arc<Waker>,
    /// When the process began.
    pub began: Instant,
}

impl Context {
    /// How long the way to each of these, and to now, was.
    pub fn since_start(&self, [configured, loaded]: [Instant; 2]) -> StartTimes {
        let ms = |at: Instant| at.saturating_duration_since(self.began).as_secs_f64() * 1e3;
        let running_ms = ms(Instant::now());
        StartTimes { configured_ms: ms(configured), loaded_ms: ms(loaded), running_ms }
    }
}

/// What a daemon has from its first configuration to its end.
pub struct Base {
    /// As it was at the start: the place of store and sockets does not change under a running daemon.
    pub board: Board,
    /// The store.
    pub shelf: Arc<Shelf>,
    /// Whether memory is locked.
    pub memory_locked: bool,
}

/// What runs before the change.
#[derive(Default)]
pub struct Present {
    /// `None` at the start.
    pub base: Option<Arc<Base>>,
    /// Names of the pipelines that run and will take a reload.
    pub running: Vec<String>,
    /// Ports of their instances.
    pub known: Known,
    /// Their actuators.
    pub actuators: Vec<Actuator>,
}

/// What has come of a change.
pub struct Changed {
    /// The files as they are now.
    pub config: Config,
    /// Kept from the first change on.
    pub base: Arc<Base>,
    /// Whose signatures count now.
    pub trust: Arc<TrustFile>,
    /// The control socket, at the first change.
    pub listener: Option<Listener>,
    /// Pipelines that are new, and run.
    pub started: Vec<Running>,
    /// Pipelines that run already, as they are to be.
    pub reloaded: Vec<Assembled>,
    /// Models whose new package failed.
    pub gone_back: Vec<String>,
    /// When files, and when plugins and models, were done.
    pub milestones: [Instant; 2],
}

/// Reads the files, makes what is new and sets new pipelines going.
///
/// # Errors
/// Everything that is wrong; nothing has changed then.
pub fn change(context: &Context, present: &Present) -> Result<Changed, Failure> {
    let config = Config::load(&context.configs).map_err(Failure::configuration)?;
    let base = match &present.base {
        Some(base) => same_board(base, &config)?,
        None => Arc::new(found(&config)?),
    };
    let configured = Instant::now();
    let trust = Arc::new(TrustFile::new(&config.board.paths));
    let plugins = Plugins::open(&config.board, &trust)?;
    let shelf = Arc::clone(&base.shelf);
    let models = Models::new(shelf, Arc::clone(&trust), &config.board, &config.access);
    let (log, gauges) = (Arc::clone(&context.log), Arc::clone(&context.gauges));
    let maker = Arc::new(Maker::new(plugins, models, log, gauges));
    let assembled = assemble(&config, &maker, &present.known)?;
    let loaded = Instant::now();

    let run = &config.board.paths.run;
    let listener = match present.base {
        None => Some(Listener::bind(run).map_err(|error| Failure::new(Exit::Device, error))?),
        Some(_) => None,
    };
    let (reloaded, fresh): (Vec<_>, Vec<_>) = assembled
        .into_iter()
        .partition(|assembled| present.running.contains(&assembled.pipeline.name.value));
    // Before any of them acts, and whatever becomes of this change.
    let mut all = present.actuators.clone();
    for assembled in reloaded.iter().chain(&fresh) {
        all.extend(actuators(&assembled.spec, &assembled.identities));
    }
    if !all.is_empty() {
        fail_safe::record(run, all)?;
    }
    let started = start(fresh, &context.waker, &maker)?;
    let (milestones, gone_back) = ([configured, loaded], maker.gone_back());
    Ok(Changed { config, base, trust, listener, started, reloaded, gone_back, milestones })
}

/// All of them or none. A model on probation that keeps one from starting is gone back from for the next start.
fn start(
    fresh: Vec<Assembled>,
    waker: &Arc<Waker>,
    maker: &Maker,
) -> Result<Vec<Running>, Failure> {
    let mut started: Vec<Running> = Vec::new();
    for assembled in fresh {
        match Running::start(assembled, waker, maker) {
            Ok(running) => started.push(running),
            Err(failure) => {
                for mut running in started {
                    running.stop();
                    let _ = running.runtime.wait(running.stop_by.map(|by| by - Instant::now()));
                }
                return Err(failure);
            }
        }
    }
    Ok(started)
}

/// What the first configuration lays down.
fn found(config: &Config) -> Result<Base, Failure> {
    let board = config.board.clone();
    if let Some(arch) = board.arch.as_ref().filter(|arch| arch.value != Arch::HERE) {
        let (at, theirs, ours) = (&arch.at, arch.value.word(), Arch::HERE.word());
        return Err(Failure::configuration(format!(
            "{at}: this is the file of an {theirs} board, and this edgemilld is built for {ours}; \
             name the file of this board"
        )));
    }
    let memory_locked = lock_memory(&board)?;
    let shelf = Arc::new(Shelf::own(&board.paths)?);
    shelf.begin_starts();
    Ok(Base { board, shelf, memory_locked })
}

fn same_board(base: &Arc<Base>, config: &Config) -> Result<Arc<Base>, Failure> {
    let (old, new) = (&base.board, &config.board);
    if old.paths == new.paths && old.name == new.name {
        return Ok(Arc::clone(base));
    }
    if old.name.at.line == 0 {
        log::line(Level::Warn, "", "there is a board.toml now, and it was not there at the start");
    }
    let file = new.name.at.file.display();
    Err(Failure::configuration(format!(
        "{file}: name and [paths] of the board have changed, which a reload cannot follow; \
         restart the daemon (systemctl restart edgemill)"
    )))
}
