//! Detections of a single-shot detector, as TensorFlow Lite's `Detection_PostProcess` defines them.
use candle_core::{Device, Result, Tensor};
use edgemill_model::graph::Detect;

/// y and x of the first corner, of the second.
type Corners = [f32; 4];

struct Found {
    anchor: usize,
    class: usize,
    score: f32,
}

pub fn detect(of: &Detect, boxes: &Tensor, scores: &Tensor, anchors: &Tensor) -> Result<Tensor> {
    let (boxes, anchors) = (rows(&boxes.squeeze(0)?)?, rows(anchors)?);
    let scores = rows(&scores.squeeze(0)?)?;
    let corners: Vec<Corners> =
        boxes.iter().zip(&anchors).map(|(b, a)| decode(&of.divisors, b, a)).collect();
    let mut found = match of.per_class {
        None => one_per_box(of, &corners, &scores),
        Some(most) => by_class(of, &corners, &scores, most as usize),
    };
    found.truncate(of.most as usize);
    let mut table = vec![0.0; of.most as usize * 7];
    for (row, Found { anchor, class, score }) in table.chunks_exact_mut(7).zip(found) {
        row[..4].copy_from_slice(&corners[anchor]);
        row[4..].copy_from_slice(&[number(class), score, 1.0]);
    }
    Tensor::from_vec(table, (1, of.most as usize, 7), &Device::Cpu)
}

fn rows(x: &Tensor) -> Result<Vec<Vec<f32>>> {
    x.to_vec2()
}

#[expect(clippy::cast_precision_loss, reason = "there are at most 2¹⁶ classes")]
fn number(class: usize) -> f32 {
    class as f32
}

fn decode(divisors: &[f32; 4], given: &[f32], anchor: &[f32]) -> Corners {
    let at = |axis: usize| {
        let centre = given[axis] / divisors[axis] * anchor[axis + 2] + anchor[axis];
        let half = 0.5 * (given[axis + 2] / divisors[axis + 2]).exp() * anchor[axis + 2];
        [centre - half, centre + half]
    };
    let ([top, bottom], [left, right]) = (at(0), at(1));
    [top, left, bottom, right]
}

fn one_per_box(of: &Detect, corners: &[Corners], scores: &[Vec<f32>]) -> Vec<Found> {
    let best = |(anchor, scores): (usize, &Vec<f32>)| {
        let first = Found { anchor, class: 0, score: scores[0] };
        scores.iter().enumerate().fold(first, |best, (class, &score)| {
            if score > best.score { Found { anchor, class, score } } else { best }
        })
    };
    compete(of, corners, scores.iter().enumerate().map(best).collect(), of.most as usize)
}

fn by_class(of: &Detect, corners: &[Corners], scores: &[Vec<f32>], most: usize) -> Vec<Found> {
    let classes = scores.first().map_or(0, Vec::len);
    let of_class = |class: usize| {
        let each =
            |(anchor, scores): (usize, &Vec<f32>)| Found { anchor, class, score: scores[class] };
        compete(of, corners, scores.iter().enumerate().map(each).collect(), most)
    };
    let mut found: Vec<Found> = (0..classes).flat_map(of_class).collect();
    sort(&mut found);
    found
}

/// Takes the best, one at a time, and drops what overlaps it.
fn compete(of: &Detect, corners: &[Corners], mut found: Vec<Found>, most: usize) -> Vec<Found> {
    found.retain(|found| found.score >= of.score);
    sort(&mut found);
    let mut taken: Vec<Found> = Vec::new();
    for one in found {
        let hidden =
            |other: &Found| overlap(&corners[one.anchor], &corners[other.anchor]) > of.overlap;
        if taken.len() < most && !taken.iter().any(hidden) {
            taken.push(one);
        }
    }
    taken
}

fn sort(found: &mut [Found]) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// What two boxes share as a part of what they cover.
fn overlap(a: &Corners, b: &Corners) -> f32 {
    let area = |[top, left, bottom, right]: &Corners| (bottom - top) * (right - left);
    let (of_a, of_b) = (area(a), area(b));
    if of_a <= 0.0 || of_b <= 0.0 {
        return 0.0;
    }
    let side = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
    let shared = side(0) * side(1);
    shared / (of_a + of_b - shared)
}
