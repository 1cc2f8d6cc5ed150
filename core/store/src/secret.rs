//! Thirty-two secret bytes.
use edgemill_linux::memory::LockedMemory;
use zeroize::Zeroizing;

use crate::keys::KeyError;

/// A secret of 32 bytes in locked, undumpable memory that is wiped on drop.
pub(crate) struct Secret(LockedMemory);

/// Bytes of every secret here: AES-256, X25519 and the seed of Ed25519 alike.
pub(crate) const SECRET_BYTES: usize = 32;

impl Secret {
    /// Random bytes of the kernel's.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        Self::filled(|bytes| {
            getrandom::fill(bytes).map_err(|fault| KeyError::Random(fault.to_string()))
        })
    }

    /// Takes over `bytes`, which are wiped.
    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; SECRET_BYTES]>) -> Result<Self, KeyError> {
        Self::filled(|memory| {
            memory.copy_from_slice(&*bytes);
            Ok(())
        })
    }

    /// A secret that `fill` writes in place.
    pub(crate) fn filled(
        fill: impl FnOnce(&mut [u8]) -> Result<(), KeyError>,
    ) -> Result<Self, KeyError> {
        let mut memory = LockedMemory::new(SECRET_BYTES).map_err(KeyError::Memory)?;
        fill(memory.as_mut_slice())?;
        Ok(Self(memory))
    }

    /// The bytes, for the cryptography of this crate only.
    pub(crate) fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.as_slice().first_chunk().expect("`filled` maps SECRET_BYTES")
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Overwrites the stack below the caller's frame, after a call that is not inlined. Ciphers work on copies
/// there, and leave keys and up to a KiB of plain bytes behind, which the test of memory finds.
pub(crate) fn wipe_stack() {
    zeroize::zeroize_stack::<{ 32 * 1024 }>();
}
