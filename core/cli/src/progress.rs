//! A bar on stderr for what takes long; nothing where stderr is no terminal.
use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts steps.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar of so many steps; 0 where the number is not known yet.
    pub fn new(what: &'static str, steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        let style =
            ProgressStyle::with_template("{prefix:>10} [{bar:40}] {pos}/{len} {eta:>4} {msg}");
        bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
        bar.set_prefix(what);
        Self(bar)
    }

    /// So many steps are done.
    pub fn reach(&self, done: u64, message: &str) {
        self.0.set_message(message.to_owned());
        self.0.set_position(done);
    }

    /// So many of so many.
    pub fn at(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }

    /// It stays as it is.
    pub fn done(&self) {
        self.0.finish();
    }
}
