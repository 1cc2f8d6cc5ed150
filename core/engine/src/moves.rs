//! The moving of elements: slices, borders, transposed axes and repetitions are all copies of runs of bytes from places
//! that a table gives for each axis.
mod turned;

use turned::Turned;

/// Along one axis: where each index is read, and where it is written.
#[derive(Clone, Debug)]
struct Axis {
    places: Vec<[usize; 2]>,
}

/// A copy of some of a tensor's elements.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    axes: Vec<Axis>,
    start: [usize; 2],
    /// Bytes that lie side by side on both sides.
    run: usize,
    /// What the whole output is filled with before: the bytes of one element.
    fill: Option<Vec<u8>>,
    /// The last two axes, where single bytes are written side by side and read side by side along the other.
    turned: Option<Turned>,
}

impl Move {
    /// Copies of elements of `bytes` bytes: for each axis, the places of each index in bytes.
    pub fn new(bytes: usize, axes: impl IntoIterator<Item = Vec<[usize; 2]>>) -> Self {
        let axes = axes.into_iter().map(|places| Axis { places }).collect();
        let mut out = Self { axes, start: [0; 2], run: bytes, fill: None, turned: None };
        while out.axes.last().is_some_and(|axis| axis.is_run(out.run)) {
            let axis = out.axes.pop().expect("it was there");
            out.start = [0, 1].map(|side| out.start[side] + axis.places[0][side]);
            out.run *= axis.places.len();
        }
        if let (1, [.., across, along]) = (out.run, &out.axes[..]) {
            out.turned = Turned::of(across, along);
        }
        out
    }

    /// The same, after the output has been filled with an element.
    pub fn over(self, fill: Vec<u8>) -> Self {
        Self { fill: Some(fill), ..self }
    }

    pub fn run(&self, x: &[u8], y: &mut [u8]) {
        match self.fill.as_deref() {
            Some(&[byte]) => y.fill(byte),
            Some(element) => {
                y.chunks_exact_mut(element.len()).for_each(|y| y.copy_from_slice(element))
            }
            None => {}
        }
        self.copy(&self.axes, self.start, x, y);
    }

    fn copy(&self, axes: &[Axis], [from, to]: [usize; 2], x: &[u8], y: &mut [u8]) {
        match axes {
            [] => copy_run(&x[from..from + self.run], &mut y[to..to + self.run]),
            [across, along] if let Some(turned) = &self.turned => {
                let ([f, t], [g, u]) = (across.places[0], along.places[0]);
                turned.run(&x[from + f + g..], &mut y[to + t + u..]);
            }
            [last] if self.run == 1 => {
                for [f, t] in &last.places {
                    y[to + t] = x[from + f];
                }
            }
            [last] => {
                for [f, t] in &last.places {
                    copy_run(&x[from + f..][..self.run], &mut y[to + t..][..self.run]);
                }
            }
            [first, rest @ ..] => {
                for [f, t] in &first.places {
                    self.copy(rest, [from + f, to + t], x, y);
                }
            }
        }
    }
}

/// Copies a run; a short one as two pieces of known size, which may overlap.
#[inline]
fn copy_run(x: &[u8], y: &mut [u8]) {
    match x.len() {
        4..=7 => copy_ends::<4>(x, y),
        8..=15 => copy_ends::<8>(x, y),
        16..=31 => copy_ends::<16>(x, y),
        32..=64 => copy_ends::<32>(x, y),
        _ => y.copy_from_slice(x),
    }
}

#[inline]
fn copy_ends<const N: usize>(x: &[u8], y: &mut [u8]) {
    let ends = (x.first_chunk::<N>(), x.last_chunk::<N>());
    if let (Some(first), Some(last)) = ends {
        y[..N].copy_from_slice(first);
        let end = y.len();
        y[end - N..].copy_from_slice(last);
    }
}

impl Axis {
    /// How far each side moves on along it, if it is the same everywhere.
    fn steps(&self) -> Option<[usize; 2]> {
        let [first, second] = self.places.first_chunk::<2>()?;
        let steps = [0, 1].map(|side| second[side].wrapping_sub(first[side]));
        let even = |pair: &[[usize; 2]]| {
            [0, 1].iter().all(|&side| pair[1][side] == pair[0][side].wrapping_add(steps[side]))
        };
        self.places.windows(2).all(even).then_some(steps)
    }

    /// Whether its elements, each of `run` bytes, are neighbours on both sides.
    fn is_run(&self, run: usize) -> bool {
        let step = |pair: &[[usize; 2]]| {
            [0, 1].iter().all(|&side| pair[1][side] == pair[0][side].wrapping_add(run))
        };
        !self.places.is_empty() && self.places.windows(2).all(step)
    }
}

/// Bytes from an index to the next, for each axis.
pub(crate) fn strides(shape: &[u32], bytes: usize) -> Vec<usize> {
    let mut strides = vec![bytes; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as usize;
    }
    strides
}

/// Where every combination of indices of some axes lies, the last axis quickest.
pub(crate) fn offsets(axes: impl IntoIterator<Item = (u32, usize)>) -> Vec<usize> {
    axes.into_iter().fold(vec![0], |before, (count, stride)| {
        let along = |start: usize| (0..count as usize).map(move |i| start + i * stride);
        before.into_iter().flat_map(along).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_turned() {
        for columns in 2..20 {
            for rows in [2, 3, 4, 5, 7, 8, 9, 16, 17] {
                let x: Vec<u8> = (0..rows * columns).map(|i: usize| i.to_le_bytes()[0]).collect();
                let across = (0..columns).map(|i| [i, i * rows]).collect();
                let along = (0..rows).map(|i| [i * columns, i]).collect();
                let moved = Move::new(1, [across, along]);
                assert!(moved.turned.is_some());
                let mut y = vec![0; rows * columns];
                moved.run(&x, &mut y);
                for (i, y) in y.iter().enumerate() {
                    assert_eq!(*y, x[i % rows * columns + i / rows], "{rows}×{columns}");
                }
            }
        }
    }

    #[test]
    fn runs_are_joined_and_borders_filled() {
        // Two rows of three into the middle of a 3×5 picture.
        let rows = vec![[0, 5], [3, 10]];
        let columns = (0..3).map(|i| [i, i + 1]).collect();
        let moved = Move::new(1, [rows, columns]).over(vec![9]);
        assert_eq!((moved.run, moved.axes.len()), (3, 1));
        let mut y = [0; 15];
        moved.run(&[1, 2, 3, 4, 5, 6], &mut y);
        assert_eq!(y, [9, 9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 4, 5, 6, 9]);
    }
}
