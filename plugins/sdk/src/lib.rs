//! Safe Rust for plugin authors.
//!
//! A plugin is a shared library that exports one symbol (see `plugin.h`). With this crate it is a type that implements
//! [`Plugin`], and one line, [`export!`]. This is a whole one, `src/lib.rs` of a package with
//! `crate-type = ["cdylib"]`:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use edgemill_sdk::{Call, Contract, Event, Host, Name, Plugin, Port, Ports, Range, Result, Setup};
//!
//! edgemill_sdk::params! {
//!     /// What the pipeline's file may set.
//!     pub struct Params {
//!         /// Mean luma below which a picture is dark.
//!         #[range(0, 255)]
//!         level: u32 = 40,
//!     }
//! }
//!
//! /// Says of each picture whether it is dark or bright.
//! struct Brightness(Params);
//!
//! impl Plugin for Brightness {
//!     type Params = Params;
//!     type Active<'m> = ();
//!     const REALTIME: bool = true;
//!
//!     fn create(_: Host<'_>, params: Params) -> Result<Self> {
//!         Ok(Self(params))
//!     }
//!
//!     fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
//!         let input = Port::new("in", Range::image(edgemill_sdk::raw::FOURCC_GREY));
//!         Ok(Ports::new().input(input).output(Port::new("out", Range::event())))
//!     }
//!
//!     fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     fn process<'m>(&mut self, _: &mut (), call: &Call<'_, 'm>) -> Result<()> {
//!         let Some(image) = call.image(0)? else { return Ok(()) };
//!         let rows = (0..image.format().height()).filter_map(|y| image.row(y));
//!         let sum: u64 = rows.flatten().map(|&luma| u64::from(luma)).sum();
//!         let pixels = u64::from(image.format().width()) * u64::from(image.format().height());
//!         let dark = sum < u64::from(self.0.level) * pixels;
//!         call.emit(0, Event::named(Name::fitted(if dark { "dark" } else { "bright" })))
//!     }
//! }
//!
//! edgemill_sdk::export!(Brightness);
//! ```
//!
//! The sdk checks what the host hands over (NULL, order of calls, formats, packets), catches panics, and gives back what
//! a plugin forgets: a [`Buffer`] or [`Retained`] packet that is dropped goes back to its pool. In a call of process
//! nothing here allocates, but for the text of an error.
//!
//! Unit tests drive a plugin through its real C entry points with the module `testing`, behind the feature of that
//! name.
mod buffer;
mod call;
mod contract;
#[doc(hidden)]
pub mod entry;
mod error;
mod host;
#[doc(hidden)]
pub mod params;
mod payload;
mod plugin;
mod ports;
mod setup;
#[cfg(feature = "testing")]
pub mod testing;

pub use buffer::{Buffer, Retained};
pub use call::{Call, Input, Origin};
pub use contract::{Contract, Picture, Window};
pub use edgemill_abi::format::{self, Event};
pub use edgemill_abi::{
    Colour, DType, DetectionsView, Element, Filter, Fit, Format, ImageView, Kind, Layout, LogLevel,
    Name, PacketView, ParamKind, Reason, SeriesView, Status, TensorView, raw,
};
pub use error::{Error, Result};
pub use host::Host;
pub use params::{ParamSet, ParamType, Value, Values};
pub use payload::Payload;
pub use plugin::{Actuator, Plugin};
pub use ports::{Port, Ports, Range};
pub use setup::{Model, Secret, SecretSlice, Setup};

/// The plugin in `docs/adding-a-plugin.md` compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adding-a-plugin.md")]
struct AddingAPlugin;
