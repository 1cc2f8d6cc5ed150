//! NEON without the dot product.
mod convolution;
mod depthwise;
mod rows;
mod tile;

use super::tiles::LANES;
use super::{Family, Panels};

pub(super) const FAMILY: Family = Family {
    name: "aarch64-neon",
    panels: PANELS,
    convolve: convolution::run,
    depthwise_bytes: depthwise::packed_bytes,
    pack_depthwise: depthwise::pack,
    depthwise: depthwise::run,
};

const PANELS: Panels = Panels { widest: 2 * LANES, grain: LANES, step: 4 };
