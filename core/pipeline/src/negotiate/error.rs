//! Why stages do not make a pipeline.
use edgemill_abi::FormatError;

/// Why stages do not make a pipeline. Each names the stage to look at ([`PlanError::stage`]), so that whoever read the
/// configuration can add file and line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named in the message above it")]
pub enum PlanError {
    /// Nothing to run.
    #[error("the pipeline has no stages")]
    NoStages,
    /// Two stages of one name.
    #[error("two stages are named {stage}; give each a name of its own")]
    DuplicateStage { stage: String },
    /// A stage without ports could never be called.
    #[error("stage {stage} has neither inputs nor outputs, so nothing would ever call it")]
    NoPorts { stage: String },
    /// What a stage says of a port makes no sense.
    #[error("port {stage}.{port} {problem}; this is a defect of the stage, not of the pipeline")]
    BadPort { stage: String, port: String, problem: &'static str },
    /// An input that the stage does not have, or that must be named.
    #[error("stage {stage} has no input {}; its inputs are: {known}", quoted(.port))]
    NoSuchInput { stage: String, port: Option<String>, known: String },
    /// An input names no stage.
    #[error("stage {stage} takes its input from {from:?}, and there is no such stage")]
    UnknownStage { stage: String, from: String },
    /// An output that the other stage does not have, or that must be named.
    #[error("stage {stage} takes its input from stage {from}, which has no output {}; its outputs are: {known}", quoted(.port))]
    NoSuchOutput { stage: String, from: String, port: Option<String>, known: String },
    /// One port, two edges.
    #[error("input {stage}.{port} is connected twice; a port takes one edge")]
    DuplicateInput { stage: String, port: String },
    /// A port without an edge.
    #[error("input {stage}.{port} is not connected; name the stage it takes its packets from")]
    MissingInput { stage: String, port: String },
    /// A port whose packets nobody takes.
    #[error(
        "output {stage}.{port} is not connected; let a stage take its packets, or remove the stage"
    )]
    UnusedOutput { stage: String, port: String },
    /// A stage that, in the end, waits for itself.
    #[error("the stages go in a circle: {way}; a pipeline has to end somewhere")]
    Circle { stage: String, way: String },
    /// No format suits both ends.
    #[error(
        "{taker} takes {takes}, but {giver} gives {gives}; change the parameters of one, or put a stage that converts between them"
    )]
    Mismatch { stage: String, taker: String, takes: String, giver: String, gives: String },
    /// The ends agree on something that cannot be a format.
    #[error(
        "{giver} and {taker} agree on {agreed}, which is not a format: {source}; let one of them state it more closely"
    )]
    NoFormat {
        stage: String,
        giver: String,
        taker: String,
        agreed: String,
        source: Box<FormatError>,
    },
    /// Bypass without a way past.
    #[error(
        "stage {stage} cannot be bypassed: that needs one input and one output of the same format, and it has {has}; use on-failure = \"restart\""
    )]
    Bypass { stage: String, has: String },
    /// A sum of buffers that no machine has.
    #[error(
        "output {stage}.{port} would need {buffers} buffers of {bytes} bytes; lower a capacity downstream of it"
    )]
    TooLarge { stage: String, port: String, buffers: u64, bytes: u64 },
}

fn quoted(port: &Option<String>) -> String {
    port.as_ref().map_or("that needs no name".into(), |port| format!("{port:?}"))
}

impl PlanError {
    /// The stage whose entry in the configuration is to be looked at first; empty where there is none.
    #[must_use]
    pub fn stage(&self) -> &str {
        match self {
            Self::NoStages => "",
            Self::DuplicateStage { stage }
            | Self::NoPorts { stage }
            | Self::BadPort { stage, .. }
            | Self::NoSuchInput { stage, .. }
            | Self::UnknownStage { stage, .. }
            | Self::NoSuchOutput { stage, .. }
            | Self::DuplicateInput { stage, .. }
            | Self::MissingInput { stage, .. }
            | Self::UnusedOutput { stage, .. }
            | Self::Circle { stage, .. }
            | Self::Mismatch { stage, .. }
            | Self::NoFormat { stage, .. }
            | Self::Bypass { stage, .. }
            | Self::TooLarge { stage, .. } => stage,
        }
    }
}
