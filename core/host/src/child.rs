//! A child process for what must not touch this one: loading a library runs its constructors, and the conformance
//! suite calls plugins that may crash or hang. The child is this same binary, started again with a hidden argument.
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use edgemill_linux::memfd::Memfd;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::text::printable;
use crate::{conformance, inspect};

/// The hidden argument.
const ARGUMENT: &str = "--edgemill-host-child";
/// A command to start the child through, words apart by spaces, for binaries that run under a user-mode emulator
/// (`qemu-aarch64-static -cpu max`): the kernel does not know how to start them by themselves.
const EMULATOR_VARIABLE: &str = "EDGEMILL_EMULATOR";
/// An answer's most bytes: a descriptor's text is bounded far below.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// How much of what a child wrote to its standard error is shown.
const SHOWN_BYTES: usize = 400;

/// What a child is to do.
#[derive(Serialize, Deserialize)]
pub(crate) enum Job {
    Inspect(inspect::Request),
    Check(Box<conformance::Request>),
}

/// How a child failed to answer.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started, or the socket to it failed.
    #[error("no child process to load it in: {0}")]
    Start(#[from] io::Error),
    /// No memory for its error output.
    #[error("no child process to load it in: {0}")]
    Memory(#[from] edgemill_linux::Error),
    /// It hung and was killed.
    #[error("hung{} and was killed after {} ms", within(.callback), .after.as_millis())]
    Hung {
        /// What was running, where known.
        callback: Option<String>,
        /// The time it was given.
        after: Duration,
    },
    /// A signal ended it.
    #[error("crashed{} by {signal}{}", within(.callback), words(.stderr))]
    Crashed {
        /// Such as SIGSEGV.
        signal: String,
        /// What was running, where known.
        callback: Option<String>,
        /// The last words on its standard error.
        stderr: String,
    },
    /// It ended by itself without an answer: something called `exit`.
    #[error("ended the process{} with code {code}{}", within(.callback), words(.stderr))]
    Exited {
        /// Its exit code.
        code: i32,
        /// What was running, where known.
        callback: Option<String>,
        /// The last words on its standard error.
        stderr: String,
    },
    /// Its answer makes no sense.
    #[error("the child process answered nonsense: {0}")]
    Answer(String),
}

fn within(callback: &Option<String>) -> String {
    callback.as_ref().map(|c| format!(" in {c}")).unwrap_or_default()
}

fn words(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}

/// The first thing in `main` of every binary that inspects or validates: in a child it does the work and does not
/// come back, otherwise it does nothing.
#[expect(clippy::exit, reason = "the child has no other work, and what it loaded may have threads")]
pub fn maybe_run() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == ARGUMENT) {
        let done = perform();
        std::process::exit(i32::from(done.is_err()));
    }
}

/// Reads the job, does it, writes the answer.
fn perform() -> io::Result<()> {
    // A crash is expected here; its core would only fill the disk.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let mut channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut job = String::new();
    let mut reader = BufReader::new(&channel);
    reader.read_line(&mut job)?;
    let mut attached = Vec::new();
    reader.read_to_end(&mut attached)?;
    let progress = Progress(channel.try_clone()?);
    let answer = match serde_json::from_str(&job)? {
        Job::Inspect(request) => serde_json::to_vec(&inspect::perform(&request)),
        Job::Check(request) => {
            serde_json::to_vec(&conformance::perform(*request, attached, progress))
        }
    };
    channel.write_all(&answer?)
}

/// Tells the parent which callback is about to run, so that a crash can be named. Does not allocate.
pub(crate) struct Progress(UnixStream);

impl Progress {
    pub(crate) fn entering(&self, callback: &'static str) {
        let mut line = [b' '; 32];
        let name = callback.as_bytes();
        let length = name.len().min(30);
        line[0] = b'@';
        line[1..=length].copy_from_slice(&name[..length]);
        line[31] = b'\n';
        // A parent that is gone needs to know nothing.
        let _ = (&self.0).write_all(&line);
    }
}

/// Runs `job` in a child, with `attached` bytes beside it and `variables` in its environment.
pub(crate) fn run<A: DeserializeOwned>(
    job: &Job,
    attached: &[u8],
    variables: &[(&str, String)],
    limit: Duration,
) -> Result<A, ChildError> {
    let deadline = Instant::now() + limit;
    let (mut ours, theirs) = UnixStream::pair()?;
    let stderr = File::from(OwnedFd::from(Memfd::create("stderr", 0)?));
    let mut child = Running(start(theirs, stderr.try_clone()?, variables)?);
    let sent = serde_json::to_vec(job).map_err(io::Error::from).and_then(|job| {
        ours.set_write_timeout(Some(limit))?;
        ours.write_all(&job)?;
        ours.write_all(b"\n")?;
        ours.write_all(attached)?;
        ours.shutdown(Shutdown::Write)
    });
    // A child that died early is told by its status below, not by the pipe that broke.
    let _ = sent;
    let mut heard = Heard::default();
    if !heard.listen(ours, deadline)? {
        return Err(ChildError::Hung { callback: heard.callback, after: limit });
    }
    let status = child.0.wait()?;
    if let Some(failure) = failure(status, &heard, stderr) {
        return Err(failure);
    }
    serde_json::from_slice(&heard.answer).map_err(|e| ChildError::Answer(e.to_string()))
}

fn start(channel: UnixStream, stderr: File, variables: &[(&str, String)]) -> io::Result<Child> {
    let program = std::env::current_exe()?;
    let emulator = std::env::var(EMULATOR_VARIABLE).unwrap_or_default();
    let mut words = emulator.split_whitespace();
    let mut command = match words.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .arg(ARGUMENT)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(OwnedFd::from(channel))
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
}

/// A child that does not outlive its answer.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came from the child.
#[derive(Default)]
struct Heard {
    callback: Option<String>,
    answer: Vec<u8>,
}

impl Heard {
    /// Listens until the child closes its end; false when the time is over first.
    fn listen(&mut self, channel: UnixStream, deadline: Instant) -> io::Result<bool> {
        let mut reader = BufReader::new(Patient { channel, deadline }.take(MAX_ANSWER_BYTES));
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(true),
                Ok(_) => self.take(line),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => return Ok(false),
                // The child died with part of the job unread.
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(true),
                Err(e) => return Err(e),
            }
        }
    }

    fn take(&mut self, line: Vec<u8>) {
        match line.strip_prefix(b"@") {
            Some(callback) => {
                let callback = String::from_utf8_lossy(callback);
                self.callback = Some(callback.trim_end().to_owned());
            }
            None => self.answer = line,
        }
    }
}

/// A socket that is read until a point in time.
struct Patient {
    channel: UnixStream,
    deadline: Instant,
}

impl Read for Patient {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.channel.set_read_timeout(Some(left))?;
        self.channel.read(to).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => e,
        })
    }
}

fn failure(status: ExitStatus, heard: &Heard, stderr: File) -> Option<ChildError> {
    let callback = heard.callback.clone();
    if let Some(number) = status.signal() {
        let known = Signal::try_from(number).map(|s| s.as_str().to_owned());
        let signal = known.unwrap_or_else(|_| format!("signal {number}"));
        return Some(ChildError::Crashed { signal, callback, stderr: last_words(stderr) });
    }
    let answered = status.success() && !heard.answer.is_empty();
    let code = status.code().unwrap_or_default();
    (!answered).then(|| ChildError::Exited { code, callback, stderr: last_words(stderr) })
}

/// The last lines of the child's standard error, fit for a message.
fn last_words(mut stderr: File) -> String {
    let mut bytes = Vec::new();
    let end = stderr.seek(SeekFrom::End(0)).unwrap_or_default();
    let start = end.saturating_sub(SHOWN_BYTES as u64);
    if stderr.seek(SeekFrom::Start(start)).is_err() || stderr.read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    printable(&text.trim().lines().collect::<Vec<_>>().join(" / "), SHOWN_BYTES)
}
