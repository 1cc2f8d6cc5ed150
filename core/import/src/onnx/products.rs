//! Matrix products.
use edgemill_model::graph::{Clamp, Op, Pair, ValueId};

use super::Importer;
use crate::builder::{Live, Out, Shape, Value};
use crate::host::Host;
use crate::{Refusal, wrong};

impl Importer<'_> {
    pub(super) fn gemm(&mut self, at: usize) -> Result<Value, Refusal> {
        let (a, b, c) = (self.value(at, 0)?, self.value(at, 1)?, self.optional(at, 2)?);
        let (alpha, beta) = (self.float(at, "alpha", 1.0), self.float(at, "beta", 1.0));
        let turn = |this: &mut Self, value: Value, name: &str| {
            if this.int(at, name, 0) == 0 {
                return Ok(value);
            }
            match value {
                Value::Host(host) if host.shape.len() == 2 => {
                    Ok(Value::Host(host.transposed(&[1, 0])))
                }
                Value::Live(Live { id, order }) if order.len() == 2 => {
                    Ok(Value::Live(Live { id, order: order.iter().map(|axis| 1 - axis).collect() }))
                }
                _ => Err(wrong("a matrix has two axes")),
            }
        };
        let (a, b) = (turn(self, a, "transA")?, turn(self, b, "transB")?);
        let columns = self.build.value_shape(&b).last().copied();
        let simple = (alpha - 1.0).abs() == 0.0 && (beta - 1.0).abs() == 0.0;
        let as_bias = c.as_ref().is_none_or(|c| {
            let shape = self.build.value_shape(c);
            shape.iter().product::<u32>() == columns.unwrap_or(0)
                && shape.last().copied() == columns
        });
        if simple && as_bias {
            if self.node(at).op != "Gemm" {
                return self.mat_mul(&Out::default(), &a, &b, c.as_ref());
            }
            let tail = self.tail(at);
            let out = self.out_named(&tail.name);
            let value = self.clamped_mat_mul(&out, tail.clamp, &a, &b, c.as_ref())?;
            self.values.insert(tail.name, value.clone());
            return Ok(value);
        }
        let scaled = |this: &mut Self, value: Value, factor: f32| {
            if (factor - 1.0).abs() == 0.0 {
                return Ok(value);
            }
            let factor = Value::Host(Host::scalar(factor));
            this.build.pair(&Out::default(), Pair::Mul, Clamp::NONE, [&value, &factor])
        };
        let product = self.mat_mul(&Out::default(), &a, &b, None)?;
        let product = scaled(self, product, alpha)?;
        match c {
            None => Ok(product),
            Some(c) => {
                let c = scaled(self, c, beta)?;
                let out = self.out(at);
                self.build.pair(&out, Pair::Add, Clamp::NONE, [&product, &c])
            }
        }
    }

    pub(super) fn mat_mul(
        &mut self,
        out: &Out,
        a: &Value,
        b: &Value,
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        self.clamped_mat_mul(out, Clamp::NONE, a, b, bias)
    }

    fn clamped_mat_mul(
        &mut self,
        out: &Out,
        clamp: Clamp,
        a: &Value,
        b: &Value,
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let (rows, columns) = (self.build.value_shape(a), self.build.value_shape(b));
        if let (Value::Host(weights), [depth, n], true) = (b, &columns[..], !rows.is_empty()) {
            return self.dense(out, clamp, a, weights, [*depth, *n], bias);
        }
        if bias.is_some() || clamp != Clamp::NONE {
            let product = self.mat_mul(&Out::default(), a, b, None)?;
            let zero = Value::Host(Host::scalar(0.0));
            let bias = bias.unwrap_or(&zero);
            return self.build.pair(out, Pair::Add, clamp, [&product, bias]);
        }
        let (a, b, drop) = self.matrices(a, b, &rows, &columns)?;
        let id = self.build.compute(out, Op::MatMul, &[a, b])?;
        if drop.is_empty() {
            return Ok(Value::Live(self.build.plain(id)));
        }
        let kept = self.build.shape(id);
        let kept = kept
            .iter()
            .enumerate()
            .filter(|(axis, _)| !drop.contains(axis))
            .map(|(_, &d)| d)
            .collect();
        let id = self.build.keep(&out.name, Op::Reshape(kept), &[id])?;
        Ok(Value::Live(self.build.plain(id)))
    }

    /// Both of one rank, at least 2; and the axes of the product that a vector did not have.
    fn matrices(
        &mut self,
        a: &Value,
        b: &Value,
        rows: &[u32],
        columns: &[u32],
    ) -> Result<(ValueId, ValueId, Vec<usize>), Refusal> {
        let rank = rows.len().max(columns.len()).max(2);
        let wide = |shape: &[u32], vector: [u32; 2]| {
            let shape = if shape.len() == 1 { vector.to_vec() } else { shape.to_vec() };
            let mut wide = vec![1; rank - shape.len()];
            wide.extend(shape);
            wide
        };
        if rows.is_empty() || columns.is_empty() {
            return Err(wrong("a matrix has axes"));
        }
        let mut drop = Vec::new();
        if rows.len() == 1 {
            drop.push(rank - 2);
        }
        if columns.len() == 1 {
            drop.push(rank - 1);
        }
        let mut shaped = |value: &Value, shape: Shape| -> Result<ValueId, Refusal> {
            let id = self.build.id(value)?;
            if self.build.shape(id) == shape {
                Ok(id)
            } else {
                self.build.keep("", Op::Reshape(shape), &[id])
            }
        };
        let a = shaped(a, wide(rows, [1, rows[rows.len() - 1]]))?;
        let b = shaped(b, wide(columns, [columns[0], 1]))?;
        Ok((a, b, drop))
    }

    fn dense(
        &mut self,
        out: &Out,
        clamp: Clamp,
        a: &Value,
        weights: &Host,
        [depth, n]: [u32; 2],
        bias: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let id = self.build.id(a)?;
        let mut shape = self.build.shape(id);
        if shape.last() != Some(&depth) {
            return Err(wrong(format!("{shape:?} by a matrix of {depth} rows")));
        }
        let flat = vec![shape.iter().product::<u32>() / depth, depth];
        let x = if shape == flat { id } else { self.build.keep("", Op::Reshape(flat), &[id])? };
        let weights = Value::Host(weights.transposed(&[1, 0]));
        let id = self.build.weighted(out, Op::Dense { clamp }, x, &weights, bias)?;
        let last = shape.len() - 1;
        shape[last] = n;
        let id = if shape.len() == 2 {
            id
        } else {
            self.build.keep(&out.name, Op::Reshape(shape), &[id])?
        };
        Ok(Value::Live(self.build.plain(id)))
    }
}
