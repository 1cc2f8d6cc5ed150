//! From nodes to steps.
mod borders;
mod convolution;
mod general;
mod moves;
mod pairs;
mod real;
mod rules;
mod transposed;

use std::ops::Range;

use edgemill_kernels::int8::{Border, Kernel, Mean, Pool, SLACK};
use edgemill_model::graph::{Clamp, Graph, Node, Op, ValueId, Window};
use edgemill_model::tensor::{DType, Quantization};

pub(crate) use rules::output;

use crate::EngineError;
use crate::arena::{Arena, LINE, Slot};
use crate::pack::{Packing, Shape, rule};
use crate::step::{Buffer, Images, Step, Work};

/// A graph as steps; buffers are not placed yet.
#[derive(Default)]
pub(crate) struct Lowered {
    pub steps: Vec<Step>,
    pub packings: Vec<Packing>,
    /// The buffer of each value; none for weights.
    pub slots: Vec<Option<Slot>>,
    /// Those that are read as activations.
    pub constants: Vec<ValueId>,
    /// The border with which each input of the graph is made.
    pub borders: Vec<Option<Border>>,
    pub weights_bytes: usize,
    pub arena: Arena,
}

pub(crate) fn lower(graph: &Graph<'_>, kernel: &dyn Kernel) -> Result<Lowered, EngineError> {
    let slots = vec![None; graph.values().len()];
    let out = Lowered { slots, ..Lowered::default() };
    let (readers, borders) = (readers(graph), borders::wanted(graph));
    let mut lowering = Lowering { graph, kernel, readers, borders, out };
    for id in graph.inputs() {
        lowering.give_buffer(id);
        let border = lowering.made_with(id);
        lowering.out.borders.push(border);
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
    /// What [`borders::wanted`] says.
    borders: Vec<Option<Border>>,
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
        self.push(Step { value: id, work, inputs, output, parts: Vec::new() });
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
        let slot = self.out.arena.take(self.bytes(id), self.out.steps.len());
        self.out.slots[id.index()] = Some(slot);
        slot
    }

    fn pack(&mut self, node: ValueId, shape: Shape, bytes: usize) -> Range<usize> {
        let start = self.out.weights_bytes;
        let range = start..start + bytes;
        self.out.weights_bytes = range.end.next_multiple_of(LINE);
        self.out.packings.push(Packing { node, shape, taps: None, range: range.clone() });
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
}

fn unplaced(slot: Slot, bytes: usize) -> Buffer {
    Buffer { slot, skipped: 0, start: 0, bytes }
}

#[expect(clippy::cast_possible_truncation, reason = "a zero point is within -128..=127")]
pub(crate) fn low8(zero_point: i32) -> u8 {
    (zero_point as i8).cast_unsigned()
}

#[expect(clippy::cast_possible_truncation, reason = "held within ±2·10⁶")]
fn whole(value: f64) -> i32 {
    value as i32
}
