//! What a pipeline is asked to be: stages, edges, and what is done about trouble. Plain data, made by whoever read
//! a configuration; nothing here knows a file format.
use std::time::Duration;

/// A directed acyclic graph of stages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// Unique in a process.
    pub name: String,
    /// In any order.
    pub stages: Vec<StageSpec>,
}

/// One stage: one thread.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// Unique in its pipeline, without `.`; the thread is named after it.
    pub name: String,
    /// All that makes one instance unlike another (plugin, version, parameters, model), in the factory's own words.
    /// A reload replaces the instance when this has changed.
    pub kind: String,
    /// One for each input port; none for a source.
    pub inputs: Vec<EdgeSpec>,
    /// How several inputs are put together.
    pub join: Join,
    /// Cores it may run on; empty for any.
    pub cpu: Vec<usize>,
    /// `SCHED_FIFO` priority, 1 to 99; `None` for the ordinary scheduler.
    pub priority: Option<u8>,
    /// What is done about a fault.
    pub on_failure: OnFailure,
    /// Time inside the stage's code after which it counts as hung.
    pub hang: Duration,
    /// For what begins at this stage: how long after capture it is worth the work.
    pub deadline: Option<Duration>,
    /// Time without input after which the stage's safe state is applied.
    pub stale: Option<Duration>,
    /// It holds something that a second instance could not have at the same time, so a hang is fatal at once.
    pub holds_device: bool,
}

impl Default for StageSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: String::new(),
            inputs: Vec::new(),
            join: Join::default(),
            cpu: Vec::new(),
            priority: None,
            on_failure: OnFailure::Restart,
            hang: Duration::from_secs(2),
            deadline: None,
            stale: None,
            holds_device: false,
        }
    }
}

/// An edge, seen from the stage it ends at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeSpec {
    /// The input port; `None` where the stage has only one.
    pub port: Option<String>,
    /// The stage it begins at.
    pub from_stage: String,
    /// The output port; `None` where that stage has only one.
    pub from_port: Option<String>,
    /// `None`: as suits what flows ([`Overflow::for_kind`]).
    pub overflow: Option<Overflow>,
    /// Packets that may wait; at least 1, and 1 for [`Overflow::Latest`] whatever stands here.
    pub capacity: u32,
}

/// What happens to a packet that finds the edge full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The sender waits, as long as the receiver runs.
    Block,
    /// The oldest that waits makes room.
    DropOldest,
    /// The new one is dropped.
    DropNewest,
    /// One waits, and the new one replaces it.
    Latest,
}

impl Overflow {
    /// Of live pictures only the newest is worth looking at; of a series a gap at the old end costs one window; all
    /// else is made of these and waits.
    #[must_use]
    pub fn for_kind(kind: edgemill_abi::Kind) -> Self {
        match kind {
            edgemill_abi::Kind::Image => Self::Latest,
            edgemill_abi::Kind::Series => Self::DropOldest,
            _ => Self::Block,
        }
    }

    /// As it stands in plans and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropOldest => "drop-oldest",
            Self::DropNewest => "drop-newest",
            Self::Latest => "latest",
        }
    }
}

/// How several inputs become one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// Which packets belong together.
    pub matching: Matching,
    /// How long one waits for its partners.
    pub timeout: Duration,
}

impl Default for Join {
    fn default() -> Self {
        Self { matching: Matching::Sequence, timeout: Duration::from_millis(200) }
    }
}

/// Which packets of several inputs belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Those of the same stream and sequence: one packet that went several ways.
    Sequence,
    /// The nearest in capture time to the first port's, at most this far.
    Nearest(Duration),
}

/// What is done about a stage's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// A new instance, after growing pauses; after too many in a row the stage is held.
    Restart,
    /// As restart, but packets go past the stage meanwhile. One input, one output, of one format.
    Bypass,
    /// The pipeline stops.
    Halt,
}
