//! Elements taken from, or put at, places that are known: both become a gather, along an axis where that is enough.
use edgemill_model::graph::Op;

use super::moves::place;
use super::{Importer, axis};
use crate::builder::{Live, Shape, Value, small};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The most places of one operator: each becomes four bytes of the graph.
const MAX_PLACES: usize = 1 << 22;

impl Importer<'_> {
    pub(super) fn gather_places(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let Value::Host(indices) = self.value(at, 1)? else {
            return if op == "GatherElements" {
                self.elements_live(at)
            } else {
                self.tuples_live(at)
            };
        };
        let live = self.live(at, 0)?;
        let shape = self.build.logical(&live);
        if op == "GatherElements" {
            let along = axis(self.int(at, "axis", 0), shape.len())?;
            let places = element_places(&shape, &indices, along)?;
            let flat = vec![shape.iter().product()];
            return self.taken(at, &live, flat, places, indices.shape32());
        }
        let batch = usize::try_from(self.int(at, "batch_dims", 0)).unwrap_or(usize::MAX);
        let places = tuple_places(&shape, &indices, batch)?;
        let depth = batch + indices.shape.last().copied().unwrap_or(0);
        let mut rows = vec![shape[..depth].iter().product()];
        rows.extend(&shape[depth..]);
        let mut to = indices.shape32();
        to.pop();
        to.extend(&shape[depth..]);
        self.taken(at, &live, rows, places, to)
    }

    /// Rows of `live`, seen as of shape `rows`, as a tensor of shape `to`.
    fn taken(
        &mut self,
        at: usize,
        live: &Live,
        rows: Shape,
        indices: Vec<u32>,
        to: Shape,
    ) -> Result<Value, Refusal> {
        let rows = self.build.reshaped("", &Value::Live(live.clone()), rows)?;
        let id = self.build.keep("", Op::Gather { axis: 0, indices }, &[rows.id])?;
        let id = self.build.keep(&self.out(at).name, Op::Reshape(to), &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }

    pub(super) fn scatter(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let reduction = self.text(at, "reduction", "none");
        if reduction != "none" {
            return Err(unsupported(format!("reduction {reduction}")));
        }
        let (data, updates) = (self.value(at, 0)?, self.value(at, 2)?);
        let indices = self.host(at, 1)?.ok_or_else(|| wrong("no indices"))?;
        let shape = self.build.value_shape(&data);
        if op == "ScatterND" {
            let depth = indices.shape.last().copied().unwrap_or(0);
            let places = tuple_places(&shape, &indices, 0)?;
            let put = &indices.shape32()[..indices.shape.len() - 1];
            return self.put(at, [&data, &updates], &shape, depth, put, &places);
        }
        let along = axis(self.int(at, "axis", 0), shape.len())?;
        let places = element_places(&shape, &indices, along)?;
        self.put(at, [&data, &updates], &shape, shape.len(), &indices.shape32(), &places)
    }

    /// `data` with the `updates` at `places` of its first `depth` axes.
    fn put(
        &mut self,
        at: usize,
        [data, updates]: [&Value; 2],
        shape: &[u32],
        depth: usize,
        put: &[u32],
        places: &[u32],
    ) -> Result<Value, Refusal> {
        if let Some((along, map)) = along_an_axis(&shape[..depth], put, places) {
            let along = i64::try_from(along).map_err(|_| wrong("its axis"))?;
            let both = self.concat(&Default::default(), &[data.clone(), updates.clone()], along)?;
            let Value::Live(both) = both else { return Err(wrong("a constant")) };
            return self.gathered_live(at, &both, along, map);
        }
        let rows: u32 = shape[..depth].iter().product();
        let rest: u32 = shape[depth..].iter().product();
        let count = u32::try_from(places.len()).map_err(|_| wrong("its indices"))?;
        if rows as usize > MAX_PLACES {
            return Err(unsupported("that many places"));
        }
        let mut map: Vec<u32> = (0..rows).collect();
        for (from, &to) in (rows..).zip(places) {
            map[to as usize] = from;
        }
        let flat = |this: &mut Self, value: &Value, rows: u32| {
            this.build.reshaped("", value, vec![rows, rest]).map(Value::Live)
        };
        let parts = [flat(self, data, rows)?, flat(self, updates, count)?];
        let Value::Live(both) = self.concat(&Default::default(), &parts, 0)? else {
            return Err(wrong("a constant"));
        };
        let id = self.build.keep("", Op::Gather { axis: 0, indices: map }, &[both.id])?;
        let id = self.build.keep(&self.out(at).name, Op::Reshape(shape.to_vec()), &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }

    fn gathered_live(
        &mut self,
        at: usize,
        live: &Live,
        along: i64,
        indices: Vec<u32>,
    ) -> Result<Value, Refusal> {
        let along = axis(along, live.order.len())?;
        let place = live.order.iter().position(|&a| a == along).ok_or_else(|| wrong("its axis"))?;
        let name = self.out(at).name;
        let id = self.build.keep(&name, Op::Gather { axis: small(place), indices }, &[live.id])?;
        Ok(Value::Live(Live { id, order: live.order.clone() }))
    }
}

/// The coordinates of each element of `shape`, row-major.
fn coordinates(shape: &[u32]) -> impl Iterator<Item = Vec<u32>> + '_ {
    let count: usize = shape.iter().map(|&d| d as usize).product();
    let mut next = vec![0; shape.len()];
    (0..count).map(move |_| {
        let now = next.clone();
        for (at, size) in next.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < *size {
                break;
            }
            *at = 0;
        }
        now
    })
}

fn flat(shape: &[u32], at: &[u32]) -> u32 {
    shape.iter().zip(at).fold(0, |flat, (size, at)| flat * size + at)
}

/// Where along `axis` each element of `indices` points, everything else as it lies.
fn element_places(shape: &[u32], indices: &Host, axis: usize) -> Result<Vec<u32>, Refusal> {
    let of = indices.shape32();
    let fits = of.len() == shape.len()
        && of.iter().zip(shape).enumerate().all(|(a, (i, d))| a == axis || i <= d);
    if !fits || indices.len() > MAX_PLACES {
        return Err(wrong("its indices do not fit its data"));
    }
    let one = |(mut at, index): (Vec<u32>, i64)| {
        at[axis] = place(index, shape[axis])?;
        Ok(flat(shape, &at))
    };
    coordinates(&of).zip(indices.i64s()).map(one).collect()
}

/// Places of the coordinates that lie along the last axis of `indices`, behind `batch` axes that both have.
fn tuple_places(shape: &[u32], indices: &Host, batch: usize) -> Result<Vec<u32>, Refusal> {
    let of = indices.shape32();
    let (&depth, outer) = of.split_last().ok_or_else(|| wrong("its indices have no axis"))?;
    let depth = depth as usize;
    let end = batch.checked_add(depth).filter(|&end| end <= shape.len() && depth > 0);
    let end = end.ok_or_else(|| wrong("its indices have more axes than its data"))?;
    if outer.get(..batch) != shape.get(..batch) || indices.len() > MAX_PLACES * depth {
        return Err(wrong("its indices do not fit its data"));
    }
    let elements = indices.i64s();
    let one = |(at, tuple): (Vec<u32>, &[i64])| {
        let inner = tuple.iter().zip(&shape[batch..]).map(|(&i, &d)| place(i, d));
        let inner = inner.collect::<Result<Vec<_>, _>>()?;
        Ok(flat(&shape[..end], &[&at[..batch], &inner].concat()))
    };
    coordinates(outer).zip(elements.chunks_exact(depth)).map(one).collect()
}

/// If what is `put` differs from `shape` along one axis and lies in the same places along all others: that axis, and
/// for each of its places where it is found behind the data.
fn along_an_axis(shape: &[u32], put: &[u32], places: &[u32]) -> Option<(usize, Vec<u32>)> {
    let differs = |&axis: &usize| shape[axis] != put[axis];
    if shape.len() != put.len() || (0..shape.len()).filter(differs).count() > 1 {
        return None;
    }
    let axis = (0..shape.len()).find(differs).or_else(|| shape.len().checked_sub(1))?;
    let inner: u32 = shape[axis + 1..].iter().product();
    let mut map: Vec<u32> = (0..shape[axis]).collect();
    let mut to = vec![None; put[axis] as usize];
    for (mut at, &place) in coordinates(put).zip(places) {
        let from = at[axis] as usize;
        at[axis] = place / inner % shape[axis];
        if flat(shape, &at) != place || to[from].is_some_and(|known| known != at[axis]) {
            return None;
        }
        to[from] = Some(at[axis]);
    }
    for (from, to) in (shape[axis]..).zip(to) {
        map[to? as usize] = from;
    }
    Some((axis, map))
}
