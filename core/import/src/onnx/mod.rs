//! ONNX files, opset 7 to 20 and what newer ones have in common with them.
mod beside;
mod borders;
mod branches;
mod chosen;
mod convolution;
mod einsum;
mod elementwise;
mod fold;
mod fused;
mod fusion;
mod losses;
mod marks;
mod moves;
mod normal;
mod operands;
mod order;
mod pieces;
mod places;
mod ports;
mod products;
mod proto;
mod quantized;
mod recurrent;
mod resize;
mod rounded;
mod sampled;
mod tensors;
mod unpool;
mod volumes;
mod windows;

pub use borders::mirrored;
pub use moves::span;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use edgemill_model::graph::Graph;
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::builder::{Builder, Live, Value};
use crate::host::{Data, Host};
use crate::{Elements, ImportError, Options, Refusal, unsupported};
use beside::Beside;
use operands::{axes, axis, size};
use order::sorted;
use ports::{bad_type, dtype, fixed};
use proto::{Attribute, Node, Port};

const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT8: u64 = 3;

/// Opsets that operators are read by.
const OPSETS: std::ops::RangeInclusive<i64> = 1..=25;

/// The most branches that are taken in one file, one after another.
const MAX_BRANCHES: usize = 256;

pub fn import(bytes: &[u8], options: &Options) -> Result<Graph<'static>, ImportError> {
    let mut model = proto::model(bytes, &Beside::new(options.folder.as_deref()))?;
    if !OPSETS.contains(&model.opset) {
        let reason = format!("opset {}; export the model with opset 11 to 20", model.opset);
        return Err(ImportError::File(reason));
    }
    for _ in 0..=MAX_BRANCHES {
        match lowered(&model, options)? {
            Lowered::Whole(graph) => return Ok(graph),
            Lowered::Until(at, branch) => branches::take(&mut model.graph, at, branch)?,
        }
    }
    Err(ImportError::File(format!("more than {MAX_BRANCHES} branches are taken")))
}

/// How far the nodes were lowered.
enum Lowered {
    Whole(Graph<'static>),
    /// Until an `If` whose condition is known by then: which branch it takes.
    Until(usize, &'static str),
}

fn lowered(model: &proto::Model, options: &Options) -> Result<Lowered, ImportError> {
    let order = sorted(&model.graph)?;
    let mut importer = Importer::new(model, options)?;
    for at in order {
        if importer.done.contains(&at) {
            continue;
        }
        let node = &model.graph.nodes[at];
        if let Some(branch) = importer.branch(at) {
            return Ok(Lowered::Until(at, branch));
        }
        let name = label(node);
        importer.lower(at).map_err(|e| e.of(&name, &operator(node)))?;
    }
    importer.finish().map(Lowered::Whole)
}

/// A tensor by itself, and its name.
pub fn tensor(bytes: &[u8]) -> Result<(String, Host), ImportError> {
    tensors::tensor(bytes, &Beside::default()).map(|(name, _, host)| (name, host))
}

/// What to say of an operator that no graph has.
fn advice(op: &str) -> &'static str {
    match op {
        "If" => "a condition computed while the model runs: export it with a fixed shape",
        "NonMaxSuppression" => {
            "boxes chosen while the model runs: export the model up to its boxes and scores, and let the plugin \
             decode-detections choose"
        }
        "Loop" | "Scan" => {
            "a body: export the model with the loop unrolled, as the tracing exporter does"
        }
        "NonZero" | "Unique" => "a shape that depends on the picture: mask by a product instead",
        _ => "",
    }
}

fn label(node: &Node) -> String {
    if node.name.is_empty() {
        node.outputs.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

fn operator(node: &Node) -> String {
    if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) }
}

struct Importer<'m> {
    opset: i64,
    graph: &'m proto::Graph,
    build: Builder,
    values: HashMap<String, Value>,
    /// ONNX types of inputs and constants.
    kinds: HashMap<String, u64>,
    readers: HashMap<&'m str, Vec<usize>>,
    makers: HashMap<&'m str, usize>,
    /// What is known of [`Importer::rule_of`].
    rules: RefCell<HashMap<String, Option<Quantization>>>,
    /// Nodes that others have done along with themselves.
    done: HashSet<usize>,
    /// Elements that were computed of constants.
    computed: usize,
}

impl<'m> Importer<'m> {
    fn new(model: &'m proto::Model, options: &Options) -> Result<Self, ImportError> {
        let graph = &model.graph;
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut makers = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            makers.extend(node.outputs.iter().map(|output| (output.as_str(), at)));
            for input in &node.inputs {
                readers.entry(input).or_default().push(at);
            }
        }
        let constants = graph.constants.iter();
        let values = constants.clone().map(|(n, (_, h))| (n.clone(), Value::Host(h.clone())));
        let ports = graph.inputs.iter().map(|port| (port.name.clone(), port.dtype));
        let mut made = Self {
            opset: model.opset,
            graph,
            build: Builder::default(),
            values: values.collect(),
            kinds: ports.chain(constants.map(|(name, (kind, _))| (name.clone(), *kind))).collect(),
            readers,
            makers,
            rules: RefCell::default(),
            done: HashSet::new(),
            computed: 0,
        };
        for binding in &options.bindings {
            let data = match &binding.elements {
                Elements::F32(e) => Data::F(e.clone()),
                Elements::I64(e) => Data::I(e.clone()),
            };
            let host = Host { shape: binding.shape.clone(), data };
            made.values.insert(binding.name.clone(), Value::Host(host));
        }
        for port in &graph.inputs {
            if dtype(port.dtype).is_none() {
                return Err(bad_type(port));
            }
            if !made.values.contains_key(&port.name) {
                made.input(port, options)?;
            }
        }
        Ok(made)
    }

    fn input(&mut self, port: &Port, options: &Options) -> Result<(), ImportError> {
        let given = options.shapes.iter().find(|(name, _)| *name == port.name || name.is_empty());
        let shape = fixed(port, given.map(|(_, shape)| &shape[..]))?;
        let (dtype, quantization) = match port.dtype {
            UINT8 => (DType::U8, self.rule_of_input(&port.name, DType::U8)),
            INT8 => (DType::I8, self.rule_of_input(&port.name, DType::I8)),
            other => (dtype(other).ok_or_else(|| bad_type(port))?, None),
        };
        let last = options.channels_last && shape.len() == 4 && self.feeds_windows(&port.name);
        let (shape, order) = if last {
            (vec![shape[0], shape[2], shape[3], shape[1]], vec![0, 2, 3, 1])
        } else {
            (shape.clone(), crate::builder::identity(shape.len()))
        };
        let live = self.build.input(&port.name, TensorSpec { dtype, shape, quantization });
        let live = live.map_err(|e| e.of(&port.name, "input"))?;
        self.values.insert(port.name.clone(), Value::Live(Live { order, ..live }));
        Ok(())
    }

    fn feeds_windows(&self, name: &str) -> bool {
        let windows = |&at: &usize| {
            let node = &self.graph.nodes[at];
            match node.op.as_str() {
                "Conv" | "MaxPool" | "AveragePool" | "QLinearConv" => true,
                "QuantizeLinear" | "DequantizeLinear" | "Sub" | "Mul" | "Div" | "Add" | "Cast"
                | "Slice" | "Concat" => {
                    node.outputs.first().is_some_and(|o| o != name && self.feeds_windows(o))
                }
                _ => false,
            }
        };
        self.readers.get(name).is_some_and(|readers| readers.iter().any(windows))
    }

    fn lower(&mut self, at: usize) -> Result<(), Refusal> {
        if let Some(values) = self.fold(at)? {
            return self.set_all(at, values);
        }
        let op = self.graph.nodes[at].op.as_str();
        let values = match self.graph.nodes[at].domain.as_str() {
            "" | "ai.onnx" | "com.microsoft" => self.dispatch(at, op)?,
            _ => return Err(unsupported("")),
        };
        self.set_all(at, values)
    }

    fn dispatch(&mut self, at: usize, op: &str) -> Result<Vec<Value>, Refusal> {
        if let Some(value) = self.elementwise(at, op)? {
            return Ok(vec![value]);
        }
        if let Some(values) = self.movement(at, op)? {
            return Ok(values);
        }
        if let Some(value) = self.quantization(at, op)? {
            return Ok(vec![value]);
        }
        if let Some(value) = self.window(at, op)? {
            return Ok(vec![value]);
        }
        if let Some(value) = self.piece(at, op)? {
            return Ok(vec![value]);
        }
        if let Some(values) = self.choice(at, op)? {
            return Ok(values);
        }
        if let Some(values) = self.fused(at, op)? {
            return Ok(values);
        }
        Err(unsupported(advice(op)))
    }

    fn set_all(&mut self, at: usize, values: Vec<Value>) -> Result<(), Refusal> {
        let outputs = &self.graph.nodes[at].outputs;
        for (index, name) in outputs.iter().enumerate().filter(|(_, n)| !n.is_empty()) {
            let Some(value) = values.get(index) else {
                if self.is_read(name) && !self.values.contains_key(name) {
                    return Err(unsupported(format!("its output {index}")));
                }
                continue;
            };
            // What was done along with others has its value already.
            self.values.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Ok(())
    }

    fn is_read(&self, name: &str) -> bool {
        self.readers.contains_key(name) || self.is_output(name)
    }

    fn is_output(&self, name: &str) -> bool {
        self.graph.outputs.iter().any(|port| port.name == name)
    }

    /// The only node that reads a value, unless it is an output.
    fn only_reader(&self, name: &str) -> Option<usize> {
        match self.readers.get(name).map(Vec::as_slice) {
            Some(&[one]) if !self.is_output(name) => Some(one),
            _ => None,
        }
    }

    fn finish(mut self) -> Result<Graph<'static>, ImportError> {
        for port in &self.graph.outputs {
            let value = self.values.get(&port.name).cloned();
            let value = value.ok_or_else(|| {
                ImportError::File(format!("nothing makes output {:?}", port.name))
            })?;
            let rule = None;
            self.build
                .output(&port.name, &value, dtype(port.dtype), rule)
                .map_err(|e| e.of(&port.name, "output"))?;
        }
        self.build.finish()
    }
}
