//! What no packet may exceed, whoever made it: every input has a limit.

/// Bytes of one buffer: 1 GiB, far above any picture a small board can hold and far below where sizes overflow.
pub const MAX_BUFFER_BYTES: u64 = 1 << 30;
/// Pixels along one side of a picture or frame.
pub const MAX_SIDE: u32 = 1 << 15;
/// Boxes in one packet of detections.
pub const MAX_DETECTIONS: u32 = 1 << 16;
