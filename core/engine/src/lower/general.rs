//! Nodes that are not convolutions, pools or moves.
use edgemill_kernels::int8::{Addend, Matrices, Output, Pair, Place, Pool, Real, Resize};
use edgemill_model::graph::{Clamp, Node, Op, Pair as Function, Reduction, ValueId};
use edgemill_model::tensor::{DType, Quantization};

use super::Lowering;
use crate::EngineError;
use crate::general::{General, Sums, Two};
use crate::moves::offsets;
use crate::step::{Images, Work};

impl Lowering<'_> {
    pub(super) fn binary(
        &mut self,
        id: ValueId,
        node: &Node,
        function: Function,
        clamp: Clamp,
    ) -> Result<(), EngineError> {
        let sides = [node.inputs[0], node.inputs[1]];
        let (pair, output) = (self.pair(id, sides, function), self.output(id, clamp));
        if self.pair_of_one(id, sides, pair, output) {
            return Ok(());
        }
        let (spread, shapes) = self.spread(id, sides);
        let inputs = [0, 1].map(|side| self.repeated(id, sides[side], &shapes[side]));
        self.step_from(id, inputs.into(), Work::Pairs { pair, spread, output });
        Ok(())
    }

    fn pair(&self, id: ValueId, [a, b]: [ValueId; 2], function: Function) -> Pair {
        let real = |x: ValueId| {
            let Quantization { scale, zero_point } = self.rule(x);
            Addend { zero_point, ratio: scale }
        };
        let scale = self.rule(id).scale;
        let by = match function {
            Function::Add => return Pair::Add(self.addend(a, id), self.addend(b, id)),
            Function::Sub => {
                let b = self.addend(b, id);
                return Pair::Add(self.addend(a, id), Addend { ratio: -b.ratio, ..b });
            }
            Function::Mul => {
                let rules = [self.rule(a), self.rule(b)];
                let zero_points = rules.map(|rule| rule.zero_point);
                return Pair::Multiply { zero_points, multiplier: product(rules, scale) };
            }
            Function::Min => Real::Least,
            Function::Max => Real::Greatest,
            Function::Prelu => Real::Slope,
            _ => Real::Divide,
        };
        Pair::Real { by, sides: [real(a), real(b)], scale }
    }

    /// First b everywhere, then a where the condition holds.
    pub(super) fn select(&mut self, id: ValueId, node: &Node) -> Result<(), EngineError> {
        let [condition, a, b] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let zero_point = self.rule(condition).zero_point;
        let (table_a, table_b) = (self.table(id, a), self.table(id, b));
        let shape = self.shape(id);
        let [condition, a, b] = [condition, a, b].map(|x| self.repeated(id, x, &shape));
        self.step_from(id, vec![b], Work::Translate(table_b));
        let output = self.buffer(id);
        let choose = Two::Choose { zero_point, table: table_a };
        self.step_into(id, vec![condition, a], Work::Two(choose), output);
        Ok(())
    }

    pub(super) fn mat_mul(&mut self, id: ValueId, node: &Node) -> Result<(), EngineError> {
        let [a, b] = [node.inputs[0], node.inputs[1]];
        let rules = [self.rule(a), self.rule(b)];
        let (of_a, of_b, shape) = (self.shape(a), self.shape(b), self.shape(id));
        let before = shape.len() - 2;
        let [rows, depth, columns] =
            [of_a[before], of_a[before + 1], of_b[before + 1]].map(|n| n as usize);
        let places = |of: &[u32], strides: &[usize]| {
            let axis = |i: usize| (shape[i], if of[i] == 1 { 0 } else { strides[i] });
            offsets((0..before).map(axis))
        };
        let sides = [places(&of_a, &self.strides(a)), places(&of_b, &self.strides(b))];
        let matrices = Matrices {
            places: sides[0].iter().zip(&sides[1]).map(|(&a, &b)| [a, b]).collect(),
            rows,
            depth,
            columns,
            zero_points: rules.map(|rule| rule.zero_point),
            multiplier: product(rules, self.rule(id).scale),
            output: self.output(id, Clamp::NONE),
        };
        self.step(id, &[a, b], Work::Matrices(matrices))
    }

    pub(super) fn reduce(
        &mut self,
        id: ValueId,
        x: ValueId,
        by: Reduction,
        axes: &[u8],
    ) -> Result<(), EngineError> {
        if axes == [1, 2] && self.shape(x).len() == 4 {
            if by == Reduction::Mean {
                return self.mean_of_picture(id, x);
            }
            if by == Reduction::Max {
                let (pool, images) = self.whole_picture(x);
                return self.step(id, &[x], Work::MaxPool { pool, images });
            }
        }
        let (kept, reduced) = self.split(x, axes);
        let (given, scale) = (self.rule(x), f64::from(self.rule(id).scale));
        let ratio = f64::from(given.scale) / scale;
        let ratio = if by == Reduction::Mean { ratio / real(reduced.len()) } else { ratio };
        let sums = self.sums(id, given.zero_point, ratio);
        self.step(id, &[x], Work::General(General::Reduce { by, kept, reduced, sums }))
    }

    fn mean_of_picture(&mut self, id: ValueId, x: ValueId) -> Result<(), EngineError> {
        let (pool, images) = self.whole_picture(x);
        let mean = self.mean(id, x);
        self.step(id, &[x], Work::AveragePool { pool, mean, images })
    }

    /// A pool whose only window is all of `x`.
    fn whole_picture(&self, x: ValueId) -> (Pool, Images) {
        let [batch, height, width, channels] = self.picture(x);
        let kernel = [height, width];
        let pool =
            Pool { size: kernel, places: [1; 2], channels, kernel, stride: [1; 2], border: [0; 2] };
        (pool, Images { batch, input: height * width * channels, output: channels })
    }

    pub(super) fn arg_max(
        &mut self,
        id: ValueId,
        x: ValueId,
        axis: u8,
        [least, last]: [bool; 2],
    ) -> Result<(), EngineError> {
        let (kept, reduced) = self.split(x, &[axis]);
        let dtype = self.dtype(x);
        self.step(id, &[x], Work::General(General::ArgMax { kept, reduced, least, last, dtype }))
    }

    pub(super) fn resize(
        &mut self,
        id: ValueId,
        x: ValueId,
        step: [f32; 2],
        origin: [f32; 2],
    ) -> Result<(), EngineError> {
        let [batch, height, width, channels] = self.picture(x);
        let [_, rows, columns, _] = self.picture(id);
        let (zero_point, multiplier) = (self.rule(x).zero_point, self.addend(x, id).ratio);
        let resize = Resize {
            width,
            channels,
            rows: places(rows, height, step[0], origin[0]),
            columns: places(columns, width, step[1], origin[1]),
            zero_point,
            multiplier,
            output: self.output(id, Clamp::NONE),
        };
        let [input, output] = [height * width, rows * columns].map(|pixels| pixels * channels);
        let images = Images { batch, input, output };
        self.step(id, &[x], Work::Resize { resize, images })
    }

    pub(super) fn log_softmax(&mut self, id: ValueId, x: ValueId) -> Result<(), EngineError> {
        let axis = self.shape(x).last().map_or(1, |&d| d as usize);
        let (powers, rule) = (self.powers(x), self.rule(x));
        let (scale, output) = (self.rule(id).scale, self.output(id, Clamp::NONE));
        self.step(
            id,
            &[x],
            Work::General(General::LogSoftmax { axis, powers, scale, rule, output }),
        )
    }

    /// Quantize, dequantize and cast.
    pub(super) fn converted(&mut self, id: ValueId, node: &Node) -> Result<(), EngineError> {
        let x = node.inputs[0];
        if matches!(node.op, Op::Dequantize) && self.island(id, x)? {
            return Ok(());
        }
        let work = match (&node.op, self.dtype(x), self.dtype(id)) {
            (Op::Quantize, DType::F32, DType::U8) => {
                let (scale, output) = (self.rule(id).scale, self.output(id, Clamp::NONE));
                Work::General(General::QuantizeU8 { scale, output })
            }
            (Op::Quantize, DType::F32, _) => {
                let (scale, output) = (self.rule(id).scale, self.output(id, Clamp::NONE));
                Work::Quantize { scale, output }
            }
            (Op::Quantize, ..) => {
                let table = self.table(id, x);
                return self.translate(id, x, table);
            }
            (Op::Dequantize, DType::U8, _) => {
                let Quantization { scale, zero_point } = self.rule(x);
                Work::General(General::DequantizeU8 { scale, zero_point })
            }
            (Op::Dequantize, ..) => {
                let Quantization { scale, zero_point } = self.rule(x);
                Work::Dequantize { scale, zero_point }
            }
            (_, from, to) => Work::General(General::Cast { from, to }),
        };
        self.step(id, &[x], work)
    }

    /// Places of the elements of a result of length 1 along `axes`, and of those along them.
    fn split(&self, x: ValueId, axes: &[u8]) -> (Vec<usize>, Vec<usize>) {
        let (shape, strides) = (self.shape(x), self.strides(x));
        let of = |wanted: bool| {
            let axis = |axis: &usize| axes.iter().any(|&a| usize::from(a) == *axis) == wanted;
            offsets((0..shape.len()).filter(axis).map(|axis| (shape[axis], strides[axis])))
        };
        (of(false), of(true))
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 once, which is meant")]
    fn sums(&self, id: ValueId, zero_point: i32, multiplier: f64) -> Sums {
        let output: Output = self.output(id, Clamp::NONE);
        Sums { zero_point, multiplier: multiplier as f32, output }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to f32 once, which is meant")]
fn product(rules: [Quantization; 2], scale: f32) -> f32 {
    (f64::from(rules[0].scale) * f64::from(rules[1].scale) / f64::from(scale)) as f32
}

#[expect(clippy::cast_precision_loss, reason = "a tensor has fewer than 2⁵³ elements")]
fn real(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "places are held within the picture; f32 is what the format says"
)]
fn places(count: usize, size: usize, step: f32, origin: f32) -> Vec<Place> {
    let last = size - 1;
    let place = |i: usize| {
        let at = (origin + i as f32 * step).clamp(0.0, last as f32);
        let before = (at.floor() as usize).min(last);
        Place { before, after: (before + 1).min(last), part: at - before as f32 }
    };
    (0..count).map(place).collect()
}
