//! The boxes that a single-shot detector starts from (Liu et al., 2016, arXiv:1512.02325).

/// A box as a fraction of the model's picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor {
    /// Of the centre.
    pub x: f32,
    /// Of the centre.
    pub y: f32,
    /// Side.
    pub width: f32,
    /// Side.
    pub height: f32,
}

/// Feature maps of an SSD on MobileNet; the first halves sixteen times, each further one once more.
const LAYERS: u16 = 6;
const FIRST_STRIDE: usize = 16;
const SCALES: [f32; 2] = [0.2, 0.95];

/// The anchors of an SSD on MobileNet v1 or v2, as TensorFlow's object detection makes them for a picture of `width` ×
/// `height` pixels: six layers, scales from 0.2 to 0.95, aspects 1, 2, 1/2, 3 and 1/3, three boxes in the lowest layer.
/// 1917 of them for 300 × 300.
#[must_use]
pub fn ssd_anchors(width: usize, height: usize) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    let (mut columns, mut rows) = (width.div_ceil(FIRST_STRIDE), height.div_ceil(FIRST_STRIDE));
    for layer in 0..LAYERS {
        let sides = sides(layer);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (centre(column, columns), centre(row, rows));
                let anchor = |&[width, height]: &[f32; 2]| Anchor { x, y, width, height };
                anchors.extend(sides.iter().map(anchor));
            }
        }
        (columns, rows) = (columns.div_ceil(2), rows.div_ceil(2));
    }
    anchors
}

/// Anchors that are the whole picture, so that only their places differ: for each pair of a cell's size in pixels and a
/// number, that many in each cell of a grid over a picture of `width` × `height` pixels, grid after grid.
#[must_use]
pub fn unit_anchors(width: usize, height: usize, grids: &[(usize, usize)]) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for &(cell, boxes) in grids {
        let (columns, rows) = (width.div_ceil(cell), height.div_ceil(cell));
        for index in 0..columns * rows {
            let (x, y) = (centre(index % columns, columns), centre(index / columns, rows));
            anchors.extend(std::iter::repeat_n(Anchor { x, y, width: 1.0, height: 1.0 }, boxes));
        }
    }
    anchors
}

/// Width and height of each box of a layer.
fn sides(layer: u16) -> Vec<[f32; 2]> {
    let scale = |layer: u16| {
        let [least, most] = SCALES;
        least + (most - least) * f32::from(layer) / f32::from(LAYERS - 1)
    };
    let shaped = |scale: f32, aspect: f32| [scale * aspect.sqrt(), scale / aspect.sqrt()];
    if layer == 0 {
        return vec![shaped(0.1, 1.0), shaped(scale(0), 2.0), shaped(scale(0), 0.5)];
    }
    let next = if layer + 1 < LAYERS { scale(layer + 1) } else { 1.0 };
    let mut sides: Vec<_> = [1.0, 2.0, 0.5, 3.0, 1.0 / 3.0]
        .iter()
        .map(|&aspect| shaped(scale(layer), aspect))
        .collect();
    sides.push(shaped((scale(layer) * next).sqrt(), 1.0));
    sides
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a feature map has fewer than 2^24 columns and rows"
)]
fn centre(index: usize, count: usize) -> f32 {
    (index as f32 + 0.5) / count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_the_model_has() {
        // 19² · 3 + (10² + 5² + 3² + 2² + 1) · 6
        let anchors = ssd_anchors(300, 300);
        assert_eq!(anchors.len(), 1917);
        let first = anchors[0];
        assert_eq!((first.x, first.width, first.height), (0.5 / 19.0, 0.1, 0.1));
        let last = anchors[1916];
        assert_eq!((last.x, last.y), (0.5, 0.5));
        assert!((last.width - 0.95_f32.sqrt()).abs() < 1e-6 && last.width == last.height);
    }
}
