//! How much a file may ask for. Each is far above what a box uses and far below what could hurt it.

/// Bytes in one file.
pub const FILE_BYTES: usize = 64 * 1024;
/// Pipelines in one daemon.
pub const PIPELINES: usize = 32;
/// Stages in one pipeline; each is a thread.
pub const STAGES: usize = 64;
/// Bytes in the name of a pipeline, stage, port, plugin or model. Linux shows the first 15 as the thread's name.
pub const NAME_BYTES: usize = 48;
/// Bytes in a parameter's text, a path among them.
pub const TEXT_BYTES: usize = 4096;
/// Parameters of one stage.
pub const PARAMS: usize = 64;
/// Inputs of one stage.
pub const INPUTS: usize = 16;
/// Packets that may wait on one edge.
pub const CAPACITY: u32 = 1024;
/// Cores of a board, as many as a `cpu_set_t` holds.
pub const CORES: usize = 1024;
/// Cameras of a board.
pub const CAMERAS: usize = 32;
/// Named GPIO lines of a board.
pub const LINES: usize = 256;
/// Thermal zones of a board.
pub const THERMAL_ZONES: usize = 64;
/// Grants, and users, in `access.toml`.
pub const ACCESS_ENTRIES: usize = 1024;
/// The longest time a key may set, in milliseconds: one day.
pub const MILLISECONDS: u64 = 24 * 60 * 60 * 1000;
