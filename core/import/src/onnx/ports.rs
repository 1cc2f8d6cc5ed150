//! Inputs of a file: their shapes and types.
use edgemill_model::tensor::DType;

use super::proto::Port;
use super::{FLOAT, INT8, UINT8};
use crate::ImportError;
use crate::builder::Shape;

/// The shape of an input, `given` where the file leaves it open.
pub(super) fn fixed(port: &Port, given: Option<&[u32]>) -> Result<Shape, ImportError> {
    let name = &port.name;
    let advice = |what: &str| {
        let advice = "export the model with a fixed shape, or give it (import --shape)";
        ImportError::File(format!("input {name:?} has {what}: {advice}"))
    };
    let shape = match (&port.shape, given) {
        (Some(shape), _) => shape.clone(),
        (None, Some(given)) => vec![None; given.len()],
        (None, None) => return Err(advice("no shape")),
    };
    if let Some(given) = given {
        let fits =
            |(own, &given): (&Option<u64>, &u32)| own.is_none_or(|own| own == u64::from(given));
        if given.len() != shape.len() || given.contains(&0) || !shape.iter().zip(given).all(fits) {
            return Err(ImportError::File(format!("input {name:?} is not of the shape {given:?}")));
        }
        return Ok(given.to_vec());
    }
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
