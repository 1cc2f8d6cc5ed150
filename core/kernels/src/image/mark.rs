//! Marks boxes in a picture: an outline, and above it a tag with a text, in a colour for each class.
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::{RgbPicture, colour};

/// What is drawn for one box.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Left, top, right and bottom edge, in pixels of the picture; what lies outside is not drawn.
    pub edges: [f32; 4],
    /// In the tag; characters beyond Latin are shown as `?`.
    pub text: String,
    /// Chooses the colour: the class of the box.
    pub class: u32,
}

/// Far apart in hue, light enough to be seen on a street and dark enough to carry white or black text.
const COLOURS: [[u8; 3]; 10] = [
    [255, 99, 71],
    [30, 144, 255],
    [50, 205, 50],
    [255, 200, 0],
    [186, 85, 211],
    [0, 206, 209],
    [255, 105, 180],
    [154, 205, 50],
    [255, 140, 0],
    [123, 104, 238],
];

/// Draws the marks in their order: a later one lies above an earlier one, and every tag above all outlines.
pub fn mark(picture: &mut RgbPicture, marks: &[Mark]) {
    let style = Style::of(picture);
    for mark in marks {
        style.outline(picture, mark);
    }
    for mark in marks {
        style.tag(picture, mark);
    }
}

/// A rectangle of pixels, which may reach out of the picture: left, top, right, bottom.
type Pixels = [i32; 4];

/// Sizes that suit a picture.
struct Style {
    line: i32,
    font: RasterHeight,
    height: i32,
    pad: i32,
}

impl Style {
    fn of(picture: &RgbPicture) -> Self {
        let side = picture.width().min(picture.height());
        let (line, font) = match side {
            ..240 => (1, RasterHeight::Size16),
            240..640 => (2, RasterHeight::Size16),
            640..1000 => (3, RasterHeight::Size20),
            1000..1600 => (4, RasterHeight::Size24),
            _ => (6, RasterHeight::Size32),
        };
        Self { line, font, height: pixel(font.val()), pad: line + 2 }
    }

    /// Inside of the box's edges, with a dark line on both sides of it, so that it is seen on any ground.
    fn outline(&self, picture: &mut RgbPicture, mark: &Mark) {
        let edges = whole(mark.edges);
        frame(picture, grown(edges, 1), 1, [0, 0, 0], 96);
        frame(picture, grown(edges, -self.line), 1, [0, 0, 0], 96);
        frame(picture, edges, self.line, colour_of(mark.class), 255);
    }

    fn tag(&self, picture: &mut RgbPicture, mark: &Mark) {
        let ground = colour_of(mark.class);
        let ink = if colour::luma(ground) > 140 { [0; 3] } else { [255; 3] };
        let advance = pixel(get_raster_width(FontWeight::Bold, self.font));
        let width = pixel(mark.text.chars().count()) * advance + 2 * self.pad;
        let [left, top] = self.tag_place(picture, whole(mark.edges), width);
        fill(picture, [left, top, left + width, top + self.height + 2], ground, 255);
        let mut x = left + self.pad;
        for character in mark.text.chars() {
            self.character(picture, character, [x, top + 1], ink);
            x += advance;
        }
    }

    /// On top of the box; where there is no room, inside it; and in any case within the picture's sides.
    fn tag_place(&self, picture: &RgbPicture, edges: Pixels, width: i32) -> [i32; 2] {
        let above = edges[1] - self.height - 2;
        let top = if above >= 0 { above } else { edges[1].max(0) };
        [edges[0].min(pixel(picture.width()) - width).max(0), top]
    }

    fn character(&self, picture: &mut RgbPicture, character: char, [x, y]: [i32; 2], ink: [u8; 3]) {
        let raster = |character| get_raster(character, FontWeight::Bold, self.font);
        let Some(raster) = raster(character).or_else(|| raster('?')) else { return };
        for (y, row) in (y..).zip(raster.raster()) {
            for (x, &share) in (x..).zip(*row) {
                fill(picture, [x, y, x + 1, y + 1], ink, share);
            }
        }
    }
}

fn colour_of(class: u32) -> [u8; 3] {
    COLOURS[class as usize % COLOURS.len()]
}

/// Edges between pixels.
#[expect(clippy::cast_possible_truncation, reason = "a cast from f32 saturates")]
fn whole(edges: [f32; 4]) -> Pixels {
    // Within what `grown` may add to.
    edges.map(|edge| (edge.round() as i32).clamp(-(1 << 20), 1 << 20))
}

fn pixel(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn grown([left, top, right, bottom]: Pixels, by: i32) -> Pixels {
    [left - by, top - by, right + by, bottom + by]
}

/// Four bars along the inside of the edges.
fn frame(picture: &mut RgbPicture, edges: Pixels, line: i32, ink: [u8; 3], share: u8) {
    let [left, top, right, bottom] = edges;
    if right - left <= 2 * line || bottom - top <= 2 * line {
        return fill(picture, edges, ink, share);
    }
    fill(picture, [left, top, right, top + line], ink, share);
    fill(picture, [left, bottom - line, right, bottom], ink, share);
    fill(picture, [left, top + line, left + line, bottom - line], ink, share);
    fill(picture, [right - line, top + line, right, bottom - line], ink, share);
}

/// Mixes `share` of 255 of `ink` into the rectangle's pixels, where it lies in the picture.
fn fill(picture: &mut RgbPicture, [left, top, right, bottom]: Pixels, ink: [u8; 3], share: u8) {
    let within = |at: i32, side: usize| usize::try_from(at).unwrap_or(0).min(side);
    let (width, height) = (picture.width(), picture.height());
    let columns = within(left, width)..within(right, width).max(within(left, width));
    for y in within(top, height)..within(bottom, height) {
        let row = &mut picture.pixels.as_chunks_mut::<3>().0[y * width..][..width];
        for pixel in &mut row[columns.clone()] {
            *pixel = std::array::from_fn(|c| mixed(pixel[c], ink[c], share));
        }
    }
}

fn mixed(under: u8, over: u8, share: u8) -> u8 {
    let (under, over, share) = (u32::from(under), u32::from(over), u32::from(share));
    u8::try_from((under * (255 - share) + over * share + 127) / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize) -> RgbPicture {
        RgbPicture::new(width, height, vec![128; width * height * 3]).expect("a picture")
    }

    fn at(picture: &RgbPicture, x: usize, y: usize) -> [u8; 3] {
        picture.pixels().as_chunks::<3>().0[y * picture.width() + x]
    }

    fn marked(edges: [f32; 4], text: &str) -> Mark {
        Mark { edges, text: text.into(), class: 1 }
    }

    #[test]
    fn the_outline_lies_on_the_edges_and_the_tag_above() {
        let mut picture = grey(400, 300);
        mark(&mut picture, &[marked([100.0, 100.0, 300.0, 200.0], "car 0.75")]);
        for (x, y) in [(100, 150), (101, 150), (299, 150), (200, 100), (200, 199), (100, 90)] {
            assert_eq!(at(&picture, x, y), COLOURS[1], "{x}, {y}");
        }
        for (x, y) in [(200, 150), (90, 150), (310, 150), (200, 210), (100, 70), (390, 90)] {
            assert_eq!(at(&picture, x, y), [128; 3], "{x}, {y}");
        }
        assert!(at(&picture, 99, 150)[0] < 128, "a dark line goes round");
        let tag = (82..100).flat_map(|y| (100..180).map(move |x| (x, y)));
        let written = tag.filter(|&(x, y)| at(&picture, x, y)[0] > 128).count();
        assert!((60..500).contains(&written), "{written} pixels of text");
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let cases = [
            [-50.0, -50.0, 500.0, 500.0],
            [390.0, 2.0, 400.0, 10.0],
            [500.0, 500.0, 600.0, 600.0],
            [10.0, 10.0, 5.0, 5.0],
            [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, f32::MAX],
        ];
        for edges in cases {
            for (width, height) in [(400, 300), (3, 2)] {
                mark(&mut grey(width, height), &[marked(edges, "a long text with ü and 中")]);
            }
        }
    }

    #[test]
    fn a_tag_at_the_right_edge_is_moved_in() {
        let mut picture = grey(400, 300);
        mark(&mut picture, &[marked([380.0, 0.0, 400.0, 50.0], "person")]);
        assert_eq!(at(&picture, 350, 1), COLOURS[1]);
        assert_eq!(at(&picture, 399, 17), COLOURS[1]);
    }
}
