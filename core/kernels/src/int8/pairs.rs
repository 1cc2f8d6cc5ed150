//! What is made of two elements, one of each side, where a side may be repeated along some axes.
use super::rounding::{Output, steps};

/// One side of a pair: what a step of its elements counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addend {
    /// Of its elements.
    pub zero_point: i32,
    /// What a step is worth: in steps of a sum, or in real numbers.
    pub ratio: f32,
}

impl Addend {
    /// What a byte in memory is worth.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "at most 255")]
    pub(super) fn worth(self, byte: u8, flip: u8) -> f32 {
        steps(byte, flip, self.zero_point) as f32 * self.ratio
    }
}

/// What is made of two elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pair {
    /// Each is brought to the sum's steps in f32, the two added, then rounded by the one rule.
    Add(Addend, Addend),
    /// Steps from both zero points multiplied, which is the rule's sum.
    Multiply {
        /// Of both sides.
        zero_points: [i32; 2],
        /// The rule's.
        multiplier: f32,
    },
    /// A function of the two real numbers, divided by the result's scale in f32.
    Real {
        /// The function.
        by: Real,
        /// Both sides, in real numbers.
        sides: [Addend; 2],
        /// Of the result.
        scale: f32,
    },
}

/// A function of two real numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Real {
    /// a ÷ b.
    Divide,
    /// The smaller.
    Least,
    /// The greater.
    Greatest,
    /// a where it is not negative, else a × b.
    Slope,
}

/// How both sides lie along the result: runs of elements, and axes around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    axes: Vec<Axis>,
    run: usize,
    /// Whether a side has one element for a whole run; else as many as there are.
    single: [bool; 2],
}

/// An axis around runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    count: usize,
    /// Elements from one index to the next of each side; 0 where it is repeated.
    steps: [usize; 2],
}

/// More axes than any tensor has.
const MAX_AXES: usize = 16;

impl Spread {
    /// For each axis of the result, the outermost first: its length, and whether each side has as many elements along it,
    /// instead of one that is repeated.
    ///
    /// # Panics
    /// If there are more than 16 axes.
    #[must_use]
    pub fn new(axes: &[(usize, [bool; 2])]) -> Self {
        assert!(axes.len() <= MAX_AXES, "{} axes", axes.len());
        // Neighbours along which both sides do the same are one axis.
        let mut joined: Vec<(usize, [bool; 2])> = Vec::new();
        for &(count, moves) in axes.iter().filter(|axis| axis.0 != 1) {
            match joined.last_mut() {
                Some(last) if last.1 == moves => last.0 *= count,
                _ => joined.push((count, moves)),
            }
        }
        let (run, moves) = joined.pop().unwrap_or((1, [true; 2]));
        let mut elements = moves.map(|moves| if moves { run } else { 1 });
        let mut axes: Vec<Axis> = Vec::new();
        for &(count, moves) in joined.iter().rev() {
            let steps = [0, 1].map(|side| if moves[side] { elements[side] } else { 0 });
            axes.push(Axis { count, steps });
            elements = [0, 1].map(|side| elements[side] * if moves[side] { count } else { 1 });
        }
        axes.reverse();
        Self { axes, run, single: moves.map(|moves| !moves) }
    }

    /// Both sides have as many elements as the result.
    #[must_use]
    pub fn even(elements: usize) -> Self {
        Self::new(&[(elements, [true; 2])])
    }

    /// Elements of a run, which follow each other in the result.
    #[must_use]
    pub const fn run(&self) -> usize {
        self.run
    }

    /// Whether a side has one element for a whole run; else it has as many as the run.
    #[must_use]
    pub const fn single(&self) -> [bool; 2] {
        self.single
    }

    /// Whether runs are so short that it pays to repeat a side before, so that they become longer.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let enough = if self.single == [false; 2] { CHUNK } else { SMALL };
        self.run < enough && !self.axes.is_empty() || self.run < SMALL && self.single != [false; 2]
    }

    /// Elements of the result.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.axes.iter().map(|axis| axis.count).product::<usize>() * self.run
    }

    /// The same in as many parts, or fewer, whose elements follow each other: each with where its sides begin, and its elements.
    #[must_use]
    pub fn divided(&self, parts: usize) -> Vec<(Self, [usize; 2], usize)> {
        let (count, steps, grain) = match self.axes.first() {
            Some(axis) => (axis.count, axis.steps, 1),
            None => (self.run, self.single.map(|single| usize::from(!single)), CHUNK),
        };
        let elements = if self.axes.is_empty() { 1 } else { self.elements() / count };
        let at = |part: usize| (count.div_ceil(grain) * part / parts * grain).min(count);
        let part = |i: usize| {
            let mut part = self.clone();
            *part.axes.first_mut().map_or(&mut part.run, |axis| &mut axis.count) =
                at(i + 1) - at(i);
            (part, steps.map(|step| at(i) * step), at(i) * elements)
        };
        (0..parts).filter(|&i| at(i) < at(i + 1)).map(part).collect()
    }

    /// Where each run begins on both sides, in the result's order.
    #[inline(always)]
    pub const fn starts(&self) -> Starts<'_> {
        Starts { axes: self.axes.as_slice(), index: [0; MAX_AXES], next: Some([0; 2]) }
    }
}

/// Where runs begin. (An iterator, as a closure for the body of the loop need not be compiled for the kernel's
/// processor.)
pub struct Starts<'a> {
    axes: &'a [Axis],
    index: [usize; MAX_AXES],
    next: Option<[usize; 2]>,
}

impl Starts<'_> {
    #[inline(always)]
    fn after(&mut self, mut at: [usize; 2]) -> Option<[usize; 2]> {
        for (axis, index) in self.axes.iter().zip(&mut self.index).rev() {
            let Axis { count, steps } = *axis;
            *index += 1;
            if *index < count {
                return Some([at[0] + steps[0], at[1] + steps[1]]);
            }
            *index = 0;
            at = [at[0] - (count - 1) * steps[0], at[1] - (count - 1) * steps[1]];
        }
        None
    }
}

impl Iterator for Starts<'_> {
    type Item = [usize; 2];

    #[inline(always)]
    fn next(&mut self) -> Option<[usize; 2]> {
        let at = self.next?;
        self.next = self.after(at);
        Some(at)
    }
}

/// `y` of all pairs; bytes differ by `flip` from values.
#[inline(always)]
pub(super) fn pairs(
    flip: u8,
    pair: Pair,
    output: Output,
    spread: &Spread,
    [a, b]: [&[u8]; 2],
    y: &mut [u8],
) {
    let done = |steps: f32| output.nearest(steps).cast_unsigned() ^ flip;
    match pair {
        Pair::Add(p, q) => {
            spread_out(spread, a, b, y, |a, b| done(p.worth(a, flip) + q.worth(b, flip)));
        }
        Pair::Multiply { zero_points: [za, zb], multiplier } => {
            let product = |a, b| steps(a, flip, za) * steps(b, flip, zb);
            #[expect(clippy::cast_precision_loss, reason = "at most 255²")]
            spread_out(spread, a, b, y, |a, b| done(product(a, b) as f32 * multiplier));
        }
        Pair::Real { by, sides: [p, q], scale } => {
            let real = |a, b| (p.worth(a, flip), q.worth(b, flip));
            // One loop for each function.
            match by {
                Real::Divide => spread_out(spread, a, b, y, |a, b| {
                    let (a, b) = real(a, b);
                    done(a / b / scale)
                }),
                Real::Least => spread_out(spread, a, b, y, |a, b| {
                    let (a, b) = real(a, b);
                    done(if b < a { b } else { a } / scale)
                }),
                Real::Greatest => spread_out(spread, a, b, y, |a, b| {
                    let (a, b) = real(a, b);
                    done(if b > a { b } else { a } / scale)
                }),
                Real::Slope => spread_out(spread, a, b, y, |a, b| {
                    let (a, b) = real(a, b);
                    done(if a < 0.0 { a * b } else { a } / scale)
                }),
            }
        }
    }
}

#[inline(always)]
fn spread_out(
    spread: &Spread,
    a: &[u8],
    b: &[u8],
    y: &mut [u8],
    element: impl Fn(u8, u8) -> u8 + Copy,
) {
    let (run, [one_a, one_b]) = (spread.run, spread.single);
    for (y, [at_a, at_b]) in y.chunks_exact_mut(run).zip(spread.starts()) {
        match (one_a, one_b) {
            (false, false) => each_two(&a[at_a..][..run], &b[at_b..][..run], y, element),
            (true, false) => {
                let a = a[at_a];
                each_one(&b[at_b..][..run], y, |b| element(a, b));
            }
            (false, true) => {
                let b = b[at_b];
                each_one(&a[at_a..][..run], y, |a| element(a, b));
            }
            (true, true) => y.fill(element(a[at_a], b[at_b])),
        }
    }
}

/// Elements at a time: what a compiler makes vectors of. The last of a run are taken together with some before them,
/// which are then made twice.
const CHUNK: usize = 64;
const SMALL: usize = 16;

#[inline(always)]
pub(super) fn each_one(x: &[u8], y: &mut [u8], element: impl Fn(u8) -> u8 + Copy) {
    each_two(x, x, y, |x, _| element(x));
}

#[inline(always)]
fn each_two(a: &[u8], b: &[u8], y: &mut [u8], element: impl Fn(u8, u8) -> u8 + Copy) {
    let whole = y.len() / CHUNK * CHUNK;
    chunks::<CHUNK>(&a[..whole], &b[..whole], &mut y[..whole], element);
    if whole == y.len() {
        return;
    }
    if y.len() < SMALL {
        for (y, (&a, &b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = element(a, b);
        }
        return;
    }
    let small = y.len() / SMALL * SMALL;
    let (from, last) = (whole..small, y.len() - SMALL..y.len());
    chunks::<SMALL>(&a[from.clone()], &b[from.clone()], &mut y[from], element);
    if small < y.len() {
        chunks::<SMALL>(&a[last.clone()], &b[last.clone()], &mut y[last], element);
    }
}

#[inline(always)]
fn chunks<const N: usize>(a: &[u8], b: &[u8], y: &mut [u8], element: impl Fn(u8, u8) -> u8 + Copy) {
    let both = a.as_chunks::<N>().0.iter().zip(b.as_chunks::<N>().0);
    for (y, (a, b)) in y.as_chunks_mut::<N>().0.iter_mut().zip(both) {
        for i in 0..N {
            y[i] = element(a[i], b[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_follow_the_result() {
        // 2×1×3×4 and 5×1×1 make 2×5×3×4.
        let axes = [(2, [true, false]), (5, [false, true]), (3, [true, false]), (4, [true, false])];
        let spread = Spread::new(&axes);
        assert_eq!((spread.run, spread.single, spread.elements()), (12, [false, true], 120));
        let starts: Vec<_> = spread.starts().collect();
        let expected: Vec<_> = (0..10).map(|i| [i / 5 * 12, i % 5]).collect();
        assert_eq!(starts, expected);
        assert_eq!(Spread::even(7).elements(), 7);
        assert_eq!(Spread::new(&[(1, [false; 2])]).elements(), 1);
    }
}
