//! Colour: ITU-R BT.601, in fixed point. YUYV and NV12 have limited range (Y 16..=235, U and V 16..=240 around 128);
//! grey and R G B have full range.

/// BT.601 luma of a full-range R G B pixel, full range.
#[inline(always)]
pub(super) fn luma([r, g, b]: [u8; 3]) -> u8 {
    // 0.299, 0.587, 0.114 with 16 fractional bits; they add up to one.
    let sum = 19_595 * i32::from(r) + 38_470 * i32::from(g) + 7_471 * i32::from(b);
    clamped((sum + (1 << 15)) >> 16)
}

/// Limited-range Y of a full-range pixel.
pub(super) fn y_of([r, g, b]: [u8; 3]) -> u8 {
    // 219/255 of the luma weights, with 16 fractional bits.
    let sum = 16_829 * i32::from(r) + 33_039 * i32::from(g) + 6_416 * i32::from(b);
    clamped(16 + ((sum + (1 << 15)) >> 16))
}

/// U and V of the pixels that share them: 2^`bits` of them.
pub(super) fn uv_of(pixels: impl Iterator<Item = [u8; 3]> + Clone, bits: u32) -> [u8; 2] {
    let [r, g, b] =
        [0, 1, 2].map(|c: usize| pixels.clone().map(|pixel| i32::from(pixel[c])).sum::<i32>());
    // 112/255 of (B − luma)/(1 − 0.114) and (R − luma)/(1 − 0.299), with 16 fractional bits; each adds up to 0.
    let u = -9_714 * r - 19_070 * g + 28_784 * b;
    let v = 28_784 * r - 24_103 * g - 4_681 * b;
    [u, v].map(|sum| clamped(128 + ((sum + (1 << (15 + bits))) >> (16 + bits))))
}

/// R G B of Y U V, which have 7 fractional bits.
#[inline(always)]
pub(super) fn rgb_of([y, u, v]: [u16; 3]) -> [u8; 3] {
    let centred = |value: u16, zero: i32| i32::from(value) - (zero << 7);
    let (y, u, v) = (centred(y, 16) * Y_GAIN, centred(u, 128), centred(v, 128));
    let narrow = |sum: i32| clamped((sum + (1 << 19)) >> 20);
    [narrow(y + RED_V * v), narrow(y - GREEN_U * u - GREEN_V * v), narrow(y + BLUE_U * u)]
}

/// Full-range grey of a limited-range Y, which has 7 fractional bits.
#[inline(always)]
pub(super) fn grey_of(y: u16) -> u8 {
    clamped(((i32::from(y) - (16 << 7)) * Y_GAIN + (1 << 19)) >> 20)
}

/// Without the 7 fractional bits.
#[inline(always)]
pub(super) fn whole(value: u16) -> u8 {
    clamped((i32::from(value) + (1 << 6)) >> 7)
}

/// 255/219, with 13 fractional bits, as are the other gains of [`rgb_of`].
pub(super) const Y_GAIN: i32 = 9_539;
pub(super) const RED_V: i32 = 13_075;
pub(super) const GREEN_U: i32 = 3_209;
pub(super) const GREEN_V: i32 = 6_660;
pub(super) const BLUE_U: i32 = 16_525;

#[inline(always)]
#[expect(clippy::cast_sign_loss, reason = "it was clamped")]
fn clamped(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_within_two() {
        for i in 0..4096_u16 {
            let pixel = [i & 15, i >> 4 & 15, i >> 8].map(|c| u8::try_from(c * 17).unwrap());
            let [u, v] = uv_of([pixel; 2].into_iter(), 1);
            let back = rgb_of([y_of(pixel), u, v].map(|c| u16::from(c) << 7));
            for c in 0..3 {
                assert!(pixel[c].abs_diff(back[c]) <= 2, "{pixel:?} became {back:?}");
            }
        }
    }

    #[test]
    fn the_gains_are_those_of_bt601() {
        let (kr, kb) = (0.299, 0.114);
        let kg = 1.0 - kr - kb;
        let same = |given: i32, g: f64| assert_eq!(f64::from(given), (g * 8192.0).round());
        let chroma = 255.0 / 112.0;
        same(Y_GAIN, 255.0 / 219.0);
        same(RED_V, chroma * (1.0 - kr));
        same(BLUE_U, chroma * (1.0 - kb));
        same(GREEN_U, chroma * (1.0 - kb) * kb / kg);
        same(GREEN_V, chroma * (1.0 - kr) * kr / kg);
    }

    #[test]
    fn black_and_white_are_neutral() {
        assert_eq!((y_of([0; 3]), uv_of([[0; 3]; 2].into_iter(), 1)), (16, [128, 128]));
        assert_eq!((y_of([255; 3]), uv_of([[255; 3]; 4].into_iter(), 2)), (235, [128, 128]));
        assert_eq!([luma([255; 3]), luma([0; 3])], [255, 0]);
    }
}
