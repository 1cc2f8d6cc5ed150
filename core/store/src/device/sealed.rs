//! From bytes that anyone may have written to a model that may run: [`Sealed`] → [`Verified`] → [`ModelView`].
use std::io::{self, Read, Seek, SeekFrom};

use edgemill_linux::memory::{LockedMemory, ReadOnlyMemory};
use edgemill_model::manifest::{Boards, Manifest};
use edgemill_model::package::{CHUNK_BYTES, PackageError, Prefix, Section, TAG_BYTES};
use edgemill_model::text::shown;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cipher::{ContentKey, manifest_digest};
use crate::device::keys::{DeviceKey, Holder, NoKey};
use crate::device::trust::Trust;
use crate::keys::{Fingerprint, KeyError, PublicSigningKey};
use crate::secret::wipe_stack;
use crate::signed::{SignatureFault, judge, package_message, signers};

/// A package that must not be believed. Whoever knows the file names it.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It is not whole, or no package.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// It is not signed by the role *targets*.
    #[error("package {0}")]
    Signature(#[from] SignatureFault),
    /// The root document has ended.
    #[error("trust.json expired at {ended} (Unix time): install a newer one, or set the clock")]
    RootExpired {
        /// When.
        ended: u64,
    },
    /// It is made for others.
    #[error("package is for boards {boards}, this is `{}`: install the package made for this board", shown(.board))]
    OtherBoard {
        /// Those of the manifest.
        boards: Boards,
        /// This one.
        board: String,
    },
    /// It has been superseded.
    #[error(
        "package has security counter {counter}, below this box's floor {floor}: install a newer package"
    )]
    BelowFloor {
        /// Of the manifest.
        counter: u64,
        /// Of the box.
        floor: u64,
    },
    /// Its time is over.
    #[error("package expired at {ended} (Unix time): install a newer one, or set the clock")]
    Expired {
        /// When.
        ended: u64,
    },
    /// Its body is not the one that was signed.
    #[error(
        "package has a body other than the one signed: it was changed or damaged, copy it again"
    )]
    BodyDigest,
}

/// A verified package that does not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It is not sealed to this key.
    #[error("package is not sealed to {holder}: pack it for that recipient too")]
    NoStanza {
        /// This key.
        holder: String,
    },
    /// The stanza addressed to this key does not open with it.
    #[error(
        "package has a stanza that {holder} does not open: it was changed, or the key file is another's"
    )]
    WrongKey {
        /// This key.
        holder: String,
    },
    /// The stanzas, of other recipients too, are not as they were sealed.
    #[error("package has stanzas other than those sealed: it was changed, copy it again")]
    PrefixTampered,
    /// A chunk does not authenticate.
    #[error(
        "package has chunk {index} changed, moved or sealed under another manifest: copy it again"
    )]
    ChunkTampered {
        /// Its number, from 0.
        index: u32,
    },
    /// It decrypts to other bytes than the manifest names.
    #[error("package decrypts to other bytes than its manifest names: have it packed again")]
    PayloadDigest,
    /// It changed while it was read, or the system would not read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// No memory for the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No memory for the payload.
    #[error("no memory for the model: {0}")]
    Memory(#[source] edgemill_linux::Error),
}

/// Where a package is verified.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// On the board of this name: only packages for it pass.
    Board(&'a str),
    /// On a desk, where no model runs: packages for all boards pass.
    Desk,
}

/// By what a package is judged.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Whose signatures count.
    pub trust: &'a Trust,
    /// Where it is to run.
    pub place: Place<'a>,
    /// Seconds since 1970-01-01 UTC, as [`crate::device::now_unix_s`] gives them.
    pub now_unix_s: u64,
}

/// A package whose layout was read, and which nobody has vouched for.
#[derive(Debug)]
pub struct Sealed<R> {
    package: Package<R>,
}

/// A package whose author, board, counter, date and body were found good. Only this opens.
#[derive(Debug)]
pub struct Verified<R> {
    package: Package<R>,
}

#[derive(Debug)]
struct Package<R> {
    reader: R,
    body_start: u64,
    prefix: Prefix,
}

impl<R: Read + Seek> Sealed<R> {
    /// Reads everything before the body.
    ///
    /// # Errors
    /// Any [`PackageError`] of the prefix.
    pub fn read(mut reader: R) -> Result<Self, PackageError> {
        let prefix = Prefix::read(&mut io::BufReader::new(&mut reader))?;
        let body_start = prefix.to_bytes().len() as u64;
        Ok(Self { package: Package { reader, body_start, prefix } })
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest_unverified(&self) -> &Manifest {
        &self.package.prefix.manifest
    }

    pub(crate) fn prefix(&self) -> &Prefix {
        &self.package.prefix
    }

    /// Checks what needs no trust: the body against its digest, and each signature against the key it names.
    /// Gives those keys, which anyone may have made.
    ///
    /// # Errors
    /// [`VerifyError::Package`], `Signature` or `BodyDigest`.
    pub fn examine(&mut self) -> Result<Vec<Fingerprint>, VerifyError> {
        let prefix = &self.package.prefix;
        let signers = signers(&package_message(prefix), &prefix.signatures)?;
        if signers.is_empty() {
            return Err(SignatureFault::Unsigned.into());
        }
        self.package.check_body()?;
        Ok(signers.iter().map(PublicSigningKey::fingerprint).collect())
    }

    /// Judges it by `policy`, and by `floor`: the lowest security counter that this box still takes for the
    /// model that the manifest names.
    ///
    /// # Errors
    /// Any [`VerifyError`].
    pub fn verify(mut self, policy: &Policy<'_>, floor: u64) -> Result<Verified<R>, VerifyError> {
        judge_prefix(&self.package.prefix, policy, floor)?;
        self.package.check_body()?;
        Ok(Verified { package: self.package })
    }
}

/// Everything but the body. Signatures come first: nothing else in the manifest is true before.
pub(crate) fn judge_prefix(
    prefix: &Prefix,
    policy: &Policy<'_>,
    floor: u64,
) -> Result<(), VerifyError> {
    if let Some(ended) = policy.trust.expired_at(policy.now_unix_s) {
        return Err(VerifyError::RootExpired { ended });
    }
    judge(policy.trust.targets(), &package_message(prefix), &prefix.signatures)?;
    let release = &prefix.manifest.release;
    if let Place::Board(board) = policy.place
        && !release.boards.admit(board)
    {
        let (boards, board) = (release.boards.clone(), board.into());
        return Err(VerifyError::OtherBoard { boards, board });
    }
    if release.counter < floor {
        return Err(VerifyError::BelowFloor { counter: release.counter, floor });
    }
    match release.expires_unix_s {
        Some(ended) if ended <= policy.now_unix_s => Err(VerifyError::Expired { ended }),
        _ => Ok(()),
    }
}

impl<R: Read + Seek> Package<R> {
    fn seek_body(&mut self) -> Result<(), PackageError> {
        self.reader.seek(SeekFrom::Start(self.body_start)).map(drop).map_err(PackageError::Io)
    }

    fn check_body(&mut self) -> Result<(), VerifyError> {
        self.seek_body()?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK_BYTES as usize];
        let mut left = self.prefix.header.body_bytes;
        while left > 0 {
            let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            read_body(&mut self.reader, &mut buffer[..length])?;
            hash.update(&buffer[..length]);
            left -= length as u64;
        }
        if self.reader.read(&mut [0]).map_err(PackageError::Io)? != 0 {
            return Err(PackageError::Trailing.into());
        }
        let digest: [u8; 32] = hash.finalize().into();
        if digest == self.prefix.header.body_sha256.0 {
            Ok(())
        } else {
            Err(VerifyError::BodyDigest)
        }
    }
}

fn read_body(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), PackageError> {
    reader.read_exact(bytes).map_err(|fault| match fault.kind() {
        io::ErrorKind::UnexpectedEof => PackageError::Truncated(Section::Body),
        _ => PackageError::Io(fault),
    })
}

impl<R: Read + Seek> Verified<R> {
    /// What its author says of it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.package.prefix.manifest
    }

    /// Decrypts all of it with the device's key.
    ///
    /// # Errors
    /// Any [`OpenError`]; what was decrypted until then is wiped.
    pub fn open(self, key: &DeviceKey) -> Result<ModelView, OpenError> {
        self.open_with(key)
    }

    pub(crate) fn open_with(mut self, holder: &impl Holder) -> Result<ModelView, OpenError> {
        let decrypted = self.decrypt_with(holder);
        wipe_stack();
        let memory = decrypted?.into_read_only().map_err(OpenError::Memory)?;
        Ok(ModelView { manifest: self.package.prefix.manifest, memory })
    }

    /// In a frame of its own, which is gone when its caller wipes.
    #[inline(never)]
    fn decrypt_with(&mut self, holder: &impl Holder) -> Result<LockedMemory, OpenError> {
        let content_key = content_key(&self.package.prefix, holder)?;
        self.decrypt(&content_key)
    }

    fn decrypt(&mut self, content_key: &ContentKey) -> Result<LockedMemory, OpenError> {
        self.package.seek_body()?;
        let payload = self.package.prefix.manifest.payload;
        let length = usize::try_from(payload.bytes).unwrap_or(usize::MAX);
        let mut memory = LockedMemory::new(length).map_err(OpenError::Memory)?;
        let cipher = content_key.chunks(&manifest_digest(&self.package.prefix));
        let mut hash = Sha256::new();
        let mut chunks = memory.as_mut_slice().chunks_mut(CHUNK_BYTES as usize).peekable();
        let mut index = 0;
        while let Some(chunk) = chunks.next() {
            // The ciphertext is read to where the plain bytes shall be, so that no copy of those exists.
            let mut tag = [0; TAG_BYTES];
            read_body(&mut self.package.reader, chunk)?;
            read_body(&mut self.package.reader, &mut tag)?;
            cipher
                .open(index, chunks.peek().is_none(), chunk, &tag)
                .map_err(|_| OpenError::ChunkTampered { index })?;
            hash.update(&*chunk);
            index += 1;
        }
        let digest: [u8; 32] = hash.finalize().into();
        if digest == payload.sha256.0 { Ok(memory) } else { Err(OpenError::PayloadDigest) }
    }
}

/// Takes the content key out of the stanzas and checks the prefix by it.
pub(crate) fn content_key(prefix: &Prefix, holder: &impl Holder) -> Result<ContentKey, OpenError> {
    let unwrapped = holder.unwrap(&prefix.stanzas, &manifest_digest(prefix));
    let key = unwrapped.map_err(|fault| match fault {
        NoKey::NoStanza(holder) => OpenError::NoStanza { holder },
        NoKey::WrongKey(holder) => OpenError::WrongKey { holder },
        NoKey::Key(source) => OpenError::Key(source),
    })?;
    key.check_prefix(&prefix.sealed_bytes(), &prefix.seal)
        .map_err(|_| OpenError::PrefixTampered)?;
    Ok(key)
}

/// The plain bytes of one verified model, in locked memory that nobody can write and that is wiped on drop.
pub struct ModelView {
    manifest: Manifest,
    memory: ReadOnlyMemory,
}

impl ModelView {
    /// What its author says of it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The payload; page-aligned.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.memory.as_slice()
    }

    /// What the kernel refused of locking it, where it did: most often by RLIMIT_MEMLOCK.
    #[must_use]
    pub fn lock_refusal(&self) -> Option<&edgemill_linux::Error> {
        self.memory.refusal()
    }
}

impl std::fmt::Debug for ModelView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelView({} bytes of {})", self.bytes().len(), self.manifest.release.name)
    }
}
