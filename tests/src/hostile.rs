//! A local user who means ill: everything that can be sent to the control socket, and every door beside it.
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use edgemill_linux::socket::send_with_descriptor;
use serde_json::{Value, json};

/// What came of it all.
#[derive(Debug, Default)]
pub struct Report {
    /// The daemon let this user in.
    pub connections: u64,
    /// The daemon said that this user may not.
    pub denied: u64,
    /// The daemon said that this is no request.
    pub bad_request: u64,
    /// Other refusals.
    pub refused: u64,
    /// Requests that were carried out.
    pub done: u64,
    /// The daemon closed without a word, or the client had left.
    pub closed: u64,
    /// Requests that came with a descriptor.
    pub descriptors: u64,
    /// Doors that were tried beside the socket.
    pub doors: u64,
}

impl Report {
    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let Self { connections, denied, bad_request, refused, done, closed, descriptors, doors } =
            self;
        json!({
            "connections": connections, "denied": denied, "bad_request": bad_request, "refused": refused,
            "done": done, "closed": closed, "descriptors": descriptors, "doors": doors,
        })
    }
}

/// Who attacks which daemon.
pub struct Attacker {
    /// Its run folder.
    run: PathBuf,
    state: u64,
    /// Whether the daemon may carry out what is asked; then nothing is asked that stops it.
    rights: bool,
    report: Report,
}

type Outcome = Result<(), String>;

impl Attacker {
    /// The same `seed` makes the same attack.
    #[must_use]
    pub fn new(run: &Path, seed: u64, rights: bool) -> Self {
        Self { run: run.to_owned(), state: seed, rights, report: Report::default() }
    }

    /// Attacks the socket for as long as that.
    ///
    /// # Errors
    /// The daemon does not answer, answers in no form, or does what this user may not.
    pub fn attack(mut self, during: Duration) -> Result<Report, String> {
        let until = Instant::now() + during;
        while Instant::now() < until {
            match self.below(8) {
                0 => self.noise()?,
                1 => self.too_long()?,
                2 => self.wrong_version()?,
                3 => self.nearly_right()?,
                4 => self.right()?,
                5 => self.descriptor()?,
                6 => self.leave()?,
                _ => self.crowd()?,
            }
        }
        Ok(self.report)
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// `None`: this user is not let in at all.
    fn connect(&mut self) -> Result<Option<UnixStream>, String> {
        match UnixStream::connect(self.run.join("control.sock")) {
            Ok(stream) => {
                self.report.connections += 1;
                let limit = Some(Duration::from_secs(30));
                let set = stream.set_read_timeout(limit).and(stream.set_write_timeout(limit));
                set.map(|()| Some(stream)).map_err(|error| error.to_string())
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                std::thread::sleep(Duration::from_millis(10));
                Ok(None)
            }
            Err(error) => Err(format!("the daemon is gone: {error}")),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Outcome {
        let Some(mut stream) = self.connect()? else { return Ok(()) };
        // The daemon may close before it has read all.
        let _ = stream.write_all(bytes);
        self.hear(&stream)
    }

    /// One line with a refusal, or nothing.
    fn hear(&mut self, mut stream: &UnixStream) -> Outcome {
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err("the daemon does not answer".into());
            }
            _ if answer.is_empty() => {
                self.report.closed += 1;
                return Ok(());
            }
            _ => (),
        }
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let said: Value = serde_json::from_slice(&answer)
            .map_err(|error| format!("an answer that is none ({error}): {shown}"))?;
        match said["failure"]["kind"].as_str() {
            Some("denied") => self.report.denied += 1,
            Some("bad-request") => self.report.bad_request += 1,
            Some(_) => self.report.refused += 1,
            None if self.rights => self.report.done += 1,
            None => return Err(format!("it was carried out: {shown}")),
        }
        Ok(())
    }

    fn noise(&mut self) -> Outcome {
        let count = self.below(4096);
        let mut bytes = self.bytes(count);
        bytes.push(b'\n');
        self.say(&bytes)
    }

    fn too_long(&mut self) -> Outcome {
        let count = 4096 + self.below(1 << 17);
        self.say(&vec![b'{'; usize::try_from(count).unwrap_or(4096)])
    }

    fn wrong_version(&mut self) -> Outcome {
        let version = self.next();
        self.say(format!("{{\"version\":{version},\"request\":\"status\"}}\n").as_bytes())
    }

    /// A request with a few bytes changed; never one that could become a request to stop.
    fn nearly_right(&mut self) -> Outcome {
        let mut line =
            *b"{\"version\":1,\"request\":{\"model-activate\":{\"model\":\"traffic-light\"}}}\n";
        for _ in 0..=self.below(3) {
            let length = u64::try_from(line.len() - 1).unwrap_or(1);
            let at = usize::try_from(self.below(length)).unwrap_or(0);
            line[at] = self.next().to_le_bytes()[0];
        }
        self.say(&line)
    }

    /// A request that whoever has the right may make.
    fn right(&mut self) -> Outcome {
        let all = [
            "\"status\"",
            "\"model-list\"",
            "\"reload\"",
            "\"stop\"",
            "{\"model-activate\":{\"model\":\"traffic-light\"}}",
            "{\"model-rollback\":{\"model\":\"traffic-light\"}}",
        ];
        let some = if self.rights { &all[..2] } else { &all[..] };
        let request = some[usize::try_from(self.below(some.len() as u64)).unwrap_or(0)];
        self.say(format!("{{\"version\":1,\"request\":{request}}}\n").as_bytes())
    }

    /// A descriptor of something that is no package.
    fn descriptor(&mut self) -> Outcome {
        let Some(file) = self.odd_file() else { return Ok(()) };
        let Some(stream) = self.connect()? else { return Ok(()) };
        let line = b"{\"version\":1,\"request\":\"model-install\"}\n";
        if send_with_descriptor(&stream, line, file.as_fd()).is_ok() {
            self.report.descriptors += 1;
        }
        self.hear(&stream)
    }

    fn odd_file(&mut self) -> Option<OwnedFd> {
        let path = match self.below(6) {
            0 => "/dev/null",
            1 => "/dev/zero",
            2 => "/dev/urandom",
            3 => "/",
            4 => "/proc/self/mem",
            _ => return UnixStream::pair().ok().map(|(one, _)| one.into()),
        };
        File::open(path).ok().map(Into::into)
    }

    /// Goes before the answer, or in the middle of the request.
    fn leave(&mut self) -> Outcome {
        for _ in 0..50 {
            let Some(mut stream) = self.connect()? else { return Ok(()) };
            let _ = stream.write_all(b"{\"version\":1,");
            self.report.closed += 1;
        }
        Ok(())
    }

    /// Many who say nothing, then one who does.
    fn crowd(&mut self) -> Outcome {
        let mut crowd = Vec::new();
        for _ in 0..64 {
            match self.connect()? {
                Some(stream) => crowd.push(stream),
                None => return Ok(()),
            }
        }
        self.report.closed += 64;
        drop(crowd);
        self.noise()
    }

    /// Tries every door beside the socket that a user has no business at.
    ///
    /// # Errors
    /// Those that opened.
    pub fn trespass(&mut self) -> Outcome {
        let mut opened = Vec::new();
        for (door, tried) in self.doors() {
            self.report.doors += 1;
            if tried {
                opened.push(door);
            }
        }
        if opened.is_empty() { Ok(()) } else { Err(format!("it could {}", opened.join(", "))) }
    }

    fn doors(&self) -> Vec<(String, bool)> {
        let run = &self.run;
        let mut doors = Vec::new();
        let mut door = |what: String, tried: bool| doors.push((what, tried));
        for file in READ {
            door(format!("read {file}"), File::open(file).is_ok());
        }
        for folder in LISTED {
            door(format!("list {folder}"), fs::read_dir(folder).is_ok());
        }
        for file in WRITTEN {
            let file = Path::new(file);
            let created = OpenOptions::new().append(true).create(true).open(file).is_ok();
            door(format!("write {}", file.display()), created);
        }
        for name in ["control.sock.new", "control.new", "actuators.json.new", "x"] {
            let made = symlink("/etc/passwd", run.join(name)).is_ok();
            door(format!("make {name} in the run folder"), made);
        }
        door("remove the socket".into(), fs::remove_file(run.join("control.sock")).is_ok());
        door("read the actuators".into(), File::open(run.join("actuators.json")).is_ok());
        if let Some(pid) = daemon() {
            for file in ["mem", "environ", "maps", "root/etc/passwd"] {
                let path = format!("/proc/{pid}/{file}");
                door(format!("open {path}"), fs::read(&path).is_ok());
            }
            for signal in ["9", "STOP", "HUP"] {
                let mut kill = Command::new("sh");
                kill.args(["-c", &format!("kill -{signal} {pid}")]).stderr(Stdio::null());
                door(format!("send {signal}"), kill.status().is_ok_and(|it| it.success()));
            }
        }
        doors
    }
}

const READ: [&str; 6] = [
    "/etc/credstore.encrypted/store.key",
    "/run/credentials/edgemill.service/store.key",
    "/var/lib/systemd/credential.secret",
    "/var/lib/edgemill/store/state",
    "/dev/gpiochip0",
    "/dev/video0",
];
const LISTED: [&str; 3] = ["/etc/edgemill/keys", "/var/lib/edgemill", "/etc/credstore.encrypted"];
const WRITTEN: [&str; 6] = [
    "/etc/edgemill/access.toml",
    "/etc/edgemill/board.toml",
    "/etc/edgemill/pipelines/x.toml",
    "/etc/edgemill/trust/root.pub",
    "/usr/lib/edgemill/plugins/x.so",
    "/etc/systemd/system/edgemill.service.d/x.conf",
];

/// The process of a daemon on this machine.
fn daemon() -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        (name.trim() == "edgemilld").then(|| entry.file_name().to_str()?.parse().ok())?
    })
}
