//! Which range each value of a graph takes, found by running it on pictures.
use candle_core::Tensor;
use edgemill_model::graph::{Graph, Source, Value};
use edgemill_reference::{Reference, ReferenceError};

use crate::recipe::Calibration;

/// Least and greatest real number of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Least.
    pub low: f32,
    /// Greatest.
    pub high: f32,
}

impl Range {
    const NONE: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY };

    /// That of some numbers.
    pub(crate) fn of(elements: &[f32]) -> Self {
        let mut range = Self::NONE;
        elements.iter().for_each(|&element| range.include(element));
        range
    }

    fn include(&mut self, value: f32) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }
}

/// The part of the values cut off on each side by [`Calibration::Percentile`].
const OUTSIDE: f64 = 0.000_05;
/// Fine enough that a bin is a small part of an int8 step.
const BINS: usize = 4096;
/// Shares of an end that [`Calibration::Mse`] tries, and how often it tries one end after the other.
const PARTS: u16 = 64;
const FITTINGS: usize = 2;

fn share(part: u16) -> f32 {
    f32::from(part) / f32::from(PARTS)
}

/// The range of each value of `graph` over all `inputs`, in the graph's order; constants have none. Those values that `whole`
/// names are covered entirely. `done` is called after each run, of which there are [`runs`] times as many as inputs.
///
/// # Errors
/// An input that does not fit, or a graph that does not run.
pub fn ranges(
    graph: &Graph<'_>,
    inputs: &[&[f32]],
    calibration: Calibration,
    whole: &[bool],
    done: &mut dyn FnMut(),
) -> Result<Vec<Range>, ReferenceError> {
    let reference = Reference::new(graph)?;
    let mut ranges = vec![Range::NONE; graph.values().len()];
    for_each_value(graph, &reference, inputs, done, |index, elements| {
        elements.iter().for_each(|&element| ranges[index].include(element));
    })?;
    let cut = match calibration {
        Calibration::MinMax => return Ok(ranges),
        Calibration::Mse => Histogram::fitted,
        Calibration::Percentile => Histogram::trimmed,
    };
    let mut histograms: Vec<Histogram> = ranges.iter().map(|&r| Histogram::new(r)).collect();
    for_each_value(graph, &reference, inputs, done, |index, elements| {
        elements.iter().for_each(|&element| histograms[index].count(element));
    })?;
    let cut = |(at, histogram): (usize, &Histogram)| {
        if whole.get(at) == Some(&true) { histogram.range } else { cut(histogram) }
    };
    Ok(histograms.iter().enumerate().map(cut).collect())
}

/// How often [`ranges`] runs every input.
#[must_use]
pub fn runs(calibration: Calibration) -> usize {
    if calibration == Calibration::MinMax { 1 } else { 2 }
}

/// The range of each channel, along the innermost axis, of each value that a node makes of four axes.
///
/// # Errors
/// As [`ranges`].
pub fn channel_ranges(
    graph: &Graph<'_>,
    inputs: &[&[f32]],
    done: &mut dyn FnMut(),
) -> Result<Vec<Vec<Range>>, ReferenceError> {
    let channels = |value: &Value<'_>| match (value.source(), &value.spec().shape[..]) {
        (Source::Node(_), &[_, _, _, channels]) => channels as usize,
        _ => 0,
    };
    let mut ranges: Vec<Vec<Range>> =
        graph.values().iter().map(|value| vec![Range::NONE; channels(value)]).collect();
    for_each_value(graph, &Reference::new(graph)?, inputs, done, |index, elements| {
        let ranges = &mut ranges[index];
        for pixel in elements.chunks_exact(ranges.len().max(1)) {
            ranges.iter_mut().zip(pixel).for_each(|(range, &element)| range.include(element));
        }
    })?;
    Ok(ranges)
}

fn for_each_value(
    graph: &Graph<'_>,
    reference: &Reference,
    inputs: &[&[f32]],
    done: &mut dyn FnMut(),
    mut look: impl FnMut(usize, &[f32]),
) -> Result<(), ReferenceError> {
    for input in inputs {
        let values = reference.values(&[input])?;
        for (index, (tensor, value)) in values.iter().zip(graph.values()).enumerate() {
            if !matches!(value.source(), Source::Constant(_)) {
                look(
                    index,
                    &elements(tensor)
                        .map_err(|source| ReferenceError::Arithmetic { index, source })?,
                );
            }
        }
        done();
    }
    Ok(())
}

fn elements(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// How often a value fell into each of [`BINS`] equal parts of its range.
struct Histogram {
    range: Range,
    counts: Vec<u64>,
}

impl Histogram {
    fn new(range: Range) -> Self {
        Self { range, counts: vec![0; BINS] }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of 0..=1 of a few thousand bins; a cast from f32 saturates"
    )]
    fn count(&mut self, value: f32) {
        let Range { low, high } = self.range;
        let bin = ((value - low) / (high - low) * BINS as f32) as usize;
        self.counts[bin.min(BINS - 1)] += 1;
    }

    /// The range whose int8 elements have the least square error, of rounding and of cutting off together.
    fn fitted(&self) -> Range {
        let mut best = self.range;
        for _ in 0..FITTINGS {
            best = self
                .best((1..=PARTS).map(|part| Range { low: self.range.low * share(part), ..best }));
            best = self.best(
                (1..=PARTS).map(|part| Range { high: self.range.high * share(part), ..best }),
            );
        }
        best
    }

    fn best(&self, ranges: impl Iterator<Item = Range>) -> Range {
        let with_error = ranges.map(|range| (self.error(range), range));
        let least = with_error.min_by(|(a, _), (b, _)| a.total_cmp(b));
        least.map_or(self.range, |(_, range)| range)
    }

    /// Sum of the squares of what each value is off.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a few million, and a few thousand bins"
    )]
    fn error(&self, range: Range) -> f64 {
        let Range { low: least, high: greatest } = self.range;
        let (low, high) = (range.low.min(0.0), range.high.max(0.0));
        let step = f64::from((high - low) / 255.0);
        let width = (greatest - least) / BINS as f32;
        let of_bin = |(bin, &count): (usize, &u64)| {
            let value = least + (bin as f32 + 0.5) * width;
            let off = f64::from((low - value).max(value - high).max(0.0));
            count as f64 * if off > 0.0 { off * off } else { step * step / 12.0 }
        };
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(of_bin).sum()
    }

    /// The range without the outermost bins that hold the part cut off.
    fn trimmed(&self) -> Range {
        let low = self.edge(self.counts.iter());
        let high = self.edge(self.counts.iter().rev());
        let Range { low: least, high: greatest } = self.range;
        let width = greatest - least;
        Range { low: least + low * width, high: greatest - high * width }
    }

    /// How far in, as a part of the range, the cut is.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a few million, and a few thousand bins"
    )]
    fn edge<'a>(&self, counts: impl Iterator<Item = &'a u64>) -> f32 {
        let most = self.counts.iter().sum::<u64>() as f64 * OUTSIDE;
        let mut seen = 0;
        let cut = counts.take_while(|&&count| {
            seen += count;
            seen as f64 <= most
        });
        cut.count() as f32 / BINS as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_error_leaves_out_a_single_far_value() {
        let mut histogram = Histogram::new(Range { low: -1.0, high: 64.0 });
        (0..50_000_u16).for_each(|i| histogram.count(f32::from(i) / 25_000.0 - 1.0));
        let even = histogram.fitted();
        assert!(even.low == -1.0 && (1.0..2.0).contains(&even.high), "{even:?}");
        (0..500).for_each(|_| histogram.count(64.0));
        let weighed = histogram.fitted();
        assert!(weighed.high > 32.0, "{weighed:?}");
    }

    #[test]
    fn a_percentile_leaves_out_what_is_rare_and_nothing_else() {
        let mut histogram = Histogram::new(Range { low: -1.0, high: 3.0 });
        (0..50_000_u16).for_each(|i| histogram.count(f32::from(i) / 50_000.0));
        [-1.0, 3.0].into_iter().for_each(|rare| histogram.count(rare));
        let Range { low, high } = histogram.trimmed();
        assert!(low.abs() < 0.002 && (high - 1.0).abs() < 0.002, "{low} {high}");
    }
}
