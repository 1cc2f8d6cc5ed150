//! Elements that are chosen by numbers which are only known while the graph runs: products with rows that have one 1.
use edgemill_model::graph::{Clamp, Op, Pair, Reduction, ValueId};
use edgemill_model::tensor::DType;

use super::moves::{sizes, turned};
use super::{Importer, axis, size};
use crate::builder::{Live, Out, Shape, Value, counted, element};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The most elements that are sorted out one after another.
const MAX_GREATEST: u32 = 512;

impl Importer<'_> {
    pub(super) fn choice(&mut self, at: usize, op: &str) -> Result<Option<Vec<Value>>, Refusal> {
        let one = |value: Value| Ok(Some(vec![value]));
        match op {
            "Einsum" => one(self.einsum(at)?),
            "DynamicQuantizeLinear" => self.quantize_by_range(at).map(Some),
            "LSTM" | "GRU" | "RNN" => self.recurrent(at, op).map(Some),
            "TopK" => self.greatest(at).map(Some),
            "GridSample" => one(self.grid_sample(at)?),
            "OneHot" => one(self.one_hot(at)?),
            "Hardmax" => one(self.hard_max(at)?),
            "IsNaN" => one(self.is_nan(at)?),
            "IsInf" => one(self.is_infinite(at)?),
            "BitShift" => one(self.shifted(at)?),
            "Compress" => one(self.compress(at)?),
            "NegativeLogLikelihoodLoss" => self.likelihood(at).map(Some),
            "SoftmaxCrossEntropyLoss" => self.cross_entropy(at).map(Some),
            _ => Ok(None),
        }
    }

    /// For each index a row of `count`, 1 where it points to. What lies outside points nowhere.
    pub(super) fn rows_of(&mut self, indices: &Value, count: u32) -> Result<Value, Refusal> {
        let real = self.real_live(indices)?;
        self.build.rows_of(real, count)
    }

    pub(super) fn real_live(&mut self, value: &Value) -> Result<Live, Refusal> {
        let live = self.as_live(value.clone())?;
        Ok(Live { id: self.build.real(live.id)?, ..live })
    }

    /// Indices from the front, where some may be counted from the end.
    fn in_front(&mut self, indices: &Value, count: u32) -> Result<Value, Refusal> {
        let real = Value::Live(self.real_live(indices)?);
        #[expect(clippy::cast_precision_loss, reason = "below 2²⁴")]
        let count = Value::Host(Host::scalar(count as f32));
        self.build.pair(&Out::default(), Pair::Modulo, Clamp::NONE, [&real, &count])
    }

    pub(super) fn gather_live(
        &mut self,
        at: usize,
        [data, indices]: [&Value; 2],
        along: usize,
    ) -> Result<Value, Refusal> {
        let (shape, of) = (self.build.value_shape(data), self.build.value_shape(indices));
        let count = *shape.get(along).ok_or_else(|| wrong("its axis"))?;
        let indices = self.in_front(indices, count)?;
        let rows = self.rows_of(&indices, count)?;
        let flat = vec![of.iter().product(), count];
        let rows = Value::Live(self.build.reshaped("", &rows, flat)?);
        let mut order = vec![along];
        order.extend((0..shape.len()).filter(|&a| a != along));
        let rest = [&shape[..along], &shape[along + 1..]].concat();
        let columns = vec![count, rest.iter().product()];
        let (columns, whole) = self.flattened(data, &order, columns)?;
        let product = self.mat_mul(&Out::default(), &rows, &columns, None)?;
        let out = self.out(at);
        let made = self.build.reshaped(&out.name, &product, [&of[..], &rest].concat())?;
        let between = of.len()..of.len() + along;
        let order: Vec<usize> =
            between.clone().chain(0..of.len()).chain(between.end..of.len() + rest.len()).collect();
        let made = turned(made, &order)?;
        if whole { self.as_whole(&out, made) } else { Ok(made) }
    }

    /// In real numbers, turned and seen as of another shape; and whether it was whole.
    fn flattened(
        &mut self,
        value: &Value,
        order: &[usize],
        shape: Shape,
    ) -> Result<(Value, bool), Refusal> {
        let (real, whole) = self.as_real(value.clone())?;
        Ok(match real {
            Value::Host(host) => {
                (Value::Host(host.transposed(order).reshaped(sizes(&shape))), whole)
            }
            Value::Live(live) => {
                let value = turned(live, order)?;
                (Value::Live(self.build.reshaped("", &value, shape)?), whole)
            }
        })
    }

    /// `GatherElements`: along other axes each index stays where it is.
    pub(super) fn elements_live(&mut self, at: usize) -> Result<Value, Refusal> {
        let (data, indices) = (self.value(at, 0)?, self.value(at, 1)?);
        let (shape, of) = (self.build.value_shape(&data), self.build.value_shape(&indices));
        let along = axis(self.int(at, "axis", 0), shape.len())?;
        let (base, narrow) = self.unrepeated(&indices)?;
        let others = || (0..shape.len()).filter(move |&a| a != along);
        if of.len() != shape.len() || others().any(|a| of[a] != shape[a]) {
            return Err(unsupported("computed indices of another shape than its data"));
        }
        let shared: Vec<usize> = others().filter(|&a| narrow[a] == 1).collect();
        let each: Vec<usize> = others().filter(|&a| narrow[a] != 1).collect();
        let product = |axes: &[usize]| axes.iter().map(|&a| shape[a]).product::<u32>();
        let (many, wide) = (product(&each), product(&shared));
        let order = [&each[..], &[along], &shared].concat();
        let (index, _) = self.flattened(&base, &order, vec![many, of[along]])?;
        let index = self.in_front(&index, shape[along])?;
        let rows = self.rows_of(&index, shape[along])?;
        let (columns, whole) = self.flattened(&data, &order, vec![many, shape[along], wide])?;
        let made = self.mat_mul(&Out::default(), &rows, &columns, None)?;
        let out = self.out(at);
        let to: Shape = order.iter().map(|&a| of[a]).collect();
        let made = self.build.reshaped(&out.name, &made, to)?;
        let back: Option<Vec<usize>> =
            (0..shape.len()).map(|a| order.iter().position(|&o| o == a)).collect();
        let made = turned(made, &back.ok_or_else(|| wrong("its axes"))?)?;
        if whole { self.as_whole(&out, made) } else { Ok(made) }
    }

    /// Indices before they were repeated along whole axes, and their shape then.
    fn unrepeated(&self, indices: &Value) -> Result<(Value, Shape), Refusal> {
        let shape = self.build.value_shape(indices);
        let Value::Live(live) = indices else { return Ok((indices.clone(), shape)) };
        let (id, tiled) = match self.build.made_by(live.id) {
            Some(node) if matches!(node.op, Op::Tile(_)) => (node.inputs[0], true),
            _ => (live.id, false),
        };
        let base = Live { id, order: live.order.clone() };
        let narrow = self.build.logical(&base);
        let repeats = |(n, w): (&u32, &u32)| *n == 1 || n == w;
        if tiled && narrow.iter().zip(&shape).all(repeats) {
            return Ok((Value::Live(base), narrow));
        }
        Ok((indices.clone(), shape))
    }

    /// `GatherND`: the places of rows, counted through.
    pub(super) fn tuples_live(&mut self, at: usize) -> Result<Value, Refusal> {
        let (data, indices) = (self.value(at, 0)?, self.value(at, 1)?);
        let (shape, of) = (self.build.value_shape(&data), self.build.value_shape(&indices));
        if self.int(at, "batch_dims", 0) != 0 {
            return Err(unsupported("batch_dims and computed indices"));
        }
        let depth = *of.last().ok_or_else(|| wrong("its indices have no axis"))? as usize;
        let outer =
            shape.get(..depth).ok_or_else(|| wrong("its indices have more axes than its data"))?;
        #[expect(clippy::cast_precision_loss, reason = "below 2²⁴")]
        let real = |list: Vec<u32>| {
            let list: Vec<f32> = list.into_iter().map(|n| n as f32).collect();
            Value::Host(Host::floats(vec![list.len()], list))
        };
        let sizes = real(outer.to_vec());
        let steps = real((0..depth).map(|a| outer[a + 1..].iter().product()).collect());
        let inner = Out::default();
        let index = Value::Live(self.real_live(&indices)?);
        let index = self.build.pair(&inner, Pair::Modulo, Clamp::NONE, [&index, &sizes])?;
        let index = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&index, &steps])?;
        let index = self.reduced(&inner, &index, Reduction::Sum, vec![of.len() - 1])?;
        let index = self.build.reshaped("", &index, of[..of.len() - 1].to_vec())?;
        let mut flat = vec![outer.iter().product()];
        flat.extend(&shape[depth..]);
        let data = match data {
            Value::Host(host) => Value::Host(host.reshaped(self::sizes(&flat))),
            live => Value::Live(self.build.reshaped("", &live, flat)?),
        };
        self.gather_live(at, [&data, &Value::Live(index)], 0)
    }

    /// The k greatest or least along an axis, one after another, and where they are.
    fn greatest(&mut self, at: usize) -> Result<Vec<Value>, Refusal> {
        let k = match self.host(at, 1)? {
            Some(k) => *k.i64s().first().ok_or_else(|| wrong("no k"))?,
            None => self.int(at, "k", 1),
        };
        let (k, least) = (size(k)?, self.int(at, "largest", 1) == 0);
        let x = self.value(at, 0)?;
        let x = self.real_live(&x)?;
        let shape = self.build.logical(&x);
        let along = axis(self.int(at, "axis", -1), shape.len())?;
        if k == 0 || k > MAX_GREATEST || k > shape[along] {
            let what = format!("k = {k} of {}: at most {MAX_GREATEST} are", shape[along]);
            return Err(unsupported(what));
        }
        let mut order: Vec<usize> = (0..shape.len()).filter(|&a| a != along).collect();
        order.push(along);
        let rows = shape.iter().product::<u32>() / shape[along];
        let x = turned(x, &order)?;
        let x = self.build.reshaped("", &x, vec![rows, shape[along]])?;
        let numbers = Value::Host(counted(shape[along])?);
        let numbers = Value::Live(self.as_live(numbers)?);
        let found = self.one_by_one(x.id, &numbers, k, least)?;
        let mut to: Shape = order.iter().map(|&a| shape[a]).collect();
        to.pop();
        to.push(k);
        let back: Option<Vec<usize>> =
            (0..shape.len()).map(|a| order.iter().position(|&o| o == a)).collect();
        let back = back.ok_or_else(|| wrong("its axis"))?;
        let mut values = Vec::new();
        for (index, parts) in found.into_iter().enumerate() {
            let name = self.node(at).outputs.get(index).cloned().unwrap_or_default();
            let all = self.build.keep("", Op::Concat { axis: 1 }, &parts)?;
            let all = Value::Live(self.build.plain(all));
            let made = self.build.reshaped(&name, &all, to.clone())?;
            values.push(turned(made, &back)?);
        }
        Ok(values)
    }

    /// The `k` greatest of each row and their places.
    fn one_by_one(
        &mut self,
        mut x: ValueId,
        numbers: &Value,
        k: u32,
        least: bool,
    ) -> Result<[Vec<ValueId>; 2], Refusal> {
        let (by, gone) =
            if least { (Reduction::Min, f32::MAX) } else { (Reduction::Max, f32::MIN) };
        let gone = Value::Live(self.as_live(Value::Host(Host::scalar(gone)))?);
        let (mut elements, mut places) = (Vec::new(), Vec::new());
        for n in 1..=k {
            elements.push(self.build.keep("", Op::Reduce { by, axes: vec![1] }, &[x])?);
            let op = Op::ArgMax { axis: 1, least, last: false };
            let place = self.build.node("", op, &[x], element(DType::I32, None))?;
            places.push(place);
            if n == k {
                break;
            }
            let real = self.build.real(place)?;
            let column = Value::Live(self.build.plain(real));
            let inner = Out::default();
            let taken = self.build.pair(&inner, Pair::Equal, Clamp::NONE, [&column, numbers])?;
            let rest = Value::Live(self.build.plain(x));
            let Value::Live(live) =
                self.build.repeated(&inner, Op::Select, &[&taken, &gone, &rest])?
            else {
                return Err(wrong("a constant"));
            };
            x = self.build.in_order(&live)?;
        }
        Ok([elements, places])
    }
}
