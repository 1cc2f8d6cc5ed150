//! The layout of a `.emp` package: header, manifest, stanzas, seal of these, signatures, and the body, which is
//! ciphertext. Reading is streaming, bounded and total; nothing here decides whether to believe what
//! was read. `docs/model-package.md` describes every byte.
use std::io::{self, Read};

use thiserror::Error;

use crate::limits;
use crate::manifest::{Manifest, ManifestError, Sha256Digest};

/// As in PNG: a high bit, line ends of both kinds and an end-of-file mark show a transfer as text at once.
pub const MAGIC: [u8; 8] = *b"\x89EMP\r\n\x1a\n";
/// The format this crate reads and writes.
pub const VERSION: u16 = 1;
/// Ed25519, SHA-256, AES-256-GCM in the STREAM construction, HPKE with X25519.
pub const SUITE: u16 = 1;
/// Plain bytes in a chunk, but for the last: large enough that a tag costs nothing, small enough for a cache.
pub const CHUNK_BYTES: u32 = 64 * 1024;
/// Bytes of the authentication tag after each chunk.
pub const TAG_BYTES: usize = 16;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;

/// The named parts of a package, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Magic, versions, lengths, digest of the body.
    Header,
    /// JSON in clear.
    Manifest,
    /// The content key, once for each recipient.
    Stanzas,
    /// Authentication of all the above under the content key.
    PrefixSeal,
    /// Of header and manifest.
    Signatures,
    /// The encrypted chunks.
    Body,
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Manifest => "manifest",
            Self::Stanzas => "recipient stanzas",
            Self::PrefixSeal => "prefix seal",
            Self::Signatures => "signatures",
            Self::Body => "body",
        })
    }
}

/// Bytes that are not a package of this format.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The magic is another.
    #[error(
        "this is not an Edgemill package (its first bytes are another format's): give a .emp file"
    )]
    NotAPackage,
    /// It ends early.
    #[error("package is truncated in its {0}: copy it again")]
    Truncated(Section),
    /// Bytes follow the last chunk.
    #[error("package has bytes after its last chunk: copy it again")]
    Trailing,
    /// A later format.
    #[error("package is of format {found}, this program reads {VERSION}: update Edgemill")]
    UnsupportedVersion {
        /// What the header says.
        found: u16,
    },
    /// A later set of algorithms.
    #[error("package uses algorithm suite {found}, this program knows {SUITE}: update Edgemill")]
    UnsupportedSuite {
        /// What the header says.
        found: u16,
    },
    /// A field of the header outside its rule.
    #[error(
        "package is damaged, its header field `{field}` is {found} and must be {rule}: copy it again"
    )]
    Header {
        /// Its name.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What it must be.
        rule: String,
    },
    /// A count outside its limit.
    #[error("package has {found} {section}, at most {limit} are allowed: pack it again")]
    TooMany {
        /// What is counted.
        section: Section,
        /// The count.
        found: u16,
        /// The limit.
        limit: u16,
    },
    /// A stanza of a kind this format does not have.
    #[error("package is damaged, its stanza {index} is of unknown kind {found}: copy it again")]
    UnknownStanza {
        /// Its place, from 0.
        index: u16,
        /// Its kind.
        found: u8,
    },
    /// The manifest broke a rule.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The header's length of the body is not what the manifest's payload gives.
    #[error(
        "package is damaged, its body is {found} bytes by the header, {expected} by the manifest: copy it again"
    )]
    BodyLength {
        /// By the header.
        found: u64,
        /// By the manifest.
        expected: u64,
    },
    /// The system would not read.
    #[error("package cannot be read: {0}")]
    Io(#[source] io::Error),
}

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the manifest, 1..=[`limits::MANIFEST_BYTES`].
    pub manifest_bytes: u32,
    /// Bytes of the body: every chunk with its tag.
    pub body_bytes: u64,
    /// Of the body, so that anyone can check a package without a key.
    pub body_sha256: Sha256Digest,
}

impl Header {
    /// The bytes in the file; integers are little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&SUITE.to_le_bytes());
        bytes[12..16].copy_from_slice(&CHUNK_BYTES.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.manifest_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[32..].copy_from_slice(&self.body_sha256.0);
        bytes
    }

    /// Checks and reads the fields.
    ///
    /// # Errors
    /// [`PackageError::NotAPackage`], `UnsupportedVersion`, `UnsupportedSuite` or `Header`.
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Result<Self, PackageError> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..8] != MAGIC {
            return Err(PackageError::NotAPackage);
        }
        match (u16_at(8), u16_at(10)) {
            (VERSION, SUITE) => {}
            (VERSION, found) => return Err(PackageError::UnsupportedSuite { found }),
            (found, _) => return Err(PackageError::UnsupportedVersion { found }),
        }
        within("chunk_bytes", u32_at(12).into(), CHUNK_BYTES.into(), CHUNK_BYTES.into())?;
        within("manifest_bytes", u32_at(16).into(), 1, limits::MANIFEST_BYTES.into())?;
        within("reserved", u32_at(20).into(), 0, 0)?;
        within("body_bytes", u64_at(24), 1 + TAG_BYTES as u64, body_bytes(limits::PAYLOAD_BYTES))?;
        let mut body_sha256 = Sha256Digest([0; 32]);
        body_sha256.0.copy_from_slice(&bytes[32..]);
        Ok(Self { manifest_bytes: u32_at(16), body_bytes: u64_at(24), body_sha256 })
    }
}

fn within(field: &'static str, found: u64, least: u64, most: u64) -> Result<(), PackageError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let rule = if least == most { format!("{least}") } else { format!("{least}..={most}") };
    Err(PackageError::Header { field, found, rule })
}

/// Bytes of the body for a payload of `payload_bytes`: one tag for each chunk begun.
#[must_use]
pub const fn body_bytes(payload_bytes: u64) -> u64 {
    payload_bytes + payload_bytes.div_ceil(CHUNK_BYTES as u64) * TAG_BYTES as u64
}

/// One signature over header and manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureEntry {
    /// The Ed25519 public key it was made with. A claim, until the key is found in a trusted role.
    pub key: [u8; 32],
    /// RFC 8032.
    pub signature: [u8; 64],
}

/// The content key, wrapped for one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stanza {
    /// For a device: HPKE base mode (RFC 9180) to its X25519 key.
    Device {
        /// SHA-256 of the device's public key.
        recipient: [u8; 32],
        /// The encapsulated key.
        encapsulated: [u8; 32],
        /// Ciphertext and tag.
        wrapped: [u8; 48],
    },
    /// For the store that holds the package: AES-256-GCM under a key of the store's.
    Store {
        /// Random, once for each wrapping.
        nonce: [u8; 12],
        /// Ciphertext and tag.
        wrapped: [u8; 48],
    },
}

const KIND_DEVICE: u8 = 1;
const KIND_STORE: u8 = 2;

/// Everything before the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefix {
    /// As it stands in the file.
    pub header: Header,
    /// The exact bytes that were signed.
    pub manifest_bytes: Vec<u8>,
    /// What they say.
    pub manifest: Manifest,
    /// In the file's order.
    pub stanzas: Vec<Stanza>,
    /// HMAC-SHA256 of all the above under a key derived from the content key.
    pub seal: [u8; 32],
    /// In the file's order. They stand after the seal, for they are added by those who have no content key.
    pub signatures: Vec<SignatureEntry>,
}

impl Prefix {
    /// Reads a prefix and leaves `reader` at the first byte of the body.
    ///
    /// # Errors
    /// Any [`PackageError`] but `Trailing`.
    pub fn read(reader: &mut impl Read) -> Result<Self, PackageError> {
        let header = read_header(reader)?;
        let manifest_bytes = read_manifest(reader, &header)?;
        let manifest = Manifest::from_bytes(&manifest_bytes)?;
        let expected = body_bytes(manifest.payload.bytes);
        if header.body_bytes != expected {
            return Err(PackageError::BodyLength { found: header.body_bytes, expected });
        }
        let stanzas = read_stanzas(reader)?;
        let seal = read_array(reader, Section::PrefixSeal)?;
        let signatures = read_signatures(reader)?;
        Ok(Self { header, manifest_bytes, manifest, stanzas, seal, signatures })
    }

    /// What the prefix seal authenticates: every byte before it.
    #[must_use]
    pub fn sealed_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.to_bytes().to_vec();
        bytes.extend(&self.manifest_bytes);
        write_stanzas(&mut bytes, &self.stanzas);
        bytes
    }

    /// Every byte before the body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.sealed_bytes();
        bytes.extend(self.seal);
        write_signatures(&mut bytes, &self.signatures);
        bytes
    }
}

fn read_header(reader: &mut impl Read) -> Result<Header, PackageError> {
    // The magic first, so that a short text file is called no package rather than a truncated one.
    let mut bytes = [0; HEADER_BYTES];
    let read = read_up_to(reader, &mut bytes)?;
    let magic = read.min(MAGIC.len());
    if read == 0 {
        return Err(PackageError::Truncated(Section::Header));
    }
    if bytes[..magic] != MAGIC[..magic] {
        return Err(PackageError::NotAPackage);
    }
    if read < HEADER_BYTES {
        return Err(PackageError::Truncated(Section::Header));
    }
    Header::from_bytes(&bytes)
}

fn read_manifest(reader: &mut impl Read, header: &Header) -> Result<Vec<u8>, PackageError> {
    let length = u64::from(header.manifest_bytes);
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes).map_err(PackageError::Io)?;
    if u64::try_from(bytes.len()) != Ok(length) {
        return Err(PackageError::Truncated(Section::Manifest));
    }
    Ok(bytes)
}

fn read_signatures(reader: &mut impl Read) -> Result<Vec<SignatureEntry>, PackageError> {
    let section = Section::Signatures;
    let count = read_count(reader, section, limits::SIGNATURES)?;
    let mut entry = || {
        Ok(SignatureEntry {
            key: read_array(reader, section)?,
            signature: read_array(reader, section)?,
        })
    };
    (0..count).map(|_| entry()).collect()
}

fn read_stanzas(reader: &mut impl Read) -> Result<Vec<Stanza>, PackageError> {
    let count = read_count(reader, Section::Stanzas, limits::STANZAS)?;
    (0..count).map(|index| read_stanza(reader, index)).collect()
}

fn read_stanza(reader: &mut impl Read, index: u16) -> Result<Stanza, PackageError> {
    let section = Section::Stanzas;
    match read_array::<1>(reader, section)? {
        [KIND_DEVICE] => Ok(Stanza::Device {
            recipient: read_array(reader, section)?,
            encapsulated: read_array(reader, section)?,
            wrapped: read_array(reader, section)?,
        }),
        [KIND_STORE] => Ok(Stanza::Store {
            nonce: read_array(reader, section)?,
            wrapped: read_array(reader, section)?,
        }),
        [found] => Err(PackageError::UnknownStanza { index, found }),
    }
}

fn read_count(reader: &mut impl Read, section: Section, limit: u16) -> Result<u16, PackageError> {
    let found = u16::from_le_bytes(read_array(reader, section)?);
    if found > limit {
        return Err(PackageError::TooMany { section, found, limit });
    }
    Ok(found)
}

fn read_array<const N: usize>(
    reader: &mut impl Read,
    section: Section,
) -> Result<[u8; N], PackageError> {
    let mut bytes = [0; N];
    if read_up_to(reader, &mut bytes)? < N {
        return Err(PackageError::Truncated(section));
    }
    Ok(bytes)
}

/// Fills `bytes` as far as the reader goes, and says how far that was.
fn read_up_to(reader: &mut impl Read, bytes: &mut [u8]) -> Result<usize, PackageError> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(PackageError::Io(fault)),
        }
    }
    Ok(filled)
}

fn write_signatures(bytes: &mut Vec<u8>, signatures: &[SignatureEntry]) {
    write_count(bytes, signatures.len());
    for entry in signatures {
        bytes.extend(entry.key);
        bytes.extend(entry.signature);
    }
}

fn write_stanzas(bytes: &mut Vec<u8>, stanzas: &[Stanza]) {
    write_count(bytes, stanzas.len());
    for stanza in stanzas {
        match stanza {
            Stanza::Device { recipient, encapsulated, wrapped } => {
                bytes.push(KIND_DEVICE);
                bytes.extend(recipient);
                bytes.extend(encapsulated);
                bytes.extend(wrapped);
            }
            Stanza::Store { nonce, wrapped } => {
                bytes.push(KIND_STORE);
                bytes.extend(nonce);
                bytes.extend(wrapped);
            }
        }
    }
}

/// A count over the limit is written as the largest, which every reader refuses; authors check before.
fn write_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let body_sha256 = Sha256Digest([7; 32]);
        Header { manifest_bytes: 1000, body_bytes: body_bytes(100), body_sha256 }
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(Header::from_bytes(&header().to_bytes()).unwrap(), header());
    }

    #[test]
    fn a_body_has_one_tag_for_each_chunk_begun() {
        let chunk = u64::from(CHUNK_BYTES);
        let cases =
            [(1, 17), (chunk, chunk + 16), (chunk + 1, chunk + 33), (3 * chunk, 3 * (chunk + 16))];
        for (payload, body) in cases {
            assert_eq!(body_bytes(payload), body, "{payload}");
        }
    }

    #[test]
    fn each_field_of_the_header_outside_its_rule_is_named() {
        let most = (body_bytes(limits::PAYLOAD_BYTES) + 1).to_le_bytes();
        let cases: [(usize, &[u8], &str); 12] = [
            (0, b"PK\x03\x04", "not an Edgemill package"),
            (7, b"\r", "not an Edgemill package"),
            (8, &[2, 0], "format 2"),
            (8, &[0, 1], "format 256"),
            (10, &[9, 0], "suite 9"),
            (12, &[0, 0, 2, 0], "`chunk_bytes` is 131072"),
            (16, &[0, 0, 0, 0], "`manifest_bytes` is 0"),
            (16, &[1, 0, 4, 0], "`manifest_bytes` is 262145"),
            (20, &[1, 0, 0, 0], "`reserved` is 1"),
            (24, &[16, 0, 0, 0, 0, 0, 0, 0], "`body_bytes` is 16"),
            (24, &most, "`body_bytes` is 1074003969"),
            (24, &[255; 8], "`body_bytes` is 18446744073709551615"),
        ];
        for (at, value, expected) in cases {
            let mut bytes = header().to_bytes();
            bytes[at..at + value.len()].copy_from_slice(value);
            let message = Header::from_bytes(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{expected}: {message}");
        }
    }

    #[test]
    fn counts_and_kinds_outside_their_rules_are_named() {
        let signatures = |count: u16| read_signatures(&mut &count.to_le_bytes()[..]);
        let limit = limits::SIGNATURES;
        assert!(matches!(signatures(0), Ok(entries) if entries.is_empty()));
        assert!(
            matches!(signatures(limit + 1), Err(PackageError::TooMany { found, .. }) if found == limit + 1)
        );
        assert!(matches!(signatures(1), Err(PackageError::Truncated(Section::Signatures))));
        let stanzas = |count: u16, rest: &[u8]| {
            read_stanzas(&mut &[&count.to_le_bytes()[..], rest].concat()[..])
        };
        assert!(matches!(stanzas(limits::STANZAS + 1, &[]), Err(PackageError::TooMany { .. })));
        assert!(matches!(
            stanzas(1, &[3]),
            Err(PackageError::UnknownStanza { index: 0, found: 3 })
        ));
        assert!(matches!(stanzas(1, &[1; 113]), Ok(read) if read.len() == 1));
        assert!(matches!(stanzas(2, &[2; 122]), Ok(read) if read.len() == 2));
        assert!(matches!(stanzas(1, &[1; 112]), Err(PackageError::Truncated(Section::Stanzas))));
    }
}
