//! What a box does: trust, verify, open, keep.
pub mod grants;
mod keys;
mod plugins;
mod sealed;
pub mod store;
mod trust;

pub use grants::{Grant, Grants};
pub use keys::{DeviceKey, StoreKey};
pub use plugins::{PluginList, PluginListError};
pub use sealed::{ModelView, OpenError, Place, Policy, Sealed, Verified, VerifyError};
pub use store::{ReadStore, Store, StoreError};
pub use trust::{Trust, TrustError, now_unix_s};
