//! What can be wrong with a file, where, and what to do about it.
use std::fmt;
use std::path::Path;

use crate::limits;
use crate::place::{Located, Place};
use crate::text::{nearest, printable};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct ConfigError {
    /// Where it stands.
    pub at: Place,
    /// What it is.
    pub fault: Box<Fault>,
}

/// Everything that is wrong, at least one thing, in the order it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors(pub Vec<ConfigError>);

/// Bytes of one error, and of all together, that are shown; the rest are counted. A message stays under 4 KiB.
const ONE_SHOWN: usize = 1200;
const ALL_SHOWN: usize = 3600;

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = 0;
        for (index, error) in self.0.iter().enumerate() {
            let line = printable(&error.to_string(), ONE_SHOWN);
            bytes += line.len() + 1;
            if bytes > ALL_SHOWN {
                return write!(f, "\nand {} more", self.0.len() - index);
            }
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl From<ConfigError> for Errors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// The kinds of fault. Texts of the file are kept [`printable`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not to be opened or read.
    #[error("cannot be read: {0}; check the path and that this user may read it")]
    Read(String),
    /// Over [`limits::FILE_BYTES`].
    #[error(
        "is larger than {} bytes, the most a configuration file may have; is it the right file?",
        limits::FILE_BYTES
    )]
    TooLarge,
    /// The file is not TOML, or a value is not of the type its key has.
    #[error("{0}; correct this line")]
    Syntax(String),
    /// A key nobody knows.
    #[error("unknown key `{found}`{}; the keys here are {known}", meant(nearest))]
    UnknownKey {
        /// As it stands in the file.
        found: String,
        /// What it was most likely meant to be.
        nearest: Option<String>,
        /// All keys known here.
        known: String,
    },
    /// A word that is none of those allowed.
    #[error("{key} is `{found}`{}; it may be {known}", meant(nearest))]
    UnknownWord {
        /// The key it stands at.
        key: &'static str,
        /// As it stands in the file.
        found: String,
        /// What it was most likely meant to be.
        nearest: Option<String>,
        /// All words allowed.
        known: String,
    },
    /// A name that cannot be one.
    #[error(
        "{what} `{found}` is not a name: use 1 to {} of a-z, 0-9, `-` and `_`, a letter or digit first",
        limits::NAME_BYTES
    )]
    Name {
        /// Of what it is the name.
        what: &'static str,
        /// As it stands in the file.
        found: String,
    },
    /// A number outside its range.
    #[error("{key} is {found}; it must be from {least} to {most}")]
    Range {
        /// The key it stands at.
        key: &'static str,
        /// As it stands in the file.
        found: String,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
    /// More of something than [`limits`] allow.
    #[error("has {found} {what}; at most {most} are allowed: leave some out")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// Two things of one name.
    #[error(
        "{what} `{name}` is here a second time (first at {first}); give one of them another name"
    )]
    Duplicate {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it stood first.
        first: Place,
    },
    /// An input from a stage that is not there.
    #[error(
        "stage `{stage}` takes its input from `{found}`, and no stage has that name{}; the stages are {known}",
        meant(nearest)
    )]
    UnknownStage {
        /// The stage with the input.
        stage: String,
        /// The stage named.
        found: String,
        /// What it was most likely meant to be.
        nearest: Option<String>,
        /// All stages of the pipeline.
        known: String,
    },
    /// Stages that wait on each other.
    #[error(
        "the stages go in a circle: {cycle}; a pipeline flows one way, so take one of these inputs from elsewhere"
    )]
    Cycle {
        /// Their names, the first repeated at the end.
        cycle: String,
    },
    /// A source that nobody listens to.
    #[error(
        "nothing takes the output of source `{0}`; give another stage `input = \"{0}\"` or remove it"
    )]
    UnusedSource(String),
    /// Keys that exclude or demand each other.
    #[error("stage `{stage}` {problem}")]
    Stage {
        /// Which.
        stage: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// Nothing in it.
    #[error("the pipeline has no stages; add a [[stage]] with a name and a source or plugin")]
    Empty,
    /// A stage without the right to its model.
    #[error(
        "stage `{stage}` names model `{model}`, which {access} does not grant it; add there:  [[grant]] pipeline = \"{pipeline}\", stage = \"{stage}\", model = \"{model}\" (a line each)"
    )]
    NotGranted {
        /// The pipeline.
        pipeline: String,
        /// The stage.
        stage: String,
        /// The model.
        model: String,
        /// The file with the grants.
        access: String,
    },
    /// A grant for a stage that its pipeline does not have.
    #[error(
        "the grant names stage `{stage}`, and pipeline `{pipeline}` has none of that name{}; correct or remove the grant",
        meant(nearest)
    )]
    GrantStage {
        /// The pipeline.
        pipeline: String,
        /// The stage named.
        stage: String,
        /// What it was most likely meant to be.
        nearest: Option<String>,
    },
    /// A core the board does not have.
    #[error("stage `{stage}` asks for cpu {cpu}, and {board} lists {cores} cores, 0 to {}; correct the one or the other", cores - 1)]
    NoSuchCore {
        /// The stage.
        stage: String,
        /// The core named.
        cpu: usize,
        /// The file with the cores.
        board: String,
        /// How many it lists.
        cores: usize,
    },
    /// A device the board does not have.
    #[error(
        "stage `{stage}` names {what} `@{found}`, and {board} has none of that name{}; its {what}s are: {known}",
        meant(nearest)
    )]
    NoSuchDevice {
        /// The stage.
        stage: String,
        /// `camera` or `line`.
        what: &'static str,
        /// As it stands in the pipeline's file, without the `@`.
        found: String,
        /// What it was most likely meant to be.
        nearest: Option<String>,
        /// All that the board has.
        known: String,
        /// The file of the board.
        board: String,
    },
    /// Keys of a device that exclude or demand each other.
    #[error("{what} `{name}` {problem}")]
    Entry {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// No board file.
    #[error(
        "no board.toml in the folder of this file or in its parent; copy the one of your board from board/ and adapt its [paths]"
    )]
    NoBoard,
    /// Two files that belong to two boards.
    #[error(
        "belongs to {found}, but the files before it to {expected}; run them by two daemons or put them in one folder"
    )]
    TwoBoards {
        /// The board file of this pipeline.
        found: String,
        /// The board file of those before.
        expected: String,
    },
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl Fault {
    pub(crate) fn at(self, at: Place) -> ConfigError {
        ConfigError { at, fault: Box::new(self) }
    }

    /// serde says `` unknown field `found`, expected one of `a`, `b` ``; from that a suggestion is made.
    pub(crate) fn from_toml(message: &str) -> Self {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        match quoted.split_first() {
            Some((found, known)) if message.starts_with("unknown field") => Self::UnknownKey {
                found: shown(found),
                nearest: nearest(found, known.iter().copied()).map(str::to_owned),
                known: list(known.iter().copied()),
            },
            _ => Self::Syntax(printable(message.lines().next().unwrap_or_default(), 200)),
        }
    }

    pub(crate) fn stage(stage: &str, problem: impl Into<String>) -> Self {
        Self::Stage { stage: shown(stage), problem: problem.into() }
    }
}

/// A name of the file, in a message.
pub(crate) fn shown(name: &str) -> String {
    printable(name, limits::NAME_BYTES)
}

/// Names for a message: all of a few, the first of many.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 24;
    let mut names: Vec<String> = names.into_iter().map(shown).collect();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &rest
}

/// The variant that `word` names.
pub(crate) fn choice<T: Copy>(
    key: &'static str,
    word: &Located<String>,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| name == &word.value) {
        return Ok(*value);
    }
    let known = || choices.iter().map(|(name, _)| *name);
    let fault = Fault::UnknownWord {
        key,
        found: shown(word),
        nearest: nearest(word, known()).map(str::to_owned),
        known: list(known()),
    };
    Err(fault.at(word.at.clone()))
}

/// A number within `least..=most`.
pub(crate) fn within(
    key: &'static str,
    number: &Located<u64>,
    least: u64,
    most: u64,
) -> Result<u64, ConfigError> {
    if (least..=most).contains(number) {
        return Ok(number.value);
    }
    let fault = Fault::Range { key, found: number.value.to_string(), least, most };
    Err(fault.at(number.at.clone()))
}

/// A well-formed name.
pub(crate) fn name(
    what: &'static str,
    name: Located<String>,
) -> Result<Located<String>, ConfigError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let good = (1..=limits::NAME_BYTES).contains(&name.len())
        && allowed(name.as_bytes()[0])
        && name.bytes().all(|byte| allowed(byte) || byte == b'-' || byte == b'_');
    if good {
        return Ok(name);
    }
    Err(Fault::Name { what, found: shown(&name) }.at(name.at))
}

/// A well-formed name of a model, which may have a `.` in it too.
pub(crate) fn model_name(name: Located<String>) -> Result<Located<String>, ConfigError> {
    let plain = Located { value: name.value.replace('.', "-"), at: name.at.clone() };
    match self::name("model", plain) {
        Ok(_) => Ok(name),
        Err(_) => Err(Fault::Name { what: "model", found: shown(&name) }.at(name.at)),
    }
}

/// Refuses more of `what` than `most`.
pub(crate) fn few(
    what: &'static str,
    found: usize,
    most: usize,
    at: impl FnOnce() -> Place,
) -> Result<(), ConfigError> {
    if found <= most { Ok(()) } else { Err(Fault::TooMany { what, found, most }.at(at())) }
}

/// Collects errors so that one look shows them all.
#[derive(Default)]
pub(crate) struct Found(Vec<ConfigError>);

impl Found {
    /// The value, or the error noted.
    pub(crate) fn note<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub(crate) fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    pub(crate) fn extend(&mut self, errors: Errors) {
        self.0.extend(errors.0);
    }

    /// `value`, unless something was found.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Errors> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Errors(self.0)),
        }
    }
}

/// A path as a message shows it.
pub(crate) fn shown_path(path: &Path) -> String {
    printable(&path.to_string_lossy(), 512)
}
