//! Everything a person can get wrong: each has its exit code, a message that names file, line or object and the next
//! step, and changes nothing on disk.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use edgemill_control::{DaemonState, Status};
use edgemill_model::manifest::Boards;
use edgemill_store::author::KeyRing;

use crate::c_plugins::{build, picture_sink};
use crate::keys::{open, package, release, sign, signed_site};
use crate::programs;
use crate::site::{Site, snapshot};

/// A pipeline of two probes, with these lines for the source and for the sink.
fn two(source: &str, sink: &str) -> String {
    format!(
        "[[stage]]\nname = \"source\"\n{source}\n[[stage]]\nname = \"sink\"\n{sink}\ninput = \"source\"\n"
    )
}

const SOURCE: &str = "plugin = \"probe\"\nparams = { role = \"source\", count = 1 }";
const SINK: &str = "plugin = \"probe\"\nparams = { role = \"sink\" }";

/// Everything but what a run writes by its nature: its own log.
fn disk(site: &Site) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = snapshot(&site.folder);
    files.remove(&site.folder.join("stderr.log"));
    files
}

/// Both `check` and `run` refuse, alike, and leave the disk as it was.
fn refused(site: &Site, case: &str, exit: i32, said: &[&str]) {
    let before = disk(site);
    let file = site.folder.join("pipelines/p.toml");
    let checked = site.check(&file, false);
    let message = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(exit), "{case}, check: {message}");
    fits(case, &message, said);
    assert_eq!(before, disk(site), "{case}: check changed the disk");
    let ran = site.start().wait();
    assert_eq!(ran.code, Some(exit), "{case}, run: {}", ran.stderr);
    fits(case, &ran.stderr, said);
    assert_eq!(before, disk(site), "{case}: run changed the disk");
}

fn fits(case: &str, message: &str, said: &[&str]) {
    for words in said {
        assert!(message.contains(words), "{case}: {message}\nlacks {words}");
    }
    assert!(message.len() < 4096, "{case}: {} bytes", message.len());
    assert!(message.chars().all(|c| c == '\n' || !c.is_control()), "{case}: {message:?}");
}

#[test]
fn files_that_are_wrong() {
    let cases: [(&str, String, &[&str]); 9] = [
        ("malformed", "[[stage".into(), &["p.toml:2:", "correct this line"]),
        (
            "unknown key",
            two(SOURCE, &format!("{SINK}\nprioriti = 3")),
            &["p.toml:10:1", "did you mean `priority`?"],
        ),
        (
            "control characters",
            two(SOURCE, "plugin = \"pro\\u001b[2Jbe\""),
            &["p.toml:8:10", "pro\\u{1b}[2Jbe"],
        ),
        (
            "a cycle",
            "[[stage]]\nname = \"a\"\nplugin = \"probe\"\ninput = \"b\"\n\
             [[stage]]\nname = \"b\"\nplugin = \"probe\"\ninput = \"a\"\n"
                .into(),
            &["p.toml:7:8", "circle: b → a → b"],
        ),
        (
            "an unknown parameter",
            two(SOURCE, "plugin = \"probe\"\nparams = { role = \"sink\", byts = 3 }"),
            &["p.toml:9:34", "`byts`", "did you mean `bytes`?"],
        ),
        (
            "a parameter out of range",
            two(SOURCE, "plugin = \"probe\"\nparams = { role = \"sink\", bytes = 0 }"),
            &["p.toml:9:35", "`bytes` is 0"],
        ),
        (
            "ports that do not fit",
            two(SOURCE, "plugin = \"probe\"\nparams = { role = \"sink\", bytes = 3 }"),
            &["p.toml:10:9", "sink.in", "source.out", "source is at "],
        ),
        (
            "an input that is not there",
            two(SOURCE, "plugin = \"probe\"\nparams = { role = \"sink\", inputs = 2 }"),
            &["p.toml:7:8", "its inputs are: in0, in1"],
        ),
        (
            "an unknown source",
            two("source = \"webcam\"", SINK),
            &["p.toml:4:10", "`webcam` is no source", "v4l"],
        ),
    ];
    for (case, stages, said) in cases {
        let site = Site::new();
        site.plugin("probe").pipeline("p", &stages);
        refused(&site, case, 3, said);
    }
}

/// The plugin's file as something else.
fn spoilt(site: &Site, spoil: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    site.plugin("probe");
    let path = site.folder.join("plugins/probe.so");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, spoil(bytes)).unwrap();
}

/// The fault, how the site gets it, and what is said.
type Case<'a> = (&'a str, &'a dyn Fn(&Site), &'a [&'a str]);

#[test]
fn plugins_that_are_none() {
    let other_machine: u8 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    let cases: [Case<'_>; 6] = [
        (
            "missing",
            &|site| {
                site.plugin("probe");
                let name = site.folder.join("plugins/probe.so");
                fs::rename(name, site.folder.join("plugins/prob.so")).unwrap();
            },
            &["p.toml:4:10", "plugin `probe` is not in ", "did you mean `prob`?"],
        ),
        (
            "no ELF file",
            &|site| spoilt(site, |_| b"#!/bin/sh\necho no\n".to_vec()),
            &["p.toml:4:10", "probe.so", "ELF"],
        ),
        ("empty", &|site| spoilt(site, |_| Vec::new()), &["p.toml:4:10", "probe.so"]),
        (
            "another architecture",
            &|site| {
                spoilt(site, |mut bytes| {
                    bytes[18] = other_machine;
                    bytes
                });
            },
            &["p.toml:4:10", "probe.so", "built for"],
        ),
        (
            "truncated",
            &|site| {
                spoilt(site, |mut bytes| {
                    bytes.truncate(1000);
                    bytes
                });
            },
            &["p.toml:4:10", "probe.so"],
        ),
        (
            "no plugin",
            &|site| {
                let library = fs::read(programs::file("libprobe.so")).unwrap();
                let renamed = replace_all(&library, b"edgemill_entry", b"edgemill_entrx");
                fs::write(site.folder.join("plugins/probe.so"), renamed).unwrap();
            },
            &["p.toml:4:10", "probe.so", "edgemill_entry"],
        ),
    ];
    for (case, prepare, said) in cases {
        let site = Site::new();
        site.pipeline("p", &two(SOURCE, SINK));
        prepare(&site);
        refused(&site, case, 4, said);
    }
}

fn replace_all(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in 0..out.len().saturating_sub(from.len()) {
        if out[at..].starts_with(from) {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out
}

#[test]
fn a_plugin_of_another_version_of_the_boundary() {
    let site = Site::new();
    site.pipeline("p", &two(SOURCE, SINK));
    let alien = "__attribute__((visibility(\"default\"))) extern const unsigned edgemill_entry[2];\n\
        const unsigned edgemill_entry[2] = {99, 8};\n";
    build(&site, &site.write("alien.c", alien), "probe");
    let said =
        ["p.toml:4:10", "probe.so", "version 99 of the plugin boundary", "this host's headers"];
    refused(&site, "ABI mismatch", 4, &said);
}

#[test]
fn plugins_that_nobody_signed() {
    let (site, ring) = signed_site();
    site.plugin("probe").pipeline("p", &two(SOURCE, SINK));
    let next = "edgemill plugin sign";
    refused(&site, "no list", 4, &["p.toml:4:10", "probe.so is not signed", next]);
    site.plugin("actuate-log");
    sign(&site, &ring, &["actuate-log"]);
    refused(&site, "not on the list", 4, &["p.toml:4:10", "does not name it", next]);
    sign(&site, &ring, &["probe"]);
    assert_eq!(site.start().wait().code, Some(0), "once signed, it runs");

    let _ = fs::remove_dir_all(site.run_folder());
    let _ = fs::remove_file(site.folder.join("report.json"));
    let library = site.folder.join("plugins/probe.so");
    let mut bytes = fs::read(&library).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&library, bytes).unwrap();
    refused(&site, "changed after signing", 4, &["p.toml:4:10", "SHA-256"]);
    site.plugin("probe");

    let stranger = KeyRing::init(&site.folder.join("stranger")).unwrap();
    sign(&site, &stranger, &["probe"]);
    refused(&site, "signed by a stranger", 4, &["plugins.json"]);

    fs::remove_file(site.folder.join("plugins/plugins.json")).unwrap();
    let trusting = SINK.replace("plugin", "allow-unsigned = true\nplugin");
    let source = SOURCE.replace("plugin", "allow-unsigned = true\nplugin");
    site.pipeline("p", &two(&source, &trusting));
    assert_eq!(site.start().wait().code, Some(0), "where the stage allows it, it runs");
}

#[test]
fn a_camera_that_is_not_there_is_waited_for() {
    let site = Site::new();
    picture_sink(&site);
    let camera = "source = \"v4l\"\nparams = { device = \"/dev/no-such-camera\" }";
    site.pipeline("p", &two(camera, "plugin = \"picture-sink\""));
    let checked = site.check(&site.folder.join("pipelines/p.toml"), false);
    assert_eq!(checked.status.code(), Some(0), "a check opens no device");
    let daemon = site.start();
    let tried = |status: &Status| status.pipelines.iter().any(|it| it.stages[0].reason.is_some());
    let status = daemon.wait_until(tried);
    assert_eq!(status.daemon.state, DaemonState::Degraded);
    assert_eq!(status.pipelines[0].stages[0].state, "restarting");
    std::thread::sleep(Duration::from_secs(1));
    daemon.signal("TERM");
    let ran = daemon.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let said = "camera /dev/no-such-camera is absent";
    assert_eq!(ran.stderr.matches(said).count(), 1, "said once, tried often: {}", ran.stderr);
    fits("camera absent", &ran.stderr, &["p/source", "Connect it, or set `device`"]);
}

#[test]
fn a_recording_that_is_not_there() {
    let site = Site::new();
    picture_sink(&site);
    let replay = "source = \"replay\"\nparams = { path = \"no/such/folder\" }";
    site.pipeline("p", &two(replay, "plugin = \"picture-sink\""));
    refused(&site, "recording absent", 3, &["p.toml:5:19", "no/such/folder"]);
}

#[test]
fn models_that_must_not_be_believed() {
    let (site, ring) = signed_site();
    let daemon = site.start();
    daemon.wait_until(|_| true);
    let good = package(&site, &ring, "5.emp", release(5, Boards::Any));
    daemon.client().install(&open(&good)).unwrap();

    let stranger = KeyRing::init(&site.folder.join("stranger")).unwrap();
    let other = Boards::Named(vec!["qemu-virt".into()]);
    let bytes = fs::read(&good).unwrap();
    let truncated = &bytes[..bytes.len() - 7];
    let mut flipped = bytes.clone();
    let within_body = flipped.len() - 100;
    flipped[within_body] ^= 1;
    let of = |ring, name, counter, boards| package(&site, ring, name, release(counter, boards));
    let cases: [(&str, PathBuf, &str); 6] = [
        ("signed by a stranger", of(&stranger, "s.emp", 6, Boards::Any), "sign"),
        ("for another board", of(&ring, "b.emp", 6, other), "is for boards qemu-virt"),
        ("older", of(&ring, "o.emp", 4, Boards::Any), "below this box's floor 5"),
        ("truncated", write(&site, "t.emp", truncated), "package"),
        ("one bit of the body", write(&site, "f.emp", &flipped), "other than the one signed"),
        ("no package", write(&site, "n.emp", b"hello"), "package"),
    ];
    for (case, path, said) in cases {
        let before = snapshot(&site.folder.join("store"));
        let message = daemon.client().install(&open(&path)).expect_err(case).to_string();
        fits(case, &message, &[said]);
        assert_eq!(before, snapshot(&site.folder.join("store")), "{case}: the store changed");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code, Some(0));
}

fn write(site: &Site, name: &str, bytes: &[u8]) -> PathBuf {
    let path = site.folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn wrong_usage_is_told_with_its_own_code() {
    for arguments in [&["dance"][..], &[], &["run", "--colour"], &["check"]] {
        let output = programs::program("edgemilld").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let help = programs::program("edgemilld").arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(text.contains("Exit codes: 0") && text.contains("fail-safe"), "{text}");
}

#[test]
fn a_check_of_what_is_right_is_a_table_or_json() {
    let site = Site::new();
    let file = site.plugin("probe").pipeline("p", &two(SOURCE, SINK));
    let before = disk(&site);
    let table = site.check(&file, false);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert_eq!(table.status.code(), Some(0), "{}", String::from_utf8_lossy(&table.stderr));
    for words in [
        "pipeline p on board host",
        "plugin probe 0.1.0",
        "out: tensor u8 [64]",
        "→ sink.in (block, 4 may wait)",
    ] {
        assert!(text.contains(words), "{text}\nlacks {words}");
    }
    let json = site.check(&file, true);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let output = &value["pipelines"][0]["stages"][0]["outputs"][0];
    assert_eq!(output["buffer_bytes"], 64, "{value:#}");
    assert!(output["buffers"].as_u64().is_some_and(|count| count >= 6), "{value:#}");
    assert_eq!(before, disk(&site), "check changed the disk");
}

#[test]
fn a_store_that_was_changed_is_refused() {
    let (site, ring) = signed_site();
    let daemon = site.start();
    daemon.wait_until(|_| true);
    let good = package(&site, &ring, "1.emp", release(1, Boards::Any));
    daemon.client().install(&open(&good)).unwrap();
    daemon.signal("TERM");
    daemon.wait();
    let _ = fs::remove_dir_all(site.run_folder());
    let _ = fs::remove_file(site.folder.join("report.json"));
    let state = site.folder.join("store/state");
    let mut bytes = fs::read(&state).unwrap();
    bytes[20] ^= 1;
    fs::write(&state, bytes).unwrap();
    site.plugin("probe").pipeline("p", &two(SOURCE, SINK));
    refused(&site, "state", 5, &["state of store", "store.key"]);
    let key = site.folder.join("keys/store.key");
    fs::rename(&key, site.folder.join("keys/away.key")).unwrap();
    refused(&site, "no key", 5, &["store.key"]);
}

#[test]
fn an_absent_file_is_named() {
    let site = Site::new();
    let file = Path::new("/nowhere/p.toml");
    let output = site.check(file, false);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains("/nowhere/p.toml"), "{message}");
}
