//! Where each output element's input elements lie along one axis, and what each of them weighs.
use super::{Filter, MAX_SIDE};

/// Weights have so many fractional bits and add up to exactly one: the most that a signed 16-bit factor holds.
pub(super) const WEIGHT_BITS: u32 = 14;
const ONE: i16 = 1 << WEIGHT_BITS;

/// Taps of one axis.
pub(super) struct Axis {
    taps: Vec<Tap>,
    weights: Vec<i16>,
}

#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    /// Of the weights, in `Axis::weights`.
    start: usize,
    count: usize,
}

impl Axis {
    /// From `length` input elements, the first of which is `start`, to `out` of them.
    pub fn new(start: usize, length: usize, out: usize, filter: Filter) -> Self {
        debug_assert!(length <= MAX_SIDE && out <= MAX_SIDE);
        let mut axis = Self { taps: Vec::with_capacity(out), weights: Vec::new() };
        for o in 0..out {
            if out <= length && filter == Filter::Area {
                axis.push_area(start, length, out, o);
            } else {
                axis.push_bilinear(start, length, out, o);
            }
        }
        axis
    }

    /// In units of 1/out of an input element, input i covers [i·out, (i+1)·out) and output o covers
    /// [o·length, (o+1)·length). Running sums are rounded, so that the weights add up to one.
    fn push_area(&mut self, start: usize, length: usize, out: usize, o: usize) {
        let (low, high) = (o * length, (o + 1) * length);
        let first = low / out;
        let last = (high - 1) / out;
        let share = |edge: usize| {
            let covered = (edge.clamp(low, high) - low) << WEIGHT_BITS;
            weight((covered + length / 2) / length)
        };
        let weights = (first..=last).map(|i| share((i + 1) * out) - share(i * out));
        self.push(start + first, weights);
    }

    /// The centre of output o lies at (2o+1)·length/(2·out) − 1/2 among the input's centres.
    fn push_bilinear(&mut self, start: usize, length: usize, out: usize, o: usize) {
        let at = ((2 * o + 1) * length).saturating_sub(out);
        let (first, rest) = (at / (2 * out), at % (2 * out));
        let second = weight(((rest << WEIGHT_BITS) + out) / (2 * out));
        match second {
            _ if first + 1 >= length => self.push(start + length - 1, [ONE]),
            0 => self.push(start + first, [ONE]),
            ONE => self.push(start + first + 1, [ONE]),
            _ => self.push(start + first, [ONE - second, second]),
        }
    }

    fn push(&mut self, first: usize, weights: impl IntoIterator<Item = i16>) {
        let start = self.weights.len();
        self.weights.extend(weights);
        self.taps.push(Tap { first, start, count: self.weights.len() - start });
    }

    /// The same axis over elements that stand for two neighbours each, as chroma does.
    pub fn paired(&self) -> Self {
        let mut paired = Self { taps: Vec::new(), weights: Vec::new() };
        for o in 0..self.outputs() {
            let (first, weights) = self.of(o);
            let mut sums = vec![0; (first + weights.len() - 1) / 2 - first / 2 + 1];
            for (i, weight) in weights.iter().enumerate() {
                sums[(first + i) / 2 - first / 2] += weight;
            }
            paired.push(first / 2, sums);
        }
        paired
    }

    /// How many elements come out.
    pub fn outputs(&self) -> usize {
        self.taps.len()
    }

    /// First input element of output `o`, and the weights from there on.
    pub fn of(&self, o: usize) -> (usize, &[i16]) {
        let Tap { first, start, count } = self.taps[o];
        (first, &self.weights[start..start + count])
    }
}

fn weight(value: usize) -> i16 {
    i16::try_from(value).expect("a weight is at most one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_one_and_stay_inside() {
        for (start, length, out) in
            [(0, 1, 1), (3, 7, 7), (0, 640, 32), (5, 33, 32), (2, 10, 96), (0, 1, 9), (1, 997, 3)]
        {
            for filter in [Filter::Area, Filter::Bilinear] {
                let axis = Axis::new(start, length, out, filter);
                assert_eq!(axis.outputs(), out);
                for o in 0..out {
                    let name = format!("{start} {length} {out} {filter:?}");
                    let (first, weights) = axis.of(o);
                    let sum: i32 = weights.iter().map(|&w| i32::from(w)).sum();
                    assert_eq!(sum, 1 << WEIGHT_BITS, "{name}");
                    assert!(first >= start && first + weights.len() <= start + length, "{name}");
                    assert!(filter == Filter::Area || weights.len() <= 2, "{name}");
                }
            }
        }
    }
}
