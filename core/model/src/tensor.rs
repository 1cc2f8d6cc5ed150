//! What a tensor is, without its elements.
use serde::{Deserialize, Serialize};

/// Type of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 0..=255
    U8,
    /// -128..=127
    I8,
    /// Accumulators and biases.
    I32,
    /// IEEE 754 single precision.
    F32,
}

impl DType {
    /// Bytes of one element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// Whether an element can be exactly `value`.
    #[must_use]
    pub fn holds(self, value: i32) -> bool {
        match self {
            Self::U8 => u8::try_from(value).is_ok(),
            Self::I8 => i8::try_from(value).is_ok(),
            Self::I32 => true,
            Self::F32 => value.unsigned_abs() <= 1 << f32::MANTISSA_DIGITS,
        }
    }
}

/// The affine rule for a whole tensor: real = scale × (element − zero point). Jacob et al., 2018, arXiv:1712.05877.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantization {
    /// Above zero and finite.
    pub scale: f32,
    /// Within the element type's range.
    pub zero_point: i32,
}

/// Type, shape (row-major, outermost first) and, where the elements are quantized, the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Type of the elements.
    pub dtype: DType,
    /// Every dimension at least 1; at most [`MAX_RANK`] of them.
    pub shape: Vec<u32>,
    /// `None` where elements are real numbers as they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
}

/// The most dimensions a tensor may have; the plugin boundary's `EDGEMILL_MAX_RANK`.
pub const MAX_RANK: usize = 6;

impl TensorSpec {
    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|&d| d as usize).product()
    }

    /// Bytes of all elements.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.bytes()
    }
}
