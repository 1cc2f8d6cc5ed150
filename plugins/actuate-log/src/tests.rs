//! The plugin, driven through its C entry points.
use std::fs;
use std::path::PathBuf;

use edgemill_sdk::testing::Bench;
use edgemill_sdk::{Event, Format, Name, Reason, Status, Value};

use super::edgemill_entry;

/// A file of its own for each test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let file = format!("actuate-log-{name}-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(file);
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn bench(&self) -> Bench {
        let path = self.0.to_str().expect("UTF-8");
        Bench::new(&edgemill_entry, &[("path", Value::Text(path))]).expect("created")
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).expect("there").lines().map(str::to_owned).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn activate(bench: &mut Bench) {
    bench.ports(None).expect("ports");
    bench.activate(&[Format::Event], &[], None).expect("activated");
}

/// `line` without its times, which differ from run to run.
fn without_times(line: &str) -> String {
    let times = ["capture_ns", "acted_ns"].map(|key| format!("\"{key}\":"));
    let inner = line.strip_prefix('{').and_then(|l| l.strip_suffix('}')).expect("an object");
    let fields = inner.split(',');
    let kept: Vec<_> = fields.filter(|f| !times.iter().any(|t| f.starts_with(t))).collect();
    kept.join(",")
}

#[test]
fn an_event_is_a_line() {
    let scratch = Scratch::new("line");
    let mut bench = scratch.bench();
    activate(&mut bench);
    let event = Event::named(Name::fitted("red"))
        .with(Name::fitted("score"), 0.98)
        .and_then(|e| e.with(Name::fitted("class"), 2.0))
        .and_then(|e| e.with(Name::fitted("odd"), f64::INFINITY))
        .expect("three values fit");
    for event in [event, Event::named(Name::fitted("say \"gr\\ün\""))] {
        let packet = bench.event(event);
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    }
    let lines: Vec<_> = scratch.lines().iter().map(|line| without_times(line)).collect();
    let expected = [
        r#""stream":7,"sequence":0,"event":"red","values":{"score":0.98,"class":2,"odd":null}"#,
        r#""stream":7,"sequence":1,"event":"say \"gr\\ün\"","values":{}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn fail_safe_needs_no_activate_and_says_so_once() {
    let scratch = Scratch::new("fail-safe");
    let mut bench = scratch.bench();
    assert_eq!(bench.fail_safe(), Some(Status::Ok));
    assert_eq!(bench.fail_safe(), Some(Status::Ok));
    assert_eq!(scratch.lines().len(), 1);
    activate(&mut bench);
    let packet = bench.event(Event::named(Name::fitted("red")));
    bench.process(Reason::Input, &[Some(packet)]);
    assert_eq!(bench.fail_safe(), Some(Status::Ok));
    let lines: Vec<_> = scratch.lines().iter().map(|line| without_times(line)).collect();
    assert_eq!(lines[0], r#""event":"fail-safe""#);
    assert!(lines[1].contains("red"));
    assert_eq!(lines[2..], [r#""event":"fail-safe""#]);
}

#[test]
fn a_second_instance_appends() {
    let scratch = Scratch::new("append");
    for _ in 0..2 {
        let mut bench = scratch.bench();
        activate(&mut bench);
        let packet = bench.event(Event::named(Name::fitted("red")));
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    }
    assert_eq!(scratch.lines().len(), 2);
}

#[test]
fn a_file_that_cannot_be_had_is_an_error_of_the_stage() {
    let given = [("path", Value::Text("/nowhere/at/all.jsonl"))];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    bench.ports(None).expect("ports");
    let (status, text) = bench.activate(&[Format::Event], &[], None).expect_err("refused");
    assert_eq!(status, Status::Io);
    assert!(text.contains("/nowhere/at/all.jsonl") && text.contains("No such file"), "{text}");
    assert_eq!(bench.fail_safe(), Some(Status::Io));
    assert!(Bench::new(&edgemill_entry, &[("path", Value::Text(""))]).is_err());
}

#[test]
fn a_disk_that_is_full_is_an_error_of_the_stage() {
    let given = [("path", Value::Text("/dev/full"))];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    activate(&mut bench);
    let packet = bench.event(Event::named(Name::fitted("red")));
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Io);
}
