//! Nodes of two inputs of which one may be repeated, and what becomes a table because it depends on one byte.
use edgemill_kernels::int8::{Elementwise, Output, Pair, Spread};
use edgemill_model::graph::ValueId;
use edgemill_model::tensor::DType;

use super::{Lowering, Readers};
use crate::EngineError;
use crate::step::Work;

type Table = Box<[u8; 256]>;

impl Lowering<'_> {
    /// Adds a step that looks every byte of `x` up, or has the step that makes `x` look it up.
    pub(super) fn translate(
        &mut self,
        id: ValueId,
        x: ValueId,
        table: Table,
    ) -> Result<(), EngineError> {
        match self.table_step(x) {
            Some(step) => {
                self.make_instead(step, id, |first| table[usize::from(first)]);
                Ok(())
            }
            None => self.step(id, &[x], Work::Translate(table)),
        }
    }

    /// Makes a pair a table where both sides depend on the same bytes: if there is no more than one side that is not a
    /// single constant.
    pub(super) fn pair_of_one(
        &mut self,
        id: ValueId,
        [a, b]: [ValueId; 2],
        pair: Pair,
        output: Output,
    ) -> bool {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let (shapes, alike) = ([a, b].map(|x| self.shape(x)), self.slots_of([a, b]));
        let even = shapes.iter().all(|shape| *shape == self.shape(id));
        let (x, sides) = match [a, b].map(|side| self.single(side)) {
            [None, Some(b)] if shapes[0] == self.shape(id) => (a, [all, vec![b; 256]]),
            [Some(a), None] if shapes[1] == self.shape(id) => (b, [vec![a; 256], all]),
            [None, None] if even && alike => (a, [all.clone(), all]),
            [None, None] if even => return self.pair_with_table(id, [a, b], pair, output),
            _ => return false,
        };
        let table = self.table_of_sides(pair, output, &sides);
        self.translate(id, x, table).is_ok()
    }

    /// Of x and what a table makes of x, if nobody else reads that.
    fn pair_with_table(
        &mut self,
        id: ValueId,
        [a, b]: [ValueId; 2],
        pair: Pair,
        output: Output,
    ) -> bool {
        for (side, [made, other]) in [[a, b], [b, a]].into_iter().enumerate() {
            let Some(step) = self.table_step(made) else { continue };
            let Work::Translate(table) = &self.out.steps[step].work else { continue };
            if Some(self.out.steps[step].inputs[0].slot) != self.out.slots[other.index()] {
                continue;
            }
            let all: Vec<u8> = (0..=u8::MAX).collect();
            let sides = if side == 0 { [table.to_vec(), all] } else { [all, table.to_vec()] };
            let made = self.table_of_sides(pair, output, &sides);
            let Work::Translate(table) = &mut self.out.steps[step].work else { continue };
            *table = made;
            self.take_over(step, id);
            return true;
        }
        false
    }

    /// By the kernel itself, so that the bits are those of the loops.
    fn table_of_sides(&self, pair: Pair, output: Output, sides: &[Vec<u8>; 2]) -> Table {
        let mut table = Box::new([0; 256]);
        let spread = Spread::even(table.len());
        let sides = [&sides[0][..], &sides[1][..]];
        let (spread, y) = (&spread, &mut table[..]);
        self.kernel.elementwise(Elementwise::Pairs { pair, output, spread, sides, y });
        table
    }

    /// The byte in memory of a constant of one int8 element.
    fn single(&self, x: ValueId) -> Option<u8> {
        let spec = self.graph.value(x).spec();
        let constant = self.graph.value(x).constant().filter(|_| spec.dtype == DType::I8)?;
        let one = spec.elements() == 1;
        constant
            .i8s()
            .next()
            .filter(|_| one)
            .map(|value| value.cast_unsigned() ^ self.kernel.flip())
    }

    fn slots_of(&self, [a, b]: [ValueId; 2]) -> bool {
        a == b
            || (self.out.slots[a.index()].is_some()
                && self.out.slots[a.index()] == self.out.slots[b.index()])
    }

    /// The step that makes `x`, if it is a table and only one node reads `x`.
    fn table_step(&self, x: ValueId) -> Option<usize> {
        let slot = self.out.slots[x.index()]?;
        let step = self.out.steps.iter().rposition(|step| step.output.slot == slot)?;
        let made = &self.out.steps[step];
        let table = matches!(made.work, Work::Translate(_)) && made.value == x;
        (table && matches!(self.readers[x.index()], Readers::One(_))).then_some(step)
    }

    /// Has a table's step make `id`, by a function of what it has made.
    fn make_instead(&mut self, step: usize, id: ValueId, function: impl Fn(u8) -> u8) {
        if let Work::Translate(table) = &mut self.out.steps[step].work {
            **table = table.map(function);
        }
        self.take_over(step, id);
    }

    fn take_over(&mut self, step: usize, id: ValueId) {
        let step = &mut self.out.steps[step];
        step.value = id;
        self.out.slots[id.index()] = Some(step.output.slot);
    }

    /// How both sides lie along `id`, and the shapes to which they are to be repeated before.
    pub(super) fn spread(&self, id: ValueId, sides: [ValueId; 2]) -> (Spread, [Vec<u32>; 2]) {
        let shape = self.shape(id);
        let mut shapes = sides.map(|side| {
            let given = self.shape(side);
            let missing = shape.len() - given.len();
            [vec![1; missing], given].concat()
        });
        loop {
            let moves = |axis: usize| [0, 1].map(|side: usize| shapes[side][axis] == shape[axis]);
            let axes: Vec<_> =
                shape.iter().enumerate().map(|(axis, &n)| (n as usize, moves(axis))).collect();
            let spread = Spread::new(&axes);
            let short = axes.iter().rposition(|(_, moves)| *moves != [true; 2]);
            let Some(axis) = short.filter(|_| spread.is_short()) else {
                return (spread, shapes);
            };
            shapes.iter_mut().for_each(|side| side[axis] = shape[axis]);
        }
    }
}
