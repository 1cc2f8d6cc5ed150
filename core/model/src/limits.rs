//! How large each part of a package may be. A reader refuses before it allocates, so that a hostile file
//! costs a box no more than these.

/// Bytes of the manifest: a model card of 16 KiB and a contract of a thousand labels fit several times.
pub const MANIFEST_BYTES: u32 = 256 * 1024;
/// Signatures: more roles than anybody will hold keys for, and 16 verifications take under a millisecond.
pub const SIGNATURES: u16 = 16;
/// Recipients: a fleet larger than this is served by one package per group.
pub const STANZAS: u16 = 1024;
/// Bytes of plain payload: a box of this class has no more memory than that to give to one model.
pub const PAYLOAD_BYTES: u64 = 1 << 30;
/// Characters of a name: a name is also part of messages and of paths.
pub const NAME_CHARS: usize = 64;
/// Characters of a short text, such as a version, a unit of the report, a label or a licence.
pub const TEXT_CHARS: usize = 128;
/// Characters of the model card: some pages of prose.
pub const CARD_CHARS: usize = 16 * 1024;
/// Boards that one package may name.
pub const BOARDS: usize = 64;
/// Numbers in the report.
pub const REPORT_ENTRIES: usize = 64;
/// Tensors that go in, and that come out: more than any network of this class has.
pub const TENSORS: usize = 16;
/// Class names.
pub const LABELS: usize = 4096;
/// Elements of one input or output tensor: 1 GiB of f32, so that no product of dimensions overflows.
pub const TENSOR_ELEMENTS: u64 = 1 << 28;
