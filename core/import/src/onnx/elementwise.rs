//! Functions of each element, of two, and choices between them.
use edgemill_model::graph::{Clamp, Element, Function, Op, Pair};
use edgemill_model::tensor::DType;

use super::{Importer, dtype};
use crate::builder::{Live, Out, Value, element};
use crate::host::{Data, Host, MAX_ELEMENTS};
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn elementwise(&mut self, at: usize, op: &str) -> Result<Option<Value>, Refusal> {
        if let Some(function) = self.function_of(at, op) {
            let x = self.value(at, 0)?;
            if function == Function::Sigmoid
                && let Some(value) = self.swish(at, &x)?
            {
                return Ok(Some(value));
            }
            return self
                .whole(&[&x], at, |this, out| this.build.each(out, Op::Unary(function), &x))
                .map(Some);
        }
        if let Some((function, turned)) = self.pair(at, op) {
            let (a, b) = (self.value(at, 0)?, self.value(at, 1)?);
            let (a, b) = if turned { (b, a) } else { (a, b) };
            let compares = matches!(
                function,
                Pair::Equal | Pair::Less | Pair::LessEqual | Pair::And | Pair::Or | Pair::Xor
            );
            return self.paired(at, function, compares, &a, &b).map(Some);
        }
        Ok(Some(match op {
            "Relu" | "Clip" => self.held(at)?,
            "Sum" | "Mean" | "Min" | "Max" => self.several(at, op)?,
            "GreaterOrEqual" => {
                let (a, b) = (self.value(at, 0)?, self.value(at, 1)?);
                self.build.pair(&self.out(at), Pair::LessEqual, Clamp::NONE, [&b, &a])?
            }
            "Where" => {
                let values = [self.value(at, 0)?, self.value(at, 1)?, self.value(at, 2)?];
                let [c, a, b] = &values;
                self.whole(&[a, b], at, |this, out| {
                    this.build.repeated(out, Op::Select, &[c, a, b])
                })?
            }
            "PRelu" => {
                let (x, mut slope) = (self.value(at, 0)?, self.value(at, 1)?);
                // Before opset 7 a slope for each channel had one axis.
                if self.opset < 7 && self.build.value_shape(&slope).len() == 1 {
                    slope = self.per_channel(&slope, self.build.value_shape(&x).len())?;
                }
                self.build.pair(&self.out(at), Pair::Prelu, Clamp::NONE, [&x, &slope])?
            }
            "Identity" | "Dropout" => {
                if op == "Dropout" && matches!(self.host(at, 2)?, Some(h) if h.i64s().contains(&1))
                {
                    return Err(unsupported("training_mode"));
                }
                let x = self.value(at, 0)?;
                if let (Some(mask), "Dropout") = (self.node(at).outputs.get(1), op) {
                    let shape: Vec<usize> =
                        self.build.value_shape(&x).iter().map(|&d| d as usize).collect();
                    if !self.is_read(mask) || shape.iter().product::<usize>() > MAX_ELEMENTS {
                        return Ok(Some(x));
                    }
                    let ones = Data::I(vec![1; shape.iter().product()]);
                    self.values.insert(mask.clone(), Value::Host(Host { shape, data: ones }));
                }
                x
            }
            "Cast" | "CastLike" => self.cast(at, op)?,
            _ => return Ok(None),
        }))
    }

    pub(super) fn function_of(&self, at: usize, op: &str) -> Option<Function> {
        let float = |name: &str, default| self.float(at, name, default);
        Some(match op {
            "Abs" => Function::Abs,
            "Neg" => Function::Neg,
            "Sign" => Function::Sign,
            "Floor" => Function::Floor,
            "Ceil" => Function::Ceil,
            "Round" => Function::Round,
            "Sqrt" => Function::Sqrt,
            "Reciprocal" => Function::Reciprocal,
            "Exp" => Function::Exp,
            "Log" => Function::Log,
            "Sin" => Function::Sin,
            "Cos" => Function::Cos,
            "Tan" => Function::Tan,
            "Asin" => Function::Asin,
            "Acos" => Function::Acos,
            "Atan" => Function::Atan,
            "Sinh" => Function::Sinh,
            "Cosh" => Function::Cosh,
            "Tanh" => Function::Tanh,
            "Asinh" => Function::Asinh,
            "Acosh" => Function::Acosh,
            "Atanh" => Function::Atanh,
            "Erf" => Function::Erf,
            "Sigmoid" => Function::Sigmoid,
            "Softplus" => Function::Softplus,
            "Softsign" => Function::Softsign,
            "HardSwish" => Function::HardSwish,
            "Mish" => Function::Mish,
            "Not" => Function::Not,
            "Gelu" if self.text(at, "approximate", "none") == "tanh" => Function::GeluTanh,
            "Gelu" => Function::Gelu,
            "LeakyRelu" => Function::LeakyRelu(float("alpha", 0.01)),
            "Elu" => Function::Elu(float("alpha", 1.0)),
            "Celu" => Function::Celu(float("alpha", 1.0)),
            "Selu" => Function::Selu(float("alpha", 1.673_263_2), float("gamma", 1.050_701)),
            "HardSigmoid" => Function::HardSigmoid(float("alpha", 0.2), float("beta", 0.5)),
            "ThresholdedRelu" => Function::Threshold(float("alpha", 1.0)),
            "Shrink" => Function::Shrink(float("lambd", 0.5), float("bias", 0.0)),
            _ => return None,
        })
    }

    /// A pair, and whether its operands change places.
    pub(super) fn pair(&self, at: usize, op: &str) -> Option<(Pair, bool)> {
        Some(match op {
            "Add" => (Pair::Add, false),
            "Sub" => (Pair::Sub, false),
            "Mul" => (Pair::Mul, false),
            "Div" => (Pair::Div, false),
            "Pow" => (Pair::Power, false),
            "Mod" if self.int(at, "fmod", 0) != 0 => (Pair::Remainder, false),
            "Mod" => (Pair::Modulo, false),
            "Equal" => (Pair::Equal, false),
            "Less" => (Pair::Less, false),
            "Greater" => (Pair::Less, true),
            "LessOrEqual" => (Pair::LessEqual, false),
            "And" => (Pair::And, false),
            "Or" => (Pair::Or, false),
            "Xor" => (Pair::Xor, false),
            _ => return None,
        })
    }

    fn paired(
        &mut self,
        at: usize,
        function: Pair,
        compares: bool,
        a: &Value,
        b: &Value,
    ) -> Result<Value, Refusal> {
        if compares {
            let out = Out { rule: None, ..self.out(at) };
            return self.build.pair(&out, function, Clamp::NONE, [a, b]);
        }
        let power = match (function, b) {
            (Pair::Power, Value::Host(host))
                if host.len() == 1 && host.shape.len() <= self.build.value_shape(a).len() =>
            {
                host.f32s().first().copied()
            }
            _ => None,
        };
        if let Some(power) = power {
            return self.whole(&[a], at, |this, out| {
                this.build.each(out, Op::Unary(Function::Power(power)), a)
            });
        }
        let add = matches!(function, Pair::Add | Pair::Sub | Pair::Mul | Pair::Div);
        if add && !self.is_whole(a) {
            let name = self.node(at).outputs.first().cloned().unwrap_or_default();
            if let Some(reader) = self.only_reader(&name)
                && let Some(clamp) = self.bounds(reader)
            {
                self.done.insert(reader);
                let name = self.node(reader).outputs.first().cloned().unwrap_or_default();
                let value = self.build.pair(&self.out_named(&name), function, clamp, [a, b])?;
                self.values.insert(name, value.clone());
                return Ok(value);
            }
        }
        // The power's type is its first operand's.
        let typed: &[&Value] = if function == Pair::Power { &[a] } else { &[a, b] };
        self.whole(typed, at, |this, out| this.build.pair(out, function, Clamp::NONE, [a, b]))
    }

    /// x × sigmoid(x), where nothing else reads the sigmoid.
    fn swish(&mut self, at: usize, x: &Value) -> Result<Option<Value>, Refusal> {
        let (input, output) = (self.node(at).inputs.first(), self.node(at).outputs.first());
        let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
        let Some(reader) = self.only_reader(output) else { return Ok(None) };
        let node = self.node(reader);
        let both = node.inputs.contains(input) && node.inputs.contains(output);
        if node.op != "Mul" || !both || self.is_whole(x) {
            return Ok(None);
        }
        let name = node.outputs.first().cloned().unwrap_or_default();
        let value = self.build.each(&self.out_named(&name), Op::Unary(Function::Swish), x)?;
        self.done.insert(reader);
        self.values.insert(name, value.clone());
        Ok(Some(value))
    }

    fn is_whole(&self, value: &Value) -> bool {
        match value {
            Value::Host(host) => host.is_whole(),
            Value::Live(live) => {
                let of = self.build.element(live.id);
                of.dtype != DType::F32 && of.quantization.is_none()
            }
        }
    }

    /// What `f` makes in real numbers, as whole ones again if all of `values` are. Exact below 2²⁴.
    fn whole(
        &mut self,
        values: &[&Value],
        at: usize,
        f: impl FnOnce(&mut Self, &Out) -> Result<Value, Refusal>,
    ) -> Result<Value, Refusal> {
        let whole = values.iter().all(|value| self.is_whole(value));
        let out = self.out(at);
        let value = f(self, &out)?;
        match value {
            Value::Live(live) if whole && self.build.element(live.id) == Element::F32 => {
                let to = element(DType::I32, None);
                let id = self.build.node(&out.name, Op::Cast, &[live.id], to)?;
                Ok(Value::Live(Live { id, ..live }))
            }
            value => Ok(value),
        }
    }

    fn held(&mut self, at: usize) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        if let Some(clamp) = self.bounds(at) {
            if let (Value::Live(live), None) = (&x, self.out(at).rule)
                && self.build.is_int8(live.id)
                && clamp == Clamp::RELU
            {
                // Every rule has a zero, so that nothing is rounded.
                let id = self.build.keep(&self.out(at).name, Op::Clamp(clamp), &[live.id])?;
                return Ok(Value::Live(Live { id, order: live.order.clone() }));
            }
            return self.whole(&[&x], at, |this, out| this.build.each(out, Op::Clamp(clamp), &x));
        }
        // Bounds that are computed, or that contradict each other.
        let mut value = x.clone();
        for (index, function) in [(1, Pair::Max), (2, Pair::Min)] {
            if let Some(bound) = self.optional(at, index)? {
                value = self.build.pair(&self.out(at), function, Clamp::NONE, [&value, &bound])?;
            }
        }
        self.whole(&[&x], at, |_, _| Ok(value))
    }

    fn several(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let function = match op {
            "Min" => Pair::Min,
            "Max" => Pair::Max,
            _ => Pair::Add,
        };
        let count = self.node(at).inputs.len();
        let values =
            (0..count).map(|index| self.value(at, index)).collect::<Result<Vec<_>, _>>()?;
        let first = values.first().cloned().ok_or_else(|| wrong("it has no inputs"))?;
        if count == 1 {
            return Ok(first);
        }
        let refs: Vec<&Value> = values.iter().collect();
        let mut value = self.whole(&refs, at, |this, out| {
            values[1..]
                .iter()
                .try_fold(first, |a, b| this.build.pair(out, function, Clamp::NONE, [&a, b]))
        })?;
        if op == "Mean" {
            #[expect(clippy::cast_precision_loss, reason = "a few inputs")]
            let share = Value::Host(Host::scalar(1.0 / count as f32));
            value = self.build.pair(&self.out(at), Pair::Mul, Clamp::NONE, [&value, &share])?;
        }
        Ok(value)
    }

    fn cast(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let x = self.value(at, 0)?;
        let to = if op == "Cast" {
            dtype(u64::try_from(self.int(at, "to", 0)).unwrap_or(0))
        } else {
            match self.value(at, 1)? {
                Value::Live(live) => Some(self.build.element(live.id).dtype),
                Value::Host(host) => Some(if host.is_whole() { DType::I32 } else { DType::F32 }),
            }
        };
        let like = self.input_name(at, 1).and_then(|name| self.kinds.get(name));
        if self.int(at, "to", 0) == 16 || like == Some(&16) {
            return Err(unsupported("rounding to 16-bit brain floats"));
        }
        let bool_to = op == "Cast" && self.int(at, "to", 0) == 9;
        let to = to.ok_or_else(|| unsupported("a type that is neither number nor truth"))?;
        let live = match x {
            Value::Live(live) => live,
            Value::Host(host) => {
                let id = self.build.constant(&host)?;
                self.build.plain(id)
            }
        };
        let from = self.build.element(live.id);
        if bool_to {
            let real = Value::Live(Live { id: self.build.real(live.id)?, ..live });
            let not = self.build.each(&Out::default(), Op::Unary(Function::Not), &real)?;
            return self.build.each(&self.out(at), Op::Unary(Function::Not), &not);
        }
        let id = match (from.quantization, to) {
            (_, DType::F32) => self.build.real(live.id)?,
            (None, to) if from.dtype == to => live.id,
            (None, to) => {
                self.build.node(&self.out(at).name, Op::Cast, &[live.id], element(to, None))?
            }
            (Some(_), _) => return Err(unsupported("quantized bytes")),
        };
        Ok(Value::Live(Live { id, ..live }))
    }
}
