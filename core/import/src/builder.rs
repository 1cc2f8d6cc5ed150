//! A graph in the making: layout, types and quantization of what operators give to each other.
mod chosen;
mod outputs;
mod regrouped;
mod weights;

use std::collections::HashMap;

use edgemill_model::graph::{Clamp, Constant, Element, Graph, Node, Op, Pair, ValueId};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

pub use self::chosen::counted;
use crate::host::{Data, Host};
use crate::{Refusal, wrong};

pub type Shape = Vec<u32>;

/// A value of the graph as the file sees it: axis `i` of the graph's value is axis `order[i]` of the file's. So a
/// transposition costs nothing until somebody needs the elements in order.
#[derive(Clone, Debug)]
pub struct Live {
    pub id: ValueId,
    pub order: Vec<usize>,
}

/// What an operator reads.
#[derive(Clone, Debug)]
pub enum Value {
    /// Known now.
    Host(Host),
    /// Known when the graph runs.
    Live(Live),
}

/// What an operator gives: a name, and the rule, if it is quantized.
#[derive(Clone, Debug, Default)]
pub struct Out {
    pub name: String,
    pub rule: Option<Quantization>,
}

#[derive(Default)]
pub struct Builder {
    graph: Graph<'static>,
    reals: HashMap<ValueId, ValueId>,
}

pub fn element(dtype: DType, quantization: Option<Quantization>) -> Element {
    Element { dtype, quantization }
}

/// Bytes that are not signed are moved by 128.
pub fn signed(rule: Quantization, dtype: DType) -> Quantization {
    let shift = if dtype == DType::U8 { 128 } else { 0 };
    Quantization { zero_point: rule.zero_point - shift, ..rule }
}

pub fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

impl Builder {
    pub fn shape(&self, id: ValueId) -> Shape {
        self.graph.value(id).spec().shape.clone()
    }

    pub fn element(&self, id: ValueId) -> Element {
        let spec = self.graph.value(id).spec();
        element(spec.dtype, spec.quantization)
    }

    pub fn made_by(&self, id: ValueId) -> Option<&Node> {
        self.graph.value(id).node()
    }

    /// The shape as the file sees it.
    pub fn logical(&self, live: &Live) -> Shape {
        let physical = self.shape(live.id);
        let mut shape = vec![1; physical.len()];
        for (&axis, size) in live.order.iter().zip(physical) {
            shape[axis] = size;
        }
        shape
    }

    pub fn value_shape(&self, value: &Value) -> Shape {
        match value {
            Value::Host(host) => host.shape32(),
            Value::Live(live) => self.logical(live),
        }
    }

    pub fn plain(&self, id: ValueId) -> Live {
        Live { id, order: identity(self.shape(id).len()) }
    }

    pub fn input(&mut self, name: &str, spec: TensorSpec) -> Result<Live, Refusal> {
        let id = self.graph.input(&clean(name), spec)?;
        let given = self.element(id);
        match (given.dtype, given.quantization) {
            (DType::U8, Some(rule)) => {
                let to = element(DType::I8, Some(signed(rule, DType::U8)));
                let id = self.graph.node(&clean(name), Op::Quantize, &[id], to)?;
                Ok(self.plain(id))
            }
            _ => Ok(self.plain(id)),
        }
    }

    pub fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        element: Element,
    ) -> Result<ValueId, Refusal> {
        if self.graph.values().len() >= 1 << 16 {
            return Err(wrong("the graph would have more than 65,536 values"));
        }
        Ok(self.graph.node(&clean(name), op, inputs, element)?)
    }

    /// A node that keeps type and rule of its first input.
    pub fn keep(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, Refusal> {
        self.node(name, op, inputs, self.element(inputs[0]))
    }

    pub fn is_int8(&self, id: ValueId) -> bool {
        let of = self.element(id);
        of.dtype == DType::I8 && of.quantization.is_some()
    }

    /// The same value in real numbers.
    pub fn real(&mut self, id: ValueId) -> Result<ValueId, Refusal> {
        let of = self.element(id);
        if of == Element::F32 {
            return Ok(id);
        }
        if let Some(&known) = self.reals.get(&id) {
            return Ok(known);
        }
        let op = if of.quantization.is_some() { Op::Dequantize } else { Op::Cast };
        let name = self.graph.value(id).name().to_owned();
        let made = self.node(&name, op, &[id], Element::F32)?;
        self.reals.insert(id, made);
        Ok(made)
    }

    /// The value with its axes in `order`.
    pub fn arranged(&mut self, live: &Live, order: &[usize]) -> Result<ValueId, Refusal> {
        if live.order == order {
            return Ok(live.id);
        }
        let place = |axis: &usize| live.order.iter().position(|at| at == axis);
        let moves: Option<Vec<usize>> = order.iter().map(place).collect();
        let moves = moves.ok_or_else(|| wrong("another number of axes is needed"))?;
        let shape = self.shape(live.id);
        let longer = |&&axis: &&usize| shape[axis] > 1;
        let name = self.graph.value(live.id).name().to_owned();
        let op = if moves.iter().filter(longer).is_sorted() {
            Op::Reshape(moves.iter().map(|&axis| shape[axis]).collect())
        } else {
            Op::Transpose(moves.iter().map(|&axis| small(axis)).collect())
        };
        self.keep(&name, op, &[live.id])
    }

    /// The value as the file sees it.
    pub fn in_order(&mut self, live: &Live) -> Result<ValueId, Refusal> {
        self.arranged(live, &identity(live.order.len()))
    }

    pub fn constant(&mut self, host: &Host) -> Result<ValueId, Refusal> {
        let shape = host.shape32();
        let spec = |dtype, quantization| TensorSpec { dtype, shape: shape.clone(), quantization };
        let (spec, constant) = match &host.data {
            Data::F(elements) => (spec(DType::F32, None), Constant::f32(&finite(elements))),
            Data::I(elements) => (
                spec(DType::I32, None),
                Constant::i32(&elements.iter().map(|&e| clip(e)).collect::<Vec<_>>()),
            ),
            Data::Q(q) => match q.one_rule() {
                Some(rule) => (spec(DType::I8, Some(rule)), Constant::i8(&q.elements, &[])),
                None => return self.constant(&host.real()),
            },
        };
        Ok(self.graph.constant("", spec, constant)?)
    }

    pub fn raw_constant(
        &mut self,
        dtype: DType,
        shape: &[u32],
        constant: Constant<'static>,
    ) -> Result<ValueId, Refusal> {
        let spec = TensorSpec { dtype, shape: shape.to_vec(), quantization: None };
        Ok(self.graph.constant("", spec, constant)?)
    }

    /// In order, whatever it is.
    pub fn id(&mut self, value: &Value) -> Result<ValueId, Refusal> {
        match value {
            Value::Host(host) => self.constant(host),
            Value::Live(live) => self.in_order(live),
        }
    }

    /// In order and in real numbers.
    pub fn real_id(&mut self, value: &Value) -> Result<ValueId, Refusal> {
        match value {
            Value::Host(host) => self.constant(&host.real()),
            Value::Live(live) => {
                let id = self.in_order(live)?;
                self.real(id)
            }
        }
    }

    /// `op` of values that are arranged already: in int8 if all of them are and the result has a rule, else in real
    /// numbers.
    pub fn compute(&mut self, out: &Out, op: Op, inputs: &[ValueId]) -> Result<ValueId, Refusal> {
        let int8 = inputs.iter().all(|&id| self.is_int8(id)) && does_int8(&op);
        if let (true, Some(rule)) = (int8, out.rule) {
            return self.node(&out.name, op, inputs, element(DType::I8, Some(rule)));
        }
        let inputs = inputs.iter().map(|&id| self.real(id)).collect::<Result<Vec<_>, _>>()?;
        self.node(&out.name, op, &inputs, Element::F32)
    }

    /// A function of each element, in whatever order they lie.
    pub fn each(&mut self, out: &Out, op: Op, x: &Value) -> Result<Value, Refusal> {
        let (id, order) = match x {
            Value::Host(host) => (self.constant(host)?, identity(host.shape.len())),
            Value::Live(live) => (live.id, live.order.clone()),
        };
        Ok(Value::Live(Live { id: self.compute(out, op, &[id])?, order }))
    }

    /// A pair of values that are repeated to one shape.
    pub fn pair(
        &mut self,
        out: &Out,
        function: Pair,
        clamp: Clamp,
        [a, b]: [&Value; 2],
    ) -> Result<Value, Refusal> {
        let steps = |constant: &Value, other: &Value| match (constant, other) {
            (Value::Host(host), Value::Live(live))
                if out.rule.is_some() && self.is_int8(live.id) =>
            {
                weights::in_steps(function, host).map(Value::Host)
            }
            _ => None,
        };
        let (left, right) = (steps(a, b), steps(b, a));
        let (a, b) = (left.as_ref().unwrap_or(a), right.as_ref().unwrap_or(b));
        self.repeated(out, Op::Binary { function, clamp }, &[a, b])
    }

    pub fn repeated(&mut self, out: &Out, op: Op, values: &[&Value]) -> Result<Value, Refusal> {
        let rank = values.iter().map(|v| self.value_shape(v).len()).max().unwrap_or(0);
        let longest = |v: &&&Value| match v {
            Value::Live(live) if live.order.len() == rank => Some(live.order.clone()),
            _ => None,
        };
        let order = values.iter().find_map(|v| longest(&v)).unwrap_or_else(|| identity(rank));
        let mut ids = Vec::new();
        for value in values {
            ids.push(self.ranked(value, &order)?);
        }
        Ok(Value::Live(Live { id: self.compute(out, op, &ids)?, order }))
    }

    /// The value with as many axes as `order`, in that order.
    fn ranked(&mut self, value: &Value, order: &[usize]) -> Result<ValueId, Refusal> {
        let shape = self.value_shape(value);
        if shape.len() == order.len() {
            return match value {
                Value::Live(live) => self.arranged(live, order),
                Value::Host(host) => self.constant(&host.transposed(order)),
            };
        }
        let mut wide = vec![1; order.len() - shape.len()];
        wide.extend(shape);
        let value = match value {
            Value::Host(host) => {
                Value::Host(host.reshaped(wide.iter().map(|&d| d as usize).collect()))
            }
            Value::Live(_) => Value::Live(self.reshaped("", value, wide)?),
        };
        self.ranked(&value, order)
    }

    pub fn reshaped(&mut self, name: &str, value: &Value, shape: Shape) -> Result<Live, Refusal> {
        let id = self.id(value)?;
        let id = self.keep(name, Op::Reshape(shape), &[id])?;
        Ok(self.plain(id))
    }

    /// The value by another rule, or quantized at last.
    pub fn quantized(
        &mut self,
        out: &str,
        id: ValueId,
        rule: Quantization,
    ) -> Result<ValueId, Refusal> {
        let to = element(DType::I8, Some(rule));
        if self.element(id) == to {
            return Ok(id);
        }
        let from = self.element(id);
        let id = if from.quantization.is_none() { self.real(id)? } else { id };
        self.node(out, Op::Quantize, &[id], to)
    }
}

fn does_int8(op: &Op) -> bool {
    match op {
        Op::Binary { function, .. } => function.is_int8(),
        Op::Reduce { by, .. } => {
            matches!(
                by,
                edgemill_model::graph::Reduction::Sum | edgemill_model::graph::Reduction::Mean
            )
        }
        Op::ArgMax { .. } | Op::Detect(_) => false,
        _ => true,
    }
}

pub fn small(axis: usize) -> u8 {
    u8::try_from(axis).unwrap_or(u8::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn clip(element: i64) -> i32 {
    element.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// A graph has no infinite constants; the greatest number does what they are for in masks and bounds.
fn finite(elements: &[f32]) -> Vec<f32> {
    elements.iter().map(|e| if e.is_nan() { 0.0 } else { e.clamp(f32::MIN, f32::MAX) }).collect()
}

/// A name that a graph can have.
pub fn clean(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > edgemill_model::graph::MAX_NAME {
            break;
        }
        out.push(c);
    }
    out
}
