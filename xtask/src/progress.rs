//! What a person sees while something takes long.
use std::cell::Cell;

/// Numbered steps on stderr.
pub struct Steps {
    all: u32,
    done: Cell<u32>,
}

impl Steps {
    /// So many steps are to come.
    pub fn new(all: u32) -> Self {
        Self { all, done: Cell::new(0) }
    }

    /// The next step begins.
    pub fn begin(&self, what: &str) {
        self.done.set(self.done.get() + 1);
        eprintln!("[{}/{}] {what}", self.done.get(), self.all);
    }
}
