//! Requests over the control socket: who may ask, and who carries them out.
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edgemill_config::{Access, Right, Rights, printable};
use edgemill_control::{
    Caller, Failure, FailureKind, Handler, Listener, Reply, Request, Responder, Status,
};
use edgemill_linux::{event::Waker, process};

use crate::change::Changed;
use crate::keeper::Job;
use crate::log::{self, Level};
use crate::reload::Asker;

/// What the supervisor's thread is asked to do.
pub enum Command {
    /// Say how it goes.
    Status(std::sync::mpsc::SyncSender<Box<Status>>),
    /// Read the configuration again; answer when that is done or refused.
    Reload(Option<Asker>),
    /// Stop in order.
    Stop(Responder),
    /// From the thread that changes the configuration: what has come of it.
    Changed(Box<Result<Changed, crate::exit::Failure>>),
}

/// The way to the supervisor's thread.
#[derive(Clone)]
pub struct Desk {
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

impl Desk {
    /// Puts commands into `commands` and rings `waker`.
    pub fn new(commands: Sender<Command>, waker: Arc<Waker>) -> Self {
        Self { commands, waker }
    }

    /// Asks. A supervisor that is gone drops the command, and with it the client is told.
    pub fn ask(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }
}

/// What access.toml says now; a reload replaces it.
#[derive(Clone)]
pub struct Door(Arc<Mutex<Access>>);

impl Door {
    /// As the file says.
    pub fn new(access: Access) -> Self {
        Self(Arc::new(Mutex::new(access)))
    }

    /// From now on as another file says.
    pub fn replace(&self, access: Access) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// Root and the daemon's own user own the store anyway.
    fn rights_of(&self, uid: u32) -> Rights {
        if uid == 0 || uid == process::user() {
            return Rights::all();
        }
        let access = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        access.rights_of(&user_name(uid))
    }

    fn admit(&self, caller: Caller, right: Right) -> Result<(), Failure> {
        if self.rights_of(caller.uid).has(right) {
            return Ok(());
        }
        let user = printable(&user_name(caller.uid), 48);
        let word = right.word();
        let message = format!(
            "user `{user}` may not {word}; add to access.toml:  [[user]] name = \"{user}\", may = [\"{word}\"] (a line each)"
        );
        Err(Failure::new(FailureKind::Denied, message))
    }
}

/// Of /etc/passwd, where system users stand; else the number. Other directories of users are not asked: that would
/// load foreign libraries into the daemon.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&passwd, uid).unwrap_or_else(|| uid.to_string())
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// Answers requests, on the control thread.
pub struct Service {
    /// Who may what.
    pub door: Door,
    /// For status, reload and stop.
    pub desk: Desk,
    /// For everything about models.
    pub store: Sender<Job>,
    /// Who was refused for want of a right.
    pub denials: Refusals,
    /// Who sent what is no request.
    pub nonsense: Refusals,
}

/// Tells the log of refusals, one a second and the number of the others: whoever may connect must not fill a disk.
#[derive(Default)]
pub struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    fn tell(&mut self, caller: Caller, failure: &Failure) {
        if self.told.is_some_and(|told| told.elapsed() < Duration::from_secs(1)) {
            self.untold += 1;
            return;
        }
        let others = match std::mem::take(&mut self.untold) {
            0 => String::new(),
            count => format!(" ({count} more refused before)"),
        };
        self.told = Some(Instant::now());
        log::line(Level::Warn, "control", &format!("uid {}: {failure}{others}", caller.uid));
    }
}

/// The supervisor's thread looks up many times a second.
const PATIENCE: Duration = Duration::from_secs(5);

impl Handler for Service {
    fn handle(
        &mut self,
        caller: Caller,
        request: Request,
        file: Option<OwnedFd>,
        responder: Responder,
    ) {
        if let Err(denied) = self.door.admit(caller, right(&request)) {
            self.denials.tell(caller, &denied);
            return responder.send(Err(denied));
        }
        match request {
            Request::Status => responder.send(self.status()),
            Request::Reload => {
                self.desk.ask(Command::Reload(Some(Asker { responder, done: None })));
            }
            Request::Stop => self.desk.ask(Command::Stop(responder)),
            Request::ModelList => self.store(Job::List(responder)),
            Request::ModelActivate { model } => self.store(Job::Activate(model, responder)),
            Request::ModelRollback { model } => self.store(Job::Rollback(model, responder)),
            Request::ModelInstall => match file {
                Some(file) => self.store(Job::Install(file.into(), responder)),
                None => responder.send(Err(Failure::new(
                    FailureKind::BadRequest,
                    "no file came with the request; send the package as an open descriptor",
                ))),
            },
        }
    }

    fn refused(&mut self, caller: Caller, failure: &Failure) {
        self.nonsense.tell(caller, failure);
    }
}

impl Service {
    /// Dropped with its responder when the store's thread is gone: the client is told.
    fn store(&self, job: Job) {
        let _ = self.store.send(job);
    }

    fn status(&self) -> Result<Reply, Failure> {
        let (sender, receiver) = sync_channel(1);
        self.desk.ask(Command::Status(sender));
        match receiver.recv_timeout(PATIENCE) {
            Ok(status) => Ok(Reply::Status(status)),
            Err(_) => {
                Err(Failure::new(FailureKind::Busy, "the daemon is stopping; ask again later"))
            }
        }
    }
}

fn right(request: &Request) -> Right {
    match request {
        Request::Status | Request::ModelList => Right::View,
        Request::Reload | Request::Stop | Request::ModelActivate { .. } => Right::Activate,
        Request::ModelInstall => Right::Install,
        Request::ModelRollback { .. } => Right::Rollback,
    }
}

/// The control thread's work.
pub fn serve(listener: &Listener, mut service: Service, stop: &Waker) {
    if let Err(error) = listener.serve(&mut service, stop) {
        log::line(Level::Error, "control", &error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn users_are_known_by_the_name_in_passwd() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbad\noperator:x:1000:1000:O:/:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("operator"));
        assert_eq!(name_in(passwd, 1001), None);
    }

    #[test]
    fn only_root_and_the_daemon_need_no_entry() {
        let text = "[[user]]\nname = \"4000000001\"\nmay = [\"view\"]\n";
        let door = Door::new(Access::parse(text, Path::new("access.toml")).unwrap());
        let admits = |uid, right| door.admit(Caller { uid, pid: 1 }, right).is_ok();
        assert!(admits(0, Right::Install) && admits(process::user(), Right::Rollback));
        assert!(admits(4_000_000_001, Right::View) && !admits(4_000_000_001, Right::Install));
        assert!(!admits(4_000_000_002, Right::View));
        let denied = door.admit(Caller { uid: 4_000_000_002, pid: 1 }, Right::View).unwrap_err();
        assert!(denied.message.contains("may not view; add to access.toml"), "{denied}");
    }
}
