//! The plugin boundary, version 1. The truth is `include/edgemill/*.h`; [`raw`] mirrors it field by field, and a
//! test compares the two by size and offset. Everything else here is a checked, safe view over `raw`.
pub mod raw;
