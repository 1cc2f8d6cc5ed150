//! NEON with the dot product: `sdot` adds four products to each of four sums. Its intrinsic is not stable in the Rust
//! we build with; the instruction is.
mod convolution;
mod depthwise;
mod lines;
mod rows;
mod tile;

use super::tiles::LANES;
use super::{Family, Panels};

pub(super) const FAMILY: Family = Family {
    name: "aarch64-neon-dotprod",
    panels: PANELS,
    convolve: convolution::run,
    depthwise_bytes: depthwise::packed_bytes,
    pack_depthwise: depthwise::pack,
    depthwise: depthwise::run,
};

const PANELS: Panels = Panels { widest: 4 * LANES, grain: LANES, step: 4 };
