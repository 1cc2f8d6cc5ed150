//! The control socket of a running daemon, and the daemon that has nothing to do.
use std::os::unix::fs::PermissionsExt;

use edgemill_control::{Client, DaemonState, SOCKET};
use edgemill_model::manifest::Boards;

use crate::keys::{open, package, release, signed_site};
use crate::site::Site;

#[test]
fn without_configuration_the_daemon_idles_and_says_what_to_do() {
    let site = Site::new();
    let daemon = site.start();
    let status = daemon.wait_until(|_| true);
    assert_eq!(status.daemon.state, DaemonState::Idle);
    assert_eq!(status.daemon.pid, daemon.pid());
    let log = daemon.stderr();
    assert!(log.contains("no pipelines") && log.contains("pipelines/"), "{log}");
    daemon.signal("TERM");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!site.run_folder().join(SOCKET).exists(), "the socket goes with the daemon");
}

#[test]
fn the_socket_is_for_owner_and_group_and_a_dead_daemon_is_told_as_such() {
    let site = Site::new();
    let daemon = site.start();
    daemon.wait_until(|_| true);
    let mode = site.run_folder().join(SOCKET).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    daemon.signal("KILL");
    daemon.wait();
    let message = Client::connect(&site.run_folder()).unwrap_err().to_string();
    assert!(message.starts_with("no daemon is running"), "{message}");
    let second = site.start();
    second.wait_until(|_| true);
}

#[test]
fn a_second_daemon_on_the_same_store_or_socket_is_refused() {
    let (site, ring) = signed_site();
    let first = site.start();
    first.wait_until(|_| true);
    let path = package(&site, &ring, "1.emp", release(1, Boards::Any));
    first.client().install(&open(&path)).unwrap();
    let second = site.start().wait();
    assert_eq!(second.code, Some(5), "{}", second.stderr);
    let pid = first.pid().to_string();
    assert!(
        second.stderr.contains("is in use by process") || second.stderr.contains(&pid),
        "{}",
        second.stderr
    );
    assert!(first.client().status().is_ok(), "the first goes on");
}

#[test]
fn models_are_installed_activated_and_rolled_back_through_the_daemon() {
    let (site, ring) = signed_site();
    let daemon = site.start();
    daemon.wait_until(|_| true);
    assert_eq!(daemon.client().models().unwrap(), []);
    let install = |counter: u64| {
        let path = package(&site, &ring, "it.emp", release(counter, Boards::Any));
        daemon.client().install(&open(&path)).unwrap()
    };
    assert_eq!(install(1).slot, "active");
    let second = install(2);
    assert_eq!((second.version.as_str(), second.slot.as_str()), ("2.0.0", "candidate"));
    let slots = || -> Vec<(String, u64)> {
        let models = daemon.client().models().unwrap();
        models[0].slots.iter().map(|slot| (slot.slot.clone(), slot.counter)).collect()
    };
    let named = |slots: &[(&str, u64)]| -> Vec<(String, u64)> {
        slots.iter().map(|(slot, counter)| ((*slot).to_owned(), *counter)).collect()
    };
    assert_eq!(slots(), named(&[("active", 1), ("candidate", 2)]));
    daemon.client().activate("light").unwrap();
    assert_eq!(slots(), named(&[("active", 2), ("previous", 1)]));
    daemon.client().rollback("light").unwrap();
    assert_eq!(slots(), named(&[("active", 1), ("candidate", 2)]));
    let message = daemon.client().rollback("light").unwrap_err().to_string();
    assert!(message.contains("model `light` has no previous package"), "{message}");
    let message = daemon.client().activate("dark").unwrap_err().to_string();
    assert!(message.contains("no model `dark`"), "{message}");
}
