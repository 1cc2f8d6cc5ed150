//! Quantization: QDQ and QOperator form. A value that is stored as int8 stands for real numbers here, so that
//! `DequantizeLinear` costs nothing until a float operator reads it.
use edgemill_model::graph::{Clamp, Function, Op, Pair};
use edgemill_model::tensor::{DType, Quantization};

use super::{INT8, Importer, UINT8, axis};
use crate::builder::{Live, Out, Value};
use crate::host::{Data, Host, Quantized, single};
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn quantization(&mut self, at: usize, op: &str) -> Result<Option<Value>, Refusal> {
        Ok(Some(match op {
            "QuantizeLinear" => self.quantize(at)?,
            "DequantizeLinear" => self.dequantize(at)?,
            "QLinearConv" => self.q_conv(at)?,
            "QLinearMatMul" => {
                let (a, b) = (self.operand(at, 0)?, self.operand(at, 3)?);
                let out = self.q_out(at, 6)?;
                self.mat_mul(&out, &a, &b, None)?
            }
            "QLinearAdd" => self.q_pair(at, Pair::Add)?,
            "QLinearMul" => self.q_pair(at, Pair::Mul)?,
            "QLinearSigmoid" => self.q_unary(at, Function::Sigmoid)?,
            "QLinearLeakyRelu" => {
                let alpha = self.float(at, "alpha", 0.01);
                self.q_unary(at, Function::LeakyRelu(alpha))?
            }
            "QLinearConcat" => self.q_concat(at)?,
            "QLinearSoftmax" => {
                let (x, out) = (self.operand(at, 0)?, self.q_out(at, 3)?);
                let x = self.as_live(x)?;
                self.soft(at, &out, &x, Op::Softmax, self.int(at, "opset", 13))?
            }
            "QLinearAveragePool" => {
                let (x, out) = (self.operand(at, 0)?, self.q_out(at, 3)?);
                if self.int(at, "channels_last", 0) != 0 {
                    return Err(unsupported("channels_last"));
                }
                self.pool(at, &out, &x, false)?
            }
            "QLinearWhere" => {
                let condition = self.value(at, 0)?;
                let (a, b, out) = (self.operand(at, 1)?, self.operand(at, 4)?, self.q_out(at, 7)?);
                self.build.repeated(&out, Op::Select, &[&condition, &a, &b])?
            }
            "QLinearGlobalAveragePool" => {
                let (x, out) = (self.operand(at, 0)?, self.q_out(at, 3)?);
                if self.int(at, "channels_last", 0) != 0 {
                    return Err(unsupported("channels_last"));
                }
                self.global_mean(&out, &x)?
            }
            "QGemm" => self.q_gemm(at)?,
            "ConvInteger" => self.whole_conv(at)?,
            "MatMulInteger" => self.whole_mat_mul(at)?,
            _ => return Ok(None),
        }))
    }

    /// The rule that two operands give, with its zero point moved to int8.
    pub(super) fn rule_at(&self, at: usize, scale: usize, zero: usize) -> Option<Quantization> {
        let (scales, zeros) = self.rules_at(at, scale, zero)?;
        match (&scales[..], &zeros[..]) {
            (&[scale], &[zero_point]) => Some(Quantization { scale, zero_point }),
            _ => None,
        }
    }

    fn rules_at(&self, at: usize, scale: usize, zero: usize) -> Option<(Vec<f32>, Vec<i32>)> {
        let Ok(Some(scales)) = self.host(at, scale) else { return None };
        let scales = scales.f32s();
        if scales.is_empty() {
            return None;
        }
        let (zeros, kind) = match self.input_name(at, zero) {
            None => (vec![0; scales.len()], UINT8),
            Some(name) => {
                let Ok(Some(host)) = self.host(at, zero) else { return None };
                (host.i64s(), *self.kinds.get(name)?)
            }
        };
        let shift = match kind {
            UINT8 => 128,
            INT8 => 0,
            _ => return None,
        };
        let zero = |&zero: &i64| i32::try_from(zero - shift).ok();
        let zeros: Vec<i32> = zeros.iter().map(zero).collect::<Option<_>>()?;
        (zeros.len() == scales.len()).then_some((scales, zeros))
    }

    fn need_rule(&self, at: usize, scale: usize, zero: usize) -> Result<Quantization, Refusal> {
        self.rule_at(at, scale, zero)
            .ok_or_else(|| unsupported("a scale or zero point that is not one constant for 8 bits"))
    }

    /// The rule of an input of the file that holds bytes, from whoever reads it.
    pub(super) fn rule_of_input(&self, name: &str, dtype: DType) -> Option<Quantization> {
        let readers = self.readers.get(name)?;
        let rule = |&at: &usize| {
            let places = match self.node(at).op.as_str() {
                "DequantizeLinear"
                | "QLinearConv"
                | "QLinearMatMul"
                | "QLinearAdd"
                | "QLinearMul"
                | "QLinearSigmoid"
                | "QLinearLeakyRelu"
                | "QLinearGlobalAveragePool"
                | "QLinearAveragePool"
                | "QLinearSoftmax"
                | "QGemm" => (1, 2),
                _ => return None,
            };
            self.rule_at(at, places.0, places.1)
        };
        let shift = if dtype == DType::U8 { 128 } else { 0 };
        let rule = readers.iter().find_map(rule)?;
        Some(Quantization { zero_point: rule.zero_point + shift, ..rule })
    }

    fn quantize(&mut self, at: usize) -> Result<Value, Refusal> {
        let name = self.out(at).name;
        match self.value(at, 0)? {
            Value::Host(host) => {
                let (scales, zeros) =
                    self.rules_at(at, 1, 2).ok_or_else(|| unsupported("more than 8 bits"))?;
                let along = self.scaled_axis(at, &host, scales.len())?;
                Ok(Value::Host(quantize_host(&host, scales, zeros, along)))
            }
            Value::Live(live) => {
                let Some(rule) = self.rule_at(at, 1, 2) else {
                    return self.quantize_live(at, &live);
                };
                let id = self.build.quantized(&name, live.id, rule)?;
                Ok(Value::Live(Live { id, ..live }))
            }
        }
    }

    /// The axis that each of `scales` has an index of; any, where there is one for all.
    fn scaled_axis(&self, at: usize, host: &Host, scales: usize) -> Result<usize, Refusal> {
        if scales == 1 { Ok(0) } else { axis(self.int(at, "axis", 1), host.shape.len()) }
    }

    /// The rule of a value that the file holds as bytes, where it was not made real numbers before.
    pub(super) fn rule_of_bytes(&self, name: &str) -> Option<Quantization> {
        let mut name = name;
        for _ in 0..self.graph.nodes.len() {
            let Some(&at) = self.makers.get(name) else { break };
            let op = self.node(at).op.as_str();
            if op == "DequantizeLinear" {
                return None;
            }
            if !(moves_only(op) || matches!(op, "Pad" | "Resize" | "Relu" | "Clip")) {
                break;
            }
            name = self.input_name(at, 0)?;
        }
        match self.values.get(name)? {
            Value::Live(live) => self.build.element(live.id).quantization,
            Value::Host(_) => None,
        }
    }

    fn dequantize(&mut self, at: usize) -> Result<Value, Refusal> {
        match self.value(at, 0)? {
            Value::Live(live) => {
                let of = self.build.element(live.id);
                if of.quantization.is_none() && of.dtype != DType::F32 {
                    return self.dequantize_live(at, &live);
                }
                self.with_rule(live, at, 1, 2).map(Value::Live)
            }
            Value::Host(host) => self.dequantize_host(at, &host, 1, 2),
        }
    }

    /// A live value of bytes that must have the rule the node says.
    fn with_rule(
        &mut self,
        live: Live,
        at: usize,
        scale: usize,
        zero: usize,
    ) -> Result<Live, Refusal> {
        let of = self.build.element(live.id);
        if of.quantization.is_some() || of.dtype == DType::F32 {
            let given = of.quantization;
            let rule = self.rule_at(at, scale, zero);
            if given.is_some() && rule.is_some() && given != rule {
                return Err(unsupported("bytes that were quantized by another rule"));
            }
            return Ok(live);
        }
        Err(unsupported("bytes that are not quantized by a rule known now"))
    }

    fn dequantize_host(
        &self,
        at: usize,
        host: &Host,
        scale: usize,
        zero: usize,
    ) -> Result<Value, Refusal> {
        if matches!(host.data, Data::Q(_)) {
            return Ok(Value::Host(host.clone()));
        }
        let count = self.host(at, scale)?.map_or(1, |scales| scales.len());
        let along = self.scaled_axis(at, host, count)?;
        let name = self.input_name(at, if scale == 1 { 0 } else { scale - 1 }).unwrap_or("");
        let shift = match self.kinds.get(name) {
            Some(&UINT8) => 128,
            Some(&INT8) => 0,
            _ => return self.dequantize_wide(at, host, scale, zero, along),
        };
        let (scales, zeros) = self
            .rules_at(at, scale, zero)
            .ok_or_else(|| unsupported("scales that are not constant"))?;
        let byte =
            |e: i64| i8::try_from(e - shift).map_err(|_| wrong("an element beyond its type"));
        let elements = host.i64s().into_iter().map(byte).collect::<Result<_, _>>()?;
        let data = Data::Q(Quantized { elements, scales, zeros, axis: along });
        Ok(Value::Host(Host { shape: host.shape.clone(), data }))
    }

    /// Biases, which are 32-bit.
    fn dequantize_wide(
        &self,
        at: usize,
        host: &Host,
        scale: usize,
        zero: usize,
        along: usize,
    ) -> Result<Value, Refusal> {
        let scales = self.host(at, scale)?.ok_or_else(|| wrong("no scale"))?.f32s();
        if self.host(at, zero)?.is_some_and(|z| z.i64s().iter().any(|&z| z != 0)) {
            return Err(unsupported("a zero point of more than 8 bits"));
        }
        if scales.is_empty() {
            return Err(wrong("a scale without a number"));
        }
        let inner: usize = host.shape.get(along + 1..).unwrap_or(&[]).iter().product();
        let real =
            |(at, e): (usize, f64)| single(e * f64::from(scales[at / inner.max(1) % scales.len()]));
        let elements = host.f64s().into_iter().enumerate().map(real).collect();
        Ok(Value::Host(Host::floats(host.shape.clone(), elements)))
    }

    /// An operand of QOperator form, which its scale and zero point follow.
    fn operand(&mut self, at: usize, index: usize) -> Result<Value, Refusal> {
        match self.value(at, index)? {
            Value::Live(live) => self.with_rule(live, at, index + 1, index + 2).map(Value::Live),
            Value::Host(host) => self.dequantize_host(at, &host, index + 1, index + 2),
        }
    }

    fn q_out(&self, at: usize, index: usize) -> Result<Out, Refusal> {
        Ok(Out { rule: Some(self.need_rule(at, index, index + 1)?), ..self.out(at) })
    }

    fn q_pair(&mut self, at: usize, function: Pair) -> Result<Value, Refusal> {
        let (a, b, out) = (self.operand(at, 0)?, self.operand(at, 3)?, self.q_out(at, 6)?);
        self.build.pair(&out, function, Clamp::NONE, [&a, &b])
    }

    fn q_unary(&mut self, at: usize, function: Function) -> Result<Value, Refusal> {
        let (x, out) = (self.operand(at, 0)?, self.q_out(at, 3)?);
        self.build.each(&out, Op::Unary(function), &x)
    }

    fn q_concat(&mut self, at: usize) -> Result<Value, Refusal> {
        let rule = self.need_rule(at, 0, 1)?;
        let count = (self.node(at).inputs.len().saturating_sub(2)) / 3;
        let parts =
            (0..count).map(|n| self.operand(at, 2 + 3 * n)).collect::<Result<Vec<_>, _>>()?;
        let along = self.int(at, "axis", 1);
        self.concat(&Out { rule: Some(rule), ..self.out(at) }, &parts, along)
    }

    fn q_conv(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.operand(at, 0)?;
        let Value::Host(weights) = self.value(at, 3)? else {
            return Err(unsupported("computed weights"));
        };
        let mut weights = self.dequantize_host(at, &weights, 4, 5)?;
        if let Value::Host(Host { data: Data::Q(q), .. }) = &mut weights {
            q.axis = 0;
        }
        let out = self.q_out(at, 6)?;
        let bias = match self.host(at, 8)? {
            None => None,
            Some(bias) => Some(Value::Host(self.real_bias(at, &bias, [1, 4])?)),
        };
        self.conv(at, &out, Clamp::NONE, [&x, &weights], bias.as_ref())
    }

    fn q_gemm(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.operand(at, 0)?;
        let weights = self.operand(at, 3)?;
        let turned = self.int(at, "transB", 0) != 0;
        if self.int(at, "transA", 0) != 0 || (self.float(at, "alpha", 1.0) - 1.0).abs() > 0.0 {
            return Err(unsupported("transA or alpha"));
        }
        let Value::Host(mut weights) = weights else { return Err(unsupported("computed weights")) };
        if let Data::Q(q) = &mut weights.data {
            q.axis = usize::from(!turned);
        }
        let bias = match self.host(at, 6)? {
            None => None,
            Some(bias) => Some(Value::Host(self.real_bias(at, &bias, [1, 4])?)),
        };
        let out = match self.rule_at(at, 7, 8) {
            Some(rule) => Out { rule: Some(rule), ..self.out(at) },
            None => self.out(at),
        };
        let weights = Value::Host(if turned { weights.transposed(&[1, 0]) } else { weights });
        self.mat_mul(&out, &x, &weights, bias.as_ref())
    }

    /// An int32 bias, whose scale is the product of two others.
    fn real_bias(&self, at: usize, bias: &Host, [x, weights]: [usize; 2]) -> Result<Host, Refusal> {
        let scale = |index| self.host(at, index)?.ok_or_else(|| wrong("no scale"));
        let (x, weights) = (scale(x)?.f64s(), scale(weights)?.f64s());
        if x.is_empty() || weights.is_empty() {
            return Err(wrong("a scale without a number"));
        }
        let real = |(at, e): (usize, f64)| single(e * x[0] * weights[at % weights.len()]);
        let elements = bias.f64s().into_iter().enumerate().map(real).collect();
        Ok(Host::floats(bias.shape.clone(), elements))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to int8")]
fn quantize_host(host: &Host, scales: Vec<f32>, zeros: Vec<i32>, axis: usize) -> Host {
    let inner: usize = host.shape.get(axis + 1..).unwrap_or(&[]).iter().product();
    let step = |(at, e): (usize, f32)| {
        let channel = at / inner.max(1) % scales.len();
        let steps = (e / scales[channel]).round_ties_even() + zeros[channel] as f32;
        steps.clamp(-128.0, 127.0) as i8
    };
    let elements = host.f32s().into_iter().enumerate().map(step).collect();
    Host { shape: host.shape.clone(), data: Data::Q(Quantized { elements, scales, zeros, axis }) }
}

/// Whether an operator gives elements as it is given them, or joins those of several values.
pub(super) fn moves_only(op: &str) -> bool {
    matches!(
        op,
        "Identity"
            | "MaxPool"
            | "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Slice"
            | "Split"
            | "Concat"
            | "DepthToSpace"
            | "SpaceToDepth"
    )
}
