//! Rectangles of whole pixels.
use super::{Fit, ImageError, check_size};

/// A part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Rect {
    /// The whole of a picture.
    pub(super) const fn whole(width: usize, height: usize) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// The largest rectangle with the aspect of `width` : `height` inside this one, centred; sides are rounded
    /// to whole pixels (half up), offsets down.
    pub(super) fn inscribed(self, width: usize, height: usize) -> Self {
        let (w, h) = if width * self.height >= height * self.width {
            (self.width, rounded(height * self.width, width).clamp(1, self.height))
        } else {
            (rounded(width * self.height, height).clamp(1, self.width), self.height)
        };
        Self {
            x: self.x + (self.width - w) / 2,
            y: self.y + (self.height - h) / 2,
            width: w,
            height: h,
        }
    }

    /// As [`Rect::inscribed`], but in the upper left corner and with sides rounded down: what YOLOX is trained on.
    fn cornered(self, width: usize, height: usize) -> Self {
        let (w, h) = if width * self.height >= height * self.width {
            (self.width, (height * self.width / width).max(1))
        } else {
            ((width * self.height / height).max(1), self.height)
        };
        Self { width: w, height: h, ..self }
    }

    /// The part of this rectangle that `region` (x, y, width, height as fractions) names; edges are rounded to
    /// whole pixels, and at least one pixel is left.
    pub(super) fn part(self, region: [f32; 4]) -> Result<Self, ImageError> {
        let [x, y, width, height] = region.map(f64::from);
        // Fractions such as 0.1 + 0.9 may pass 1 by a rounding of their f32.
        let most = 1.0 + 1e-6;
        let inside = |at: f64, size: f64| at >= 0.0 && size > 0.0 && at + size <= most;
        if !inside(x, width) || !inside(y, height) {
            return Err(ImageError::Region(region));
        }
        let (x, width) = share(self.width, x, width);
        let (y, height) = share(self.height, y, height);
        Ok(Self { x: self.x + x, y: self.y + y, width, height })
    }
}

/// Which part of a frame a model sees, and where in its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Of the frame.
    pub region: Rect,
    /// Of the model's picture; what is outside of it is filled.
    pub inner: Rect,
}

impl Placement {
    /// From a frame to a picture, each `[width, height]`, by the part of the frame that is looked at and its fit.
    ///
    /// # Errors
    /// [`ImageError::Size`] for a side of 0 or too long, [`ImageError::Region`] for a region outside the frame.
    pub fn new(
        frame: [usize; 2],
        region: [f32; 4],
        fit: Fit,
        picture: [usize; 2],
    ) -> Result<Self, ImageError> {
        for [width, height] in [frame, picture] {
            check_size(width, height)?;
        }
        let mut region = Rect::whole(frame[0], frame[1]).part(region)?;
        let mut inner = Rect::whole(picture[0], picture[1]);
        match fit {
            Fit::Stretch => {}
            Fit::Letterbox => inner = inner.inscribed(region.width, region.height),
            Fit::Corner => inner = inner.cornered(region.width, region.height),
            Fit::Crop => region = region.inscribed(picture[0], picture[1]),
        }
        Ok(Self { region, inner })
    }

    /// A box in the frame, of its left, top, right and bottom edge in the model's picture, all in pixels.
    #[must_use]
    pub fn to_frame(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        let Self { region, inner } = self;
        let x = |x: f32| along(x, (inner.x, inner.width), (region.x, region.width));
        let y = |y: f32| along(y, (inner.y, inner.height), (region.y, region.height));
        [x(left), y(top), x(right), y(bottom)]
    }
}

/// A place on one stretch of pixels, on another; each has a start and a length.
#[expect(clippy::cast_precision_loss, reason = "pixels are within MAX_SIDE")]
fn along(at: f32, from: (usize, usize), to: (usize, usize)) -> f32 {
    (at - from.0 as f32) * (to.1 as f32 / from.1 as f32) + to.0 as f32
}

/// Start and length of the fraction [at, at + size) of `length` pixels.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "fractions are within 0..=1 and lengths within MAX_SIDE"
)]
fn share(length: usize, at: f64, size: f64) -> (usize, usize) {
    let edge = |fraction: f64| (fraction * length as f64).round() as usize;
    let start = edge(at).min(length - 1);
    let end = edge(at + size).clamp(start + 1, length);
    (start, end - start)
}

fn rounded(numerator: usize, denominator: usize) -> usize {
    (2 * numerator + denominator) / (2 * denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inscribed_keeps_aspect_and_centres() {
        let frame = Rect::whole(640, 480);
        let cases = [
            ("same", (640, 480), (0, 0, 640, 480)),
            ("wide", (200, 50), (0, 160, 640, 160)),
            ("tall", (50, 100), (200, 0, 240, 480)),
            ("sliver", (1, 16_384), (319, 0, 1, 480)),
            ("rounds half up", (1280, 3), (0, 239, 640, 2)),
        ];
        for (name, (w, h), (x, y, width, height)) in cases {
            assert_eq!(frame.inscribed(w, h), Rect { x, y, width, height }, "{name}");
        }
    }

    #[test]
    fn cornered_keeps_aspect_and_rounds_down() {
        let picture = Rect::whole(416, 416);
        let cases = [((548, 342), (416, 259)), ((342, 548), (259, 416)), ((9999, 1), (416, 1))];
        for ((w, h), (width, height)) in cases {
            assert_eq!(picture.cornered(w, h), Rect { x: 0, y: 0, width, height }, "{w} × {h}");
        }
    }

    #[test]
    fn part_rounds_edges_and_refuses_what_is_outside() {
        let frame = Rect::whole(100, 10);
        assert_eq!(
            frame.part([0.25, 0.0, 0.5, 1.0]).unwrap(),
            Rect { x: 25, y: 0, width: 50, height: 10 }
        );
        let sliver = frame.part([0.999, 0.999, 0.001, 0.001]).unwrap();
        assert_eq!(sliver, Rect { x: 99, y: 9, width: 1, height: 1 });
        let nan = f32::NAN;
        for bad in [
            [-0.1, 0.0, 1.0, 1.0],
            [0.5, 0.0, 0.6, 1.0],
            [0.0, 0.0, 0.0, 1.0],
            [nan, 0.0, 1.0, 1.0],
        ] {
            assert!(frame.part(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_box_is_found_again_in_the_frame() {
        let whole = [0.0, 0.0, 1.0, 1.0];
        let cases = [
            ("stretched", whole, Fit::Stretch, [0.0, 0.0, 416.0, 208.0], [0.0, 0.0, 832.0, 200.0]),
            (
                "letterboxed",
                whole,
                Fit::Letterbox,
                [0.0, 108.0, 416.0, 308.0],
                [0.0, 0.0, 832.0, 400.0],
            ),
            ("cornered", whole, Fit::Corner, [0.0, 0.0, 416.0, 200.0], [0.0, 0.0, 832.0, 400.0]),
            ("cropped", whole, Fit::Crop, [0.0, 0.0, 208.0, 416.0], [216.0, 0.0, 416.0, 400.0]),
            (
                "a quarter",
                [0.5, 0.5, 0.5, 0.5],
                Fit::Stretch,
                [0.0, 0.0, 416.0, 416.0],
                [416.0, 200.0, 832.0, 400.0],
            ),
        ];
        for (name, region, fit, seen, expected) in cases {
            let placement = Placement::new([832, 400], region, fit, [416, 416]).unwrap();
            assert_eq!(placement.to_frame(seen), expected, "{name}: {placement:?}");
        }
        assert!(Placement::new([0, 400], whole, Fit::Crop, [416, 416]).is_err());
    }
}
