//! What plugins say, on its way to people. A stage's thread only copies its line into a bounded channel; one
//! thread of its own, `log`, does what may block.
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::{io, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use edgemill_abi::LogLevel;

use crate::text::printable;

/// Lines that wait; more are dropped and counted. Together 64 KiB.
const WAITING: usize = 128;
/// The most bytes of a stage's name that are kept.
const STAGE_BYTES: usize = 64;
/// The most bytes of a line that are kept.
const TEXT_BYTES: usize = 432;

/// Where lines go. Called on stage threads: it neither blocks nor allocates, and may drop.
pub trait LogSink: Send + Sync {
    /// Takes a line of a stage, as the plugin wrote it: of any length and with any characters.
    fn line(&self, level: LogLevel, stage: &str, text: &str);
}

/// The thread that writes lines.
#[derive(Debug)]
pub struct LogThread {
    /// `None` only while dropping.
    sender: Option<Sender<Line>>,
    dropped: std::sync::Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// A line with its text inside, so that sending one allocates nothing.
#[derive(Debug)]
struct Line {
    level: LogLevel,
    stage: Text<STAGE_BYTES>,
    text: Text<TEXT_BYTES>,
}

/// A text of at most `N` bytes, its end cut off at a character's border.
#[derive(Debug)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) fn of(text: &str) -> Self {
        let mut bytes = [0; N];
        let borders = (0..=text.len().min(N)).rev();
        let length = borders.into_iter().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { bytes, length }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl LogThread {
    /// Starts the thread. `write` gets level, stage and text, on one line and without control characters.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(write: impl FnMut(LogLevel, &str, &str) + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = bounded(WAITING);
        let dropped = std::sync::Arc::new(AtomicU64::new(0));
        let counter = std::sync::Arc::clone(&dropped);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&receiver, &counter, write))?;
        Ok(Self { sender: Some(sender), dropped, thread: Some(thread) })
    }

    /// Lines lost because the thread was behind and not yet told of in the log.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl LogSink for LogThread {
    fn line(&self, level: LogLevel, stage: &str, text: &str) {
        let line = Line { level, stage: Text::of(stage), text: Text::of(text) };
        if self.sender.as_ref().is_none_or(|sender| sender.try_send(line).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for LogThread {
    /// Lets the thread write what waits, and waits for it.
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_lines(
    lines: &Receiver<Line>,
    dropped: &AtomicU64,
    mut write: impl FnMut(LogLevel, &str, &str),
) {
    for line in lines {
        // Four bytes for each escaped one would be cut; a line is short enough to be kept whole.
        let text = printable(line.text.as_str(), 4 * TEXT_BYTES);
        write(line.level, &printable(line.stage.as_str(), 4 * STAGE_BYTES), &text);
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            write(LogLevel::Warn, "log", &format!("{lost} lines were dropped: too many at once"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use edgemill_abi::LogLevel;

    use super::{LogSink, LogThread, WAITING};

    #[test]
    fn lines_arrive_bounded_and_escaped() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&written);
        let log = LogThread::start(move |level, stage, text| {
            to.lock().unwrap().push(format!("{level} {stage}: {text}"));
        })
        .unwrap();
        log.line(LogLevel::Warn, "prepare", "a\x1b[2Jb\nc");
        log.line(LogLevel::Info, "prepare", &"ä".repeat(1000));
        drop(log);
        let written = written.lock().unwrap();
        assert_eq!(written[0], "warn prepare: a\\u{1b}[2Jb\\nc");
        assert_eq!(written[1], format!("info prepare: {}", "ä".repeat(216)));
    }

    #[test]
    fn a_writer_that_is_behind_costs_lines_and_never_time() {
        let (go, wait) = mpsc::channel::<()>();
        let written = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&written);
        let log = LogThread::start(move |_, _, text| {
            let _ = wait.recv();
            to.lock().unwrap().push(text.to_owned());
        })
        .unwrap();
        for i in 0..WAITING + 10 {
            log.line(LogLevel::Info, "loud", &i.to_string());
        }
        // One line may be with the writer already.
        let lost = log.dropped();
        assert!((9..=10).contains(&lost), "{lost}");
        drop(go);
        drop(log);
        let written = written.lock().unwrap();
        assert_eq!(written.len() as u64, (WAITING + 10) as u64 - lost + 1);
        assert_eq!(written[1], format!("{lost} lines were dropped: too many at once"));
    }
}
