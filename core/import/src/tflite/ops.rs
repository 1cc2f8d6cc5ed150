//! Operators, by name.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction, ValueId};
use edgemill_model::tensor::DType;

use super::names::advice;
use super::{Importer, Node};
use crate::builder::{Out, Value, element};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

pub type Values = Result<Vec<Value>, Refusal>;

impl<'a> Importer<'a> {
    pub(super) fn dispatch(&mut self, name: &str, node: &Node<'a>) -> Values {
        if let Some(value) = self.elementwise(name, node)? {
            return Ok(vec![value]);
        }
        if let Some(value) = self.moved(name, node)? {
            return Ok(vec![value]);
        }
        let value = match name {
            "CONV_2D" | "DEPTHWISE_CONV_2D" => self.conv(node, name == "CONV_2D")?,
            "Convolution2DTransposeBias" => self.conv_transpose_bias(node)?,
            "TRANSPOSE_CONV" => self.conv_transpose(node)?,
            "MAX_POOL_2D" | "AVERAGE_POOL_2D" => self.pool(node, name == "MAX_POOL_2D")?,
            "BATCH_TO_SPACE_ND" => self.out_of_batches(node)?,
            "FULLY_CONNECTED" => self.dense(node)?,
            "BATCH_MATMUL" => self.mat_mul(node)?,
            "CUMSUM" => self.cumulate(node)?,
            "LOCAL_RESPONSE_NORMALIZATION" => self.local_response(node)?,
            "MEAN" => self.reduce(node, Reduction::Mean)?,
            "SUM" => self.reduce(node, Reduction::Sum)?,
            "REDUCE_PROD" => self.reduce(node, Reduction::Product)?,
            "REDUCE_MAX" | "REDUCE_ANY" => self.reduce(node, Reduction::Max)?,
            "REDUCE_MIN" | "REDUCE_ALL" => self.reduce(node, Reduction::Min)?,
            "ARG_MAX" | "ARG_MIN" => self.arg_max(node, name == "ARG_MIN")?,
            "SOFTMAX" => self.softmax(node)?,
            "LOG_SOFTMAX" => self.plain(node, Op::LogSoftmax)?,
            "L2_NORMALIZATION" => self.l2(node)?,
            "QUANTIZE" | "DEQUANTIZE" => self.operand(node, 0)?,
            "CAST" => self.cast(node)?,
            "RESIZE_BILINEAR" => self.resize(node)?,
            "ONE_HOT" => self.one_hot_of(node)?,
            "GATHER_ND" => self.rows_at(node)?,
            "SCATTER_ND" => self.rows_put(node)?,
            "MATRIX_DIAG" => self.diagonal(node)?,
            "SPLIT" | "SPLIT_V" | "UNPACK" => return self.split(name, node),
            "TOPK_V2" => return self.greatest(node),
            "TFLite_Detection_PostProcess" => return self.detect(node),
            _ => return Err(unsupported(advice(name))),
        };
        Ok(vec![value])
    }

    /// What is computed of each element, or of those of several tensors that are repeated to one shape.
    fn elementwise(&mut self, name: &str, node: &Node<'a>) -> Result<Option<Value>, Refusal> {
        let out = self.out(node)?;
        if let Some(function) = self.function(name, node)? {
            let x = self.operand(node, 0)?;
            return self.build.each(&out, Op::Unary(function), &x).map(Some);
        }
        if let Some(clamp) = bounds(name) {
            let x = self.operand(node, 0)?;
            return self.build.each(&out, Op::Clamp(clamp), &x).map(Some);
        }
        if let Some((function, activation)) = pair(name) {
            let clamp = activation.map_or(Ok(Clamp::NONE), |field| node.activation(field))?;
            let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
            return self.build.pair(&out, function, clamp, [&a, &b]).map(Some);
        }
        Ok(Some(match name {
            "SQUARED_DIFFERENCE" => {
                let difference = self.real_pair(node, Pair::Sub, false)?;
                self.build.pair(&out, Pair::Mul, Clamp::NONE, [&difference, &difference])?
            }
            "GREATER" => self.real_pair(node, Pair::Less, true)?,
            "GREATER_EQUAL" => self.real_pair(node, Pair::LessEqual, true)?,
            "NOT_EQUAL" => {
                let equal = self.real_pair(node, Pair::Equal, false)?;
                self.build.each(&out, Op::Unary(Function::Not), &equal)?
            }
            "FLOOR_DIV" => {
                let quotient = self.real_pair(node, Pair::Div, false)?;
                self.build.each(&out, Op::Unary(Function::Floor), &quotient)?
            }
            "ADD_N" => self.sum(node)?,
            "SELECT" | "SELECT_V2" => self.select(name == "SELECT", node)?,
            _ => return Ok(None),
        }))
    }

    /// A pair in real numbers, of the second and the first operand if it is turned.
    fn real_pair(&mut self, node: &Node<'a>, pair: Pair, turned: bool) -> Result<Value, Refusal> {
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let sides = if turned { [&b, &a] } else { [&a, &b] };
        self.build.pair(&Out::default(), pair, Clamp::NONE, sides)
    }

    fn sum(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let mut sum = self.operand(node, 0)?;
        let last = node.inputs.len().saturating_sub(1);
        for index in 1..=last {
            let out = if index == last { self.out(node)? } else { Out::default() };
            let next = self.operand(node, index)?;
            sum = self.build.pair(&out, Pair::Add, Clamp::NONE, [&sum, &next])?;
        }
        Ok(sum)
    }

    /// SELECT's condition may be one for each of the outermost axis.
    fn select(&mut self, by_row: bool, node: &Node<'a>) -> Result<Value, Refusal> {
        let (mut c, a, b) =
            (self.operand(node, 0)?, self.operand(node, 1)?, self.operand(node, 2)?);
        let (given, rank) = (self.build.value_shape(&c), self.build.value_shape(&a).len());
        if by_row && given.len() == 1 && rank > 1 && given[0] == self.build.value_shape(&a)[0] {
            let mut shape = vec![1; rank];
            shape[0] = given[0];
            c = Value::Live(self.build.reshaped("", &c, shape)?);
        }
        let out = self.out(node)?;
        self.build.repeated(&out, Op::Select, &[&c, &a, &b])
    }

    /// exp(β x) ÷ their sum.
    fn softmax(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let beta = node.f32(0, 1.0)?;
        if (beta - 1.0).abs() == 0.0 {
            return self.plain(node, Op::Softmax);
        }
        let (x, beta) = (self.operand(node, 0)?, Value::Host(Host::scalar(beta)));
        let x = self.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&x, &beta])?;
        let (x, out) = (self.build.id(&x)?, self.out(node)?);
        let id = self.build.compute(&out, Op::Softmax, &[x])?;
        Ok(self.live(id))
    }

    pub(super) fn function(
        &self,
        name: &str,
        node: &Node<'a>,
    ) -> Result<Option<Function>, Refusal> {
        Ok(Some(match name {
            "LOGISTIC" => Function::Sigmoid,
            "TANH" => Function::Tanh,
            "FLOOR" => Function::Floor,
            "CEIL" => Function::Ceil,
            "ROUND" => Function::Round,
            "EXP" => Function::Exp,
            "LOG" => Function::Log,
            "SIN" => Function::Sin,
            "COS" => Function::Cos,
            "NEG" => Function::Neg,
            "ABS" => Function::Abs,
            "SIGN" => Function::Sign,
            "SQRT" => Function::Sqrt,
            "RSQRT" => Function::Rsqrt,
            "SQUARE" => Function::Power(2.0),
            "ELU" => Function::Elu(1.0),
            "HARD_SWISH" => Function::HardSwish,
            "LOGICAL_NOT" => Function::Not,
            "LEAKY_RELU" => Function::LeakyRelu(node.f32(0, 0.0)?),
            "GELU" if node.u8(0, 0)? != 0 => Function::GeluTanh,
            "GELU" => Function::Gelu,
            _ => return Ok(None),
        }))
    }

    pub(super) fn operand(&self, node: &Node<'a>, index: usize) -> Result<Value, Refusal> {
        let at = node.optional(index).ok_or_else(|| wrong(format!("input {index} is missing")))?;
        self.value(at)
    }

    pub(super) fn known(&self, node: &Node<'a>, index: usize) -> Result<Host, Refusal> {
        match self.operand(node, index)? {
            Value::Host(host) => Ok(host),
            Value::Live(_) => {
                Err(unsupported(format!("input {index} computed while the model runs")))
            }
        }
    }

    pub(super) fn id(&mut self, node: &Node<'a>, index: usize) -> Result<ValueId, Refusal> {
        let value = self.operand(node, index)?;
        self.build.id(&value)
    }

    pub(super) fn live(&self, id: ValueId) -> Value {
        Value::Live(self.build.plain(id))
    }

    fn plain(&mut self, node: &Node<'a>, op: Op) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let id = self.build.compute(&out, op, &[x])?;
        Ok(self.live(id))
    }

    fn cast(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let to = self.tensor(node.output())?.dtype()?;
        let id = match to {
            DType::F32 => self.build.real(x)?,
            to if self.build.element(x).dtype == to => x,
            to => {
                let quantized = self.build.element(x).quantization.is_some();
                let x = if quantized { self.build.real(x)? } else { x };
                self.build.node(&out.name, Op::Cast, &[x], element(to, None))?
            }
        };
        Ok(self.live(id))
    }
}

pub fn bounds(name: &str) -> Option<Clamp> {
    match name {
        "RELU" => Some(Clamp::RELU),
        "RELU6" => Some(Clamp::RELU6),
        "RELU_N1_TO_1" => Some(Clamp { low: -1.0, high: 1.0 }),
        "RELU_0_TO_1" => Some(Clamp { low: 0.0, high: 1.0 }),
        _ => None,
    }
}

/// A pair, and the field of its fused activation.
pub fn pair(name: &str) -> Option<(Pair, Option<usize>)> {
    Some(match name {
        "ADD" => (Pair::Add, Some(0)),
        "SUB" => (Pair::Sub, Some(0)),
        "MUL" => (Pair::Mul, Some(0)),
        "DIV" => (Pair::Div, Some(0)),
        "MAXIMUM" => (Pair::Max, None),
        "MINIMUM" => (Pair::Min, None),
        "POW" => (Pair::Power, None),
        "PRELU" => (Pair::Prelu, None),
        "FLOOR_MOD" => (Pair::Modulo, None),
        "EQUAL" => (Pair::Equal, None),
        "LESS" => (Pair::Less, None),
        "LESS_EQUAL" => (Pair::LessEqual, None),
        "LOGICAL_AND" => (Pair::And, None),
        "LOGICAL_OR" => (Pair::Or, None),
        _ => return None,
    })
}
