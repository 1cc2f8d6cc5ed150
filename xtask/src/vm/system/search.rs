//! Looking for many short runs of bytes in a whole disk.
use std::collections::{BTreeSet, HashMap};

/// Long enough that chance makes none: 2^-256.
const RUN: usize = 32;
/// How many of a file's runs are looked for.
const RUNS: usize = 256;

/// Runs spread over `bytes` that no other file would have: those of many different values.
pub fn runs(bytes: &[u8]) -> Vec<Vec<u8>> {
    let step = (bytes.len() / RUNS).max(RUN);
    let windows = (0..bytes.len().saturating_sub(RUN)).step_by(step).map(|at| &bytes[at..at + RUN]);
    let distinct = |run: &&[u8]| run.iter().collect::<BTreeSet<_>>().len() >= 20;
    windows.filter(distinct).map(<[u8]>::to_vec).collect()
}

/// Which of `wanted` are in `bytes`, at any place. Each has at least eight bytes.
pub fn found(bytes: &[u8], wanted: &[Vec<u8>]) -> Vec<usize> {
    let mut by_head: HashMap<[u8; 8], Vec<usize>> = HashMap::new();
    // Most places are ruled out by their first two bytes.
    let mut begins = vec![false; 1 << 16];
    for (index, run) in wanted.iter().enumerate() {
        let head: [u8; 8] = run[..8].try_into().expect("eight bytes");
        begins[usize::from(u16::from_le_bytes([head[0], head[1]]))] = true;
        by_head.entry(head).or_default().push(index);
    }
    let mut seen = BTreeSet::new();
    for at in 0..bytes.len().saturating_sub(7) {
        if !begins[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))] {
            continue;
        }
        let head: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
        let candidates = by_head.get(&head).into_iter().flatten();
        seen.extend(candidates.filter(|index| bytes[at..].starts_with(&wanted[**index])));
    }
    seen.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{found, runs};

    #[test]
    fn what_is_there_is_found_at_any_place_and_nothing_else() {
        let noise: Vec<u8> =
            (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let wanted = runs(&noise);
        assert!(wanted.len() > 50);
        assert!(found(&[0; 5000], &wanted).is_empty());
        let mut place = vec![7; 3];
        place.extend(&wanted[9]);
        assert_eq!(found(&place, &wanted), [9]);
        assert!(found(&place[..place.len() - 1], &wanted).is_empty());
    }
}
