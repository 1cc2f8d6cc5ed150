//! A neural network as a list of values, each an input, a constant, or what a node makes of values before it.
//!
//! A [`Graph`] is correct by construction: every value is checked, and its shape inferred, as it is added; reading
//! bytes adds values in the same way. Float and int8 networks are the same graph with other element types.
//! Pictures are N, H, W, C. The bytes are described in `docs/graph-format.md`.

mod bytes;
mod constant;
mod function;
mod infer;
mod op;

use crate::tensor::{DType, MAX_RANK, Quantization, TensorSpec};

pub use bytes::{Limits, MAGIC, VERSION};
pub use constant::Constant;
pub use function::{Function, Pair};
pub use op::{Clamp, Detect, MAX_INPUTS, Op, Reduction, Span, Window};

/// What a package's manifest calls these bytes.
pub const FORMAT: &str = "edgemill-graph-1";

/// Names a value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    /// Its place in [`Graph::values`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A network. `'a` is the life of the bytes that its constants are read from; no constant is copied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph<'a> {
    values: Vec<Value<'a>>,
    outputs: Vec<ValueId>,
}

/// One tensor and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Value<'a> {
    name: String,
    spec: TensorSpec,
    source: Source<'a>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// Given with every run.
    Input,
    /// Part of the model.
    Constant(Constant<'a>),
    /// Computed.
    Node(Node),
}

/// An operation and the values it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// In the order that [`Op`] states.
    pub inputs: Vec<ValueId>,
}

/// Type of the elements that a node gives, and their affine rule where they are quantized.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element {
    /// Type.
    pub dtype: DType,
    /// Rule.
    pub quantization: Option<Quantization>,
}

impl Element {
    /// Real numbers.
    pub const F32: Self = Self { dtype: DType::F32, quantization: None };

    /// Quantized to -128..=127.
    #[must_use]
    pub const fn i8(scale: f32, zero_point: i32) -> Self {
        Self { dtype: DType::I8, quantization: Some(Quantization { scale, zero_point }) }
    }
}

/// What can be wrong with a graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A value cannot be added.
    #[error("graph value {index} ({name:?}): {reason}")]
    Value {
        /// Its place.
        index: usize,
        /// Its name, shortened.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The bytes are not a graph.
    #[error("graph bytes, at offset {offset}: {reason}")]
    Bytes {
        /// Where reading stopped.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// Nothing goes in, or nothing comes out.
    #[error("the graph has {inputs} inputs and {outputs} outputs; it needs at least one of each")]
    Open {
        /// How many.
        inputs: usize,
        /// How many.
        outputs: usize,
    },
}

/// The longest name of a value, in bytes.
pub const MAX_NAME: usize = 255;
/// The most elements of a value: what 32-bit counters of a kernel can address.
pub const MAX_ELEMENTS: usize = 1 << 30;

impl<'a> Graph<'a> {
    /// No values yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input.
    ///
    /// # Errors
    /// [`GraphError::Value`] if the name or the tensor cannot be.
    pub fn input(&mut self, name: &str, spec: TensorSpec) -> Result<ValueId, GraphError> {
        self.add(name, spec, Source::Input)
    }

    /// Adds a constant; its data must have the size of `spec`, and scales, where there are any, one for each
    /// index of the outermost axis.
    ///
    /// # Errors
    /// [`GraphError::Value`] if the name, the tensor or the data cannot be.
    pub fn constant(
        &mut self,
        name: &str,
        spec: TensorSpec,
        constant: Constant<'a>,
    ) -> Result<ValueId, GraphError> {
        constant.check(&spec).map_err(|reason| self.refusal(name, reason))?;
        self.add(name, spec, Source::Constant(constant))
    }

    /// Adds what `op` makes of `inputs`; the shape follows.
    ///
    /// # Errors
    /// [`GraphError::Value`] if the operation does not take these inputs or cannot give such elements.
    pub fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        element: Element,
    ) -> Result<ValueId, GraphError> {
        let shape = self.infer(&op, inputs, element).map_err(|e| self.refusal(name, e))?;
        let spec = TensorSpec { dtype: element.dtype, shape, quantization: element.quantization };
        self.add(name, spec, Source::Node(Node { op, inputs: inputs.to_vec() }))
    }

    /// Names a value as an output of the network.
    ///
    /// # Errors
    /// [`GraphError::Value`] if it is not a node's, or is one already.
    pub fn output(&mut self, id: ValueId) -> Result<(), GraphError> {
        let reason = match self.values.get(id.index()).map(|v| &v.source) {
            Some(Source::Node(_)) if !self.outputs.contains(&id) => {
                self.outputs.push(id);
                return Ok(());
            }
            Some(Source::Node(_)) => "it is an output already",
            Some(_) => "only what a node makes can be an output",
            None => "there is no such value",
        };
        let name = self.values.get(id.index()).map_or("", |v| &v.name).to_owned();
        Err(GraphError::Value { index: id.index(), name, reason: reason.into() })
    }

    /// Whether the graph is complete. All else was checked as it was added.
    ///
    /// # Errors
    /// [`GraphError::Open`].
    pub fn check(&self) -> Result<(), GraphError> {
        let (inputs, outputs) = (self.inputs().count(), self.outputs.len());
        if inputs == 0 || outputs == 0 {
            return Err(GraphError::Open { inputs, outputs });
        }
        Ok(())
    }

    /// All values; a node comes after what it reads.
    #[must_use]
    pub fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// One value.
    ///
    /// # Panics
    /// If `id` is another graph's.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id.index()]
    }

    /// The inputs, in the order they were added.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> {
        self.ids().filter(|&id| matches!(self.value(id).source, Source::Input))
    }

    /// The nodes, in an order they can be run in, each with the value it makes.
    pub fn nodes(&self) -> impl Iterator<Item = (ValueId, &Node)> {
        self.ids().filter_map(|id| Some((id, self.value(id).node()?)))
    }

    /// The outputs.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// Multiplications of a weight by an element that one run takes.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.nodes().map(|(id, _)| self.node_macs(id)).sum()
    }

    /// As [`Self::macs`], of the node that makes one value.
    #[must_use]
    pub fn node_macs(&self, id: ValueId) -> u64 {
        let Some(node) = self.value(id).node() else { return 0 };
        let product = |shape: &[u32]| shape.iter().map(|&d| u64::from(d)).product::<u64>();
        let shape = |id: ValueId| &self.value(id).spec.shape[..];
        let weights_of_one = || product(&shape(node.inputs[1])[1..]);
        match node.op {
            Op::Conv2d { .. } | Op::Dense { .. } => product(shape(id)) * weights_of_one(),
            Op::ConvTranspose2d { groups, .. } => {
                product(shape(node.inputs[0])) * product(shape(node.inputs[1]))
                    / u64::from(groups)
                    / u64::from(shape(node.inputs[1])[3])
            }
            Op::MatMul => {
                product(shape(id)) * shape(node.inputs[0]).last().map_or(1, |&k| u64::from(k))
            }
            _ => 0,
        }
    }

    /// Bytes of all constants.
    #[must_use]
    pub fn constant_bytes(&self) -> usize {
        self.values.iter().filter_map(|v| v.constant().map(|c| c.data.len())).sum()
    }

    fn ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..u32::try_from(self.values.len()).expect("`add` counts in u32")).map(ValueId)
    }

    fn add(
        &mut self,
        name: &str,
        spec: TensorSpec,
        source: Source<'a>,
    ) -> Result<ValueId, GraphError> {
        check_name(name).and_then(|()| check_spec(&spec)).map_err(|e| self.refusal(name, e))?;
        let id = u32::try_from(self.values.len())
            .map_err(|_| self.refusal(name, "too many values".into()))?;
        self.values.push(Value { name: name.into(), spec, source });
        Ok(ValueId(id))
    }

    fn refusal(&self, name: &str, reason: String) -> GraphError {
        let name = name.chars().take(64).collect();
        GraphError::Value { index: self.values.len(), name, reason }
    }
}

impl<'a> Value<'a> {
    /// May be empty, and need not be unique.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type and shape.
    #[must_use]
    pub fn spec(&self) -> &TensorSpec {
        &self.spec
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// The node, if one makes it.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        if let Source::Node(node) = &self.source { Some(node) } else { None }
    }

    /// The elements, if it is a constant.
    #[must_use]
    pub fn constant(&self) -> Option<&Constant<'a>> {
        if let Source::Constant(constant) = &self.source { Some(constant) } else { None }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!("a name has at most {MAX_NAME} bytes and no control characters"));
    }
    Ok(())
}

fn check_spec(spec: &TensorSpec) -> Result<(), String> {
    checked_elements(&spec.shape)?;
    let Some(Quantization { scale, zero_point }) = spec.quantization else { return Ok(()) };
    let range = match spec.dtype {
        DType::I8 => -128..=127,
        DType::U8 => 0..=255,
        DType::I32 | DType::F32 => return Err("only bytes have a scale and a zero point".into()),
    };
    if !range.contains(&zero_point) {
        return Err(format!("zero point {zero_point} is outside {range:?}"));
    }
    check_scale(scale)
}

/// Products of two scales and quotients by a third stay normal numbers within these bounds.
fn check_scale(scale: f32) -> Result<(), String> {
    if (1e-12..=1e12).contains(&scale) {
        return Ok(());
    }
    Err(format!("scale {scale} is outside 1e-12..=1e12"))
}

fn checked_elements(shape: &[u32]) -> Result<usize, String> {
    if shape.len() > MAX_RANK || shape.contains(&0) {
        return Err(format!("shape {shape:?}: at most {MAX_RANK} dimensions, each at least 1"));
    }
    let product = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d as usize));
    product
        .filter(|&n| n <= MAX_ELEMENTS)
        .ok_or_else(|| format!("shape {shape:?} has more than {MAX_ELEMENTS} elements"))
}
