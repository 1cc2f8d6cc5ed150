//! Sparse constants: the elements that are not 0, and the places where they stand.
//!
//! The axes are walked in the order in which they are stored; an axis is dense, or has lists of the places that hold
//! something. Axes behind the tensor's own are those of blocks into which some of its axes are cut.
use super::flat::Table;
use crate::host::{Data, Host, Quantized};
use crate::{Refusal, unsupported, wrong};

/// The most axes, those of blocks included.
const MAX_AXES: usize = 12;

struct Axis {
    size: usize,
    /// How far an element moves in the dense tensor from one place to the next.
    stride: usize,
    /// Where each node's places begin in the list of them all; none where every place holds something.
    lists: Option<[Vec<u32>; 2]>,
}

/// The dense tensor of which the elements of `host` are stored.
pub fn dense(sparsity: &Table<'_>, host: &Host) -> Result<Host, Refusal> {
    let order = indices(&sparsity.i32s(0)?)?;
    let blocks = indices(&sparsity.i32s(1)?)?;
    let tables = sparsity.tables(2)?;
    let steps = steps(&host.shape, &order, &blocks, &tables)?;
    let all = steps.iter().try_fold(1_usize, |n, &(size, _)| n.checked_mul(size));
    if order.len() > MAX_AXES || order.len() != tables.len() || all != Some(host.len()) {
        return Err(contradiction());
    }
    let axis = |(table, (size, stride)): (&Table<'_>, (usize, usize))| {
        Ok(Axis { size, stride, lists: lists(table)? })
    };
    let axes = tables.iter().zip(steps).map(axis).collect::<Result<Vec<_>, Refusal>>()?;
    let mut found = Vec::new();
    walk(&axes, 0, 0, &mut found)?;
    spread(host, &found)
}

fn contradiction() -> Refusal {
    wrong("its sparse weights contradict themselves")
}

fn indices(list: &[i32]) -> Result<Vec<usize>, Refusal> {
    list.iter().map(|&i| usize::try_from(i).map_err(|_| contradiction())).collect()
}

fn lists(table: &Table<'_>) -> Result<Option<[Vec<u32>; 2]>, Refusal> {
    match table.u8(0, 0)? {
        0 => Ok(None),
        1 => Ok(Some([list(table, 2)?, list(table, 4)?])),
        _ => Err(unsupported("a way of being sparse that is not known")),
    }
}

/// A list of whole numbers of one of three widths.
fn list(table: &Table<'_>, field: usize) -> Result<Vec<u32>, Refusal> {
    let of = table.table(field + 1)?.ok_or_else(contradiction)?;
    Ok(match table.u8(field, 0)? {
        1 => of.i32s(0)?.into_iter().map(i32::cast_unsigned).collect(),
        2 => of.u16s(0)?.into_iter().map(u32::from).collect(),
        3 => of.bytes(0)?.iter().map(|&b| b.into()).collect(),
        _ => return Err(contradiction()),
    })
}

/// Size and stride of the stored axes. An axis that is cut into blocks moves by a block.
fn steps(
    shape: &[usize],
    order: &[usize],
    blocks: &[usize],
    tables: &[Table<'_>],
) -> Result<Vec<(usize, usize)>, Refusal> {
    let rank = shape.len();
    let mut own = vec![1_usize; rank];
    for axis in (1..rank).rev() {
        own[axis - 1] = own[axis].checked_mul(shape[axis]).ok_or_else(contradiction)?;
    }
    let mut block = vec![1_usize; rank];
    for (place, &at) in order.iter().enumerate() {
        if let Some(inner) = at.checked_sub(rank) {
            let of = *blocks.get(inner).filter(|&&of| of < rank).ok_or_else(contradiction)?;
            let size = tables.get(place).ok_or_else(contradiction)?.i32(1, 0)?;
            let size = usize::try_from(size).ok().filter(|&size| size > 0);
            block[of] = size.ok_or_else(contradiction)?;
        }
    }
    let step = |&at: &usize| match at.checked_sub(rank) {
        None => Some((shape[at] / block[at], own[at].checked_mul(block[at])?)),
        Some(inner) => blocks.get(inner).map(|&of| (block[of], own[of])),
    };
    order.iter().map(|at| step(at).ok_or_else(contradiction)).collect()
}

/// The places of all elements below the node `at` of the first of `axes`, which begins at `place` of the dense tensor.
fn walk(axes: &[Axis], at: usize, place: usize, found: &mut Vec<usize>) -> Result<(), Refusal> {
    let Some((Axis { size, stride, lists }, inner)) = axes.split_first() else {
        found.push(place);
        return Ok(());
    };
    let to = |index: usize| place.saturating_add(index.saturating_mul(*stride));
    let Some([segments, places]) = lists else {
        return (0..*size).try_for_each(|n| {
            walk(inner, at.saturating_mul(*size).saturating_add(n), to(n), found)
        });
    };
    let (Some(&first), Some(&end)) = (segments.get(at), segments.get(at + 1)) else {
        return Err(contradiction());
    };
    let (first, end) = (first as usize, end as usize);
    let Some(list) = places.get(first..end).filter(|list| list.len() <= *size) else {
        return Err(contradiction());
    };
    let mut nodes = list.iter().enumerate();
    nodes.try_for_each(|(n, &index)| walk(inner, first + n, to(index as usize), found))
}

/// The stored elements at their places; elsewhere 0.
fn spread(host: &Host, found: &[usize]) -> Result<Host, Refusal> {
    fn at<T: Copy>(zero: T, count: usize, found: &[usize], of: &[T]) -> Option<Vec<T>> {
        let mut all = vec![zero; count];
        for (&place, &element) in found.iter().zip(of) {
            *all.get_mut(place)? = element;
        }
        (found.len() <= of.len()).then_some(all)
    }
    let (count, shape) = (host.len(), host.shape.clone());
    let data = match &host.data {
        Data::F(of) => at(0.0, count, found, of).map(Data::F),
        Data::I(of) => at(0, count, found, of).map(Data::I),
        Data::Q(q) => {
            let zero = q.one_rule().map_or(0, |rule| rule.zero_point.clamp(-128, 127));
            let zero = i8::try_from(zero).unwrap_or(0);
            at(zero, count, found, &q.elements)
                .map(|elements| Data::Q(Quantized { elements, ..q.clone() }))
        }
    };
    data.map(|data| Host { shape, data }).ok_or_else(contradiction)
}
