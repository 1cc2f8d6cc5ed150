//! A store that this process alone writes.
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Read, Seek};
use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use edgemill_linux::file::{LockFile, is_held, lock_exclusive};
use edgemill_model::package::{CHUNK_BYTES, PackageError, Prefix, Section};

use crate::cipher::{ContentKey, manifest_digest};
use crate::device::sealed::{content_key, judge_prefix};
use crate::device::store::disk::{Disk, RealDisk};
use crate::device::store::error::{SlotName, StoreError, io_fault};
use crate::device::store::holder::lock_holder;
use crate::device::store::read::{ReadStore, object_name, object_path, read_state, state_path};
use crate::device::store::state::{Slot, State};
use crate::device::{DeviceKey, Policy, Sealed, StoreKey};
use crate::secret::wipe_stack;

/// A store, locked for writing until dropped. What can be read of it is in [`ReadStore`].
pub struct Store {
    read: ReadStore,
    disk: Box<dyn Disk>,
    _lock: LockFile,
}

impl Deref for Store {
    type Target = ReadStore;

    fn deref(&self) -> &ReadStore {
        &self.read
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.read.dir)
    }
}

/// What [`Store::deliver`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Name of the model.
    pub model: String,
    /// The package.
    pub slot: Slot,
    /// Where it is now.
    pub place: SlotName,
}

impl Store {
    /// Locks and opens the store at `dir`, and removes what a cut left half-written.
    ///
    /// # Errors
    /// [`StoreError::Busy`], `Lock`, and those of [`ReadStore::open`].
    pub fn open(dir: &Path, key: StoreKey) -> Result<Self, StoreError> {
        Self::open_on(dir, key, Box::new(RealDisk))
    }

    /// As [`Store::open`], on a disk of the caller's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(dir: &Path, key: StoreKey, disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        // Read before the lock is made, so that a folder without a store stays as it is.
        read_state(dir, &key)?;
        let lock = lock(dir)?;
        let store = Self { read: ReadStore::open(dir, key)?, disk, _lock: lock };
        if !store.leftovers().is_empty() {
            // What the last process renamed must last before anything that it replaced is removed.
            store.disk.sync_folder(dir).map_err(io_fault("fsync", dir))?;
            store.sweep();
        }
        Ok(store)
    }

    /// Makes an empty store at `dir`.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the folder holds other files; `Busy`, `Lock`, `Io` or `DiskFull`.
    pub fn create(dir: &Path, key: StoreKey) -> Result<Self, StoreError> {
        Self::create_on(dir, key, Box::new(RealDisk))
    }

    /// As [`Store::create`], on a disk of the caller's.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_on(dir: &Path, key: StoreKey, disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        refuse_used(dir)?;
        for folder in [dir, &dir.join("objects"), &dir.join("tmp")] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(io_fault("make folder", folder))?;
        }
        let lock = lock(dir)?;
        let read = ReadStore { dir: dir.into(), key, state: State::default() };
        let mut store = Self { read, disk, _lock: lock };
        store.sweep();
        store.commit_state(State::default())?;
        Ok(store)
    }

    /// Opens the store at `dir`, or makes it where there is none yet.
    ///
    /// # Errors
    /// Those of [`Store::open`] and [`Store::create`].
    pub fn open_or_create(dir: &Path, key: StoreKey) -> Result<Self, StoreError> {
        match read_state(dir, &key) {
            Err(StoreError::Absent(_)) => Self::create(dir, key),
            _ => Self::open(dir, key),
        }
    }

    /// Installs a package, and makes it active where its model has no active one yet: there is nothing that it
    /// could displace.
    ///
    /// # Errors
    /// Those of [`Store::install`] and [`Store::activate`].
    pub fn deliver(
        &mut self,
        package: impl Read,
        policy: &Policy<'_>,
        device_key: &DeviceKey,
    ) -> Result<Delivered, StoreError> {
        let (model, slot) = self.install_named(package, policy, device_key)?;
        if self.slots(&model)?.active.is_some() {
            return Ok(Delivered { model, slot, place: SlotName::Candidate });
        }
        self.activate(&model)?;
        Ok(Delivered { model, slot, place: SlotName::Active })
    }

    /// Reads a package, bounded, judges it, wraps its content key to this store's key and keeps it as the
    /// model's candidate. The body is copied as it is, and opened once to prove that it can be.
    ///
    /// # Errors
    /// Any [`StoreError`]; the store is then as it was.
    pub fn install(
        &mut self,
        package: impl Read,
        policy: &Policy<'_>,
        device_key: &DeviceKey,
    ) -> Result<Slot, StoreError> {
        self.install_named(package, policy, device_key).map(|(_, slot)| slot)
    }

    fn install_named(
        &mut self,
        package: impl Read,
        policy: &Policy<'_>,
        device_key: &DeviceKey,
    ) -> Result<(String, Slot), StoreError> {
        self.check_root(policy.trust)?;
        let mut package = BufReader::with_capacity(CHUNK_BYTES as usize, package);
        let prefix = Prefix::read(&mut package)?;
        let model = prefix.manifest.release.name.clone();
        let floor = self.state.models.get(&model).map_or(0, |slots| slots.floor);
        judge_prefix(&prefix, policy, floor)?;
        let prefix = self.rewrap(prefix, device_key);
        wipe_stack();
        let prefix = prefix?;
        let slot = self.keep(&prefix, &mut package, policy, floor)?;
        let mut next = self.state.clone();
        next.root_version = next.root_version.max(policy.trust.version());
        next.models.entry(model.clone()).or_default().candidate = Some(slot.clone());
        let committed = self.commit_state(next);
        if committed.is_err() && !self.state.objects().any(|named| *named == slot.object) {
            let _ = self.disk.remove(&object_path(&self.dir, &slot.object));
        }
        committed.map(|()| (model, slot))
    }

    /// In a frame of its own, which is gone when its caller wipes.
    #[inline(never)]
    fn rewrap(&self, mut prefix: Prefix, device_key: &DeviceKey) -> Result<Prefix, StoreError> {
        let key: ContentKey = content_key(&prefix, device_key)?;
        let stanza = key.wrap_for_store(self.key.secret(), &manifest_digest(&prefix))?;
        prefix.stanzas = vec![stanza];
        prefix.seal = key.seal_prefix(&prefix.sealed_bytes());
        Ok(prefix)
    }

    /// Writes the object, proves it, and gives it its name.
    fn keep(
        &self,
        prefix: &Prefix,
        body: &mut impl Read,
        policy: &Policy<'_>,
        floor: u64,
    ) -> Result<Slot, StoreError> {
        let incoming = self.dir.join("tmp/incoming");
        let bytes = prefix.to_bytes();
        let object = object_name(&bytes);
        let path = object_path(&self.dir, &object);
        let kept = self.write_object(&incoming, &bytes, prefix.header.body_bytes, body).and_then(
            |mut file| {
                self.prove(&mut file, &incoming, policy, floor)?;
                self.disk.sync(&file, &incoming).map_err(io_fault("fsync", &incoming))?;
                self.place(&incoming, &path)
            },
        );
        if kept.is_err() {
            let _ = self.disk.remove(&incoming);
            let _ = self.disk.remove(&path);
        }
        kept.map(|()| Slot {
            object,
            version: prefix.manifest.release.version.clone(),
            counter: prefix.manifest.release.counter,
            bytes: bytes.len() as u64 + prefix.header.body_bytes,
        })
    }

    fn write_object(
        &self,
        path: &Path,
        prefix: &[u8],
        body_bytes: u64,
        body: &mut impl Read,
    ) -> Result<File, StoreError> {
        let write = |file: &mut File, bytes: &[u8]| {
            self.disk.write(file, path, bytes).map_err(io_fault("write", path))
        };
        let mut file = self.disk.create(path).map_err(io_fault("create", path))?;
        write(&mut file, prefix)?;
        let mut buffer = vec![0; CHUNK_BYTES as usize];
        let mut left = body_bytes;
        while left > 0 {
            let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            body.read_exact(&mut buffer[..length]).map_err(ended_early)?;
            write(&mut file, &buffer[..length])?;
            left -= length as u64;
        }
        match body.read(&mut [0]).map_err(PackageError::Io)? {
            0 => Ok(file),
            _ => Err(PackageError::Trailing.into()),
        }
    }

    /// What was written is verified and opened as any stage will do it.
    fn prove(
        &self,
        file: &mut File,
        path: &Path,
        policy: &Policy<'_>,
        floor: u64,
    ) -> Result<(), StoreError> {
        file.rewind().map_err(io_fault("seek", path))?;
        Sealed::read(file)?.verify(policy, floor)?.open_with(&self.key)?;
        Ok(())
    }

    /// Gives a whole, synced file its name for good.
    fn place(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.disk.rename(from, to).map_err(io_fault("rename to", to))?;
        let folder = to.parent().unwrap_or(to);
        self.disk.sync_folder(folder).map_err(io_fault("fsync", folder))
    }

    /// The only way in which the state changes. Where that fails, what the disk says stands.
    pub(super) fn commit_state(&mut self, mut next: State) -> Result<(), StoreError> {
        next.generation = self.state.generation.saturating_add(1);
        if let Err(fault) = self.write_state(&next) {
            if let Ok(state) = read_state(&self.dir, &self.key) {
                self.read.state = state;
            }
            return Err(fault);
        }
        self.read.state = next;
        self.sweep();
        Ok(())
    }

    fn write_state(&self, state: &State) -> Result<(), StoreError> {
        let path = self.dir.join("tmp/state");
        let json = |fault| io_fault("write", &path)(io::Error::other::<serde_json::Error>(fault));
        let bytes = state.to_bytes(&self.key).map_err(json)?;
        let mut file = self.disk.create(&path).map_err(io_fault("create", &path))?;
        let written = self
            .disk
            .write(&mut file, &path, &bytes)
            .map_err(io_fault("write", &path))
            .and_then(|()| self.disk.sync(&file, &path).map_err(io_fault("fsync", &path)))
            .and_then(|()| self.place(&path, &state_path(&self.dir)));
        if written.is_err() {
            let _ = self.disk.remove(&path);
        }
        written
    }

    /// What the state does not name: files that a cut left, and packages that were replaced.
    fn leftovers(&self) -> Vec<PathBuf> {
        let named: Vec<_> =
            self.state.objects().map(|object| object_path(&self.dir, object)).collect();
        let mut paths = files_in(&self.dir.join("objects"));
        paths.retain(|path| !named.contains(path));
        paths.extend(files_in(&self.dir.join("tmp")));
        paths
    }

    /// Removes leftovers. What stays behind is removed the next time.
    fn sweep(&self) {
        for path in self.leftovers() {
            let _ = self.disk.remove(&path);
        }
    }
}

fn ended_early(fault: io::Error) -> PackageError {
    match fault.kind() {
        io::ErrorKind::UnexpectedEof => PackageError::Truncated(Section::Body),
        _ => PackageError::Io(fault),
    }
}

fn lock(dir: &Path) -> Result<LockFile, StoreError> {
    let path = dir.join("lock");
    lock_exclusive(&path).map_err(|fault| match is_held(&fault) {
        true => StoreError::Busy { dir: dir.into(), pid: lock_holder(&path) },
        false => StoreError::Lock(fault),
    })
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// A folder that a cut left on the way to a store may become one; any other is someone's.
fn refuse_used(dir: &Path) -> Result<(), StoreError> {
    let ours = ["lock", "objects", "tmp"];
    let used = files_in(dir).iter().any(|path| !ours.iter().any(|name| path.ends_with(name)));
    let objects = !files_in(&dir.join("objects")).is_empty();
    if used || objects { Err(StoreError::Exists(dir.into())) } else { Ok(()) }
}
