//! Reloads: only what changed, at a packet boundary, nothing lost where edges block; a bad spec changes nothing.
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{
    Do, Tally, Troupe, bytes, ended, eventually, port, range, spec, stage, until, until_state,
};
use edgemill_pipeline::{Event, RunError, Runtime, Spec, State, Stop};

const PACE: Duration = Duration::from_micros(200);

fn troupe() -> Troupe {
    let slow = |cast: &mut common::Cast| cast.pace = PACE;
    let wide = |cast: &mut common::Cast| {
        let ranges = vec![range(bytes(64)), range(bytes(128))];
        cast.outputs.iter_mut().chain(&mut cast.inputs).for_each(|p| p.ranges.clone_from(&ranges));
    };
    Troupe::default()
        .with("source", 0, 1, |_| Do::Make)
        .tune("source", slow)
        .tune("source", wide)
        .with("middle", 1, 1, |_| Do::Pass)
        .tune("middle", wide)
        .with("better", 1, 1, |_| Do::Pass)
        .tune("better", wide)
        .with("sink", 1, 0, |_| Do::Pass)
        .with("large", 1, 0, |_| Do::Pass)
        .tune("large", |cast| cast.inputs = vec![port("in0", range(bytes(128)))])
        .with("larger", 1, 1, |_| Do::Pass)
        .tune("larger", |cast| {
            cast.inputs = vec![port("in0", range(bytes(128)))];
            cast.outputs = vec![port("out0", range(bytes(128)))];
        })
}

fn line(middle: &str, sink: &str) -> Spec {
    let mut stages =
        vec![stage("source", &[]), stage("middle", &["source"]), stage("sink", &["middle"])];
    (stages[1].kind, stages[2].kind) = (middle.into(), sink.into());
    spec(stages)
}

fn reloaded(runtime: &Runtime) -> Result<Vec<String>, String> {
    until(runtime, |event| match event {
        Event::Reloaded(Ok(changed)) => Some(Ok(changed.clone())),
        Event::Reloaded(Err(error)) => Some(Err(error.to_string())),
        _ => None,
    })
}

fn flows(troupe: &Troupe, kind: &str) {
    let before = Tally::get(&troupe.tally(kind).calls);
    eventually("packets", || Tally::get(&troupe.tally(kind).calls) > before + 10);
}

/// Stops in order; with edges that block, every packet that was sent has arrived.
fn nothing_lost(runtime: &Runtime) {
    runtime.stop(Stop::Drain);
    let account = ended(runtime);
    assert!(account.edges.iter().all(|edge| edge.lost() == 0), "{account:#?}");
    let status = runtime.status();
    assert!(status.pools.iter().all(|pool| pool.in_use == 0), "{:?}", status.pools);
}

#[test]
fn the_same_spec_changes_nothing() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    runtime.reload(line("middle", "sink"));
    assert_eq!(reloaded(&runtime), Ok(vec![]));
    flows(&troupe, "sink");
    nothing_lost(&runtime);
    assert_eq!(Tally::get(&troupe.tally("middle").prepared), 1);
}

#[test]
fn a_stage_of_another_kind_is_replaced_while_packets_flow() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    runtime.reload(line("better", "sink"));
    assert_eq!(reloaded(&runtime), Ok(vec!["middle".into()]));
    flows(&troupe, "better");
    nothing_lost(&runtime);
    let old = troupe.tally("middle");
    assert_eq!((Tally::get(&old.flushes), Tally::get(&old.deactivated)), (1, 1));
    assert_eq!(Tally::get(&troupe.tally("source").prepared), 1);
}

#[test]
fn another_format_goes_through_the_pipeline_stage_by_stage() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    runtime.reload(line("larger", "large"));
    let changed = reloaded(&runtime).unwrap();
    assert_eq!(changed, ["source", "middle", "sink"]);
    flows(&troupe, "large");
    nothing_lost(&runtime);
}

#[test]
fn stages_come_and_go() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    let mut more = line("middle", "sink");
    more.stages.push(stage("side", &["source"]));
    more.stages[3].kind = "sink".into();
    more.stages[3].name = "side".into();
    runtime.reload(more);
    assert_eq!(reloaded(&runtime), Ok(vec!["source".into(), "side".into()]));
    eventually("packets beside", || {
        runtime.account().stage("side").is_some_and(|side| side.delivered > 10)
    });
    let short = spec(vec![stage("source", &[]), stage("sink", &["source"])]);
    runtime.reload(short);
    reloaded(&runtime).unwrap();
    let mut left = 2;
    until(&runtime, |event| {
        left -= i32::from(matches!(event, Event::State { state: State::Stopped, .. }));
        (left == 0).then_some(())
    });
    flows(&troupe, "sink");
    nothing_lost(&runtime);
    assert_eq!(runtime.status().stages.len(), 2);
}

#[test]
fn a_device_is_let_go_before_the_next_instance_takes_it() {
    let troupe = troupe();
    let with_device = |kind: &str| {
        let mut spec = line(kind, "sink");
        spec.stages[1].holds_device = true;
        spec
    };
    let runtime = troupe.start(with_device("middle"));
    flows(&troupe, "sink");
    runtime.reload(with_device("better"));
    assert_eq!(reloaded(&runtime), Ok(vec!["middle".into()]));
    flows(&troupe, "better");
    let old = troupe.tally("middle");
    assert_eq!(Tally::get(&old.deactivated), 1);
    nothing_lost(&runtime);
}

#[test]
fn settings_change_without_a_new_instance() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    let core = edgemill_linux::sched::affinity().unwrap()[0];
    let mut pinned = line("middle", "sink");
    pinned.stages[1].cpu = vec![core];
    runtime.reload(pinned);
    assert_eq!(reloaded(&runtime), Ok(vec!["middle".into()]));
    eventually("the pin", || runtime.status().stages[1].cores == [core]);
    runtime.reload(line("middle", "sink"));
    reloaded(&runtime).unwrap();
    let all = edgemill_linux::sched::affinity().unwrap();
    eventually("the unpinning", || runtime.status().stages[1].cores == all);
    nothing_lost(&runtime);
    assert_eq!(Tally::get(&troupe.tally("middle").prepared), 1);
}

#[test]
fn a_bad_spec_changes_nothing() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    let circle = spec(vec![stage("source", &[]), stage("sink", &["sink"])]);
    for (bad, text) in [
        (line("absent", "sink"), "no such kind"),
        (circle, "has no output"),
        (Spec { stages: vec![], ..line("middle", "sink") }, "no stages"),
    ] {
        runtime.reload(bad);
        let error = reloaded(&runtime).unwrap_err();
        assert!(error.contains(text), "{error}");
        flows(&troupe, "sink");
    }
    nothing_lost(&runtime);
}

#[test]
fn a_stage_that_is_held_gets_another_chance() {
    let troupe = troupe().with("bad", 1, 1, |_| Do::Fail);
    let options = edgemill_pipeline::Options {
        restart: edgemill_pipeline::run::RestartPolicy { limit: 1, ..common::quick().restart },
        ..common::quick()
    };
    let bad = line("bad", "sink");
    let runtime = Runtime::start(bad, Box::new(troupe.clone()), options).unwrap();
    until_state(&runtime, "middle", State::Held);
    runtime.reload(line("middle", "sink"));
    assert_eq!(reloaded(&runtime), Ok(vec!["middle".into()]));
    until_state(&runtime, "middle", State::Running);
    flows(&troupe, "sink");
    runtime.stop(Stop::Drain);
    ended(&runtime);
}

#[test]
fn a_device_that_is_away_keeps_no_reload_from_its_work() {
    let troupe = troupe();
    let away = Arc::clone(&troupe.0["source"].away);
    away.store(true, Ordering::SeqCst);
    let runtime = troupe.start(line("middle", "sink"));
    until_state(&runtime, "source", State::Restarting);
    runtime.reload(line("better", "sink"));
    assert_eq!(reloaded(&runtime), Ok(vec!["middle".into()]));
    away.store(false, Ordering::SeqCst);
    flows(&troupe, "better");
    nothing_lost(&runtime);
}

#[test]
fn a_stage_that_a_reload_brings_may_wait_for_its_device() {
    let away = Arc::new(AtomicBool::new(true));
    let troupe = troupe()
        .with("camera", 0, 1, |_| Do::Make)
        .with("taker", 1, 0, |_| Do::Pass)
        .tune("camera", |cast| (cast.away, cast.pace) = (Arc::clone(&away), PACE));
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    let mut more = line("middle", "sink");
    more.stages.extend([stage("camera", &[]), stage("taker", &["camera"])]);
    runtime.reload(more);
    assert_eq!(reloaded(&runtime), Ok(vec!["camera".into(), "taker".into()]));
    let camera = runtime.status().stages.into_iter().find(|stage| stage.name == "camera");
    assert_eq!(camera.unwrap().state, State::Restarting);
    flows(&troupe, "sink");
    away.store(false, Ordering::SeqCst);
    flows(&troupe, "taker");
    nothing_lost(&runtime);
}

#[test]
fn a_device_that_is_away_takes_the_place_of_none_that_runs() {
    let troupe = troupe().with("camera", 0, 1, |_| Do::Make);
    troupe.0["camera"].away.store(true, Ordering::SeqCst);
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    let mut other = line("middle", "sink");
    other.stages[0].kind = "camera".into();
    runtime.reload(other);
    assert!(reloaded(&runtime).unwrap_err().contains("its device is away"));
    flows(&troupe, "sink");
    nothing_lost(&runtime);
}

#[test]
fn a_reload_while_stopping_is_refused() {
    let troupe = troupe();
    let runtime = troupe.start(line("middle", "sink"));
    flows(&troupe, "sink");
    runtime.stop(Stop::Drain);
    runtime.reload(line("better", "sink"));
    until(&runtime, |event| match event {
        Event::Reloaded(Err(RunError::Busy("stopping"))) => Some(()),
        Event::Ended(_) => Some(()),
        _ => None,
    });
    ended(&runtime);
    assert_eq!(Tally::get(&troupe.tally("better").prepared), 0);
}

#[test]
fn a_stage_that_hangs_while_it_is_to_be_replaced_is_replaced_all_the_same() {
    let hang = |call| if call == 20 { Do::Hang(Duration::from_secs(3600)) } else { Do::Pass };
    let troupe = troupe().with("stuck", 1, 1, hang);
    let with_hang = |kind: &str| {
        let mut spec = line(kind, "sink");
        spec.stages[1].hang = Duration::from_millis(200);
        spec
    };
    let runtime = troupe.start(with_hang("stuck"));
    eventually("the hang", || Tally::get(&troupe.tally("stuck").hung) == 1);
    runtime.reload(with_hang("better"));
    assert_eq!(reloaded(&runtime), Ok(vec!["middle".into()]));
    flows(&troupe, "better");
    runtime.stop(Stop::Drain);
    assert_eq!(ended(&runtime).stage("middle").unwrap().hangs, 1);
}

#[test]
fn reloads_and_faults_at_random_lose_no_count() {
    let faulty = |call: u64| match call * 7919 % 101 {
        0 => Do::Fail,
        1 => Do::Panic,
        2..20 => Do::Consume,
        _ => Do::Pass,
    };
    let quicker = |cast: &mut common::Cast| cast.pace = Duration::from_micros(20);
    let troupe = troupe()
        .with("faulty", 1, 1, faulty)
        .with("faultier", 1, 1, faulty)
        .tune("source", quicker);
    let runtime = troupe.start(line("faulty", "sink"));
    let short = || spec(vec![stage("source", &[]), stage("sink", &["source"])]);
    let specs: [fn() -> Spec; 4] = [
        || line("faultier", "sink"),
        || line("larger", "large"),
        || line("faulty", "sink"),
        || {
            spec(vec![
                stage("source", &[]),
                stage("middle", &["source"]),
                stage("sink", &["source"]),
            ])
        },
    ];
    for turn in 0..120_usize {
        let next = if turn % 5 == 4 { short() } else { specs[turn % 4]() };
        runtime.reload(next);
        let result = reloaded(&runtime);
        // The last of the four leaves an output open.
        assert_eq!(result.is_err(), turn % 5 != 4 && turn % 4 == 3, "{result:?}");
    }
    runtime.stop(Stop::Drain);
    let account = ended(&runtime);
    let made: u64 = Tally::get(&troupe.tally("source").emitted);
    assert_eq!(account.stage("source").unwrap().emitted, made);
    let eaten = ["sink", "large"].map(|kind| Tally::get(&troupe.tally(kind).inputs));
    assert_eq!(account.stage("sink").unwrap().received, eaten[0] + eaten[1]);
    for cast in troupe.0.values() {
        let (prepared, destroyed) = (&cast.tally.prepared, &cast.tally.destroyed);
        eventually("destruction", || Tally::get(prepared) == Tally::get(destroyed));
    }
    assert!(runtime.status().pools.iter().all(|pool| pool.in_use == 0));
}
