//! Products of matrices both of which are computed. (Where one is known when a model is loaded, it is a convolution.)
use super::rounding::{Output, steps};

/// Products of pairs of matrices: `rows` × `depth` times `depth` × `columns`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrices {
    /// Where the two of each pair begin.
    pub places: Vec<[usize; 2]>,
    /// Of the first, and the result.
    pub rows: usize,
    /// Columns of the first, rows of the second.
    pub depth: usize,
    /// Of the second, and the result.
    pub columns: usize,
    /// Of both sides.
    pub zero_points: [i32; 2],
    /// The rule's.
    pub multiplier: f32,
    /// What comes out.
    pub output: Output,
}

/// Products of two steps, at most 255², that f32 adds without rounding: sums of them are whole numbers up to 2²⁴. So
/// vectors of f32, which every processor multiplies fast, give the sums of integers.
const EXACT: usize = 256;

/// Rows and columns at a time; the last are made together with some before them, which are then made twice.
const ROWS: usize = 4;
const COLUMNS: usize = 32;
const FEW_COLUMNS: usize = 8;

impl Matrices {
    #[inline(always)]
    pub(super) fn run(&self, flip: u8, [a, b]: [&[u8]; 2], y: &mut [u8]) {
        let size = (self.rows * self.columns).max(1);
        for (&[at_a, at_b], y) in self.places.iter().zip(y.chunks_exact_mut(size)) {
            self.pair(flip, [&a[at_a..], &b[at_b..]], y);
        }
    }

    #[inline(always)]
    fn pair(&self, flip: u8, sides: [&[u8]; 2], y: &mut [u8]) {
        let mut row = 0;
        while row < self.rows {
            if self.rows < ROWS {
                self.block::<1>(flip, row, sides, y);
                row += 1;
            } else {
                self.block::<ROWS>(flip, row.min(self.rows - ROWS), sides, y);
                row += ROWS;
            }
        }
    }

    #[inline(always)]
    fn block<const R: usize>(&self, flip: u8, row: usize, sides: [&[u8]; 2], y: &mut [u8]) {
        let mut column = 0;
        while column < self.columns {
            let last = |count: usize| column.min(self.columns - count);
            column += match self.columns - column {
                COLUMNS.. => self.tile::<R, COLUMNS>(flip, [row, column], sides, y),
                _ if self.columns >= FEW_COLUMNS => {
                    self.tile::<R, FEW_COLUMNS>(flip, [row, last(FEW_COLUMNS)], sides, y)
                }
                _ => self.tile::<R, 1>(flip, [row, column], sides, y),
            };
        }
    }

    /// The number of columns that it has made.
    #[inline(always)]
    fn tile<const R: usize, const N: usize>(
        &self,
        flip: u8,
        [row, column]: [usize; 2],
        [a, b]: [&[u8]; 2],
        y: &mut [u8],
    ) -> usize {
        let [za, zb] = self.zero_points;
        let mut whole = [[0_i32; N]; R];
        for first in (0..self.depth).step_by(EXACT) {
            let mut sums = [[0.0_f32; N]; R];
            let depth = EXACT.min(self.depth - first);
            let a: [&[u8]; R] =
                std::array::from_fn(|r| &a[(row + r) * self.depth + first..][..depth]);
            for k in 0..depth {
                let at = (first + k) * self.columns + column;
                let b: &[u8; N] = b[at..].first_chunk().expect("a row of the second");
                let b = b.map(|byte| real(steps(byte, flip, zb)));
                for r in 0..R {
                    let a = real(steps(a[r][k], flip, za));
                    for i in 0..N {
                        sums[r][i] += a * b[i];
                    }
                }
            }
            for r in 0..R {
                for i in 0..N {
                    whole[r][i] = whole[r][i].wrapping_add(exact(sums[r][i]));
                }
            }
        }
        for (r, sums) in whole.iter().enumerate() {
            let y = &mut y[(row + r) * self.columns + column..][..N];
            for (y, &sum) in y.iter_mut().zip(sums) {
                *y = self.output.element(sum, self.multiplier).cast_unsigned() ^ flip;
            }
        }
        N
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "at most 255")]
fn real(steps: i32) -> f32 {
    steps as f32
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a whole number up to 2²⁴")]
fn exact(sum: f32) -> i32 {
    sum as i32
}
