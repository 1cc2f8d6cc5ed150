//! ONNX files, opset 7 to 20 and what newer ones have in common with them.
mod convolution;
mod elementwise;
mod fold;
mod fusion;
mod moves;
mod normal;
mod pieces;
mod places;
mod products;
mod proto;
mod quantized;
mod resize;
mod windows;

pub use moves::{mirrored, span};

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use edgemill_model::graph::Graph;
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::builder::{Builder, Live, Out, Shape, Value};
use crate::host::{Data, Host};
use crate::{Elements, ImportError, Options, Refusal, unsupported, wrong};
use proto::{Attribute, Node, Port};

const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT8: u64 = 3;

/// Opsets that operators are read by.
const OPSETS: std::ops::RangeInclusive<i64> = 1..=25;

pub fn import(bytes: &[u8], options: &Options) -> Result<Graph<'static>, ImportError> {
    let model = proto::model(bytes)?;
    if !OPSETS.contains(&model.opset) {
        let reason = format!("opset {}; export the model with opset 11 to 20", model.opset);
        return Err(ImportError::File(reason));
    }
    let order = sorted(&model.graph)?;
    let mut importer = Importer::new(&model, options)?;
    for at in order {
        if importer.done.contains(&at) {
            continue;
        }
        let node = &model.graph.nodes[at];
        let name = label(node);
        importer.lower(at).map_err(|e| e.of(&name, &operator(node)))?;
    }
    importer.finish()
}

/// A tensor by itself, and its name.
pub fn tensor(bytes: &[u8]) -> Result<(String, Host), ImportError> {
    proto::tensor(bytes).map(|(name, _, host)| (name, host))
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

/// An order in which every node comes after what it reads.
fn sorted(graph: &proto::Graph) -> Result<Vec<usize>, ImportError> {
    let mut maker = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|o| !o.is_empty()) {
            if maker.insert(output.as_str(), at).is_some() {
                return Err(ImportError::File(format!("two nodes make {output:?}")));
            }
        }
    }
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    let mut missing = vec![0_usize; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        let before: HashSet<usize> =
            node.inputs.iter().filter_map(|i| maker.get(i.as_str()).copied()).collect();
        missing[at] = before.len();
        before.into_iter().for_each(|b| readers[b].push(at));
    }
    let mut known = vec![false; graph.nodes.len()];
    let is_live = |at: usize, known: &[bool]| {
        let made_now = |name: &String| match maker.get(name.as_str()) {
            Some(&before) => known[before],
            None => name.is_empty() || graph.constants.contains_key(name),
        };
        !graph.nodes[at].inputs.iter().all(made_now)
    };
    // What is made of constants alone comes first, since a node looks ahead at what its reader does with them.
    let mut ready: BTreeSet<(bool, usize)> = (0..missing.len())
        .filter(|&at| missing[at] == 0)
        .map(|at| (is_live(at, &known), at))
        .collect();
    let mut order = Vec::new();
    while let Some((live, at)) = ready.pop_first() {
        order.push(at);
        known[at] = !live;
        for &reader in &readers[at] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert((is_live(reader, &known), reader));
            }
        }
    }
    if order.len() < missing.len() {
        let at = missing.iter().position(|&m| m > 0).unwrap_or(0);
        let name = label(&graph.nodes[at]);
        return Err(ImportError::File(format!(
            "node {name:?} reads what it makes, by way of others"
        )));
    }
    Ok(order)
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
        let shape = fixed(port)?;
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
        match self.piece(at, op)? {
            Some(value) => Ok(vec![value]),
            None => Err(unsupported("")),
        }
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

    fn node(&self, at: usize) -> &'m Node {
        &self.graph.nodes[at]
    }

    fn input_name(&self, at: usize, index: usize) -> Option<&'m str> {
        self.node(at).inputs.get(index).map(String::as_str).filter(|n| !n.is_empty())
    }

    fn get(&self, name: &str) -> Result<Value, Refusal> {
        self.values
            .get(name)
            .cloned()
            .ok_or_else(|| wrong(format!("nothing makes its input {name:?}")))
    }

    fn value(&self, at: usize, index: usize) -> Result<Value, Refusal> {
        let name =
            self.input_name(at, index).ok_or_else(|| wrong(format!("input {index} is missing")))?;
        self.get(name)
    }

    fn optional(&self, at: usize, index: usize) -> Result<Option<Value>, Refusal> {
        self.input_name(at, index).map(|name| self.get(name)).transpose()
    }

    /// An operand that has to be known now.
    fn host(&self, at: usize, index: usize) -> Result<Option<Host>, Refusal> {
        match self.optional(at, index)? {
            None => Ok(None),
            Some(Value::Host(host)) => Ok(Some(host)),
            Some(Value::Live(_)) => {
                Err(unsupported(format!("input {index} computed while the model runs")))
            }
        }
    }

    fn logical(&self, at: usize, index: usize) -> Result<Shape, Refusal> {
        Ok(self.build.value_shape(&self.value(at, index)?))
    }

    fn attribute(&self, at: usize, name: &str) -> Option<&'m Attribute> {
        self.node(at).attributes.get(name)
    }

    fn int(&self, at: usize, name: &str, default: i64) -> i64 {
        if let Some(Attribute::Int(v)) = self.attribute(at, name) { *v } else { default }
    }

    fn float(&self, at: usize, name: &str, default: f32) -> f32 {
        if let Some(Attribute::Float(v)) = self.attribute(at, name) { *v } else { default }
    }

    fn ints(&self, at: usize, name: &str) -> Option<Vec<i64>> {
        if let Some(Attribute::Ints(v)) = self.attribute(at, name) { Some(v.clone()) } else { None }
    }

    fn text(&self, at: usize, name: &str, default: &str) -> String {
        if let Some(Attribute::Text(v)) = self.attribute(at, name) {
            v.clone()
        } else {
            default.into()
        }
    }

    /// Whole numbers that are an attribute in old opsets and an input in new ones.
    fn list(&self, at: usize, name: &str, index: usize) -> Result<Option<Vec<i64>>, Refusal> {
        if let Some(list) = self.ints(at, name) {
            return Ok(Some(list));
        }
        Ok(self.host(at, index)?.map(|host| host.i64s()))
    }

    fn out(&self, at: usize) -> Out {
        self.out_named(self.node(at).outputs.first().map_or("", String::as_str))
    }

    fn out_named(&self, name: &str) -> Out {
        Out { name: name.into(), rule: self.rule_of(name) }
    }
}

fn fixed(port: &Port) -> Result<Shape, ImportError> {
    let advice = |what: &str| {
        let name = &port.name;
        ImportError::File(format!("input {name:?} has {what}: export the model with a fixed shape"))
    };
    let shape = port.shape.as_ref().ok_or_else(|| advice("no shape"))?;
    let size = |(axis, size): (usize, &Option<u64>)| match size {
        Some(0) => Err(advice("a dimension of 0")),
        Some(size) => u32::try_from(*size).map_err(|_| advice("a dimension beyond 32 bits")),
        None if axis == 0 => Ok(1),
        None => Err(advice(&format!("a dimension that is not fixed (axis {axis})"))),
    };
    shape.iter().enumerate().map(size).collect()
}

fn bad_type(port: &Port) -> ImportError {
    ImportError::File(format!("{:?} has elements of ONNX type {}", port.name, port.dtype))
}

/// The type that a graph holds elements of an ONNX type in.
fn dtype(onnx: u64) -> Option<DType> {
    match onnx {
        FLOAT | 10 | 11 => Some(DType::F32),
        UINT8 => Some(DType::U8),
        INT8 => Some(DType::I8),
        9 => Some(DType::U8),
        4..=7 | 12 | 13 => Some(DType::I32),
        _ => None,
    }
}

/// An axis counted from the front.
fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let rank = i64::try_from(rank).map_err(|_| wrong("too many axes"))?;
    let from_front = if axis < 0 { axis + rank } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|_| from_front < rank)
        .ok_or_else(|| wrong(format!("axis {axis} of {rank}")))
}

fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    list.iter().map(|&a| axis(a, rank)).collect()
}

fn size(value: i64) -> Result<u32, Refusal> {
    u32::try_from(value).map_err(|_| wrong(format!("{value} where a size is needed")))
}
