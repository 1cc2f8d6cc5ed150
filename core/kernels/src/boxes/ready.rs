//! Heads whose graph decodes its boxes itself: YOLOv5, v6, v7, and YOLOX with its decoding exported (rows with an
//! objectness), YOLOv8 and later (columns, without one).
use super::{Candidate, around, best};

/// How the numbers of a head lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Boxes.
    pub count: usize,
    /// Classes.
    pub classes: usize,
    /// Whether an objectness stands before the classes' scores.
    pub objectness: bool,
    /// The numbers of one box lie `count` apart, instead of next to each other.
    pub across: bool,
}

impl Rows {
    /// How many numbers a box has.
    #[must_use]
    pub const fn width(&self) -> usize {
        4 + self.classes + if self.objectness { 1 } else { 0 }
    }
}

/// Appends a candidate for each box whose score reaches `threshold`. A box is x and y of its centre, width and height
/// in pixels of the model's picture, as are the edges given. Does not allocate while `out` has room.
pub fn decode_centred(numbers: &[f32], rows: &Rows, threshold: f32, out: &mut Vec<Candidate>) {
    if numbers.len() < rows.count * rows.width() {
        return;
    }
    let (step, apart) = if rows.across { (1, rows.count) } else { (rows.width(), 1) };
    for index in 0..rows.count {
        let at = |field: usize| numbers[index * step + field * apart];
        let (first, objectness) = if rows.objectness { (5, at(4)) } else { (4, 1.0) };
        if objectness < threshold {
            continue;
        }
        let Some((class, score)) = best((first..first + rows.classes).map(at)) else { continue };
        let score = objectness * score;
        if score >= threshold {
            let edges = around([at(0), at(1)], [at(2), at(3)]);
            out.push(Candidate { edges, score, class });
        }
    }
}

/// Appends a candidate for each finished box whose score reaches `threshold`: edges, the number of its class and its
/// score lie in three lists. Edges stay in the units they come in. Does not allocate while `out` has room.
pub fn take_finished(
    edges: impl Iterator<Item = [f32; 4]>,
    classes: impl Iterator<Item = f32>,
    scores: impl Iterator<Item = f32>,
    threshold: f32,
    out: &mut Vec<Candidate>,
) {
    for ((edges, class), score) in edges.zip(classes).zip(scores) {
        if score >= threshold && class >= 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "a cast from f32 saturates")]
            #[expect(clippy::cast_sign_loss, reason = "it is not below 0")]
            out.push(Candidate { edges, score, class: class.round() as u32 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_say_the_same() {
        let rows = Rows { count: 2, classes: 2, objectness: true, across: false };
        let numbers =
            [[10.0, 20.0, 4.0, 8.0, 0.5, 0.5, 1.0], [1.0, 1.0, 2.0, 2.0, 1.0, 0.25, 0.125]];
        let mut by_rows = Vec::new();
        decode_centred(numbers.as_flattened(), &rows, 0.2, &mut by_rows);
        let expected = [
            Candidate { edges: [8.0, 16.0, 12.0, 24.0], score: 0.5, class: 1 },
            Candidate { edges: [0.0, 0.0, 2.0, 2.0], score: 0.25, class: 0 },
        ];
        assert_eq!(by_rows, expected);
        // The same by columns, the objectness multiplied in.
        let columns: [f32; 12] = [10.0, 1.0, 20.0, 1.0, 4.0, 2.0, 8.0, 2.0, 0.25, 0.25, 0.5, 0.125];
        let across = Rows { count: 2, classes: 2, objectness: false, across: true };
        let mut by_columns = Vec::new();
        decode_centred(&columns, &across, 0.2, &mut by_columns);
        assert_eq!(by_columns, expected);
    }

    #[test]
    fn a_head_that_is_short_has_no_boxes() {
        let rows = Rows { count: 2, classes: 1, objectness: false, across: false };
        let mut out = Vec::new();
        decode_centred(&[0.5; 9], &rows, 0.1, &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn finished_boxes_are_taken_as_they_are() {
        let edges = [[0.0, 0.1, 0.2, 0.3]; 3];
        let (classes, scores) = ([2.0, -1.0, 1.0], [0.9, 0.9, f32::NAN]);
        let mut out = Vec::new();
        take_finished(edges.into_iter(), classes.into_iter(), scores.into_iter(), 0.5, &mut out);
        assert_eq!(out, [Candidate { edges: edges[0], score: 0.9, class: 2 }]);
    }
}
