//! The cryptography of a package: chunks, the seal of the prefix, and the wrapping of the content key.
//! All keys but the content key are derived from it, or from the store's key, each under a label of its own.
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes256Gcm, KeyInit};
use edgemill_model::package::{CHUNK_BYTES, Prefix, Stanza, VERSION};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::keys::{DeviceKem, KeyError, PublicDeviceKey, kem_secret};
use crate::secret::Secret;

/// Fixed for the format: RFC 9180's `info`.
const HPKE_INFO: &[u8] = b"edgemill content key 1";
/// Labels of derived keys: HKDF's `info` (RFC 5869).
const CHUNKS_LABEL: &[u8] = b"edgemill chunks 1";
const PREFIX_LABEL: &[u8] = b"edgemill prefix seal 1";
const WRAP_LABEL: &[u8] = b"edgemill store wrap 1";
const STATE_LABEL: &[u8] = b"edgemill store state 1";

type HpkeAead = hpke::aead::AesGcm256;
type HpkeKdf = hpke::kdf::HkdfSha256;
type HpkeTag = hpke::aead::AeadTag<HpkeAead>;

/// By this chunks and stanzas belong to one manifest.
pub(crate) fn manifest_digest(prefix: &Prefix) -> [u8; 32] {
    Sha256::digest(&prefix.manifest_bytes).into()
}

/// Ciphertext that does not authenticate under this key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tampered;

/// The random key of one package, and of nothing else: nonces count from 0 under it.
#[derive(Debug)]
pub(crate) struct ContentKey(Secret);

impl ContentKey {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        Secret::generate().map(Self)
    }

    /// The cipher of the chunks of the package whose manifest has this digest.
    pub(crate) fn chunks(&self, manifest_digest: &[u8; 32]) -> ChunkCipher {
        ChunkCipher::new(self.0.expose(), manifest_digest)
    }

    /// HMAC-SHA256 of header, manifest and stanzas, so that whoever has the key sees any change to them.
    pub(crate) fn seal_prefix(&self, prefix: &[u8]) -> [u8; 32] {
        authenticate(&self.0, PREFIX_LABEL, prefix)
    }

    pub(crate) fn check_prefix(&self, prefix: &[u8], seal: &[u8; 32]) -> Result<(), Tampered> {
        check(&self.0, PREFIX_LABEL, prefix, seal)
    }

    /// For one device: HPKE base mode with X25519, HKDF-SHA256 and AES-256-GCM.
    /// `None` where the public key is a point of low order, which no device has.
    pub(crate) fn wrap_for_device(
        &self,
        to: &PublicDeviceKey,
        manifest_digest: &[u8; 32],
    ) -> Option<Stanza> {
        let mut wrapped = [0; 48];
        wrapped[..32].copy_from_slice(self.0.expose());
        let (encapsulated, tag) =
            hpke::single_shot_seal_inout_detached::<HpkeAead, HpkeKdf, DeviceKem>(
                &OpModeS::Base,
                &to.kem(),
                HPKE_INFO,
                InOutBuf::from(&mut wrapped[..32]),
                manifest_digest,
            )
            .ok()?;
        wrapped[32..].copy_from_slice(&tag.to_bytes());
        let encapsulated = encapsulated.to_bytes().into();
        Some(Stanza::Device { recipient: to.fingerprint().0, encapsulated, wrapped })
    }

    pub(crate) fn unwrap_for_device(
        secret: &Secret,
        encapsulated: &[u8; 32],
        wrapped: &[u8; 48],
        manifest_digest: &[u8; 32],
    ) -> Result<Self, UnwrapFault> {
        let encapsulated = <DeviceKem as hpke::Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| UnwrapFault::Tampered)?;
        let tag = HpkeTag::from_bytes(&wrapped[32..]).map_err(|_| UnwrapFault::Tampered)?;
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&wrapped[..32]);
        hpke::single_shot_open_inout_detached::<HpkeAead, HpkeKdf, DeviceKem>(
            &OpModeR::Base,
            &kem_secret(secret),
            &encapsulated,
            HPKE_INFO,
            InOutBuf::from(&mut key[..]),
            manifest_digest,
            &tag,
        )
        .map_err(|_| UnwrapFault::Tampered)?;
        Secret::from_bytes(key).map(Self).map_err(UnwrapFault::Key)
    }

    /// For the store: AES-256-GCM under a key derived from the store's, with a random nonce.
    pub(crate) fn wrap_for_store(
        &self,
        store: &Secret,
        manifest_digest: &[u8; 32],
    ) -> Result<Stanza, KeyError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(|fault| KeyError::Random(fault.to_string()))?;
        let mut wrapped = [0; 48];
        let (key, tag) = wrapped.split_at_mut(32);
        key.copy_from_slice(self.0.expose());
        let sealed = derived_cipher(store.expose(), WRAP_LABEL)
            .encrypt_inout_detached(&nonce.into(), manifest_digest, key.into())
            .expect("32 bytes are within AES-GCM's limit");
        tag.copy_from_slice(&sealed);
        Ok(Stanza::Store { nonce, wrapped })
    }

    pub(crate) fn unwrap_for_store(
        store: &Secret,
        nonce: &[u8; 12],
        wrapped: &[u8; 48],
        manifest_digest: &[u8; 32],
    ) -> Result<Self, UnwrapFault> {
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&wrapped[..32]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&wrapped[32..]);
        derived_cipher(store.expose(), WRAP_LABEL)
            .decrypt_inout_detached(
                &(*nonce).into(),
                manifest_digest,
                InOutBuf::from(&mut key[..]),
                &tag.into(),
            )
            .map_err(|_| UnwrapFault::Tampered)?;
        Secret::from_bytes(key).map(Self).map_err(UnwrapFault::Key)
    }
}

/// Why a content key did not come out of a stanza.
#[derive(Debug)]
pub(crate) enum UnwrapFault {
    /// It does not authenticate: changed, or made for another key.
    Tampered,
    /// No memory to hold it.
    Key(KeyError),
}

/// Chunks in the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015): the nonce is a prefix of
/// 7 bytes, the chunk's number of 4, and 1 that tells the last, so that no chunk can be dropped, moved or added.
pub(crate) struct ChunkCipher {
    cipher: Aes256Gcm,
    nonce_prefix: [u8; 7],
    associated: [u8; 38],
}

impl ChunkCipher {
    fn new(content_key: &[u8; 32], manifest_digest: &[u8; 32]) -> Self {
        let mut derived = Zeroizing::new([0; 39]);
        derive(content_key, CHUNKS_LABEL, &mut *derived);
        let (key, prefix) = derived.split_at(32);
        let mut nonce_prefix = [0; 7];
        nonce_prefix.copy_from_slice(prefix);
        let cipher = Aes256Gcm::new_from_slice(key).expect("AES-256 takes 32 bytes");
        Self { cipher, nonce_prefix, associated: associated(manifest_digest) }
    }

    fn nonce(&self, index: u32, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.nonce_prefix);
        nonce[7..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce
    }

    /// Encrypts a chunk in place and returns its tag.
    pub(crate) fn seal(&self, index: u32, last: bool, chunk: &mut [u8]) -> [u8; 16] {
        self.cipher
            .encrypt_inout_detached(&self.nonce(index, last).into(), &self.associated, chunk.into())
            .expect("a chunk is within AES-GCM's limit")
            .into()
    }

    /// Decrypts a chunk in place; where it does not authenticate it is left as ciphertext.
    pub(crate) fn open(
        &self,
        index: u32,
        last: bool,
        chunk: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Tampered> {
        let nonce = self.nonce(index, last).into();
        self.cipher
            .decrypt_inout_detached(&nonce, &self.associated, chunk.into(), &(*tag).into())
            .map_err(|_| Tampered)
    }
}

/// Digest of the manifest, format version and chunk size, as every chunk authenticates them.
fn associated(manifest_digest: &[u8; 32]) -> [u8; 38] {
    let mut bytes = [0; 38];
    bytes[..32].copy_from_slice(manifest_digest);
    bytes[32..34].copy_from_slice(&VERSION.to_le_bytes());
    bytes[34..].copy_from_slice(&CHUNK_BYTES.to_le_bytes());
    bytes
}

/// HMAC-SHA256 of a store's state under a key of its own.
pub(crate) fn seal_state(store: &Secret, state: &[u8]) -> [u8; 32] {
    authenticate(store, STATE_LABEL, state)
}

pub(crate) fn check_state(store: &Secret, state: &[u8], seal: &[u8; 32]) -> Result<(), Tampered> {
    check(store, STATE_LABEL, state, seal)
}

fn authenticate(secret: &Secret, label: &[u8], bytes: &[u8]) -> [u8; 32] {
    mac(secret, label, bytes).finalize().into_bytes().into()
}

fn check(secret: &Secret, label: &[u8], bytes: &[u8], seal: &[u8; 32]) -> Result<(), Tampered> {
    mac(secret, label, bytes).verify_slice(seal).map_err(|_| Tampered)
}

fn mac(secret: &Secret, label: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
    let mut key = [0; 32];
    derive(secret.expose(), label, &mut key);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    key.zeroize();
    mac.update(bytes);
    mac
}

fn derived_cipher(secret: &[u8; 32], label: &[u8]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    derive(secret, label, &mut *key);
    Aes256Gcm::new_from_slice(&*key).expect("AES-256 takes 32 bytes")
}

fn derive(secret: &[u8; 32], label: &[u8], out: &mut [u8]) {
    Hkdf::<Sha256>::new(None, secret)
        .expand(label, out)
        .expect("fewer than 255 blocks are asked for");
}
