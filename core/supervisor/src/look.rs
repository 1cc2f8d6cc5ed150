//! `edgemilld look`: what a pipeline finds in pictures from files. Its own stages from the source to the boxes are run,
//! with its plugins and its model, over one picture after the other, each a frame of its own size; what comes after
//! the boxes is left out, so that nothing is decided and nothing driven.
mod pipeline;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgemill_capture::look;
use edgemill_config::{Config, printable};
use edgemill_host::{LogLevel, LogThread};
use serde::Serialize;

use crate::args::Look;
use crate::exit::{Exit, Failure};
use crate::log::{self, Level};
use crate::maker::{Gauges, Maker};
use crate::models::{Models, Shelf, TrustFile};
use crate::plugins::Plugins;
use crate::settings;
use pipeline::Looking;

/// One box, as it is printed.
#[derive(Serialize)]
struct Found<'a> {
    file: &'a str,
    class: &'a str,
    score: f32,
    /// Left, top, right, bottom, in pixels of the picture.
    r#box: [f32; 4],
}

/// Looks at every picture and prints a line for each box.
///
/// # Errors
/// The pipeline cannot be run or fails, there are no pictures, or what was marked cannot be written.
pub fn run(args: &Look) -> Result<(), Failure> {
    settings::protect();
    let files = look::pictures(&args.input).map_err(Failure::configuration)?;
    let config = Config::load(std::slice::from_ref(&args.file)).map_err(Failure::configuration)?;
    let [pipeline] = &config.pipelines[..] else {
        let text = format!("{}: name the file of one pipeline", args.file.display());
        return Err(Failure::configuration(text));
    };
    let mut looking = Looking::new(pipeline, maker(&config)?)?;
    let folder = args.annotate.as_deref();
    let targets = folder.map(|folder| targets(folder, &args.input, &files)).transpose()?;
    for (index, file) in files.iter().enumerate() {
        let picture = match look::open(file) {
            Ok(picture) => picture,
            Err(error) => {
                log::line(Level::Warn, "", &format!("left out: {error}"));
                continue;
            }
        };
        let found = looking.at(&picture)?;
        print(name(file, &args.input), &found, &looking, args.json)?;
        if let Some(targets) = &targets {
            look::write(picture, &found, |class| looking.name(class), &targets[index])
                .map_err(|error| Failure::new(Exit::Device, error))?;
        }
    }
    Ok(())
}

/// As `check` makes it: the store is only read, whoever has it.
fn maker(config: &Config) -> Result<Arc<Maker>, Failure> {
    let trust = Arc::new(TrustFile::new(&config.board.paths));
    let plugins = Plugins::open(&config.board, &trust)?;
    let shelf = Arc::new(Shelf::look(&config.board.paths)?);
    let models = Models::new(shelf, trust, &config.board, &config.access);
    let lines = LogThread::start(new_lines()).map_err(Failure::internal)?;
    Ok(Arc::new(Maker::new(plugins, models, Arc::new(lines), Arc::<Gauges>::default())))
}

/// Writes a stage's line unless it said the same before: it begins anew with every size of picture.
fn new_lines() -> impl FnMut(LogLevel, &str, &str) + Send + 'static {
    let mut last = BTreeMap::new();
    move |level, stage, text| {
        if last.insert(stage.to_owned(), text.to_owned()).is_none_or(|said| said != text) {
            log::plugin_line(level, stage, text);
        }
    }
}

/// What a picture is called: its path below the folder that is looked through.
fn name<'a>(file: &'a Path, input: &Path) -> &'a Path {
    let below = file.strip_prefix(input).ok().filter(|name| *name != Path::new(""));
    below.or(file.file_name().map(Path::new)).unwrap_or(file)
}

/// Where each picture goes once it is marked. Makes the folder.
///
/// # Errors
/// The folder cannot be made, or one of the pictures themselves would be written over.
fn targets(folder: &Path, input: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = printable(&folder.to_string_lossy(), 300);
        let text = format!("{folder}: {error}; give --annotate a folder that can be written");
        Failure::new(Exit::Device, text)
    })?;
    let mut written = BTreeSet::new();
    let targets: Vec<_> =
        files.iter().map(|file| target(folder, name(file, input), &mut written)).collect();
    let pictures: BTreeSet<_> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    let lost = |target: &&PathBuf| target.canonicalize().is_ok_and(|at| pictures.contains(&at));
    match targets.iter().find(lost) {
        Some(target) => Err(Failure::configuration(format!(
            "{} is one of the pictures and would be written over; give --annotate another folder",
            printable(&target.to_string_lossy(), 300)
        ))),
        None => Ok(targets),
    }
}

/// The picture's name under `folder`, as a PNG; where another picture has that already, the whole name is kept.
fn target(folder: &Path, name: &Path, written: &mut BTreeSet<PathBuf>) -> PathBuf {
    let mut target = folder.join(name.with_extension("png"));
    if !written.insert(target.clone()) {
        let mut whole = name.as_os_str().to_owned();
        whole.push(".png");
        target = folder.join(whole);
    }
    target
}

fn print(
    name: &Path,
    found: &[look::Finding],
    looking: &Looking,
    json: bool,
) -> Result<(), Failure> {
    let file = name.to_string_lossy();
    let mut text = String::new();
    for found in found {
        let class = looking.name(found.class);
        if json {
            let found =
                Found { file: &file, class: &class, score: found.score, r#box: found.edges };
            text += &serde_json::to_string(&found).map_err(Failure::internal)?;
        } else {
            let [left, top, right, bottom] = found.edges;
            let (file, class) = (printable(&file, 300), printable(&class, 100));
            let score = found.score;
            text += &format!(
                "{file}: {class} {score:.2} at {left:.0},{top:.0} to {right:.0},{bottom:.0}"
            );
        }
        text.push('\n');
    }
    log::out(&text);
    Ok(())
}
