//! ONNX and TensorFlow Lite files as graphs: `docs/importing.md` says which operators, and within which limits.
//!
//! ```text
//! bytes → reader (onnx/proto, tflite/flat): what the file says, bounds checked
//!       → lowering, operator by operator: constants are computed here, the rest become nodes
//!       → builder: layout, quantization, types; what no output needs is left out
//! ```
#![forbid(unsafe_code)]

mod builder;
mod host;
mod onnx;
mod tflite;

use std::path::PathBuf;

use edgemill_model::graph::{Graph, GraphError};

/// The largest file that is read, in bytes: as much as a package holds.
pub const MAX_BYTES: usize = 1 << 30;
/// The most operators of a file.
pub const MAX_NODES: usize = 1 << 14;

/// Why a file does not become a graph.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is damaged, or another kind of file.
    #[error("{0}")]
    File(String),
    /// Graphs have no such operator.
    #[error(
        "node {node:?}: the operator {operator} is not supported{reason}; see docs/importing.md for what is, or export the model without it"
    )]
    Unsupported {
        /// Its name in the file.
        node: String,
        /// Its type.
        operator: String,
        /// What of it is not, if not all.
        reason: String,
    },
    /// An operator cannot be what the file says.
    #[error("node {node:?} ({operator}): {reason}")]
    Node {
        /// Its name in the file.
        node: String,
        /// Its type.
        operator: String,
        /// What is wrong.
        reason: String,
    },
    /// What came of it is no graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Why an operator could not be lowered, before it is known which node it was.
#[derive(Debug)]
enum Refusal {
    /// It, or this of it, is not supported.
    Unsupported(String),
    /// The file contradicts itself.
    Wrong(String),
}

impl Refusal {
    fn of(self, node: &str, operator: &str) -> ImportError {
        let (node, operator) = (short(node), short(operator));
        match self {
            Self::Unsupported(what) if what.is_empty() => {
                ImportError::Unsupported { node, operator, reason: what }
            }
            Self::Unsupported(what) => {
                ImportError::Unsupported { node, operator, reason: format!(" with {what}") }
            }
            Self::Wrong(reason) => ImportError::Node { node, operator, reason },
        }
    }
}

impl From<GraphError> for Refusal {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Value { reason, .. } => Self::Wrong(reason),
            other => Self::Wrong(other.to_string()),
        }
    }
}

fn wrong(reason: impl Into<String>) -> Refusal {
    Refusal::Wrong(reason.into())
}

fn unsupported(what: impl Into<String>) -> Refusal {
    Refusal::Unsupported(what.into())
}

fn short(name: &str) -> String {
    name.chars().take(100).collect()
}

/// Whether these are the first bytes of a file that [`import`] may read.
#[must_use]
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// A value that an input of the file has in every run: it becomes a constant.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The input.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements.
    pub elements: Elements,
}

/// Elements of a binding.
#[derive(Clone, Debug)]
pub enum Elements {
    /// Real numbers.
    F32(Vec<f32>),
    /// Whole numbers, or truths.
    I64(Vec<i64>),
}

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Inputs of four axes that a convolution reads take batch, height, width, channel, whatever the file says.
    pub channels_last: bool,
    /// Inputs that become constants.
    pub bindings: Vec<Binding>,
    /// Shapes of inputs that an ONNX file leaves open; without a name, that of the only input.
    pub shapes: Vec<(String, Vec<u32>)>,
    /// The folder of an ONNX file, where files of its weights lie beside it. Without it, such a model is refused.
    pub folder: Option<PathBuf>,
}

/// Reads an ONNX or a TensorFlow Lite file.
///
/// # Errors
/// [`ImportError`]: it names the node, and says what to do.
pub fn import(bytes: &[u8], options: &Options) -> Result<Graph<'static>, ImportError> {
    if bytes.len() > MAX_BYTES {
        let most = MAX_BYTES >> 20;
        return Err(ImportError::File(format!("the file is larger than {most} MiB")));
    }
    if is_tflite(bytes) { tflite::import(bytes) } else { onnx::import(bytes, options) }
}

/// Reads a tensor as ONNX stores one by itself: the inputs and outputs of its test cases.
///
/// # Errors
/// [`ImportError::File`] if it is damaged, or holds no numbers.
pub fn tensor(bytes: &[u8]) -> Result<Binding, ImportError> {
    let (name, host) = onnx::tensor(bytes)?;
    let elements = match host.data {
        host::Data::I(elements) => Elements::I64(elements),
        _ => Elements::F32(host.f32s()),
    };
    Ok(Binding { name, shape: host.shape, elements })
}
