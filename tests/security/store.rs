//! A store whose files were changed, whose key is another's, or that two want to write.
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use edgemill_model::package::{PackageError, Prefix, Section};
use edgemill_store::device::{OpenError, ReadStore, Store, StoreError, VerifyError};

use crate::fixture::{MODEL, World, grant, snapshot};

#[test]
fn fail_any_bit_of_the_state_flipped() {
    let world = World::new();
    drop(world.store_with(&[1, 2]));
    let path = world.store_dir().join("state");
    let state = fs::read(&path).unwrap();
    for at in 0..state.len() {
        for bit in 0..8 {
            let mut changed = state.clone();
            changed[at] ^= 1 << bit;
            fs::write(&path, changed).unwrap();
            let fault = ReadStore::open(&world.store_dir(), world.store_key()).unwrap_err();
            assert!(
                matches!(fault, StoreError::StateTampered(_)),
                "byte {at}, bit {bit}: {fault:?}"
            );
        }
    }
    for length in 0..state.len() {
        fs::write(&path, &state[..length]).unwrap();
        let fault = Store::open(&world.store_dir(), world.store_key()).unwrap_err();
        assert!(matches!(fault, StoreError::StateTampered(_)), "{length} bytes: {fault:?}");
    }
}

#[test]
fn fail_any_bit_of_an_object_flipped() {
    let world = World::new();
    let store = world.store_with(&[1]);
    let object = store.slots(MODEL).unwrap().active.as_ref().unwrap().object;
    let path = world.store_dir().join("objects").join(object.to_string());
    let bytes = fs::read(&path).unwrap();
    let open = |bytes: &[u8], what: String| {
        fs::write(&path, bytes).unwrap();
        let fault = store.open_model(MODEL, &grant(), &world.policy()).expect_err(&what);
        assert!(matches!(fault, StoreError::ObjectTampered { .. }), "{what}: {fault:?}");
    };
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            open(&changed, format!("byte {at}, bit {bit}"));
        }
    }
    for length in 0..bytes.len() {
        open(&bytes[..length], format!("{length} bytes"));
    }
    open(&[&bytes[..], b"x"].concat(), "one byte more".into());
    fs::remove_file(&path).unwrap();
    let fault = store.open_model(MODEL, &grant(), &world.policy()).unwrap_err();
    assert!(matches!(fault, StoreError::ObjectTampered { .. }), "{fault:?}");
}

#[test]
fn fail_an_object_put_in_the_place_of_another() {
    let world = World::new();
    let store = world.store_with(&[1, 2]);
    let slots = store.slots(MODEL).unwrap().clone();
    let path = |slot: Option<edgemill_store::device::store::Slot>| {
        world.store_dir().join("objects").join(slot.unwrap().object.to_string())
    };
    fs::copy(path(slots.previous), path(slots.active)).unwrap();
    let fault = store.open_model(MODEL, &grant(), &world.policy()).unwrap_err();
    assert!(matches!(fault, StoreError::ObjectTampered { .. }), "{fault:?}");
}

#[test]
fn fail_another_store_key() {
    let (world, other) = (World::new(), World::new());
    drop(world.store_with(&[1]));
    let fault = Store::open(&world.store_dir(), other.store_key()).unwrap_err();
    assert!(matches!(fault, StoreError::StateTampered(_)), "{fault:?}");
}

#[test]
fn fail_absent_or_robbed_of_its_state() {
    let world = World::new();
    let dir = world.store_dir();
    assert!(matches!(Store::open(&dir, world.store_key()), Err(StoreError::Absent(_))));
    fs::create_dir(&dir).unwrap();
    assert!(matches!(ReadStore::open(&dir, world.store_key()), Err(StoreError::Absent(_))));
    assert!(snapshot(&dir).is_empty());
    drop(world.store_with(&[1]));
    fs::remove_file(dir.join("state")).unwrap();
    let before = snapshot(&dir);
    for fault in [
        Store::open(&dir, world.store_key()).unwrap_err(),
        Store::open_or_create(&dir, world.store_key()).unwrap_err(),
    ] {
        assert!(matches!(fault, StoreError::StateMissing(_)), "{fault:?}");
    }
    assert!(matches!(Store::create(&dir, world.store_key()), Err(StoreError::Exists(_))));
    assert_eq!(snapshot(&dir), before);
}

#[test]
fn fail_a_folder_of_other_files() {
    let world = World::new();
    let dir = world.folder.path("keys");
    let before = snapshot(&dir);
    let fault = Store::open_or_create(&dir, world.store_key()).unwrap_err();
    assert!(matches!(fault, StoreError::Exists(_)), "{fault:?}");
    assert_eq!(snapshot(&dir), before);
}

#[test]
fn fail_a_second_writer_in_this_process() {
    let world = World::new();
    let store = world.store_with(&[1]);
    let before = snapshot(&world.store_dir());
    let fault = Store::open(&world.store_dir(), world.store_key()).unwrap_err();
    let own = std::process::id();
    assert!(matches!(fault, StoreError::Busy { pid: Some(pid), .. } if pid == own), "{fault:?}");
    assert_eq!(snapshot(&world.store_dir()), before);
    ReadStore::open(&world.store_dir(), world.store_key()).unwrap();
    drop(store);
    Store::open(&world.store_dir(), world.store_key()).unwrap();
}

const HOLD: &str = "EDGEMILL_TEST_HOLD_STORE";

/// Not a case: what the next one starts as a process of its own.
#[test]
fn holder() {
    let Some(dir) = std::env::var_os(HOLD).map(std::path::PathBuf::from) else { return };
    let key = dir.join("../keys/store.key");
    let key = edgemill_store::device::StoreKey::load(&key).unwrap();
    let _store = Store::open(&dir, key).unwrap();
    println!("\nholding");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn fail_a_second_writer_in_another_process_until_that_is_killed() {
    let world = World::new();
    drop(world.store_with(&[1]));
    let mut child = edgemill_tests::emulator::start_self()
        .args(["--exact", "store::holder", "--nocapture"])
        .env(HOLD, world.store_dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "holding"));
    let fault = Store::open(&world.store_dir(), world.store_key()).unwrap_err();
    let pid = child.id();
    assert!(matches!(fault, StoreError::Busy { pid: Some(p), .. } if p == pid), "{fault:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    Store::open(&world.store_dir(), world.store_key()).unwrap();
}

#[test]
fn fail_installs_change_nothing() {
    let (world, other) = (World::new(), World::new());
    let mut store = world.store_with(&[1, 2]);
    let before = snapshot(&world.store_dir());
    let package = world.counted(3);
    let body = Prefix::read(&mut &package[..]).unwrap().to_bytes().len();
    let mut flipped = package.clone();
    flipped[body] ^= 1;
    let cases = [
        ("empty", vec![]),
        ("text", b"not a package, but some words of text about one".to_vec()),
        ("truncated in its prefix", package[..body - 1].to_vec()),
        ("truncated in its body", package[..package.len() - 1].to_vec()),
        ("longer", [&package[..], b"x"].concat()),
        ("changed", flipped),
        ("of a stranger", other.counted(3)),
    ];
    let mut faults = BTreeSet::new();
    for (name, bytes) in cases {
        let fault = store.install(&bytes[..], &world.policy(), &world.device).unwrap_err();
        assert_eq!(snapshot(&world.store_dir()), before, "{name}");
        faults.insert(match fault {
            StoreError::Package(PackageError::Truncated(Section::Header)) => 0,
            StoreError::Package(PackageError::NotAPackage) => 1,
            StoreError::Package(PackageError::Truncated(Section::Signatures)) => 2,
            StoreError::Package(PackageError::Truncated(Section::Body)) => 3,
            StoreError::Package(PackageError::Trailing) => 4,
            StoreError::Verify(VerifyError::BodyDigest) => 5,
            StoreError::Verify(VerifyError::Signature(_)) => 6,
            fault => panic!("{name}: {fault:?}"),
        });
    }
    assert_eq!(faults.len(), 7);
    let fault = store.install(&package[..], &world.policy(), &other.device).unwrap_err();
    assert!(matches!(fault, StoreError::Open(OpenError::NoStanza { .. })), "{fault:?}");
    assert_eq!(snapshot(&world.store_dir()), before);
}

#[test]
fn ok_the_body_is_left_alone_and_the_key_is_wrapped_anew() {
    let world = World::new();
    let package = world.counted(1);
    let mut store = world.store_with(&[]);
    let slot = store.install(&package[..], &world.policy(), &world.device).unwrap();
    let object = fs::read(world.store_dir().join("objects").join(slot.object.to_string())).unwrap();
    let [sent, kept] = [&package, &object].map(|bytes| Prefix::read(&mut &bytes[..]).unwrap());
    assert_eq!(kept.manifest_bytes, sent.manifest_bytes);
    assert_eq!(kept.signatures, sent.signatures);
    assert_ne!(kept.stanzas, sent.stanzas);
    let [sent, kept] = [sent, kept].map(|prefix| prefix.to_bytes().len());
    assert_eq!(object[kept..], package[sent..]);
    assert_eq!(object.len() as u64, slot.bytes);
}

const FIND: &str = "EDGEMILL_TEST_FIND_KEY";

/// Not a case: what the next one starts with and without a folder of credentials.
#[test]
fn finder() {
    let Some(dir) = std::env::var_os(FIND).map(std::path::PathBuf::from) else { return };
    let key = edgemill_store::device::StoreKey::find(&dir.join("no.key")).unwrap();
    ReadStore::open(&dir.join("store"), key).unwrap();
}

#[test]
fn ok_the_key_is_a_credential_where_the_service_has_one() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    drop(world.store_with(&[1]));
    let credentials = world.folder.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(world.key_file("store.key"), credentials.join("store.key")).unwrap();
    // As systemd shows a file that an access list opens to the service's user.
    let mode = fs::Permissions::from_mode(0o440);
    fs::set_permissions(credentials.join("store.key"), mode).unwrap();
    let mut child = edgemill_tests::emulator::start_self();
    child.args(["--exact", "store::finder"]).env(FIND, world.folder.path(""));
    child.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(!child.env_remove("CREDENTIALS_DIRECTORY").status().unwrap().success());
    assert!(child.env("CREDENTIALS_DIRECTORY", credentials).status().unwrap().success());
}
