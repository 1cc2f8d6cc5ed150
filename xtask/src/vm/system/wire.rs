//! The GPIO line as the machine has it: the PL061's own registers, read from outside while the guest runs, so that
//! neither the daemon nor the kernel is taken at its word, and a line that nobody holds is seen too.
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// QEMU, hw/arm/virt.c. A read of GPIODATA at 0x3fc shows all eight lines (ARM PrimeCell PL061, 3.3.1).
const DATA: &str = "xp /1xb 0x090303fc";
/// GPIODIR: a line whose bit is set is driven.
const DIRECTION: &str = "xp /1xb 0x09030400";
/// The line `relay` of board/qemu-virt.
const RELAY: u8 = 1 << 5;
/// Between two looks.
const PACE: Duration = Duration::from_millis(4);

/// A level and since when.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub at: Instant,
    pub high: bool,
}

/// What was seen, and what QEMU told by itself.
#[derive(Default)]
struct Seen {
    changes: Vec<Change>,
    driven: bool,
    events: Vec<(Instant, String)>,
    trouble: Option<String>,
}

/// Watches the line, and the machine's own events, as long as it lives.
pub struct Wire {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where QEMU is to listen.
pub struct Monitor(PathBuf);

impl Monitor {
    /// A new place. Short, since the path of a socket has at most 107 bytes.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("edgemill-qmp-{}-{number}", std::process::id())))
    }

    /// QEMU's words for it.
    pub fn words(&self) -> Vec<String> {
        vec!["-qmp".into(), format!("unix:{},server=on,wait=off", self.0.display())]
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// QEMU does not listen.
    pub fn watch(self) -> Result<Wire> {
        let stream = UnixStream::connect(&self.0);
        let _ = fs::remove_file(&self.0);
        let stream = stream.context("QEMU's monitor does not listen")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (theirs, told) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            if let Err(error) = look(stream, &theirs, &told) {
                lock(&theirs).trouble = Some(format!("{error:#}"));
            }
        });
        Ok(Wire { seen, stop, thread: Some(thread) })
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(stream: UnixStream, seen: &Mutex<Seen>, stop: &AtomicBool) -> Result<()> {
    let mut ask = Asker { reader: BufReader::new(stream.try_clone()?), writer: stream, seen };
    ask.answer(r#"{"execute":"qmp_capabilities"}"#)?;
    while !stop.load(Ordering::Relaxed) {
        let (high, at) = (ask.register(DATA)? & RELAY != 0, Instant::now());
        let driven = ask.register(DIRECTION)? & RELAY != 0;
        let mut seen = lock(seen);
        seen.driven = driven;
        if seen.changes.last().is_none_or(|last| last.high != high) {
            seen.changes.push(Change { at, high });
        }
        drop(seen);
        sleep(PACE);
    }
    Ok(())
}

/// One question after another, in QEMU's machine protocol.
struct Asker<'a> {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    seen: &'a Mutex<Seen>,
}

impl Asker<'_> {
    fn answer(&mut self, question: &str) -> Result<Value> {
        self.writer.write_all(format!("{question}\n").as_bytes())?;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                bail!("the machine has ended");
            }
            let mut said: Value = serde_json::from_str(&line)?;
            if let Some(event) = said["event"].as_str() {
                lock(self.seen).events.push((Instant::now(), event.to_owned()));
            } else if said.get("error").is_some() {
                bail!("QEMU's monitor refuses `{question}`: {said}");
            } else if said.get("return").is_some() {
                return Ok(said["return"].take());
            }
        }
    }

    fn register(&mut self, command: &str) -> Result<u8> {
        let question = format!(
            r#"{{"execute":"human-monitor-command","arguments":{{"command-line":"{command}"}}}}"#
        );
        let said = self.answer(&question)?;
        byte(said.as_str().unwrap_or_default()).with_context(|| format!("`{command}` said {said}"))
    }
}

/// `00000000090303fc: 0x20`
fn byte(text: &str) -> Option<u8> {
    u8::from_str_radix(text.trim().rsplit_once("0x")?.1, 16).ok()
}

impl Wire {
    /// The level now.
    pub fn is_high(&self) -> Result<bool> {
        Ok(lock(&self.seen).changes.last().context("the line was not seen yet")?.high)
    }

    /// Whether it can still be seen: while the machine has power.
    pub fn is_watched(&self) -> bool {
        lock(&self.seen).trouble.is_none()
    }

    /// Whether the pin is an output.
    pub fn is_driven(&self) -> bool {
        lock(&self.seen).driven
    }

    /// Waits until the line is at that level, at `from` or later, and says when it came to be.
    ///
    /// # Errors
    /// It is not within `limit`.
    pub fn wait(&self, high: bool, from: Instant, limit: Duration) -> Result<Instant> {
        let until = Instant::now() + limit;
        loop {
            if let Some(at) = self.level_since(high, from) {
                return Ok(at);
            }
            if Instant::now() > until {
                let level = if high { "high" } else { "low" };
                bail!("the line did not go {level} within {limit:?}");
            }
            if let Some(trouble) = &lock(&self.seen).trouble {
                bail!("the line cannot be watched any more: {trouble}");
            }
            sleep(PACE);
        }
    }

    /// The first moment, not before `from`, at which it had the level.
    fn level_since(&self, high: bool, from: Instant) -> Option<Instant> {
        let seen = lock(&self.seen);
        let before = seen.changes.iter().rev().find(|change| change.at <= from);
        if before.is_some_and(|change| change.high == high) {
            return Some(from);
        }
        seen.changes.iter().find(|change| change.at > from && change.high == high).map(|c| c.at)
    }

    /// How often the line changed since `from`.
    pub fn changes_since(&self, from: Instant) -> usize {
        lock(&self.seen).changes.iter().filter(|change| change.at > from).count()
    }

    /// Waits until QEMU tells of such an event, at `from` or later.
    ///
    /// # Errors
    /// It does not within `limit`.
    pub fn wait_event(&self, name: &str, from: Instant, limit: Duration) -> Result<Instant> {
        let until = Instant::now() + limit;
        loop {
            let seen = lock(&self.seen);
            let found = seen.events.iter().find(|(at, event)| *at >= from && event == name);
            if let Some((at, _)) = found {
                return Ok(*at);
            }
            drop(seen);
            if Instant::now() > until {
                bail!("QEMU told of no {name} within {limit:?}");
            }
            sleep(PACE);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Change, Wire, byte};

    #[test]
    fn a_register_is_the_number_after_the_address() {
        assert_eq!(byte("00000000090303fc: 0x20\r\n"), Some(0x20));
        assert_eq!(byte("Cannot access memory"), None);
    }

    #[test]
    fn a_level_counts_from_when_it_was_asked_for() {
        let wire = Wire { seen: Default::default(), stop: Default::default(), thread: None };
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        super::lock(&wire.seen).changes =
            vec![Change { at: at(0), high: true }, Change { at: at(50), high: false }];
        assert_eq!(wire.level_since(true, at(10)), Some(at(10)));
        assert_eq!(wire.level_since(false, at(10)), Some(at(50)));
        assert_eq!(wire.level_since(true, at(60)), None);
        assert_eq!(wire.changes_since(at(10)), 1);
    }
}
