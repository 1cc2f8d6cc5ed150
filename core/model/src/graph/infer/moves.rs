//! Shapes of what is moved, joined, repeated or reduced.
use super::super::checked_elements;
use super::super::op::Span;
use super::Shape;

/// One shape that both can be repeated to.
pub fn broadcast(a: &[u32], b: &[u32]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let axis = |of: &[u32], axis: usize| match (axis + of.len()).checked_sub(rank) {
        Some(at) => of[at],
        None => 1,
    };
    let both = |at: usize| match (axis(a, at), axis(b, at)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    };
    let shape: Option<Shape> = (0..rank).map(both).collect();
    shape.ok_or_else(|| format!("{a:?} and {b:?} do not go together"))
}

pub fn mat_mul(a: &[u32], b: &[u32]) -> Result<Shape, String> {
    let ([before_a @ .., m, depth_a], [before_b @ .., depth_b, n]) = (a, b) else {
        return Err(format!("{a:?} by {b:?}: both need two axes"));
    };
    if a.len() != b.len() || depth_a != depth_b {
        return Err(format!("{a:?} by {b:?}"));
    }
    let mut shape = broadcast(before_a, before_b)?;
    shape.extend([*m, *n]);
    Ok(shape)
}

pub fn reduce(x: &[u32], axes: &[u8]) -> Result<Shape, String> {
    let ascending = axes.is_sorted_by(|a, b| a < b);
    if !ascending || axes.iter().any(|&axis| usize::from(axis) >= x.len()) {
        return Err(format!("axes {axes:?} of {x:?}"));
    }
    let mut shape = x.to_vec();
    for &axis in axes {
        shape[usize::from(axis)] = 1;
    }
    Ok(shape)
}

pub fn resize(x: &[u32], [h, w]: [u32; 2], places: [[f32; 2]; 2]) -> Result<Shape, String> {
    let &[n, _, _, c] = super::picture(x)?;
    if !places.as_flattened().iter().all(|place| place.is_finite()) {
        return Err("steps and origins must be finite".into());
    }
    Ok(vec![n, h, w, c])
}

pub fn concat<'a>(axis: u8, parts: impl Iterator<Item = &'a [u32]>) -> Result<Shape, String> {
    let axis = usize::from(axis);
    let mut joined: Option<Shape> = None;
    for part in parts {
        let Some(shape) = &mut joined else {
            joined = (axis < part.len()).then(|| part.to_vec());
            if joined.is_none() {
                return Err(format!("axis {axis} of {part:?}"));
            }
            continue;
        };
        let alike = shape.len() == part.len()
            && shape.iter().zip(part).enumerate().all(|(at, (a, b))| at == axis || a == b);
        let length = part.get(axis).and_then(|&more| shape[axis].checked_add(more));
        match length.filter(|_| alike) {
            Some(length) => shape[axis] = length,
            None => return Err(format!("{part:?} after {shape:?} along axis {axis}")),
        }
    }
    Ok(joined.expect("one input at least was counted"))
}

pub fn slice(x: &[u32], spans: &[Span]) -> Result<Shape, String> {
    let fits = |(&size, span): (&u32, &Span)| {
        let steps = i64::from(span.count) - 1;
        let last = i64::from(span.start) + steps * i64::from(span.step);
        span.step != 0 && span.start < size && steps >= 0 && (0..i64::from(size)).contains(&last)
    };
    if x.len() != spans.len() || !x.iter().zip(spans).all(fits) {
        return Err(format!("{spans:?} of {x:?}"));
    }
    Ok(spans.iter().map(|span| span.count).collect())
}

pub fn gather(x: &[u32], axis: u8, indices: &[u32]) -> Result<Shape, String> {
    let mut shape = x.to_vec();
    match (shape.get_mut(usize::from(axis)), u32::try_from(indices.len())) {
        (Some(size), Ok(count)) if indices.iter().all(|index| index < size) => *size = count,
        _ => return Err(format!("a place along axis {axis} that {x:?} does not have")),
    }
    Ok(shape)
}

pub fn reshape(x: &[u32], to: &[u32]) -> Result<Shape, String> {
    if checked_elements(to)? != checked_elements(x)? {
        return Err(format!("{x:?} cannot become {to:?}"));
    }
    Ok(to.to_vec())
}

pub fn transpose(x: &[u32], order: &[u8]) -> Result<Shape, String> {
    let mut seen = vec![false; x.len()];
    for &axis in order {
        if seen.get(usize::from(axis)) != Some(&false) {
            return Err(format!("order {order:?} of {x:?}"));
        }
        seen[usize::from(axis)] = true;
    }
    if order.len() != x.len() {
        return Err(format!("order {order:?} of {x:?}"));
    }
    Ok(order.iter().map(|&axis| x[usize::from(axis)]).collect())
}

pub fn tile(x: &[u32], times: &[u32]) -> Result<Shape, String> {
    let product = |(&size, &times): (&u32, &u32)| size.checked_mul(times);
    let shape: Option<Shape> = x.iter().zip(times).map(product).collect();
    shape.filter(|_| x.len() == times.len()).ok_or_else(|| format!("{times:?} times {x:?}"))
}

pub fn pad(x: &[u32], borders: &[[u32; 2]], value: f32) -> Result<Shape, String> {
    let sum = |(&size, &[before, after]): (&u32, &[u32; 2])| {
        size.checked_add(before).and_then(|size| size.checked_add(after))
    };
    let shape: Option<Shape> = x.iter().zip(borders).map(sum).collect();
    shape
        .filter(|_| x.len() == borders.len() && value.is_finite())
        .ok_or_else(|| format!("borders {borders:?} of {value} around {x:?}"))
}
