//! What a node gives, from what it is given; or why it cannot.
use super::op::{Clamp, Op, Window};
use super::{Constant, DType, Element, Graph, Source, TensorSpec, ValueId};

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
        let counts = match op {
            Op::Conv2d { .. } | Op::Dense { .. } => 2..=3,
            Op::Add { .. } => 2..=2,
            _ => 1..=1,
        };
        if !counts.contains(&inputs.len()) {
            return Err(format!("{} inputs, {counts:?} are taken", inputs.len()));
        }
        let x = self.value(inputs[0]).spec();
        self.check_numbers(op, inputs, element)?;
        match op {
            Op::Conv2d { window, dilation, groups, clamp } => {
                check_clamp(*clamp)?;
                self.conv2d(inputs, window, *dilation, *groups)
            }
            Op::Dense { clamp } => {
                check_clamp(*clamp)?;
                self.dense(inputs)
            }
            Op::MaxPool(window) | Op::AveragePool(window) => pool(&x.shape, window),
            Op::Add { clamp } => {
                check_clamp(*clamp)?;
                let other = &self.value(inputs[1]).spec().shape;
                if *other != x.shape {
                    return Err(format!("it adds {other:?} to {:?}", x.shape));
                }
                Ok(x.shape.clone())
            }
            Op::Clamp(clamp) => check_clamp(*clamp).map(|()| x.shape.clone()),
            Op::Softmax if x.shape.is_empty() => Err("a softmax needs an axis".into()),
            Op::Softmax | Op::Quantize | Op::Dequantize => Ok(x.shape.clone()),
            Op::Reshape(shape) => reshape(x, shape),
        }
    }

    /// Types of the elements that go in and come out.
    fn check_numbers(&self, op: &Op, inputs: &[ValueId], out: Element) -> Result<(), String> {
        let x = self.value(inputs[0]).spec();
        let given = Element { dtype: x.dtype, quantization: x.quantization };
        let kinds = [given, out].map(kind);
        match op {
            Op::Quantize => match kinds {
                [Some(_), Some(Kind::I8)] => Ok(()),
                _ if x.dtype == DType::U8 && x.quantization.is_some() => check_i8(out),
                _ => Err("it makes f32 or quantized bytes into quantized int8".into()),
            },
            Op::Dequantize => match kinds {
                [Some(Kind::I8), Some(Kind::F32)] => Ok(()),
                _ => Err("it makes quantized int8 into f32".into()),
            },
            _ => match kinds {
                [Some(a), Some(b)] if a == b => self.check_operands(op, inputs, given, out, a),
                _ => Err("its activations must be all f32 or all quantized int8".into()),
            },
        }
    }

    fn check_operands(
        &self,
        op: &Op,
        inputs: &[ValueId],
        given: Element,
        out: Element,
        kind_of_node: Kind,
    ) -> Result<(), String> {
        match op {
            Op::Conv2d { .. } | Op::Dense { .. } => {
                self.check_weights(inputs[1], kind_of_node)?;
                inputs.get(2).map_or(Ok(()), |&b| self.check_bias(b, kind_of_node))
            }
            Op::Add { .. } => {
                let b = self.value(inputs[1]).spec();
                let b = Element { dtype: b.dtype, quantization: b.quantization };
                if kind(b) == Some(kind_of_node) {
                    return Ok(());
                }
                Err("its activations must be all f32 or all quantized int8".into())
            }
            Op::MaxPool(_) | Op::Reshape(_) if given != out => {
                Err("it must keep the scale and zero point of what it is given".into())
            }
            _ => Ok(()),
        }
    }

    fn check_weights(&self, id: ValueId, node: Kind) -> Result<(), String> {
        let (spec, constant) = self.constant_of(id, "weights")?;
        let scaled = constant.scales().len() > 0;
        match (node, spec.dtype) {
            (Kind::F32, DType::F32) => Ok(()),
            (Kind::I8, DType::I8) if scaled => Ok(()),
            (Kind::I8, _) => Err("its weights must be int8 with a scale for each channel".into()),
            (Kind::F32, _) => Err("its weights must be f32".into()),
        }
    }

    fn check_bias(&self, id: ValueId, node: Kind) -> Result<(), String> {
        let (spec, _) = self.constant_of(id, "bias")?;
        match (node, spec.dtype) {
            (Kind::F32, DType::F32) | (Kind::I8, DType::I32) => Ok(()),
            (Kind::F32, _) => Err("its bias must be f32".into()),
            (Kind::I8, _) => Err("its bias must be int32".into()),
        }
    }

    fn constant_of(&self, id: ValueId, what: &str) -> Result<(&TensorSpec, &Constant<'_>), String> {
        let value = self.value(id);
        match value.source() {
            Source::Constant(constant) => Ok((value.spec(), constant)),
            _ => Err(format!("its {what} must be a constant")),
        }
    }

    fn conv2d(
        &self,
        inputs: &[ValueId],
        window: &Window,
        dilation: [u32; 2],
        groups: u32,
    ) -> Result<Shape, String> {
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
        let [rows, columns] = places([h, w], window, dilation)?;
        // Whoever lays the border around the picture needs memory for both.
        super::checked_elements(&[n, h + sum(window.rows), w + sum(window.columns), c])?;
        Ok(vec![n, rows, columns, k])
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

fn check_i8(element: Element) -> Result<(), String> {
    match kind(element) {
        Some(Kind::I8) => Ok(()),
        _ => Err("it gives quantized int8".into()),
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

/// How many places a window takes along each axis.
fn places(sizes: [u32; 2], window: &Window, dilation: [u32; 2]) -> Result<[u32; 2], String> {
    let at_most = |values: &[u32], least| values.iter().all(|v| (least..=MAX_STEP).contains(v));
    let Window { kernel, stride, rows, columns } = window;
    if !at_most(&[*kernel, *stride, dilation].concat(), 1)
        || !at_most(&[*rows, *columns].concat(), 0)
    {
        return Err(format!("{window:?}, dilation {dilation:?}: outside 1..={MAX_STEP}"));
    }
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

fn reshape(x: &TensorSpec, shape: &[u32]) -> Result<Shape, String> {
    if super::checked_elements(shape)? != x.elements() {
        return Err(format!("{:?} cannot become {shape:?}", x.shape));
    }
    Ok(shape.to_vec())
}
