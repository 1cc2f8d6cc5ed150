//! `GridSample`: pictures seen at places that are computed while the graph runs. Each place has a weight for every row
//! and for every column, 0 for most, and the picture is multiplied by their products.
use edgemill_model::graph::{Clamp, Function, Op, Pair, Span};

use super::Importer;
use super::moves::turned;
use crate::builder::{Out, Value, counted};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The most weights of one picture.
const MAX_WEIGHTS: u64 = 1 << 26;

/// How one axis is sampled.
struct Axis {
    nearest: bool,
    border: bool,
    aligned: bool,
}

impl Importer<'_> {
    pub(super) fn grid_sample(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, grid) = (self.value(at, 0)?, self.value(at, 1)?);
        let (shape, places) = (self.build.value_shape(&x), self.build.value_shape(&grid));
        let (&[n, c, h, w], &[_, rows, columns, 2]) = (&shape[..], &places[..]) else {
            return Err(unsupported("another number of axes than two spatial ones"));
        };
        let how = self.sampling(at)?;
        let count = rows.checked_mul(columns).ok_or_else(|| wrong("its grid"))?;
        let weights = u64::from(n) * u64::from(count) * u64::from(h) * u64::from(w);
        if places[0] != n || weights > MAX_WEIGHTS {
            return Err(unsupported("that many places computed while the model runs"));
        }
        let mut sides = Vec::new();
        for (index, length, wide) in [(1, h, [h, 1]), (0, w, [1, w])] {
            let of = self.side_weights(&grid, index, length, &how)?;
            let shape = vec![n, count, wide[0], wide[1]];
            sides.push(Value::Live(self.build.reshaped("", &of, shape)?));
        }
        let inner = Out::default();
        let both = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&sides[0], &sides[1]])?;
        let both = Value::Live(self.build.reshaped("", &both, vec![n, count, h * w])?);
        let live = self.as_live(x)?;
        let seen = turned(live, &[0, 2, 3, 1])?;
        let seen = Value::Live(self.build.reshaped("", &seen, vec![n, h * w, c])?);
        let made = self.mat_mul(&inner, &both, &seen, None)?;
        let made = self.build.reshaped(&self.out(at).name, &made, vec![n, rows, columns, c])?;
        turned(made, &[0, 3, 1, 2])
    }

    fn sampling(&self, at: usize) -> Result<Axis, Refusal> {
        let nearest = match self.text(at, "mode", "bilinear").as_str() {
            "bilinear" | "linear" => false,
            "nearest" => true,
            other => return Err(unsupported(format!("mode {other}"))),
        };
        let border = match self.text(at, "padding_mode", "zeros").as_str() {
            "zeros" => false,
            "border" => true,
            other => return Err(unsupported(format!("padding_mode {other}"))),
        };
        Ok(Axis { nearest, border, aligned: self.int(at, "align_corners", 0) != 0 })
    }

    /// What each place gives to each row or column: 1 less its distance, or nothing.
    fn side_weights(
        &mut self,
        grid: &Value,
        index: u32,
        length: u32,
        how: &Axis,
    ) -> Result<Value, Refusal> {
        let live = self.as_live(grid.clone())?;
        let shape = self.build.logical(&live);
        let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
        spans[3] = Span { start: index, step: 1, count: 1 };
        let at = self.sliced("", &live, &spans)?;
        #[expect(clippy::cast_precision_loss, reason = "a picture's side")]
        let size = length as f32;
        // From −1 … 1 to places of pixels.
        let (factor, shift) = if how.aligned {
            ((size - 1.0) / 2.0, (size - 1.0) / 2.0)
        } else {
            (size / 2.0, (size - 1.0) / 2.0)
        };
        let (inner, number) = (Out::default(), |v: f32| Value::Host(Host::scalar(v)));
        let at = self.build.pair(&inner, Pair::Mul, Clamp::NONE, [&at, &number(factor)])?;
        let clamp = if how.border { Clamp { low: 0.0, high: size - 1.0 } } else { Clamp::NONE };
        let mut at = self.build.pair(&inner, Pair::Add, clamp, [&at, &number(shift)])?;
        if how.nearest {
            at = self.build.each(&inner, Op::Unary(Function::Round), &at)?;
        }
        let at = self.build.reshaped("", &at, vec![shape[0], shape[1] * shape[2], 1])?;
        let numbers = Value::Host(counted(length)?);
        let far = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [&Value::Live(at), &numbers])?;
        let far = self.build.each(&inner, Op::Unary(Function::Abs), &far)?;
        self.build.pair(&inner, Pair::Sub, Clamp::RELU, [&number(1.0), &far])
    }
}
