//! NumPy's file format, versions 1 to 3: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
use std::path::Path;

use edgemill_model::tensor::{DType, Quantization, TensorSpec};

use crate::exit::Failure;

/// A tensor. Whole numbers are held exactly up to 2⁵³.
pub struct Array {
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub elements: Vec<f64>,
}

const MAGIC: &[u8] = b"\x93NUMPY";
const NO_ARRAY: &str = "it is no NumPy array: save one array a file, with numpy.save";

impl Array {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let named =
            |error: &dyn std::fmt::Display| Failure::model(format!("{}: {error}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| named(&error))?;
        Self::parse(&bytes).map_err(|error| named(&error))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NO_ARRAY)?;
        let (&[major, _], rest) = rest.split_first_chunk().ok_or("it ends early")?;
        let (length, rest) = if major == 1 {
            let (length, rest) = rest.split_first_chunk().ok_or("it ends early")?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        } else {
            let (length, rest) = rest.split_first_chunk().ok_or("it ends early")?;
            (u32::from_le_bytes(*length) as usize, rest)
        };
        let (header, data) = rest.split_at_checked(length).ok_or("it ends early")?;
        let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
        if header.contains("'fortran_order': True") {
            return Err(
                "its elements are in Fortran order: save it with numpy.ascontiguousarray".into()
            );
        }
        let descr = between(header, "'descr': '", "'").ok_or("its header has no descr")?;
        let shape = between(header, "'shape': (", ")").ok_or("its header has no shape")?;
        let numbers = shape.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::parse);
        let shape: Vec<usize> =
            numbers.collect::<Result<_, _>>().map_err(|_| "its shape is no list of numbers")?;
        let (dtype, elements) = elements(descr, data)?;
        let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if count != Some(elements.len()) {
            let told =
                format!("the header says shape {shape:?}, and {} elements follow", elements.len());
            return Err(told + ": it was cut short; save it again");
        }
        if elements.iter().any(|e| e.is_finite() && e.abs() > f32::MAX.into()) {
            return Err("an element is beyond single precision".into());
        }
        Ok(Self { shape, dtype, elements })
    }

    /// The elements as a tensor has them; real numbers are quantized where its elements are, others must be of its type.
    pub fn bytes(&self, spec: &TensorSpec) -> Result<Vec<u8>, String> {
        let numbers = self.elements.iter().copied();
        match spec.quantization {
            Some(Quantization { scale, zero_point }) if self.dtype == DType::F32 => {
                let quantized =
                    |real: f64| (real / f64::from(scale)).round() + f64::from(zero_point);
                Ok(elements_as(spec.dtype, numbers.map(quantized)))
            }
            _ => match numbers.clone().find(|&number| !holds(spec.dtype, number)) {
                Some(number) => Err(beyond(number, spec)),
                None => Ok(elements_as(spec.dtype, numbers)),
            },
        }
    }

    pub fn of_bytes(spec: &TensorSpec, bytes: &[u8]) -> Self {
        let elements = match spec.dtype {
            DType::U8 => bytes.iter().map(|&b| b.into()).collect(),
            DType::I8 => bytes.iter().map(|&b| b.cast_signed().into()).collect(),
            DType::I32 => {
                bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect()
            }
            DType::F32 => {
                bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect()
            }
        };
        Self {
            shape: spec.shape.iter().map(|&d| d as usize).collect(),
            dtype: spec.dtype,
            elements,
        }
    }

    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let descr = match self.dtype {
            DType::U8 => "|u1",
            DType::I8 => "|i1",
            DType::I32 => "<i4",
            DType::F32 => "<f4",
        };
        let shape: String = self.shape.iter().map(|d| format!("{d},")).collect();
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        // The data begin at a multiple of 64.
        while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).map_err(Failure::internal)?;
        let parts = [
            MAGIC,
            &[1, 0],
            &length.to_le_bytes(),
            header.as_bytes(),
            &elements_as(self.dtype, self.elements.iter().copied()),
        ];
        std::fs::write(path, parts.concat())
            .map_err(|error| Failure::model(format!("{}: {error}", path.display())))
    }
}

/// Whether a type has this number.
fn holds(dtype: DType, number: f64) -> bool {
    let (least, most) = match dtype {
        DType::U8 => (0.0, 255.0),
        DType::I8 => (-128.0, 127.0),
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::F32 => return true,
    };
    number.fract() == 0.0 && (least..=most).contains(&number)
}

fn beyond(number: f64, spec: &TensorSpec) -> String {
    let dtype = format!("{:?}", spec.dtype).to_lowercase();
    let real = if spec.quantization.is_some() { ", or real numbers as float32" } else { "" };
    format!(
        "it has the element {number}, and the network takes {dtype}: give elements of that type{real}"
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn elements_as(dtype: DType, elements: impl Iterator<Item = f64>) -> Vec<u8> {
    match dtype {
        DType::U8 => elements.map(|e| e as u8).collect(),
        DType::I8 => elements.map(|e| (e as i8).cast_unsigned()).collect(),
        DType::I32 => elements.flat_map(|e| (e as i32).to_le_bytes()).collect(),
        DType::F32 => elements.flat_map(|e| (e as f32).to_le_bytes()).collect(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.get(..rest.find(after)?)
}

#[expect(clippy::cast_precision_loss, reason = "whole numbers are exact up to 2⁵³")]
fn elements(descr: &str, data: &[u8]) -> Result<(DType, Vec<f64>), String> {
    fn all<const N: usize>(data: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        data.as_chunks().0.iter().map(|&b| f(b)).collect()
    }
    Ok(match descr {
        "<f4" => (DType::F32, all(data, |b| f32::from_le_bytes(b).into())),
        "<f8" => (DType::F32, all(data, f64::from_le_bytes)),
        "|u1" | "|b1" => (DType::U8, data.iter().map(|&b| b.into()).collect()),
        "|i1" => (DType::I8, data.iter().map(|&b| b.cast_signed().into()).collect()),
        "<i2" => (DType::I32, all(data, |b| i16::from_le_bytes(b).into())),
        "<u2" => (DType::I32, all(data, |b| u16::from_le_bytes(b).into())),
        "<i4" => (DType::I32, all(data, |b| i32::from_le_bytes(b).into())),
        "<u4" => (DType::I32, all(data, |b| u32::from_le_bytes(b).into())),
        "<i8" => (DType::I32, all(data, |b| i64::from_le_bytes(b) as f64)),
        "<u8" => (DType::I32, all(data, |b| u64::from_le_bytes(b) as f64)),
        other => {
            return Err(format!(
                "elements of type {other}; save it as float32, uint8, int8 or int32"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dtype: DType, rule: Option<(f32, i32)>) -> TensorSpec {
        let quantization = rule.map(|(scale, zero_point)| Quantization { scale, zero_point });
        TensorSpec { dtype, shape: vec![2], quantization }
    }

    #[test]
    fn whole_numbers_must_be_of_the_network_s_type_and_real_ones_are_quantized() {
        let rule = Some((0.5, -1));
        let cases = [
            ("bytes", DType::U8, [0.0, 127.0], spec(DType::I8, rule), Ok(vec![0, 127])),
            ("too great", DType::U8, [0.0, 200.0], spec(DType::I8, rule), Err("element 200")),
            ("below 0", DType::I8, [-1.0, 0.0], spec(DType::U8, rule), Err("element -1")),
            ("a fraction", DType::F32, [0.5, 0.0], spec(DType::U8, None), Err("element 0.5")),
            ("real", DType::F32, [2.0, 1e9], spec(DType::I8, rule), Ok(vec![3, 127])),
        ];
        for (name, dtype, elements, spec, expected) in cases {
            let array = Array { shape: vec![2], dtype, elements: elements.to_vec() };
            match (array.bytes(&spec), expected) {
                (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected, "{name}"),
                (Err(said), Err(part)) => assert!(said.contains(part), "{name}: {said}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
