//! The unit files, judged by systemd's own tools.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What to do where a tool is absent.
const APT: &str = "sudo apt-get install -y --no-install-recommends systemd";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

const UNITS: [&str; 2] = ["edgemill.service", "edgemill-keys.service"];

fn tool(name: &str, arguments: &[&str]) -> Output {
    Command::new(name)
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}; install it: {APT}"))
}

#[test]
fn the_units_expose_less_than_2_0() {
    for unit in UNITS {
        let unit = folder().join(unit);
        let unit = unit.to_str().expect("UTF-8");
        let judged = tool(
            "systemd-analyze",
            &["security", "--no-pager", "--offline=true", "--threshold=20", unit],
        );
        let text = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{text}{}", String::from_utf8_lossy(&judged.stderr));
        assert!(text.contains("Overall exposure level"), "{text}");
    }
}

#[test]
fn every_line_of_the_units_is_one_that_systemd_knows() {
    for unit in UNITS {
        let unit = folder().join(unit);
        let unit = unit.to_str().expect("UTF-8");
        let judged = tool("systemd-analyze", &["verify", "--man=no", unit]);
        let said = String::from_utf8_lossy(&judged.stderr);
        let unknown =
            said.lines().find(|line| line.contains("Unknown") || line.contains("Failed to parse"));
        assert_eq!(unknown, None, "{said}");
    }
}

#[test]
fn pinning_is_not_filtered_away() {
    let unit = std::fs::read_to_string(folder().join("edgemill.service")).expect("the unit");
    let filters: Vec<&str> =
        unit.lines().filter(|line| line.starts_with("SystemCallFilter=")).collect();
    assert!(filters[0].contains("@system-service"), "{filters:?}");
    assert!(filters.iter().all(|line| !line.contains("@resources")), "{filters:?}");
}

#[test]
fn users_and_folders_are_well_formed() {
    let root = std::env::temp_dir().join(format!("edgemill-sysusers-{}", std::process::id()));
    std::fs::create_dir_all(root.join("etc")).expect("a folder");
    let inside = format!("--root={}", root.display());
    let users = folder().join("edgemill.sysusers");
    let made = tool("systemd-sysusers", &[&inside, users.to_str().expect("UTF-8")]);
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let folders = folder().join("edgemill.tmpfiles");
    let created =
        tool("systemd-tmpfiles", &["--create", &inside, folders.to_str().expect("UTF-8")]);
    let there = root.join("etc/edgemill/pipelines").is_dir();
    std::fs::remove_dir_all(&root).expect("removed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(passwd.contains("edgemill:"), "{passwd}");
    // Only root may give folders away; whatever else is said is a line that systemd does not take.
    let said = String::from_utf8_lossy(&created.stderr);
    assert!(there && said.lines().all(|line| line.ends_with("Operation not permitted")), "{said}");
}
