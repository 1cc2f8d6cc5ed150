//! The daemon's side: a listener that reads requests on one thread and lets others answer.
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use edgemill_linux::event::Waker;
use edgemill_linux::{poll, socket};

use crate::line::{Partial, Progress, REPLY_BYTES};
use crate::protocol::{Failure, FailureKind, Reply, ReplyLine, Request, VERSION, read_request};

/// Who calls, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Effective user id.
    pub uid: u32,
    /// Process id.
    pub pid: i32,
}

/// Carries requests out. It is called on the listener's thread and must come back soon: what takes long is handed,
/// with the [`Responder`], to the thread that does it.
pub trait Handler {
    /// Carries `request` out for `caller`, or refuses; `file` is what came with it.
    fn handle(
        &mut self,
        caller: Caller,
        request: Request,
        file: Option<OwnedFd>,
        responder: Responder,
    );

    /// Hears of what was no request: too long, too late, malformed or of another version.
    fn refused(&mut self, caller: Caller, failure: &Failure);
}

/// The way back to a client. Dropped unused, it tells the client that the daemon is busy.
#[derive(Debug)]
pub struct Responder(Option<UnixStream>);

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The kernel refuses.
    #[error(
        "the control socket {path} cannot be made: {source}; check the folder `run` of board.toml and who owns it"
    )]
    Bind {
        /// The socket.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// Somebody answers there.
    #[error(
        "another daemon already listens at {0}; stop it first, or give this one its own `run` folder in board.toml"
    )]
    InUse(PathBuf),
    /// Waiting for connections failed.
    #[error("the control socket failed: {0}")]
    Poll(#[from] edgemill_linux::Error),
}

/// Connections that may be open at once; one more waits in the kernel's queue.
const CONNECTIONS: usize = 16;
/// A client has this long to send its line.
const TO_SEND: Duration = Duration::from_secs(2);
/// And this long to read the answer.
const TO_READ: Duration = Duration::from_secs(1);

/// The socket, owned by the daemon; removed when dropped, and with it the run folder, if it was made for it and is
/// empty.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    /// The run folder, where it was made for this socket.
    made: Option<PathBuf>,
}

impl Listener {
    /// Makes the run folder (mode 0750) if it is absent, and the socket (mode 0660) in it. A socket that a dead
    /// daemon left is replaced.
    ///
    /// # Errors
    /// The kernel refuses, or another daemon answers there.
    pub fn bind(run: &Path) -> Result<Self, ServerError> {
        let path = run.join(crate::SOCKET);
        let failed = |source: io::Error| ServerError::Bind { path: path.clone(), source };
        let made = (!run.exists()).then(|| run.to_owned());
        fs::DirBuilder::new().recursive(true).mode(0o750).create(run).map_err(failed)?;
        if UnixStream::connect(&path).is_ok() {
            return Err(ServerError::InUse(path));
        }
        let (listener, inode) = Self::replace(&path).map_err(failed)?;
        Ok(Self { listener, path, inode, made })
    }

    /// Bound under another name and renamed, so that nobody meets a socket whose mode is not yet set.
    fn replace(path: &Path) -> io::Result<(UnixListener, u64)> {
        let fresh = path.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let listener = UnixListener::bind(&fresh)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o660))?;
        fs::rename(&fresh, path)?;
        Ok((listener, fs::metadata(path)?.ino()))
    }

    /// Serves until `stop` is rung.
    ///
    /// # Errors
    /// Waiting for connections failed.
    pub fn serve(&self, handler: &mut dyn Handler, stop: &Waker) -> Result<(), ServerError> {
        let mut open: Vec<Connection> = Vec::new();
        loop {
            let accepting = open.len() < CONNECTIONS;
            let mut fds = vec![stop.as_fd()];
            fds.extend(open.iter().map(|connection| connection.stream.as_fd()));
            if accepting {
                fds.push(self.listener.as_fd());
            }
            let patience = open.iter().map(Connection::left).min();
            let ready = poll::readable(&fds, patience)?;
            if ready[0] {
                return Ok(());
            }
            let accept = accepting && ready[ready.len() - 1];
            let mut ready = ready[1..].iter();
            open = open
                .into_iter()
                .filter_map(|connection| connection.advance(*ready.next()?, handler))
                .collect();
            if accept {
                open.extend(self.accept());
            }
        }
    }

    /// A client that is gone again, or that no descriptor is left for, is no fault of ours.
    fn accept(&self) -> Option<Connection> {
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        let peer = socket::peer(&stream).ok()?;
        let caller = Caller { uid: peer.uid, pid: peer.pid };
        Some(Connection {
            stream,
            caller,
            partial: Partial::default(),
            until: Instant::now() + TO_SEND,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = fs::metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(run) = &self.made {
            let _ = fs::remove_dir(run);
        }
    }
}

/// A client whose line is not whole yet.
struct Connection {
    stream: UnixStream,
    caller: Caller,
    partial: Partial,
    until: Instant,
}

impl Connection {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Reads on, and hands over the request once it is whole. `None`: done with this client.
    fn advance(mut self, ready: bool, handler: &mut dyn Handler) -> Option<Self> {
        if !ready {
            if self.left() > Duration::ZERO {
                return Some(self);
            }
            return self.refuse("the request did not come in time; send one line of JSON", handler);
        }
        match self.partial.read(&self.stream) {
            Ok(Progress::Line(line)) => {
                self.hand_over(&line, handler);
                None
            }
            Ok(Progress::More) => Some(self),
            Ok(Progress::TooLong) => self.refuse("the request is longer than 4096 bytes", handler),
            Err(error) if error.source.kind() == io::ErrorKind::WouldBlock => Some(self),
            Ok(Progress::Closed) | Err(_) => None,
        }
    }

    fn hand_over(self, line: &[u8], handler: &mut dyn Handler) {
        let file = self.partial.descriptor;
        let responder = Responder(Some(self.stream));
        match read_request(line) {
            Ok(request) => handler.handle(self.caller, request, file, responder),
            Err(failure) => {
                handler.refused(self.caller, &failure);
                responder.send(Err(failure));
            }
        }
    }

    fn refuse(self, message: &str, handler: &mut dyn Handler) -> Option<Self> {
        let failure = Failure::new(FailureKind::BadRequest, message);
        handler.refused(self.caller, &failure);
        Responder(Some(self.stream)).send(Err(failure));
        None
    }
}

impl Responder {
    /// Answers. A client that is gone or does not read in time has lost its answer.
    pub fn send(mut self, answer: Result<Reply, Failure>) {
        if let Some(stream) = self.0.take() {
            let _ = answer_on(&stream, answer);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(stream) = self.0.take() {
            let busy = Failure::new(
                FailureKind::Busy,
                "the daemon is stopping or busy and dropped the request; ask again later",
            );
            let _ = answer_on(&stream, Err(busy));
        }
    }
}

fn answer_on(mut stream: &UnixStream, answer: Result<Reply, Failure>) -> io::Result<()> {
    let (reply, failure) = match answer {
        Ok(reply) => (Some(reply), None),
        Err(failure) => (None, Some(failure)),
    };
    let mut line = serde_json::to_vec(&ReplyLine { version: VERSION, reply, failure })?;
    line.push(b'\n');
    if line.len() > REPLY_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(TO_READ))?;
    stream.write_all(&line)
}
