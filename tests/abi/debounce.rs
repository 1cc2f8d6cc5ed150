//! The example in C, built with nothing but the headers and driven through its entry points.
use std::path::{Path, PathBuf};

use edgemill_abi::raw;
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{Event, Format, Name, Reason, Status, Value};
use libloading::Library;

use edgemill_tests::compiler::{Scratch, cc, succeed};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/examples/c/debounce.c")
}

/// Builds and loads the plugin. It stays loaded, as a plugin does.
fn debounce() -> &'static raw::Descriptor {
    let scratch = Scratch::new();
    let library = scratch.file("debounce.so");
    let shared = ["-O2", "-fPIC", "-fvisibility=hidden", "-shared", "-o"];
    succeed(cc().args(shared).arg(&library).arg(source()));
    // SAFETY: the library has no constructors; its one symbol is a descriptor, as plugin.h says.
    unsafe {
        let library = Box::leak(Box::new(Library::new(&library).expect("it loads")));
        *library.get::<&raw::Descriptor>(raw::ENTRY_SYMBOL).expect("it has its symbol")
    }
}

fn bench(descriptor: &'static raw::Descriptor, given: &[(&str, Value<'_>)]) -> Bench {
    let mut bench = Bench::new(descriptor, given).expect("created");
    bench.ports(None).expect("ports");
    bench.activate(&[Format::Event], &[Format::Event], None).expect("activated");
    bench
}

/// Feeds events and says which came out, by their sequence.
fn passed(bench: &mut Bench, names: &[&str]) -> Vec<u64> {
    for name in names {
        let packet = bench.event(Event::named(Name::fitted(name)));
        assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    }
    assert_eq!(bench.process(Reason::Flush, &[None]), Status::Ok);
    bench.emitted().iter().map(|emitted| emitted.origin.sequence).collect()
}

#[test]
fn an_event_passes_once_it_has_come_often_enough() {
    let descriptor = debounce();
    let names = ["red", "red", "green", "red", "red", "red", "reddish", "reddish"];
    let cases: [(i64, &[u64]); 3] = [(1, &[0, 1, 2, 3, 4, 5, 6, 7]), (2, &[1, 4, 5, 7]), (3, &[5])];
    for (count, expected) in cases {
        let mut bench = bench(descriptor, &[("count", Value::Int(count))]);
        assert_eq!(passed(&mut bench, &names), expected, "count = {count}");
    }
    assert_eq!(passed(&mut bench(descriptor, &[]), &["red"]), [0], "by default all pass");
}

#[test]
fn two_instances_count_for_themselves_and_begin_anew() {
    let descriptor = debounce();
    let given = [("count", Value::Int(2))];
    let (mut one, mut other) = (bench(descriptor, &given), bench(descriptor, &given));
    assert!(passed(&mut one, &["red"]).is_empty());
    assert!(passed(&mut other, &["red"]).is_empty());
    assert_eq!(passed(&mut one, &["red"]), [1]);
    other.deactivate();
    other.activate(&[Format::Event], &[Format::Event], None).expect("activated again");
    assert!(passed(&mut other, &["red"]).is_empty());
}

#[test]
fn what_a_host_does_wrong_is_refused() {
    let descriptor = debounce();
    for count in [0, 1001] {
        let (status, line) =
            Bench::new(descriptor, &[("count", Value::Int(count))]).err().expect("refused");
        assert_eq!(status, Status::BadArgument);
        assert!(line.contains("1..=1000"), "{line}");
    }
    assert!(Bench::new(descriptor, &[("cuont", Value::Int(1))]).is_err());
    let mut bench = Bench::new(descriptor, &[]).expect("created");
    assert!(bench.activate(&[Format::Event], &[Format::Event], None).is_err(), "before ports");
    assert_eq!(bench.process(Reason::Input, &[None]), Status::BadArgument, "before activate");
}
