//! Tensors as the file describes them.
use edgemill_model::tensor::{DType, Quantization};
use half::f16;

use super::flat::{Table, damaged};
use super::sparse;
use crate::builder::signed;
use crate::host::{Data, Host, MAX_ELEMENTS, Quantized};
use crate::{ImportError, Refusal, unsupported, wrong};

const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
const INT32: u8 = 2;
const UINT8: u8 = 3;
const INT64: u8 = 4;
const BOOL: u8 = 6;
/// Between the operators of a file whose activations have 16 bits: computed in f32, which is finer.
const INT16: u8 = 7;
const INT8: u8 = 9;
const UINT32: u8 = 15;
/// Two to a byte, the first in the lower half.
const INT4: u8 = 17;

pub struct Tensor<'a> {
    pub name: String,
    shape: Vec<i32>,
    kind: u8,
    data: &'a [u8],
    scales: Vec<f32>,
    zeros: Vec<i64>,
    axis: usize,
    sparsity: Option<Table<'a>>,
}

impl<'a> Tensor<'a> {
    pub fn read(table: &Table<'a>, buffers: &[Table<'a>]) -> Result<Self, ImportError> {
        let buffer = buffers.get(index(table.i32(2, 0)?)?).ok_or_else(damaged)?;
        let (mut scales, mut zeros, mut axis) = (Vec::new(), Vec::new(), 0);
        if let Some(rule) = table.table(4)? {
            (scales, zeros, axis) = (rule.f32s(2)?, rule.i64s(3)?, index(rule.i32(6, 0)?)?);
        }
        let (name, shape, kind) = (table.text(3)?, table.i32s(0)?, table.u8(1, 0)?);
        let (mut data, sparsity) = (buffer.bytes(0)?, table.table(6)?);
        if data.is_empty() {
            data = buffer.outside(1)?;
        }
        Ok(Self { name, shape, kind, data, scales, zeros, axis, sparsity })
    }

    /// Whether the file has no elements for it, though its shape has some.
    pub fn is_made(&self) -> bool {
        self.data.is_empty() && !self.shape.contains(&0)
    }

    pub fn sizes(&self) -> Result<Vec<usize>, Refusal> {
        self.shape
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| wrong("a shape below 0")))
            .collect()
    }

    pub fn sizes32(&self) -> Result<Vec<u32>, Refusal> {
        Ok(self.sizes()?.into_iter().map(|d| u32::try_from(d).unwrap_or(u32::MAX)).collect())
    }

    pub fn dtype(&self) -> Result<DType, Refusal> {
        match self.kind {
            FLOAT32 | FLOAT16 => Ok(DType::F32),
            INT32 | INT64 | UINT32 => Ok(DType::I32),
            UINT8 | BOOL => Ok(DType::U8),
            INT8 => Ok(DType::I8),
            other => Err(of_kind(other)),
        }
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.kind, INT32 | INT64 | UINT32)
    }

    pub fn rule(&self) -> Option<Quantization> {
        let (&[scale], zeros) = (&self.scales[..], &self.zeros) else { return None };
        let zero_point = i32::try_from(zeros.first().copied().unwrap_or(0)).ok()?;
        matches!(self.kind, UINT8 | INT8).then_some(Quantization { scale, zero_point })
    }

    pub fn signed_rule(&self) -> Option<Quantization> {
        let dtype = if self.kind == UINT8 { DType::U8 } else { DType::I8 };
        self.rule().map(|rule| signed(rule, dtype))
    }

    pub fn host(&self) -> Result<Host, Refusal> {
        let shape = self.sizes()?;
        let needed = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let needed = needed.filter(|&n| n <= MAX_ELEMENTS).ok_or_else(|| {
            wrong(format!("constant {:?} has more than {MAX_ELEMENTS} elements", self.name))
        })?;
        let host = Host { shape, data: self.elements()? };
        let given = match &host.data {
            Data::F(e) => e.len(),
            Data::I(e) => e.len(),
            Data::Q(q) => q.elements.len(),
        };
        if let Some(sparsity) = &self.sparsity {
            return sparse::dense(sparsity, &host);
        }
        if needed != given {
            return Err(wrong(format!(
                "constant {:?} has {given} elements, its shape others",
                self.name
            )));
        }
        Ok(host)
    }

    fn elements(&self) -> Result<Data, Refusal> {
        let whole = |each: fn([u8; 4]) -> i64| Data::I(all(self.data, each));
        Ok(match self.kind {
            FLOAT32 => Data::F(all(self.data, f32::from_le_bytes)),
            FLOAT16 => Data::F(all(self.data, |b| f16::from_le_bytes(b).to_f32())),
            INT32 if !self.scales.is_empty() => self.steps(i32::from_le_bytes),
            INT64 if !self.scales.is_empty() => self.steps(i64::from_le_bytes),
            INT16 if !self.scales.is_empty() => self.steps(i16::from_le_bytes),
            INT32 => whole(|b| i32::from_le_bytes(b).into()),
            UINT32 => whole(|b| u32::from_le_bytes(b).into()),
            INT64 => Data::I(all(self.data, i64::from_le_bytes)),
            INT8 | UINT8 | INT4 if !self.scales.is_empty() => self.quantized()?,
            INT8 => Data::I(self.data.iter().map(|&b| b.cast_signed().into()).collect()),
            UINT8 | BOOL => Data::I(self.data.iter().map(|&b| b.into()).collect()),
            other => return Err(of_kind(other)),
        })
    }

    /// What whole numbers of more than 8 bits with scales stand for: biases, and constants beside activations of 16 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "one rounding to f32"
    )]
    fn steps<const N: usize, T: Into<i64>>(&self, each: impl Fn([u8; N]) -> T) -> Data {
        let list: Vec<i64> = all(self.data, |b| each(b).into());
        let places = self.shape.get(self.axis + 1..).unwrap_or(&[]);
        let inner = places.iter().fold(1, |n: usize, &d| n.saturating_mul(index(d).unwrap_or(1)));
        let scale = |at: usize| f64::from(self.scales[at / inner.max(1) % self.scales.len()]);
        let real = |(at, e): (usize, i64)| (e as f64 * scale(at)) as f32;
        Data::F(list.into_iter().enumerate().map(real).collect())
    }

    fn quantized(&self) -> Result<Data, Refusal> {
        let (shift, flip) = if self.kind == UINT8 { (128, 0x80) } else { (0, 0) };
        let zero = |at: usize| {
            let zero = self.zeros.get(at).or(self.zeros.first()).copied().unwrap_or(0);
            zero.checked_sub(shift)
                .and_then(|zero| i32::try_from(zero).ok())
                .ok_or_else(|| wrong("a zero point"))
        };
        let zeros = (0..self.scales.len()).map(zero).collect::<Result<_, _>>()?;
        let elements = if self.kind == INT4 {
            self.halves()?
        } else {
            self.data.iter().map(|&b| (b ^ flip).cast_signed()).collect()
        };
        Ok(Data::Q(Quantized { elements, scales: self.scales.clone(), zeros, axis: self.axis }))
    }

    fn halves(&self) -> Result<Vec<i8>, Refusal> {
        let both = |&b: &u8| [(b << 4).cast_signed() >> 4, b.cast_signed() >> 4];
        let mut elements: Vec<i8> = self.data.iter().flat_map(both).collect();
        elements.truncate(self.sizes()?.iter().fold(1, |n: usize, &d| n.saturating_mul(d)));
        Ok(elements)
    }
}

pub fn index(of: i32) -> Result<usize, ImportError> {
    usize::try_from(of).map_err(|_| damaged())
}

fn all<const N: usize, T>(data: &[u8], each: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|&b| each(b)).collect()
}

fn of_kind(kind: u8) -> Refusal {
    let name = match kind {
        5 => "text",
        7 => "int16 (convert with inputs and outputs that are float32 or int8)",
        8 | 11 => "complex numbers",
        10 => "float64",
        12 => "uint64",
        13 | 14 => "resources or variants (freeze the variables before the conversion)",
        16 => "uint16",
        17 => "int4 with scales for blocks (quantize by channel)",
        18 => "bfloat16",
        19 => "int2",
        20 => "uint4",
        21 | 22 => "float8",
        _ => return unsupported(format!("elements of type {kind}")),
    };
    unsupported(format!("elements that are {name}"))
}
