//! Pictures of another size.
use super::rounding::{Output, steps};

/// Where an element of a resized picture lies along an axis: the neighbour before, the one after, and how far it is from
/// the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Index of the neighbour before.
    pub before: usize,
    /// Index of the neighbour after: the next, or the same at the end.
    pub after: usize,
    /// From 0 to 1.
    pub part: f32,
}

/// A picture whose elements lie between four of another. In each row what lies between two columns is made first, then
/// what lies between two such rows, all in f32; the product with `multiplier` is rounded by the one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// Pixels of a row of the input.
    pub width: usize,
    /// Of both.
    pub channels: usize,
    /// Of the result.
    pub rows: Vec<Place>,
    /// Of the result.
    pub columns: Vec<Place>,
    /// Of the input.
    pub zero_point: i32,
    /// The input's scale by the output's.
    pub multiplier: f32,
    /// What comes out.
    pub output: Output,
}

/// Elements of a line that are made at a time.
const LINE: usize = 1024;

/// Two lines of what lies between columns: of an even row and of an odd one.
struct Lines {
    elements: [[f32; LINE]; 2],
    rows: [usize; 2],
}

impl Resize {
    /// Strips of columns, or of a column's channels where those are many, from the top to the bottom: so that both lines
    /// that are needed stay in the nearest cache, and each is made once.
    #[inline(always)]
    pub(super) fn run(&self, flip: u8, x: &[u8], y: &mut [u8]) {
        let depth = self.channels.min(LINE);
        let wide = LINE / depth;
        for first in (0..self.channels).step_by(depth.max(1)) {
            let depth = depth.min(self.channels - first);
            for (strip, columns) in self.columns.chunks(wide).enumerate() {
                let start = strip * wide * self.channels + first;
                self.strip(flip, columns, [first, depth], x, &mut y[start..]);
            }
        }
    }

    #[inline(always)]
    fn strip(&self, flip: u8, columns: &[Place], channels: [usize; 2], x: &[u8], y: &mut [u8]) {
        let mut lines = Lines { elements: [[0.0; LINE]; 2], rows: [usize::MAX; 2] };
        let count = columns.len() * channels[1];
        let row = self.columns.len() * self.channels;
        for (down, y) in self.rows.iter().zip(y.chunks_mut(row)) {
            for at in [down.before, down.after] {
                if std::mem::replace(&mut lines.rows[at % 2], at) != at {
                    let x = &x[at * self.width * self.channels..];
                    self.line(flip, columns, channels, x, &mut lines.elements[at % 2]);
                }
            }
            let [upper, lower] =
                [down.before, down.after].map(|at| &lines.elements[at % 2][..count]);
            self.between(flip, down.part, [upper, lower], &mut y[..count]);
        }
    }

    /// What lies between columns of one row.
    #[inline(always)]
    fn line(
        &self,
        flip: u8,
        columns: &[Place],
        [first, depth]: [usize; 2],
        x: &[u8],
        line: &mut [f32; LINE],
    ) {
        #[expect(clippy::cast_precision_loss, reason = "at most 255")]
        let steps = |byte: u8| steps(byte, flip, self.zero_point) as f32;
        for (place, line) in columns.iter().zip(line.chunks_exact_mut(depth)) {
            let [left, right] = [place.before, place.after]
                .map(|column| &x[column * self.channels + first..][..depth]);
            let part = place.part;
            for (element, (&left, &right)) in line.iter_mut().zip(left.iter().zip(right)) {
                *element = steps(left) * (1.0 - part) + steps(right) * part;
            }
        }
    }

    #[inline(always)]
    fn between(&self, flip: u8, part: f32, [upper, lower]: [&[f32]; 2], y: &mut [u8]) {
        let (multiplier, output) = (self.multiplier, self.output);
        let element = |upper: f32, lower: f32| {
            let steps = (upper * (1.0 - part) + lower * part) * multiplier;
            output.nearest(steps).cast_unsigned() ^ flip
        };
        for (y, (&upper, &lower)) in y.iter_mut().zip(upper.iter().zip(lower)) {
            *y = element(upper, lower);
        }
    }
}
