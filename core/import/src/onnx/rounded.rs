//! Bytes whose rule is computed while the graph runs, as ONNX Runtime's dynamic quantization writes them: every number
//! is rounded as the file says, and computed with in real numbers.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction};
use edgemill_model::tensor::DType;

use super::{INT8, Importer, UINT8, axis};
use crate::builder::{Live, Out, Value, element};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    /// The type of a zero point, and so of what is quantized by it.
    fn type_of_zero(&self, at: usize, index: usize) -> Result<DType, Refusal> {
        let Some(name) = self.input_name(at, index) else { return Ok(DType::U8) };
        let live = match self.values.get(name) {
            Some(Value::Live(live)) => Some(self.build.element(live.id).dtype),
            _ => None,
        };
        match (self.kinds.get(name), live) {
            (Some(&UINT8), _) | (_, Some(DType::U8)) => Ok(DType::U8),
            (Some(&INT8), _) | (_, Some(DType::I8)) => Ok(DType::I8),
            _ => Err(unsupported("more or less than 8 bits")),
        }
    }

    /// In plain real numbers, whatever it holds; bytes as they are.
    fn plain_real(&mut self, value: &Value) -> Result<Value, Refusal> {
        if let Value::Live(live) = value
            && self.build.element(live.id).quantization.is_some()
        {
            return Err(unsupported("bytes that are quantized by a rule known now"));
        }
        Ok(self.as_real(value.clone())?.0)
    }

    /// A scale or a zero point of `index` along the node's axis.
    fn along_axis(&mut self, at: usize, index: usize, rank: usize) -> Result<Value, Refusal> {
        let value = self.value(at, index)?;
        let value = self.plain_real(&value)?;
        let count: u32 = self.build.value_shape(&value).iter().product();
        let mut shape = vec![1; rank];
        if count > 1 {
            shape[axis(self.int(at, "axis", 1), rank)?] = count;
        }
        match value {
            Value::Host(host) => Ok(Value::Host(host.reshaped(super::moves::sizes(&shape)))),
            live => Ok(Value::Live(self.build.reshaped("", &live, shape)?)),
        }
    }

    pub(super) fn quantize_live(&mut self, at: usize, x: &Live) -> Result<Value, Refusal> {
        let to = self.type_of_zero(at, 2)?;
        let (inner, rank) = (Out::default(), x.order.len());
        let scale = self.along_axis(at, 1, rank)?;
        let x = Value::Live(Live { id: self.build.real(x.id)?, order: x.order.clone() });
        let steps = self.build.pair(&inner, Pair::Div, Clamp::NONE, [&x, &scale])?;
        let mut value = self.build.each(&inner, Op::Unary(Function::Round), &steps)?;
        if self.input_name(at, 2).is_some() {
            let zero = self.along_axis(at, 2, rank)?;
            value = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&value, &zero])?;
        }
        self.as_bytes(&self.out(at), value, to)
    }

    fn as_bytes(&mut self, out: &Out, value: Value, to: DType) -> Result<Value, Refusal> {
        let (low, high) = if to == DType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
        let value = self.build.each(&Out::default(), Op::Clamp(Clamp { low, high }), &value)?;
        let live = self.as_live(value)?;
        let id = self.build.node(&out.name, Op::Cast, &[live.id], element(to, None))?;
        Ok(Value::Live(Live { id, ..live }))
    }

    pub(super) fn dequantize_live(&mut self, at: usize, x: &Live) -> Result<Value, Refusal> {
        let rank = x.order.len();
        let mut value = self.plain_real(&Value::Live(x.clone()))?;
        if self.input_name(at, 2).is_some() {
            let zero = self.along_axis(at, 2, rank)?;
            value = self.build.pair(&Out::default(), Pair::Sub, Clamp::NONE, [&value, &zero])?;
        }
        let scale = self.along_axis(at, 1, rank)?;
        self.build.pair(&self.out(at), Pair::Mul, Clamp::NONE, [&value, &scale])
    }

    /// Bytes of the range that the values have, its step, and the byte of 0.
    pub(super) fn quantize_by_range(&mut self, at: usize) -> Result<Vec<Value>, Refusal> {
        let (x, inner) = (self.value(at, 0)?, Out::default());
        let x = self.plain_real(&x)?;
        let all: Vec<usize> = (0..self.build.value_shape(&x).len()).collect();
        let number = |value: f32| Value::Host(Host::scalar(value));
        let mut ends = Vec::new();
        for (by, pair) in [(Reduction::Min, Pair::Min), (Reduction::Max, Pair::Max)] {
            let end = self.reduced(&inner, &x, by, all.clone())?;
            let end = Value::Live(self.build.reshaped("", &end, Vec::new())?);
            ends.push(self.build.pair(&inner, pair, Clamp::NONE, [&end, &number(0.0)])?);
        }
        let name = |index: usize| self.node(at).outputs.get(index).cloned().unwrap_or_default();
        let names = [0, 1, 2].map(|index| Out { name: name(index), rule: None });
        let range = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [&ends[1], &ends[0]])?;
        // Nothing but zeros has no range; any step does for them.
        let some = self.build.pair(&inner, Pair::Max, Clamp::NONE, [&range, &number(1e-30)])?;
        let scale = self.build.pair(&names[1], Pair::Div, Clamp::NONE, [&some, &number(255.0)])?;
        let low = self.build.each(&inner, Op::Unary(Function::Neg), &ends[0])?;
        let low = self.build.pair(&inner, Pair::Div, Clamp::NONE, [&low, &scale])?;
        let zero = self.build.each(&inner, Op::Unary(Function::Round), &low)?;
        let steps = self.build.pair(&inner, Pair::Div, Clamp::NONE, [&x, &scale])?;
        let steps = self.build.each(&inner, Op::Unary(Function::Round), &steps)?;
        let steps = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&steps, &zero])?;
        let bytes = self.as_bytes(&names[0], steps, DType::U8)?;
        let zero = self.as_bytes(&names[2], zero, DType::U8)?;
        Ok(vec![bytes, scale, zero])
    }

    /// Bytes without their zero point, which is one number or one for each index of an axis.
    fn centred(
        &mut self,
        at: usize,
        index: usize,
        zero: usize,
        on: usize,
    ) -> Result<Value, Refusal> {
        let value = self.value(at, index)?;
        let value = self.plain_real(&value)?;
        let Some(zero) = self.optional(at, zero)? else { return Ok(value) };
        let zero = self.plain_real(&zero)?;
        let rank = self.build.value_shape(&value).len();
        let count: u32 = self.build.value_shape(&zero).iter().product();
        let mut shape = vec![1; rank];
        if count > 1 {
            *shape.get_mut(on).ok_or_else(|| wrong("its zero points"))? = count;
        }
        match (value, zero) {
            (Value::Host(value), Value::Host(zero)) => {
                let zero = zero.reshaped(super::moves::sizes(&shape));
                let made = value.zip(&zero, false, |a, b| a - b);
                made.map(Value::Host).ok_or_else(|| wrong("its zero points"))
            }
            (value, zero) => {
                let zero = Value::Live(self.build.reshaped("", &zero, shape)?);
                self.build.pair(&Out::default(), Pair::Sub, Clamp::NONE, [&value, &zero])
            }
        }
    }

    pub(super) fn whole_conv(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, weights) = (self.centred(at, 0, 2, 1)?, self.centred(at, 1, 3, 0)?);
        let made = self.conv(at, &Out::default(), Clamp::NONE, [&x, &weights], None)?;
        self.as_whole(&self.out(at), made)
    }

    pub(super) fn whole_mat_mul(&mut self, at: usize) -> Result<Value, Refusal> {
        let rank = |index: usize| self.logical(at, index).map(|shape| shape.len());
        let (rows, columns) = (rank(0)?.saturating_sub(2), rank(1)?.saturating_sub(1));
        let (a, b) = (self.centred(at, 0, 2, rows)?, self.centred(at, 1, 3, columns)?);
        let made = self.mat_mul(&Out::default(), &a, &b, None)?;
        self.as_whole(&self.out(at), made)
    }

    /// As ONNX Runtime fuses it: a is quantized by its range, then both are multiplied.
    pub(super) fn ranged_mat_mul(&mut self, at: usize) -> Result<Value, Refusal> {
        let made = self.quantize_by_range(at)?;
        let [bytes, scale, zero] = &made[..] else { return Err(wrong("its range")) };
        let (bytes, zero) = (self.plain_real(bytes)?, self.plain_real(zero)?);
        let inner = Out::default();
        let steps = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [&bytes, &zero])?;
        let a = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&steps, scale])?;
        let (b, bias) = (self.scaled(at, 1, [2, 3])?, self.optional(at, 4)?);
        self.mat_mul(&self.out(at), &a, &b, bias.as_ref())
    }

    pub(super) fn scaled_mat_mul(&mut self, at: usize) -> Result<Value, Refusal> {
        let (a, b) = (self.scaled(at, 0, [2, 4])?, self.scaled(at, 1, [3, 5])?);
        let bias = self.optional(at, 6)?;
        self.mat_mul(&self.out(at), &a, &b, bias.as_ref())
    }

    /// Bytes as real numbers, by a scale and a zero point that are one or one for each column.
    fn scaled(
        &mut self,
        at: usize,
        index: usize,
        [scale, zero]: [usize; 2],
    ) -> Result<Value, Refusal> {
        let last = self.logical(at, index)?.len().saturating_sub(1);
        let value = self.centred(at, index, zero, last)?;
        let scale = self.value(at, scale)?;
        match (&value, &scale) {
            (Value::Host(value), Value::Host(scale)) => {
                let made = value.zip(scale, false, |a, b| a * b);
                made.map(Value::Host).ok_or_else(|| wrong("its scales"))
            }
            (value, scale) => {
                self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [value, scale])
            }
        }
    }
}
