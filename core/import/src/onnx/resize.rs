//! Resize: nearest as places, linear of pictures as the graph has it, the rest as a matrix along each axis.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places along an axis are small and are computed in f32, as the file means them"
)]
use edgemill_model::graph::{Op, ValueId};

use super::{Importer, axes, size};
use crate::builder::{Live, Out, Value, small};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// One axis and how it changes.
struct Axis {
    axis: usize,
    from: u32,
    to: u32,
    scale: f32,
    /// Start and end of what is taken, as parts of the axis.
    roi: [f32; 2],
}

impl Importer<'_> {
    pub(super) fn resize(&mut self, at: usize, op: &str) -> Result<Value, Refusal> {
        let live = self.live(at, 0)?;
        let changes = self.changes(at, op, &live)?;
        let mode = self.text(at, "mode", "nearest");
        let old = op == "Upsample" || self.opset < 11;
        let places = self.text(
            at,
            "coordinate_transformation_mode",
            if old { "asymmetric" } else { "half_pixel" },
        );
        if changes.is_empty() {
            return Ok(Value::Live(live));
        }
        let mut out = self.out(at);
        out.rule = out.rule.or_else(|| self.rule_of_bytes(self.input_name(at, 0)?));
        let value = match mode.as_str() {
            "nearest" => {
                let rounding =
                    self.text(at, "nearest_mode", if old { "floor" } else { "round_prefer_floor" });
                let mut live = live;
                for change in &changes {
                    live.id = self.nearest(&out, &live, change, &places, &rounding)?;
                }
                Value::Live(live)
            }
            "linear" | "bilinear" | "cubic" => {
                let plain = mode != "cubic"
                    && self.int(at, "antialias", 0) == 0
                    && live.order.len() == 4
                    && changes.iter().all(|c| c.axis >= 2);
                if plain {
                    self.linear(&out, &live, &changes, &places)?
                } else {
                    self.by_matrices(at, &live, &changes, &places, &mode)?
                }
            }
            other => return Err(unsupported(format!("mode {other}"))),
        };
        if places == "tf_crop_and_resize" { self.cropped(at, value, &changes) } else { Ok(value) }
    }

    /// `extrapolation_value` where a place lies outside the input.
    fn cropped(&mut self, at: usize, value: Value, changes: &[Axis]) -> Result<Value, Refusal> {
        let shape = self.build.value_shape(&value);
        let mut mask = Host::scalar(1.0).reshaped(vec![1; shape.len()]);
        for change in changes {
            let inside = change.inside("tf_crop_and_resize")?;
            let mut along = vec![1; shape.len()];
            along[change.axis] = inside.len();
            let inside = Host::floats(along, inside);
            mask = mask.zip(&inside, false, |a, b| a * b).ok_or_else(|| wrong("its sizes"))?;
        }
        if mask.f32s().iter().all(|&kept| kept > 0.0) {
            return Ok(value);
        }
        let (out, other) = (self.out(at), self.float(at, "extrapolation_value", 0.0));
        let (mask, other) = (Value::Host(mask), Value::Host(Host::scalar(other)));
        self.build.repeated(&out, Op::Select, &[&mask, &value, &other])
    }

    fn changes(&self, at: usize, op: &str, live: &Live) -> Result<Vec<Axis>, Refusal> {
        let shape = self.build.logical(live);
        let on = match self.ints(at, "axes") {
            Some(list) => axes(&list, shape.len())?,
            None => (0..shape.len()).collect(),
        };
        let early = op == "Upsample" || self.opset < 11;
        let (scales, sizes) = if early {
            let listed = match self.attribute(at, "scales") {
                Some(super::Attribute::Floats(list)) => Some(list.clone()),
                _ => self.host(at, 1)?.map(|h| h.f32s()),
            };
            (listed, None)
        } else {
            (
                self.host(at, 2)?.map(|h| h.f32s()).filter(|s| !s.is_empty()),
                self.host(at, 3)?.map(|h| h.i64s()),
            )
        };
        let roi = if early {
            None
        } else {
            self.host(at, 1)?.map(|h| h.f32s()).filter(|r| r.len() == 2 * on.len())
        };
        let mut changes = Vec::new();
        for (n, &axis) in on.iter().enumerate() {
            let from = shape[axis];
            let (to, scale) = match (&sizes, &scales) {
                (Some(list), _) => {
                    let to = size(*list.get(n).ok_or_else(|| wrong("its sizes"))?)?;
                    (to, to as f32 / from as f32)
                }
                (None, Some(list)) => {
                    let scale = *list.get(n).ok_or_else(|| wrong("its scales"))?;
                    ((from as f32 * scale).floor() as u32, scale)
                }
                _ => return Err(wrong("neither scales nor sizes")),
            };
            let roi = roi.as_ref().map_or([0.0, 1.0], |r| [r[n], r[n + on.len()]]);
            if !((1..=1 << 16).contains(&to) && scale.is_finite() && scale > 0.0) {
                return Err(wrong("an axis of length 0, or beyond 65,536"));
            }
            if to != from || (scale - 1.0).abs() > 0.0 || roi != [0.0, 1.0] {
                changes.push(Axis { axis, from, to, scale, roi });
            }
        }
        self.keep_ratio(at, &shape, &mut changes, sizes.is_some())?;
        Ok(changes)
    }

    fn keep_ratio(
        &self,
        at: usize,
        _: &[u32],
        changes: &mut [Axis],
        sized: bool,
    ) -> Result<(), Refusal> {
        let policy = self.text(at, "keep_aspect_ratio_policy", "stretch");
        if policy == "stretch" || !sized {
            return Ok(());
        }
        let scales = changes.iter().map(|c| c.scale);
        let scale = if policy == "not_larger" {
            scales.fold(f32::INFINITY, f32::min)
        } else {
            scales.fold(0.0, f32::max)
        };
        for change in changes {
            change.scale = scale;
            change.to = (scale * change.from as f32).round() as u32;
        }
        Ok(())
    }

    fn nearest(
        &mut self,
        out: &Out,
        live: &Live,
        change: &Axis,
        places: &str,
        rounding: &str,
    ) -> Result<ValueId, Refusal> {
        let last = change.from as f32 - 1.0;
        let mut indices = Vec::new();
        for n in 0..change.to {
            let at = change.place(n as f32, places)?;
            let rounded = match rounding {
                "floor" => at.floor(),
                "ceil" => at.ceil(),
                "round_prefer_floor" => (at - 0.5).ceil(),
                "round_prefer_ceil" => (at + 0.5).floor(),
                other => return Err(unsupported(format!("nearest_mode {other}"))),
            };
            indices.push(rounded.clamp(0.0, last) as u32);
        }
        let along =
            live.order.iter().position(|&a| a == change.axis).ok_or_else(|| wrong("its axis"))?;
        self.build.keep(&out.name, Op::Gather { axis: small(along), indices }, &[live.id])
    }

    fn linear(
        &mut self,
        out: &Out,
        live: &Live,
        changes: &[Axis],
        places: &str,
    ) -> Result<Value, Refusal> {
        let order = vec![0, 2, 3, 1];
        let shape = self.build.logical(live);
        let (mut to, mut step, mut origin) = ([shape[2], shape[3]], [1.0; 2], [0.0; 2]);
        for change in changes {
            let axis = change.axis - 2;
            let first = change.place(0.0, places)?;
            to[axis] = change.to;
            origin[axis] = first;
            step[axis] = change.place(1.0, places)? - first;
        }
        let id = self.build.arranged(live, &order)?;
        let id = self.build.compute(out, Op::Resize { size: to, step, origin }, &[id])?;
        Ok(Value::Live(Live { id, order }))
    }

    fn by_matrices(
        &mut self,
        at: usize,
        live: &Live,
        changes: &[Axis],
        places: &str,
        mode: &str,
    ) -> Result<Value, Refusal> {
        let mut id = self.build.in_order(live)?;
        let cubic = mode == "cubic";
        let a = cubic.then(|| self.float(at, "cubic_coeff_a", -0.75));
        let within = self.int(at, "exclude_outside", 0) != 0;
        let filter = Filter { a, within, wide: self.int(at, "antialias", 0) != 0 };
        id = self.build.real(id)?;
        let name = self.out(at).name;
        for change in changes {
            let weights = change.matrix(places, &filter)?;
            let size = [change.from as usize, change.to as usize];
            id = self.along(&name, id, change.axis, size, weights)?;
        }
        Ok(Value::Live(self.build.plain(id)))
    }
}

impl Axis {
    /// Where the element `n` stands in the input.
    fn place(&self, n: f32, mode: &str) -> Result<f32, Refusal> {
        let (from, to) = (self.from as f32, self.to as f32);
        // Not rounded down, as the operator is defined.
        let whole = self.scale * from;
        Ok(match mode {
            "half_pixel" => (n + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" if self.to > 1 => (n + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" => 0.0,
            "asymmetric" => n / self.scale,
            "align_corners" if self.to > 1 => n * (from - 1.0) / (whole - 1.0),
            "align_corners" => 0.0,
            "tf_half_pixel_for_nn" => (n + 0.5) / self.scale,
            "half_pixel_symmetric" => {
                let adjusted = to / (self.scale * from);
                let offset = from / 2.0 * (1.0 - adjusted);
                offset + (n + 0.5) / self.scale - 0.5
            }
            "tf_crop_and_resize" if self.to > 1 => {
                self.roi[0] * (from - 1.0)
                    + n * (self.roi[1] - self.roi[0]) * (from - 1.0) / (to - 1.0)
            }
            "tf_crop_and_resize" => 0.5 * (self.roi[0] + self.roi[1]) * (from - 1.0),
            other => return Err(unsupported(format!("coordinate_transformation_mode {other}"))),
        })
    }

    /// 1 for each place that lies within the input, else 0.
    fn inside(&self, mode: &str) -> Result<Vec<f32>, Refusal> {
        let last = self.from as f32 - 1.0;
        let one = |n| Ok(f32::from(u8::from((0.0..=last).contains(&self.place(n as f32, mode)?))));
        (0..self.to).map(one).collect()
    }

    /// \[from, to\]: how much of each element goes where.
    fn matrix(&self, places: &str, filter: &Filter) -> Result<Vec<f32>, Refusal> {
        let (from, to) = (self.from as usize, self.to as usize);
        if from.saturating_mul(to) > 1 << 22 {
            return Err(unsupported("an axis of that length"));
        }
        // A picture that shrinks is seen through a filter that is as much wider.
        let narrow = if filter.wide { self.scale.min(1.0) } else { 1.0 };
        let first = (-filter.reach() / narrow).floor() as i32 + 1;
        let mut matrix = vec![0.0; from * to];
        for n in 0..to {
            let at = self.place(n as f32, places)?;
            let weight = |k: i32| filter.at((k as f32 - (at - at.floor())).abs() * narrow);
            let taps = (first..2 - first).map(|k| (at.floor() + k as f32, weight(k)));
            let inside = |tap: f32| (0.0..from as f32).contains(&tap);
            let taps: Vec<_> = taps.filter(|(tap, _)| !filter.within || inside(*tap)).collect();
            let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
            for (tap, weight) in taps {
                let row = tap.clamp(0.0, from as f32 - 1.0) as usize;
                matrix[row * to + n] += weight / sum;
            }
        }
        Ok(matrix)
    }
}

/// How much an element counts by its distance.
struct Filter {
    /// Of a cubic one: its coefficient.
    a: Option<f32>,
    /// Elements outside the input do not count.
    within: bool,
    /// Wider where the picture shrinks.
    wide: bool,
}

impl Filter {
    fn reach(&self) -> f32 {
        if self.a.is_some() { 2.0 } else { 1.0 }
    }

    fn at(&self, distance: f32) -> f32 {
        self.a.map_or((1.0 - distance).max(0.0), |a| cubic(distance, a))
    }
}

/// Keys, 1981: the convolution kernel of cubic interpolation.
fn cubic(x: f32, a: f32) -> f32 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}
