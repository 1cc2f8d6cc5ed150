//! The store under attack: every case builds its own keys, packages and store, and is named `ok_*` or `fail_*`.
mod cut;
mod fixture;
mod format;
mod keys;
mod memory;
mod package;
mod plugins;
mod slots;
mod store;
