//! The part of a model that is given and not computed: weights, biases, tables.
use std::borrow::Cow;

use super::{check_scale, checked_elements};
use crate::tensor::{DType, TensorSpec};

/// The elements of a constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant<'a> {
    pub(super) scales: Cow<'a, [u8]>,
    pub(super) data: Cow<'a, [u8]>,
}

impl<'a> Constant<'a> {
    /// Real numbers.
    #[must_use]
    pub fn f32(elements: &[f32]) -> Self {
        Self { scales: Cow::default(), data: bytes_of(elements, |e| e.to_le_bytes()) }
    }

    /// Symmetric int8: real = scale of the element's outermost index × element.
    #[must_use]
    pub fn i8(elements: &[i8], scales: &[f32]) -> Self {
        let data = bytes_of(elements, |e| e.to_le_bytes());
        Self { scales: bytes_of(scales, |s| s.to_le_bytes()), data }
    }

    /// Biases of an int8 node: real = scale of its input × scale of its weights × element.
    #[must_use]
    pub fn i32(elements: &[i32]) -> Self {
        Self { scales: Cow::default(), data: bytes_of(elements, |e| e.to_le_bytes()) }
    }

    /// Scale for each index of the outermost axis; none unless the elements are int8.
    pub fn scales(&self) -> impl ExactSizeIterator<Item = f32> {
        self.scale_bytes().iter().map(|&b| f32::from_le_bytes(b))
    }

    /// Scales as they are stored: little-endian f32.
    #[must_use]
    pub fn scale_bytes(&self) -> &[[u8; 4]] {
        self.scales.as_chunks().0
    }

    /// Elements, little-endian and row-major.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Elements as f32, for a value of that type.
    pub fn f32s(&self) -> impl ExactSizeIterator<Item = f32> {
        self.data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))
    }

    /// Elements as int32, for a value of that type.
    pub fn i32s(&self) -> impl ExactSizeIterator<Item = i32> {
        self.data.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b))
    }

    /// Elements as int8, for a value of that type.
    pub fn i8s(&self) -> impl ExactSizeIterator<Item = i8> {
        self.data.iter().map(|&b| b.cast_signed())
    }

    pub(super) fn check(&self, spec: &TensorSpec) -> Result<(), String> {
        let elements = checked_elements(&spec.shape)?;
        let needed = elements * spec.dtype.bytes();
        if self.data.len() != needed {
            return Err(format!("{} bytes of data, its shape needs {needed}", self.data.len()));
        }
        if spec.dtype == DType::F32 && !self.f32s().all(f32::is_finite) {
            return Err("an element is infinite or not a number".into());
        }
        self.check_scales(spec)
    }

    fn check_scales(&self, spec: &TensorSpec) -> Result<(), String> {
        if self.scales.is_empty() {
            return Ok(());
        }
        if spec.dtype != DType::I8 || spec.quantization.is_some() {
            return Err("scales for each channel are for int8 without another rule".into());
        }
        let (given, needed) = (self.scales().len(), spec.shape.first().copied().unwrap_or(1));
        if given != needed as usize {
            return Err(format!("{given} scales where the outermost axis needs {needed}"));
        }
        self.scales().try_for_each(check_scale)
    }
}

fn bytes_of<'a, T: Copy, const N: usize>(
    elements: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> Cow<'a, [u8]> {
    elements.iter().flat_map(|&e| bytes(e)).collect::<Vec<u8>>().into()
}
