//! The models of a box: content-addressed objects, and one authenticated `state` that says what they are.
//!
//! ```text
//! DIR/lock          held by flock(2) while a process writes; always empty
//! DIR/state         slots, floors, generation (see `state`)
//! DIR/objects/HEX   a package whose content key is wrapped to this store; HEX is the SHA-256 of its prefix
//! DIR/tmp/          what is being written; emptied when the store is opened to be written
//! ```
//!
//! Every change is write-new, fsync, rename, fsync folder; an object is durable before the state names it. So a
//! cut at any moment leaves the old state or the new one, each with all its objects.
pub mod disk;
mod error;
mod holder;
mod moves;
mod read;
mod state;
mod write;

pub use error::{SlotName, StoreError};
pub use read::ReadStore;
pub use state::{Probation, Slot, Slots, State};
pub use write::{Delivered, Store};
