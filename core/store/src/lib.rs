//! Seal, sign, verify, keep: the only crate that knows a key.
//!
//! [`author`] and [`device`] are two sides of one format, whose bytes are `edgemill_model::package`:
//!
//! - an author packs a payload, seals its content key to the public keys of devices, whose secrets it never
//!   holds, and signs header and manifest by the role *targets*;
//! - a device holds a [`device::Trust`], and what it reads is [`device::Sealed`] until it is verified. Only
//!   [`device::Verified`] opens, and only whole: no byte is released before the last chunk and the SHA-256
//!   of the payload agree.
//!
//! Laws: no function returns the bytes of a secret key; secrets and plain payloads live in locked memory that
//! is wiped; what is not authenticated has a type, or a name, that says so. `docs/threat-model.md` says what
//! all this guards against and what it does not.
#![forbid(unsafe_code)]

pub mod author;
mod cipher;
pub mod device;
pub mod keys;
pub mod plugin_list;
pub mod roles;
mod secret;
pub mod signed;
