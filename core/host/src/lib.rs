//! Loads plugins, runs their life cycle, and holds them to the rules.
//!
//! Laws. A library is loaded from a sealed copy whose digest was compared, and is never unloaded. Nothing of it is
//! read before its version and size are right. Whoever only wants to know loads it in a child process, since
//! loading runs its constructors. What a plugin passes to the host is checked before it is used; what it points to
//! is trusted, because a plugin in a thread shares our memory (`docs/decisions/0001`).
pub mod child;
mod conformance;
mod contract;
mod descriptor;
mod elf;
mod inspect;
mod instance;
mod library;
mod log;
mod metrics;
pub mod params;
mod ports;
mod secrets;
mod stage;
mod table;
mod text;

pub use conformance::{Finding, Outcome, Report, ValidateOptions, checks, validate};
pub use contract::ModelContract;
pub use descriptor::{Descriptor, DescriptorFault, Param};
pub use edgemill_abi::LogLevel;
pub use elf::ElfFault;
pub use inspect::{InspectError, Inspection, inspect};
pub use library::{Library, LoadError, LoadFault, MAX_PLUGIN_BYTES};
pub use log::{LogSink, LogThread};
pub use metrics::Metrics;
pub use stage::{ModelBytes, PluginStage, Setup, SetupError};
pub use text::printable;
