//! How the tool ends: a documented code for each class of failure, and one line that says what, where and what next.
use std::fmt::Display;
use std::process::ExitCode;

use edgemill_control::{ClientError, FailureKind};

/// Shown under `edgemill --help`.
pub const HELP: &str = "\
Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 configuration, 4 plugin, 5 model, package, key or store,
6 device, 7 a pipeline failed, 8 no daemon is running, 9 not allowed.

Example: edgemill check pipelines/traffic-light.toml && edgemill run pipelines/traffic-light.toml";

/// Exit codes; the daemon's are the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// A defect of ours, or of the machine.
    Internal = 1,
    /// A configuration file.
    Configuration = 3,
    /// A plugin cannot be loaded or breaks the rules.
    Plugin = 4,
    /// A model, package, key or the store.
    Model = 5,
    /// There is no daemon to talk to.
    NoDaemon = 8,
    /// The daemon or the file system refuses this user.
    Denied = 9,
}

/// What went wrong, for a person and for the caller's `$?`.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
}

/// No message is longer than this, whatever file it quotes.
const MOST_BYTES: usize = 4000;

impl Failure {
    /// A failure of this class.
    pub fn new(code: Code, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// A defect, or a machine that does not answer.
    pub fn internal(error: impl Display) -> Self {
        Self::new(Code::Internal, error)
    }

    /// A model, package, key or store.
    pub fn model(error: impl Display) -> Self {
        Self::new(Code::Model, error)
    }

    /// A plugin.
    pub fn plugin(error: impl Display) -> Self {
        Self::new(Code::Plugin, error)
    }

    /// Prints the message on stderr, made safe for a terminal.
    pub fn report(self) -> ExitCode {
        eprintln!("error: {}", printable(&self.message));
        ExitCode::from(self.code as u8)
    }
}

/// Errors of these crates name their file and next step themselves.
macro_rules! model_errors {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::model(error)
            }
        }
    )+};
}

model_errors!(
    edgemill_store::keys::KeyError,
    edgemill_store::author::PackError,
    edgemill_store::device::StoreError,
    edgemill_store::device::TrustError
);

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NoDaemon(_) => Code::NoDaemon,
            ClientError::NotAllowed(_) => Code::Denied,
            ClientError::Refused(refused) => match refused.kind {
                FailureKind::Denied => Code::Denied,
                FailureKind::Configuration => Code::Configuration,
                FailureKind::Model => Code::Model,
                _ => Code::Internal,
            },
            _ => Code::Internal,
        };
        Self::new(code, error)
    }
}

fn printable(message: &str) -> String {
    let mut out = String::new();
    for c in message.chars() {
        if out.len() > MOST_BYTES {
            return out + "…";
        }
        if c.is_control() && c != '\n' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}
