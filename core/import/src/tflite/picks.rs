//! Elements that are taken from places which the model computes, or are put at places that the file knows.
use edgemill_model::graph::{Clamp, Op, Pair, ValueId};

use super::ops::Values;
use super::options::{axis, sizes};
use super::{Importer, Node};
use crate::builder::{Out, Shape, Value};
use crate::host::{Host, MAX_ELEMENTS};
use crate::{Refusal, unsupported, wrong};

/// The most rows that are put together.
const MAX_ROWS: usize = 1 << 22;
/// The most of the greatest that are wanted.
const MAX_GREATEST: u32 = 1 << 7;

fn count(shape: &[u32]) -> u32 {
    shape.iter().fold(1, |n: u32, &d| n.saturating_mul(d))
}

impl<'a> Importer<'a> {
    /// GATHER with computed places: a product with a matrix that has a 1 at each place. Each of a batch may have its own.
    pub(super) fn pick(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, places, out) = (self.id(node, 0)?, self.id(node, 1)?, self.out(node)?);
        let (shape, of) = (self.build.shape(x), self.build.shape(places));
        let along = axis(node.i32(0, 0)?.into(), shape.len())?;
        let batch = axis(node.i32(1, 0)?.into(), of.len() + 1)?;
        if batch != 0 && batch != along {
            return Err(unsupported("places of their own for another axis than the first"));
        }
        let (each, depth, inner) =
            (count(&shape[..along]), shape[along], count(&shape[along + 1..]));
        let rows = if batch == 0 { vec![1, count(&of)] } else { vec![each, count(&of[batch..])] };
        if count(&rows) != count(&of) {
            return Err(wrong("its places do not go with what they are taken from"));
        }
        let places = self.build.keep("", Op::Reshape(rows), &[places])?;
        let table = self.marked(places, depth)?;
        let x = self.build.keep("", Op::Reshape(vec![each, depth, inner]), &[x])?;
        let x = self.build.real(x)?;
        let id = self.build.compute(&Out::default(), Op::MatMul, &[table, x])?;
        let to = [&shape[..along], &of[batch..], &shape[along + 1..]].concat();
        let id = self.build.keep(&out.name, Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }

    /// 1 at the place that an element names, elsewhere 0, along a new last axis.
    fn marked(&mut self, places: ValueId, depth: u32) -> Result<ValueId, Refusal> {
        let real = self.build.real(places)?;
        let rows = self.build.rows_of(self.build.plain(real), depth)?;
        self.build.id(&rows)
    }

    pub(super) fn one_hot_of(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let depth = sizes(&self.known(node, 1)?.i64s()).first().copied().unwrap_or(0);
        let (on, off) = (self.operand(node, 2)?, self.operand(node, 3)?);
        let rank = self.build.shape(x).len();
        let along = axis(node.i32(0, -1)?.into(), rank + 1)?;
        let marked = self.marked(x, depth)?;
        let mut order: Vec<usize> = (0..rank).collect();
        order.insert(along, rank);
        let marked = self.build.plain(marked);
        let marked = self.build.arranged(&marked, &order)?;
        let marked = self.live(marked);
        self.build.repeated(&out, Op::Select, &[&marked, &on, &off])
    }

    /// The greatest along the innermost axis, and their places.
    pub(super) fn greatest_of(&mut self, node: &Node<'a>, most: u32) -> Values {
        let x = self.id(node, 0)?;
        let x = self.build.real(x)?;
        let mut shape = self.build.shape(x);
        let along = shape.pop().filter(|&along| (1..=along.min(MAX_GREATEST)).contains(&most));
        let along =
            along.ok_or_else(|| unsupported(format!("more than {MAX_GREATEST} greatest")))?;
        let rows = count(&shape);
        let x = self.build.keep("", Op::Reshape(vec![1, rows, along]), &[x])?;
        let ranking = self.ranking(x, most)?;
        shape.push(most);
        let mut values = Vec::new();
        for start in [most, 0] {
            let part = self.columns(ranking, start, most)?;
            let part = self.build.keep("", Op::Reshape(shape.clone()), &[part])?;
            values.push(self.live(part));
        }
        Ok(values)
    }

    /// GATHER_ND: rows of the tensor, seen as a list of them.
    pub(super) fn rows_at(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out, places) = (self.id(node, 0)?, self.out(node)?, self.known(node, 1)?);
        let shape = self.build.shape(x);
        let (indices, depth) = flat_places(&places, &shape)?;
        let rows = [&[count(&shape[..depth])], &shape[depth..]].concat();
        let id = self.build.keep("", Op::Reshape(rows), &[x])?;
        let id = self.build.keep("", Op::Gather { axis: 0, indices }, &[id])?;
        let named = places.shape32();
        let to = [&named[..named.len() - 1], &shape[depth..]].concat();
        let id = self.build.keep(&out.name, Op::Reshape(to), &[id])?;
        Ok(self.live(id))
    }

    /// SCATTER_ND: each row of the result is one of the updates, or the row of zeros behind them.
    pub(super) fn rows_put(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (places, x, out) = (self.known(node, 0)?, self.id(node, 1)?, self.out(node)?);
        let shape: Shape = sizes(&self.known(node, 2)?.i64s());
        let (indices, depth) = flat_places(&places, &shape)?;
        let (rows, width) = (count(&shape[..depth]), count(&shape[depth..]));
        let none = u32::try_from(indices.len()).map_err(|_| wrong("its places"))?;
        if rows as usize > MAX_ROWS || width as usize > MAX_ELEMENTS {
            return Err(unsupported(format!("more than {MAX_ROWS} rows")));
        }
        self.spend(rows as usize + width as usize)?;
        let mut taken = vec![none; rows as usize];
        for (update, &row) in (0..).zip(&indices) {
            if std::mem::replace(&mut taken[row as usize], update) != none {
                return Err(unsupported("a place that is named twice"));
            }
        }
        let x = self.build.real(x)?;
        let x = self.build.keep("", Op::Reshape(vec![none, width]), &[x])?;
        let zeros = Host::floats(vec![1, width as usize], vec![0.0; width as usize]);
        let zeros = self.build.constant(&zeros)?;
        let id = self.build.keep("", Op::Concat { axis: 0 }, &[x, zeros])?;
        let id = self.build.keep("", Op::Gather { axis: 0, indices: taken }, &[id])?;
        let id = self.build.keep(&out.name, Op::Reshape(shape), &[id])?;
        Ok(self.live(id))
    }

    /// A square with the elements on its diagonal.
    pub(super) fn diagonal(&mut self, node: &Node<'a>) -> Result<Value, Refusal> {
        let (x, out) = (self.id(node, 0)?, self.out(node)?);
        let x = self.build.real(x)?;
        let mut shape = self.build.shape(x);
        let side = shape.last().copied().ok_or_else(|| wrong("its input has no axis"))?;
        shape.push(1);
        let x = self.build.keep("", Op::Reshape(shape), &[x])?;
        let ones = self.square(side, |row, column| row == column)?;
        let (x, ones) = (self.live(x), self.live(ones));
        self.build.pair(&out, Pair::Mul, Clamp::NONE, [&x, &ones])
    }
}

/// The row that each tuple of `places` names, of the first so many axes of `shape`.
fn flat_places(places: &Host, shape: &[u32]) -> Result<(Vec<u32>, usize), Refusal> {
    let depth = places.shape.last().copied().filter(|&d| d > 0 && d <= shape.len());
    let depth = depth.ok_or_else(|| wrong("its places have another number of axes"))?;
    let row = |tuple: &[i64]| {
        tuple.iter().zip(shape).try_fold(0_u32, |row, (&place, &size)| {
            let place = u32::try_from(place).ok().filter(|&place| place < size)?;
            row.checked_mul(size)?.checked_add(place)
        })
    };
    let rows: Option<Vec<u32>> = places.i64s().chunks_exact(depth).map(row).collect();
    Ok((rows.ok_or_else(|| wrong("a place beyond the end"))?, depth))
}
