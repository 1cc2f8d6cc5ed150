//! NEON with `smmla`, which adds eight products to each of four sums. Each channel on its own is the dot product's work.
mod convolution;
mod tile;

use super::tiles::LANES;
use super::{Family, Panels, dotprod};

pub(super) const FAMILY: Family = Family {
    name: "aarch64-neon-i8mm",
    panels: PANELS,
    convolve: convolution::run,
    ..dotprod::FAMILY
};

const PANELS: Panels = Panels { widest: 4 * LANES, grain: LANES, step: 8 };
