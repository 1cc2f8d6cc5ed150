//! Where the plain bytes of a model are in this process, and that they are gone afterwards.
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use edgemill_store::author::Package;
use edgemill_store::device::StoreKey;

use crate::fixture::{MODEL, World, grant, release};

/// One search at a time: a search holds copies of what it looks at.
static SEARCH: Mutex<()> = Mutex::new(());

/// A run of random bytes that this process holds in no other form than masked.
struct Marker([u8; 32]);

const MASK: u8 = 0x5a;

impl Marker {
    fn new() -> Self {
        let mut masked = [0; 32];
        getrandom::fill(&mut masked).unwrap();
        Self(masked)
    }

    /// The key in the file at `path`, of which no copy stays with the test.
    fn of_key(path: &Path) -> Self {
        let mut text = fs::read(path).unwrap();
        let digits = &text[text.len() - 65..text.len() - 1];
        let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap();
        let mut masked = [0; 32];
        for (byte, pair) in masked.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(nibble(pair[0]) << 4 | nibble(pair[1])).unwrap() ^ MASK;
        }
        text.fill(0);
        std::hint::black_box(&text);
        Self(masked)
    }

    fn unmasked(&self, at: usize) -> u8 {
        self.0[at % self.0.len()] ^ MASK
    }

    /// A payload of nothing but the marker, of a length that no block divides.
    fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(200_013);
        payload.extend((0..200_013).map(|at| self.unmasked(at)));
        payload
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.0.len() && (0..self.0.len()).all(|at| bytes[at] == self.unmasked(at))
    }
}

/// The start of a mapping and its flags, as /proc/self/smaps has them. See proc_pid_smaps(5).
struct Mapping {
    start: u64,
    end: u64,
    flags: String,
}

fn mappings() -> Vec<Mapping> {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut found: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            found.last_mut().unwrap().flags = flags.trim().into();
        } else if let Some((start, end)) = line.split(' ').next().and_then(|r| r.split_once('-')) {
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            found.push(Mapping { start, end, flags: String::new() });
        }
    }
    found
}

/// Every readable mapping in which the marker stands, but for the buffer through which this looks.
fn find(marker: &Marker) -> Vec<Mapping> {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; 1 << 20];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let mut hits = mappings();
    hits.retain(|mapping| {
        let mut at = mapping.start;
        let mut found = false;
        while at < mapping.end {
            let length = usize::try_from(mapping.end - at).unwrap().min(buffer.len());
            let Ok(read) = memory.read_at(&mut buffer[..length], at) else { break };
            if read == 0 {
                break;
            }
            for (offset, window) in buffer[..read].windows(marker.0.len()).enumerate() {
                let address = at + offset as u64;
                found |= marker.is_at(window) && !own.contains(&address);
            }
            buffer[..read].fill(0);
            // Windows overlap, so that one that spans two reads is seen.
            at += if read > 64 && at + (read as u64) < mapping.end {
                read as u64 - 32
            } else {
                read as u64
            };
        }
        found
    });
    hits
}

#[test]
fn plain_bytes_are_in_locked_memory_alone_and_gone_after_drop() {
    let _alone = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    let marker = Marker::new();
    let package = {
        let mut payload = marker.payload();
        let package = Package::pack(&payload, release()).unwrap();
        payload.fill(0);
        std::hint::black_box(&payload);
        let package = package.seal(&[world.device.public().clone()]).unwrap();
        package.sign(&world.ring).to_bytes()
    };
    assert_eq!(find(&marker).len(), 0, "the desk's side is wiped before the box's begins");
    let mut store = world.store_with(&[]);
    store.install(&package[..], &world.policy(), &world.device).unwrap();
    store.activate(MODEL).unwrap();
    assert_eq!(find(&marker).len(), 0, "an install leaves nothing");
    let view = store.open_model(MODEL, &grant(), &world.policy()).unwrap();
    let hits = find(&marker);
    assert_eq!(hits.len(), 1, "one mapping holds the model");
    let start = view.bytes().as_ptr() as u64;
    assert!((hits[0].start..hits[0].end).contains(&start));
    let has = |flag| hits[0].flags.split(' ').any(|found| found == flag);
    assert!(has("rd") && !has("wr"), "read-only: {}", hits[0].flags);
    // The emulator keeps this advice from the kernel.
    if !edgemill_tests::emulator::emulated() {
        assert!(has("dd"), "not in core dumps: {}", hits[0].flags);
        assert!(has("wf"), "not in children: {}", hits[0].flags);
    }
    assert_eq!(has("lo"), view.lock_refusal().is_none(), "locked in RAM: {}", hits[0].flags);
    drop(view);
    assert_eq!(find(&marker).len(), 0, "nothing is left after drop");
}

#[test]
fn nothing_is_left_where_opening_fails_at_the_last_byte() {
    use std::io::{self, Cursor, Read, Seek, SeekFrom};
    /// Shows another last byte from its second pass on.
    struct Turning(Cursor<Vec<u8>>, u32);
    impl Read for Turning {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Seek for Turning {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.1 += 1;
            if self.1 == 2 {
                *self.0.get_mut().last_mut().unwrap() ^= 1;
            }
            self.0.seek(to)
        }
    }
    let _alone = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    let marker = Marker::new();
    let mut payload = marker.payload();
    let package = Package::pack(&payload, release()).unwrap();
    payload.fill(0);
    std::hint::black_box(&payload);
    let package = package.seal(&[world.device.public().clone()]).unwrap();
    let package = package.sign(&world.ring).to_bytes();
    let sealed = edgemill_store::device::Sealed::read(Turning(Cursor::new(package), 0)).unwrap();
    let verified = sealed.verify(&world.policy(), 0).unwrap();
    assert!(verified.open(&world.device).is_err());
    assert_eq!(find(&marker).len(), 0);
}

#[test]
fn keys_are_in_locked_memory_alone_and_gone_after_drop() {
    let _alone = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    drop(world.store_with(&[1]));
    let path = world.key_file("store.key");
    let marker = Marker::of_key(&path);
    assert_eq!(find(&marker).len(), 0);
    let key = StoreKey::load(&path).unwrap();
    let store = edgemill_store::device::ReadStore::open(&world.store_dir(), key).unwrap();
    drop(store.open_model(MODEL, &grant(), &world.policy()).unwrap());
    let hits = find(&marker);
    assert_eq!(hits.len(), 1, "one mapping holds the key");
    let in_no_dump = hits[0].flags.split(' ').any(|flag| flag == "dd");
    assert!(in_no_dump || edgemill_tests::emulator::emulated(), "{}", hits[0].flags);
    drop(store);
    assert_eq!(find(&marker).len(), 0, "nothing is left after drop");
}
