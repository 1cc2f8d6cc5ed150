//! Stages that fail, hang, hold devices and drive the world.
mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{
    Do, Tally, Troupe, bytes, ended, eventually, port, quick, range, spec, stage, until,
    until_state,
};
use edgemill_pipeline::run::RestartPolicy;
use edgemill_pipeline::spec::OnFailure;
use edgemill_pipeline::{Event, Options, RunError, Runtime, State, Stop};

const HANG: Duration = Duration::from_millis(50);
/// Longer than any test.
const FOR_GOOD: Duration = Duration::from_secs(3600);

/// source → middle → sink, the source slow enough for restarts to be over in time.
fn line(middle: impl Fn(u64) -> Do + Send + Sync + 'static) -> Troupe {
    Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| cast.pace = Duration::from_millis(1))
        .with("middle", 1, 1, middle)
        .with("sink", 1, 0, |_| Do::Pass)
        .tune("sink", |cast| cast.is_actuator = true)
}

fn line_spec(change: impl FnOnce(&mut edgemill_pipeline::StageSpec)) -> edgemill_pipeline::Spec {
    let mut middle = stage("middle", &["source"]);
    change(&mut middle);
    spec(vec![stage("source", &[]), middle, stage("sink", &["middle"])])
}

fn stop(runtime: &Runtime) -> edgemill_pipeline::account::Account {
    runtime.stop(Stop::Drain);
    ended(runtime)
}

#[test]
fn an_error_and_a_panic_cost_one_packet_and_a_restart() {
    let troupe = line(|call| match call {
        5 => Do::Fail,
        10 => Do::Panic,
        _ => Do::Pass,
    });
    let runtime = troupe.start(line_spec(|_| {}));
    until_state(&runtime, "middle", State::Restarting);
    until_state(&runtime, "middle", State::Running);
    eventually("the second fault", || Tally::get(&troupe.tally("middle").calls) > 20);
    let account = stop(&runtime);
    let middle = account.stage("middle").unwrap();
    assert_eq!((middle.faulted, middle.faults, middle.restarts, middle.hangs), (2, 2, 2, 0));
    eventually("destruction", || Tally::get(&troupe.tally("middle").destroyed) == 3);
}

#[test]
fn a_stage_that_fails_too_often_is_held_and_the_actuator_below_made_safe() {
    let troupe = line(|_| Do::Fail);
    let options = Options { restart: RestartPolicy { limit: 3, ..quick().restart }, ..quick() };
    let runtime = Runtime::start(line_spec(|_| {}), Box::new(troupe.clone()), options).unwrap();
    until_state(&runtime, "middle", State::Held);
    until(&runtime, |event| match event {
        Event::FailSafe { stage, why, error: None } if stage == "sink" => {
            assert!(why.contains("middle"), "{why}");
            Some(())
        }
        _ => None,
    });
    assert_eq!(Tally::get(&troupe.tally("sink").safe), 1);
    eventually("a loss", || runtime.account().paths()[0].dropped["restart"] > 0);
    let status = runtime.status();
    assert!(status.stages[1].why.as_ref().unwrap().contains("failed too often"), "{status:?}");
    let account = stop(&runtime);
    let middle = account.stage("middle").unwrap();
    assert_eq!((middle.faults, middle.restarts), (4, 3));
    assert_eq!(runtime.status().stages[1].state, State::Held);
}

#[test]
fn a_device_that_a_source_has_lost_is_waited_for_and_the_actuator_below_made_safe() {
    let troupe = line(|_| Do::Pass)
        .with("source", 0, 1, |call| if (5..20).contains(&call) { Do::Fail } else { Do::Pass })
        .tune("source", |cast| cast.pace = Duration::from_millis(1));
    let options = Options { restart: RestartPolicy { limit: 3, ..quick().restart }, ..quick() };
    let mut camera = line_spec(|_| {});
    camera.stages[0].holds_device = true;
    let runtime = Runtime::start(camera, Box::new(troupe.clone()), options).unwrap();
    until(&runtime, |event| match event {
        Event::FailSafe { stage, why, error: None } if stage == "sink" => {
            assert!(why.contains("source upstream waits for its device"), "{why}");
            Some(())
        }
        _ => None,
    });
    eventually("packets again", || Tally::get(&troupe.tally("source").emitted) > 20);
    assert_eq!(stop(&runtime).stage("source").unwrap().restarts, 15);
}

#[test]
fn an_instance_that_cannot_be_made_again_counts_as_a_failure_too() {
    let troupe = line(|call| if call == 0 { Do::Fail } else { Do::Pass });
    let broken = std::sync::Arc::clone(&troupe.0["middle"].broken);
    let options = Options {
        restart: RestartPolicy { first: Duration::from_millis(20), limit: 3, ..quick().restart },
        ..quick()
    };
    let runtime = Runtime::start(line_spec(|_| {}), Box::new(troupe.clone()), options).unwrap();
    broken.store(true, Ordering::SeqCst);
    until_state(&runtime, "middle", State::Held);
    let why = runtime.status().stages[1].why.clone().unwrap();
    assert!(why.contains("cannot be prepared: out of order"), "{why}");
    stop(&runtime);
}

#[test]
fn a_bypassed_stage_lets_packets_past_until_it_is_back() {
    let troupe = line(|call| if call == 3 { Do::Fail } else { Do::Pass });
    let broken = std::sync::Arc::clone(&troupe.0["middle"].broken);
    let runtime = troupe.start(line_spec(|middle| middle.on_failure = OnFailure::Bypass));
    broken.store(true, Ordering::SeqCst);
    until_state(&runtime, "middle", State::Degraded);
    let seen = || Tally::get(&troupe.tally("sink").calls);
    let before = seen();
    eventually("packets past the stage", || seen() > before + 5);
    broken.store(false, Ordering::SeqCst);
    until_state(&runtime, "middle", State::Running);
    let account = stop(&runtime);
    let middle = account.stage("middle").unwrap();
    assert!(middle.bypassed >= 5, "{middle:?}");
    let path = &account.paths()[0];
    assert_eq!((path.lost(), path.dropped["fault"]), (1, 1));
}

#[test]
fn halt_stops_the_pipeline() {
    let troupe = line(|call| if call == 3 { Do::Fail } else { Do::Pass });
    let runtime = troupe.start(line_spec(|middle| middle.on_failure = OnFailure::Halt));
    until(&runtime, |event| match event {
        Event::Halted { stage, why } => {
            assert_eq!((stage.as_str(), why.as_str()), ("middle", "as the script says"));
            Some(())
        }
        _ => None,
    });
    let account = ended(&runtime);
    assert_eq!(account.stage("middle").unwrap().faulted, 1);
    assert_eq!(Tally::get(&troupe.tally("sink").safe), 1);
}

#[test]
fn a_hung_instance_is_abandoned_and_the_stage_goes_on() {
    let troupe = line(|call| if call == 5 { Do::Hang(4 * HANG) } else { Do::Pass });
    let runtime = troupe.start(line_spec(|middle| middle.hang = HANG));
    until_state(&runtime, "middle", State::Restarting);
    until_state(&runtime, "middle", State::Running);
    let before = Tally::get(&troupe.tally("sink").calls);
    eventually("more packets", || Tally::get(&troupe.tally("sink").calls) > before + 5);
    // Its call comes back meanwhile, and is no longer heard: the stage asserts it.
    std::thread::sleep(5 * HANG);
    let account = stop(&runtime);
    let middle = account.stage("middle").unwrap();
    assert_eq!((middle.hangs, middle.faulted, middle.restarts), (1, 1, 1));
    assert_eq!(Tally::get(&troupe.tally("middle").destroyed), 1);
    // What the abandoned instance holds, it holds for good.
    let in_use: usize = runtime.status().pools.iter().map(|pool| pool.in_use).sum();
    assert_eq!(in_use, 1);
}

#[test]
fn at_the_third_hang_the_process_is_lost() {
    let troupe = line(|call| if call % 5 == 4 { Do::Hang(FOR_GOOD) } else { Do::Pass });
    let runtime = troupe.start(line_spec(|middle| middle.hang = HANG));
    until(&runtime, |event| match event {
        Event::Fatal { stage, why } => {
            assert_eq!(stage, "middle");
            assert!(why.contains("the 3. time"), "{why}");
            Some(())
        }
        _ => None,
    });
    let account = stop(&runtime);
    assert_eq!(account.stage("middle").unwrap().hangs, 3);
    assert!(account.stages.iter().all(|stage| stage.refusals == 0), "the reserve is too small");
}

#[test]
fn the_first_hang_of_one_that_holds_a_device_is_fatal() {
    let troupe = line(|call| if call == 2 { Do::Hang(FOR_GOOD) } else { Do::Pass });
    let runtime = troupe.start(line_spec(|middle| {
        (middle.hang, middle.holds_device) = (HANG, true);
    }));
    until(&runtime, |event| matches!(event, Event::Fatal { .. }).then_some(()));
    let account = stop(&runtime);
    assert_eq!(account.stage("middle").unwrap().restarts, 0);
}

#[test]
fn time_that_waits_for_space_or_for_nothing_is_no_hang() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| (cast.count, cast.pace) = (12, Duration::from_millis(1)))
        .with("middle", 1, 1, |_| Do::Make)
        .with("sink", 1, 0, |_| Do::Slow(Duration::from_millis(60)));
    let mut stages = line_spec(|middle| middle.hang = Duration::from_millis(20));
    stages.stages[0].hang = Duration::from_millis(20);
    let account = ended(&troupe.start(stages));
    assert!(account.stages.iter().all(|stage| stage.hangs == 0), "{account:?}");
    assert_eq!(account.paths()[0].delivered, 12);
}

#[test]
fn a_hang_while_stopping_does_not_keep_the_pipeline() {
    let troupe = line(|call| if call == 2 { Do::Hang(FOR_GOOD) } else { Do::Pass });
    let runtime = troupe.start(line_spec(|middle| middle.hang = Duration::from_millis(300)));
    eventually("the hang", || Tally::get(&troupe.tally("middle").hung) == 1);
    for stop in [Stop::Drain, Stop::Drop] {
        runtime.stop(stop);
    }
    let account = ended(&runtime);
    assert_eq!(account.stage("middle").unwrap().hangs, 1);
}

#[test]
fn an_actuator_whose_input_is_stale_is_made_safe_once_and_again_after_input() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |call| match call {
            5 => Do::Slow(Duration::from_millis(100)),
            _ => Do::Pass,
        })
        .tune("source", |cast| (cast.count, cast.pace) = (10, Duration::from_millis(1)))
        .with("sink", 1, 0, |_| Do::Pass)
        .tune("sink", |cast| cast.is_actuator = true);
    let mut sink = stage("sink", &["source"]);
    sink.stale = Some(Duration::from_millis(30));
    let runtime = troupe.start(spec(vec![stage("source", &[]), sink]));
    ended(&runtime);
    // Once for the gap, once for the end.
    assert_eq!(Tally::get(&troupe.tally("sink").safe), 2);
    until(&runtime, |event| match event {
        Event::FailSafe { why, .. } if why == "its input is stale" => Some(()),
        _ => None,
    });
}

#[test]
fn threads_are_where_they_were_put() {
    let allowed = edgemill_linux::sched::affinity().unwrap();
    let core = *allowed.last().unwrap();
    let troupe = line(|_| Do::Pass);
    let runtime = troupe.start(line_spec(|middle| middle.cpu = vec![core]));
    until_state(&runtime, "middle", State::Running);
    let status = runtime.status();
    assert_eq!(status.stages[1].cores, [core]);
    assert_eq!(status.stages[0].cores, allowed);
    stop(&runtime);
}

#[test]
fn a_pipeline_that_cannot_run_does_not_start() {
    let absent = line_spec(|middle| middle.kind = "absent".into());
    let far = line_spec(|middle| middle.cpu = vec![1023]);
    let circle = spec(vec![stage("middle", &["middle"])]);
    let cases = [
        (absent, "stage middle cannot be prepared: no such kind"),
        (far, "core 1023 is not among those it may use"),
        (circle, "the stages go in a circle: middle → middle"),
    ];
    for (stages, text) in cases {
        let troupe = line(|_| Do::Pass);
        let error = Runtime::start(stages, Box::new(troupe.clone()), quick()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.stage(), Some("middle"));
        let sum = |pick: fn(&Tally) -> u64| -> u64 {
            troupe.0.values().map(|cast| pick(&cast.tally)).sum()
        };
        eventually("destruction", || {
            sum(|t| Tally::get(&t.prepared)) == sum(|t| Tally::get(&t.destroyed))
        });
    }
}

#[test]
fn check_plans_without_running() {
    let mut troupe = line(|_| Do::Pass);
    let plan = edgemill_pipeline::check(&line_spec(|_| {}), &mut troupe).unwrap();
    let text = plan.to_string();
    assert!(text.contains("source.out0: tensor u8 [64]"), "{text}");
    assert!(text.contains("→ sink.in0 (block, 4 waiting)"), "{text}");
    assert_eq!(Tally::get(&troupe.tally("source").calls), 0);
    let mut troupe = troupe.tune("sink", |cast| cast.inputs = vec![port("in0", range(bytes(65)))]);
    let error = edgemill_pipeline::check(&line_spec(|_| {}), &mut troupe).unwrap_err();
    assert!(matches!(error, RunError::Plan(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("sink.in0 takes tensor u8 [65], but middle.out0 gives tensor u8 [64]"),
        "{error}"
    );
}

#[test]
fn a_join_that_hangs_loses_what_waited_for_partners_and_counts_it() {
    let troupe = Troupe::default()
        .with("source", 0, 1, |_| Do::Pass)
        .tune("source", |cast| (cast.count, cast.pace) = (200, Duration::from_millis(1)))
        .with("late", 1, 1, |_| Do::Slow(Duration::from_millis(2)))
        .with("join", 2, 0, |call| if call == 10 { Do::Hang(FOR_GOOD) } else { Do::Pass });
    let mut join = stage("join", &["source", "late"]);
    join.hang = HANG;
    let stages = vec![stage("source", &[]), stage("late", &["source"]), join];
    let account = ended(&troupe.start(spec(stages)));
    let join = account.stage("join").unwrap();
    assert_eq!((join.hangs, join.faulted), (1, 2));
    assert!(join.delivered > 20, "{account:#?}");
    assert!(account.stages.iter().all(|stage| stage.refusals == 0));
}
