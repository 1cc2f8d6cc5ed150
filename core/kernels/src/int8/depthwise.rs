//! Convolution of each channel on its own.
use super::convolution::Convolution;
use super::packing::Filter;

/// Channels summed at a time.
const CHUNK: usize = 16;

/// Bytes of packed weights: what each channel's sum starts from, its multiplier, and its weights by tap.
#[must_use]
pub const fn packed_depthwise_bytes(channels: usize, taps: usize) -> usize {
    channels * (8 + taps)
}

/// Packs weights \[channel\]\[tap\], which `filter` has as one segment of all taps, into the first bytes of `out`.
///
/// # Panics
/// If `out` is smaller than [`packed_depthwise_bytes`].
pub fn pack_depthwise(filter: &Filter<'_>, channels: usize, out: &mut [u8]) {
    let taps = filter.segment;
    let (starts, rest) = out[..packed_depthwise_bytes(channels, taps)].split_at_mut(4 * channels);
    let (multipliers, weights) = rest.split_at_mut(4 * channels);
    for c in 0..channels {
        // Elements are summed as values here, whatever memory holds.
        starts.as_chunks_mut().0[c] = filter.start(c, 0).to_le_bytes();
        multipliers.as_chunks_mut().0[c] = (filter.multipliers)(c).to_le_bytes();
        for (tap, &w) in filter.weights[c * taps..][..taps].iter().enumerate() {
            weights[tap * channels + c] = w;
        }
    }
}

/// Computes `y` from `x`, bytes that differ by `flip` from values. Each of the job's offsets is a tap, its segment
/// one element of each of its channels.
///
/// # Panics
/// If a slice is smaller than `job` says.
pub fn depthwise(job: &Convolution, flip: u8, packed: &[u8], x: &[u8], y: &mut [u8]) {
    let channels = job.channels;
    let (starts, rest) = packed.split_at(4 * channels);
    let (multipliers, weights) = rest.split_at(4 * channels);
    let (starts, multipliers) = (starts.as_chunks::<4>().0, multipliers.as_chunks::<4>().0);
    for row in 0..job.height {
        for column in 0..job.width {
            let base = row * job.row_step + column * job.column_step;
            let pixel = (row * job.width + column) * job.pixel_step;
            for c in (0..channels).step_by(CHUNK) {
                let count = CHUNK.min(channels - c);
                let mut sums = [0; CHUNK];
                for (sum, start) in sums.iter_mut().zip(&starts[c..c + count]) {
                    *sum = i32::from_le_bytes(*start);
                }
                for (offset, w) in job.offsets.iter().zip(weights.chunks_exact(channels)) {
                    accumulate(&mut sums, &x[base + offset + c..][..count], &w[c..], flip);
                }
                let columns = sums.iter().zip(&multipliers[c..]);
                for (y, (&sum, &m)) in y[pixel + c..][..count].iter_mut().zip(columns) {
                    *y = job.output.element(sum, f32::from_le_bytes(m)).cast_unsigned() ^ flip;
                }
            }
        }
    }
}

#[inline(always)]
fn accumulate(sums: &mut [i32; CHUNK], x: &[u8], w: &[u8], flip: u8) {
    for (sum, (&x, &w)) in sums.iter_mut().zip(x.iter().zip(w)) {
        let product = i32::from((x ^ flip).cast_signed()) * i32::from(w.cast_signed());
        *sum = sum.wrapping_add(product);
    }
}
