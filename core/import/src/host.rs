//! Tensors whose elements are known while a file is imported.
use edgemill_model::tensor::Quantization;

/// A constant of the file, or what was computed of some.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub shape: Vec<usize>,
    pub data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Real numbers.
    F(Vec<f32>),
    /// Whole numbers and truths.
    I(Vec<i64>),
    /// Quantized ones.
    Q(Quantized),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    pub elements: Vec<i8>,
    /// One, or one for each index of `axis`.
    pub scales: Vec<f32>,
    pub zeros: Vec<i32>,
    pub axis: usize,
}

impl Quantized {
    pub fn one_rule(&self) -> Option<Quantization> {
        match (&self.scales[..], &self.zeros[..]) {
            (&[scale], &[zero_point]) => Some(Quantization { scale, zero_point }),
            _ => None,
        }
    }
}

impl Host {
    pub fn ints(elements: Vec<i64>) -> Self {
        Self { shape: vec![elements.len()], data: Data::I(elements) }
    }

    pub fn scalar(value: f32) -> Self {
        Self { shape: Vec::new(), data: Data::F(vec![value]) }
    }

    pub fn floats(shape: Vec<usize>, elements: Vec<f32>) -> Self {
        Self { shape, data: Data::F(elements) }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn shape32(&self) -> Vec<u32> {
        self.shape.iter().map(|&d| u32::try_from(d).unwrap_or(u32::MAX)).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to f32")]
    pub fn f32s(&self) -> Vec<f32> {
        if let Data::F(elements) = &self.data {
            return elements.clone();
        }
        self.f64s().into_iter().map(|e| e as f32).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "what is computed with is far below 2⁵³")]
    pub fn f64s(&self) -> Vec<f64> {
        match &self.data {
            Data::F(elements) => elements.iter().map(|&e| e.into()).collect(),
            Data::I(elements) => elements.iter().map(|&e| e as f64).collect(),
            Data::Q(q) => {
                let inner: usize = self.shape.get(q.axis + 1..).unwrap_or(&[]).iter().product();
                let real = |(at, &e): (usize, &i8)| {
                    let channel = at / inner.max(1) % q.scales.len();
                    f64::from(q.scales[channel] * (i32::from(e) - q.zeros[channel]) as f32)
                };
                q.elements.iter().enumerate().map(real).collect()
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    pub fn i64s(&self) -> Vec<i64> {
        match &self.data {
            Data::I(elements) => elements.clone(),
            _ => self.f64s().into_iter().map(|e| e as i64).collect(),
        }
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.data, Data::I(_))
    }

    pub fn real(&self) -> Self {
        match self.data {
            Data::F(_) => self.clone(),
            _ => Self::floats(self.shape.clone(), self.f32s()),
        }
    }

    pub fn reshaped(&self, shape: Vec<usize>) -> Self {
        let real = matches!(&self.data, Data::Q(q) if q.scales.len() > 1);
        let data = if real { Data::F(self.f32s()) } else { self.data.clone() };
        Self { shape, data }
    }

    pub fn transposed(&self, order: &[usize]) -> Self {
        let strides = self.strides();
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let strides: Vec<isize> = order.iter().map(|&axis| strides[axis]).collect();
        let mut made = self.view(0, &shape, &strides);
        if let Data::Q(q) = &mut made.data
            && q.scales.len() > 1
        {
            q.axis = order.iter().position(|&axis| axis == q.axis).unwrap_or(0);
        }
        made
    }

    /// Elements from one to the next along each axis.
    pub fn strides(&self) -> Vec<isize> {
        let mut strides = vec![1_isize; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis].cast_signed();
        }
        strides
    }

    /// The elements at `first` + Σ index × stride.
    pub fn view(&self, first: usize, shape: &[usize], strides: &[isize]) -> Self {
        let count = shape.iter().product();
        let mut places = Vec::with_capacity(count);
        let mut index = vec![0; shape.len()];
        let mut at = first.cast_signed();
        for _ in 0..count {
            places.push(at.cast_unsigned());
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * shape[axis].cast_signed();
                index[axis] = 0;
            }
        }
        self.picked(shape.to_vec(), &places)
    }

    pub fn picked(&self, shape: Vec<usize>, places: &[usize]) -> Self {
        let data = match &self.data {
            Data::F(e) => Data::F(places.iter().map(|&at| e[at]).collect()),
            Data::I(e) => Data::I(places.iter().map(|&at| e[at]).collect()),
            Data::Q(q) => Data::Q(Quantized {
                elements: places.iter().map(|&at| q.elements[at]).collect(),
                ..q.clone()
            }),
        };
        Self { shape, data }
    }

    /// Repeated along axes of 1 and missing ones in front.
    pub fn spread(&self, shape: &[usize]) -> Option<Self> {
        let missing = shape.len().checked_sub(self.shape.len())?;
        let own = self.strides();
        let mut strides = vec![0; shape.len()];
        for (axis, &size) in self.shape.iter().enumerate() {
            let to = shape[missing + axis];
            if size != to && size != 1 {
                return None;
            }
            strides[missing + axis] = if size == 1 { 0 } else { own[axis] };
        }
        Some(self.view(0, shape, &strides))
    }

    /// Of two tensors, element by element; whole numbers if both are and `whole` says so.
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers are far below 2⁵³")]
    pub fn zip(&self, other: &Self, whole: bool, f: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let shape = broadcast(&self.shape, &other.shape)?;
        let (a, b) = (self.spread(&shape)?, other.spread(&shape)?);
        let made = a.f64s().into_iter().zip(b.f64s()).map(|(a, b)| f(a, b));
        let data = if whole {
            Data::I(made.map(|e| e as i64).collect())
        } else {
            Data::F(made.map(|e| e as f32).collect())
        };
        Some(Self { shape, data })
    }
}

pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let axis = |of: &[usize], at: usize| (at + of.len()).checked_sub(rank).map_or(1, |at| of[at]);
    let both = |at| match (axis(a, at), axis(b, at)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    };
    let shape: Option<Vec<usize>> = (0..rank).map(both).collect();
    shape.filter(|s| {
        s.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).is_some_and(|n| n <= MAX_ELEMENTS)
    })
}

/// What was computed in double precision, rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the one rounding that is meant")]
pub fn single(value: f64) -> f32 {
    value as f32
}

/// The most elements of a tensor that is computed while importing.
pub const MAX_ELEMENTS: usize = 1 << 26;
/// The most elements of all such tensors of a file.
pub const MAX_COMPUTED: usize = 1 << 27;
