//! Windows that slide over one or two axes, and pools.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Reduction, Span, ValueId, Window};

use super::{Importer, size};
use crate::builder::{Live, Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// A window in the file's words; one to three axes.
pub(super) struct Frame {
    pub kernel: Vec<u32>,
    pub stride: Vec<u32>,
    pub dilation: Vec<u32>,
    /// Before and after, for each axis.
    pub pads: Vec<[u32; 2]>,
}

/// How a pool is done.
pub(super) struct Pooling {
    pub frame: Frame,
    /// Borders of zeros that count, for each axis.
    counted: Vec<[u32; 2]>,
    greatest: bool,
}

impl Pooling {
    /// That of some of its axes.
    pub fn only(&self, axes: std::ops::Range<usize>) -> Self {
        let counted = self.counted[axes.clone()].to_vec();
        Self { frame: self.frame.only(axes), counted, greatest: self.greatest }
    }

    /// With an axis behind along which nothing is done.
    pub fn with_columns(mut self) -> Self {
        self.counted.push([0; 2]);
        Self { frame: self.frame.with_columns(), ..self }
    }

    pub fn is_nothing(&self) -> bool {
        self.frame.is_nothing() && self.counted.iter().all(|p| *p == [0; 2])
    }
}

impl Importer<'_> {
    pub(super) fn window(&mut self, at: usize, op: &str) -> Result<Option<Value>, Refusal> {
        Ok(Some(match op {
            "Conv" => self.float_conv(at)?,
            "ConvTranspose" => self.conv_transpose(at)?,
            "MaxPool" | "AveragePool" => {
                let (x, out) = (self.value(at, 0)?, self.out(at));
                self.pool(at, &out, &x, op == "MaxPool")?
            }
            "MaxUnpool" => self.max_unpool(at)?,
            "LpPool" => self.lp_pool(at)?,
            "GlobalAveragePool" => {
                let (x, out) = (self.value(at, 0)?, self.out(at));
                self.global_mean(&out, &x)?
            }
            "GlobalMaxPool" => {
                let (x, out) = (self.value(at, 0)?, self.out(at));
                let rank = self.build.value_shape(&x).len();
                self.reduced(&out, &x, Reduction::Max, (2..rank).collect())?
            }
            "BatchNormalization" => self.batch_norm(at)?,
            "Gemm" => self.gemm(at)?,
            "MatMul" => {
                let (a, b, out) = (self.value(at, 0)?, self.value(at, 1)?, self.out(at));
                self.mat_mul(&out, &a, &b, None)?
            }
            _ => return Ok(None),
        }))
    }

    /// Gives x as a picture, channels last, to `f`; and what that makes back in the file's order.
    pub(super) fn on_picture(
        &mut self,
        x: &Value,
        f: impl FnOnce(&mut Self, ValueId) -> Result<ValueId, Refusal>,
    ) -> Result<Value, Refusal> {
        let live = match x {
            Value::Live(live) => live.clone(),
            Value::Host(host) => {
                let id = self.build.constant(host)?;
                self.build.plain(id)
            }
        };
        match live.order.len() {
            4 => {
                let order = vec![0, 2, 3, 1];
                let id = self.build.arranged(&live, &order)?;
                Ok(Value::Live(Live { id: f(self, id)?, order }))
            }
            3 => {
                let order = vec![0, 2, 1];
                let id = self.build.arranged(&live, &order)?;
                let [n, l, c] = self.build.shape(id)[..] else { return Err(wrong("three axes")) };
                let id = self.build.keep("", Op::Reshape(vec![n, 1, l, c]), &[id])?;
                let made = f(self, id)?;
                let shape = self.build.shape(made);
                let flat = vec![shape[0], shape[1] * shape[2], shape[3]];
                let id = self.build.keep("", Op::Reshape(flat), &[made])?;
                Ok(Value::Live(Live { id, order }))
            }
            rank => {
                Err(unsupported(format!("an input of {rank} axes: one or two spatial ones are")))
            }
        }
    }

    /// The node's window over `x`; `ceil` lets the last one reach beyond.
    pub(super) fn frame(
        &self,
        at: usize,
        x: &[u32],
        kernel: &[u32],
        pool: bool,
    ) -> Result<Frame, Refusal> {
        let kernel: Vec<u32> = match self.ints(at, "kernel_shape") {
            Some(list) => list.into_iter().map(size).collect::<Result<_, _>>()?,
            None => kernel.to_vec(),
        };
        let rank = kernel.len();
        if !(1..=3).contains(&rank) || x.len() != rank + 2 {
            return Err(unsupported(format!("{rank} spatial axes: one to three are")));
        }
        let list = |name: &str| -> Result<Vec<u32>, Refusal> {
            let list = self.ints(at, name).unwrap_or_else(|| vec![1; rank]);
            list.into_iter().map(size).collect()
        };
        let (stride, dilation) = (list("strides")?, list("dilations")?);
        if stride.len() != rank
            || dilation.len() != rank
            || stride.contains(&0)
            || kernel.contains(&0)
        {
            return Err(wrong("its strides or dilations do not fit its kernel"));
        }
        let mut frame = Frame { kernel, stride, dilation, pads: Vec::new() };
        frame.pads = self.pads(at, &x[2..], &frame)?;
        if pool && self.int(at, "ceil_mode", 0) != 0 {
            frame.reach(&x[2..]);
        }
        Ok(frame)
    }

    fn pads(&self, at: usize, sizes: &[u32], frame: &Frame) -> Result<Vec<[u32; 2]>, Refusal> {
        let rank = sizes.len();
        let auto = self.text(at, "auto_pad", "NOTSET");
        if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
            let one = |axis: usize| {
                let covered =
                    u64::from(frame.kernel[axis] - 1) * u64::from(frame.dilation[axis]) + 1;
                let places = u64::from(sizes[axis].div_ceil(frame.stride[axis]));
                let needed = (places - 1) * u64::from(frame.stride[axis]) + covered;
                let missing =
                    u32::try_from(needed.saturating_sub(sizes[axis].into())).unwrap_or(u32::MAX);
                let half = missing / 2;
                if auto == "SAME_UPPER" { [half, missing - half] } else { [missing - half, half] }
            };
            return Ok((0..rank).map(one).collect());
        }
        let pads =
            self.ints(at, "pads").filter(|_| auto != "VALID").unwrap_or_else(|| vec![0; 2 * rank]);
        if pads.len() != 2 * rank {
            return Err(wrong("its pads do not fit its kernel"));
        }
        if pads.iter().any(|&p| p < 0) {
            return Err(unsupported("negative pads"));
        }
        (0..rank).map(|axis| Ok([size(pads[axis])?, size(pads[axis + rank])?])).collect()
    }

    pub(super) fn pool(
        &mut self,
        at: usize,
        out: &Out,
        x: &Value,
        greatest: bool,
    ) -> Result<Value, Refusal> {
        let shape = self.build.value_shape(x);
        let mut frame = self.frame(at, &shape, &[], true)?;
        if !greatest && frame.dilation.iter().any(|&d| d != 1) {
            return Err(unsupported("dilations"));
        }
        let counted = !greatest && self.int(at, "count_include_pad", 0) != 0;
        let inner = self.pads(at, &shape[2..], &frame)?;
        let mut borders = vec![[0; 2]; inner.len()];
        if counted && inner.iter().any(|p| *p != [0; 2]) {
            for (frame, inner) in frame.pads.iter_mut().zip(&inner) {
                *frame = [0, frame[1].saturating_sub(inner[1])];
            }
            borders = inner;
        }
        let places = self.node(at).outputs.get(1).filter(|name| greatest && self.is_read(name));
        if let Some(name) = places {
            let places = self.pool_places(at, x, &frame)?;
            self.values.insert(name.clone(), places);
        }
        let pooling = Pooling { frame, counted: borders, greatest };
        if pooling.frame.kernel.len() == 3 {
            return self.volume_pool(out, x, &pooling);
        }
        self.slide(out, x, &pooling)
    }

    /// A pool over one or two axes.
    pub(super) fn slide(
        &mut self,
        out: &Out,
        x: &Value,
        pooling: &Pooling,
    ) -> Result<Value, Refusal> {
        let (window, dilation) = pooling.frame.flat()?;
        let borders = match pooling.counted[..] {
            [columns] => [[0; 2], columns],
            [rows, columns] => [rows, columns],
            _ => return Err(unsupported("three spatial axes")),
        };
        self.on_picture(x, |this, mut x| {
            if borders != [[0; 2]; 2] {
                let borders = vec![[0; 2], borders[0], borders[1], [0; 2]];
                x = this.build.keep("", Op::Pad { borders, value: 0.0 }, &[x])?;
            }
            if pooling.greatest {
                let x = if this.build.is_int8(x) { x } else { this.build.real(x)? };
                if dilation != [1; 2] {
                    return this.dilated_max(x, &window, dilation);
                }
                return this.build.keep(&out.name, Op::MaxPool(window), &[x]);
            }
            this.build.compute(out, Op::AveragePool(window), &[x])
        })
    }

    /// The greatest of what each tap of the window sees: along columns first, then along rows.
    fn dilated_max(
        &mut self,
        x: ValueId,
        window: &Window,
        dilation: [u32; 2],
    ) -> Result<ValueId, Refusal> {
        let borders = vec![[0; 2], window.rows, window.columns, [0; 2]];
        let mut x = self.build.keep("", Op::Pad { borders, value: f32::MIN }, &[x])?;
        for axis in [1, 0] {
            let shape = self.build.shape(x);
            let [kernel, stride] = [window.kernel[axis], window.stride[axis]];
            let covered = (kernel - 1).checked_mul(dilation[axis]);
            let rest = covered.and_then(|covered| shape[axis + 1].checked_sub(covered + 1));
            let count = rest.ok_or_else(|| wrong("a window larger than its picture"))? / stride + 1;
            let mut greatest = None;
            for tap in 0..kernel {
                let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
                let step = i32::try_from(stride).map_err(|_| wrong("its strides"))?;
                spans[axis + 1] = Span { start: tap * dilation[axis], step, count };
                let seen = self.build.keep("", Op::Slice(spans), &[x])?;
                let both = Op::Binary { function: Pair::Max, clamp: Clamp::NONE };
                greatest = Some(match greatest {
                    None => seen,
                    Some(before) => self.build.keep("", both, &[before, seen])?,
                });
            }
            x = greatest.ok_or_else(|| wrong("a window of nothing"))?;
        }
        Ok(x)
    }

    /// (Σ |x|^p)^(1 ÷ p) under a window, of zeros outside the picture.
    fn lp_pool(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, out) = (self.value(at, 0)?, self.out(at));
        let shape = self.build.value_shape(&x);
        let frame = self.frame(at, &shape, &[], true)?;
        if frame.dilation.iter().any(|&d| d != 1) {
            return Err(unsupported("dilations"));
        }
        #[expect(clippy::cast_precision_loss, reason = "an exponent")]
        let power = self.int(at, "p", 2) as f32;
        let (mut window, _) = frame.flat()?;
        let borders = vec![[0; 2], window.rows, window.columns, [0; 2]];
        (window.rows, window.columns) = ([0; 2], [0; 2]);
        #[expect(clippy::cast_precision_loss, reason = "a window's size")]
        let count = window.kernel.iter().product::<u32>() as f32;
        self.on_picture(&x, |this, x| {
            let x = this.build.real(x)?;
            let unary = |this: &mut Self, name: &str, function, x| {
                this.build.keep(name, Op::Unary(function), &[x])
            };
            let positive = unary(this, "", Function::Abs, x)?;
            let raised = unary(this, "", Function::Power(power), positive)?;
            let wide = this.build.keep("", Op::Pad { borders, value: 0.0 }, &[raised])?;
            let mean = this.build.keep("", Op::AveragePool(window), &[wide])?;
            let count = this.build.constant(&Host::floats(vec![1; 4], vec![count]))?;
            let product = Op::Binary { function: Pair::Mul, clamp: Clamp::NONE };
            let sum = this.build.keep("", product, &[mean, count])?;
            unary(this, &out.name, Function::Power(1.0 / power), sum)
        })
    }
}

impl Frame {
    /// That of some of its axes.
    pub fn only(&self, axes: std::ops::Range<usize>) -> Self {
        Self {
            kernel: self.kernel[axes.clone()].to_vec(),
            stride: self.stride[axes.clone()].to_vec(),
            dilation: self.dilation[axes.clone()].to_vec(),
            pads: self.pads[axes].to_vec(),
        }
    }

    /// With an axis behind along which it is one element wide.
    pub fn with_columns(mut self) -> Self {
        self.kernel.push(1);
        self.stride.push(1);
        self.dilation.push(1);
        self.pads.push([0; 2]);
        self
    }

    /// Whether it sees each element by itself.
    pub fn is_nothing(&self) -> bool {
        let ones = |of: &[u32]| of.iter().all(|&n| n == 1);
        ones(&self.kernel) && ones(&self.stride) && self.pads.iter().all(|p| *p == [0; 2])
    }

    /// In two axes.
    pub fn flat(&self) -> Result<(Window, [u32; 2]), Refusal> {
        let two = |of: &[u32]| if let &[one] = of { [1, one] } else { [of[0], of[1]] };
        let [rows, columns] = match self.pads[..] {
            [columns] => [[0; 2], columns],
            [rows, columns] => [rows, columns],
            _ => return Err(unsupported("three spatial axes")),
        };
        let window = Window { kernel: two(&self.kernel), stride: two(&self.stride), rows, columns };
        Ok((window, two(&self.dilation)))
    }

    /// Adds behind what the last window needs to begin within the picture.
    fn reach(&mut self, sizes: &[u32]) {
        for (axis, &size) in sizes.iter().enumerate() {
            let covered = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            let [before, after] = self.pads[axis];
            let whole = size + before + after;
            if whole < covered {
                continue;
            }
            let mut places = (whole - covered).div_ceil(self.stride[axis]) + 1;
            if (places - 1) * self.stride[axis] >= size + before {
                places -= 1;
            }
            let needed = (places - 1) * self.stride[axis] + covered;
            self.pads[axis][1] = after.max(needed.saturating_sub(size + before));
        }
    }
}
