//! What a node gives, from what it is given; or why it cannot.
mod moves;

use super::op::{Clamp, Op, Reduction, Window};
use super::{DType, Element, Graph, MAX_INPUTS, ValueId};

type Shape = Vec<u32>;

/// The largest kernel, stride, border or dilation.
const MAX_STEP: u32 = 1 << 16;

impl Graph<'_> {
    /// The shape of what `op` makes.
    pub(super) fn infer(
        &self,
        op: &Op,
        inputs: &[ValueId],
        element: Element,
    ) -> Result<Shape, String> {
        if inputs.iter().any(|id| id.index() >= self.values().len()) {
            return Err("it reads a value that is not before it".into());
        }
        let counts = counts(op);
        if !counts.contains(&inputs.len()) {
            return Err(format!("{} inputs, {counts:?} are taken", inputs.len()));
        }
        self.check_numbers(op, inputs, element)?;
        let shape = |index: usize| &self.value(inputs[index]).spec().shape[..];
        let x = shape(0);
        match op {
            Op::Conv2d { window, dilation, groups, clamp } => {
                check_clamp(*clamp)?;
                self.conv2d(inputs, window, *dilation, *groups)
            }
            Op::ConvTranspose2d { window, dilation, groups, extra, clamp } => {
                check_clamp(*clamp)?;
                self.conv_transpose2d(inputs, window, *dilation, *groups, *extra)
            }
            Op::Dense { clamp } => {
                check_clamp(*clamp)?;
                self.dense(inputs)
            }
            Op::MatMul => moves::mat_mul(x, shape(1)),
            Op::MaxPool(window) | Op::AveragePool(window) => pool(x, window),
            Op::Binary { clamp, .. } => {
                check_clamp(*clamp)?;
                moves::broadcast(x, shape(1))
            }
            Op::Select => moves::broadcast(&moves::broadcast(x, shape(1))?, shape(2)),
            Op::Clamp(clamp) => check_clamp(*clamp).map(|()| x.to_vec()),
            Op::Softmax | Op::LogSoftmax if x.is_empty() => Err("a softmax needs an axis".into()),
            Op::Softmax | Op::LogSoftmax | Op::Unary(_) => Ok(x.to_vec()),
            Op::Quantize | Op::Dequantize | Op::Cast => Ok(x.to_vec()),
            Op::Reduce { axes, .. } => moves::reduce(x, axes),
            Op::ArgMax { axis, .. } => moves::reduce(x, &[*axis]),
            Op::Resize { size, step, origin } => moves::resize(x, *size, [*step, *origin]),
            Op::Concat { axis } => {
                moves::concat(*axis, inputs.iter().map(|&id| &self.value(id).spec().shape[..]))
            }
            Op::Slice(spans) => moves::slice(x, spans),
            Op::Gather { axis, indices } => moves::gather(x, *axis, indices),
            Op::Reshape(to) => moves::reshape(x, to),
            Op::Transpose(order) => moves::transpose(x, order),
            Op::Tile(times) => moves::tile(x, times),
            Op::Pad { borders, value } => moves::pad(x, borders, *value),
            Op::Detect(detect) => self.detect(inputs, detect),
        }
    }

    fn element(&self, id: ValueId) -> Element {
        let spec = self.value(id).spec();
        Element { dtype: spec.dtype, quantization: spec.quantization }
    }

    /// Types of the elements that go in and come out.
    fn check_numbers(&self, op: &Op, inputs: &[ValueId], out: Element) -> Result<(), String> {
        let given = self.element(inputs[0]);
        let plain = |of: Element| of.quantization.is_none();
        let bytes =
            |of: Element| matches!(of.dtype, DType::I8 | DType::U8) && of.quantization.is_some();
        let f32 = kind(given) == Some(Kind::F32);
        let (possible, else_) = match op {
            Op::Quantize => (
                (f32 || bytes(given)) && bytes(out),
                "it makes f32 or quantized bytes into quantized bytes",
            ),
            Op::Dequantize => {
                (bytes(given) && out == Element::F32, "it makes quantized bytes into f32")
            }
            Op::Cast => (
                plain(given) && plain(out) && given.dtype != out.dtype,
                "it makes plain numbers into those of another type",
            ),
            Op::ArgMax { .. } => (
                kind(given).is_some() && out == Element { dtype: DType::I32, quantization: None },
                "it makes f32 or quantized int8 into int32",
            ),
            Op::Slice(_)
            | Op::Gather { .. }
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Tile(_)
            | Op::Pad { .. } => {
                (given == out, "it must keep the type and rule of what it is given")
            }
            Op::Concat { .. } => (
                inputs.iter().all(|&id| self.may_join(id, out)),
                "it joins elements of one type, and rule unless they are int8",
            ),
            _ => return self.check_arithmetic(op, inputs, out),
        };
        if possible { Ok(()) } else { Err(else_.into()) }
    }

    fn may_join(&self, id: ValueId, out: Element) -> bool {
        let given = self.element(id);
        given == out || kind(given).is_some() && kind(given) == kind(out)
    }

    fn check_arithmetic(&self, op: &Op, inputs: &[ValueId], out: Element) -> Result<(), String> {
        let given = self.element(inputs[0]);
        match [given, out].map(kind) {
            [Some(a), Some(b)] if a == b => self.check_operands(op, inputs, given, out, a),
            _ => Err("its activations must be all f32 or all quantized int8".into()),
        }
    }

    fn check_operands(
        &self,
        op: &Op,
        inputs: &[ValueId],
        given: Element,
        out: Element,
        node: Kind,
    ) -> Result<(), String> {
        let real_only = match op {
            Op::Binary { function, .. } => !function.is_int8(),
            Op::Reduce { by, .. } => *by == Reduction::Product,
            _ => matches!(op, Op::Detect(_)),
        };
        if real_only && node == Kind::I8 {
            return Err("it is for f32 only".into());
        }
        let keeps = match op {
            Op::Reduce { by, .. } => matches!(by, Reduction::Max | Reduction::Min),
            _ => matches!(op, Op::MaxPool(_)),
        };
        if keeps && given != out {
            return Err("it must keep the scale and zero point of what it is given".into());
        }
        match op {
            Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Dense { .. } => {
                self.check_weights(inputs[1], node)?;
                inputs.get(2).map_or(Ok(()), |&b| self.check_bias(b, node))
            }
            _ if inputs.iter().all(|&id| kind(self.element(id)) == Some(node)) => Ok(()),
            _ => Err("its activations must be all f32 or all quantized int8".into()),
        }
    }

    /// Weights of a float node may be computed.
    fn check_weights(&self, id: ValueId, node: Kind) -> Result<(), String> {
        let dtype = self.value(id).spec().dtype;
        let scaled = self.value(id).constant().is_some_and(|c| c.scales().len() > 0);
        match node {
            Kind::F32 if dtype == DType::F32 => Ok(()),
            Kind::I8 if dtype == DType::I8 && scaled => Ok(()),
            Kind::I8 => {
                Err("its weights must be constant int8 with a scale for each channel".into())
            }
            Kind::F32 => Err("its weights must be f32".into()),
        }
    }

    fn check_bias(&self, id: ValueId, node: Kind) -> Result<(), String> {
        let value = self.value(id);
        match (node, value.spec().dtype) {
            (Kind::F32, DType::F32) => Ok(()),
            (Kind::I8, DType::I32) if value.constant().is_some() => Ok(()),
            (Kind::F32, _) => Err("its bias must be f32".into()),
            (Kind::I8, _) => Err("its bias must be constant int32".into()),
        }
    }

    /// The picture, and how many channels come out.
    fn filtered(
        &self,
        inputs: &[ValueId],
        window: &Window,
        groups: u32,
    ) -> Result<([u32; 4], u32), String> {
        let &[n, h, w, c] = picture(&self.value(inputs[0]).spec().shape)?;
        let weights = &self.value(inputs[1]).spec().shape;
        let &[k, kernel_h, kernel_w, depth] = picture(weights)?;
        if window.kernel != [kernel_h, kernel_w] {
            return Err(format!("weights {weights:?} for a window of {:?}", window.kernel));
        }
        if groups == 0 || c % groups != 0 || k % groups != 0 || depth != c / groups {
            return Err(format!("weights {weights:?} for {c} channels in {groups} groups"));
        }
        self.check_bias_shape(inputs, k)?;
        Ok(([n, h, w, c], k))
    }

    fn conv2d(
        &self,
        inputs: &[ValueId],
        window: &Window,
        dilation: [u32; 2],
        groups: u32,
    ) -> Result<Shape, String> {
        let ([n, h, w, c], k) = self.filtered(inputs, window, groups)?;
        let [rows, columns] = places([h, w], window, dilation)?;
        // Whoever lays the border around the picture needs memory for both.
        super::checked_elements(&[n, h + sum(window.rows), w + sum(window.columns), c])?;
        Ok(vec![n, rows, columns, k])
    }

    fn conv_transpose2d(
        &self,
        inputs: &[ValueId],
        window: &Window,
        dilation: [u32; 2],
        groups: u32,
        extra: [u32; 2],
    ) -> Result<Shape, String> {
        let ([n, h, w, _], k) = self.filtered(inputs, window, groups)?;
        check_steps(window, dilation)?;
        let along = |axis: usize, size: u32, cut: [u32; 2]| {
            let spread = u64::from(size - 1) * u64::from(window.stride[axis])
                + u64::from(window.kernel[axis] - 1) * u64::from(dilation[axis])
                + 1
                + u64::from(extra[axis]);
            let rest = spread.checked_sub(u64::from(cut[0]) + u64::from(cut[1]))?;
            u32::try_from(rest).ok().filter(|&rest| rest > 0)
        };
        let reach = |axis: usize| extra[axis] <= MAX_STEP;
        match (along(0, h, window.rows), along(1, w, window.columns)) {
            (Some(rows), Some(columns)) if reach(0) && reach(1) => Ok(vec![n, rows, columns, k]),
            _ => Err(format!("{window:?} leaves nothing of {h} × {w}, or too much")),
        }
    }

    /// Anchors must be constant: they are part of what the network was trained to.
    fn detect(&self, inputs: &[ValueId], detect: &super::Detect) -> Result<Shape, String> {
        let shape = |i: usize| &self.value(inputs[i]).spec().shape[..];
        let (&[1, boxes, 4], &[1, scored, classes], &[anchors, 4]) = (shape(0), shape(1), shape(2))
        else {
            return Err(format!(
                "boxes {:?}, scores {:?}, anchors {:?}",
                shape(0),
                shape(1),
                shape(2)
            ));
        };
        let positive = |d: f32| d.is_finite() && d > 0.0;
        let numbers = detect.divisors.into_iter().all(positive)
            && detect.score.is_finite()
            && detect.overlap.is_finite();
        let few = (1..=1 << 16).contains(&detect.most) && detect.per_class != Some(0);
        if boxes != scored || boxes != anchors || classes > 1 << 16 || !numbers || !few {
            return Err(format!("{detect:?} of {boxes} boxes, {scored} scores, {anchors} anchors"));
        }
        if self.value(inputs[2]).constant().is_none() {
            return Err("its anchors must be constant".into());
        }
        Ok(vec![1, detect.most, 7])
    }

    fn dense(&self, inputs: &[ValueId]) -> Result<Shape, String> {
        let shapes = [0, 1].map(|i| &self.value(inputs[i]).spec().shape[..]);
        let [&[n, c], &[k, depth]] = shapes else {
            return Err(format!("{:?} and weights {:?}: both need two axes", shapes[0], shapes[1]));
        };
        if c != depth {
            return Err(format!("weights {:?} for {c} elements", shapes[1]));
        }
        self.check_bias_shape(inputs, k)?;
        Ok(vec![n, k])
    }

    fn check_bias_shape(&self, inputs: &[ValueId], k: u32) -> Result<(), String> {
        match inputs.get(2).map(|&b| &self.value(b).spec().shape[..]) {
            None => Ok(()),
            Some(&[length]) if length == k => Ok(()),
            Some(shape) => Err(format!("bias {shape:?} for {k} channels")),
        }
    }
}

fn counts(op: &Op) -> std::ops::RangeInclusive<usize> {
    match op {
        Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Dense { .. } => 2..=3,
        Op::Binary { .. } | Op::MatMul => 2..=2,
        Op::Select | Op::Detect(_) => 3..=3,
        Op::Concat { .. } => 1..=MAX_INPUTS,
        _ => 1..=1,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    F32,
    I8,
}

/// The kind of an activation; `None` where it can be none.
fn kind(element: Element) -> Option<Kind> {
    match (element.dtype, element.quantization) {
        (DType::F32, None) => Some(Kind::F32),
        (DType::I8, Some(_)) => Some(Kind::I8),
        _ => None,
    }
}

fn check_clamp(Clamp { low, high }: Clamp) -> Result<(), String> {
    if low <= high && low < f32::INFINITY && high > f32::NEG_INFINITY {
        return Ok(());
    }
    Err(format!("it clamps to {low}..={high}"))
}

fn picture(shape: &[u32]) -> Result<&[u32; 4], String> {
    shape.try_into().map_err(|_| format!("{shape:?} where four axes are needed"))
}

fn pool(shape: &[u32], window: &Window) -> Result<Shape, String> {
    let &[n, h, w, c] = picture(shape)?;
    let border = |[before, after]: [u32; 2], kernel| before.max(after) < kernel;
    if !border(window.rows, window.kernel[0]) || !border(window.columns, window.kernel[1]) {
        return Err(format!("{window:?}: a window must touch the picture"));
    }
    let [h, w] = places([h, w], window, [1; 2])?;
    Ok(vec![n, h, w, c])
}

fn check_steps(window: &Window, dilation: [u32; 2]) -> Result<(), String> {
    let within = |values: &[u32], least| values.iter().all(|v| (least..=MAX_STEP).contains(v));
    let Window { kernel, stride, rows, columns } = window;
    if within(&[*kernel, *stride, dilation].concat(), 1) && within(&[*rows, *columns].concat(), 0) {
        return Ok(());
    }
    Err(format!("{window:?}, dilation {dilation:?}: outside 1..={MAX_STEP}"))
}

/// How many places a window takes along each axis.
fn places(sizes: [u32; 2], window: &Window, dilation: [u32; 2]) -> Result<[u32; 2], String> {
    check_steps(window, dilation)?;
    let Window { kernel, stride, rows, columns } = window;
    let along = |axis: usize, border: [u32; 2]| {
        let size = u64::from(sizes[axis]) + u64::from(border[0]) + u64::from(border[1]);
        let covered = u64::from(kernel[axis] - 1) * u64::from(dilation[axis]) + 1;
        let steps = size.checked_sub(covered)? / u64::from(stride[axis]);
        u32::try_from(steps + 1).ok()
    };
    match (along(0, *rows), along(1, *columns)) {
        (Some(h), Some(w)) => Ok([h, w]),
        _ => Err(format!("{window:?}, dilation {dilation:?}, is larger than {sizes:?}")),
    }
}

fn sum([before, after]: [u32; 2]) -> u32 {
    before + after
}
