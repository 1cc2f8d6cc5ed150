//! Heads that correct anchors (Liu et al., 2016, arXiv:1512.02325).
use super::{Anchor, Candidate, around, best};

/// What a head's class scores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// 0 to 1.
    Probabilities,
    /// Any number, of which the logistic function is taken.
    Sigmoid,
    /// Any numbers, of which the softmax is taken, the background's among them.
    Softmax,
}

/// What a correction of a side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// The logarithm of what the anchor's side is multiplied by.
    Logarithms,
    /// What it is multiplied by.
    Factors,
}

/// What the head's corrections are divided by: of the centre, and of the sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variances {
    /// 10 in most models.
    pub centre: f32,
    /// 5 in most models.
    pub side: f32,
}

/// How the numbers of a head are to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct SsdHead {
    /// One for each row.
    pub anchors: Vec<Anchor>,
    /// Numbers in a row of corrections: four for the box, and what else the head says of it, such as key points.
    pub numbers: usize,
    /// Classes, without the background.
    pub classes: usize,
    /// Whether the background's score stands before the classes'.
    pub background: bool,
    /// Of all of them.
    pub scores: Scores,
    /// Of the corrections.
    pub variances: Variances,
    /// How they are corrected.
    pub sides: Sides,
    /// Whether a correction is of x, y, width and height, instead of y, x, height and width.
    pub x_first: bool,
}

/// Appends a candidate for each anchor whose best class but the background reaches `threshold`. A row of `boxes` begins
/// with the correction of one. Edges are fractions of the model's picture. Does not allocate while `out` has
/// room.
pub fn decode_ssd(
    boxes: &[f32],
    scores: &[f32],
    head: &SsdHead,
    threshold: f32,
    out: &mut Vec<Candidate>,
) {
    let first = usize::from(head.background);
    let corrections = boxes.chunks_exact(head.numbers.max(4)).filter_map(<[f32]>::first_chunk);
    let rows = corrections.zip(scores.chunks_exact(first + head.classes));
    let variances = head.variances;
    let side = |correction: f32| match head.sides {
        Sides::Logarithms => libm::expf(correction / variances.side),
        Sides::Factors => correction / variances.side,
    };
    for ((&[a, b, c, d], scores), anchor) in rows.zip(&head.anchors) {
        let [x, y, width, height] = if head.x_first { [a, b, c, d] } else { [b, a, d, c] };
        let Some((class, raw)) = best(scores[first..].iter().copied()) else { continue };
        let score = score(raw, scores, head.scores);
        if score >= threshold {
            let centre = [
                x / variances.centre * anchor.width + anchor.x,
                y / variances.centre * anchor.height + anchor.y,
            ];
            let sides = [side(width) * anchor.width, side(height) * anchor.height];
            out.push(Candidate { edges: around(centre, sides), score, class });
        }
    }
}

fn score(raw: f32, all: &[f32], kind: Scores) -> f32 {
    match kind {
        Scores::Probabilities => raw,
        Scores::Sigmoid => 1.0 / (1.0 + libm::expf(-raw)),
        // One over the sum of quotients, so that nothing overflows to what is no number.
        Scores::Softmax => 1.0 / all.iter().map(|&other| libm::expf(other - raw)).sum::<f32>(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit_anchors;
    use super::*;

    #[test]
    fn corrections_move_and_stretch_the_anchor() {
        let anchors = [Anchor { x: 0.5, y: 0.25, width: 0.2, height: 0.1 }; 2];
        let boxes = [[0.0; 4], [10.0, -10.0, 5.0 * 2.0_f32.ln(), 0.0]];
        let scores = [0.9, 0.1, 0.2, 0.1, 0.7, 0.6];
        let head = SsdHead {
            anchors: anchors.to_vec(),
            numbers: 4,
            classes: 2,
            background: true,
            scores: Scores::Probabilities,
            variances: Variances { centre: 10.0, side: 5.0 },
            sides: Sides::Logarithms,
            x_first: false,
        };
        let mut out = Vec::new();
        decode_ssd(boxes.as_flattened(), &scores, &head, 0.5, &mut out);
        let [found] = out[..] else { panic!("{out:?}") };
        assert_eq!((found.class, found.score), (0, 0.7));
        let expected = [0.2, 0.25, 0.4, 0.45];
        let close = found.edges.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{found:?}");
    }

    /// As MediaPipe's face detector has them.
    #[test]
    fn a_box_may_be_followed_by_key_points_and_its_sides_be_factors() {
        let anchors = unit_anchors(64, 32, &[(16, 2), (32, 1)]);
        let mut boxes = [[0.0; 6]; 18];
        boxes[17] = [16.0, -8.0, 32.0, 64.0, 9.0, 9.0];
        let mut scores = [-9.0; 18];
        scores[17] = 0.0;
        let head = SsdHead {
            anchors,
            numbers: 6,
            classes: 1,
            background: false,
            scores: Scores::Sigmoid,
            variances: Variances { centre: 128.0, side: 128.0 },
            sides: Sides::Factors,
            x_first: true,
        };
        let mut out = Vec::new();
        decode_ssd(boxes.as_flattened(), &scores, &head, 0.5, &mut out);
        let expected = Candidate { edges: [0.75, 0.1875, 1.0, 0.6875], score: 0.5, class: 0 };
        assert_eq!(out, [expected]);
    }

    #[test]
    fn scores_are_read_as_they_are_meant() {
        let logits = [0.0, 3.0_f32.ln()];
        assert_eq!(score(0.25, &[], Scores::Probabilities), 0.25);
        assert!((score(logits[1], &[], Scores::Sigmoid) - 0.75).abs() < 1e-6);
        assert!((score(logits[1], &logits, Scores::Softmax) - 0.75).abs() < 1e-6);
        assert!(score(-200.0, &[1e30, -200.0], Scores::Softmax) == 0.0);
    }
}
