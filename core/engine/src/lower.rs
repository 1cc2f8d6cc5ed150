//! From nodes to steps.
mod general;
mod moves;
mod pairs;
mod real;
mod transposed;

use std::ops::Range;

use edgemill_kernels::int8::{
    Addend, Border, Convolution, Depthwise, Kernel, MAX_MEMBERS, Mean, Output, Pool, SLACK,
    quantized,
};
use edgemill_model::graph::{Clamp, Graph, Node, Op, ValueId, Window};
use edgemill_model::tensor::{DType, Quantization};

use crate::EngineError;
use crate::arena::{Arena, LINE, Slot};
use crate::pack::{Packing, Shape, rule};
use crate::step::{Buffer, Convolve, Images, Step, Work};

/// A graph as steps; buffers are not placed yet.
#[derive(Default)]
pub(crate) struct Lowered {
    pub steps: Vec<Step>,
    pub packings: Vec<Packing>,
    /// The buffer of each value; none for weights.
    pub slots: Vec<Option<Slot>>,
    /// Those that are read as activations.
    pub constants: Vec<ValueId>,
    pub weights_bytes: usize,
    pub arena: Arena,
}

pub(crate) fn lower(graph: &Graph<'_>, kernel: &dyn Kernel) -> Result<Lowered, EngineError> {
    let slots = vec![None; graph.values().len()];
    let out = Lowered { slots, ..Lowered::default() };
    let mut lowering = Lowering { graph, kernel, readers: readers(graph), out };
    for id in graph.inputs() {
        lowering.give_buffer(id);
    }
    for (id, node) in graph.nodes() {
        // A pool that its convolution has made along with itself has a buffer already.
        if lowering.out.slots[id.index()].is_none() {
            lowering.node(id, node)?;
        }
    }
    let end = lowering.out.steps.len();
    for id in graph.outputs() {
        let slot = lowering.out.slots[id.index()].expect("an output is a node's");
        lowering.out.arena.keep(slot, end);
    }
    Ok(lowering.out)
}

/// Who reads a value.
#[derive(Clone, Copy)]
enum Readers {
    None,
    /// The node that makes this value.
    One(ValueId),
    /// Several nodes, or who takes the graph's outputs.
    Many,
}

fn readers(graph: &Graph<'_>) -> Vec<Readers> {
    let mut readers = vec![Readers::None; graph.values().len()];
    for (id, node) in graph.nodes() {
        for input in &node.inputs {
            let known = &mut readers[input.index()];
            *known = if matches!(known, Readers::None) { Readers::One(id) } else { Readers::Many };
        }
    }
    for output in graph.outputs() {
        readers[output.index()] = Readers::Many;
    }
    readers
}

struct Lowering<'g> {
    graph: &'g Graph<'g>,
    kernel: &'g dyn Kernel,
    readers: Vec<Readers>,
    out: Lowered,
}

impl Lowering<'_> {
    fn node(&mut self, id: ValueId, node: &Node) -> Result<(), EngineError> {
        if self.real(id, node)? {
            return Ok(());
        }
        self.check_int8(id, node)?;
        let x = node.inputs[0];
        match &node.op {
            Op::Conv2d { window, dilation, groups, clamp } => {
                self.convolution(id, node, window, *dilation, *groups as usize, *clamp)?;
            }
            Op::Dense { clamp } => self.dense(id, node, *clamp)?,
            Op::MaxPool(window) => {
                let (pool, images) = self.pool(id, x, window);
                self.step(id, &[x], Work::MaxPool { pool, images })?;
            }
            Op::AveragePool(window) => {
                let (pool, images) = self.pool(id, x, window);
                let mean = self.mean(id, x);
                self.step(id, &[x], Work::AveragePool { pool, mean, images })?;
            }
            Op::Reshape(_) => self.out.slots[id.index()] = Some(self.slot(x)),
            Op::ConvTranspose2d { .. } => self.transposed(id, node),
            Op::Concat { axis } => self.concat(id, node, usize::from(*axis))?,
            Op::Quantize | Op::Dequantize | Op::Cast => self.converted(id, node)?,
            _ if self.moved(id, node)? => {}
            _ => self.computed(id, node)?,
        }
        Ok(())
    }

    fn computed(&mut self, id: ValueId, node: &Node) -> Result<(), EngineError> {
        let x = node.inputs[0];
        match &node.op {
            Op::Binary { function, clamp } => self.binary(id, node, *function, *clamp),
            Op::Unary(function) => {
                let function = *function;
                let table = self.table_of(id, x, Clamp::NONE, |real| function.apply(real));
                self.translate(id, x, table)
            }
            Op::Clamp(clamp) => {
                let table = self.table_of(id, x, *clamp, |real| real);
                self.translate(id, x, table)
            }
            Op::Select => self.select(id, node),
            Op::MatMul => self.mat_mul(id, node),
            Op::Softmax => self.softmax(id, x),
            Op::LogSoftmax => self.log_softmax(id, x),
            Op::Reduce { by, axes } => self.reduce(id, x, *by, axes),
            Op::ArgMax { axis, least, last } => self.arg_max(id, x, *axis, [*least, *last]),
            Op::Resize { step, origin, .. } => self.resize(id, x, *step, *origin),
            _ => Err(EngineError::Unsupported(self.graph.value(id).name().into())),
        }
    }

    fn check_int8(&self, id: ValueId, node: &Node) -> Result<(), EngineError> {
        let real = |id: ValueId| self.dtype(id) == DType::F32;
        let any_type = matches!(
            node.op,
            Op::Quantize
                | Op::Dequantize
                | Op::Cast
                | Op::ArgMax { .. }
                | Op::Concat { .. }
                | Op::Slice(_)
                | Op::Gather { .. }
                | Op::Reshape(_)
                | Op::Transpose(_)
                | Op::Tile(_)
                | Op::Pad { .. }
        );
        if !any_type && (real(node.inputs[0]) || real(id)) {
            return Err(EngineError::Float(self.graph.value(id).name().into()));
        }
        Ok(())
    }

    fn mean(&self, id: ValueId, x: ValueId) -> Mean {
        let ratio = f64::from(self.rule(x).scale) / f64::from(self.rule(id).scale);
        let (zero_point, output) = (self.rule(x).zero_point, self.output(id, Clamp::NONE));
        Mean { zero_point, ratio, output }
    }

    fn convolution(
        &mut self,
        id: ValueId,
        node: &Node,
        window: &Window,
        dilation: [u32; 2],
        groups: usize,
        clamp: Clamp,
    ) -> Result<(), EngineError> {
        let x = node.inputs[0];
        let [batch, height, width, channels] = self.picture(x);
        let depthwise = groups > 1 && groups == channels && groups == self.picture(id)[3];
        let pool = self.pool_of(id).filter(|_| !depthwise);
        let (made, pool) = pool.unwrap_or((id, Window::valid(1, 1)));
        let [_, out_height, out_width, out_channels] = self.picture(made);
        let border = border(window, height, width * channels, channels);
        let input = self.padded(id, x, border, batch)?;
        let taps = Taps::new(window, dilation, channels, groups, border.wide_row());
        let down = window.stride[0] as usize * border.wide_row();
        let right = window.stride[1] as usize * channels;
        let job = Convolution {
            height: out_height,
            width: out_width,
            row_step: pool.stride[0] as usize * down,
            column_step: pool.stride[1] as usize * right,
            members: places(pool.kernel, down, right).collect(),
            offsets: taps.offsets,
            segment: taps.segment,
            channels: out_channels / groups,
            pixel_step: out_channels,
            out_row_step: out_width * out_channels,
            output: self.output(id, clamp),
            two_products_fit: self.two_products_fit(node),
        };
        let output = out_height * out_width * out_channels;
        let images = Images { batch, input: border.bytes(), output };
        let depth = channels / groups;
        let work = if depthwise {
            self.depthwise(id, &job, window, dilation, border.wide_row(), images)
        } else {
            self.convolve(
                id,
                Convolve { job, groups, depth, packed: 0..0, images, parts: Vec::new() },
            )
        };
        self.step_from(made, vec![input], work);
        Ok(())
    }

    /// The max pool that can be made along with the convolution `id`: the only reader, of whole small windows that do
    /// not overlap.
    fn pool_of(&self, id: ValueId) -> Option<(ValueId, Window)> {
        let Readers::One(pool) = self.readers[id.index()] else { return None };
        let Op::MaxPool(window) = self.graph.value(pool).node()?.op else { return None };
        let [rows, columns] = window.kernel;
        let small = (rows as usize).saturating_mul(columns as usize) <= MAX_MEMBERS;
        let apart = window.stride[0] >= rows && window.stride[1] >= columns;
        let whole = [window.rows, window.columns] == [[0; 2]; 2];
        (small && apart && whole).then_some((pool, window))
    }

    fn depthwise(
        &mut self,
        id: ValueId,
        job: &Convolution,
        window: &Window,
        dilation: [u32; 2],
        row: usize,
        images: Images,
    ) -> Work {
        let channels = job.pixel_step;
        let [down, right] = dilation.map(|d| d as usize);
        let mut taps = window.kernel.map(|k| k as usize);
        let mut tap_steps = [down * row, right * channels];
        // A kernel takes taps below each other in groups: those of a single row lie as if below each other.
        if taps[0] == 1 {
            taps.reverse();
            tap_steps.reverse();
        }
        let job = Depthwise {
            height: job.height,
            width: job.width,
            row_step: job.row_step,
            column_step: job.column_step,
            taps,
            tap_steps,
            channels,
            pixel_step: job.pixel_step,
            out_row_step: job.out_row_step,
            output: job.output,
        };
        let bytes = self.kernel.depthwise_bytes(&job);
        let packed = self.pack(id, Shape::Depthwise(job.clone()), bytes);
        Work::Depthwise { job, packed, images, parts: Vec::new() }
    }

    fn dense(&mut self, id: ValueId, node: &Node, clamp: Clamp) -> Result<(), EngineError> {
        let shape = &self.graph.value(node.inputs[0]).spec().shape;
        let (batch, elements) = (shape[0] as usize, shape[1] as usize);
        let channels = self.graph.value(id).spec().shape[1] as usize;
        let job = Convolution {
            height: batch,
            width: 1,
            row_step: elements,
            column_step: 0,
            members: vec![0],
            offsets: vec![0],
            segment: elements,
            channels,
            pixel_step: channels,
            out_row_step: channels,
            output: self.output(id, clamp),
            two_products_fit: self.two_products_fit(node),
        };
        let images = Images { batch: 1, input: batch * elements, output: batch * channels };
        let whole =
            Convolve { job, groups: 1, depth: elements, packed: 0..0, images, parts: Vec::new() };
        let work = self.convolve(id, whole);
        self.step(id, &node.inputs[..1], work)
    }

    fn convolve(&mut self, id: ValueId, work: Convolve) -> Work {
        let Convolution { channels, segment, ref offsets, .. } = work.job;
        let (groups, segments) = (work.groups, offsets.len());
        let bytes = self.kernel.panels().packed_bytes(channels, segments, segment);
        let shape = Shape::Dense { groups, channels, segments, segment };
        Work::Convolve(Convolve { packed: self.pack(id, shape, groups * bytes), ..work })
    }

    fn two_products_fit(&self, node: &Node) -> bool {
        let weights = self.graph.value(node.inputs[1]).constant();
        weights.is_some_and(|weights| !weights.data().contains(&0x80))
    }

    /// The buffer of `x` with its border, which is the buffer itself where there is none.
    fn padded(
        &mut self,
        id: ValueId,
        x: ValueId,
        border: Border,
        batch: usize,
    ) -> Result<Buffer, EngineError> {
        let input = self.buffer(x);
        if border.bytes() == border.height * border.row {
            return Ok(input);
        }
        let step = self.out.steps.len();
        let bytes = batch * border.bytes();
        let wide = unplaced(self.out.arena.take(bytes + SLACK, step), bytes);
        let fill = low8(self.rule(x).zero_point);
        self.push(Step {
            value: id,
            work: Work::Pad { border, fill, batch },
            inputs: vec![input],
            output: wide,
        });
        Ok(wide)
    }

    fn pool(&self, id: ValueId, x: ValueId, window: &Window) -> (Pool, Images) {
        let [batch, height, width, channels] = self.picture(x);
        let [_, out_height, out_width, _] = self.picture(id);
        let pool = Pool {
            size: [height, width],
            places: [out_height, out_width],
            channels,
            kernel: window.kernel.map(|k| k as usize),
            stride: window.stride.map(|s| s as usize),
            border: [window.rows[0] as usize, window.columns[0] as usize],
        };
        let input = height * width * channels;
        (pool, Images { batch, input, output: out_height * out_width * channels })
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 once, which is meant")]
    fn addend(&self, x: ValueId, sum: ValueId) -> Addend {
        let Quantization { scale, zero_point } = self.rule(x);
        Addend { zero_point, ratio: (f64::from(scale) / f64::from(self.rule(sum).scale)) as f32 }
    }

    /// Elements of `x` by the rule of `id`: themselves where it is the same.
    fn table(&self, id: ValueId, x: ValueId) -> Box<[u8; 256]> {
        let same =
            self.graph.value(id).spec().quantization == self.graph.value(x).spec().quantization;
        if same && self.dtype(id) == self.dtype(x) {
            let own = |byte| u8::try_from(byte).expect("a table has 256 entries");
            return Box::new(std::array::from_fn(own));
        }
        self.table_of(id, x, Clamp::NONE, |real| real)
    }

    /// What depends on a single byte is a table.
    fn table_of(
        &self,
        id: ValueId,
        x: ValueId,
        clamp: Clamp,
        function: impl Fn(f32) -> f32,
    ) -> Box<[u8; 256]> {
        let (given, output) = (self.rule(x), self.output(id, clamp));
        let scale = self.rule(id).scale;
        let signed = self.dtype(x) == DType::I8;
        let flip = self.kernel.flip();
        // A byte of 0 to 255 is an element 128 below it, flipped.
        let flip_out = if self.dtype(id) == DType::I8 { flip } else { 0x80 };
        Box::new(std::array::from_fn(|byte| {
            let byte = u8::try_from(byte).expect("a table has 256 entries");
            let element = if signed { i16::from((byte ^ flip).cast_signed()) } else { byte.into() };
            let steps = i32::from(element) - given.zero_point;
            let real = f32::from(i16::try_from(steps).expect("at most 510")) * given.scale;
            quantized(function(real), scale, output).cast_unsigned() ^ flip_out
        }))
    }

    /// Exponentials of each number of steps below the greatest.
    #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 once, which is meant")]
    fn powers(&self, x: ValueId) -> Box<[f32; 256]> {
        let step = f64::from(self.rule(x).scale);
        let power = |d: usize| {
            let steps = u8::try_from(d).expect("a table has 256 entries");
            libm::exp(-f64::from(steps) * step) as f32
        };
        Box::new(std::array::from_fn(power))
    }

    fn softmax(&mut self, id: ValueId, x: ValueId) -> Result<(), EngineError> {
        let axis = self.graph.value(x).spec().shape.last().map_or(1, |&d| d as usize);
        let table = self.powers(x);
        let (scale, output) = (self.rule(id).scale, self.output(id, Clamp::NONE));
        self.step(id, &[x], Work::Softmax { axis, table, scale, output })
    }

    /// Adds a step that makes `id` of `inputs`.
    fn step(&mut self, id: ValueId, inputs: &[ValueId], work: Work) -> Result<(), EngineError> {
        let inputs = inputs.iter().map(|&x| self.buffer(x)).collect();
        self.step_from(id, inputs, work);
        Ok(())
    }

    fn step_from(&mut self, id: ValueId, inputs: Vec<Buffer>, work: Work) {
        let slot = self.give_buffer(id);
        let output = unplaced(slot, self.graph.value(id).spec().bytes());
        self.step_into(id, inputs, work, output);
    }

    fn step_into(&mut self, id: ValueId, mut inputs: Vec<Buffer>, work: Work, output: Buffer) {
        for input in &mut inputs {
            input.bytes += work.slack();
        }
        self.push(Step { value: id, work, inputs, output });
    }

    /// A buffer for what only the next steps need.
    fn scratch(&mut self, bytes: usize) -> Buffer {
        let slot = self.out.arena.take(bytes + SLACK, self.out.steps.len());
        unplaced(slot, bytes)
    }

    fn push(&mut self, step: Step) {
        let number = self.out.steps.len();
        for buffer in step.inputs.iter().chain([&step.output]) {
            self.out.arena.keep(buffer.slot, number);
        }
        self.out.steps.push(step);
    }

    fn give_buffer(&mut self, id: ValueId) -> Slot {
        let bytes = self.graph.value(id).spec().bytes() + SLACK;
        let slot = self.out.arena.take(bytes, self.out.steps.len());
        self.out.slots[id.index()] = Some(slot);
        slot
    }

    fn pack(&mut self, node: ValueId, shape: Shape, bytes: usize) -> Range<usize> {
        let start = self.out.weights_bytes;
        let range = start..start + bytes;
        self.out.weights_bytes = range.end.next_multiple_of(LINE);
        self.out.packings.push(Packing { node, shape, turned: false, range: range.clone() });
        range
    }

    /// The buffer of a value; a constant that is read as an activation gets one for the whole run.
    fn slot(&mut self, x: ValueId) -> Slot {
        if let Some(slot) = self.out.slots[x.index()] {
            return slot;
        }
        let slot = self.out.arena.take(self.graph.value(x).spec().bytes() + SLACK, 0);
        self.out.arena.keep(slot, usize::MAX);
        self.out.slots[x.index()] = Some(slot);
        self.out.constants.push(x);
        slot
    }

    fn buffer(&mut self, x: ValueId) -> Buffer {
        unplaced(self.slot(x), self.graph.value(x).spec().bytes())
    }

    fn dtype(&self, id: ValueId) -> DType {
        self.graph.value(id).spec().dtype
    }

    fn rule(&self, id: ValueId) -> Quantization {
        rule(self.graph, id)
    }

    fn picture(&self, id: ValueId) -> [usize; 4] {
        let shape = &self.graph.value(id).spec().shape;
        std::array::from_fn(|axis| shape[axis] as usize)
    }

    /// What may come out of a node that clamps real numbers.
    fn output(&self, id: ValueId, clamp: Clamp) -> Output {
        let Quantization { scale, zero_point } = self.rule(id);
        // Bytes of 0 to 255 are elements 128 below them.
        let below = if self.dtype(id) == DType::U8 { 128 } else { 0 };
        let zero_point = zero_point - below;
        let element = |real: f32| {
            let steps = (f64::from(real) / f64::from(scale)).round_ties_even();
            steps.clamp(-1e6, 1e6) + f64::from(zero_point)
        };
        Output::new(zero_point, whole(element(clamp.low)), whole(element(clamp.high)))
    }
}

/// Where the taps of a window lie in a picture with its border.
struct Taps {
    offsets: Vec<usize>,
    segment: usize,
}

impl Taps {
    /// A row of taps is one segment where they are neighbours; else every tap is one.
    fn new(
        window: &Window,
        dilation: [u32; 2],
        channels: usize,
        groups: usize,
        row: usize,
    ) -> Self {
        let [rows, columns] = window.kernel.map(|k| k as usize);
        let [down, right] = dilation.map(|d| d as usize);
        if groups == 1 && (right == 1 || columns == 1) {
            let offsets = (0..rows).map(|y| y * down * row).collect();
            return Self { offsets, segment: columns * channels };
        }
        let offsets = places(window.kernel, down * row, right * channels).collect();
        Self { offsets, segment: channels / groups }
    }
}

/// Bytes from the first place of a window to each, row by row.
fn places([rows, columns]: [u32; 2], down: usize, right: usize) -> impl Iterator<Item = usize> {
    let (rows, columns) = (rows as usize, columns as usize);
    (0..rows).flat_map(move |y| (0..columns).map(move |x| y * down + x * right))
}

fn border(window: &Window, height: usize, row: usize, channels: usize) -> Border {
    let [above, below] = window.rows.map(|n| n as usize);
    let [before, after] = window.columns.map(|n| n as usize * channels);
    Border { height, row, above, below, before, after }
}

fn unplaced(slot: Slot, bytes: usize) -> Buffer {
    Buffer { slot, start: 0, bytes }
}

#[expect(clippy::cast_possible_truncation, reason = "a zero point is within -128..=127")]
fn low8(zero_point: i32) -> u8 {
    (zero_point as i8).cast_unsigned()
}

#[expect(clippy::cast_possible_truncation, reason = "held within ±2·10⁶")]
fn whole(value: f64) -> i32 {
    value as i32
}
