//! Steps cut into parts for several threads. No sum is divided, so that no bit changes.
use edgemill_kernels::int8::{Convolution, Depthwise, Kernel, Mean, Panels, Pool, Resize};
use edgemill_kernels::team::{MAX_THREADS, Team};

use crate::step::{Convolve, Images, Work};

/// Some of the rows, elements or channels that a step makes: work on a piece of its output, which ends where the next part's
/// begins.
pub(crate) struct Part {
    work: Work,
    /// Where its inputs begin, and its output.
    inputs: [usize; 2],
    output: usize,
}

/// Bytes of output that are worth a helper's time, where little is done for each.
const WORTH: usize = 4096;

/// As many parts as `threads`, or fewer; none where the work stays whole. What it makes has so many `bytes`, filters are in such
/// `panels`.
pub(crate) fn divide(work: &Work, bytes: usize, threads: usize, panels: Panels) -> Vec<Part> {
    let few = threads.min(bytes / WORTH);
    let parts = match work {
        Work::Convolve(job) if job.images.batch > 1 => Vec::new(),
        Work::Convolve(work) if work.groups == 1 && work.job.height * work.job.width == 1 => {
            channels(work, threads, panels)
        }
        Work::Convolve(work) => rows_of_convolution(work, threads),
        Work::Depthwise { job, packed, images } if images.batch == 1 => {
            let (packed, images) = (packed.clone(), *images);
            rows_of_depthwise(job, threads, |job| Work::Depthwise {
                job,
                packed: packed.clone(),
                images,
            })
        }
        Work::MaxPool { pool, images } if images.batch == 1 => {
            rows_of_pool(pool, few, |pool| Work::MaxPool { pool, images: *images })
        }
        Work::AveragePool { pool, mean, images } if images.batch == 1 => {
            let (mean, images): (Mean, Images) = (*mean, *images);
            rows_of_pool(pool, few, |pool| Work::AveragePool { pool, mean, images })
        }
        Work::Pairs { pair, spread, output } => spread
            .divided(few)
            .into_iter()
            .map(|(spread, inputs, first)| Part {
                work: Work::Pairs { pair: *pair, spread, output: *output },
                inputs,
                output: first,
            })
            .collect(),
        Work::Resize { resize, images } if images.batch == 1 => {
            cut(resize.rows.len(), few, 1, |first, count| Part {
                work: Work::Resize {
                    resize: Resize {
                        rows: resize.rows[first..][..count].to_vec(),
                        ..resize.clone()
                    },
                    images: *images,
                },
                inputs: [0; 2],
                output: first * resize.columns.len() * resize.channels,
            })
        }
        Work::Translate(table) => cut(bytes, few, 64, |first, _| Part {
            work: Work::Translate(table.clone()),
            inputs: [first, 0],
            output: first,
        }),
        Work::Quantize { scale, output } => cut(bytes, few, 64, |first, _| Part {
            work: Work::Quantize { scale: *scale, output: *output },
            inputs: [4 * first, 0],
            output: first,
        }),
        _ => Vec::new(),
    };
    if parts.len() > 1 { parts } else { Vec::new() }
}

/// Parts of `count` rows or elements, as even as they go in whole grains; `part` is given the first and how many.
fn cut(count: usize, parts: usize, grain: usize, part: impl Fn(usize, usize) -> Part) -> Vec<Part> {
    let at = |i: usize| (count.div_ceil(grain) * i / parts * grain).min(count);
    let range = |i: usize| (at(i), at(i + 1) - at(i));
    (0..parts).map(range).filter(|range| range.1 > 0).map(|range| part(range.0, range.1)).collect()
}

/// Rows; where all pixels follow each other in memory, pixels.
fn rows_of_convolution(work: &Convolve, threads: usize) -> Vec<Part> {
    let job = &work.job;
    let part = |job, input, output| Part {
        work: Work::Convolve(Convolve { job, packed: work.packed.clone(), ..*work }),
        inputs: [input, 0],
        output,
    };
    let in_line = job.row_step == job.width * job.column_step
        && job.out_row_step == job.width * job.pixel_step;
    if in_line || job.height == 1 {
        return cut(job.height * job.width, threads, 1, |first, width| {
            let job = Convolution { height: 1, width, ..job.clone() };
            let (input, output) = (first * job.column_step, first * job.pixel_step);
            part(job, input, output)
        });
    }
    cut(job.height, threads, 1, |first, height| {
        let job = Convolution { height, ..job.clone() };
        let (input, output) = (first * job.row_step, first * job.out_row_step);
        part(job, input, output)
    })
}

/// Rows; of a single one, pixels.
fn rows_of_depthwise(
    job: &Depthwise,
    threads: usize,
    work: impl Fn(Depthwise) -> Work,
) -> Vec<Part> {
    if job.height == 1 {
        return cut(job.width, threads, 1, |first, width| Part {
            work: work(Depthwise { width, ..job.clone() }),
            inputs: [first * job.column_step, 0],
            output: first * job.pixel_step,
        });
    }
    cut(job.height, threads, 1, |first, height| Part {
        work: work(Depthwise { height, ..job.clone() }),
        inputs: [first * job.row_step, 0],
        output: first * job.out_row_step,
    })
}

/// The channels of a single pixel, in whole panels: a dense layer is as fast as its weights can be read.
fn channels(work: &Convolve, threads: usize, panels: Panels) -> Vec<Part> {
    let job = &work.job;
    let packed = |channels| panels.packed_bytes(channels, job.offsets.len(), job.segment);
    cut(job.channels, threads, panels.widest, |first, channels| {
        let start = work.packed.start + packed(first);
        Part {
            work: Work::Convolve(Convolve {
                job: Convolution { channels, ..job.clone() },
                packed: start..start + packed(channels),
                ..*work
            }),
            inputs: [0; 2],
            output: first,
        }
    })
}

/// What a part's windows do not reach of the picture above is left out of it.
fn rows_of_pool(pool: &Pool, threads: usize, work: impl Fn(Pool) -> Work) -> Vec<Part> {
    let Pool { size, places, channels, stride, border, .. } = *pool;
    cut(places[0], threads, 1, |first, count| {
        let top = first * stride[0];
        let above = top.saturating_sub(border[0]);
        let pool = Pool {
            size: [size[0] - above, size[1]],
            places: [count, places[1]],
            border: [border[0].saturating_sub(top), border[1]],
            ..*pool
        };
        Part {
            work: work(pool),
            inputs: [above * size[1] * channels, 0],
            output: first * places[1] * channels,
        }
    })
}

/// Runs each part on its own piece of `y`.
pub(crate) fn run(
    parts: &[Part],
    team: &mut Team,
    kernel: &dyn Kernel,
    weights: &[u8],
    inputs: [&[u8]; 2],
    y: &mut [u8],
) {
    let mut pieces: [Option<(&Part, &mut [u8])>; MAX_THREADS] = [const { None }; MAX_THREADS];
    let mut rest = y;
    for (i, (piece, part)) in pieces.iter_mut().zip(parts).enumerate() {
        let end = parts.get(i + 1).map_or(rest.len(), |next| next.output - part.output);
        let (own, others) = rest.split_at_mut(end);
        *piece = Some((part, own));
        rest = others;
    }
    team.each(&mut pieces[..parts.len()], |piece| {
        if let Some((part, y)) = piece {
            let [a, b] = part.inputs;
            part.work.run(kernel, weights, [&inputs[0][a..], &inputs[1][b..]], y);
        }
    });
}

/// Calls `run` with each line of `x`, and the one of `y` that is made of it; both have lines of so many bytes.
pub(crate) fn lines(
    team: &mut Option<Team>,
    steps: [usize; 2],
    x: &[u8],
    y: &mut [u8],
    run: impl Fn(&[u8], &mut [u8]) + Sync,
) {
    let all = |(x, y): (&[u8], &mut [u8])| {
        x.chunks_exact(steps[0]).zip(y.chunks_exact_mut(steps[1])).for_each(|(x, y)| run(x, y));
    };
    let count = x.len() / steps[0];
    let Some(team) = team.as_mut().filter(|_| x.len() > 2 * WORTH) else { return all((x, y)) };
    let [from, to] = steps.map(|step| step * count.div_ceil(team.threads()));
    let mut pieces: [Option<(&[u8], &mut [u8])>; MAX_THREADS] = [const { None }; MAX_THREADS];
    let both = x.chunks(from).zip(y.chunks_mut(to));
    pieces.iter_mut().zip(both).for_each(|(piece, both)| *piece = Some(both));
    team.each(&mut pieces, |piece| {
        if let Some(both) = piece.take() {
            all(both);
        }
    });
}
