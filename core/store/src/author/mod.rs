//! What an author does: keep keys, pack, seal, sign.
mod keyring;
mod package;
mod plugins;

pub use keyring::{KeyRing, Plan, PublicPart, ShowError, show};
pub use package::{PackError, Package, SealedPackage, sign_package};
pub use plugins::{PluginName, SignPluginsError, sign_plugins};
