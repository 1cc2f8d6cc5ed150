//! What is known before the graph runs: shapes, and what is computed of constants.
use edgemill_model::graph::{Pair, Span};

use super::moves::{even, place, resolved, sliced_host};
use super::{Attribute, Importer, axes, axis, size};
use crate::builder::Value;
use crate::host::{Data, Host, MAX_COMPUTED, MAX_ELEMENTS, broadcast};
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    /// The values that a node gives, if they are known now.
    pub(super) fn fold(&mut self, at: usize) -> Result<Option<Vec<Value>>, Refusal> {
        let node = self.node(at);
        let one = |host: Host| Ok(Some(vec![Value::Host(host)]));
        match node.op.as_str() {
            "Constant" => {
                let (kind, host) = self.constant(at)?;
                if let (Some(kind), Some(name)) = (kind, node.outputs.first()) {
                    self.kinds.insert(name.clone(), kind);
                }
                return one(host);
            }
            "Shape" => {
                let shape = self.logical(at, 0)?;
                let rank = i64::try_from(shape.len()).unwrap_or(0);
                let bound = |v: i64| if v < 0 { v + rank } else { v }.clamp(0, rank);
                let (start, end) =
                    (bound(self.int(at, "start", 0)), bound(self.int(at, "end", rank)));
                let taken = start..end.max(start);
                return one(Host::ints(
                    taken.map(|a| shape[usize::try_from(a).unwrap_or(0)].into()).collect(),
                ));
            }
            "EyeLike" => return one(self.eye(at)?),
            "Size" => {
                let count = self.logical(at, 0)?.iter().map(|&d| i64::from(d)).product();
                return one(Host { shape: Vec::new(), data: Data::I(vec![count]) });
            }
            _ => {}
        }
        let mut hosts = Vec::new();
        for name in node.inputs.iter().filter(|n| !n.is_empty()) {
            match self.values.get(name) {
                Some(Value::Host(host)) => hosts.push(host.clone()),
                _ => return Ok(None),
            }
        }
        if hosts.is_empty() {
            return Ok(None);
        }
        let Some(made) = self.known(at, &hosts)? else { return Ok(None) };
        self.computed += made.iter().map(Host::len).sum::<usize>();
        if self.computed > MAX_COMPUTED {
            return Err(wrong(format!("more than {MAX_COMPUTED} elements are made of constants")));
        }
        Ok(Some(made.into_iter().map(Value::Host).collect()))
    }

    /// 1 on a diagonal.
    fn eye(&self, at: usize) -> Result<Host, Refusal> {
        let &[rows, columns] = &self.logical(at, 0)?[..] else {
            return Err(wrong("a matrix has two axes"));
        };
        let (beyond, whole) =
            (self.int(at, "k", 0), !matches!(self.int(at, "dtype", 1), 1 | 10 | 11));
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let on = |(row, column)| i64::from(column) - i64::from(row) == beyond;
        let cells = cells.map(|cell| f64::from(u8::from(on(cell)))).collect();
        Ok(typed(vec![rows as usize, columns as usize], cells, whole))
    }

    fn constant(&self, at: usize) -> Result<(Option<u64>, Host), Refusal> {
        for name in ["value", "value_float", "value_int", "value_floats", "value_ints"] {
            let host = match self.attribute(at, name) {
                Some(Attribute::Tensor(kind, host)) => return Ok((Some(*kind), host.clone())),
                Some(Attribute::Float(v)) => Host::scalar(*v),
                Some(Attribute::Int(v)) => Host { shape: Vec::new(), data: Data::I(vec![*v]) },
                Some(Attribute::Floats(v)) => Host::floats(vec![v.len()], v.clone()),
                Some(Attribute::Ints(v)) => Host::ints(v.clone()),
                _ => continue,
            };
            return Ok((None, host));
        }
        Err(unsupported("a value that is no tensor of numbers"))
    }

    fn known(&self, at: usize, hosts: &[Host]) -> Result<Option<Vec<Host>>, Refusal> {
        let op = self.node(at).op.as_str();
        let x = &hosts[0];
        let does_not_fit = || wrong("its inputs do not go together");
        if let Some(function) = self.function_of(at, op) {
            let made: Vec<f32> = x.f32s().into_iter().map(|e| function.apply(e)).collect();
            let host = Host::floats(x.shape.clone(), made);
            return Ok(Some(vec![if x.is_whole() { whole(&host) } else { host }]));
        }
        if let Some((pair, turned)) = self.pair(at, op) {
            let (a, b) = (x, hosts.get(1).ok_or_else(does_not_fit)?);
            let (a, b) = if turned { (b, a) } else { (a, b) };
            let both = a.is_whole() && b.is_whole();
            let truth = matches!(
                pair,
                Pair::Equal | Pair::Less | Pair::LessEqual | Pair::And | Pair::Or | Pair::Xor
            );
            let whole = both || truth || pair == Pair::Power && a.is_whole();
            let made = a.zip(b, whole, |a, b| double(pair, a, b)).ok_or_else(does_not_fit)?;
            return Ok(Some(vec![made]));
        }
        let one = |host: Host| Ok(Some(vec![host]));
        match op {
            "Identity" => one(x.clone()),
            "Cast" => one(match self.int(at, "to", 1) {
                1 | 10 | 11 | 16 => x.real(),
                9 => x
                    .zip(&Host::scalar(0.0), true, |a, _| f64::from(u8::from(a != 0.0)))
                    .ok_or_else(does_not_fit)?,
                _ => whole(x),
            }),
            "Relu" | "Clip" => {
                let Some(clamp) = self.bounds(at) else { return Ok(None) };
                let (low, high) = (clamp.low.into(), clamp.high.into());
                let held = x.zip(&Host::scalar(0.0), x.is_whole(), |e, _| e.clamp(low, high));
                one(held.ok_or_else(does_not_fit)?)
            }
            "Min" | "Max" => {
                let pair = if op == "Min" { Pair::Min } else { Pair::Max };
                let fold = |a: Host, b: &Host| {
                    a.zip(b, a.is_whole() && b.is_whole(), |a, b| double(pair, a, b))
                        .ok_or_else(does_not_fit)
                };
                one(hosts[1..].iter().try_fold(x.clone(), fold)?)
            }
            "Where" => {
                let [c, a, b] = hosts else { return Err(does_not_fit()) };
                let both = broadcast(&a.shape, &b.shape).and_then(|s| broadcast(&s, &c.shape));
                let shape = both.ok_or_else(does_not_fit)?;
                let spread = |h: &Host| h.spread(&shape).ok_or_else(does_not_fit);
                let (c, a, b) = (spread(c)?, spread(a)?, spread(b)?);
                let chosen = a.f64s().into_iter().zip(b.f64s()).zip(c.f64s());
                let chosen = chosen.map(|((a, b), c)| if c == 0.0 { b } else { a });
                one(typed(shape, chosen.collect(), a.is_whole() && b.is_whole()))
            }
            "Trilu" => {
                let side = self.side(at, &x.shape32())?;
                let kept = x.zip(&side, x.is_whole(), |a, b| if b == 0.0 { 0.0 } else { a });
                one(kept.ok_or_else(does_not_fit)?)
            }
            "Range" => self.range(hosts).map(|h| Some(vec![h])),
            "ConstantOfShape" => {
                let shape = lengths(&x.i64s())?;
                let value = match self.attribute(at, "value") {
                    Some(Attribute::Tensor(_, host)) => host.clone(),
                    _ => Host::scalar(0.0),
                };
                let value = value.reshaped(vec![1; value.len().min(1)]);
                one(value
                    .spread(&shape)
                    .or_else(|| value.reshaped(Vec::new()).spread(&shape))
                    .ok_or_else(does_not_fit)?)
            }
            "Expand" => {
                let shape =
                    broadcast(&x.shape, &lengths(&hosts.get(1).ok_or_else(does_not_fit)?.i64s())?)
                        .ok_or_else(does_not_fit)?;
                one(x.spread(&shape).ok_or_else(does_not_fit)?)
            }
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                self.shaped(at, op, x).map(|h| Some(vec![h]))
            }
            "Transpose" => {
                let rank = x.shape.len();
                let order = match self.ints(at, "perm") {
                    Some(list) => axes(&list, rank)?,
                    None => (0..rank).rev().collect(),
                };
                let mut seen = order.clone();
                seen.sort_unstable();
                if seen != (0..rank).collect::<Vec<_>>() {
                    return Err(does_not_fit());
                }
                one(x.transposed(&order))
            }
            "Concat" => joined(hosts, self.int(at, "axis", 0)).map(|h| Some(vec![h])),
            "Slice" => match self.spans(at, &x.shape32()) {
                Ok(spans) => one(sliced_host(x, &spans)),
                Err(_) => Ok(None),
            },
            "Gather" => {
                self.gathered(at, x, hosts.get(1).ok_or_else(does_not_fit)?).map(|h| Some(vec![h]))
            }
            "Split" => self.parts(at, x).map(Some),
            _ => self.summed(at, op, x),
        }
    }

    fn shaped(&self, at: usize, op: &str, x: &Host) -> Result<Host, Refusal> {
        let shape = if op == "Reshape" {
            let list = self.list(at, "shape", 1)?.ok_or_else(|| wrong("no shape"))?;
            if x.len() == 0 {
                return Err(unsupported("a tensor without elements"));
            }
            resolved(&x.shape32(), &list, self.int(at, "allowzero", 0) != 0)?
        } else {
            self.new_shape(at, op)?
        };
        let shape: Vec<usize> = shape.into_iter().map(|d| d as usize).collect();
        if shape.iter().product::<usize>() != x.len() {
            return Err(wrong("its shape"));
        }
        Ok(x.reshaped(shape))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
    fn range(&self, hosts: &[Host]) -> Result<Host, Refusal> {
        let value = |n: usize| {
            hosts.get(n).and_then(|h| h.f64s().first().copied()).ok_or_else(|| wrong("a bound"))
        };
        let (start, end, step) = (value(0)?, value(1)?, value(2)?);
        let count = ((end - start) / step).ceil().max(0.0);
        if !count.is_finite() || count > MAX_ELEMENTS as f64 {
            return Err(wrong("a range without end"));
        }
        let elements: Vec<f64> = (0..count as usize).map(|n| start + n as f64 * step).collect();
        Ok(typed(vec![elements.len()], elements, hosts.iter().all(Host::is_whole)))
    }

    fn gathered(&self, at: usize, x: &Host, indices: &Host) -> Result<Host, Refusal> {
        let along = axis(self.int(at, "axis", 0), x.shape.len())?;
        let length = u32::try_from(x.shape[along]).map_err(|_| wrong("an axis"))?;
        let inner: usize = x.shape[along + 1..].iter().product();
        let outer: usize = x.shape[..along].iter().product();
        let places =
            indices.i64s().into_iter().map(|i| place(i, length)).collect::<Result<Vec<_>, _>>()?;
        let mut shape = x.shape[..along].to_vec();
        shape.extend(&indices.shape);
        shape.extend(&x.shape[along + 1..]);
        if outer.saturating_mul(places.len()).saturating_mul(inner) > MAX_ELEMENTS {
            return Err(wrong("too many elements"));
        }
        let mut taken = Vec::new();
        for before in 0..outer {
            for &index in &places {
                let first = (before * x.shape[along] + index as usize) * inner;
                taken.extend(first..first + inner);
            }
        }
        Ok(x.picked(shape, &taken))
    }

    fn parts(&self, at: usize, x: &Host) -> Result<Vec<Host>, Refusal> {
        let along = axis(self.int(at, "axis", 0), x.shape.len())?;
        let shape = x.shape32();
        let count = u32::try_from(self.node(at).outputs.len()).unwrap_or(1);
        let sizes = match self.list(at, "split", 1)? {
            Some(list) => list.into_iter().map(size).collect::<Result<Vec<_>, _>>()?,
            None => even(shape[along], count),
        };
        if sizes.iter().map(|&s| u64::from(s)).sum::<u64>() != u64::from(shape[along]) {
            return Err(wrong("its parts are not the whole"));
        }
        let mut start = 0;
        let part = |count: u32| {
            let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
            spans[along] = Span { start, step: 1, count };
            start += count;
            sliced_host(x, &spans)
        };
        Ok(sizes.into_iter().map(part).collect())
    }

    /// Reductions of all elements, as shapes are multiplied out.
    fn summed(&self, at: usize, op: &str, x: &Host) -> Result<Option<Vec<Host>>, Refusal> {
        let f: fn(f64, f64) -> f64 = match op {
            "ReduceProd" => |a, b| a * b,
            "ReduceSum" => |a, b| a + b,
            "ReduceMax" => f64::max,
            "ReduceMin" => f64::min,
            _ => return Ok(None),
        };
        let list = self.list(at, "axes", 1)?.unwrap_or_default();
        let rank = x.shape.len();
        if rank > 1 || !(list.is_empty() || axes(&list, rank)?.len() == rank) {
            return Ok(None);
        }
        let Some(value) = x.f64s().into_iter().reduce(f) else { return Ok(None) };
        let shape = if self.int(at, "keepdims", 1) != 0 { vec![1; rank] } else { Vec::new() };
        Ok(Some(vec![typed(shape, vec![value], x.is_whole())]))
    }
}

/// In double precision where that matters: whole numbers beyond 2²⁴, and grids.
fn double(pair: Pair, a: f64, b: f64) -> f64 {
    match pair {
        Pair::Add => a + b,
        Pair::Sub => a - b,
        Pair::Mul => a * b,
        Pair::Div => a / b,
        Pair::Min => a.min(b),
        Pair::Max => a.max(b),
        Pair::Power => a.powf(b),
        Pair::Modulo if b != 0.0 => a - b * (a / b).floor(),
        Pair::Equal => f64::from(u8::from(a == b)),
        Pair::Less => f64::from(u8::from(a < b)),
        Pair::LessEqual => f64::from(u8::from(a <= b)),
        #[expect(clippy::cast_possible_truncation, reason = "as the graph computes it")]
        _ => pair.apply(a as f32, b as f32).into(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers are far below 2⁵³; the rest is rounded to f32"
)]
fn typed(shape: Vec<usize>, elements: Vec<f64>, whole: bool) -> Host {
    let data = if whole {
        Data::I(elements.into_iter().map(|e| e as i64).collect())
    } else {
        Data::F(elements.into_iter().map(|e| e as f32).collect())
    };
    Host { shape, data }
}

fn whole(x: &Host) -> Host {
    Host { shape: x.shape.clone(), data: Data::I(x.i64s()) }
}

fn lengths(list: &[i64]) -> Result<Vec<usize>, Refusal> {
    let shape: Option<Vec<usize>> = list.iter().map(|&d| usize::try_from(d).ok()).collect();
    shape
        .filter(|s| {
            s.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).is_some_and(|n| n <= MAX_ELEMENTS)
        })
        .ok_or_else(|| wrong("its shape"))
}

fn joined(hosts: &[Host], along: i64) -> Result<Host, Refusal> {
    let rank = hosts[0].shape.len();
    let along = axis(along, rank)?;
    let alike = |h: &Host| {
        h.shape.len() == rank && (0..rank).all(|a| a == along || h.shape[a] == hosts[0].shape[a])
    };
    if !hosts.iter().all(alike) {
        return Err(wrong("its inputs do not go together"));
    }
    let mut shape = hosts[0].shape.clone();
    shape[along] = hosts.iter().map(|h| h.shape[along]).sum();
    let outer: usize = shape[..along].iter().product();
    let all_whole = hosts.iter().all(Host::is_whole);
    let elements: Vec<Vec<f64>> = hosts.iter().map(Host::f64s).collect();
    let mut made = Vec::new();
    for before in 0..outer {
        for (host, elements) in hosts.iter().zip(&elements) {
            let run: usize = host.shape[along..].iter().product();
            made.extend(&elements[before * run..(before + 1) * run]);
        }
    }
    if all_whole {
        // Not by way of f64: ends of slices are often the greatest number there is.
        let mut whole = Vec::new();
        let lists: Vec<Vec<i64>> = hosts.iter().map(Host::i64s).collect();
        for before in 0..outer {
            for (host, list) in hosts.iter().zip(&lists) {
                let run: usize = host.shape[along..].iter().product();
                whole.extend(&list[before * run..(before + 1) * run]);
            }
        }
        return Ok(Host { shape, data: Data::I(whole) });
    }
    Ok(typed(shape, made, false))
}
