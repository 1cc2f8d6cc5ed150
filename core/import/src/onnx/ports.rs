//! Inputs of a file: their shapes and types.
use edgemill_model::tensor::DType;

use super::proto::Port;
use super::{FLOAT, INT8, UINT8};
use crate::ImportError;
use crate::builder::Shape;

pub(super) fn fixed(port: &Port) -> Result<Shape, ImportError> {
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

pub(super) fn bad_type(port: &Port) -> ImportError {
    ImportError::File(format!("{:?} has elements of ONNX type {}", port.name, port.dtype))
}

/// The type that a graph holds elements of an ONNX type in.
pub(super) fn dtype(onnx: u64) -> Option<DType> {
    match onnx {
        FLOAT | 10 | 11 => Some(DType::F32),
        UINT8 => Some(DType::U8),
        INT8 => Some(DType::I8),
        9 => Some(DType::U8),
        4..=7 | 12 | 13 => Some(DType::I32),
        _ => None,
    }
}
