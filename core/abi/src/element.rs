//! Elements of tensors and series.
use crate::codes::DType;

/// A type of elements that a buffer can be read as: plain numbers, for which every pattern of bits is a value.
pub trait Element: sealed::Plain + Copy + Send + Sync + 'static {
    /// Its code.
    const DTYPE: DType;
}

mod sealed {
    /// Closed, because [`super::elements`] relies on every pattern of bits being a value.
    pub trait Plain {}
    impl Plain for u8 {}
    impl Plain for i8 {}
    impl Plain for i32 {}
    impl Plain for f32 {}
}

impl Element for u8 {
    const DTYPE: DType = DType::U8;
}
impl Element for i8 {
    const DTYPE: DType = DType::I8;
}
impl Element for i32 {
    const DTYPE: DType = DType::I32;
}
impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

/// Bytes as elements; `None` where they are of another type.
pub(crate) fn elements<T: Element>(dtype: DType, bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: `Element` is closed over plain numbers; `align_to` keeps to what is aligned.
    let (before, elements, after) = unsafe { bytes.align_to::<T>() };
    (dtype == T::DTYPE && before.is_empty() && after.is_empty()).then_some(elements)
}

/// Where elements of a type may begin, in bytes.
pub(crate) const fn element_align(dtype: DType) -> usize {
    match dtype {
        DType::U8 | DType::I8 => 1,
        DType::I32 | DType::F32 => 4,
    }
}
