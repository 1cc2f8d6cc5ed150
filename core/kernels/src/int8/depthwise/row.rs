//! A row of pixels of one block of channels.
use super::{Depthwise, GROUP, Lanes};

/// Where a row's pixels are read, and where they are written.
pub(super) struct Row<'a, L: Lanes> {
    pub job: &'a Depthwise,
    pub rule: &'a L::Rule,
    pub starts: *const u8,
    pub multipliers: *const u8,
    pub weights: *const u8,
    pub x: *const u8,
    pub y: *mut u8,
    /// Bytes of a pixel.
    pub count: usize,
}

impl<L: Lanes> Row<'_, L> {
    #[inline(always)]
    pub unsafe fn merged<const H: usize>(&self, merged: usize, first: usize) {
        let bytes = self.job.channels * merged;
        let all = self.job.channels * self.job.width;
        for at in (0..all).step_by(bytes) {
            let left = (all - at).saturating_sub(first);
            // SAFETY: the trait's promise, handed on by the caller.
            unsafe {
                self.pixel::<H>(self.x.add(at), self.y.wrapping_add(at), self.count.min(left))
            }
        }
    }

    /// 3×3 taps of several pixels at a time, one column from a pixel to the next: of two, the last column of one step is the
    /// first of the next.
    #[inline(always)]
    pub unsafe fn merged_three(&self, merged: usize, first: usize) {
        let right = self.job.tap_steps[1];
        let (mut x, mut y) = (self.x, self.y);
        let mut left = (self.job.width * right).saturating_sub(first);
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let mut a = self.column(x);
            loop {
                let (b, c) = (self.column(x.add(right)), self.column(x.add(2 * right)));
                self.three(a, b, c, y, self.count.min(left));
                if left <= merged * right {
                    break;
                }
                left -= merged * right;
                x = x.add(merged * right);
                y = y.add(merged * right);
                a = if merged == 2 { c } else { self.column(x) };
            }
        }
    }

    #[inline(always)]
    pub unsafe fn apart<const H: usize>(&self) {
        for column in 0..self.job.width {
            let x = self.x.wrapping_add(column * self.job.column_step);
            // SAFETY: the trait's promise, handed on by the caller.
            unsafe { self.pixel::<H>(x, self.out(column), self.count) }
        }
    }

    #[inline(always)]
    unsafe fn pixel<const H: usize>(&self, x: *const u8, y: *mut u8, count: usize) {
        let ([rows, columns], [down, right]) = (self.job.taps, self.job.tap_steps);
        let mut weights = self.weights;
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let mut sums = L::starts(self.starts);
            for column in 0..columns {
                for top in (0..rows).step_by(GROUP) {
                    // A tap beyond the last has no weight: the last stands for it.
                    let x = std::array::from_fn(|i| {
                        x.wrapping_add(column * right + (top + i).min(rows - 1) * down)
                    });
                    sums = L::dot::<H>(sums, L::rows::<H>(x), weights);
                    weights = weights.wrapping_add(L::GROUP_BYTES);
                }
            }
            L::store(self.rule, sums, self.multipliers, y, count);
        }
    }

    #[inline(always)]
    fn out(&self, column: usize) -> *mut u8 {
        self.y.wrapping_add(column * self.job.pixel_step)
    }

    /// The three rows of a column of elements.
    #[inline(always)]
    unsafe fn column(&self, x: *const u8) -> L::Rows {
        let row = |i: usize| x.wrapping_add(i * self.job.tap_steps[0]);
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe { L::rows::<3>([row(0), row(1), row(2), row(2)]) }
    }

    #[inline(always)]
    unsafe fn three(&self, a: L::Rows, b: L::Rows, c: L::Rows, y: *mut u8, count: usize) {
        let weights = |i: usize| self.weights.wrapping_add(i * L::GROUP_BYTES);
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let sums = L::dot::<3>(L::starts(self.starts), a, weights(0));
            let sums = L::dot::<3>(sums, b, weights(1));
            let sums = L::dot::<3>(sums, c, weights(2));
            L::store(self.rule, sums, self.multipliers, y, count);
        }
    }

    /// 3×3 taps, one column from a pixel to the next.
    #[inline(always)]
    pub unsafe fn sharing_two(&self) {
        let ([_, right], step) = (self.job.tap_steps, self.job.pixel_step);
        let (mut x, mut y) = (self.x.wrapping_add(2 * right), self.y);
        let last = y.wrapping_add((self.job.width - 1) * step);
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let (mut a, mut b) = (self.column(self.x), self.column(self.x.wrapping_add(right)));
            // Three at a time, so that no column moves from register to register.
            loop {
                let c = self.column(x);
                self.three(a, b, c, y, self.count);
                if y == last {
                    break;
                }
                a = self.column(x.wrapping_add(right));
                self.three(b, c, a, y.wrapping_add(step), self.count);
                if y.wrapping_add(step) == last {
                    break;
                }
                b = self.column(x.wrapping_add(2 * right));
                self.three(c, a, b, y.wrapping_add(2 * step), self.count);
                if y.wrapping_add(2 * step) == last {
                    break;
                }
                x = x.wrapping_add(3 * right);
                y = y.wrapping_add(3 * step);
            }
        }
    }

    /// 3×3 taps, two columns from a pixel to the next.
    #[inline(always)]
    pub unsafe fn sharing_one(&self) {
        let ([_, right], step) = (self.job.tap_steps, self.job.pixel_step);
        let (mut x, mut y) = (self.x.wrapping_add(right), self.y);
        let end = y.wrapping_add(self.job.width * step);
        // SAFETY: the trait's promise, handed on by the caller.
        unsafe {
            let mut a = self.column(self.x);
            while y != end {
                let (b, c) = (self.column(x), self.column(x.wrapping_add(right)));
                self.three(a, b, c, y, self.count);
                a = c;
                x = x.wrapping_add(2 * right);
                y = y.wrapping_add(step);
            }
        }
    }
}
