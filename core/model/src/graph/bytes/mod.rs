//! A graph as bytes, and back: `docs/graph-format.md`. Every graph has exactly one form.
mod read;
mod write;

use self::read::Reader;
use self::write::Writer;
use super::{Graph, GraphError};

/// The first bytes.
pub const MAGIC: [u8; 8] = *b"EMGRAPH\0";
/// Follows them.
pub const VERSION: u32 = 1;

const INPUT: u8 = 1;
const CONSTANT: u8 = 2;
const NODE: u8 = 3;

/// What a graph may ask for at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in all.
    pub bytes: usize,
    /// Values.
    pub values: usize,
    /// Elements of all inputs and results, together; memory for a run is at most a few bytes of each.
    pub elements: usize,
    /// Multiplications of one run.
    pub macs: u64,
}

impl Default for Limits {
    /// 1 GiB, 65,536 values, 2³⁰ elements, 10¹² multiplications.
    fn default() -> Self {
        Self { bytes: 1 << 30, values: 1 << 16, elements: 1 << 30, macs: 1_000_000_000_000 }
    }
}

impl<'a> Graph<'a> {
    /// Reads a graph; constants stay where they are, in `bytes`.
    ///
    /// # Errors
    /// [`GraphError`] if the bytes are not exactly one complete graph within `limits`.
    pub fn from_bytes(bytes: &'a [u8], limits: Limits) -> Result<Self, GraphError> {
        let mut reader = Reader::new(bytes);
        if bytes.len() > limits.bytes {
            let most = limits.bytes;
            return Err(reader.refusal(format!("{} bytes, at most {most} are read", bytes.len())));
        }
        if reader.array()? != MAGIC {
            return Err(reader.refusal("this is not a graph".into()));
        }
        let version = reader.u32()?;
        if version != VERSION {
            return Err(reader.refusal(format!("version {version}, {VERSION} is read")));
        }
        let graph = reader.graph(limits)?;
        if !reader.is_at_end() {
            return Err(reader.refusal("bytes follow the graph".into()));
        }
        graph.check()?;
        Ok(graph)
    }

    /// The one form of this graph.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.graph(self);
        out.0
    }
}

/// Codes of the functions with parameters; those without come before.
const LEAKY_RELU: u8 = 33;
const ELU: u8 = 34;
const CELU: u8 = 35;
const SELU: u8 = 36;
const HARD_SIGMOID: u8 = 37;
const THRESHOLD: u8 = 38;
const SHRINK: u8 = 39;
const POWER: u8 = 40;
