//! Non-maximum suppression: of boxes of one class that cover each other, the one with the highest score stays.
use std::cmp::Ordering;

use super::Candidate;

/// Area of what two boxes share over the area of both together; 0 where they share nothing.
#[must_use]
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let shared =
        (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = area(a) + area(b) - shared;
    if shared > 0.0 { shared / both } else { 0.0 }
}

fn area(edges: &[f32; 4]) -> f32 {
    (edges[2] - edges[0]).max(0.0) * (edges[3] - edges[1]).max(0.0)
}

/// What stays, and room for the work, taken once.
#[derive(Clone, Debug)]
pub struct Suppression {
    iou: f32,
    most: usize,
    kept: Vec<Candidate>,
}

impl Suppression {
    /// Of two boxes of a class that share more than `iou` only one stays; at most `most` boxes stay in all.
    #[must_use]
    pub fn new(iou: f32, most: usize) -> Self {
        Self { iou, most, kept: Vec::with_capacity(most) }
    }

    /// The boxes that stay, highest score first; of equal scores the lower class, then the box further to the left and up.
    /// Reorders `candidates`. Does not allocate.
    pub fn of(&mut self, candidates: &mut [Candidate]) -> &[Candidate] {
        candidates.sort_unstable_by(order);
        self.kept.clear();
        for candidate in candidates.iter() {
            if self.kept.len() == self.most {
                break;
            }
            if !self.is_covered(candidate) {
                self.kept.push(*candidate);
            }
        }
        &self.kept
    }

    fn is_covered(&self, candidate: &Candidate) -> bool {
        let mut same = self.kept.iter().filter(|kept| kept.class == candidate.class);
        same.any(|kept| iou(&kept.edges, &candidate.edges) > self.iou)
    }
}

/// A total order, so that the same candidates give the same boxes however they come.
fn order(a: &Candidate, b: &Candidate) -> Ordering {
    let edges = a.edges.iter().zip(&b.edges).map(|(a, b)| a.total_cmp(b));
    let first = edges.fold(Ordering::Equal, Ordering::then);
    b.score.total_cmp(&a.score).then(a.class.cmp(&b.class)).then(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(left: f32, score: f32, class: u32) -> Candidate {
        Candidate { edges: [left, 0.0, left + 10.0, 10.0], score, class }
    }

    #[test]
    fn shares_are_what_they_are() {
        let unit = [0.0, 0.0, 1.0, 1.0];
        let cases = [
            ("itself", unit, 1.0),
            ("half of it", [0.0, 0.0, 0.5, 1.0], 0.5),
            ("a corner", [0.5, 0.5, 1.5, 1.5], 0.25 / 1.75),
            ("beside", [1.0, 0.0, 2.0, 1.0], 0.0),
            ("turned inside out", [1.0, 1.0, 0.0, 0.0], 0.0),
        ];
        for (name, other, expected) in cases {
            assert_eq!(iou(&unit, &other), expected, "{name}");
            assert_eq!(iou(&other, &unit), expected, "{name}, turned round");
        }
    }

    #[test]
    fn only_the_best_of_a_class_at_a_place_stays() {
        let mut candidates = [
            candidate(0.0, 0.5, 1),
            candidate(1.0, 0.9, 1),
            candidate(1.0, 0.7, 2),
            candidate(2.0, 0.6, 1),
            candidate(20.0, 0.4, 1),
        ];
        let expected = [candidates[1], candidates[2], candidates[4]];
        assert_eq!(Suppression::new(0.5, 10).of(&mut candidates), expected);
        assert_eq!(Suppression::new(0.5, 2).of(&mut candidates), &expected[..2]);
    }

    /// Every box that stays covers no better one of its class, and every box that went is covered by a better one that
    /// stayed: which says all that the algorithm is.
    #[test]
    fn what_stays_and_goes_has_its_reason() {
        let mut bits = 7_u32;
        let mut number = || {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(bits >> 16).expect("16 bits")) / 65536.0
        };
        let mut candidates: Vec<_> = (0..400_u32)
            .map(|index| Candidate {
                edges: super::super::around([number() * 50.0, number() * 50.0], [10.0, 12.0]),
                score: number(),
                class: index % 3,
            })
            .collect();
        let mut suppression = Suppression::new(0.45, 400);
        let kept = suppression.of(&mut candidates).to_vec();
        let covers = |a: &Candidate, b: &Candidate| {
            a.class == b.class && a.score > b.score && iou(&a.edges, &b.edges) > 0.45
        };
        assert!((50..350).contains(&kept.len()), "{}", kept.len());
        for candidate in &candidates {
            let covered = kept.iter().any(|stayed| covers(stayed, candidate));
            assert_eq!(kept.contains(candidate), !covered, "{candidate:?}");
        }
    }
}
