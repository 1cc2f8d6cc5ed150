//! What an author does: keep keys, pack, sign, seal.
mod keyring;
mod package;
mod plugins;

pub use keyring::{KeyRing, Plan, PublicPart, ShowError, show};
pub use package::{PackError, Package, SealedPackage, SignedPackage};
pub use plugins::{PluginName, SignPluginsError, sign_plugins};
