//! Bytes of a table of rows, written column by column.
use super::Axis;

/// So many columns are read from each of so many rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turned {
    rows: usize,
    columns: usize,
    /// Bytes from a row to the next of what is read.
    row_step: usize,
    /// Bytes from a column to the next of what is written.
    column_step: usize,
}

/// Rows and columns that are turned at once.
const BLOCK: usize = 8;

impl Turned {
    /// `along` is the axis whose bytes are written side by side.
    pub fn of(across: &Axis, along: &Axis) -> Option<Self> {
        let ([1, column_step], [row_step, 1]) = (across.steps()?, along.steps()?) else {
            return None;
        };
        let (rows, columns) = (along.places.len(), across.places.len());
        let apart = row_step >= columns && column_step >= rows;
        apart.then_some(Self { rows, columns, row_step, column_step })
    }

    pub fn run(&self, x: &[u8], y: &mut [u8]) {
        let packed = self.column_step == self.rows;
        match (self.rows, self.columns) {
            (2, _) if packed => self.interleave::<2>(x, y),
            (3, _) if packed => self.interleave::<3>(x, y),
            (4, _) if packed => self.interleave::<4>(x, y),
            (_, 2) if self.row_step == 2 => self.part::<2>(x, y),
            (_, 3) if self.row_step == 3 => self.part::<3>(x, y),
            (_, 4) if self.row_step == 4 => self.part::<4>(x, y),
            _ => self.blocks(x, y),
        }
    }

    /// Few rows: a byte of each in turn.
    fn interleave<const N: usize>(&self, x: &[u8], y: &mut [u8]) {
        let rows: [&[u8]; N] = std::array::from_fn(|i| &x[i * self.row_step..][..self.columns]);
        for (i, y) in y.as_chunks_mut::<N>().0[..self.columns].iter_mut().enumerate() {
            *y = std::array::from_fn(|row| rows[row][i]);
        }
    }

    /// Few columns: every so many bytes one of each.
    fn part<const N: usize>(&self, x: &[u8], y: &mut [u8]) {
        let x = &x.as_chunks::<N>().0[..self.rows];
        for (column, y) in y.chunks_mut(self.column_step).take(N).enumerate() {
            for (y, x) in y.iter_mut().zip(x) {
                *y = x[column];
            }
        }
    }

    fn blocks(&self, x: &[u8], y: &mut [u8]) {
        for row in (0..self.rows).step_by(BLOCK) {
            for column in (0..self.columns).step_by(BLOCK) {
                let count = [BLOCK.min(self.rows - row), BLOCK.min(self.columns - column)];
                let x = &x[row * self.row_step + column..];
                let y = &mut y[column * self.column_step + row..];
                if count == [BLOCK; 2] { self.block(x, y) } else { self.single(count, x, y) }
            }
        }
    }

    fn block(&self, x: &[u8], y: &mut [u8]) {
        let row = |i: usize| *x[i * self.row_step..].first_chunk().expect("a whole block");
        let columns = turn(std::array::from_fn(|i| u64::from_le_bytes(row(i))));
        for (i, column) in columns.into_iter().enumerate() {
            y[i * self.column_step..][..BLOCK].copy_from_slice(&column.to_le_bytes());
        }
    }

    fn single(&self, [rows, columns]: [usize; 2], x: &[u8], y: &mut [u8]) {
        for column in 0..columns {
            for row in 0..rows {
                y[column * self.column_step + row] = x[row * self.row_step + column];
            }
        }
    }
}

/// Eight rows of eight bytes: halves change places, then quarters, then bytes.
fn turn(mut rows: [u64; BLOCK]) -> [u64; BLOCK] {
    let stages: [(usize, u32, u64); 3] =
        [(4, 32, 0xFFFF_FFFF), (2, 16, 0xFFFF_0000_FFFF), (1, 8, 0x00FF_00FF_00FF_00FF)];
    for (apart, bits, mask) in stages {
        for i in (0..BLOCK).filter(|i| i & apart == 0) {
            let change = (rows[i] >> bits ^ rows[i + apart]) & mask;
            rows[i + apart] ^= change;
            rows[i] ^= change << bits;
        }
    }
    rows
}
