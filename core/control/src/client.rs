//! The client's side.
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use edgemill_linux::socket;

use crate::line::read_reply;
use crate::protocol::{
    Failure, Installed, ModelStatus, Reply, ReplyLine, Request, RequestLine, VERSION,
};
use crate::status::Status;

/// A connection, good for one request.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
}

/// Why there is no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no daemon is running: nobody listens at {0}; start it with `edgemill run FILE` or `systemctl start edgemill`, or name its run folder"
    )]
    NoDaemon(PathBuf),
    /// The socket is not for this user.
    #[error("{0} may not be opened by this user; become a member of the group edgemill")]
    NotAllowed(PathBuf),
    /// The connection failed.
    #[error("the daemon at {path} does not answer: {source}; see its log")]
    Io {
        /// The socket.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// The answer cannot be read.
    #[error(
        "the daemon at {path} answers in another language ({problem}); use the edgemill tool of the daemon's release"
    )]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Failure),
}

/// A daemon answers status at once; it may be in the middle of a reload.
const QUICK: Duration = Duration::from_secs(10);
/// A package is copied, verified, decrypted and written with fsync, on a slow card.
const SLOW: Duration = Duration::from_secs(300);

impl Client {
    /// Connects to the daemon whose run folder this is.
    ///
    /// # Errors
    /// No daemon is running, or the socket is not for this user.
    pub fn connect(run: &Path) -> Result<Self, ClientError> {
        let path = run.join(crate::SOCKET);
        match UnixStream::connect(&path) {
            Ok(stream) => Ok(Self { stream, path }),
            Err(source) => Err(match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NoDaemon(path)
                }
                io::ErrorKind::PermissionDenied => ClientError::NotAllowed(path),
                _ => ClientError::Io { path, source },
            }),
        }
    }

    /// How it goes.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn status(self) -> Result<Status, ClientError> {
        match self.ask(Request::Status, None, QUICK)? {
            (Reply::Status(status), _) => Ok(*status),
            (other, path) => Err(unexpected(path, &other)),
        }
    }

    /// Reads the configuration again; says what changed.
    ///
    /// # Errors
    /// As [`ClientError`] says; a bad configuration changes nothing.
    pub fn reload(self) -> Result<String, ClientError> {
        self.done(Request::Reload)
    }

    /// Asks the daemon to stop in order; the answer comes before it has.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn stop(self) -> Result<String, ClientError> {
        self.done(Request::Stop)
    }

    /// The models of the store.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn models(self) -> Result<Vec<ModelStatus>, ClientError> {
        match self.ask(Request::ModelList, None, QUICK)? {
            (Reply::Models(models), _) => Ok(models),
            (other, path) => Err(unexpected(path, &other)),
        }
    }

    /// Installs the package that `file` holds, from its beginning.
    ///
    /// # Errors
    /// As [`ClientError`] says; a package that is refused changes nothing.
    pub fn install(self, file: &File) -> Result<Installed, ClientError> {
        match self.ask(Request::ModelInstall, Some(file), SLOW)? {
            (Reply::Installed(installed), _) => Ok(installed),
            (other, path) => Err(unexpected(path, &other)),
        }
    }

    /// Makes the candidate of `model` active.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn activate(self, model: &str) -> Result<String, ClientError> {
        self.done(Request::ModelActivate { model: model.to_owned() })
    }

    /// Goes back to the previous version of `model`.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn rollback(self, model: &str) -> Result<String, ClientError> {
        self.done(Request::ModelRollback { model: model.to_owned() })
    }

    fn done(self, request: Request) -> Result<String, ClientError> {
        match self.ask(request, None, SLOW)? {
            (Reply::Done(message), _) => Ok(message),
            (other, path) => Err(unexpected(path, &other)),
        }
    }

    fn ask(
        self,
        request: Request,
        file: Option<&File>,
        patience: Duration,
    ) -> Result<(Reply, PathBuf), ClientError> {
        let Self { stream, path } = self;
        let line = match exchange(&stream, request, file, patience) {
            Ok(line) => line,
            Err(source) => return Err(ClientError::Io { path, source }),
        };
        match serde_json::from_slice::<ReplyLine>(&line) {
            Ok(ReplyLine { failure: Some(failure), .. }) => Err(failure.into()),
            Ok(ReplyLine { reply: Some(reply), .. }) => Ok((reply, path)),
            Ok(_) => Err(ClientError::Protocol { path, problem: "an empty answer".into() }),
            Err(error) => Err(ClientError::Protocol { path, problem: error.to_string() }),
        }
    }
}

fn exchange(
    stream: &UnixStream,
    request: Request,
    file: Option<&File>,
    patience: Duration,
) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(QUICK))?;
    let mut line = serde_json::to_vec(&RequestLine { version: VERSION, request })?;
    line.push(b'\n');
    let sent = match file {
        Some(file) => socket::send_with_descriptor(stream, &line, file.as_fd())
            .map_err(|error| error.source)?,
        None => 0,
    };
    let mut writer = stream;
    writer.write_all(&line[sent..])?;
    read_reply(stream)
}

fn unexpected(path: PathBuf, reply: &Reply) -> ClientError {
    let kind = match reply {
        Reply::Status(_) => "status",
        Reply::Done(_) => "done",
        Reply::Models(_) => "models",
        Reply::Installed(_) => "installed",
    };
    ClientError::Protocol { path, problem: format!("`{kind}` answers another question") }
}
