//! The part of ONNX's protocol buffers (onnx.proto3) that is read. Nothing is recursive but a tensor within an
//! attribute, and nothing is allocated beyond what the file has bytes for.
use std::collections::HashMap;

use half::f16;

use crate::host::{Data, Host};
use crate::{ImportError, MAX_BYTES};

/// One field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

fn damaged(what: &str) -> ImportError {
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
fn fields<'a>(
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

fn text(bytes: &[u8]) -> Result<String, ImportError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| damaged("a name is not UTF-8"))
}

#[derive(Default)]
pub struct Model {
    pub opset: i64,
    pub graph: Graph,
}

#[derive(Default)]
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

#[derive(Default)]
pub struct Node {
    pub name: String,
    pub op: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: HashMap<String, Attribute>,
}

pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    /// With the ONNX number of its type.
    Tensor(u64, Host),
    /// A graph, or another kind that no supported operator has.
    Other,
}

pub fn model(bytes: &[u8]) -> Result<Model, ImportError> {
    let mut made = Model::default();
    let mut graphs = 0;
    fields(bytes, |number, field| {
        match (number, field) {
            (7, Field::Bytes(bytes)) => {
                graphs += 1;
                made.graph = graph(bytes)?;
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

fn graph(bytes: &[u8]) -> Result<Graph, ImportError> {
    let mut made = Graph::default();
    fields(bytes, |number, field| {
        let Field::Bytes(bytes) = field else { return Ok(()) };
        match number {
            1 => made.nodes.push(node(bytes)?),
            5 => {
                let (name, dtype, host) = tensor(bytes)?;
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

fn node(bytes: &[u8]) -> Result<Node, ImportError> {
    let mut made = Node::default();
    fields(bytes, |number, field| {
        let Field::Bytes(bytes) = field else { return Ok(()) };
        match number {
            1 => made.inputs.push(text(bytes)?),
            2 => made.outputs.push(text(bytes)?),
            3 => made.name = text(bytes)?,
            4 => made.op = text(bytes)?,
            5 => {
                let (name, attribute) = attribute(bytes)?;
                made.attributes.insert(name, attribute);
            }
            7 => made.domain = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(made)
}

fn attribute(bytes: &[u8]) -> Result<(String, Attribute), ImportError> {
    let mut name = String::new();
    let (mut ints, mut floats, mut kind) = (Vec::new(), Vec::new(), 0);
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
                let (_, dtype, host) = tensor(bytes)?;
                single = Some(Attribute::Tensor(dtype, host));
            }
            (7, field) => floats32(field, &mut floats)?,
            (8, field) => integers(field, &mut ints)?,
            (20, Field::Varint(v)) => kind = v,
            _ => {}
        }
        Ok(())
    })?;
    let value = match kind {
        6 => Attribute::Floats(floats),
        7 => Attribute::Ints(ints),
        0 if !ints.is_empty() => Attribute::Ints(ints),
        1 => single.unwrap_or(Attribute::Float(0.0)),
        2 => single.unwrap_or(Attribute::Int(0)),
        3 => single.unwrap_or(Attribute::Text(String::new())),
        _ => single.unwrap_or(Attribute::Other),
    };
    Ok((name, value))
}

fn integers(field: Field<'_>, to: &mut Vec<i64>) -> Result<(), ImportError> {
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

fn floats32(field: Field<'_>, to: &mut Vec<f32>) -> Result<(), ImportError> {
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

/// A tensor, its name and the number of its type. Quantized elements are whole numbers here: their rule stands elsewhere.
pub fn tensor(bytes: &[u8]) -> Result<(String, u64, Host), ImportError> {
    let (mut name, mut dims, mut dtype) = (String::new(), Vec::new(), 0);
    let (mut floats, mut ints, mut doubles) = (Vec::new(), Vec::new(), Vec::new());
    let mut raw = None;
    fields(bytes, |number, field| {
        match (number, field) {
            (1, field) => integers(field, &mut dims)?,
            (2, Field::Varint(v)) => dtype = v,
            (4, field) => floats32(field, &mut floats)?,
            (5 | 7 | 11, field) => integers(field, &mut ints)?,
            (8, Field::Bytes(bytes)) => name = text(bytes)?,
            (9, Field::Bytes(bytes)) => raw = Some(bytes),
            (10, Field::Bytes(bytes)) => {
                doubles.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)));
            }
            (14, Field::Varint(1)) => {
                let advice = "its weights are in another file: save the model as one file";
                return Err(ImportError::File(advice.into()));
            }
            _ => {}
        }
        Ok(())
    })?;
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| damaged("a dimension below 0"))?;
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    let count =
        count.filter(|&n| n <= MAX_BYTES).ok_or_else(|| damaged("a tensor is too large"))?;
    let data = match raw {
        Some(raw) => from_raw(dtype, raw)?,
        None => from_lists(dtype, floats, ints, &doubles)?,
    };
    let given = match &data {
        Data::F(e) => e.len(),
        Data::I(e) => e.len(),
        Data::Q(q) => q.elements.len(),
    };
    if given != count {
        return Err(damaged(&format!("tensor {name:?} has {given} elements, its shape {count}")));
    }
    Ok((name, dtype, Host { shape, data }))
}

fn kind_refused(dtype: u64) -> ImportError {
    ImportError::File(format!("tensors of ONNX type {dtype} (text, complex, …) are not supported"))
}

/// In single precision, if it holds them.
#[expect(clippy::cast_possible_truncation, reason = "double precision becomes single")]
fn narrowed(doubles: Vec<f64>) -> Result<Vec<f32>, ImportError> {
    if doubles.iter().any(|d| d.is_finite() && d.abs() > f32::MAX.into()) {
        return Err(ImportError::File("a number is beyond single precision".into()));
    }
    Ok(doubles.into_iter().map(|d| d as f32).collect())
}

fn from_raw(dtype: u64, raw: &[u8]) -> Result<Data, ImportError> {
    fn all<const N: usize, T>(raw: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks().0.iter().map(|&b| f(b)).collect()
    }
    Ok(match dtype {
        1 => Data::F(all(raw, f32::from_le_bytes)),
        10 => Data::F(all(raw, |b| f16::from_le_bytes(b).to_f32())),
        11 => Data::F(narrowed(all(raw, f64::from_le_bytes))?),
        2 | 9 => Data::I(raw.iter().map(|&b| b.into()).collect()),
        3 => Data::I(raw.iter().map(|&b| b.cast_signed().into()).collect()),
        4 => Data::I(all(raw, |b| u16::from_le_bytes(b).into())),
        5 => Data::I(all(raw, |b| i16::from_le_bytes(b).into())),
        6 => Data::I(all(raw, |b| i32::from_le_bytes(b).into())),
        7 => Data::I(all(raw, i64::from_le_bytes)),
        12 => Data::I(all(raw, |b| u32::from_le_bytes(b).into())),
        13 => Data::I(all(raw, |b| u64::from_le_bytes(b).cast_signed())),
        other => return Err(kind_refused(other)),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as the format stores them"
)]
fn from_lists(
    dtype: u64,
    floats: Vec<f32>,
    ints: Vec<i64>,
    doubles: &[f64],
) -> Result<Data, ImportError> {
    Ok(match dtype {
        1 => Data::F(floats),
        10 => Data::F(ints.iter().map(|&i| f16::from_bits(i as u16).to_f32()).collect()),
        11 => Data::F(narrowed(doubles.to_vec())?),
        2..=7 | 9 | 12 | 13 => Data::I(ints),
        other => return Err(kind_refused(other)),
    })
}
