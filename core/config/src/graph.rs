//! The order in which a graph can be walked, or the circle that forbids it.

/// Indices such that each node comes after all of its `upstream` ones, in the given order where that is free
/// (Kahn's algorithm).
///
/// # Errors
/// A circle: each node feeds the next, the last one the first.
pub(crate) fn order(upstream: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut done = vec![false; upstream.len()];
    let mut order = Vec::with_capacity(upstream.len());
    while order.len() < upstream.len() {
        let ready = |&node: &usize| !done[node] && upstream[node].iter().all(|&from| done[from]);
        let Some(next) = (0..upstream.len()).find(ready) else {
            return Err(circle(upstream, &done));
        };
        done[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// Walking upstream among nodes that are not done must come back to one already seen: each has such an upstream.
fn circle(upstream: &[Vec<usize>], done: &[bool]) -> Vec<usize> {
    let mut path: Vec<usize> = done.iter().position(|done| !done).into_iter().collect();
    while let Some(&node) = path.last() {
        let Some(&next) = upstream[node].iter().find(|&&from| !done[from]) else { break };
        if let Some(start) = path.iter().position(|&seen| seen == next) {
            path.drain(..start);
            break;
        }
        path.push(next);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_comes_after_those_upstream() {
        assert_eq!(order(&[]), Ok(vec![]));
        assert_eq!(order(&[vec![], vec![0], vec![1]]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[vec![1], vec![2], vec![]]), Ok(vec![2, 1, 0]));
        assert_eq!(order(&[vec![], vec![3], vec![0], vec![0, 2]]), Ok(vec![0, 2, 3, 1]));
    }

    #[test]
    fn a_circle_is_told_in_the_direction_of_flow_and_without_its_tails() {
        assert_eq!(order(&[vec![0]]), Err(vec![0]));
        assert_eq!(order(&[vec![], vec![0, 3], vec![1], vec![2]]), Err(vec![2, 3, 1]));
        assert_eq!(order(&[vec![1], vec![2], vec![1]]), Err(vec![2, 1]));
    }
}
