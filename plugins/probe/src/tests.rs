//! The plugin, driven through its C entry points.
use std::{fs, time};

use edgemill_sdk::testing::{Bench, Emitted};
use edgemill_sdk::{Event, Format, Name, Reason, Status, Value, format, raw};

use super::edgemill_entry;

fn bytes(count: u32) -> Format {
    let shape = [count, 0, 0, 0, 0, 0];
    let raw = raw::Tensor { dtype: raw::DTYPE_U8, rank: 1, shape, scale: 0.0, zero_point: 0 };
    Format::Tensor(format::Tensor::new(raw).expect("valid"))
}

fn bench(given: &[(&str, Value<'_>)], format: Format) -> Bench {
    let mut bench = Bench::new(&edgemill_entry, given).expect("created");
    let ports = bench.ports(None).expect("ports");
    let [inputs, outputs] =
        [ports.input_count, ports.output_count].map(|count| vec![format; count as usize]);
    bench.activate(&inputs, &outputs, None).expect("activated");
    bench
}

fn feed(bench: &mut Bench, format: Format, packets: usize) -> Vec<Status> {
    let send = |_| {
        let packet = bench.packet(format, &[7; 64]);
        bench.process(Reason::Input, &[Some(packet)])
    };
    (0..packets).map(send).collect()
}

fn sequences(emitted: &[Emitted]) -> Vec<u64> {
    emitted.iter().map(|e| e.origin.sequence).collect()
}

const SOURCE: (&str, Value<'_>) = ("role", Value::Text("source"));
const PASS: (&str, Value<'_>) = ("role", Value::Text("pass"));
const SINK: (&str, Value<'_>) = ("role", Value::Text("sink"));

#[test]
fn a_source_emits_its_count_and_ends() {
    let mut bench = bench(&[SOURCE, ("count", Value::Int(2))], bytes(64));
    let turns: Vec<_> = (0..3).map(|_| bench.process(Reason::Turn, &[])).collect();
    assert_eq!(turns, [Status::Ok, Status::Ok, Status::End]);
    let emitted = bench.emitted();
    assert_eq!(emitted.len(), 2);
    assert_eq!(emitted[0].bytes, [0xa5; 64], "the bytes are as the pool left them");
}

#[test]
fn a_source_is_never_ahead_of_its_pace() {
    let mut bench = bench(&[SOURCE, ("pace-us", Value::Int(2000))], bytes(64));
    let begin = time::Instant::now();
    let mut emitted = 0;
    while emitted < 3 {
        assert_eq!(bench.process(Reason::Turn, &[]), Status::Ok);
        emitted += bench.emitted().len();
    }
    assert!(begin.elapsed().as_micros() >= 4000);
}

#[test]
fn a_full_pool_is_no_fault() {
    let mut bench = bench(&[SOURCE], bytes(64));
    bench.exhaust(true);
    assert_eq!(bench.process(Reason::Turn, &[]), Status::Ok);
    assert!(bench.emitted().is_empty());
}

#[test]
fn a_pass_emits_the_same_buffer_at_every_output() {
    let mut bench = bench(&[PASS, ("outputs", Value::Int(2))], bytes(64));
    let packet = bench.packet(bytes(64), &[7; 64]);
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
    let emitted = bench.emitted();
    assert_eq!(emitted.iter().map(|e| e.port).collect::<Vec<_>>(), [0, 1]);
    assert!(emitted.iter().all(|e| e.handle == packet.buffer.handle && e.bytes == [7; 64]));
}

#[test]
fn what_is_held_comes_out_at_the_end() {
    let mut bench = bench(&[PASS, ("hold", Value::Int(2))], bytes(64));
    feed(&mut bench, bytes(64), 3);
    assert_eq!(sequences(&bench.emitted()), [0]);
    assert_eq!(bench.references(), 2);
    assert_eq!(bench.process(Reason::Flush, &[None]), Status::Ok);
    assert_eq!(sequences(&bench.emitted()), [1, 2]);
    assert_eq!(bench.references(), 0);
}

#[test]
fn what_is_held_is_given_back_by_deactivate() {
    let mut bench = bench(&[PASS, ("hold", Value::Int(2))], bytes(64));
    feed(&mut bench, bytes(64), 2);
    bench.deactivate();
    assert_eq!(bench.references(), 0);
}

#[test]
fn events_and_joins_pass_too() {
    let given = [PASS, ("kind", Value::Text("event")), ("inputs", Value::Int(2))];
    let mut bench = bench(&given, Format::Event);
    let [a, b] = ["a", "b"].map(|name| bench.event(Event::named(Name::fitted(name))));
    assert_eq!(bench.process(Reason::Input, &[Some(a), Some(b)]), Status::Ok);
    assert_eq!(bench.process(Reason::Input, &[None, Some(b)]), Status::Ok);
    let names: Vec<_> = bench.emitted().iter().map(|e| e.event().name().to_string()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn faults_come_when_they_are_told_to() {
    let [at, every] = [("error-at", 1), ("every", 2)].map(|(n, v)| (n, Value::Int(v)));
    check(&[at], &[1]);
    check(&[at, every], &[1, 3, 5]);
    // After a panic the sdk lets nothing through.
    check(&[("panic-at", Value::Int(4))], &[4, 5]);
}

fn check(given: &[(&str, Value<'_>)], expected: &[usize]) {
    let given: Vec<_> = given.iter().copied().chain([SINK]).collect();
    let mut bench = bench(&given, bytes(64));
    let answers = feed(&mut bench, bytes(64), 6);
    let failed = answers.iter().enumerate().filter(|(_, a)| **a != Status::Ok);
    assert!(failed.clone().all(|(_, answer)| *answer == Status::Fault), "{given:?}");
    assert_eq!(failed.map(|(n, _)| n).collect::<Vec<_>>(), expected, "{given:?}");
}

#[test]
fn random_faults_depend_on_seed_and_sequence_only() {
    let failed = |seed| {
        let given = [SINK, ("error-ppm", Value::Int(100_000)), ("seed", Value::Int(seed))];
        let mut bench = bench(&given, bytes(64));
        let answers = feed(&mut bench, bytes(64), 2000);
        let failed = answers.iter().enumerate().filter(|(_, a)| **a == Status::Fault);
        failed.map(|(n, _)| n).collect::<Vec<_>>()
    };
    assert_eq!(failed(1), failed(1));
    assert_ne!(failed(1), failed(2));
    assert!((120..280).contains(&failed(3).len()), "about 200 of 2000");
}

#[test]
fn slowness_and_hangs_take_their_time() {
    let cases = [[("slow-at", 0), ("slow-us", 3000)], [("hang-at", 0), ("hang-ms", 3)]];
    for case in cases {
        let given: Vec<_> = case.iter().map(|&(n, v)| (n, Value::Int(v))).chain([SINK]).collect();
        let mut bench = bench(&given, bytes(64));
        let begin = time::Instant::now();
        assert_eq!(feed(&mut bench, bytes(64), 1), [Status::Ok]);
        assert!(begin.elapsed().as_micros() >= 3000, "{case:?}");
    }
}

#[test]
fn counts_are_appended_for_each_instance() {
    let name = format!("probe-counts-{}.jsonl", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = fs::remove_file(&path);
    let text = path.to_str().expect("UTF-8");
    for _ in 0..2 {
        let given = [PASS, ("error-at", Value::Int(1)), ("path", Value::Text(text))];
        let mut bench = bench(&given, bytes(64));
        feed(&mut bench, bytes(64), 3);
        bench.process(Reason::Flush, &[None]);
    }
    let lines = fs::read_to_string(&path).expect("there");
    fs::remove_file(&path).expect("there");
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        let counts =
            r#""received":3,"emitted":2,"faulted":1,"no_buffer":0,"flushed":1,"first_capture_ns":"#;
        assert!(line.starts_with(r#"{"role":"pass","instance":"#), "{line}");
        assert!(line.contains(counts), "{line}");
        assert!(!line.contains("\"flushed_ns\":0}"), "{line}");
    }
}

#[test]
fn counts_are_there_before_a_hang_and_after_a_panic() {
    let name = format!("probe-hang-{}.jsonl", std::process::id());
    let path = std::env::temp_dir().join(name);
    let text = path.to_str().expect("UTF-8");
    for (fault, lines) in [("hang-at", 2), ("panic-at", 1)] {
        let _ = fs::remove_file(&path);
        let given =
            [SINK, (fault, Value::Int(0)), ("hang-ms", Value::Int(1)), ("path", Value::Text(text))];
        let mut bench = bench(&given, bytes(64));
        feed(&mut bench, bytes(64), 1);
        drop(bench);
        let found = fs::read_to_string(&path).expect("there");
        assert_eq!(found.lines().count(), lines, "{fault}: {found}");
        assert!(found.lines().all(|line| line.contains(r#""received":1,"#)), "{found}");
    }
    fs::remove_file(&path).expect("there");
}
