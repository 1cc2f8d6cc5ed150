//! What ONNX Runtime makes of several nodes when it optimizes a model, and writes as operators of its own.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction};

use super::moves::turned;
use super::{Attribute, Importer, axis};
use crate::builder::{Live, Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn fused(&mut self, at: usize, op: &str) -> Result<Option<Vec<Value>>, Refusal> {
        let one = |value: Value| Ok(Some(vec![value]));
        match op {
            "FusedConv" => one(self.fused_conv(at)?),
            "FusedGemm" => {
                let made = self.gemm(at)?;
                one(self.activated(at, made)?)
            }
            "FusedMatMul" | "TransposeMatMul" => one(self.fused_mat_mul(at)?),
            "DynamicQuantizeMatMul" => one(self.ranged_mat_mul(at)?),
            "MatMulIntegerToFloat" => one(self.scaled_mat_mul(at)?),
            "QuickGelu" => one(self.quick_gelu(at)?),
            "BiasGelu" => one(self.biased(at, Function::Gelu)?),
            "FastGelu" => one(self.biased(at, Function::GeluTanh)?),
            "SkipLayerNormalization" => self.skip_norm(at, false).map(Some),
            "SkipSimplifiedLayerNormalization" => self.skip_norm(at, true).map(Some),
            "SimplifiedLayerNormalization" | "RMSNormalization" => {
                let (x, scale) = (self.value(at, 0)?, self.value(at, 1)?);
                one(self.root_norm(at, &x, &scale)?)
            }
            _ => Ok(None),
        }
    }

    /// The bounds that an activation is, if it is some.
    fn activation_bounds(&self, at: usize) -> Option<Clamp> {
        let parameters = self.parameters(at);
        match (self.text(at, "activation", "").as_str(), &parameters[..]) {
            ("", _) => Some(Clamp::NONE),
            ("Relu", _) => Some(Clamp::RELU),
            ("Clip", &[low, high]) if low <= high => Some(Clamp { low, high }),
            _ => None,
        }
    }

    fn parameters(&self, at: usize) -> Vec<f32> {
        match self.attribute(at, "activation_params") {
            Some(Attribute::Floats(list)) => list.clone(),
            _ => Vec::new(),
        }
    }

    fn fused_conv(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, weights) = (self.value(at, 0)?, self.value(at, 1)?);
        let (bias, added) = (self.optional(at, 2)?, self.optional(at, 3)?);
        let (inner, out) = (Out::default(), self.out(at));
        let clamp = self.activation_bounds(at);
        if let (Some(clamp), None) = (clamp, &added) {
            return self.conv(at, &out, clamp, [&x, &weights], bias.as_ref());
        }
        let made = self.conv(at, &inner, Clamp::NONE, [&x, &weights], bias.as_ref())?;
        match (clamp, added) {
            (Some(clamp), Some(added)) => self.build.pair(&out, Pair::Add, clamp, [&made, &added]),
            (None, Some(added)) => {
                let made = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&made, &added])?;
                self.activated(at, made)
            }
            (_, None) => self.activated(at, made),
        }
    }

    /// The activation that is an attribute of the node.
    fn activated(&mut self, at: usize, x: Value) -> Result<Value, Refusal> {
        let out = self.out(at);
        if let Some(clamp) = self.activation_bounds(at) {
            return self.build.each(&out, Op::Clamp(clamp), &x);
        }
        let parameters = self.parameters(at);
        let number = |name: &str, index: usize, default: f32| {
            parameters.get(index).copied().unwrap_or_else(|| self.float(at, name, default))
        };
        let function = match self.text(at, "activation", "").as_str() {
            "LeakyRelu" => Function::LeakyRelu(number("leaky_relu_alpha", 0, 0.01)),
            "Sigmoid" => Function::Sigmoid,
            "Tanh" => Function::Tanh,
            "HardSigmoid" => Function::HardSigmoid(number("alpha", 0, 0.2), number("beta", 1, 0.5)),
            other => return Err(unsupported(format!("activation {other}"))),
        };
        self.build.each(&out, Op::Unary(function), &x)
    }

    fn fused_mat_mul(&mut self, at: usize) -> Result<Value, Refusal> {
        if self.int(at, "transBatchA", 0) != 0 || self.int(at, "transBatchB", 0) != 0 {
            return Err(unsupported("transBatchA or transBatchB"));
        }
        let mut sides = Vec::new();
        for (index, name) in [(0, "transA"), (1, "transB")] {
            let value = self.value(at, index)?;
            let rank = self.build.value_shape(&value).len();
            if self.int(at, name, 0) == 0 || rank < 2 {
                sides.push(value);
                continue;
            }
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(rank - 1, rank - 2);
            sides.push(match value {
                Value::Host(host) => Value::Host(host.transposed(&order)),
                Value::Live(live) => turned(live, &order)?,
            });
        }
        let alpha = self.float(at, "alpha", 1.0);
        let out = self.out(at);
        if (alpha - 1.0).abs() == 0.0 {
            return self.mat_mul(&out, &sides[0], &sides[1], None);
        }
        let made = self.mat_mul(&Out::default(), &sides[0], &sides[1], None)?;
        let alpha = Value::Host(Host::scalar(alpha));
        self.build.pair(&out, Pair::Mul, Clamp::NONE, [&made, &alpha])
    }

    /// x × sigmoid(α x).
    fn quick_gelu(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, inner, out) = (self.value(at, 0)?, Out::default(), self.out(at));
        let alpha = self.float(at, "alpha", 1.702);
        if (alpha - 1.0).abs() == 0.0 {
            return self.build.each(&out, Op::Unary(Function::Swish), &x);
        }
        let alpha = Value::Host(Host::scalar(alpha));
        let wide = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&x, &alpha])?;
        let gate = self.build.each(&inner, Op::Unary(Function::Sigmoid), &wide)?;
        self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &gate])
    }

    fn biased(&mut self, at: usize, function: Function) -> Result<Value, Refusal> {
        let mut x = self.value(at, 0)?;
        if let Some(bias) = self.optional(at, 1)? {
            x = self.build.pair(&Out::default(), Pair::Add, Clamp::NONE, [&x, &bias])?;
        }
        self.build.each(&self.out(at), Op::Unary(function), &x)
    }

    /// The norm of a sum, and the sum as the fourth output.
    fn skip_norm(&mut self, at: usize, root: bool) -> Result<Vec<Value>, Refusal> {
        let (x, skip, scale) = (self.value(at, 0)?, self.value(at, 1)?, self.value(at, 2)?);
        let (shift, bias) = if root {
            (None, self.optional(at, 3)?)
        } else {
            (self.optional(at, 3)?, self.optional(at, 4)?)
        };
        let name = self.node(at).outputs.get(3).cloned().unwrap_or_default();
        let inner = Out::default();
        let sum = Out { name: name.clone(), ..Out::default() };
        let mut x = match bias {
            None => self.build.pair(&sum, Pair::Add, Clamp::NONE, [&x, &skip])?,
            Some(bias) => {
                let x = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&x, &skip])?;
                self.build.pair(&sum, Pair::Add, Clamp::NONE, [&x, &bias])?
            }
        };
        if !name.is_empty() {
            self.values.insert(name, x.clone());
        }
        if root {
            return Ok(vec![self.root_norm(at, &x, &scale)?]);
        }
        let last = self.build.value_shape(&x).len().checked_sub(1);
        let last = last.ok_or_else(|| wrong("its input has no axes"))?;
        let epsilon = self.float(at, "epsilon", 1e-12);
        [x, ..] = self.normal(&inner, &x, &[last], epsilon)?;
        let out = self.out(at);
        let Some(shift) = shift else {
            return Ok(vec![self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &scale])?]);
        };
        let scaled = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&x, &scale])?;
        Ok(vec![self.build.pair(&out, Pair::Add, Clamp::NONE, [&scaled, &shift])?])
    }

    /// x ÷ √(mean of x² + ε) × scale.
    fn root_norm(&mut self, at: usize, x: &Value, scale: &Value) -> Result<Value, Refusal> {
        let live = self.as_live(x.clone())?;
        let x = Value::Live(Live { id: self.build.real(live.id)?, ..live });
        let rank = self.build.value_shape(&x).len();
        let first = axis(self.int(at, "axis", -1), rank)?;
        let inner = Out::default();
        let square = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&x, &x])?;
        let mean = self.reduced(&inner, &square, Reduction::Mean, (first..rank).collect())?;
        let epsilon = Value::Host(Host::scalar(self.float(at, "epsilon", 1e-5)));
        let wide = self.build.pair(&inner, Pair::Add, Clamp::NONE, [&mean, &epsilon])?;
        let factor = self.build.each(&inner, Op::Unary(Function::Rsqrt), &wide)?;
        let normal = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&x, &factor])?;
        self.build.pair(&self.out(at), Pair::Mul, Clamp::NONE, [&normal, scale])
    }
}
