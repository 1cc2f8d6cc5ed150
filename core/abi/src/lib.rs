//! The plugin boundary, version 1.
//!
//! The truth is `include/edgemill/*.h`. [`raw`] mirrors it field by field, and a test compares the two by size and
//! offset. Everything else here is a checked view over `raw`: a number becomes an enum ([`Reason`], [`Kind`],
//! [`Status`], …), a payload becomes a [`Format`] that cannot be invalid, and a packet becomes a [`PacketView`] whose
//! bytes are known to lie inside its buffer. Holding one of these types is the proof that the check was made.
mod codes;
mod element;
mod event;
pub mod format;
mod limits;
mod name;
mod payload;
pub mod raw;
mod view;

pub use codes::{Colour, DType, Filter, Fit, Kind, Layout, LogLevel, ParamKind, Reason, Status};
pub use element::Element;
pub use format::{Format, FormatError};
pub use limits::{MAX_BUFFER_BYTES, MAX_DETECTIONS, MAX_SIDE};
pub use name::{Name, NameError};
pub use view::{DetectionsView, ImageView, PacketView, SeriesView, TensorView, ViewError};
