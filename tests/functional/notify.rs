//! What the service manager is told: the datagrams of sd_notify(3), on a socket of our own.
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::site::{Daemon, PATIENCE, Site};

struct Manager(UnixDatagram);

impl Manager {
    fn start(site: &Site) -> (Self, Daemon) {
        let path = site.folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let daemon = site.start_with(&[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "200000"),
            ("JOURNAL_STREAM", "8:1"),
        ]);
        (Self(socket), daemon)
    }

    /// Everything that is told until a line begins so.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut told = Vec::new();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let mut bytes = [0; 4096];
            let Ok(length) = self.0.recv(&mut bytes) else { continue };
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let found = text.lines().any(|line| line.starts_with(wanted));
            told.extend(text.lines().map(str::to_owned));
            if found {
                return told;
            }
        }
        panic!("never told {wanted}: {told:?}");
    }
}

#[test]
fn the_manager_is_told_of_start_life_reload_and_end() {
    let site = Site::new();
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = { role = \"source\", pace-us = 1000 }\n\
        [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = { role = \"sink\" }\ninput = \"source\"\n";
    let file = site.plugin("probe").pipeline("p", stages);
    let (manager, daemon) = Manager::start(&site);
    manager.until("READY=1");
    manager.until("STATUS=running: p");
    manager.until("WATCHDOG=1");
    manager.until("WATCHDOG=1");
    std::fs::write(&file, "name = \"p").unwrap();
    daemon.signal("HUP");
    let told = manager.until("RELOADING=1");
    assert!(told.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{told:?}");
    manager.until("READY=1");
    daemon.signal("TERM");
    manager.until("STOPPING=1");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let graded = |line: &str| line.starts_with('<') && line[2..].starts_with('>');
    assert!(ended.stderr.lines().all(graded), "each line says how grave it is:\n{}", ended.stderr);
    assert!(ended.stderr.contains("<3>"), "the bad file is an error:\n{}", ended.stderr);
}
