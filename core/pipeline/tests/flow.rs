//! Packets through whole pipelines: lines, tees, joins, every policy, stops; the account held against what the stages
//! counted themselves.
mod common;

use std::time::Duration;

use common::{Do, Tally, Troupe, edge, ended, eventually, spec, stage};
use edgemill_linux::sched::affinity;
use edgemill_pipeline::account::Loss;
use edgemill_pipeline::spec::{Join, Matching, Overflow};
use edgemill_pipeline::{StageSpec, State, Stop};

const POLICIES: [Overflow; 4] =
    [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest];

/// Pseudo-random, the same in every run: SplitMix64.
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn a_line_delivers_everything_in_order_and_ends() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| cast.count = 10_000)
        .with("middle", 1, 1, |_| Do::Make)
        .with("sink", 1, 0, |_| Do::Pass);
    let runtime = troupe.start(spec(vec![
        stage("sink", &["middle"]),
        stage("middle", &["source"]),
        stage("source", &[]),
    ]));
    let account = ended(&runtime);
    let path = &account.paths()[0];
    assert_eq!((path.sent, path.delivered, path.lost()), (10_000, 10_000, 0));
    let seen = troupe.tally("sink").last.lock().unwrap().clone();
    assert!(seen.iter().map(|(_, sequence)| *sequence).eq(0..10_000));
    for name in ["middle", "sink"] {
        assert_eq!(Tally::get(&troupe.tally(name).flushes), 1);
    }
    for name in ["source", "middle", "sink"] {
        assert_eq!(Tally::get(&troupe.tally(name).deactivated), 1);
        eventually("destruction", || Tally::get(&troupe.tally(name).destroyed) == 1);
    }
    let status = runtime.status();
    assert!(status.stages.iter().all(|stage| stage.state == State::Stopped));
    assert!(status.pools.iter().all(|pool| pool.in_use == 0), "{:?}", status.pools);
    assert_eq!(status.stages[0].latency.count, 10_000);
    assert!(account.stages.iter().all(|stage| stage.refusals == 0), "{account:?}");
}

#[test]
fn what_a_stage_makes_is_on_its_cores() {
    let Ok(allowed) = affinity() else { return };
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| cast.count = 1)
        .with("sink", 1, 0, |_| Do::Pass);
    let cpu = vec![*allowed.last().unwrap()];
    let source = StageSpec { cpu: cpu.clone(), ..stage("source", &[]) };
    ended(&troupe.start(spec(vec![source, stage("sink", &["source"])])));
    assert_eq!(*troupe.tally("source").cores.lock().unwrap(), cpu);
    assert_eq!(*troupe.tally("sink").cores.lock().unwrap(), allowed);
}

/// A million packets, 250,000 for each policy, through stages that fail, panic, consume and are replaced at random.
#[test]
fn a_million_packets_are_all_accounted_for() {
    const COUNT: u64 = 250_000;
    for (seed, policy) in (1..).zip(POLICIES) {
        let chaos = move |salt: u64| {
            move |call: u64| match random(call ^ salt << 40 ^ seed << 50) % 2000 {
                0 => Do::Fail,
                1 => Do::Panic,
                2 => Do::PassThenFail,
                3..100 => Do::Consume,
                100..1000 => Do::Make,
                _ => Do::Pass,
            }
        };
        let bursts = |call: u64| {
            if call.is_multiple_of(3) {
                std::thread::yield_now();
            }
            Do::Pass
        };
        let troupe = Troupe::default()
            .with("source", 0, 1, bursts)
            .tune("source", |cast| cast.count = COUNT)
            .with("one", 1, 1, chaos(1))
            .with("two", 1, 1, chaos(2))
            .with("sink", 1, 0, |call| {
                if random(call).is_multiple_of(5000) { Do::Fail } else { Do::Pass }
            });
        let with_policy = |name: &str, from: &str| {
            let mut stage = stage(name, &[from]);
            stage.inputs[0].overflow = Some(policy);
            stage
        };
        let runtime = troupe.start(spec(vec![
            stage("source", &[]),
            with_policy("one", "source"),
            with_policy("two", "one"),
            with_policy("sink", "two"),
        ]));
        let account = ended(&runtime);
        assert_eq!(account.edges[0].sent, COUNT);
        for name in ["source", "one", "two", "sink"] {
            let (counted, own) = (account.stage(name).unwrap(), troupe.tally(name));
            assert_eq!(counted.received, Tally::get(&own.inputs), "{policy:?} {name}");
            assert_eq!(counted.faults, Tally::get(&own.failed), "{policy:?} {name}");
            let sends = name != "sink";
            assert_eq!(counted.emitted, if sends { Tally::get(&own.emitted) } else { 0 });
            assert_eq!(counted.refusals, 0, "{policy:?} {name}: the pools are too shallow");
        }
        assert!(runtime.status().pools.iter().all(|pool| pool.in_use == 0));
        let path = &account.paths()[0];
        path.check().unwrap();
        assert!(path.dropped["fault"] > 0 && path.dropped["restart"] > 0, "{path:?}");
        if policy == Overflow::Block {
            assert_eq!(path.dropped["overflow"], 0);
        }
    }
}

#[test]
fn a_slow_consumer_costs_what_the_policy_says() {
    for policy in POLICIES {
        let troupe = Troupe::default()
            .with("source", 0, 1, |_| Do::Pass)
            .tune("source", |cast| cast.count = 100)
            .with("sink", 1, 0, |call| match call {
                0 => Do::Slow(Duration::from_millis(50)),
                _ => Do::Pass,
            });
        let mut sink = stage("sink", &["source"]);
        sink.inputs[0].overflow = Some(policy);
        let account = ended(&troupe.start(spec(vec![stage("source", &[]), sink])));
        let path = &account.paths()[0];
        let seen = troupe.tally("sink").last.lock().unwrap().clone();
        let last = seen.last().unwrap().1;
        match policy {
            Overflow::Block => assert_eq!((path.delivered, path.lost()), (100, 0)),
            Overflow::DropNewest => assert!(path.dropped["overflow"] > 0 && last < 99),
            Overflow::DropOldest | Overflow::Latest => {
                assert!(path.dropped["overflow"] > 0);
                assert_eq!(last, 99);
            }
        }
    }
}

#[test]
fn packets_past_their_deadline_are_dropped_before_work() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| cast.count = 5)
        .with("sink", 1, 0, |_| Do::Slow(Duration::from_millis(20)));
    let mut source = stage("source", &[]);
    source.deadline = Some(Duration::from_millis(10));
    let account = ended(&troupe.start(spec(vec![source, stage("sink", &["source"])])));
    assert!(account.edges[0].dropped[Loss::Stale as usize].1 >= 3, "{account:?}");
    assert_eq!(account.stages[1].received, Tally::get(&troupe.tally("sink").inputs));
}

#[test]
fn a_tee_counts_copies_and_a_join_brings_them_together() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| cast.count = 20_000)
        .with("left", 1, 1, |_| Do::Make)
        .with("right", 1, 1, |call| if call % 10 == 3 { Do::Consume } else { Do::Pass })
        .with("join", 2, 1, |_| Do::Pass)
        .with("sink", 1, 0, |_| Do::Pass)
        .with("other", 1, 0, |_| Do::Pass);
    let runtime = troupe.start(spec(vec![
        stage("source", &[]),
        stage("left", &["source"]),
        stage("right", &["source"]),
        stage("join", &["left", "right"]),
        stage("sink", &["join"]),
        stage("other", &["source"]),
    ]));
    let account = ended(&runtime);
    let sent = account.edges.iter().filter(|edge| edge.from == "source.out0").map(|edge| edge.sent);
    assert_eq!(sent.collect::<Vec<_>>(), [20_000; 3]);
    assert_eq!(account.stage("source").unwrap().emitted, 20_000);
    let join = account.stage("join").unwrap();
    assert_eq!((join.received, Tally::get(&troupe.tally("join").calls)), (36_000, 18_000));
    let left = account.edges.iter().find(|edge| edge.to == "join.in0").unwrap();
    assert_eq!(left.dropped[Loss::Unmatched as usize].1, 2_000);
    assert_eq!(account.stage("sink").unwrap().delivered, 18_000);
    assert_eq!(account.stage("other").unwrap().delivered, 20_000);
    assert!(runtime.status().pools.iter().all(|pool| pool.in_use == 0));
}

#[test]
fn two_sources_are_joined_by_time() {
    let paced = |cast: &mut common::Cast| {
        (cast.count, cast.pace) = (50, Duration::from_millis(2));
    };
    let troupe = Troupe::default()
        .with("a", 0, 1, |_| Do::Pass)
        .with("b", 0, 1, |_| Do::Pass)
        .tune("a", paced)
        .tune("b", paced)
        .with("join", 2, 0, |_| Do::Pass);
    let mut join = stage("join", &["a", "b"]);
    let matching = Matching::Nearest(Duration::from_millis(500));
    join.join = Join { matching, timeout: Duration::from_millis(50) };
    let account = ended(&troupe.start(spec(vec![stage("a", &[]), stage("b", &[]), join])));
    let calls = Tally::get(&troupe.tally("join").calls);
    assert!(calls > 0);
    assert_eq!(account.stage("join").unwrap().delivered, calls * 2);
}

#[test]
fn a_drain_lets_everything_arrive_and_a_drop_counts_the_rest() {
    for stop in [Stop::Drain, Stop::Drop] {
        let troupe = Troupe::default()
            .with("source", 0, 1, |_| Do::Pass)
            .with("middle", 1, 1, |_| Do::Slow(Duration::from_micros(500)))
            .with("sink", 1, 0, |_| Do::Slow(Duration::from_millis(3)));
        let runtime = troupe.start(spec(vec![
            stage("source", &[]),
            stage("middle", &["source"]),
            stage("sink", &["middle"]),
        ]));
        eventually("a packet", || Tally::get(&troupe.tally("sink").calls) > 3);
        runtime.stop(stop);
        let account = ended(&runtime);
        let path = &account.paths()[0];
        assert_eq!(path.sent, path.delivered + path.dropped["stopped"]);
        assert_eq!(path.dropped["stopped"] == 0, stop == Stop::Drain, "{path:?}");
        let flushed = Tally::get(&troupe.tally("sink").flushes);
        assert_eq!(flushed, u64::from(stop == Stop::Drain));
    }
}

#[test]
fn a_drain_that_takes_too_long_becomes_a_drop() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .with("sink", 1, 0, |_| Do::Slow(Duration::from_millis(100)));
    let options =
        edgemill_pipeline::Options { drain_limit: Duration::from_millis(20), ..common::quick() };
    let stages = spec(vec![stage("source", &[]), stage("sink", &["source"])]);
    let runtime =
        edgemill_pipeline::Runtime::start(stages, Box::new(troupe.clone()), options).unwrap();
    eventually("a packet", || Tally::get(&troupe.tally("sink").calls) > 0);
    runtime.stop(Stop::Drain);
    assert!(ended(&runtime).paths()[0].dropped["stopped"] > 0);
}

#[test]
fn a_stage_with_a_timer_is_called_by_the_clock_and_stamps_what_it_emits() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| (cast.count, cast.pace) = (10, Duration::from_millis(5)))
        .with("clock", 1, 1, |_| Do::Pass)
        .tune("clock", |cast| cast.timer = Duration::from_millis(1))
        .with("sink", 1, 0, |_| Do::Pass);
    let runtime = troupe.start(spec(vec![
        stage("source", &[]),
        stage("clock", &["source"]),
        stage("sink", &["clock"]),
    ]));
    let account = ended(&runtime);
    let timers = Tally::get(&troupe.tally("clock").timers);
    assert!(timers > 5, "{timers}");
    assert_eq!(account.edges[1].sent, 10 + timers);
    let seen = troupe.tally("sink").last.lock().unwrap().clone();
    let streams: std::collections::BTreeSet<_> = seen.iter().map(|(stream, _)| *stream).collect();
    assert_eq!(streams.len(), 2);
}

#[test]
fn several_pipelines_run_side_by_side() {
    let troupes: Vec<_> = (0..3)
        .map(|n| {
            Troupe::default()
                .with("source", 0, 1, |_| Do::Pass)
                .tune("source", move |cast| cast.count = 1000 * (n + 1))
                .with("sink", 1, 0, |_| Do::Pass)
        })
        .collect();
    let start = |troupe: &Troupe| {
        let mut sink = stage("sink", &[]);
        sink.inputs = vec![edge("source.out0", 0, Overflow::Block)];
        troupe.start(spec(vec![stage("source", &[]), sink]))
    };
    let running: Vec<_> = troupes.iter().map(start).collect();
    let delivered: Vec<_> =
        running.iter().map(|runtime| ended(runtime).paths()[0].delivered).collect();
    assert_eq!(delivered, [1000, 2000, 3000]);
}
