//! Tensors of a file: what lies in it, or beside it.
use std::borrow::Cow;

use half::{bf16, f16};

use super::beside::{Beside, Place};
use super::proto::{Field, damaged, fields, floats32, integers, text};
use crate::host::{Data, Host};
use crate::{ImportError, MAX_BYTES};

/// A tensor, its name and the number of its type. Quantized elements are whole numbers here: their rule stands elsewhere.
pub fn tensor(bytes: &[u8], beside: &Beside) -> Result<(String, u64, Host), ImportError> {
    let (mut name, mut dims, mut dtype) = (String::new(), Vec::new(), 0);
    let (mut floats, mut ints, mut doubles) = (Vec::new(), Vec::new(), Vec::new());
    let (mut raw, mut place, mut elsewhere) = (None, Place::default(), false);
    fields(bytes, |number, field| {
        match (number, field) {
            (1, field) => integers(field, &mut dims)?,
            (2, Field::Varint(v)) => dtype = v,
            (4, field) => floats32(field, &mut floats)?,
            (5 | 7 | 11, field) => integers(field, &mut ints)?,
            (8, Field::Bytes(bytes)) => name = text(bytes)?,
            (9, Field::Bytes(bytes)) => raw = Some(Cow::Borrowed(bytes)),
            (10, Field::Bytes(bytes)) => {
                doubles.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)));
            }
            (13, Field::Bytes(bytes)) => place.note(bytes)?,
            (14, Field::Varint(1)) => elsewhere = true,
            _ => {}
        }
        Ok(())
    })?;
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| damaged("a dimension below 0"))?;
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    let count =
        count.filter(|&n| n <= MAX_BYTES).ok_or_else(|| damaged("a tensor is too large"))?;
    if elsewhere {
        let most = count.saturating_mul(bytes_of(dtype));
        raw = Some(Cow::Owned(beside.read(&name, &place, most)?));
    }
    let data = match raw {
        Some(raw) => from_raw(dtype, &raw)?,
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

/// How many bytes an element takes in a file.
fn bytes_of(dtype: u64) -> usize {
    match dtype {
        2 | 3 | 9 => 1,
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 => 8,
        _ => 4,
    }
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
        16 => Data::F(all(raw, |b| bf16::from_le_bytes(b).to_f32())),
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
        16 => Data::F(ints.iter().map(|&i| bf16::from_bits(i as u16).to_f32()).collect()),
        11 => Data::F(narrowed(doubles.to_vec())?),
        2..=7 | 9 | 12 | 13 => Data::I(ints),
        other => return Err(kind_refused(other)),
    })
}
