//! What a node reads: values, attributes, numbers that have to be known.
use super::{Attribute, Importer, Node};
use crate::builder::{Out, Shape, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl<'m> Importer<'m> {
    pub(super) fn node(&self, at: usize) -> &'m Node {
        &self.graph.nodes[at]
    }

    pub(super) fn input_name(&self, at: usize, index: usize) -> Option<&'m str> {
        self.node(at).inputs.get(index).map(String::as_str).filter(|n| !n.is_empty())
    }

    pub(super) fn get(&self, name: &str) -> Result<Value, Refusal> {
        self.values
            .get(name)
            .cloned()
            .ok_or_else(|| wrong(format!("nothing makes its input {name:?}")))
    }

    pub(super) fn value(&self, at: usize, index: usize) -> Result<Value, Refusal> {
        let name =
            self.input_name(at, index).ok_or_else(|| wrong(format!("input {index} is missing")))?;
        self.get(name)
    }

    pub(super) fn optional(&self, at: usize, index: usize) -> Result<Option<Value>, Refusal> {
        self.input_name(at, index).map(|name| self.get(name)).transpose()
    }

    /// An operand that has to be known now.
    pub(super) fn host(&self, at: usize, index: usize) -> Result<Option<Host>, Refusal> {
        match self.optional(at, index)? {
            None => Ok(None),
            Some(Value::Host(host)) => Ok(Some(host)),
            Some(Value::Live(_)) => {
                Err(unsupported(format!("input {index} computed while the model runs")))
            }
        }
    }

    pub(super) fn logical(&self, at: usize, index: usize) -> Result<Shape, Refusal> {
        Ok(self.build.value_shape(&self.value(at, index)?))
    }

    pub(super) fn attribute(&self, at: usize, name: &str) -> Option<&'m Attribute> {
        self.node(at).attributes.get(name)
    }

    pub(super) fn int(&self, at: usize, name: &str, default: i64) -> i64 {
        if let Some(Attribute::Int(v)) = self.attribute(at, name) { *v } else { default }
    }

    pub(super) fn float(&self, at: usize, name: &str, default: f32) -> f32 {
        if let Some(Attribute::Float(v)) = self.attribute(at, name) { *v } else { default }
    }

    pub(super) fn ints(&self, at: usize, name: &str) -> Option<Vec<i64>> {
        if let Some(Attribute::Ints(v)) = self.attribute(at, name) { Some(v.clone()) } else { None }
    }

    pub(super) fn text(&self, at: usize, name: &str, default: &str) -> String {
        if let Some(Attribute::Text(v)) = self.attribute(at, name) {
            v.clone()
        } else {
            default.into()
        }
    }

    /// Whole numbers that are an attribute in old opsets and an input in new ones.
    pub(super) fn list(
        &self,
        at: usize,
        name: &str,
        index: usize,
    ) -> Result<Option<Vec<i64>>, Refusal> {
        if let Some(list) = self.ints(at, name) {
            return Ok(Some(list));
        }
        Ok(self.host(at, index)?.map(|host| host.i64s()))
    }

    pub(super) fn out(&self, at: usize) -> Out {
        self.out_named(self.node(at).outputs.first().map_or("", String::as_str))
    }

    pub(super) fn out_named(&self, name: &str) -> Out {
        Out { name: name.into(), rule: self.rule_of(name) }
    }
}

/// An axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let rank = i64::try_from(rank).map_err(|_| wrong("too many axes"))?;
    let from_front = if axis < 0 { axis + rank } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|_| from_front < rank)
        .ok_or_else(|| wrong(format!("axis {axis} of {rank}")))
}

pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    list.iter().map(|&a| axis(a, rank)).collect()
}

pub(super) fn size(value: i64) -> Result<u32, Refusal> {
    u32::try_from(value).map_err(|_| wrong(format!("{value} where a size is needed")))
}
