//! Another shape for a value whose axes lie in another order than the file sees them.
use std::ops::Range;

use edgemill_model::graph::Op;

use super::{Builder, Live};
use crate::Refusal;

impl Builder {
    /// The value in another shape, where its elements need not move for that: axes that are joined lie one behind the other
    /// already. So rows and columns of a picture become one axis, as heads of detectors have it, without its channels being
    /// brought in front first.
    pub fn regrouped(
        &mut self,
        name: &str,
        live: &Live,
        shape: &[u32],
    ) -> Result<Option<Live>, Refusal> {
        if live.order.is_sorted() {
            return Ok(None);
        }
        let Some(order) = regrouped(&self.logical(live), &live.order, shape) else {
            return Ok(None);
        };
        let lies = order.iter().map(|&axis| shape[axis]).collect();
        let id = self.keep(name, Op::Reshape(lies), &[live.id])?;
        Ok(Some(Live { id, order }))
    }
}

/// In which order axes of the shape `to` lie, if those of `from` lie in `order`.
fn regrouped(from: &[u32], order: &[usize], to: &[u32]) -> Option<Vec<usize>> {
    let long: Vec<usize> = order.iter().copied().filter(|&axis| from[axis] > 1).collect();
    let mut places = Vec::new();
    for [old, new] in groups(from, to)? {
        let joined: Vec<usize> = old.filter(|&axis| from[axis] > 1).collect();
        let at = match joined.first() {
            // Axes of one element may lie anywhere.
            None => 0,
            Some(first) => long.iter().position(|axis| axis == first)?,
        };
        if long.get(at..)?.get(..joined.len())? != joined {
            return None;
        }
        places.extend(new.map(|axis| (if to[axis] > 1 { at } else { 0 }, axis)));
    }
    places.sort_unstable();
    Some(places.into_iter().map(|(_, axis)| axis).collect())
}

/// Runs of axes of two shapes with as many elements; `None` if there are none such.
fn groups(from: &[u32], to: &[u32]) -> Option<Vec<[Range<usize>; 2]>> {
    let (mut i, mut j) = (0, 0);
    let mut groups = Vec::new();
    while i < from.len() || j < to.len() {
        let start = (i, j);
        let mut elements = [1_u64; 2];
        loop {
            if elements[0] <= elements[1] && i < from.len() {
                elements[0] *= u64::from(from[i]);
                i += 1;
            } else {
                elements[1] *= u64::from(*to.get(j)?);
                j += 1;
            }
            if elements[0] == elements[1] {
                break;
            }
        }
        groups.push([start.0..i, start.1..j]);
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::regrouped;

    #[test]
    fn axes_that_lie_together_are_joined_and_any_is_split() {
        for (to, order) in [
            (&[1, 85, 12][..], Some(&[0, 2, 1][..])),
            (&[85, 12], Some(&[1, 0])),
            (&[1, 5, 17, 3, 4], Some(&[0, 3, 4, 1, 2])),
            (&[1, 1, 85, 12, 1], Some(&[0, 1, 3, 4, 2])),
            (&[1, 85, 2, 6], Some(&[0, 2, 3, 1])),
            (&[1020], None),
            (&[1, 255, 4], None),
            (&[1, 85, 5, 2], None),
            (&[1, 85], None),
        ] {
            // Rows, columns, channels.
            let found = regrouped(&[1, 85, 3, 4], &[0, 2, 3, 1], to);
            assert_eq!(found.as_deref(), order, "{to:?}");
        }
    }
}
