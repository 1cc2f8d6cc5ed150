//! A store on a disk that ends the world after its n-th step, for every n.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use edgemill_store::device::store::disk::{Disk, RealDisk};
use edgemill_store::device::store::{SlotName, State};
use edgemill_store::device::{ReadStore, Store, StoreError};

use crate::fixture::{MODEL, World, grant, snapshot};

/// What a loss of power keeps of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    /// All of it: the kernel had just written it out.
    Kept,
    /// Half of each file, and no new name.
    Lost,
}

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// This one and all that follow: the power is gone. A write leaves half of its bytes.
    Power,
    /// This one alone, for want of room.
    Full,
}

#[derive(Default)]
struct Steps {
    done: usize,
    /// Files with bytes that were not synced.
    unsynced: Vec<PathBuf>,
    /// Names that were not synced: from, to, and what stood at `to`.
    renamed: Vec<(PathBuf, PathBuf, Option<Vec<u8>>)>,
}

/// A disk whose step number `fails_at`, counted from 0, fails.
#[derive(Clone)]
struct FailingDisk {
    fails_at: usize,
    failure: Failure,
    steps: Arc<Mutex<Steps>>,
}

impl FailingDisk {
    fn new(fails_at: usize, failure: Failure) -> Self {
        Self { fails_at, failure, steps: Arc::default() }
    }

    fn step(&self) -> io::Result<()> {
        let mut steps = self.steps.lock().unwrap();
        let at = steps.done;
        steps.done += 1;
        match self.failure {
            Failure::Power if at >= self.fails_at => Err(io::Error::other("the power is gone")),
            Failure::Full if at == self.fails_at => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn was_reached(&self) -> bool {
        self.steps.lock().unwrap().done > self.fails_at
    }

    /// Leaves the folder as the power's loss does.
    fn lose_power(&self, unsynced: Unsynced) {
        let steps = self.steps.lock().unwrap();
        if unsynced == Unsynced::Kept {
            return;
        }
        for (from, to, old) in steps.renamed.iter().rev() {
            fs::rename(to, from).unwrap();
            if let Some(old) = old {
                fs::write(to, old).unwrap();
            }
        }
        for path in &steps.unsynced {
            if let Ok(file) = File::options().write(true).open(path) {
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            }
        }
    }
}

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        self.steps.lock().unwrap().unsynced.push(path.into());
        RealDisk.create(path)
    }

    fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let step = self.step();
        let length = if step.is_ok() { bytes.len() } else { bytes.len() / 2 };
        RealDisk.write(file, path, &bytes[..length])?;
        step
    }

    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.step()?;
        self.steps.lock().unwrap().unsynced.retain(|unsynced| unsynced != path);
        RealDisk.sync(file, path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let old = fs::read(to).ok();
        self.steps.lock().unwrap().renamed.push((from.into(), to.into(), old));
        RealDisk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        self.steps.lock().unwrap().renamed.retain(|(_, to, _)| to.parent() != Some(folder));
        RealDisk.sync_folder(folder)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.remove(path)
    }
}

type Change = fn(&World, &mut Store) -> Result<(), StoreError>;

const CHANGES: [(&str, Change); 4] = [
    ("install", |world, store| world.install(store, 4).map(drop)),
    ("activate", |_, store| store.activate(MODEL).map(drop)),
    ("commit", |_, store| store.commit(MODEL)),
    ("rollback", |_, store| store.rollback(MODEL).map(drop)),
];

/// A store with all three slots taken.
fn full_store(world: &World) -> State {
    let mut store = world.store_with(&[1, 2]);
    world.install(&mut store, 3).unwrap();
    store.state().clone()
}

fn copy(files: &BTreeMap<PathBuf, Vec<u8>>, dir: &Path) {
    fs::remove_dir_all(dir).unwrap();
    for folder in ["objects", "tmp"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

/// Every model that a slot names opens; gives the state without its generation.
fn whole(store: &ReadStore, world: &World) -> State {
    for slot in [SlotName::Active, SlotName::Candidate, SlotName::Previous] {
        if store.slot(MODEL, slot).is_ok() {
            store.manifest(MODEL, slot).unwrap();
        }
    }
    store.open_model(MODEL, &grant(), &world.policy()).unwrap();
    without_objects(store.state())
}

/// Names of objects differ from one wrapping to the next, and generations count tries.
fn without_objects(state: &State) -> State {
    let mut state = State { generation: 0, ..state.clone() };
    for slots in state.models.values_mut() {
        let all = [&mut slots.active, &mut slots.candidate, &mut slots.previous];
        for slot in all.into_iter().flatten() {
            slot.object.0 = [0; 32];
        }
    }
    state
}

/// Runs `change` with a failure at every step in turn, and `judge` after each.
fn at_every_step(
    world: &World,
    failure: Failure,
    change: Change,
    mut judge: impl FnMut(usize, &FailingDisk, Store, Result<(), StoreError>),
) {
    let files = snapshot(&world.store_dir());
    for at in 0.. {
        copy(&files, &world.store_dir());
        let disk = FailingDisk::new(at, failure);
        let dir = world.store_dir();
        let mut store = Store::open_on(&dir, world.store_key(), Box::new(disk.clone())).unwrap();
        let done = change(world, &mut store);
        let reached = disk.was_reached();
        judge(at, &disk, store, done);
        if !reached {
            assert!(at > 4, "a change has more than {at} steps");
            copy(&files, &world.store_dir());
            return;
        }
    }
}

#[test]
fn cut_at_every_step_leaves_the_old_state_or_the_new_one() {
    let world = World::new();
    let old = without_objects(&full_store(&world));
    for (name, change) in CHANGES {
        let files = snapshot(&world.store_dir());
        let mut store = Store::open(&world.store_dir(), world.store_key()).unwrap();
        change(&world, &mut store).unwrap();
        let new = without_objects(store.state());
        drop(store);
        copy(&files, &world.store_dir());
        assert_ne!(old, new, "{name}");
        for unsynced in [Unsynced::Kept, Unsynced::Lost] {
            let mut seen = [false; 2];
            at_every_step(&world, Failure::Power, change, |at, disk, store, done| {
                drop(store);
                disk.lose_power(unsynced);
                let read = ReadStore::open(&world.store_dir(), world.store_key()).unwrap();
                let found = whole(&read, &world);
                assert!(found == old || found == new, "{name}, {unsynced:?}, step {at}: {found:?}");
                // What was reported done is done.
                assert!(done.is_err() || found == new, "{name}, {unsynced:?}, step {at}");
                seen[usize::from(found == new)] = true;
                // And the store goes on from there, without what was left over.
                let store = Store::open(&world.store_dir(), world.store_key()).unwrap();
                assert_eq!(whole(&store, &world), found);
                let slots = store.slots(MODEL).unwrap();
                let named = [&slots.active, &slots.candidate, &slots.previous];
                let named = named.into_iter().flatten().count();
                assert_eq!(snapshot(&world.store_dir()).len(), 2 + named, "{name}, step {at}");
            });
            assert_eq!(seen, [true; 2], "{name}, {unsynced:?}");
        }
    }
}

#[test]
fn full_disk_at_every_step_is_a_clean_error() {
    let world = World::new();
    full_store(&world);
    let before = snapshot(&world.store_dir());
    for (name, change) in CHANGES {
        at_every_step(&world, Failure::Full, change, |at, _, store, done| {
            let state = store.state().clone();
            drop(store);
            let read = ReadStore::open(&world.store_dir(), world.store_key()).unwrap();
            assert_eq!(*read.state(), state, "{name}, step {at}: memory and disk agree");
            whole(&read, &world);
            match done {
                Ok(()) => {}
                Err(StoreError::DiskFull(path)) => {
                    // Only the last sync, after the new state has its name, is too late to go back.
                    let changed = snapshot(&world.store_dir()) != before;
                    assert!(!changed || path == world.store_dir(), "{name}, step {at}");
                }
                Err(fault) => panic!("{name}, step {at}: {fault:?}"),
            }
        });
    }
}

#[test]
fn cut_while_it_is_made_leaves_no_store_or_an_empty_one() {
    let world = World::new();
    let dir = world.store_dir();
    for at in 0..20 {
        for unsynced in [Unsynced::Kept, Unsynced::Lost] {
            let _ = fs::remove_dir_all(&dir);
            let disk = FailingDisk::new(at, Failure::Power);
            let made = Store::create_on(&dir, world.store_key(), Box::new(disk.clone()));
            let done = made.is_ok();
            drop(made);
            disk.lose_power(unsynced);
            let opened = ReadStore::open(&dir, world.store_key());
            let empty = matches!(&opened, Ok(store) if store.state().models.is_empty());
            assert!(empty || matches!(opened, Err(StoreError::Absent(_))), "step {at}: {opened:?}");
            assert!(empty || !done, "step {at}");
            Store::open_or_create(&dir, world.store_key()).unwrap();
        }
    }
}
