//! Where the greatest of each window was, and putting it back there.
use edgemill_model::graph::{Clamp, Op, Pair, Span, Window};

use super::Importer;
use super::windows::Frame;
use crate::builder::{Live, Out, Value, counted};
use crate::host::Host;
use crate::{Refusal, unsupported, wrong};

/// The largest window whose places are compared one after another.
const MAX_TAPS: u32 = 64;

impl Importer<'_> {
    /// The place of the greatest under each window, counted through all of x.
    pub(super) fn pool_places(
        &mut self,
        at: usize,
        x: &Value,
        frame: &Frame,
    ) -> Result<Value, Refusal> {
        let &[n, c, h, w] = &self.build.value_shape(x)[..] else {
            return Err(unsupported("places under a window over other than two axes"));
        };
        let (window, dilation) = frame.flat()?;
        if self.int(at, "storage_order", 0) != 0 || window.kernel.iter().product::<u32>() > MAX_TAPS
        {
            return Err(unsupported(format!(
                "columns first, or places under more than {MAX_TAPS} elements"
            )));
        }
        if [n, c, h, w].iter().map(|&d| u64::from(d)).product::<u64>() > 1 << 24 {
            return Err(unsupported("places of more than 2²⁴ elements"));
        }
        let order = vec![0, 2, 3, 1];
        let live = self.real_live(x)?;
        let id = self.build.arranged(&live, &order)?;
        let borders = vec![[0; 2], window.rows, window.columns, [0; 2]];
        let id = self.build.keep("", Op::Pad { borders, value: f32::MIN }, &[id])?;
        let shape = self.build.shape(id);
        let mut best: Option<(Value, Value)> = None;
        for tap in 0..window.kernel[0] * window.kernel[1] {
            let tap = [tap / window.kernel[1] * dilation[0], tap % window.kernel[1] * dilation[1]];
            let spans = taken(&shape, &window, dilation, tap)?;
            let numbers = Value::Host(numbers(&spans, &window, w));
            let seen = self.build.keep("", Op::Slice(spans), &[id])?;
            let seen = Value::Live(self.build.plain(seen));
            let inner = Out::default();
            best = Some(match best {
                None => (seen, numbers),
                Some((most, places)) => {
                    let more = self.build.pair(&inner, Pair::Less, Clamp::NONE, [&most, &seen])?;
                    let most = self.build.pair(&inner, Pair::Max, Clamp::NONE, [&most, &seen])?;
                    let select = [&more, &numbers, &places];
                    (most, self.build.repeated(&inner, Op::Select, &select)?)
                }
            });
        }
        let (_, places) = best.ok_or_else(|| wrong("a window of nothing"))?;
        let first = Value::Host(firsts([n, c], h * w, [n, 1, 1, c]));
        let places = self.build.pair(&Out::default(), Pair::Add, Clamp::NONE, [&places, &first])?;
        let places = self.as_live(places)?;
        self.as_whole(&Out::default(), Value::Live(Live { order, ..places }))
    }

    /// Each element at the place that it was taken from, elsewhere 0.
    pub(super) fn max_unpool(&mut self, at: usize) -> Result<Value, Refusal> {
        let (x, places) = (self.value(at, 0)?, self.value(at, 1)?);
        let &[n, c, h, w] = &self.build.value_shape(&x)[..] else {
            return Err(unsupported("another number of axes than four"));
        };
        let list = |name: &str| self.ints(at, name);
        let (kernel, strides) = (list("kernel_shape"), list("strides"));
        let apart = kernel == strides && list("pads").is_none_or(|p| p.iter().all(|&p| p == 0));
        let Some([rows, columns]) = kernel.as_deref().and_then(|k| <[i64; 2]>::try_from(k).ok())
        else {
            return Err(unsupported("a window over other than two axes"));
        };
        let [rows, columns] = [super::size(rows)?, super::size(columns)?];
        let grown = |size: u32, by: u32| size.checked_mul(by).ok_or_else(|| wrong("its window"));
        let to = [n, c, grown(h, rows)?, grown(w, columns)?];
        if !apart
            || self
                .host(at, 2)?
                .is_some_and(|s| s.shape32() != [4] || s.i64s() != to.map(i64::from))
        {
            return Err(unsupported("windows that overlap or do not fill its result"));
        }
        if to.iter().map(|&d| u64::from(d)).product::<u64>() > 1 << 24 {
            return Err(unsupported("places of more than 2²⁴ elements"));
        }
        let wide = |this: &mut Self, value: &Value| {
            let seen = this.build.reshaped("", value, vec![n, c, h, 1, w, 1])?;
            let id = this.build.keep("", Op::Tile(vec![1, 1, 1, rows, 1, columns]), &[seen.id])?;
            let seen = Value::Live(this.build.plain(id));
            this.build.reshaped("", &seen, to.to_vec()).map(Value::Live)
        };
        let (inner, area) = (Out::default(), to[2] * to[3]);
        let places = Value::Live(self.real_live(&places)?);
        let first = Value::Host(firsts([n, c], area, [n, c, 1, 1]));
        let places = self.build.pair(&inner, Pair::Sub, Clamp::NONE, [&places, &first])?;
        let places = wide(self, &places)?;
        let elements = Value::Live(self.real_live(&x)?);
        let elements = wide(self, &elements)?;
        let all = Value::Host(counted(area)?.reshaped(vec![1, 1, to[2] as usize, to[3] as usize]));
        let here = self.build.pair(&inner, Pair::Equal, Clamp::NONE, [&places, &all])?;
        let zero = Value::Host(Host::scalar(0.0));
        self.build.repeated(&self.out(at), Op::Select, &[&here, &elements, &zero])
    }
}

/// What one tap of the window sees of a picture with borders, channels last.
fn taken(
    shape: &[u32],
    window: &Window,
    dilation: [u32; 2],
    tap: [u32; 2],
) -> Result<Vec<Span>, Refusal> {
    let mut spans: Vec<Span> = shape.iter().map(|&d| Span::whole(d)).collect();
    for axis in 0..2 {
        let covered = (window.kernel[axis] - 1) * dilation[axis] + 1;
        let rest = shape[axis + 1].checked_sub(covered);
        let rest = rest.ok_or_else(|| wrong("a window larger than its picture"))?;
        let step = i32::try_from(window.stride[axis]).map_err(|_| wrong("its strides"))?;
        spans[axis + 1] = Span { start: tap[axis], step, count: rest / window.stride[axis] + 1 };
    }
    Ok(spans)
}

/// The places of what is taken, in a picture of `width` without borders.
#[expect(clippy::cast_precision_loss, reason = "places of a picture are below 2²⁴")]
fn numbers(spans: &[Span], window: &Window, width: u32) -> Host {
    let along = |axis: usize, border: u32| {
        let Span { start, step, count } = spans[axis];
        (0..count)
            .map(move |n| i64::from(start) + i64::from(n) * i64::from(step) - i64::from(border))
    };
    let rows = along(1, window.rows[0]);
    let place = |row: i64| {
        along(2, window.columns[0]).map(move |column| (row * i64::from(width) + column) as f32)
    };
    let shape = vec![1, spans[1].count as usize, spans[2].count as usize, 1];
    Host::floats(shape, rows.flat_map(place).collect())
}

/// The place of the first element of each channel of each picture.
#[expect(clippy::cast_precision_loss, reason = "places are below 2²⁴")]
fn firsts([n, c]: [u32; 2], area: u32, shape: [u32; 4]) -> Host {
    let firsts = (0..n * c).map(|at| at as f32 * area as f32).collect();
    Host::floats(shape.map(|d| d as usize).to_vec(), firsts)
}
