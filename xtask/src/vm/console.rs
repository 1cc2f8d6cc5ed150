//! A conversation with a guest: each line with the time at which it came, searched while it grows, and written to a log.
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What a guest said, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its first byte came, since the machine was started.
    pub at: Duration,
    /// Without its end.
    pub text: String,
}

/// A file that several conversations of one machine are written to, line by line, with their times.
#[derive(Clone)]
pub struct Log(Arc<Mutex<File>>);

impl Log {
    /// Begins anew.
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Goes on after what is there.
    pub fn append(path: &Path) -> Result<Self> {
        let file = File::options().append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    fn line(&self, who: &str, line: &Line) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The log is for people; a case does not fail for want of it.
        let _ = writeln!(file, "[{:9.3}] {who}{}", line.at.as_secs_f64(), line.text);
    }
}

/// What has come so far. The last line may still grow.
#[derive(Default)]
struct Heard {
    lines: Vec<Line>,
    growing: bool,
    ended: bool,
}

type Shared = (Mutex<Heard>, Condvar);

/// One conversation.
pub struct Console {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    writer: Option<Box<dyn Write + Send>>,
    /// Lines before this one have been waited for.
    next: usize,
    deadline: Instant,
}

impl Console {
    /// Listens until the other side ends. Times count from `began`; no wait goes beyond `deadline`. Lines go to `log`
    /// with `who` before them.
    pub fn new(
        from: impl Read + Send + 'static,
        to: Option<Box<dyn Write + Send>>,
        log: Log,
        who: &'static str,
        [began, deadline]: [Instant; 2],
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let heard = Arc::clone(&shared);
        let reader = thread::spawn(move || listen(from, &heard, &log, who, began));
        Self { shared, reader: Some(reader), writer: to, next: 0, deadline }
    }

    /// Types a line.
    pub fn send(&mut self, line: &str) -> Result<()> {
        let writer = self.writer.as_mut().context("this console cannot be written to")?;
        writer.write_all(format!("{line}\n").as_bytes())?;
        Ok(writer.flush()?)
    }

    /// Waits for the first line that contains `text`, after the one that was waited for last.
    ///
    /// # Errors
    /// It has not come within `limit`, or the machine has ended before.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<Line> {
        Ok(self.wait_for_any(&[text], limit)?.1)
    }

    /// The same for one of several texts: says which.
    pub fn wait_for_any(&mut self, texts: &[&str], limit: Duration) -> Result<(usize, Line)> {
        let until = (Instant::now() + limit).min(self.deadline);
        let mut heard = lock(&self.shared.0);
        loop {
            for (index, line) in heard.lines.iter().enumerate().skip(self.next) {
                if let Some(which) = texts.iter().position(|text| line.text.contains(text)) {
                    self.next = index + 1;
                    return Ok((which, line.clone()));
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if heard.ended {
                bail!("the machine ended and had not said {}", either(texts));
            }
            if left.is_zero() {
                bail!("the machine did not say {} within {limit:?}", either(texts));
            }
            let waited = self.shared.1.wait_timeout(heard, left);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything so far.
    pub fn lines(&self) -> Vec<Line> {
        lock(&self.shared.0).lines.clone()
    }

    /// The first line of all that contains `text`, if it has come.
    pub fn find(&self, text: &str) -> Option<Line> {
        lock(&self.shared.0).lines.iter().find(|line| line.text.contains(text)).cloned()
    }

    /// Waits until the other side has ended.
    pub(super) fn join(&mut self) {
        self.writer = None;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn either(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" or ")
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(mut from: impl Read, shared: &Shared, log: &Log, who: &str, began: Instant) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        lock(&shared.0).take(&bytes[..count], began.elapsed(), |line| log.line(who, line));
        shared.1.notify_all();
    }
    let mut heard = lock(&shared.0);
    if let Some(last) = heard.lines.last().filter(|_| heard.growing) {
        log.line(who, last);
    }
    heard.ended = true;
    shared.1.notify_all();
}

impl Heard {
    fn take(&mut self, bytes: &[u8], at: Duration, whole: impl Fn(&Line)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(part);
            let text = text.trim_end_matches(['\n', '\r']);
            match self.lines.last_mut().filter(|_| self.growing) {
                Some(line) => line.text.push_str(text),
                None => self.lines.push(Line { at, text: text.to_owned() }),
            }
            self.growing = !part.ends_with(b"\n");
            if let Some(line) = self.lines.last().filter(|_| !self.growing) {
                whole(line);
            }
        }
    }
}

/// What a command of a shell came to.
#[derive(Debug)]
pub struct Answer {
    /// Exit code.
    pub code: i32,
    /// What it printed, both streams.
    pub text: String,
}

/// A root shell in the guest.
pub struct Shell {
    console: Console,
    asked: u32,
}

impl Shell {
    pub(super) fn new(console: Console) -> Self {
        Self { console, asked: 0 }
    }

    /// Waits until somebody answers: the guest opens its end when it has come so far.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        while self.ask("stty -echo", Duration::from_secs(2)).is_err() {
            if Instant::now() >= until {
                bail!("no shell answered in the guest within {limit:?}");
            }
        }
        Ok(())
    }

    /// Runs a command to its end, whatever it comes to.
    pub fn ask(&mut self, command: &str, limit: Duration) -> Result<Answer> {
        self.asked += 1;
        let (mark, end) = (format!("@@{}:", self.asked), format!("@@{}.", self.asked));
        let from = self.console.lines().len();
        // The marks are put together by printf, so that a terminal's echo of this line is not taken for them.
        let print = format!("printf '\\n@@%s:%s\\n@@%s.\\n' {0} $? {0}", self.asked);
        self.console.send(&format!("{{ {command}; }} 2>&1; {print}"))?;
        let ended = self.console.wait_for(&end, limit);
        ended.with_context(|| format!("in the guest's shell: `{command}`"))?;
        let lines = self.console.lines();
        let said: Vec<&str> = lines[from..].iter().map(|line| line.text.as_str()).collect();
        let at = said.iter().position(|text| text.starts_with(&mark)).context("no exit code")?;
        let code = said[at][mark.len()..].trim().parse();
        let text = said[..at].iter().filter(|text| !text.contains("@@%s")).copied();
        Ok(Answer {
            code: code.with_context(|| format!("no exit code in {:?}", said[at]))?,
            text: text.collect::<Vec<_>>().join("\n").trim().to_owned(),
        })
    }

    /// Runs a command that must go well, and hands over what it printed.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<String> {
        let Answer { code, text } = self.ask(command, limit)?;
        if code != 0 {
            bail!("in the guest's shell, `{command}` ended with {code}: {text}");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::Heard;

    #[test]
    fn lines_grow_until_their_end_and_keep_the_time_of_their_beginning() {
        let (mut heard, logged) = (Heard::default(), RefCell::new(Vec::new()));
        let whole = |line: &super::Line| logged.borrow_mut().push(line.text.clone());
        for (second, bytes) in ["one\r\ntw", "o", "\nlogin: "].iter().enumerate() {
            heard.take(bytes.as_bytes(), Duration::from_secs(second as u64), whole);
        }
        let lines: Vec<_> = heard.lines.iter().map(|l| (l.at.as_secs(), l.text.as_str())).collect();
        assert_eq!(lines, [(0, "one"), (0, "two"), (2, "login: ")]);
        assert_eq!(*logged.borrow(), ["one", "two"]);
    }
}
