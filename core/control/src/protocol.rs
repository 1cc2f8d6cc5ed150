//! What is asked and what is answered.
use serde::{Deserialize, Serialize};

use crate::status::Status;

/// Of this protocol. A daemon answers only its own.
pub const VERSION: u32 = 1;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How it goes. Right: view.
    Status,
    /// Read the configuration again, as SIGHUP does. Right: activate.
    Reload,
    /// Stop in order, as SIGTERM does. Right: activate.
    Stop,
    /// The models of the store. Right: view.
    ModelList,
    /// Bring a package, which comes as a descriptor, into the store. Right: install.
    ModelInstall,
    /// Make the candidate active.  Right: activate.
    ModelActivate {
        /// Whose.
        model: String,
    },
    /// Go back to the previous. Right: rollback.
    ModelRollback {
        /// Whose.
        model: String,
    },
}

/// The answer to a request that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// To status.
    Status(Box<Status>),
    /// To reload, stop, activate and rollback: what was done, for a person.
    Done(String),
    /// To model-list.
    Models(Vec<ModelStatus>),
    /// To model-install.
    Installed(Installed),
}

/// A package that is now in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Its model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The slot it is in: `active` where the model is new, else `candidate`.
    pub slot: String,
}

/// A model and what is in its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelStatus {
    /// Its name.
    pub model: String,
    /// No package with a lower security counter is taken any more.
    pub floor: u64,
    /// Those that are filled.
    pub slots: Vec<SlotStatus>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotStatus {
    /// `active`, `candidate` or `previous`.
    pub slot: String,
    /// Of the model in it.
    pub version: String,
    /// Its security counter.
    pub counter: u64,
    /// SHA-256 of its package, in hexadecimal.
    pub digest: String,
    /// Bytes of its package.
    pub bytes: u64,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For a person: what, where and the next step.
    pub message: String,
}

/// The classes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The request is not one, or of another version.
    BadRequest,
    /// `access.toml` does not give the caller this right.
    Denied,
    /// The new configuration has errors; the old one runs on.
    Configuration,
    /// The store or the package.
    Model,
    /// Not now: the same request may succeed later.
    Busy,
}

impl Failure {
    /// A failure of `kind`.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// A request's line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestLine {
    pub version: u32,
    pub request: Request,
}

/// An answer's line; exactly one of the two is there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyLine {
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Reads a request; the version is looked at first, so that a newer client is told so and not of an unknown word.
pub(crate) fn read_request(line: &[u8]) -> Result<Request, Failure> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bad = |message: String| Failure::new(FailureKind::BadRequest, message);
    let unread = |error: serde_json::Error| {
        let told: String =
            error.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        bad(format!("the request cannot be read: {told}"))
    };
    let Versioned { version } = serde_json::from_slice(line).map_err(unread)?;
    if version != VERSION {
        return Err(bad(format!(
            "the client speaks version {version} of the control protocol, the daemon version \
             {VERSION}; use the edgemill tool of the daemon's release"
        )));
    }
    let line: RequestLine = serde_json::from_slice(line).map_err(unread)?;
    Ok(line.request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_documented_form() {
        let cases = [
            (r#"{"version":1,"request":"status"}"#, Request::Status),
            (r#"{"version":1,"request":"model-install"}"#, Request::ModelInstall),
            (
                r#"{"version":1,"request":{"model-rollback":{"model":"m"}}}"#,
                Request::ModelRollback { model: "m".into() },
            ),
        ];
        for (text, request) in cases {
            assert_eq!(read_request(text.as_bytes()), Ok(request.clone()));
            let line = RequestLine { version: VERSION, request };
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        let cases = [
            ("", "cannot be read"),
            (r#"{"request":"status"}"#, "missing field `version`"),
            (r#"{"version":2,"request":"dance"}"#, "speaks version 2"),
            (r#"{"version":1,"request":"dance"}"#, "unknown variant `dance`"),
            (r#"{"version":1,"request":"status","extra":1}"#, "unknown field `extra`"),
            (r#"{"version":1,"request":{"model-activate":{"modl":"m"}}}"#, "unknown field `modl`"),
        ];
        for (text, message) in cases {
            let failure = read_request(text.as_bytes()).unwrap_err();
            assert_eq!(failure.kind, FailureKind::BadRequest);
            assert!(failure.message.contains(message), "{text}: {failure}");
        }
    }
}
