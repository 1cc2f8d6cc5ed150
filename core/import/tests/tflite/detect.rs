//! `TFLite_Detection_PostProcess` with several classes for each detection, beside a plain form of it.
use edgemill_reference::Reference;

use crate::flat::{FLOAT, File};
use crate::{read, refusal};

const ANCHORS: usize = 24;
const CLASSES: usize = 5;
const EACH: usize = 3;
const MOST: usize = 20;
/// With one for the background.
const SCORES: [i32; 3] = [1, 24, 6];
const SCORE: f32 = 0.6;
const OVERLAP: f32 = 0.3;
const DIVISORS: [f32; 4] = [10.0, 10.0, 5.0, 5.0];

/// Top, left, bottom, right.
type Corners = [f32; 4];

/// A map of numbers as FlexBuffers write it, with fields of four bytes.
fn flex(options: &[(&str, f32)]) -> Vec<u8> {
    let mut sorted = options.to_vec();
    sorted.sort_by_key(|&(name, _)| name);
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let (mut out, mut names) = (Vec::new(), Vec::new());
    for (name, _) in &sorted {
        names.push(out.len());
        out.extend(name.bytes().chain([0]));
    }
    out.extend(number(sorted.len()));
    let keys = out.len();
    for name in names {
        out.extend(number(out.len() - name));
    }
    out.extend(number(out.len() - keys));
    out.extend(number(4));
    out.extend(number(sorted.len()));
    let map = out.len();
    sorted.iter().for_each(|(_, value)| out.extend(value.to_le_bytes()));
    sorted.iter().for_each(|_| out.push(3 << 2 | 2));
    out.extend(number(out.len() - map));
    out.extend([9 << 2 | 2, 4]);
    out
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn file(anchors: &[f32], scores: &[i32]) -> Vec<u8> {
    let mut file = File::default();
    let size = |n: usize| i32::try_from(n).unwrap();
    let boxes = file.tensor("boxes", FLOAT, &[1, size(ANCHORS), 4]);
    let scores = file.tensor("scores", FLOAT, scores);
    let anchors = file.f32s(&[size(ANCHORS), 4], anchors);
    let rows = size(MOST * EACH);
    let outputs = [
        ("found", vec![1, rows, 4]),
        ("classes", vec![1, rows]),
        ("sure", vec![1, rows]),
        ("count", vec![1]),
    ]
    .map(|(name, shape)| file.tensor(name, FLOAT, &shape));
    let options = flex(&[
        ("max_detections", MOST as f32),
        ("max_classes_per_detection", EACH as f32),
        ("num_classes", CLASSES as f32),
        ("use_regular_nms", 0.0),
        ("nms_score_threshold", SCORE),
        ("nms_iou_threshold", OVERLAP),
        ("y_scale", DIVISORS[0]),
        ("x_scale", DIVISORS[1]),
        ("h_scale", DIVISORS[2]),
        ("w_scale", DIVISORS[3]),
    ]);
    file.custom("TFLite_Detection_PostProcess", &[boxes, scores, anchors], &outputs, options);
    file.finish(&[boxes, scores], &outputs)
}

fn corners(given: &[f32], anchor: &[f32]) -> Corners {
    let (y, x) = (
        given[0] / DIVISORS[0] * anchor[2] + anchor[0],
        given[1] / DIVISORS[1] * anchor[3] + anchor[1],
    );
    let (h, w) =
        ((given[2] / DIVISORS[2]).exp() * anchor[2], (given[3] / DIVISORS[3]).exp() * anchor[3]);
    [y - h / 2.0, x - w / 2.0, y + h / 2.0, x + w / 2.0]
}

fn overlap(a: &Corners, b: &Corners) -> f32 {
    let area = |c: &Corners| (c[2] - c[0]) * (c[3] - c[1]);
    let (high, wide) = (a[2].min(b[2]) - a[0].max(b[0]), a[3].min(b[3]) - a[1].max(b[1]));
    let shared = high.max(0.0) * wide.max(0.0);
    shared / (area(a) + area(b) - shared)
}

/// Each detection: its anchor, and its classes from the likeliest on. And how many anchors hid behind others.
fn plain(boxes: &[Corners], scores: &[f32]) -> (Vec<(usize, Vec<usize>)>, usize) {
    let of = |anchor: usize, class: usize| scores[anchor * (CLASSES + 1) + 1 + class];
    let ranked = |anchor: usize| {
        let mut classes: Vec<usize> = (0..CLASSES).collect();
        classes.sort_by(|&a, &b| of(anchor, b).total_cmp(&of(anchor, a)));
        classes
    };
    let best = |anchor: usize| of(anchor, ranked(anchor)[0]);
    let mut order: Vec<usize> = (0..ANCHORS).filter(|&anchor| best(anchor) >= SCORE).collect();
    order.sort_by(|&a, &b| best(b).total_cmp(&best(a)));
    let (mut kept, mut hidden) = (Vec::new(), 0);
    for anchor in order {
        if kept.iter().any(|&(other, _)| overlap(&boxes[anchor], &boxes[other]) > OVERLAP) {
            hidden += 1;
        } else if kept.len() < MOST {
            kept.push((anchor, ranked(anchor)));
        }
    }
    (kept, hidden)
}

/// From 0 to 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn a_detection_has_its_likeliest_classes() {
    let anchors: Vec<f32> = numbers(ANCHORS * 4, 1)
        .chunks(4)
        .flat_map(|a| [a[0], a[1], 0.2 + 0.2 * a[2], 0.2 + 0.2 * a[3]])
        .collect();
    let given = numbers(ANCHORS * 4, 2);
    let scores = numbers(ANCHORS * (CLASSES + 1), 3);
    let boxes: Vec<Corners> =
        given.chunks(4).zip(anchors.chunks(4)).map(|(b, a)| corners(b, a)).collect();
    let (kept, hidden) = plain(&boxes, &scores);
    assert!(kept.len() > 3 && kept.len() < MOST && hidden > 3, "{kept:?} {hidden}");

    let made =
        Reference::new(&read(&file(&anchors, &SCORES))).unwrap().run(&[&given, &scores]).unwrap();
    let [found, classes, sure, count] = &made[..] else { panic!("four outputs") };
    assert_eq!(count[..], [kept.len() as f32]);
    for (row, (anchor, ranked)) in kept.iter().enumerate() {
        for (place, &class) in ranked.iter().take(EACH).enumerate() {
            let at = row * EACH + place;
            assert_eq!(classes[at], class as f32, "row {at}");
            assert_eq!(sure[at], scores[anchor * (CLASSES + 1) + 1 + class], "row {at}");
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
            assert!(found[at * 4..][..4].iter().zip(&boxes[*anchor]).all(near), "row {at}");
        }
    }
    assert!(
        classes[kept.len() * EACH..].iter().chain(&sure[kept.len() * EACH..]).all(|&e| e == 0.0)
    );
}

#[test]
fn scores_without_three_axes_are_refused() {
    for scores in [&[][..], &[24], &[24, 6], &[1, 1, 24, 6]] {
        let said = refusal(&file(&[0.5; ANCHORS * 4], scores));
        assert!(said.contains("three") && said.contains("TFLite_Detection_PostProcess"), "{said}");
    }
}
