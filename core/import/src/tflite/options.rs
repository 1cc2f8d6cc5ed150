//! One operator with its operands and options.
use edgemill_model::graph::Clamp;

use super::flat::Table;
use crate::{ImportError, Refusal, unsupported, wrong};

pub struct Node<'a> {
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: Option<Table<'a>>,
    pub custom: &'a [u8],
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        wrong(error.to_string())
    }
}

impl Node<'_> {
    pub fn u8(&self, field: usize, default: u8) -> Result<u8, Refusal> {
        Ok(self.options.map_or(Ok(default), |o| o.u8(field, default))?)
    }

    pub fn i32(&self, field: usize, default: i32) -> Result<i32, Refusal> {
        Ok(self.options.map_or(Ok(default), |o| o.i32(field, default))?)
    }

    pub fn f32(&self, field: usize, default: f32) -> Result<f32, Refusal> {
        Ok(self.options.map_or(Ok(default), |o| o.f32(field, default))?)
    }

    pub fn i32s(&self, field: usize) -> Result<Vec<i32>, Refusal> {
        Ok(self.options.map_or(Ok(Vec::new()), |o| o.i32s(field))?)
    }

    pub fn size(&self, field: usize, default: i32) -> Result<u32, Refusal> {
        let value = self.i32(field, default)?;
        u32::try_from(value).ok().filter(|&v| v > 0).ok_or_else(|| wrong("a size below 1"))
    }

    pub fn activation(&self, field: usize) -> Result<Clamp, Refusal> {
        Ok(match self.u8(field, 0)? {
            0 => Clamp::NONE,
            1 => Clamp::RELU,
            2 => Clamp { low: -1.0, high: 1.0 },
            3 => Clamp::RELU6,
            4 => return Err(unsupported("a fused tanh")),
            _ => return Err(unsupported("a fused activation that is not known")),
        })
    }

    pub fn output(&self) -> i32 {
        self.outputs.first().copied().unwrap_or(-1)
    }

    /// An input that may be left out.
    pub fn optional(&self, index: usize) -> Option<i32> {
        self.inputs.get(index).copied().filter(|&at| at >= 0)
    }
}

pub fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let rank = i64::try_from(rank).unwrap_or(0);
    let at = if axis < 0 { axis + rank } else { axis };
    usize::try_from(at).ok().filter(|_| at < rank).ok_or_else(|| wrong(format!("axis {axis}")))
}

/// Ascending, each once.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    let mut axes = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

pub fn sizes(list: &[i64]) -> Vec<u32> {
    list.iter().map(|&v| u32::try_from(v).unwrap_or(u32::MAX)).collect()
}
