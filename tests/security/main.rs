//! The store under attack: every case builds its own keys, packages and store, and is named `ok_*` or `fail_*`.
//! `data/` keeps what earlier formats wrote.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cut;
mod fixture;
mod format;
mod keys;
mod memory;
mod package;
mod plugins;
mod slots;
mod store;
