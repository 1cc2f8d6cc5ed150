//! A plugin's file: read, sealed, hashed, loaded, and its descriptor checked. `docs/decisions/0002` says why it is
//! loaded from memory.
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use edgemill_abi::raw;
use edgemill_linux::memfd::Memfd;
use libloading::os::unix;
use sha2::{Digest, Sha256};

use crate::descriptor::{Descriptor, DescriptorFault};
use crate::elf::{self, ElfFault};
use crate::table::EXTENSIONS;
use crate::text::{hex, printable};

/// The largest plugin file. The largest we ship, with a whole framework inside, has a quarter of it.
pub const MAX_PLUGIN_BYTES: u64 = 128 << 20;

/// A plugin that is loaded, for good.
#[derive(Debug)]
pub struct Library {
    path: PathBuf,
    sha256: [u8; 32],
    bytes: u64,
    descriptor: Descriptor,
    functions: Functions,
}

/// The descriptor's functions; the required ones are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Functions {
    pub create: raw::CreateFn,
    pub ports: raw::PortsFn,
    pub activate: raw::ActivateFn,
    pub process: raw::ProcessFn,
    pub deactivate: raw::InstanceFn,
    pub destroy: raw::InstanceFn,
    pub get_extension: Option<raw::GetExtensionFn>,
}

/// A file that was not loaded, or not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", printable(&.path.to_string_lossy(), 300))]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: LoadFault,
}

/// What is wrong with a plugin's file.
#[derive(Debug, thiserror::Error)]
pub enum LoadFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A folder, a pipe, a device.
    #[error("not a regular file")]
    NotAFile,
    /// Above [`MAX_PLUGIN_BYTES`].
    #[error("larger than {MAX_PLUGIN_BYTES} bytes, the most a plugin may have")]
    TooLarge,
    /// Not a shared object of this machine.
    #[error(transparent)]
    Elf(#[from] ElfFault),
    /// The sealed copy could not be made.
    #[error("no sealed copy of it: {0}")]
    Memory(#[from] edgemill_linux::Error),
    /// Not the bytes that were signed.
    #[error(
        "its SHA-256 is {found}, the signed list has {expected}; put the listed file back, or sign this one \
         (edgemill plugin sign)"
    )]
    Digest {
        /// Of the list.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// The dynamic loader's own words.
    #[error("the loader refuses it: {0}")]
    Loader(String),
    /// A library, but no plugin.
    #[error(
        "exports no `{}`, so it is no Edgemill plugin; define it as edgemill/plugin.h says",
        raw::ENTRY_SYMBOL
    )]
    NoEntry,
    /// Another version of the boundary.
    #[error(
        "built for version {found} of the plugin boundary, this host has {}; build it with this host's headers",
        raw::ABI_VERSION
    )]
    AbiVersion {
        /// The plugin's.
        found: u32,
    },
    /// The right version, but another descriptor.
    #[error(
        "its descriptor has {found} bytes where version {} has {}; build it with this host's headers",
        raw::ABI_VERSION,
        size_of::<raw::Descriptor>()
    )]
    StructSize {
        /// The plugin's.
        found: u32,
    },
    /// A function pointer that must not be NULL is.
    #[error("its descriptor has no `{0}` function, which every plugin must have")]
    MissingFunction(&'static str),
    /// A field of the descriptor breaks a rule.
    #[error("its descriptor is not valid: {0}")]
    Descriptor(#[from] DescriptorFault),
    /// It needs what this host does not offer.
    #[error(
        "needs the host's extension `{0}`, which this host does not have; use a newer Edgemill"
    )]
    Extension(String),
}

impl Library {
    /// Loads the file at `path`, whose digest must be `expected_sha256` where one is given. Runs the library's
    /// constructors: a file that nobody vouches for belongs into [`crate::inspect`] first.
    ///
    /// # Errors
    /// The first step that fails; see [`LoadFault`].
    pub fn open(path: &Path, expected_sha256: Option<[u8; 32]>) -> Result<Arc<Self>, LoadError> {
        Self::load(path, expected_sha256)
            .map(Arc::new)
            .map_err(|fault| LoadError { path: path.to_owned(), fault })
    }

    fn load(path: &Path, expected: Option<[u8; 32]>) -> Result<Self, LoadFault> {
        let file = seal(path)?;
        let bytes = file.map_readable()?;
        elf::check(&bytes)?;
        let sha256: [u8; 32] = Sha256::digest(&*bytes).into();
        if let Some(expected) = expected.filter(|e| *e != sha256) {
            return Err(LoadFault::Digest { expected: hex(&expected), found: hex(&sha256) });
        }
        let size = bytes.len() as u64;
        let entry = load_once(sha256, file, path)?;
        let (functions, descriptor) = read_entry(entry)?;
        Ok(Self { path: path.to_owned(), sha256, bytes: size, descriptor, functions })
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The file it was loaded from; it may have changed since.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the bytes that are loaded.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Size of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }
}

/// A sealed copy of the file; only the copy is looked at from then on.
fn seal(path: &Path) -> Result<Memfd, LoadFault> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(LoadFault::NotAFile);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = File::open(path)?.take(MAX_PLUGIN_BYTES + 1);
    let copy = Memfd::holding(&printable(&name, 100), bytes)?;
    if copy.len() as u64 > MAX_PLUGIN_BYTES {
        return Err(LoadFault::TooLarge);
    }
    if copy.is_empty() {
        elf::check(&[])?;
    }
    Ok(copy)
}

/// Address of the descriptor of the library with this digest. Equal bytes are loaded once: libraries are never
/// unloaded, so a daemon that reloads its pipelines would otherwise grow.
fn load_once(
    sha256: [u8; 32],
    file: Memfd,
    path: &Path,
) -> Result<*const raw::Descriptor, LoadFault> {
    static LOADED: Mutex<BTreeMap<[u8; 32], Handle>> = Mutex::new(BTreeMap::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let library = match loaded.get(&sha256) {
        Some(handle) => &handle.0,
        None => &loaded.entry(sha256).or_insert(Handle(dlopen(file, path)?)).0,
    };
    // SAFETY: only the symbol's address is asked for; nothing is read through it here.
    let entry = unsafe { library.get::<*const raw::Descriptor>(raw::ENTRY_SYMBOL) };
    let entry = entry.map_err(|_| LoadFault::NoEntry)?.as_raw_ptr();
    if entry.is_null() { Err(LoadFault::NoEntry) } else { Ok(entry.cast_const().cast()) }
}

/// Never dropped, so that what the library's descriptor points to is there for good.
#[derive(Debug)]
struct Handle(std::mem::ManuallyDrop<unix::Library>);

fn dlopen(file: Memfd, path: &Path) -> Result<std::mem::ManuallyDrop<unix::Library>, LoadFault> {
    let place = file.proc_path();
    // SAFETY: the library's constructors run here; the caller of `Library::open` has vouched for the file, or is
    // a child process made to find out.
    let library = unsafe { unix::Library::open(Some(&place), unix::RTLD_NOW | unix::RTLD_LOCAL) };
    let library = library.map_err(|e| {
        let words = e.source().map_or_else(|| e.to_string(), ToString::to_string);
        let words = words.replace(&*place.to_string_lossy(), &path.to_string_lossy());
        LoadFault::Loader(printable(&words, 1000))
    })?;
    // The loader knows libraries by path: were the number used again, it would answer this library for another.
    let _ = OwnedFd::from(file).into_raw_fd();
    Ok(std::mem::ManuallyDrop::new(library))
}

/// Version and size come first: nothing else has a meaning before they are right.
fn read_entry(entry: *const raw::Descriptor) -> Result<(Functions, Descriptor), LoadFault> {
    if !entry.is_aligned() {
        return Err(LoadFault::StructSize { found: 0 });
    }
    // SAFETY: `edgemill_entry` is an aligned object of a library that is never unloaded; that it has at least
    // these two numbers is what exporting the name promises.
    let (version, size) = unsafe { ((*entry).abi_version, (*entry).struct_size) };
    if version != raw::ABI_VERSION {
        return Err(LoadFault::AbiVersion { found: version });
    }
    if usize::try_from(size) != Ok(size_of::<raw::Descriptor>()) {
        return Err(LoadFault::StructSize { found: size });
    }
    // SAFETY: its version and size, compared above, are those of this struct; it is constant and never unloaded.
    let raw: &'static raw::Descriptor = unsafe { &*entry };
    let functions = required(raw)?;
    // SAFETY: version and size are right (above); the pointers are the plugin's word, which loading it trusts.
    let descriptor = unsafe { Descriptor::read(raw)? };
    match descriptor.required_extensions.iter().find(|e| !EXTENSIONS.contains(&e.as_str())) {
        Some(missing) => Err(LoadFault::Extension(missing.clone())),
        None => Ok((functions, descriptor)),
    }
}

fn required(raw: &raw::Descriptor) -> Result<Functions, LoadFault> {
    let missing = LoadFault::MissingFunction;
    Ok(Functions {
        create: raw.create.ok_or(missing("create"))?,
        ports: raw.ports.ok_or(missing("ports"))?,
        activate: raw.activate.ok_or(missing("activate"))?,
        process: raw.process.ok_or(missing("process"))?,
        deactivate: raw.deactivate.ok_or(missing("deactivate"))?,
        destroy: raw.destroy.ok_or(missing("destroy"))?,
        get_extension: raw.get_extension,
    })
}
