//! Tables of 256 bytes, at sixteen bytes at once.
use std::arch::aarch64::{
    uint8x16x4_t, vdupq_n_u8, vld1q_u8, vld1q_u8_x4, vqtbl4q_u8, vqtbx4q_u8, vst1q_u8, vsubq_u8,
};

const WIDTH: usize = 16;

/// `tbl` looks into 64 bytes; `tbx` leaves what it does not find.
#[target_feature(enable = "neon")]
pub fn translate(table: &[u8; 256], x: &[u8], y: &mut [u8]) {
    let count = y.len().min(x.len());
    if count < WIDTH {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = table[usize::from(x)];
        }
        return;
    }
    // SAFETY: the table has four times 64 bytes.
    let quarters: [uint8x16x4_t; 4] =
        std::array::from_fn(|i| unsafe { vld1q_u8_x4(table.as_ptr().add(64 * i)) });
    let next = vdupq_n_u8(64);
    let last = count - WIDTH;
    for at in (0..last).step_by(WIDTH).chain([last]) {
        let (x, y) = (&x[at..][..WIDTH], &mut y[at..][..WIDTH]);
        // SAFETY: both have the size of a vector.
        unsafe {
            let mut at = vld1q_u8(x.as_ptr());
            let mut found = vqtbl4q_u8(quarters[0], at);
            for quarter in &quarters[1..] {
                at = vsubq_u8(at, next);
                found = vqtbx4q_u8(found, *quarter, at);
            }
            vst1q_u8(y.as_mut_ptr(), found);
        }
    }
}
