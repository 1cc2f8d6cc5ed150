//! Anchor-free heads as YOLOX has them (Ge et al., 2021, arXiv:2107.08430): each cell of a few grids says how far from
//! its corner a box has its centre, and the logarithm of its sides.
use super::{Candidate, around, best};

/// The grids of a head over one picture, finest first, each stored row by row, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grids {
    /// Columns, rows and pixels from one cell to the next.
    levels: Vec<(usize, usize, u16)>,
}

/// Sets of strides in use, by the levels of their feature pyramids.
const STRIDES: [&[u16]; 3] = [&[8, 16, 32], &[8, 16, 32, 64], &[16, 32]];

/// A head that cannot belong to its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{rows} rows are not the cells of a {width}×{height} picture with strides of 8, 16, 32, of 8 to 64, or of 16, 32"
)]
pub struct GridError {
    /// Rows of the head.
    pub rows: usize,
    /// Of the model's picture.
    pub width: usize,
    /// Of the model's picture.
    pub height: usize,
}

impl Grids {
    /// The grids that have `rows` cells together over a picture of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`GridError`] if no usual strides give that many.
    pub fn of(rows: usize, width: usize, height: usize) -> Result<Self, GridError> {
        let levels = |strides: &[u16]| -> Vec<_> {
            let cells = |side: usize, stride: u16| side / usize::from(stride);
            strides.iter().map(|&s| (cells(width, s), cells(height, s), s)).collect()
        };
        let mut found = STRIDES.iter().map(|strides| Self { levels: levels(strides) });
        found.find(|grids| grids.cells() == rows).ok_or(GridError { rows, width, height })
    }

    /// How many cells there are.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.levels.iter().map(|(columns, rows, _)| columns * rows).sum()
    }

    /// Column, row and stride of each cell.
    fn corners(&self) -> impl Iterator<Item = [f32; 3]> {
        self.levels.iter().flat_map(|&(columns, rows, stride)| {
            let cell = move |row, column| [small(column), small(row), f32::from(stride)];
            (0..rows).flat_map(move |row| (0..columns).map(move |column| cell(row, column)))
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a grid has fewer than 2^24 columns and rows")]
fn small(index: usize) -> f32 {
    index as f32
}

/// Appends a candidate for each cell whose score reaches `threshold`. A row of `numbers` is x and y offset, logarithm
/// of width and height, all in cells, objectness and one score for each class, both 0 to 1; the score of a candidate is the
/// product. Edges are pixels of the model's picture. Does not allocate while `out` has room.
pub fn decode_grids(
    numbers: &[f32],
    classes: usize,
    grids: &Grids,
    threshold: f32,
    out: &mut Vec<Candidate>,
) {
    for (row, [column, line, stride]) in numbers.chunks_exact(5 + classes).zip(grids.corners()) {
        let objectness = row[4];
        // No product with a class's score is greater.
        if objectness < threshold {
            continue;
        }
        let Some((class, score)) = best(row[5..].iter().copied()) else { continue };
        let score = objectness * score;
        if score >= threshold {
            let centre = [(row[0] + column) * stride, (row[1] + line) * stride];
            let sides = [libm::expf(row[2]) * stride, libm::expf(row[3]) * stride];
            out.push(Candidate { edges: around(centre, sides), score, class });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart_by_its_rows() {
        let grids = Grids::of(3549, 416, 416).expect("YOLOX-Nano");
        assert_eq!(grids.levels, [(52, 52, 8), (26, 26, 16), (13, 13, 32)]);
        assert_eq!(Grids::of(8500, 640, 640).expect("four levels").levels.len(), 4);
        let error = Grids::of(3550, 416, 416).expect_err("one too many").to_string();
        assert!(error.contains("3550 rows") && error.contains("416×416"), "{error}");
    }

    #[test]
    fn a_cell_speaks_of_its_own_place() {
        // A picture of 32 × 64: grids of 4 × 8, 2 × 4 and 1 × 2 cells. Row 41 is the second cell of the last.
        let grids = Grids::of(42, 32, 64).expect("strides 8, 16, 32");
        let mut numbers = vec![0.0; 42 * 7];
        numbers[41 * 7..].copy_from_slice(&[0.5, 0.25, 0.0, 2.0_f32.ln(), 0.5, 0.25, 0.5]);
        // Row 5 is column 1 of row 1 of the first, and scores exactly the threshold.
        numbers[5 * 7..6 * 7].copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 0.25, 1.0, 1.0]);
        let mut out = Vec::new();
        decode_grids(&numbers, 2, &grids, 0.25, &mut out);
        let expected = [
            Candidate { edges: [4.0, 4.0, 12.0, 12.0], score: 0.25, class: 0 },
            Candidate { edges: [0.0, 8.0, 32.0, 72.0], score: 0.25, class: 1 },
        ];
        assert_eq!(out, expected);
        out.clear();
        decode_grids(&numbers, 2, &grids, 0.26, &mut out);
        assert!(out.is_empty(), "{out:?}");
    }

    #[test]
    fn what_is_no_number_is_no_candidate() {
        let grids = Grids::of(42, 32, 64).expect("strides 8, 16, 32");
        let numbers = vec![f32::NAN; 42 * 7];
        let mut out = Vec::new();
        decode_grids(&numbers, 2, &grids, 0.0, &mut out);
        assert!(out.is_empty(), "{out:?}");
    }
}
