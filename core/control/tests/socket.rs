//! Client and listener over a real socket.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use edgemill_control::{
    Caller, Client, ClientError, Failure, FailureKind, Handler, Installed, Listener, Reply,
    Request, Responder, SOCKET, ServerError,
};
use edgemill_linux::event::Waker;

/// A listener on a thread of its own, in a folder of its own.
struct Daemon {
    run: PathBuf,
    stop: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let run =
            std::env::temp_dir().join(format!("edgemill-control-{}-{number}", std::process::id()));
        let listener = Listener::bind(&run).unwrap();
        let stop = Arc::new(Waker::new().unwrap());
        let waker = stop.clone();
        let thread = std::thread::spawn(move || listener.serve(&mut Answers, &waker).unwrap());
        Self { run, stop, thread: Some(thread) }
    }

    fn client(&self) -> Client {
        Client::connect(&self.run).unwrap()
    }

    fn stream(&self) -> UnixStream {
        UnixStream::connect(self.run.join(SOCKET)).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.wake();
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.run.join(SOCKET).exists(), "the socket is removed at the end");
        assert!(!self.run.exists(), "and the folder that was made for it");
    }
}

/// Reload answers from another thread, stop drops its responder, install reads the file.
struct Answers;

impl Handler for Answers {
    fn handle(
        &mut self,
        caller: Caller,
        request: Request,
        file: Option<OwnedFd>,
        responder: Responder,
    ) {
        match request {
            Request::Reload => {
                let message = format!("uid {}", caller.uid);
                std::thread::spawn(move || responder.send(Ok(Reply::Done(message))));
            }
            Request::ModelInstall => {
                let mut model = String::new();
                File::from(file.unwrap()).read_to_string(&mut model).unwrap();
                let installed = Installed { model, version: "1".into(), slot: "active".into() };
                responder.send(Ok(Reply::Installed(installed)));
            }
            Request::ModelRollback { model } => {
                responder.send(Err(Failure::new(FailureKind::Denied, format!("not {model}"))));
            }
            Request::ModelList => responder.send(Ok(Reply::Done("wrong".into()))),
            _ => drop(responder),
        }
    }

    fn refused(&mut self, _: Caller, failure: &Failure) {
        assert_eq!(failure.kind, FailureKind::BadRequest);
    }
}

#[test]
fn the_socket_is_only_for_owner_and_group() {
    let daemon = Daemon::start();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(daemon.run.join(SOCKET)), 0o660);
    assert_eq!(mode(daemon.run.clone()) & !0o750, 0);
}

#[test]
fn requests_are_answered_from_any_thread_and_the_caller_is_known() {
    let daemon = Daemon::start();
    let uid = edgemill_linux::process::user();
    assert_eq!(daemon.client().reload().unwrap(), format!("uid {uid}"));
}

#[test]
fn a_file_travels_as_a_descriptor() {
    let daemon = Daemon::start();
    let path = daemon.run.join("package");
    std::fs::write(&path, "light").unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(daemon.client().install(&file).unwrap().model, "light");
}

#[test]
fn each_refusal_says_why() {
    let daemon = Daemon::start();
    let refused = daemon.client().rollback("m").unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused(failure) if failure.kind == FailureKind::Denied)
    );
    assert_eq!(refused.to_string(), "not m");
    let busy = daemon.client().stop().unwrap_err();
    assert!(matches!(&busy, ClientError::Refused(failure) if failure.kind == FailureKind::Busy));
    let confused = daemon.client().models().unwrap_err().to_string();
    assert!(confused.contains("`done` answers another question"), "{confused}");
}

#[test]
fn no_daemon_is_said_plainly() {
    let run = std::env::temp_dir().join("edgemill-control-nobody");
    let message = Client::connect(&run).unwrap_err().to_string();
    assert!(message.starts_with("no daemon is running: nobody listens at "), "{message}");
    std::fs::create_dir_all(&run).unwrap();
    drop(std::os::unix::net::UnixListener::bind(run.join(SOCKET)).unwrap());
    let message = Client::connect(&run).unwrap_err().to_string();
    std::fs::remove_dir_all(&run).unwrap();
    assert!(message.starts_with("no daemon is running"), "{message}");
}

#[test]
fn a_second_daemon_is_refused_and_a_dead_one_replaced() {
    let daemon = Daemon::start();
    assert!(matches!(Listener::bind(&daemon.run), Err(ServerError::InUse(_))));
    assert!(daemon.client().reload().is_ok());
    let run = std::env::temp_dir().join(format!("edgemill-control-dead-{}", std::process::id()));
    std::fs::create_dir_all(&run).unwrap();
    drop(std::os::unix::net::UnixListener::bind(run.join(SOCKET)).unwrap());
    let listener = Listener::bind(&run).unwrap();
    assert!(run.join(SOCKET).exists());
    drop(listener);
    std::fs::remove_dir_all(&run).unwrap();
}

fn answer(mut stream: UnixStream, text: &[u8]) -> String {
    let _ = stream.write_all(text);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn bad_lines_are_refused_and_hold_nobody_up() {
    let daemon = Daemon::start();
    let silent: Vec<UnixStream> = (0..3).map(|_| daemon.stream()).collect();
    let cases: [(&[u8], &str); 5] = [
        (b"\n", "cannot be read"),
        (b"nonsense\n", "cannot be read"),
        (b"{\"version\":9,\"request\":\"status\"}\n", "speaks version 9"),
        (&[b'x'; 5000], "longer than 4096 bytes"),
        (b"\xff\x00\x1b\n", "cannot be read"),
    ];
    for (text, expected) in cases {
        let answer = answer(daemon.stream(), text);
        assert!(answer.contains(expected) && answer.len() < 4096, "{expected}: {answer}");
        assert!(!answer.contains('\x1b'));
    }
    assert!(daemon.client().reload().is_ok());
    let answer = answer(silent.into_iter().next().unwrap(), b"");
    assert!(answer.contains("did not come in time"), "{answer}");
}
