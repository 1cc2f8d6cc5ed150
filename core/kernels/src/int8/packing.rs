//! Weights in the order in which a kernel reads them.
//!
//! Output channels are cut into panels of columns. A panel holds, one after the other: what each column's sum starts
//! from (int32), each column's multiplier (f32), and then, for every step of neighbouring elements of a window, four or
//! eight, as many weights of each column. A window whose segments are no whole steps is filled up with weights of 0; so
//! are the columns of the last panel.

/// How a kernel wants output channels cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Columns of every panel but the last.
    pub widest: usize,
    /// The last panel's columns are a multiple of this.
    pub grain: usize,
    /// Neighbouring elements of a window that one step takes.
    pub step: usize,
}

/// The weights of one convolution, as a graph has them.
#[derive(Clone, Copy)]
pub struct Filter<'a> {
    /// int8, \[columns\]\[segments\]\[segment\].
    pub weights: &'a [u8],
    /// Parts of a window that lie apart in memory.
    pub segments: usize,
    /// Elements of each.
    pub segment: usize,
    /// int32, little-endian, one for each column; or none.
    pub bias: Option<&'a [u8]>,
    /// What each column's sum is multiplied by.
    pub multipliers: &'a dyn Fn(usize) -> f32,
    /// Zero point of what goes in.
    pub zero_point: i32,
}

/// A panel's place among the packed bytes, and its columns.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub start: usize,
    pub bytes: usize,
    pub first_column: usize,
    /// With those that fill it up.
    pub width: usize,
    pub columns: usize,
}

impl Panels {
    /// Bytes of a packed filter; `usize::MAX` where they cannot be counted.
    #[must_use]
    pub fn packed_bytes(self, columns: usize, segments: usize, segment: usize) -> usize {
        let bytes = self.cut(columns, segments, segment).map(|panel| panel.bytes);
        bytes.fold(0, usize::saturating_add)
    }

    /// The panels of a filter with so many `columns`.
    pub(super) fn cut(
        self,
        columns: usize,
        segments: usize,
        segment: usize,
    ) -> impl Iterator<Item = Panel> {
        let column_bytes = segments
            .saturating_mul(segment.div_ceil(self.step).saturating_mul(self.step))
            .saturating_add(HEADER);
        (0..columns).step_by(self.widest).map(move |first_column| {
            let columns = self.widest.min(columns - first_column);
            let full = columns == self.widest;
            let width = if full { columns } else { columns.next_multiple_of(self.grain) };
            let start = first_column.saturating_mul(column_bytes);
            let bytes = width.saturating_mul(column_bytes);
            Panel { start, bytes, first_column, width, columns }
        })
    }

    /// Packs `filter` for a kernel that differs memory from values by `flip`, into the first bytes of `out`.
    ///
    /// # Panics
    /// If `out` has fewer than [`Panels::packed_bytes`].
    pub fn pack(self, filter: &Filter<'_>, columns: usize, flip: u8, out: &mut [u8]) {
        for panel in self.cut(columns, filter.segments, filter.segment) {
            filter.pack_panel(panel, self.step, flip, &mut out[panel.start..][..panel.bytes]);
        }
    }
}

/// Elements of a segment, filled up to whole steps of four.
pub(super) fn whole_steps(segment: usize) -> usize {
    segment.div_ceil(4).saturating_mul(4)
}

/// Bytes of a column's start and multiplier.
const HEADER: usize = 8;

impl Filter<'_> {
    fn pack_panel(&self, panel: Panel, step: usize, flip: u8, out: &mut [u8]) {
        out.fill(0);
        let (starts, rest) = out.split_at_mut(4 * panel.width);
        let (multipliers, steps) = rest.split_at_mut(4 * panel.width);
        let starts = starts.as_chunks_mut::<4>().0;
        let multipliers = multipliers.as_chunks_mut::<4>().0;
        for c in 0..panel.columns {
            let column = panel.first_column + c;
            starts[c] = self.start(column, flip).to_le_bytes();
            multipliers[c] = (self.multipliers)(column).to_le_bytes();
            self.pack_column(column, c, panel.width, step, steps);
        }
    }

    fn pack_column(&self, column: usize, c: usize, width: usize, step: usize, out: &mut [u8]) {
        let weights = self.column(column).chunks_exact(self.segment);
        let per_segment = self.segment.div_ceil(step);
        for (s, segment) in weights.enumerate() {
            for (k, part) in segment.chunks(step).enumerate() {
                out[((s * per_segment + k) * width + c) * step..][..part.len()]
                    .copy_from_slice(part);
            }
        }
    }

    fn column(&self, column: usize) -> &[u8] {
        let length = self.segments * self.segment;
        &self.weights[column * length..][..length]
    }

    /// Bias − zero point × Σ weights: what is left of Σ (x − zero point) × w when Σ x × w is taken out, x being the
    /// byte in memory.
    pub(super) fn start(&self, column: usize, flip: u8) -> i32 {
        let sum: i32 = self.column(column).iter().map(|&w| i32::from(w.cast_signed())).sum();
        self.bias(column).wrapping_sub(sum.wrapping_mul(self.zero_point + i32::from(flip)))
    }

    pub(super) fn bias(&self, column: usize) -> i32 {
        self.bias.map_or(0, |bias| i32::from_le_bytes(bias.as_chunks::<4>().0[column]))
    }
}
