//! Borders: of one value, or of what lies within.
use edgemill_model::graph::Op;

use super::moves::span;
use super::{Importer, axes, size};
use crate::builder::{Live, Value};
use crate::host::{Data, Host};
use crate::{Refusal, unsupported, wrong};

impl Importer<'_> {
    pub(super) fn pad(&mut self, at: usize) -> Result<Value, Refusal> {
        let live = self.live(at, 0)?;
        let shape = self.build.logical(&live);
        let rank = shape.len();
        let pads = match self.ints(at, "paddings") {
            Some(list) => list,
            None => self.list(at, "pads", 1)?.ok_or_else(|| wrong("no pads"))?,
        };
        let on = match self.host(at, 3)? {
            Some(list) => axes(&list.i64s(), rank)?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * on.len() {
            return Err(wrong("its pads do not fit its axes"));
        }
        let mut borders = vec![[0_i64; 2]; rank];
        for (n, &axis) in on.iter().enumerate() {
            borders[axis] = [pads[n], pads[n + on.len()]];
        }
        let mode = self.text(at, "mode", "constant");
        if mode == "constant" {
            let value = self.fill(at)?;
            return self.constant_pad(at, &live, &borders, value);
        }
        self.mirrored(&self.out(at).name, &live, &borders, &mode)
    }

    /// What a border is made of, as a real number.
    fn fill(&self, at: usize) -> Result<f32, Refusal> {
        let given = match self.host(at, 2)? {
            Some(Host { data: Data::F(given), .. }) => return Ok(*given.first().unwrap_or(&0.0)),
            Some(host) => host.f32s().first().copied(),
            None => None,
        };
        let rule = self.input_name(at, 0).and_then(|name| self.rule_of_bytes(name));
        let Some(rule) = rule else {
            return Ok(given.unwrap_or(self.float(at, "value", 0.0)));
        };
        let name = self.input_name(at, 2).unwrap_or("");
        // Bytes that are not signed are moved by 128, as the rule is.
        let shift = if self.kinds.get(name) == Some(&super::INT8) { 0.0 } else { 128.0 };
        #[expect(clippy::cast_precision_loss, reason = "bytes")]
        let steps = given.unwrap_or(0.0) - shift - rule.zero_point as f32;
        Ok(steps * rule.scale)
    }

    /// A border of one value; a negative one cuts.
    fn constant_pad(
        &mut self,
        at: usize,
        live: &Live,
        borders: &[[i64; 2]],
        value: f32,
    ) -> Result<Value, Refusal> {
        let shape = self.build.logical(live);
        let mut live = live.clone();
        if borders.as_flattened().iter().any(|&b| b < 0) {
            let cut = |(&d, b): (&u32, &[i64; 2])| {
                let [before, after] = b.map(|b| (-b).max(0));
                span(d.into(), before, i64::from(d) - after, 1)
            };
            let spans = shape.iter().zip(borders).map(cut).collect::<Result<Vec<_>, _>>()?;
            let Value::Live(made) = self.sliced("", &live, &spans)? else {
                return Err(wrong("a constant"));
            };
            live = made;
        }
        let borders = borders.iter().map(|b| Ok([size(b[0].max(0))?, size(b[1].max(0))?]));
        let borders = borders.collect::<Result<Vec<_>, Refusal>>()?;
        if borders.iter().all(|b| *b == [0; 2]) {
            return Ok(Value::Live(live));
        }
        let borders = live.order.iter().map(|&axis| borders[axis]).collect();
        let value = value.clamp(f32::MIN, f32::MAX);
        self.kept(at, &live, Op::Pad { borders, value })
    }

    pub(super) fn mirrored(
        &mut self,
        name: &str,
        live: &Live,
        borders: &[[i64; 2]],
        mode: &str,
    ) -> Result<Value, Refusal> {
        let mut live = live.clone();
        for (at, &axis) in live.order.clone().iter().enumerate() {
            let length = i64::from(self.build.shape(live.id)[at]);
            let [before, after] = borders[axis];
            if [before, after] == [0; 2] {
                continue;
            }
            let indices = mirrored(before, after, length, mode)?;
            let op = Op::Gather { axis: crate::builder::small(at), indices };
            live.id = self.build.keep(name, op, &[live.id])?;
        }
        Ok(Value::Live(live))
    }
}

/// Places of an axis of `length` with that many more before and after.
pub fn mirrored(before: i64, after: i64, length: i64, mode: &str) -> Result<Vec<u32>, Refusal> {
    let most = 1 << 24;
    if before > most || after > most {
        return Err(unsupported("borders of that size"));
    }
    (-before..length + after).map(|n| mirror(n, length, mode)).collect()
}

fn mirror(n: i64, length: i64, mode: &str) -> Result<u32, Refusal> {
    let at = match mode {
        "edge" => n.clamp(0, length - 1),
        "wrap" => n.rem_euclid(length),
        "reflect" if length > 1 => {
            let round = n.rem_euclid(2 * (length - 1));
            round.min(2 * (length - 1) - round)
        }
        "reflect" => 0,
        "symmetric" => {
            let round = n.rem_euclid(2 * length);
            round.min(2 * length - 1 - round)
        }
        other => return Err(unsupported(format!("mode {other}"))),
    };
    u32::try_from(at).map_err(|_| wrong("a border"))
}
