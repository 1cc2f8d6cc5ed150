//! `pipelines/NAME.toml`, checked.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::check::check;
use crate::error::{Errors, Found};
use crate::place::{Located, Source};
use crate::raw::{self, RawPipeline};

/// A directed acyclic graph of stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Unique in a daemon.
    pub name: Located<String>,
    /// What becomes of packets under way when it is told to stop.
    pub on_stop: Stop,
    /// How long an orderly stop may take.
    pub stop_within: Duration,
    /// At least one; every stage stands after those it takes its inputs from.
    pub stages: Vec<Stage>,
}

/// What becomes of packets under way when a pipeline is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sources end; everything under way arrives.
    Drain,
    /// Stages end at once; what was under way is counted as dropped.
    Drop,
}

/// One stage: one thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Unique in its pipeline.
    pub name: Located<String>,
    /// What it does.
    pub work: Work,
    /// By name; what they mean is the plugin's or the source's business, but a relative text of the name `path` is
    /// taken from the folder of the file that it stands in.
    pub params: BTreeMap<String, Param>,
    /// None for a source.
    pub inputs: Vec<Input>,
    /// How several inputs are put together.
    pub join: Join,
    /// Cores it may run on; empty for any.
    pub cpus: Vec<Located<usize>>,
    /// `SCHED_FIFO` priority, 1 to 99; `None` for the ordinary scheduler.
    pub priority: Option<Located<u8>>,
    /// What is done about a fault.
    pub on_failure: Located<OnFailure>,
    /// Time inside the stage's code after which it counts as hung.
    pub hang: Duration,
    /// After this time from capture a packet is not worth the work. Only for a stage without inputs.
    pub deadline: Option<Located<Duration>>,
    /// Time without input after which an actuator goes to its safe state.
    pub stale: Option<Located<Duration>>,
    /// Whether its plugin may be one that no signed list names.
    pub allow_unsigned: bool,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A source of `edgemill-capture`, by its kind.
    Source(Located<String>),
    /// A plugin, by its id, and what it is told of a model.
    Plugin {
        /// File `<id>.so` of the board's folder of plugins.
        id: Located<String>,
        /// What it is told of a model.
        model: ModelUse,
    },
}

/// What a stage is told of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelUse {
    /// Nothing.
    None,
    /// Its contract.
    Contract(Located<String>),
    /// Its contract and its bytes; `access.toml` must grant it.
    Model(Located<String>),
}

/// A parameter of a stage. Equality disregards where it stands.
pub type Param = Located<Value>;

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true`, `false`
    Bool(bool),
    /// `3`
    Int(i64),
    /// `0.5`
    Float(f64),
    /// `"text"`
    Text(String),
}

/// An edge, seen from the stage it ends at.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The input port; `None` where the stage has only one.
    pub port: Option<String>,
    /// The stage it begins at.
    pub from: Located<String>,
    /// The output port; `None` where that stage has only one.
    pub output: Option<String>,
    /// `None`: as suits what flows (`latest` for pictures, `drop-oldest` for series, `block` for the rest).
    pub overflow: Option<Overflow>,
    /// Packets that may wait.
    pub capacity: u32,
}

/// What happens to a packet that finds the edge full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The sender waits.
    Block,
    /// The oldest that waits makes room.
    DropOldest,
    /// The new one is dropped.
    DropNewest,
    /// One waits, and the new one replaces it.
    Latest,
}

/// How several inputs are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// `None`: by stream and sequence; else by nearest capture time within this.
    pub tolerance: Option<Duration>,
    /// How long a packet waits for its partners.
    pub timeout: Duration,
}

/// What is done about a stage's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// A new instance, with growing pauses.
    Restart,
    /// Packets go past it, where its input and output formats agree.
    Bypass,
    /// The pipeline stops.
    Halt,
}

pub(crate) const OVERFLOWS: [(&str, Overflow); 4] = [
    ("block", Overflow::Block),
    ("drop-oldest", Overflow::DropOldest),
    ("drop-newest", Overflow::DropNewest),
    ("latest", Overflow::Latest),
];
pub(crate) const FAILURES: [(&str, OnFailure); 3] =
    [("restart", OnFailure::Restart), ("bypass", OnFailure::Bypass), ("halt", OnFailure::Halt)];
pub(crate) const STOPS: [(&str, Stop); 2] = [("drain", Stop::Drain), ("drop", Stop::Drop)];

impl Overflow {
    /// As it stands in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        OVERFLOWS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl OnFailure {
    /// As it stands in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        FAILURES.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Stage {
    /// The model it names, with or without its bytes.
    #[must_use]
    pub fn model(&self) -> Option<&Located<String>> {
        match &self.work {
            Work::Plugin { model: ModelUse::Contract(name) | ModelUse::Model(name), .. } => {
                Some(name)
            }
            _ => None,
        }
    }
}

impl Pipeline {
    /// Reads the text of a pipeline's file; `file` is only for messages.
    ///
    /// # Errors
    /// Everything wrong with it that can be seen without its plugins.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Errors> {
        let source = Source::new(text, file);
        let raw: RawPipeline = raw::read(text, &source)?;
        let mut found = Found::default();
        let pipeline = check(raw, &source, &mut found);
        found.or(pipeline)
    }

    /// The stage of that name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name.value == name)
    }
}
