//! Key files in the wrong shape or hands, and trust that is not to be had.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use edgemill_store::author::{KeyRing, Plan, show};
use edgemill_store::device::{DeviceKey, StoreKey, Trust, TrustError};
use edgemill_store::keys::{KeyError, KeyRole};
use edgemill_store::signed::{DocumentError, SignatureFault};

use crate::fixture::{Folder, World, snapshot};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn ok_a_new_set_is_whole_and_its_secrets_are_its_owners() {
    let world = World::new();
    let names = [
        "device.key",
        "device.pub",
        "root.key",
        "root.pub",
        "store.key",
        "targets.key",
        "trust.json",
    ];
    let found: Vec<_> = snapshot(&world.folder.path("keys")).into_keys().collect();
    assert_eq!(found, names.map(|name| world.key_file(name)));
    for name in names {
        let expected = if name.ends_with(".key") { 0o400 } else { 0o444 };
        assert_eq!(mode(&world.key_file(name)), expected, "{name}");
    }
    let roles: Vec<_> =
        show(&world.folder.path("keys")).unwrap().iter().map(|key| key.role).collect();
    assert_eq!(roles, [KeyRole::Root, KeyRole::Targets, KeyRole::Device]);
}

#[test]
fn fail_keys_are_never_overwritten() {
    let world = World::new();
    let keys = world.folder.path("keys");
    let before = snapshot(&world.folder.path(""));
    assert!(matches!(KeyRing::init(&keys), Err(KeyError::Exists(_))));
    assert!(matches!(DeviceKey::create(&keys), Err(KeyError::Exists(_))));
    assert!(matches!(StoreKey::create(&keys), Err(KeyError::Exists(_))));
    assert_eq!(snapshot(&world.folder.path("")), before);
}

#[test]
fn fail_a_plan_that_cannot_be_leaves_nothing() {
    let folder = Folder::new();
    for plan in [
        Plan { targets_threshold: 2, ..Plan::default() },
        Plan { targets_threshold: 0, ..Plan::default() },
        Plan { root_keys: 0, root_threshold: 0, ..Plan::default() },
        Plan { root_keys: 17, ..Plan::default() },
    ] {
        let fault = KeyRing::init_with(&folder.path("keys"), &plan).unwrap_err();
        assert!(matches!(fault, KeyError::Malformed { .. }), "{fault:?}");
        assert!(snapshot(&folder.path("")).is_empty());
    }
}

#[test]
fn fail_key_files() {
    let world = World::new();
    let path = world.key_file("store.key");
    let good = fs::read_to_string(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    let fault = StoreKey::load(&path).unwrap_err();
    assert!(matches!(fault, KeyError::Permissions { mode: 0o440, .. }), "{fault:?}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for (name, text) in [
        ("empty", String::new()),
        ("of another role", good.replace("store", "device")),
        ("of a later format", good.replace("-1 ", "-2 ")),
        ("a digit short", good.replace('\n', "").split_at(good.len() - 2).0.into()),
        ("in capitals", good.to_uppercase()),
        ("two lines", good.repeat(2)),
        ("long", good.clone() + &" ".repeat(300)),
        ("binary", "\u{1b}\0\u{7f}".into()),
    ] {
        fs::write(&path, &text).unwrap();
        let fault = StoreKey::load(&path).unwrap_err();
        assert!(matches!(fault, KeyError::Malformed { .. }), "{name}: {fault:?}");
        assert!(!fault.to_string().contains(good.split(' ').nth(2).unwrap()), "{name}: it leaks");
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(StoreKey::load(&path), Err(KeyError::Malformed { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(StoreKey::load(&path), Err(KeyError::Absent(_))));
}

#[test]
fn ok_debug_and_show_have_no_secret() {
    let world = World::new();
    let shown = format!("{:?} {:?} {:?}", world.ring, world.device, world.store_key());
    for name in ["root.key", "targets.key", "device.key", "store.key"] {
        let text = fs::read_to_string(world.key_file(name)).unwrap();
        assert!(!shown.contains(text.trim().rsplit(' ').next().unwrap()), "{name}");
    }
}

#[test]
fn fail_trust() {
    let (world, stranger) = (World::new(), World::new());
    let path = world.key_file("trust.json");
    let good = fs::read_to_string(&path).unwrap();
    let strange = fs::read_to_string(stranger.key_file("trust.json")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let signature = good.rfind("\"signature\": \"").unwrap() + 20;
    let mut wrong = good.clone();
    let digit = if &good[signature..=signature] == "0" { "1" } else { "0" };
    wrong.replace_range(signature..=signature, digit);
    let unsigned = good[..good.find("\"signatures\"").unwrap()].to_owned() + "\"signatures\": []}";
    for (name, text, expected) in [
        ("of a stranger", strange, "UnknownKey"),
        ("changed", good.replace("\"version\": 1", "\"version\": 2"), "Wrong"),
        ("its signature changed", wrong, "Wrong"),
        ("unsigned", unsigned, "Unsigned"),
        ("of threshold 0", good.replace("\"threshold\": 1", "\"threshold\": 0"), "Malformed"),
        ("of version 0", good.replace("\"version\": 1", "\"version\": 0"), "Malformed"),
        ("with an unknown key", good.replace("\"version\"", "\"versiom\""), "Malformed"),
        ("no JSON", good.replace('{', "["), "Malformed"),
        ("too long", " ".repeat(1 << 21), "TooLong"),
    ] {
        fs::write(&path, &text).unwrap();
        let fault = Trust::load(&path).unwrap_err();
        let TrustError::Document(fault) = fault else { panic!("{name}: {fault:?}") };
        let found = match fault {
            DocumentError::Signature(_, fault) => format!("{fault:?}"),
            fault => format!("{fault:?}"),
        };
        assert!(found.starts_with(expected), "{name}: {found}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(Trust::load(&path), Err(TrustError::Document(DocumentError::Absent(..)))));
}

#[test]
fn fail_pins() {
    let world = World::new();
    let pin = world.folder.path("pin");
    let good = fs::read_to_string(world.key_file("root.pub")).unwrap();
    for (name, text) in [
        ("empty", String::new()),
        ("a device's key", good.replace("root", "device")),
        ("a threshold too high", format!("threshold 2\n{good}")),
        ("a threshold of 0", format!("threshold 0\n{good}")),
        ("twice the same key", good.repeat(2)),
        ("words after it", good.clone() + "and more\n"),
    ] {
        fs::write(&pin, text).unwrap();
        let fault = Trust::load_pinned(&world.key_file("trust.json"), &pin).unwrap_err();
        assert!(matches!(fault, TrustError::Pin(_)), "{name}: {fault:?}");
    }
    fs::write(&pin, good).unwrap();
    Trust::load_pinned(&world.key_file("trust.json"), &pin).unwrap();
}

#[test]
fn fail_a_root_threshold_that_the_pin_does_not_grant() {
    // Two pinned keys must sign; a document by one of them that says one is enough does not count.
    let plan = Plan { root_keys: 2, root_threshold: 2, ..Plan::default() };
    let (world, one) = (World::planned(&plan), World::new());
    let pin = world.folder.path("pin");
    let both = fs::read_to_string(one.key_file("root.pub")).unwrap()
        + fs::read_to_string(world.key_file("root.pub")).unwrap().lines().next().unwrap();
    fs::write(&pin, both).unwrap();
    let fault = Trust::load_pinned(&one.key_file("trust.json"), &pin).unwrap_err();
    let TrustError::Document(DocumentError::Signature(_, fault)) = fault else {
        panic!("{fault:?}")
    };
    assert_eq!(fault, SignatureFault::Threshold { have: 1, need: 2 });
}
