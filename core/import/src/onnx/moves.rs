//! What only moves elements.
use edgemill_model::graph::{Op, Span};

use super::{Importer, axes, axis, size};
use crate::builder::{Live, Out, Shape, Value};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn movement(&mut self, at: usize, op: &str) -> Result<Option<Vec<Value>>, Refusal> {
        let one = |value: Value| Ok(Some(vec![value]));
        match op {
            "Transpose" => {
                let live = self.live(at, 0)?;
                let rank = live.order.len();
                let order = match self.ints(at, "perm") {
                    Some(list) => axes(&list, rank)?,
                    None => (0..rank).rev().collect(),
                };
                one(turned(live, &order)?)
            }
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                let shape = self.new_shape(at, op)?;
                let x = self.value(at, 0)?;
                one(self.with_shape(at, &x, shape)?)
            }
            "Concat" => {
                let count = self.node(at).inputs.len();
                let parts = (0..count).map(|n| self.value(at, n)).collect::<Result<Vec<_>, _>>()?;
                let out = self.out(at);
                let along = self.int(at, "axis", 1);
                one(self.concat(&out, &parts, along)?)
            }
            "Split" => self.split(at).map(Some),
            "Slice" => one(self.slice(at)?),
            "Gather" => one(self.gather(at)?),
            "Expand" | "Tile" => one(self.tile(at, op)?),
            "Pad" => one(self.pad(at)?),
            "DepthToSpace" | "SpaceToDepth" => one(self.blocks(at, op)?),
            "Resize" | "Upsample" => one(self.resize(at, op)?),
            "GatherND" | "GatherElements" => one(self.gather_places(at, op)?),
            "ScatterND" | "ScatterElements" | "Scatter" => one(self.scatter(at, op)?),
            _ => Ok(None),
        }
    }

    pub(super) fn live(&mut self, at: usize, index: usize) -> Result<Live, Refusal> {
        let value = self.value(at, index)?;
        self.as_live(value)
    }

    pub(super) fn as_live(&mut self, value: Value) -> Result<Live, Refusal> {
        match value {
            Value::Live(live) => Ok(live),
            Value::Host(host) => {
                let id = self.build.constant(&host)?;
                Ok(self.build.plain(id))
            }
        }
    }

    /// An operation that keeps elements as they are, on axes as they lie.
    pub(super) fn kept(&mut self, at: usize, live: &Live, op: Op) -> Result<Value, Refusal> {
        let name = self.out(at).name;
        let id = self.build.keep(&name, op, &[live.id])?;
        Ok(Value::Live(Live { id, order: live.order.clone() }))
    }

    pub(super) fn new_shape(&self, at: usize, op: &str) -> Result<Shape, Refusal> {
        let shape = self.logical(at, 0)?;
        let rank = shape.len();
        match op {
            "Flatten" => {
                let along = self.int(at, "axis", 1);
                let along = if along < 0 { along + size_i64(rank) } else { along };
                let (before, after) = shape
                    .split_at_checked(usize::try_from(along).unwrap_or(usize::MAX))
                    .ok_or_else(|| wrong("its axis"))?;
                Ok(vec![before.iter().product(), after.iter().product()])
            }
            "Squeeze" => {
                let dropped = match self.list(at, "axes", 1)? {
                    Some(list) => axes(&list, rank)?,
                    None => (0..rank).filter(|&a| shape[a] == 1).collect(),
                };
                Ok((0..rank).filter(|a| !dropped.contains(a)).map(|a| shape[a]).collect())
            }
            "Unsqueeze" => {
                let list = self.list(at, "axes", 1)?.ok_or_else(|| wrong("no axes"))?;
                let added = axes(&list, rank + list.len())?;
                let mut rest = shape.into_iter();
                let total = rank + list.len();
                Ok((0..total)
                    .map(|a| if added.contains(&a) { 1 } else { rest.next().unwrap_or(1) })
                    .collect())
            }
            _ => {
                let list = self.list(at, "shape", 1)?.ok_or_else(|| wrong("no shape"))?;
                resolved(&shape, &list, self.int(at, "allowzero", 0) != 0)
            }
        }
    }

    pub(super) fn with_shape(
        &mut self,
        at: usize,
        x: &Value,
        shape: Shape,
    ) -> Result<Value, Refusal> {
        if self.build.value_shape(x) == shape
            && let Value::Live(live) = x
        {
            return Ok(Value::Live(live.clone()));
        }
        let name = self.out(at).name;
        if let Value::Live(live) = x
            && let Some(live) = self.build.regrouped(&name, live, &shape)?
        {
            return Ok(Value::Live(live));
        }
        Ok(Value::Live(self.build.reshaped(&name, x, shape)?))
    }

    pub(super) fn concat(
        &mut self,
        out: &Out,
        parts: &[Value],
        along: i64,
    ) -> Result<Value, Refusal> {
        let order = parts
            .iter()
            .find_map(|p| if let Value::Live(l) = p { Some(l.order.clone()) } else { None });
        let first = parts.first().ok_or_else(|| wrong("it has no inputs"))?;
        let rank = self.build.value_shape(first).len();
        let order = order.unwrap_or_else(|| (0..rank).collect());
        let along = axis(along, rank)?;
        let along = order.iter().position(|&a| a == along).ok_or_else(|| wrong("its axis"))?;
        let mut ids = Vec::new();
        for part in parts {
            ids.push(match part {
                Value::Live(live) => self.build.arranged(live, &order)?,
                Value::Host(host) if host.shape.len() == rank => {
                    self.build.constant(&host.transposed(&order))?
                }
                Value::Host(_) => return Err(wrong("its inputs have different axes")),
            });
        }
        let op = Op::Concat { axis: crate::builder::small(along) };
        let same = ids.iter().all(|&id| self.build.element(id) == self.build.element(ids[0]));
        let id = if same && out.rule.is_none() {
            self.build.keep(&out.name, op, &ids)?
        } else {
            self.build.compute(out, op, &ids)?
        };
        Ok(Value::Live(Live { id, order }))
    }

    fn split(&mut self, at: usize) -> Result<Vec<Value>, Refusal> {
        let live = self.live(at, 0)?;
        let shape = self.build.logical(&live);
        let along = axis(self.int(at, "axis", 0), shape.len())?;
        let count = u32::try_from(self.node(at).outputs.len()).unwrap_or(1);
        let parts = match self.list(at, "split", 1)? {
            Some(list) => list.into_iter().map(size).collect::<Result<Vec<_>, _>>()?,
            None => even(shape[along], count),
        };
        let mut start = 0;
        let mut values = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
            spans[along] = Span { start, step: 1, count: part };
            start = start.checked_add(part).ok_or_else(|| wrong("its parts"))?;
            let name = self.node(at).outputs.get(index).cloned().unwrap_or_default();
            values.push(self.sliced(&name, &live, &spans)?);
        }
        Ok(values)
    }

    pub(super) fn sliced(
        &mut self,
        name: &str,
        live: &Live,
        spans: &[Span],
    ) -> Result<Value, Refusal> {
        if spans.iter().any(|span| span.count == 0) {
            return Err(unsupported("nothing left of an axis"));
        }
        let physical = live.order.iter().map(|&axis| spans[axis]).collect();
        let id = self.build.keep(name, Op::Slice(physical), &[live.id])?;
        Ok(Value::Live(Live { id, order: live.order.clone() }))
    }

    pub(super) fn spans(&self, at: usize, shape: &[u32]) -> Result<Vec<Span>, Refusal> {
        let need = |list: Option<Vec<i64>>| list.ok_or_else(|| wrong("no starts or ends"));
        let (starts, ends) = (need(self.list(at, "starts", 1)?)?, need(self.list(at, "ends", 2)?)?);
        let list =
            self.list(at, "axes", 3)?.unwrap_or_else(|| (0..size_i64(starts.len())).collect());
        let steps = self.host(at, 4)?.map_or_else(|| vec![1; starts.len()], |h| h.i64s());
        let axes = axes(&list, shape.len())?;
        if [ends.len(), axes.len(), steps.len()].iter().any(|&n| n != starts.len()) {
            return Err(wrong("its starts, ends, axes and steps differ in number"));
        }
        let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
        for (n, &axis) in axes.iter().enumerate() {
            spans[axis] = span(shape[axis].into(), starts[n], ends[n], steps[n])?;
        }
        Ok(spans)
    }

    fn slice(&mut self, at: usize) -> Result<Value, Refusal> {
        let live = self.live(at, 0)?;
        let shape = self.build.logical(&live);
        let spans = self.spans(at, &shape)?;
        let name = self.out(at).name;
        self.sliced(&name, &live, &spans)
    }

    fn gather(&mut self, at: usize) -> Result<Value, Refusal> {
        let (data, indices) = (self.value(at, 0)?, self.value(at, 1)?);
        let shape = self.build.value_shape(&data);
        let along = axis(self.int(at, "axis", 0), shape.len())?;
        let Value::Host(indices) = indices else {
            return self.gather_live(at, [&data, &indices], along);
        };
        let live = self.as_live(data)?;
        let places = indices
            .i64s()
            .into_iter()
            .map(|i| place(i, shape[along]))
            .collect::<Result<Vec<_>, _>>()?;
        let id = self.build.in_order(&live)?;
        let name = self.out(at).name;
        let op = Op::Gather { axis: crate::builder::small(along), indices: places };
        let id = self.build.keep(&name, op, &[id])?;
        let mut to = shape[..along].to_vec();
        to.extend(indices.shape32());
        to.extend(&shape[along + 1..]);
        let live = self.build.plain(id);
        self.with_shape(at, &Value::Live(live), to)
    }

    fn tile(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let list = self.host(at, 1)?.ok_or_else(|| wrong("no shape"))?.i64s();
        let list = list.into_iter().map(size).collect::<Result<Vec<_>, _>>()?;
        let x = self.value(at, 0)?;
        let mut shape = vec![1; list.len().saturating_sub(self.build.value_shape(&x).len())];
        shape.extend(self.build.value_shape(&x));
        let times = if op == "Tile" {
            list
        } else {
            let to = crate::host::broadcast(&sizes(&shape), &sizes(&list))
                .ok_or_else(|| wrong("its shape"))?;
            to.iter()
                .zip(&shape)
                .map(|(&to, &d)| u32::try_from(to).unwrap_or(0) / d.max(1))
                .collect()
        };
        let x = self.with_shape(at, &x, shape)?;
        let Value::Live(live) = x else { return Err(wrong("a constant")) };
        if times.iter().all(|&t| t == 1) {
            return Ok(Value::Live(live));
        }
        let times = live.order.iter().map(|&axis| times[axis]).collect();
        self.kept(at, &live, Op::Tile(times))
    }

    /// Blocks of pixels to channels, or back: as three moves.
    fn blocks(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let live = self.live(at, 0)?;
        let [n, c, h, w] = self.build.logical(&live)[..] else {
            return Err(wrong("four axes are needed"));
        };
        let block = size(self.int(at, "blocksize", 1))?.clamp(1, 1 << 12);
        let id = self.build.in_order(&live)?;
        let name = self.out(at).name;
        let (wide, order, last) = if op == "SpaceToDepth" {
            if h % block != 0 || w % block != 0 {
                return Err(wrong("its block does not divide its picture"));
            }
            let wide = vec![n, c, h / block, block, w / block, block];
            (wide, [0, 3, 5, 1, 2, 4], vec![n, c * block * block, h / block, w / block])
        } else {
            let depth = c / (block * block);
            let last = vec![n, depth, h * block, w * block];
            if self.text(at, "mode", "DCR") == "CRD" {
                (vec![n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3], last)
            } else {
                (vec![n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2], last)
            }
        };
        let id = self.build.keep("", Op::Reshape(wide), &[id])?;
        let id = self.build.keep("", Op::Transpose(order.to_vec()), &[id])?;
        let id = self.build.keep(&name, Op::Reshape(last), &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }
}

pub(super) fn turned(live: Live, order: &[usize]) -> Result<Value, Refusal> {
    let new = |axis: &usize| order.iter().position(|old| old == axis);
    let order: Option<Vec<usize>> = live.order.iter().map(new).collect();
    let order = order.ok_or_else(|| wrong("its order is not one of all axes"))?;
    Ok(Value::Live(Live { order, ..live }))
}

fn size_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn sizes(shape: &[u32]) -> Vec<usize> {
    shape.iter().map(|&d| d as usize).collect()
}

/// Parts as equal as they can be, the last one smaller.
pub(super) fn even(size: u32, count: u32) -> Vec<u32> {
    let part = size.div_ceil(count.max(1)).max(1);
    (0..count).map(|n| part.min(size.saturating_sub(n * part))).collect()
}

pub(super) fn place(index: i64, size: u32) -> Result<u32, Refusal> {
    let from_front = if index < 0 { index + i64::from(size) } else { index };
    u32::try_from(from_front)
        .ok()
        .filter(|&at| at < size)
        .ok_or_else(|| wrong(format!("place {index} of {size}")))
}

pub(super) fn resolved(shape: &[u32], list: &[i64], zero: bool) -> Result<Shape, Refusal> {
    let total: u64 = shape.iter().map(|&d| u64::from(d)).product();
    let mut to = Vec::new();
    for (axis, &d) in list.iter().enumerate() {
        to.push(match d {
            0 if !zero => *shape
                .get(axis)
                .ok_or_else(|| wrong("its shape copies an axis that is not there"))?,
            -1 => 0,
            d => size(d)?,
        });
    }
    let known = to.iter().filter(|&&d| d != 0).try_fold(1_u64, |n, &d| n.checked_mul(d.into()));
    let known = known.filter(|&n| n > 0 && n <= total.max(1)).ok_or_else(|| wrong("its shape"))?;
    if let Some(open) = to.iter_mut().find(|d| **d == 0) {
        *open = u32::try_from(total / known).map_err(|_| wrong("its shape"))?;
    }
    Ok(to)
}

/// As NumPy slices: `end` is not taken, both may be counted from the end or lie beyond, and nothing may be left.
pub fn span(size: i64, start: i64, end: i64, step: i64) -> Result<Span, Refusal> {
    let from_front = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
    let (low, high) = if step < 0 { (-1, size - 1) } else { (0, size) };
    let (start, end) = (from_front(start).clamp(0, high.max(0)), from_front(end).clamp(low, high));
    if step == 0 {
        return Err(wrong("a step of 0"));
    }
    let step = step.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    let distance = if step > 0 { end - start } else { start - end };
    let count = (distance + step.abs() - 1).div_euclid(step.abs()).clamp(0, size);
    let narrow = |v: i64| u32::try_from(v).map_err(|_| wrong("a slice"));
    Ok(Span {
        start: narrow(start)?,
        step: i32::try_from(step).unwrap_or(1),
        count: narrow(count)?,
    })
}

/// A constant moved in the same way.
pub(super) fn sliced_host(host: &Host, spans: &[Span]) -> Host {
    let own = host.strides();
    let first: isize =
        spans.iter().zip(&own).map(|(s, stride)| (s.start as usize).cast_signed() * stride).sum();
    let shape: Vec<usize> = spans.iter().map(|s| s.count as usize).collect();
    let strides: Vec<isize> =
        spans.iter().zip(&own).map(|(s, stride)| s.step as isize * stride).collect();
    host.view(first.cast_unsigned(), &shape, &strides)
}
