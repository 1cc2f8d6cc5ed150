//! The life of a model in its slots, and its floor.
use edgemill_store::device::grants::Rule;
use edgemill_store::device::store::SlotName;
use edgemill_store::device::{Grants, ReadStore, Store, StoreError, VerifyError};

use crate::fixture::{MODEL, World, grant, snapshot};

fn counters(store: &Store) -> [Option<u64>; 3] {
    let slots = store.slots(MODEL).unwrap();
    [&slots.active, &slots.candidate, &slots.previous].map(|slot| Some(slot.as_ref()?.counter))
}

fn weights(store: &ReadStore, world: &World) -> String {
    let view = store.open_model(MODEL, &grant(), &world.policy()).unwrap();
    String::from_utf8(view.bytes().to_vec()).unwrap()
}

#[test]
fn ok_installed_activated_committed_and_rolled_back() {
    let world = World::new();
    let mut store = world.store_with(&[]);
    world.install(&mut store, 3).unwrap();
    assert_eq!(counters(&store), [None, Some(3), None]);
    store.activate(MODEL).unwrap();
    store.commit(MODEL).unwrap();
    assert_eq!(store.slots(MODEL).unwrap().floor, 3);
    world.install(&mut store, 4).unwrap();
    store.activate(MODEL).unwrap();
    assert_eq!(counters(&store), [Some(4), None, Some(3)]);
    assert_eq!(weights(&store, &world), "weights 4");
    store.rollback(MODEL).unwrap();
    assert_eq!(counters(&store), [Some(3), Some(4), None]);
    assert_eq!(weights(&store, &world), "weights 3");
    store.activate(MODEL).unwrap();
    store.commit(MODEL).unwrap();
    assert_eq!(counters(&store), [Some(4), None, None]);
    assert_eq!(store.slots(MODEL).unwrap().floor, 4);
    drop(store);
    let read = ReadStore::open(&world.store_dir(), world.store_key()).unwrap();
    assert_eq!(weights(&read, &world), "weights 4");
    let manifest = read.manifest(MODEL, SlotName::Active).unwrap();
    assert_eq!(manifest.release.version, "1.4");
}

#[test]
fn ok_previous_of_the_same_counter_stays_after_a_commit() {
    let world = World::new();
    let mut store = world.store_with(&[3, 3]);
    store.commit(MODEL).unwrap();
    assert_eq!(counters(&store), [Some(3), None, Some(3)]);
    store.rollback(MODEL).unwrap();
}

#[test]
fn ok_one_that_never_proved_itself_does_not_displace_one_that_did() {
    let world = World::new();
    let mut store = world.store_with(&[3]);
    store.commit(MODEL).unwrap();
    for counter in [4, 5] {
        world.install(&mut store, counter).unwrap();
        store.activate(MODEL).unwrap();
    }
    assert_eq!(counters(&store), [Some(5), None, Some(3)]);
}

#[test]
fn ok_one_that_kills_the_daemon_is_gone_back_from_when_its_starts_are_used_up() {
    let world = World::new();
    let mut store = world.store_with(&[3]);
    assert_eq!(store.begin_start(MODEL).unwrap(), None, "there is nothing to go back to");
    store.commit(MODEL).unwrap();
    world.install(&mut store, 4).unwrap();
    store.activate(MODEL).unwrap();
    for _ in 0..3 {
        assert_eq!(store.begin_start(MODEL).unwrap(), None);
    }
    drop(store);
    let mut store = Store::open(&world.store_dir(), world.store_key()).unwrap();
    let back = store.begin_start(MODEL).unwrap().map(|slot| slot.counter);
    assert_eq!((back, counters(&store)), (Some(3), [Some(3), Some(4), None]));
    assert_eq!(store.begin_start(MODEL).unwrap(), None, "the previous one has proven itself");
}

#[test]
fn ok_starts_that_end_in_order_are_given_back() {
    let world = World::new();
    let mut store = world.store_with(&[3, 4]);
    for _ in 0..10 {
        store.begin_start(MODEL).unwrap();
        store.end_start(MODEL).unwrap();
    }
    assert_eq!(counters(&store), [Some(4), None, Some(3)]);
}

#[test]
fn fail_an_older_package_replayed() {
    let world = World::new();
    let mut store = world.store_with(&[7]);
    let old = world.counted(6);
    // On probation an older one is still admissible.
    store.install(&old[..], &world.policy(), &world.device).unwrap();
    store.commit(MODEL).unwrap();
    assert_eq!(counters(&store), [Some(7), None, None]);
    let before = snapshot(&world.store_dir());
    let fault = store.install(&old[..], &world.policy(), &world.device).unwrap_err();
    let below =
        matches!(fault, StoreError::Verify(VerifyError::BelowFloor { counter: 6, floor: 7 }));
    assert!(below, "{fault:?}");
    assert_eq!(snapshot(&world.store_dir()), before);
}

#[test]
fn fail_slots_that_are_empty_or_unknown() {
    let world = World::new();
    let mut store = world.store_with(&[1]);
    let before = snapshot(&world.store_dir());
    assert!(matches!(
        store.activate(MODEL),
        Err(StoreError::EmptySlot { slot: SlotName::Candidate, .. })
    ));
    assert!(matches!(
        store.rollback(MODEL),
        Err(StoreError::EmptySlot { slot: SlotName::Previous, .. })
    ));
    assert!(matches!(store.commit("another"), Err(StoreError::NoModel(_))));
    assert_eq!(snapshot(&world.store_dir()), before);
}

#[test]
fn fail_without_a_grant() {
    let world = World::new();
    let store = world.store_with(&[1]);
    let rule = |pipeline: &str, stage: &str, model: &str| {
        let [pipeline, stage, model] = [pipeline, stage, model].map(String::from);
        Rule { pipeline, stage, model }
    };
    let grants = Grants::new([rule("lights", "infer", MODEL), rule("lights", "infer", "other")]);
    for (pipeline, stage, model) in [
        ("lights", "decide", MODEL),
        ("doors", "infer", MODEL),
        ("lights", "infer", "third"),
        ("*", "infer", MODEL),
        ("", "", ""),
    ] {
        let refused = grants.may_open(pipeline, stage, model).unwrap_err();
        assert_eq!(refused.0, rule(pipeline, stage, model));
    }
    // A grant for one model opens no other.
    let grant = grants.may_open("lights", "infer", "other").unwrap();
    let fault = store.open_model(MODEL, &grant, &world.policy()).unwrap_err();
    assert!(matches!(fault, StoreError::Refused(_)), "{fault:?}");
    let grant = grants.may_open("lights", "infer", MODEL).unwrap();
    store.open_model(MODEL, &grant, &world.policy()).unwrap();
}
