//! Builtin operators, by the numbers of TensorFlow Lite's schema.
use edgemill_model::graph::{Clamp, Detect, Function, Op, Pair, Reduction, Span, ValueId, Window};
use edgemill_model::tensor::DType;

use super::{Importer, Node};
use crate::builder::{Out, Value, element, small};
use crate::host::Host;
use crate::{ImportError, Refusal, unsupported, wrong};

pub enum Error {
    Refusal(Refusal),
    File(ImportError),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        Self::File(error)
    }
}

const NAMES: &[(i32, &str)] = &[
    (0, "ADD"),
    (1, "AVERAGE_POOL_2D"),
    (2, "CONCATENATION"),
    (3, "CONV_2D"),
    (4, "DEPTHWISE_CONV_2D"),
    (5, "DEPTH_TO_SPACE"),
    (6, "DEQUANTIZE"),
    (8, "FLOOR"),
    (9, "FULLY_CONNECTED"),
    (11, "L2_NORMALIZATION"),
    (14, "LOGISTIC"),
    (17, "MAX_POOL_2D"),
    (18, "MUL"),
    (19, "RELU"),
    (20, "RELU_N1_TO_1"),
    (21, "RELU6"),
    (22, "RESHAPE"),
    (23, "RESIZE_BILINEAR"),
    (25, "SOFTMAX"),
    (26, "SPACE_TO_DEPTH"),
    (28, "TANH"),
    (34, "PAD"),
    (36, "GATHER"),
    (39, "TRANSPOSE"),
    (40, "MEAN"),
    (41, "SUB"),
    (42, "DIV"),
    (43, "SQUEEZE"),
    (45, "STRIDED_SLICE"),
    (47, "EXP"),
    (49, "SPLIT"),
    (50, "LOG_SOFTMAX"),
    (53, "CAST"),
    (54, "PRELU"),
    (55, "MAXIMUM"),
    (56, "ARG_MAX"),
    (57, "MINIMUM"),
    (59, "NEG"),
    (60, "PADV2"),
    (65, "SLICE"),
    (67, "TRANSPOSE_CONV"),
    (69, "TILE"),
    (70, "EXPAND_DIMS"),
    (73, "LOG"),
    (74, "SUM"),
    (75, "SQRT"),
    (76, "RSQRT"),
    (78, "POW"),
    (79, "ARG_MIN"),
    (82, "REDUCE_MAX"),
    (83, "PACK"),
    (88, "UNPACK"),
    (89, "REDUCE_MIN"),
    (92, "SQUARE"),
    (97, "RESIZE_NEAREST_NEIGHBOR"),
    (98, "LEAKY_RELU"),
    (99, "SQUARED_DIFFERENCE"),
    (100, "MIRROR_PAD"),
    (101, "ABS"),
    (102, "SPLIT_V"),
    (104, "CEIL"),
    (105, "REVERSE_V2"),
    (106, "ADD_N"),
    (111, "ELU"),
    (114, "QUANTIZE"),
    (116, "ROUND"),
    (117, "HARD_SWISH"),
    (126, "BATCH_MATMUL"),
    (130, "BROADCAST_TO"),
    (150, "GELU"),
    (158, "SIGN"),
    (66, "SIN"),
    (108, "COS"),
    (37, "BATCH_TO_SPACE_ND"),
    (38, "SPACE_TO_BATCH_ND"),
];

pub fn name(code: i32) -> String {
    let known = NAMES.iter().find(|(of, _)| *of == code);
    known.map_or_else(|| format!("number {code}"), |(_, name)| (*name).to_owned())
}

type Values = Result<Vec<Value>, Error>;

impl<'a> Importer<'a> {
    pub(super) fn dispatch(&mut self, name: &str, node: &Node<'a>) -> Values {
        if let Some(function) = self.function(name, node)? {
            let (x, out) = (self.operand(node, 0)?, self.out(node)?);
            return Ok(vec![self.build.each(&out, Op::Unary(function), &x)?]);
        }
        if let Some(clamp) = bounds(name) {
            let (x, out) = (self.operand(node, 0)?, self.out(node)?);
            return Ok(vec![self.build.each(&out, Op::Clamp(clamp), &x)?]);
        }
        if let Some((function, activation)) = pair(name) {
            let clamp = activation.map_or(Ok(Clamp::NONE), |field| node.activation(field))?;
            let (a, b, out) = (self.operand(node, 0)?, self.operand(node, 1)?, self.out(node)?);
            return Ok(vec![self.build.pair(&out, function, clamp, [&a, &b])?]);
        }
        if let Some(values) = self.moved(name, node)? {
            return Ok(values);
        }
        let value = match name {
            "CONV_2D" | "DEPTHWISE_CONV_2D" => self.conv(node, name == "CONV_2D")?,
            "Convolution2DTransposeBias" => self.conv_transpose_bias(node)?,
            "TRANSPOSE_CONV" => self.conv_transpose(node)?,
            "FULLY_CONNECTED" => self.dense(node)?,
            "BATCH_MATMUL" => self.mat_mul(node)?,
            "MAX_POOL_2D" | "AVERAGE_POOL_2D" => self.pool(node, name == "MAX_POOL_2D")?,
            "MEAN" => self.reduce(node, Reduction::Mean)?,
            "SUM" => self.reduce(node, Reduction::Sum)?,
            "REDUCE_MAX" => self.reduce(node, Reduction::Max)?,
            "REDUCE_MIN" => self.reduce(node, Reduction::Min)?,
            "SOFTMAX" => {
                if (node.f32(0, 1.0)? - 1.0).abs() > 0.0 {
                    return Err(unsupported("beta other than 1").into());
                }
                self.plain(node, Op::Softmax)?
            }
            "LOG_SOFTMAX" => self.plain(node, Op::LogSoftmax)?,
            "QUANTIZE" | "DEQUANTIZE" => self.operand(node, 0)?,
            "CAST" => self.cast(node)?,
            "ARG_MAX" | "ARG_MIN" => self.arg_max(node, name == "ARG_MIN")?,
            "RESIZE_BILINEAR" => self.resize(node)?,
            "SQUARED_DIFFERENCE" => {
                let (a, b, out) = (self.operand(node, 0)?, self.operand(node, 1)?, self.out(node)?);
                let real = Out::default();
                let difference = self.build.pair(&real, Pair::Sub, Clamp::NONE, [&a, &b])?;
                self.build.pair(&out, Pair::Mul, Clamp::NONE, [&difference, &difference])?
            }
            "L2_NORMALIZATION" => self.l2(node)?,
            "TFLite_Detection_PostProcess" => return self.detect(node),
            _ => return Err(unsupported("").into()),
        };
        Ok(vec![value])
    }

    fn function(&self, name: &str, node: &Node<'a>) -> Result<Option<Function>, Error> {
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
            "LEAKY_RELU" => Function::LeakyRelu(node.f32(0, 0.0)?),
            "GELU" if node.u8(0, 0)? != 0 => Function::GeluTanh,
            "GELU" => Function::Gelu,
            _ => return Ok(None),
        }))
    }

    pub(super) fn operand(&self, node: &Node<'a>, index: usize) -> Result<Value, Refusal> {
        let at = node.inputs.get(index).copied().filter(|&at| at >= 0);
        self.value(at.ok_or_else(|| wrong(format!("input {index} is missing")))?)
    }

    fn known(&self, node: &Node<'a>, index: usize) -> Result<Host, Refusal> {
        match self.operand(node, index)? {
            Value::Host(host) => Ok(host),
            Value::Live(_) => {
                Err(unsupported(format!("input {index} computed while the model runs")))
            }
        }
    }

    fn id(&mut self, node: &Node<'a>, index: usize) -> Result<ValueId, Refusal> {
        let value = self.operand(node, index)?;
        self.build.id(&value)
    }

    fn live(&self, id: ValueId) -> Value {
        Value::Live(self.build.plain(id))
    }

    fn plain(&mut self, node: &Node<'a>, op: Op) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let id = self.build.compute(&out, op, &[x])?;
        Ok(self.live(id))
    }

    fn window(
        &self,
        node: &Node<'a>,
        x: ValueId,
        kernel: [u32; 2],
        fields: [usize; 3],
        dilation: [u32; 2],
    ) -> Result<Window, Error> {
        let shape = self.build.shape(x);
        let [_, h, w, _] = shape[..] else { return Err(wrong("a picture has four axes").into()) };
        let stride = [node.size(fields[2], 1)?, node.size(fields[1], 1)?];
        let mut pads = [[0; 2]; 2];
        if node.u8(fields[0], 0)? == 0 {
            for axis in 0..2 {
                pads[axis] = same([h, w][axis], kernel[axis], stride[axis], dilation[axis]);
            }
        }
        Ok(Window { kernel, stride, rows: pads[0], columns: pads[1] })
    }

    fn conv(&mut self, node: &Node<'a>, plain: bool) -> Result<Value, Error> {
        let x = self.id(node, 0)?;
        let mut weights = self.operand(node, 1)?;
        let bias =
            node.inputs.get(2).filter(|&&at| at >= 0).map(|&at| self.value(at)).transpose()?;
        let shape = self.build.value_shape(&weights);
        let (&[_, kh, kw, depth], Some(&c)) = (&shape[..], self.build.shape(x).last()) else {
            return Err(wrong("weights have four axes").into());
        };
        let (fields, groups) = if plain { ([3, 4, 5], c / depth.max(1)) } else { ([4, 5, 6], c) };
        if !plain {
            weights = match weights {
                Value::Host(host) => Value::Host(host.transposed(&[3, 1, 2, 0])),
                Value::Live(_) => return Err(unsupported("computed weights").into()),
            };
        }
        let dilation = [node.size(fields[2], 1)?, node.size(fields[1], 1)?];
        let window = self.window(node, x, [kh, kw], [0, 1, 2], dilation)?;
        let clamp = node.activation(if plain { 3 } else { 4 })?;
        let out = self.out(node)?;
        let op = Op::Conv2d { window, dilation, groups, clamp };
        let id = self.build.weighted(&out, op, x, &weights, bias.as_ref())?;
        Ok(self.live(id))
    }

    fn conv_transpose(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (to, weights, x) = (self.known(node, 0)?, self.operand(node, 1)?, self.id(node, 2)?);
        let bias =
            node.inputs.get(3).filter(|&&at| at >= 0).map(|&at| self.value(at)).transpose()?;
        let (to, shape, given) = (to.i64s(), self.build.value_shape(&weights), self.build.shape(x));
        let (&[_, h, w, _], &[_, kh, kw, _], &[_, xh, xw, _]) = (&to[..], &shape[..], &given[..])
        else {
            return Err(wrong("a picture has four axes").into());
        };
        let stride = [node.size(2, 1)?, node.size(1, 1)?];
        let (mut cut, mut extra) = ([[0; 2]; 2], [0; 2]);
        for (axis, (to, kernel, from)) in [(h, kh, xh), (w, kw, xw)].into_iter().enumerate() {
            let full = (i64::from(from) - 1) * i64::from(stride[axis]) + i64::from(kernel);
            let beyond = u32::try_from((full - to).max(0)).map_err(|_| wrong("its shape"))?;
            extra[axis] = u32::try_from((to - full).max(0)).map_err(|_| wrong("its shape"))?;
            cut[axis] =
                if node.u8(0, 0)? == 0 { [beyond / 2, beyond - beyond / 2] } else { [0, beyond] };
        }
        let window = Window { kernel: [kh, kw], stride, rows: cut[0], columns: cut[1] };
        let (clamp, out) = (node.activation(3)?, self.out(node)?);
        let op = Op::ConvTranspose2d { window, dilation: [1; 2], groups: 1, extra, clamp };
        let id = self.build.weighted(&out, op, x, &weights, bias.as_ref())?;
        Ok(self.live(id))
    }

    /// MediaPipe's, whose options are padding and strides, each 32 bits.
    fn conv_transpose_bias(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, weights, bias) =
            (self.id(node, 0)?, self.operand(node, 1)?, self.operand(node, 2)?);
        let option = |n: usize| node.custom.as_chunks().0.get(n).map(|&b| u32::from_le_bytes(b));
        let (Some(padding), Some(right), Some(down)) = (option(0), option(1), option(2)) else {
            return Err(wrong("its options").into());
        };
        let &[_, kh, kw, _] = &self.build.value_shape(&weights)[..] else {
            return Err(wrong("weights have four axes").into());
        };
        let (stride, kernel) = ([down, right], [kh, kw]);
        let beyond = |axis: usize| kernel[axis].saturating_sub(stride[axis]);
        let cut = |axis: usize| match padding {
            1 => [beyond(axis) / 2, beyond(axis) - beyond(axis) / 2],
            _ => [0, 0],
        };
        let window = Window { kernel, stride, rows: cut(0), columns: cut(1) };
        let extra = [0, 1].map(|axis: usize| match padding {
            1 => stride[axis].saturating_sub(kernel[axis]),
            _ => 0,
        });
        let out = self.out(node)?;
        let op =
            Op::ConvTranspose2d { window, dilation: [1; 2], groups: 1, extra, clamp: Clamp::NONE };
        let id = self.build.weighted(&out, op, x, &weights, Some(&bias))?;
        Ok(self.live(id))
    }

    fn dense(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, weights) = (self.id(node, 0)?, self.operand(node, 1)?);
        let bias =
            node.inputs.get(2).filter(|&&at| at >= 0).map(|&at| self.value(at)).transpose()?;
        let sizes = self.build.value_shape(&weights);
        let &[k, depth] = &sizes[..] else { return Err(wrong("weights have two axes").into()) };
        let shape = self.build.shape(x);
        let total: u32 = shape.iter().product();
        if depth == 0 || !total.is_multiple_of(depth) {
            return Err(wrong(format!("{shape:?} by weights of {depth}")).into());
        }
        let flat = vec![total / depth, depth];
        let x = if shape == flat { x } else { self.build.keep("", Op::Reshape(flat), &[x])? };
        let (clamp, out) = (node.activation(0)?, self.out(node)?);
        let id = self.build.weighted(&out, Op::Dense { clamp }, x, &weights, bias.as_ref())?;
        if node.u8(2, 0)? == 0 || shape.len() == 2 {
            return Ok(self.live(id));
        }
        let mut to = shape;
        to.pop();
        to.push(k);
        let id = self.build.keep(&out.name, Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }

    fn mat_mul(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let out = self.out(node)?;
        let mut sides = Vec::new();
        for index in 0..2 {
            let id = self.id(node, index)?;
            let rank = self.build.shape(id).len();
            if node.u8(index, 0)? == 0 || rank < 2 {
                sides.push(id);
                continue;
            }
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(rank - 1, rank - 2);
            let plain = self.build.plain(id);
            sides.push(self.build.arranged(&plain, &order)?);
        }
        let id = self.build.compute(&out, Op::MatMul, &sides)?;
        Ok(self.live(id))
    }

    fn pool(&mut self, node: &Node<'a>, greatest: bool) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let kernel = [node.size(4, 1)?, node.size(3, 1)?];
        let window = self.window(node, x, kernel, [0, 1, 2], [1; 2])?;
        let clamp = node.activation(5)?;
        let id = if greatest {
            self.build.keep(&out.name, Op::MaxPool(window), &[x])?
        } else {
            self.build.compute(&out, Op::AveragePool(window), &[x])?
        };
        let value = self.live(id);
        Ok(if clamp == Clamp::NONE {
            value
        } else {
            self.build.each(&out, Op::Clamp(clamp), &value)?
        })
    }

    fn reduce(&mut self, node: &Node<'a>, by: Reduction) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let shape = self.build.shape(x);
        let axes = self.known(node, 1)?.i64s();
        let mut axes =
            axes.into_iter().map(|a| axis(a, shape.len())).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        let op = Op::Reduce { by, axes: axes.iter().map(|&a| small(a)).collect() };
        let keeps = matches!(by, Reduction::Max | Reduction::Min) && self.build.is_int8(x);
        let mut id = if keeps {
            self.build.keep(&out.name, op, &[x])?
        } else {
            self.build.compute(&out, op, &[x])?
        };
        if node.u8(0, 0)? == 0 {
            let kept = (0..shape.len()).filter(|a| !axes.contains(a)).map(|a| shape[a]).collect();
            id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        }
        Ok(self.live(id))
    }

    fn cast(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let to = self.tensor(node.outputs.first().copied().unwrap_or(-1))?.dtype()?;
        let id = match to {
            DType::F32 => self.build.real(x)?,
            to if self.build.element(x).dtype == to => x,
            to => {
                let x = if self.build.element(x).quantization.is_some() {
                    self.build.real(x)?
                } else {
                    x
                };
                self.build.node(&out.name, Op::Cast, &[x], element(to, None))?
            }
        };
        Ok(self.live(id))
    }

    fn arg_max(&mut self, node: &Node<'a>, least: bool) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let shape = self.build.shape(x);
        let along = self.known(node, 1)?.i64s().first().copied().unwrap_or(-1);
        let along = axis(along, shape.len())?;
        let op = Op::ArgMax { axis: small(along), least, last: false };
        let id = self.build.node(&out.name, op, &[x], element(DType::I32, None))?;
        let kept = (0..shape.len()).filter(|&a| a != along).map(|a| shape[a]).collect();
        let id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        Ok(self.live(id))
    }

    #[expect(clippy::cast_precision_loss, reason = "sides of pictures are small")]
    fn resize(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, out, to) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?.i64s());
        let shape = self.build.shape(x);
        let (&[_, h, w, _], &[rows, columns]) = (&shape[..], &to[..]) else {
            return Err(wrong("its shape").into());
        };
        let size = [rows, columns].map(|n| u32::try_from(n).unwrap_or(0));
        let (corners, half) = (node.u8(2, 0)? != 0, node.u8(3, 0)? != 0);
        let (mut step, mut origin) = ([1.0; 2], [0.0; 2]);
        for (axis, from) in [h, w].into_iter().enumerate() {
            let (from, to) = (from as f32, size[axis] as f32);
            step[axis] = if corners && to > 1.0 { (from - 1.0) / (to - 1.0) } else { from / to };
            origin[axis] = if half { 0.5 * step[axis] - 0.5 } else { 0.0 };
        }
        let id = self.build.compute(&out, Op::Resize { size, step, origin }, &[x])?;
        Ok(self.live(id))
    }

    fn l2(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, out, real) = (self.id(node, 0)?, self.out(node)?, Out::default());
        let x = self.build.real(x)?;
        let last = small(self.build.shape(x).len().saturating_sub(1));
        let square = self.build.compute(&real, Op::Unary(Function::Power(2.0)), &[x])?;
        let sum = self.build.compute(
            &real,
            Op::Reduce { by: Reduction::Sum, axes: vec![last] },
            &[square],
        )?;
        let (sum, x) = (self.live(sum), self.live(x));
        let least = Value::Host(Host::scalar(1e-6));
        let held = self.build.pair(&real, Pair::Max, Clamp::NONE, [&sum, &least])?;
        let factor = self.build.each(&real, Op::Unary(Function::Rsqrt), &held)?;
        Ok(self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &factor])?)
    }

    fn detect(&mut self, node: &Node<'a>) -> Values {
        let options = super::flex::Map::read(node.custom)?;
        let number =
            |name: &str| options.number(name).ok_or_else(|| wrong(format!("no option {name}")));
        let count = |name: &str, default: f32| whole(options.number(name).unwrap_or(default));
        if count("max_classes_per_detection", 1.0) != 1 {
            return Err(unsupported("several classes for each detection").into());
        }
        let (boxes, scores) = (self.id(node, 0)?, self.id(node, 1)?);
        let (boxes, mut scores) = (self.build.real(boxes)?, self.build.real(scores)?);
        let anchors = Value::Host(self.known(node, 2)?.real());
        let anchors = self.build.id(&anchors)?;
        let shape = self.build.shape(scores);
        let classes = whole(number("num_classes")?);
        if let &[n, a, c] = &shape[..]
            && c > classes
        {
            let behind = Span { start: c - classes, step: 1, count: classes };
            let spans = vec![Span::whole(n), Span::whole(a), behind];
            scores = self.build.keep("", Op::Slice(spans), &[scores])?;
        }
        let regular = options.number("use_regular_nms").unwrap_or(0.0) > 0.0;
        let most = whole(number("max_detections")?);
        let detect = Detect {
            divisors: [
                number("y_scale")?,
                number("x_scale")?,
                number("h_scale")?,
                number("w_scale")?,
            ],
            score: number("nms_score_threshold")?,
            overlap: number("nms_iou_threshold")?,
            most,
            per_class: regular.then(|| count("detections_per_class", 100.0)),
        };
        let found =
            self.build.compute(&Out::default(), Op::Detect(detect), &[boxes, scores, anchors])?;
        let mut values = Vec::new();
        for (start, count) in [(0, 4), (4, 1), (5, 1)] {
            let spans = vec![Span::whole(1), Span::whole(most), Span { start, step: 1, count }];
            let part = self.build.keep("", Op::Slice(spans), &[found])?;
            let shape = if count == 4 { vec![1, most, 4] } else { vec![1, most] };
            let id = self.build.keep("", Op::Reshape(shape), &[part])?;
            values.push(self.live(id));
        }
        let flag = vec![Span::whole(1), Span::whole(most), Span { start: 6, step: 1, count: 1 }];
        let flags = self.build.keep("", Op::Slice(flag), &[found])?;
        let sum =
            self.build.keep("", Op::Reduce { by: Reduction::Sum, axes: vec![1] }, &[flags])?;
        let id = self.build.keep("", Op::Reshape(vec![1]), &[sum])?;
        values.push(self.live(id));
        Ok(values)
    }

    fn moved(&mut self, name: &str, node: &Node<'a>) -> Result<Option<Vec<Value>>, Error> {
        let op = match name {
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => {
                let x = self.id(node, 0)?;
                let to = self.tensor(node.outputs.first().copied().unwrap_or(-1))?.sizes()?;
                let total: usize = to.iter().product();
                let mut to: Vec<u32> =
                    to.iter().map(|&d| u32::try_from(d).unwrap_or(u32::MAX)).collect();
                let given: u32 = self.build.shape(x).iter().product();
                if total != given as usize && to.len() > 1 {
                    // A batch that the converter left open.
                    to[0] = given / to[1..].iter().product::<u32>().max(1);
                }
                Op::Reshape(to)
            }
            "TRANSPOSE" => {
                let list = self.known(node, 1)?.i64s();
                Op::Transpose(
                    list.into_iter().map(|a| u8::try_from(a).unwrap_or(u8::MAX)).collect(),
                )
            }
            "PAD" | "PADV2" => {
                let list = self.known(node, 1)?.i64s();
                let value = if name == "PADV2" {
                    self.known(node, 2)?.f32s().first().copied().unwrap_or(0.0)
                } else {
                    0.0
                };
                let size = |v: i64| u32::try_from(v).unwrap_or(u32::MAX);
                Op::Pad {
                    borders: list.as_chunks::<2>().0.iter().map(|b| b.map(size)).collect(),
                    value,
                }
            }
            "TILE" => Op::Tile(
                self.known(node, 1)?
                    .i64s()
                    .into_iter()
                    .map(|v| u32::try_from(v).unwrap_or(0))
                    .collect(),
            ),
            "SLICE" => {
                let x = self.id(node, 0)?;
                let shape = self.build.shape(x);
                let (begin, count) = (self.known(node, 1)?.i64s(), self.known(node, 2)?.i64s());
                let one = |((b, c), d): ((i64, i64), u32)| {
                    let c = if c < 0 { i64::from(d) - b } else { c };
                    Span {
                        start: u32::try_from(b).unwrap_or(u32::MAX),
                        step: 1,
                        count: u32::try_from(c).unwrap_or(0),
                    }
                };
                Op::Slice(begin.into_iter().zip(count).zip(shape).map(one).collect())
            }
            "STRIDED_SLICE" => return self.strided(node).map(|v| Some(vec![v])),
            "CONCATENATION" | "PACK" => return self.join(name, node).map(|v| Some(vec![v])),
            "SPLIT" | "SPLIT_V" | "UNPACK" => return self.split(name, node).map(Some),
            "GATHER" => return self.gather(node).map(|v| Some(vec![v])),
            "RESIZE_NEAREST_NEIGHBOR" => return self.nearest(node).map(|v| Some(vec![v])),
            "DEPTH_TO_SPACE" | "SPACE_TO_DEPTH" => {
                return self.blocks(name, node).map(|v| Some(vec![v]));
            }
            "MIRROR_PAD" => return self.mirror(node).map(|v| Some(vec![v])),
            _ => return Ok(None),
        };
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let id = self.build.keep(&out.name, op, &[x])?;
        Ok(Some(vec![self.live(id)]))
    }

    fn strided(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let shape = self.build.shape(x);
        let lists = [1, 2, 3].map(|n| self.known(node, n).map(|h| h.i64s()));
        let [begin, end, step] = lists;
        let (begin, end, step) = (begin?, end?, step?);
        let mask = |field: usize| node.i32(field, 0);
        let (open, to_end, _, _, dropped) = (mask(0)?, mask(1)?, mask(2)?, mask(3)?, mask(4)?);
        if mask(2)? != 0 || mask(3)? != 0 || begin.len() > shape.len() {
            return Err(unsupported("ellipsis or new axes").into());
        }
        let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
        for axis in 0..begin.len().min(end.len()).min(step.len()) {
            let (size, step) = (i64::from(shape[axis]), step[axis]);
            let bit = |mask: i32| mask >> axis & 1 != 0;
            let first = if bit(open) { if step < 0 { size - 1 } else { 0 } } else { begin[axis] };
            let last =
                if bit(to_end) { if step < 0 { i64::MIN / 2 } else { size } } else { end[axis] };
            let (last, step) = if bit(dropped) {
                (if first == -1 { size } else { first + 1 }, 1)
            } else {
                (last, step)
            };
            spans[axis] = crate::onnx::span(size, first, last, step)?;
        }
        let mut id = self.build.keep(&out.name, Op::Slice(spans), &[x])?;
        if dropped != 0 {
            let made = self.build.shape(id);
            let kept = made
                .iter()
                .enumerate()
                .filter(|(a, _)| dropped >> a & 1 == 0)
                .map(|(_, &d)| d)
                .collect();
            id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        }
        Ok(self.live(id))
    }

    fn join(&mut self, name: &str, node: &Node<'a>) -> Result<Value, Error> {
        let out = self.out(node)?;
        let mut ids =
            (0..node.inputs.len()).map(|n| self.id(node, n)).collect::<Result<Vec<_>, _>>()?;
        let pack = name == "PACK";
        let first = *ids.first().ok_or_else(|| wrong("it has no inputs"))?;
        let mut shape = self.build.shape(first);
        let along = axis(node.i32(usize::from(pack), 0)?.into(), shape.len() + usize::from(pack))?;
        if pack {
            shape.insert(along, 1);
            for id in &mut ids {
                *id = self.build.keep("", Op::Reshape(shape.clone()), &[*id])?;
            }
        }
        let op = Op::Concat { axis: small(along) };
        let whole = self.build.element(first).dtype == DType::I32;
        let id = if whole {
            self.build.keep(&out.name, op, &ids)?
        } else {
            self.build.compute(&out, op, &ids)?
        };
        let clamp = if pack { Clamp::NONE } else { node.activation(1)? };
        let value = self.live(id);
        Ok(if clamp == Clamp::NONE {
            value
        } else {
            self.build.each(&out, Op::Clamp(clamp), &value)?
        })
    }

    fn split(&mut self, name: &str, node: &Node<'a>) -> Values {
        let (data, list) = if name == "SPLIT" { (1, 0) } else { (0, 2) };
        let x = self.id(node, data)?;
        let shape = self.build.shape(x);
        let along = match name {
            "UNPACK" => node.i32(1, 0)?.into(),
            _ => self.known(node, list)?.i64s().first().copied().unwrap_or(0),
        };
        let along = axis(along, shape.len())?;
        let count = u32::try_from(node.outputs.len()).unwrap_or(1).max(1);
        let sizes: Vec<u32> = if name == "SPLIT_V" {
            self.known(node, 1)?.i64s().into_iter().map(|v| u32::try_from(v).unwrap_or(0)).collect()
        } else {
            vec![shape[along] / count; node.outputs.len()]
        };
        let mut start = 0;
        let mut values = Vec::new();
        for size in sizes {
            let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
            spans[along] = Span { start, step: 1, count: size };
            start += size;
            let mut id = self.build.keep("", Op::Slice(spans), &[x])?;
            if name == "UNPACK" {
                let mut kept = shape.clone();
                kept.remove(along);
                id = self.build.keep("", Op::Reshape(kept), &[id])?;
            }
            values.push(self.live(id));
        }
        Ok(values)
    }

    fn gather(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (x, out, indices) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?);
        let shape = self.build.shape(x);
        let along = axis(node.i32(0, 0)?.into(), shape.len())?;
        let places =
            indices.i64s().into_iter().map(|v| u32::try_from(v).unwrap_or(u32::MAX)).collect();
        let id = self.build.keep("", Op::Gather { axis: small(along), indices: places }, &[x])?;
        let mut to = shape[..along].to_vec();
        to.extend(indices.shape32());
        to.extend(&shape[along + 1..]);
        let id = self.build.keep(&out.name, Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in a picture"
    )]
    fn nearest(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (mut id, out, to) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?.i64s());
        let (corners, half) = (node.u8(0, 0)? != 0, node.u8(1, 0)? != 0);
        for (n, &to) in to.iter().enumerate().take(2) {
            let from = self
                .build
                .shape(id)
                .get(n + 1)
                .copied()
                .ok_or_else(|| wrong("a picture has four axes"))?;
            let step = if corners && to > 1 {
                (from - 1) as f32 / (to - 1) as f32
            } else {
                from as f32 / to as f32
            };
            let place = |at: i64| {
                let at = (at as f32 + if half { 0.5 } else { 0.0 }) * step;
                let at = if corners { at.round() } else { at.floor() };
                (at as u32).min(from - 1)
            };
            let indices = (0..to.clamp(0, 1 << 16)).map(place).collect();
            id = self.build.keep(&out.name, Op::Gather { axis: small(n + 1), indices }, &[id])?;
        }
        Ok(self.live(id))
    }

    fn blocks(&mut self, name: &str, node: &Node<'a>) -> Result<Value, Error> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let block = node.size(0, 1)?.min(1 << 12);
        let shape = self.build.shape(x);
        let &[n, h, w, c] = &shape[..] else { return Err(wrong("a picture has four axes").into()) };
        let (wide, order, last) = if name == "DEPTH_TO_SPACE" {
            let depth = c / (block * block);
            (
                vec![n, h, w, block, block, depth],
                vec![0, 1, 3, 2, 4, 5],
                vec![n, h * block, w * block, depth],
            )
        } else {
            let (rows, columns) = (h / block, w / block);
            (
                vec![n, rows, block, columns, block, c],
                vec![0, 1, 3, 2, 4, 5],
                vec![n, rows, columns, c * block * block],
            )
        };
        let id = self.build.keep("", Op::Reshape(wide), &[x])?;
        let id = self.build.keep("", Op::Transpose(order), &[id])?;
        let id = self.build.keep(&out.name, Op::Reshape(last), &[id])?;
        Ok(self.live(id))
    }

    fn mirror(&mut self, node: &Node<'a>) -> Result<Value, Error> {
        let (mut id, out, list) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?.i64s());
        let mode = if node.u8(0, 0)? == 0 { "reflect" } else { "symmetric" };
        for (n, &[before, after]) in list.as_chunks::<2>().0.iter().enumerate() {
            let length =
                self.build.shape(id).get(n).copied().ok_or_else(|| wrong("its borders"))?;
            if before != 0 || after != 0 {
                let indices = crate::onnx::mirrored(before, after, length.into(), mode)?;
                id = self.build.keep(&out.name, Op::Gather { axis: small(n), indices }, &[id])?;
            }
        }
        Ok(self.live(id))
    }
}

impl Node<'_> {
    fn u8(&self, field: usize, default: u8) -> Result<u8, ImportError> {
        self.options.map_or(Ok(default), |o| o.u8(field, default))
    }

    fn i32(&self, field: usize, default: i32) -> Result<i32, ImportError> {
        self.options.map_or(Ok(default), |o| o.i32(field, default))
    }

    fn f32(&self, field: usize, default: f32) -> Result<f32, ImportError> {
        self.options.map_or(Ok(default), |o| o.f32(field, default))
    }

    fn size(&self, field: usize, default: i32) -> Result<u32, Error> {
        let value = self.i32(field, default)?;
        u32::try_from(value).ok().filter(|&v| v > 0).ok_or_else(|| wrong("a size below 1").into())
    }

    fn activation(&self, field: usize) -> Result<Clamp, Error> {
        Ok(match self.u8(field, 0)? {
            0 => Clamp::NONE,
            1 => Clamp::RELU,
            2 => Clamp { low: -1.0, high: 1.0 },
            3 => Clamp::RELU6,
            _ => return Err(unsupported("that fused activation").into()),
        })
    }
}

fn bounds(name: &str) -> Option<Clamp> {
    match name {
        "RELU" => Some(Clamp::RELU),
        "RELU6" => Some(Clamp::RELU6),
        "RELU_N1_TO_1" => Some(Clamp { low: -1.0, high: 1.0 }),
        _ => None,
    }
}

/// A pair, and the field of its fused activation.
fn pair(name: &str) -> Option<(Pair, Option<usize>)> {
    Some(match name {
        "ADD" => (Pair::Add, Some(0)),
        "SUB" => (Pair::Sub, Some(0)),
        "MUL" => (Pair::Mul, Some(0)),
        "DIV" => (Pair::Div, Some(0)),
        "MAXIMUM" => (Pair::Max, None),
        "MINIMUM" => (Pair::Min, None),
        "POW" => (Pair::Power, None),
        "PRELU" => (Pair::Prelu, None),
        _ => return None,
    })
}

/// The border that keeps a picture's size, divided by the stride.
fn same(size: u32, kernel: u32, stride: u32, dilation: u32) -> [u32; 2] {
    let covered = u64::from(kernel.saturating_sub(1)) * u64::from(dilation) + 1;
    let needed = (u64::from(size.div_ceil(stride)).max(1) - 1) * u64::from(stride) + covered;
    let missing = u32::try_from(needed.saturating_sub(size.into())).unwrap_or(u32::MAX);
    [missing / 2, missing - missing / 2]
}

fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let rank = i64::try_from(rank).unwrap_or(0);
    let at = if axis < 0 { axis + rank } else { axis };
    usize::try_from(at).ok().filter(|_| at < rank).ok_or_else(|| wrong(format!("axis {axis}")))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(number: f32) -> u32 {
    number as u32
}
