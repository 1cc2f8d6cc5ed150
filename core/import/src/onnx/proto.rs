//! The part of ONNX's protocol buffers (onnx.proto3) that is read. Nothing is recursive but graphs within attributes,
//! which are read to a depth of [`MAX_DEPTH`], and nothing is allocated beyond what the file has bytes for.
use std::collections::HashMap;

use super::beside::Beside;
use super::tensors::tensor;
use crate::ImportError;
use crate::host::Host;

/// One field of a message.
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

pub(super) fn damaged(what: &str) -> ImportError {
    ImportError::File(format!("this is no ONNX file, or it is damaged: {what}"))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ImportError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((&byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(damaged("a number has no end"))
}

/// Calls `each` with number and content of every field.
pub(super) fn fields<'a>(
    mut bytes: &'a [u8],
    mut each: impl FnMut(u64, Field<'a>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let mut take = |length: usize| {
            let (taken, rest) =
                bytes.split_at_checked(length).ok_or_else(|| damaged("it ends early"))?;
            bytes = rest;
            Ok::<&'a [u8], ImportError>(taken)
        };
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => {
                take(8)?;
                continue;
            }
            2 => {
                let length = varint(&mut bytes)?;
                let length = usize::try_from(length).map_err(|_| damaged("a length"))?;
                let (taken, rest) =
                    bytes.split_at_checked(length).ok_or_else(|| damaged("it ends early"))?;
                bytes = rest;
                Field::Bytes(taken)
            }
            5 => Field::Fixed32(u32::from_le_bytes(*take(4)?.first_chunk().expect("4 bytes"))),
            other => return Err(damaged(&format!("a field of wire type {other}"))),
        };
        each(tag >> 3, field)?;
    }
    Ok(())
}

pub(super) fn text(bytes: &[u8]) -> Result<String, ImportError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| damaged("a name is not UTF-8"))
}

/// How deep branches lie within branches.
const MAX_DEPTH: usize = 8;

/// What is read beside the bytes of a file, and how deep within.
#[derive(Clone, Copy)]
struct Within<'b> {
    beside: &'b Beside,
    depth: usize,
}

#[derive(Default)]
pub struct Model {
    pub opset: i64,
    pub graph: Graph,
}

#[derive(Default, Clone)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// With the ONNX number of their type.
    pub constants: HashMap<String, (u64, Host)>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// An input or output. Dimensions that are not fixed are `None`.
#[derive(Default, Debug, Clone)]
pub struct Port {
    pub name: String,
    pub dtype: u64,
    pub shape: Option<Vec<Option<u64>>>,
}

#[derive(Default, Clone)]
pub struct Node {
    pub name: String,
    pub op: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: HashMap<String, Attribute>,
}

#[derive(Clone)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    /// With the ONNX number of its type.
    Tensor(u64, Host),
    /// A branch.
    Graph(Graph),
    /// Another kind, which no supported operator has.
    Other,
}

pub fn model(bytes: &[u8], beside: &Beside) -> Result<Model, ImportError> {
    let within = Within { beside, depth: 0 };
    let mut made = Model::default();
    let mut graphs = 0;
    fields(bytes, |number, field| {
        match (number, field) {
            (7, Field::Bytes(bytes)) => {
                graphs += 1;
                made.graph = graph(bytes, within)?;
            }
            (8, Field::Bytes(bytes)) => {
                let (domain, version) = opset(bytes)?;
                if domain.is_empty() || domain == "ai.onnx" {
                    made.opset = version;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if graphs != 1 || made.graph.outputs.is_empty() {
        return Err(damaged("it has no graph"));
    }
    Ok(made)
}

fn opset(bytes: &[u8]) -> Result<(String, i64), ImportError> {
    let (mut domain, mut version) = (String::new(), 0);
    fields(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(bytes)) => domain = text(bytes)?,
            (2, Field::Varint(v)) => version = v.cast_signed(),
            _ => {}
        }
        Ok(())
    })?;
    Ok((domain, version))
}

fn graph(bytes: &[u8], within: Within<'_>) -> Result<Graph, ImportError> {
    let mut made = Graph::default();
    fields(bytes, |number, field| {
        let Field::Bytes(bytes) = field else { return Ok(()) };
        match number {
            1 => made.nodes.push(node(bytes, within)?),
            5 => {
                let (name, dtype, host) = tensor(bytes, within.beside)?;
                made.constants.insert(name, (dtype, host));
            }
            11 => made.inputs.push(port(bytes)?),
            12 => made.outputs.push(port(bytes)?),
            15 => return Err(ImportError::File("sparse initializers are not supported".into())),
            _ => {}
        }
        if made.nodes.len() > crate::MAX_NODES {
            return Err(ImportError::File(format!("more than {} nodes", crate::MAX_NODES)));
        }
        Ok(())
    })?;
    Ok(made)
}

fn node(bytes: &[u8], within: Within<'_>) -> Result<Node, ImportError> {
    let mut made = Node::default();
    fields(bytes, |number, field| {
        let Field::Bytes(bytes) = field else { return Ok(()) };
        match number {
            1 => made.inputs.push(text(bytes)?),
            2 => made.outputs.push(text(bytes)?),
            3 => made.name = text(bytes)?,
            4 => made.op = text(bytes)?,
            5 => {
                let (name, attribute) = attribute(bytes, within)?;
                made.attributes.insert(name, attribute);
            }
            7 => made.domain = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(made)
}

fn attribute(bytes: &[u8], within: Within<'_>) -> Result<(String, Attribute), ImportError> {
    let mut name = String::new();
    let (mut ints, mut floats, mut texts, mut kind) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut single = None;
    fields(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes)?,
            (2, Field::Fixed32(bits)) => single = Some(Attribute::Float(f32::from_bits(bits))),
            (3, Field::Varint(v)) => single = Some(Attribute::Int(v.cast_signed())),
            (4, Field::Bytes(bytes)) => {
                single = Some(Attribute::Text(String::from_utf8_lossy(bytes).into_owned()));
            }
            (5, Field::Bytes(bytes)) => {
                let (_, dtype, host) = tensor(bytes, within.beside)?;
                single = Some(Attribute::Tensor(dtype, host));
            }
            (6, Field::Bytes(bytes)) => {
                if within.depth == MAX_DEPTH {
                    return Err(damaged("branches within branches without end"));
                }
                let deeper = Within { depth: within.depth + 1, ..within };
                single = Some(Attribute::Graph(graph(bytes, deeper)?));
            }
            (7, field) => floats32(field, &mut floats)?,
            (8, field) => integers(field, &mut ints)?,
            (9, Field::Bytes(bytes)) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
            (20, Field::Varint(v)) => kind = v,
            _ => {}
        }
        Ok(())
    })?;
    let value = match kind {
        6 => Attribute::Floats(floats),
        7 => Attribute::Ints(ints),
        8 => Attribute::Texts(texts),
        0 if !ints.is_empty() => Attribute::Ints(ints),
        1 => single.unwrap_or(Attribute::Float(0.0)),
        2 => single.unwrap_or(Attribute::Int(0)),
        3 => single.unwrap_or(Attribute::Text(String::new())),
        _ => single.unwrap_or(Attribute::Other),
    };
    Ok((name, value))
}

pub(super) fn integers(field: Field<'_>, to: &mut Vec<i64>) -> Result<(), ImportError> {
    match field {
        Field::Varint(v) => to.push(v.cast_signed()),
        Field::Bytes(mut bytes) => {
            while !bytes.is_empty() {
                to.push(varint(&mut bytes)?.cast_signed());
            }
        }
        Field::Fixed32(_) => return Err(damaged("a list of numbers")),
    }
    Ok(())
}

pub(super) fn floats32(field: Field<'_>, to: &mut Vec<f32>) -> Result<(), ImportError> {
    match field {
        Field::Fixed32(bits) => to.push(f32::from_bits(bits)),
        Field::Bytes(bytes) => {
            to.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)))
        }
        Field::Varint(_) => return Err(damaged("a list of numbers")),
    }
    Ok(())
}

fn port(bytes: &[u8]) -> Result<Port, ImportError> {
    let mut made = Port::default();
    fields(bytes, |number, field| {
        let Field::Bytes(bytes) = field else { return Ok(()) };
        match number {
            1 => made.name = text(bytes)?,
            2 => fields(bytes, |number, field| match (number, field) {
                (1, Field::Bytes(bytes)) => tensor_type(bytes, &mut made),
                _ => Ok(()),
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(made)
}

fn tensor_type(bytes: &[u8], made: &mut Port) -> Result<(), ImportError> {
    fields(bytes, |number, field| {
        match (number, field) {
            (1, Field::Varint(v)) => made.dtype = v,
            (2, Field::Bytes(bytes)) => {
                let mut shape = Vec::new();
                fields(bytes, |number, field| {
                    if let (1, Field::Bytes(bytes)) = (number, field) {
                        let mut size = None;
                        fields(bytes, |number, field| {
                            if let (1, Field::Varint(v)) = (number, field) {
                                size = Some(v);
                            }
                            Ok(())
                        })?;
                        shape.push(size);
                    }
                    Ok(())
                })?;
                made.shape = Some(shape);
            }
            _ => {}
        }
        Ok(())
    })
}
