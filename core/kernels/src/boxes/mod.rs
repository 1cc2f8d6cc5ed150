//! Boxes: from a detector's numbers to candidates, from candidates to detections, and back to the frame.
//!
//! A box is its left, top, right and bottom edge, x to the right and y down. Each `decode_*` gives at most one candidate
//! for a row of the detector: of the class that the row scores highest, of equal ones the first.

mod anchors;
mod grid;
mod nms;
mod ready;
mod ssd;

pub use anchors::{Anchor, ssd_anchors, unit_anchors};
pub use grid::{GridError, Grids, decode_grids};
pub use nms::{Suppression, iou};
pub use ready::{Rows, decode_centred, take_finished};
pub use ssd::{Scores, Sides, SsdHead, Variances, decode_ssd};

/// A box with its class and the score it has there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Left, top, right, bottom.
    pub edges: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    /// Index of the class.
    pub class: u32,
}

/// The greatest of some scores and its class, of equal ones the first; `None` if there are none, or none is a number.
fn best(scores: impl Iterator<Item = f32>) -> Option<(u32, f32)> {
    let mut best: Option<(u32, f32)> = None;
    for (class, score) in (0..).zip(scores) {
        if best.is_none_or(|(_, most)| score > most) && !score.is_nan() {
            best = Some((class, score));
        }
    }
    best
}

/// Edges of a box that is given by its centre and its sides.
fn around([x, y]: [f32; 2], [width, height]: [f32; 2]) -> [f32; 4] {
    let (half_width, half_height) = (width * 0.5, height * 0.5);
    [x - half_width, y - half_height, x + half_width, y + half_height]
}
