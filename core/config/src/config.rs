//! All files of one daemon together.
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::access::Access;
use crate::board::Board;
use crate::devices;
use crate::error::{ConfigError, Errors, Fault, Found, shown_path};
use crate::limits;
use crate::pipeline::{ModelUse, Pipeline, Stage, Work};
use crate::place::Place;
use crate::text::nearest;

/// Where pipelines are looked for when none is named.
pub const DEFAULT_FOLDER: &str = "/etc/edgemill/pipelines";

/// Everything a daemon is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The board.
    pub board: Board,
    /// Who may do what.
    pub access: Access,
    /// None where the folders named hold no file: the daemon then waits for one.
    pub pipelines: Vec<Pipeline>,
}

impl Config {
    /// Reads the pipelines' files, and `board.toml` and `access.toml` in the folder of the first of them or in its
    /// parent. A folder stands for the `*.toml` files in it, and may be absent. Without `access.toml` nothing is
    /// granted; without any pipeline `board.toml` may be absent too. Where a stage names a device of the board
    /// (`@front`), what the board says of it has taken the name's place.
    ///
    /// # Errors
    /// Everything wrong with any of them.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Errors> {
        let mut found = Found::default();
        let files = expand(paths)?;
        let board_file = find_board(&files, paths)?;
        let board = match &board_file {
            Some(file) => load_file(file, &mut found, Board::parse),
            None => Some(Board::unknown(Path::new("board.toml"))),
        };
        let access_file = board_file.unwrap_or_default().with_file_name("access.toml");
        let access = if access_file.exists() {
            load_file(&access_file, &mut found, Access::parse)
        } else {
            Some(Access::none(&access_file))
        };
        let pipelines: Vec<Pipeline> =
            files.iter().filter_map(|file| load_file(file, &mut found, Pipeline::parse)).collect();
        let mut config = board.zip(access).map(|(board, access)| Self { board, access, pipelines });
        if let Some(config) = &mut config {
            config.resolve(&mut found);
            config.check(&mut found);
        }
        found.or(config)
    }

    /// Reads a board's file alone.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn read_board(file: &Path) -> Result<Board, Errors> {
        let mut found = Found::default();
        let board = load_file(file, &mut found, Board::parse);
        found.or(board)
    }

    fn resolve(&mut self, found: &mut Found) {
        for stage in self.pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.stages) {
            devices::resolve(stage, &self.board, found);
        }
    }

    /// What only the files together can show.
    fn check(&self, found: &mut Found) {
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            let earlier = self.pipelines[..index].iter().find(|other| other.name == pipeline.name);
            if let Some(earlier) = earlier {
                let (name, first) = (pipeline.name.value.clone(), earlier.name.at.clone());
                let fault = Fault::Duplicate { what: "pipeline", name, first };
                found.push(fault.at(pipeline.name.at.clone()));
            }
            for stage in &pipeline.stages {
                self.check_cores(stage, found);
                self.check_granted(pipeline, stage, found);
            }
        }
        self.check_grants(found);
    }

    fn check_cores(&self, stage: &Stage, found: &mut Found) {
        let cores = self.board.cores.len();
        let absent = stage.cpus.iter().filter(|cpu| cores > 0 && cpu.value >= cores);
        for cpu in absent {
            let fault = Fault::NoSuchCore {
                stage: stage.name.value.clone(),
                cpu: cpu.value,
                board: shown_path(&self.board.name.at.file),
                cores,
            };
            found.push(fault.at(cpu.at.clone()));
        }
    }

    fn check_granted(&self, pipeline: &Pipeline, stage: &Stage, found: &mut Found) {
        let Work::Plugin { model: ModelUse::Model(model), .. } = &stage.work else { return };
        if !self.access.may_open(&pipeline.name, &stage.name, model) {
            let fault = Fault::NotGranted {
                pipeline: pipeline.name.value.clone(),
                stage: stage.name.value.clone(),
                model: model.value.clone(),
                access: shown_path(&self.access.at.file),
            };
            found.push(fault.at(model.at.clone()));
        }
    }

    /// A grant for a pipeline that is not loaded is no error: several daemons may share the file.
    fn check_grants(&self, found: &mut Found) {
        for grant in &self.access.grants {
            let pipeline =
                self.pipelines.iter().find(|pipeline| pipeline.name.value == grant.pipeline.value);
            let Some(pipeline) = pipeline.filter(|it| it.stage(&grant.stage).is_none()) else {
                continue;
            };
            let names = pipeline.stages.iter().map(|stage| stage.name.as_str());
            let fault = Fault::GrantStage {
                pipeline: pipeline.name.value.clone(),
                stage: grant.stage.value.clone(),
                nearest: nearest(&grant.stage, names).map(str::to_owned),
            };
            found.push(fault.at(grant.stage.at.clone()));
        }
    }
}

/// Folders become the `*.toml` files in them, in the order of their names.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Errors> {
    let mut files = Vec::new();
    for path in paths {
        match std::fs::read_dir(path) {
            Ok(folder) => {
                let mut inside: Vec<PathBuf> = folder
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|file| file.extension().is_some_and(|end| end == "toml"))
                    .collect();
                inside.sort();
                files.append(&mut inside);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                files.push(path.clone())
            }
            Err(_) if path.extension().is_none() && !path.exists() => (),
            Err(_) => files.push(path.clone()),
        }
    }
    if files.len() > limits::PIPELINES {
        let (found, most) = (files.len(), limits::PIPELINES);
        let fault = Fault::TooMany { what: "pipelines", found, most };
        return Err(fault.at(Place::whole(files.swap_remove(0))).into());
    }
    Ok(files)
}

/// The one `board.toml` that all files share.
fn find_board(files: &[PathBuf], paths: &[PathBuf]) -> Result<Option<PathBuf>, ConfigError> {
    let mut board: Option<PathBuf> = None;
    for file in files {
        let mine = near(file.parent().unwrap_or(Path::new("")), "board.toml")
            .ok_or_else(|| Fault::NoBoard.at(Place::whole(file.clone())))?;
        match &board {
            Some(first) if *first != mine => {
                let fault =
                    Fault::TwoBoards { found: shown_path(&mine), expected: shown_path(first) };
                return Err(fault.at(Place::whole(file.clone())));
            }
            _ => board = Some(mine),
        }
    }
    Ok(board.or_else(|| paths.iter().find_map(|folder| near(folder, "board.toml"))))
}

/// `name` in `folder` or in its parent.
fn near(folder: &Path, name: &str) -> Option<PathBuf> {
    let parent = match folder.parent() {
        Some(parent) if folder.file_name().is_some() => parent.to_owned(),
        _ => folder.join(".."),
    };
    [folder.join(name), parent.join(name)].into_iter().find(|file| file.is_file())
}

fn load_file<T>(
    file: &Path,
    found: &mut Found,
    parse: impl FnOnce(&str, &Path) -> Result<T, Errors>,
) -> Option<T> {
    match read_file(file).map_err(Errors::from).and_then(|text| parse(&text, file)) {
        Ok(value) => Some(value),
        Err(errors) => {
            found.extend(errors);
            None
        }
    }
}

/// A regular file's text, and never more of it than the limit: the path may lead to a device or a pipe.
fn read_file(file: &Path) -> Result<String, ConfigError> {
    let fault = |fault: Fault| fault.at(Place::whole(file));
    let failed = |error: std::io::Error| fault(Fault::Read(error.to_string()));
    let metadata = std::fs::metadata(file).map_err(failed)?;
    if !metadata.is_file() {
        return Err(fault(Fault::Read("it is not a regular file".into())));
    }
    let limit = u64::try_from(limits::FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() > limits::FILE_BYTES {
        return Err(fault(Fault::TooLarge));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].split(|&b| b == b'\n').count();
        let at = Place { file: file.into(), line, column: 0 };
        Fault::Syntax("this line is not UTF-8 text".into()).at(at)
    })
}
