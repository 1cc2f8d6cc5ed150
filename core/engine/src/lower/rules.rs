//! Rules of rounding, and the tables that are made of them.
use edgemill_kernels::int8::{Addend, Output, quantized};
use edgemill_model::graph::{Clamp, Graph, ValueId};
use edgemill_model::tensor::{DType, Quantization};

use super::{Lowering, whole};
use crate::EngineError;
use crate::pack::rule;
use crate::step::Work;

impl Lowering<'_> {
    /// As [`output`].
    pub(super) fn output(&self, id: ValueId, clamp: Clamp) -> Output {
        output(self.graph, id, clamp)
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 once, which is meant")]
    pub(super) fn addend(&self, x: ValueId, sum: ValueId) -> Addend {
        let Quantization { scale, zero_point } = self.rule(x);
        Addend { zero_point, ratio: (f64::from(scale) / f64::from(self.rule(sum).scale)) as f32 }
    }

    /// Elements of `x` by the rule of `id`: themselves where it is the same.
    pub(super) fn table(&self, id: ValueId, x: ValueId) -> Box<[u8; 256]> {
        let same =
            self.graph.value(id).spec().quantization == self.graph.value(x).spec().quantization;
        if same && self.dtype(id) == self.dtype(x) {
            let own = |byte| u8::try_from(byte).expect("a table has 256 entries");
            return Box::new(std::array::from_fn(own));
        }
        self.table_of(id, x, Clamp::NONE, |real| real)
    }

    /// What depends on a single byte is a table.
    pub(super) fn table_of(
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
    pub(super) fn powers(&self, x: ValueId) -> Box<[f32; 256]> {
        let step = f64::from(self.rule(x).scale);
        let power = |d: usize| {
            let steps = u8::try_from(d).expect("a table has 256 entries");
            libm::exp(-f64::from(steps) * step) as f32
        };
        Box::new(std::array::from_fn(power))
    }

    pub(super) fn softmax(&mut self, id: ValueId, x: ValueId) -> Result<(), EngineError> {
        let axis = self.graph.value(x).spec().shape.last().map_or(1, |&d| d as usize);
        let table = self.powers(x);
        let (scale, output) = (self.rule(id).scale, self.output(id, Clamp::NONE));
        self.step(id, &[x], Work::Softmax { axis, table, scale, output })
    }
}

/// What may come out of a node that clamps real numbers.
pub(crate) fn output(graph: &Graph<'_>, id: ValueId, clamp: Clamp) -> Output {
    let Quantization { scale, zero_point } = rule(graph, id);
    // Bytes of 0 to 255 are elements 128 below them.
    let below = if graph.value(id).spec().dtype == DType::U8 { 128 } else { 0 };
    let zero_point = zero_point - below;
    let element = |real: f32| {
        let steps = (f64::from(real) / f64::from(scale)).round_ties_even();
        steps.clamp(-1e6, 1e6) + f64::from(zero_point)
    };
    Output::new(zero_point, whole(element(clamp.low)), whole(element(clamp.high)))
}
