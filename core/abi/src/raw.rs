//! The mirror of `include/edgemill/*.h`: same names in Rust's case, same order, same layout. The headers hold
//! the documentation of each field and function; `tests/abi` compares sizes and offsets.
#![allow(
    missing_docs,
    reason = "the headers are the documentation; repeating it would let the two drift"
)]

use core::ffi::{c_char, c_void};

pub const ABI_VERSION: u32 = 1;
/// The one symbol that a plugin exports.
pub const ENTRY_SYMBOL: &str = "edgemill_entry";

pub type Status = i32;
pub const OK: Status = 0;
pub const END: Status = 1;
pub const ERR_BAD_ARGUMENT: Status = -1;
pub const ERR_STOPPING: Status = -2;
pub const ERR_NO_BUFFER: Status = -3;
pub const ERR_UNSUPPORTED: Status = -4;
pub const ERR_NO_MEMORY: Status = -5;
pub const ERR_DENIED: Status = -6;
pub const ERR_IO: Status = -7;
pub const ERR_FAULT: Status = -8;

pub const KIND_IMAGE: u32 = 1;
pub const KIND_TENSOR: u32 = 2;
pub const KIND_DETECTIONS: u32 = 3;
pub const KIND_SERIES: u32 = 4;
pub const KIND_EVENT: u32 = 5;

pub const DTYPE_U8: u32 = 1;
pub const DTYPE_I8: u32 = 2;
pub const DTYPE_I32: u32 = 3;
pub const DTYPE_F32: u32 = 4;

/// Four ASCII characters, the first in the lowest byte.
#[must_use]
pub const fn fourcc(code: [u8; 4]) -> u32 {
    u32::from_le_bytes(code)
}
pub const FOURCC_YUYV: u32 = fourcc(*b"YUYV");
pub const FOURCC_NV12: u32 = fourcc(*b"NV12");
pub const FOURCC_MJPEG: u32 = fourcc(*b"MJPG");
pub const FOURCC_GREY: u32 = fourcc(*b"GREY");
pub const FOURCC_RGB24: u32 = fourcc(*b"RGB3");

pub const MAX_PLANES: usize = 3;
pub const MAX_RANK: usize = 6;
pub const MAX_VALUES: usize = 4;
pub const NAME_BYTES: usize = 24;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Plane {
    pub offset: u32,
    pub stride: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Image {
    pub fourcc: u32,
    pub width: u32,
    pub height: u32,
    pub plane_count: u32,
    pub planes: [Plane; MAX_PLANES],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tensor {
    pub dtype: u32,
    pub rank: u32,
    pub shape: [u32; MAX_RANK],
    pub scale: f32,
    pub zero_point: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detections {
    pub count: u32,
    pub frame_width: u32,
    pub frame_height: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detection {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
    pub score: f32,
    pub class_id: u32,
    pub track_id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Series {
    pub dtype: u32,
    pub channels: u32,
    pub samples: u32,
    pub reserved: u32,
    pub rate_hz: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Value {
    pub name: [u8; NAME_BYTES],
    pub value: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Event {
    pub name: [u8; NAME_BYTES],
    pub value_count: u32,
    pub reserved: u32,
    pub values: [Value; MAX_VALUES],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union Payload {
    // Set by `From`, read by the methods of the same names.
    pub(crate) image: Image,
    pub(crate) tensor: Tensor,
    pub(crate) detections: Detections,
    pub(crate) series: Series,
    pub(crate) event: Event,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Format {
    pub kind: u32,
    pub reserved: u32,
    pub payload: Payload,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FormatRange {
    pub least: Format,
    pub most: Format,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    pub handle: u64,
    pub data: *mut u8,
    pub size: u64,
}

// SAFETY: a buffer names memory and does not give access to it: whoever reads through `data` must say, in an
// unsafe block of its own, which reference keeps it alive. Packets travel through channels by value.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Packet {
    pub stream: u64,
    pub sequence: u64,
    pub capture_ns: u64,
    pub deadline_ns: u64,
    pub generation: u32,
    pub kind: u32,
    pub payload: Payload,
    pub buffer: Buffer,
}

pub const LAYOUT_NHWC: u32 = 1;
pub const LAYOUT_NCHW: u32 = 2;
pub const COLOUR_RGB: u32 = 1;
pub const COLOUR_BGR: u32 = 2;
pub const COLOUR_GREY: u32 = 3;
pub const FIT_STRETCH: u32 = 1;
pub const FIT_LETTERBOX: u32 = 2;
pub const FIT_CROP: u32 = 3;
pub const FIT_CORNER: u32 = 4;
pub const FILTER_AREA: u32 = 1;
pub const FILTER_BILINEAR: u32 = 2;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    pub model: *const c_char,
    pub version: *const c_char,
    pub input_count: u32,
    pub output_count: u32,
    pub inputs: *const Tensor,
    pub outputs: *const Tensor,
    pub layout: u32,
    pub colour: u32,
    pub fit: u32,
    pub fill: u32,
    pub region: [f32; 4],
    pub mean: [f32; 4],
    pub std: [f32; 4],
    pub window: u32,
    pub hop: u32,
    pub rate_hz: f64,
    pub head: *const c_char,
    pub label_count: u32,
    pub filter: u32,
    pub labels: *const *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub data: *const u8,
    pub size: u64,
    pub contract: *const Contract,
}

pub const LOG_ERROR: u32 = 1;
pub const LOG_WARN: u32 = 2;
pub const LOG_INFO: u32 = 3;
pub const LOG_DEBUG: u32 = 4;

#[repr(C)]
pub struct Host {
    pub abi_version: u32,
    pub struct_size: u32,
    pub context: *mut c_void,
    pub emit: Option<unsafe extern "C" fn(*const Host, u32, *const Packet) -> Status>,
    pub emit_from:
        Option<unsafe extern "C" fn(*const Host, u32, *const Packet, *const Packet) -> Status>,
    pub acquire: Option<unsafe extern "C" fn(*const Host, u32, u64, *mut Buffer) -> Status>,
    pub retain: Option<unsafe extern "C" fn(*const Host, *const Buffer) -> Status>,
    pub release: Option<unsafe extern "C" fn(*const Host, *const Buffer) -> Status>,
    pub log: Option<unsafe extern "C" fn(*const Host, u32, *const c_char, u64)>,
    pub metric: Option<unsafe extern "C" fn(*const Host, *const c_char, f64)>,
    pub now_ns: Option<unsafe extern "C" fn(*const Host) -> u64>,
    pub secret_alloc: Option<unsafe extern "C" fn(*const Host, u64, u64) -> *mut c_void>,
    pub secret_free: Option<unsafe extern "C" fn(*const Host, *mut c_void)>,
    pub parallel: Option<
        unsafe extern "C" fn(
            *const Host,
            Option<unsafe extern "C" fn(*mut c_void, u32)>,
            *mut c_void,
            u32,
        ) -> Status,
    >,
    pub get_extension: Option<unsafe extern "C" fn(*const Host, *const c_char) -> *const c_void>,
}

pub const FLAG_REALTIME: u64 = 1;
pub const FLAG_ACTUATOR: u64 = 2;
pub const PARAM_BOOL: u32 = 1;
pub const PARAM_INT: u32 = 2;
pub const PARAM_FLOAT: u32 = 3;
pub const PARAM_STRING: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: *const c_char,
    pub unit: *const c_char,
    pub help: *const c_char,
    pub kind: u32,
    pub required: u32,
    pub least: f64,
    pub most: f64,
    pub fallback: *const c_char,
    pub choices: *const *const c_char,
    pub choice_count: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ParamValue {
    pub name: *const c_char,
    pub kind: u32,
    pub boolean: u32,
    pub integer: i64,
    pub number: f64,
    pub text: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub name: *const c_char,
    pub ranges: *const FormatRange,
    pub range_count: u32,
    pub held: u32,
    pub burst: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub inputs: *const Port,
    pub outputs: *const Port,
    pub input_count: u32,
    pub output_count: u32,
    pub timer_ns: u64,
}

pub const REASON_INPUT: u32 = 1;
pub const REASON_TURN: u32 = 2;
pub const REASON_TIMER: u32 = 3;
pub const REASON_FLUSH: u32 = 4;

pub type CreateFn =
    unsafe extern "C" fn(*const Host, *const ParamValue, u32, *mut *mut c_void) -> Status;
pub type PortsFn = unsafe extern "C" fn(*mut c_void, *const Contract, *mut Ports) -> Status;
pub type ActivateFn =
    unsafe extern "C" fn(*mut c_void, *const Format, *const Format, *const Model) -> Status;
pub type ProcessFn = unsafe extern "C" fn(*mut c_void, u32, *const *const Packet) -> Status;
pub type InstanceFn = unsafe extern "C" fn(*mut c_void);
pub type GetExtensionFn = unsafe extern "C" fn(*mut c_void, *const c_char) -> *const c_void;

#[repr(C)]
pub struct Descriptor {
    pub abi_version: u32,
    pub struct_size: u32,
    pub id: *const c_char,
    pub version: *const c_char,
    pub summary: *const c_char,
    pub flags: u64,
    pub params: *const Param,
    pub required_extensions: *const *const c_char,
    pub param_count: u32,
    pub required_extension_count: u32,
    pub create: Option<CreateFn>,
    pub ports: Option<PortsFn>,
    pub activate: Option<ActivateFn>,
    pub process: Option<ProcessFn>,
    pub deactivate: Option<InstanceFn>,
    pub destroy: Option<InstanceFn>,
    pub get_extension: Option<GetExtensionFn>,
}

// SAFETY: a descriptor is constant data; its pointers lead to other constants of the same library, which is
// never unloaded.
unsafe impl Sync for Descriptor {}
// SAFETY: as above.
unsafe impl Send for Descriptor {}
// SAFETY: a parameter is constant data of a descriptor.
unsafe impl Sync for Param {}

/// Name of the extension [`FailSafe`].
pub const EXT_FAIL_SAFE: &core::ffi::CStr = c"edgemill.fail_safe/1";

#[repr(C)]
pub struct FailSafe {
    pub state: *const c_char,
    pub apply: Option<unsafe extern "C" fn(*mut c_void) -> Status>,
}
