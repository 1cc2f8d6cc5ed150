//! Packages that were changed, cut, or made by the wrong hands.
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use edgemill_model::manifest::{Boards, Release};
use edgemill_model::package::{
    CHUNK_BYTES, HEADER_BYTES, PackageError, Prefix, Section, SignatureEntry, Stanza,
};
use edgemill_store::author::{KeyRing, PackError, Package, Plan, sign_package};
use edgemill_store::device::{OpenError, Place, Policy, Sealed, VerifyError};
use edgemill_store::keys::PublicDeviceKey;
use edgemill_store::signed::SignatureFault;

use crate::fixture::{BOARD, Fault, Folder, NOW, World, release};

const PAYLOAD: &[u8] = b"a few weights";

/// Where the parts of a package with one signature and one stanza lie.
struct Map {
    manifest: Range<usize>,
    stanzas: Range<usize>,
    seal: Range<usize>,
    signatures: Range<usize>,
    body: Range<usize>,
}

impl Map {
    fn of(package: &[u8]) -> Self {
        let prefix = Prefix::read(&mut &package[..]).unwrap();
        let manifest = HEADER_BYTES..HEADER_BYTES + prefix.manifest_bytes.len();
        let stanzas = manifest.end..manifest.end + 2 + 113;
        let seal = stanzas.end..stanzas.end + 32;
        let signatures = seal.end..seal.end + 2 + 96;
        assert_eq!(signatures.end, prefix.to_bytes().len());
        Self { manifest, stanzas, seal, body: signatures.end..package.len(), signatures }
    }

    fn section(&self, at: usize) -> Section {
        let parts = [
            (Section::Manifest, &self.manifest),
            (Section::Stanzas, &self.stanzas),
            (Section::PrefixSeal, &self.seal),
            (Section::Signatures, &self.signatures),
            (Section::Body, &self.body),
        ];
        let found = parts.into_iter().find(|(_, range)| range.contains(&at));
        found.map_or(Section::Header, |(section, _)| section)
    }

    /// Whether `fault` is of the class that a change at `at` must give.
    fn explains(&self, at: usize, fault: &Fault) -> bool {
        use Fault::{Open, Verify};
        use VerifyError::{BodyDigest, Package, Signature};
        let in_signatures = at.saturating_sub(self.signatures.start);
        let in_stanzas = at.saturating_sub(self.stanzas.start);
        match self.section(at) {
            Section::Header => match at {
                0..8 => matches!(fault, Verify(Package(PackageError::NotAPackage))),
                8..10 => matches!(fault, Verify(Package(PackageError::UnsupportedVersion { .. }))),
                10..12 => matches!(fault, Verify(Package(PackageError::UnsupportedSuite { .. }))),
                12..16 | 20..24 => matches!(fault, Verify(Package(PackageError::Header { .. }))),
                16..32 => matches!(fault, Verify(Package(_))),
                _ => matches!(fault, Verify(Signature(SignatureFault::Wrong { .. }))),
            },
            Section::Manifest => matches!(
                fault,
                Verify(
                    Package(PackageError::Manifest(_) | PackageError::BodyLength { .. })
                        | Signature(SignatureFault::Wrong { .. })
                )
            ),
            Section::Signatures => match in_signatures {
                0..2 => matches!(fault, Verify(Package(_) | Signature(SignatureFault::Unsigned))),
                _ => matches!(fault, Verify(Signature(SignatureFault::Wrong { .. }))),
            },
            Section::Stanzas => match in_stanzas {
                0..2 => matches!(fault, Verify(Package(_))),
                2 => matches!(fault, Verify(Package(PackageError::UnknownStanza { .. }))),
                3..35 => matches!(fault, Open(OpenError::NoStanza { .. })),
                _ => matches!(fault, Open(OpenError::WrongKey { .. })),
            },
            Section::PrefixSeal => matches!(fault, Open(OpenError::PrefixTampered)),
            Section::Body => matches!(fault, Verify(BodyDigest)),
        }
    }
}

#[test]
fn ok_payloads_around_the_chunk_size_come_back_whole() {
    let world = World::new();
    let chunk = CHUNK_BYTES as usize;
    for length in [1, 63, 64, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 17] {
        let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
        let view = world.open(&world.package(&payload)).unwrap();
        assert_eq!(view.bytes(), payload, "{length} bytes");
    }
}

#[test]
fn fail_any_bit_flipped() {
    let world = World::new();
    let package = world.package(PAYLOAD);
    let map = Map::of(&package);
    for at in 0..package.len() {
        for bit in 0..8 {
            let mut changed = package.clone();
            changed[at] ^= 1 << bit;
            let fault = world.open(&changed).expect_err(&format!("byte {at}, bit {bit}"));
            let section = map.section(at);
            assert!(map.explains(at, &fault), "{section}, byte {at}, bit {bit}: {fault:?}");
        }
    }
}

#[test]
fn fail_truncated_at_any_length() {
    let world = World::new();
    let package = world.package(PAYLOAD);
    let map = Map::of(&package);
    for length in 0..package.len() {
        let fault = world.open(&package[..length]).unwrap_err();
        let Fault::Verify(VerifyError::Package(PackageError::Truncated(section))) = fault else {
            panic!("{length} bytes: {fault:?}");
        };
        assert_eq!(section, map.section(length), "{length} bytes");
    }
}

#[test]
fn fail_bytes_after_the_end() {
    let world = World::new();
    let mut package = world.package(PAYLOAD);
    package.push(0);
    let fault = world.open(&package).unwrap_err();
    assert!(matches!(fault, Fault::Verify(VerifyError::Package(PackageError::Trailing))));
}

#[test]
fn fail_chunks_moved_dropped_or_swapped() {
    let world = World::new();
    let chunk = CHUNK_BYTES as usize + 16;
    let package = world.package(&vec![7; 3 * CHUNK_BYTES as usize]);
    let body = package.len() - 3 * chunk;
    let swapped = [&package[..body], &package[body + chunk..][..chunk], &package[body..][..chunk]];
    let swapped = [&swapped.concat(), &package[body + 2 * chunk..]].concat();
    let fault = world.open(&swapped).unwrap_err();
    assert!(matches!(fault, Fault::Verify(VerifyError::BodyDigest)));
    let fault = world.open(&package[..package.len() - chunk]).unwrap_err();
    let truncated = PackageError::Truncated(Section::Body);
    assert_eq!(format!("{fault:?}"), format!("{:?}", Fault::Verify(truncated.into())));
}

/// A file that shows `second` once its body has been read for the first time, as one may that another process
/// writes between verification and decryption.
struct Turning {
    shown: Cursor<Vec<u8>>,
    second: Vec<u8>,
    seeks: u32,
}

impl Read for Turning {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shown.read(buffer)
    }
}

impl Seek for Turning {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.seeks += 1;
        if self.seeks == 2 {
            self.shown = Cursor::new(self.second.clone());
        }
        self.shown.seek(to)
    }
}

#[test]
fn fail_changed_between_verification_and_decryption() {
    let world = World::new();
    let chunk = CHUNK_BYTES as usize + 16;
    let package = world.package(&vec![7; 2 * CHUNK_BYTES as usize]);
    let body = package.len() - 2 * chunk;
    let swapped =
        [&package[..body], &package[body + chunk..], &package[body..body + chunk]].concat();
    let flipped = |at: usize| {
        let mut bytes = package.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cases = [
        (swapped, 0),
        (flipped(body), 0),
        (flipped(body + chunk), 1),
        (flipped(package.len() - 1), 1),
    ];
    for (second, chunk) in cases {
        let turning = Turning { shown: Cursor::new(package.clone()), second, seeks: 0 };
        let verified = Sealed::read(turning).unwrap().verify(&world.policy(), 0).unwrap();
        let fault = verified.open(&world.device).unwrap_err();
        assert!(matches!(fault, OpenError::ChunkTampered { index } if index == chunk), "{fault:?}");
    }
}

/// The same package under other signatures.
fn signed_by(package: &[u8], signatures: Vec<SignatureEntry>) -> Vec<u8> {
    let prefix = Prefix::read(&mut &package[..]).unwrap();
    let body = &package[prefix.to_bytes().len()..];
    [&Prefix { signatures, ..prefix.clone() }.to_bytes()[..], body].concat()
}

fn signatures(package: &[u8]) -> Vec<SignatureEntry> {
    Prefix::read(&mut &package[..]).unwrap().signatures
}

#[test]
fn fail_signatures() {
    let world = World::new();
    let stranger = World::new();
    let package = world.package(PAYLOAD);
    let good = signatures(&package);
    let of_another = signatures(&world.counted(9));
    let renamed = vec![SignatureEntry {
        key: signatures(&stranger.package(PAYLOAD))[0].key,
        ..good[0].clone()
    }];
    let folder = Folder::new();
    let strange = folder.path("strange.emp");
    std::fs::write(&strange, signed_by(&package, vec![])).unwrap();
    sign_package(&strange, &stranger.ring).unwrap();
    let strange = signatures(&std::fs::read(strange).unwrap());
    let cases = [
        ("unsigned", vec![], "Unsigned"),
        ("by a stranger", strange.clone(), "UnknownKey"),
        ("a good one under a stranger's name", renamed.clone(), "Wrong"),
        ("of another package", of_another.clone(), "Wrong"),
        ("a good one and a wrong one", [good.clone(), of_another].concat(), "Wrong"),
        ("a good one and a wrong one of a stranger", [good.clone(), renamed].concat(), "Wrong"),
    ];
    for (name, signatures, expected) in cases {
        let fault = world.open(&signed_by(&package, signatures)).unwrap_err();
        let Fault::Verify(VerifyError::Signature(fault)) = fault else {
            panic!("{name}: {fault:?}")
        };
        assert!(format!("{fault:?}").starts_with(expected), "{name}: {fault:?}");
    }
    // A stranger's own, beside a good one, neither helps nor hurts.
    world.open(&signed_by(&package, [good, strange].concat())).unwrap();
}

#[test]
fn fail_threshold_counts_a_key_once() {
    let plan = Plan { targets_keys: 3, targets_threshold: 2, ..Plan::default() };
    let world = World::planned(&plan);
    let package = world.package(PAYLOAD);
    world.open(&package).unwrap();
    let one = signatures(&package)[0].clone();
    for signatures in [vec![one.clone()], vec![one.clone(), one.clone(), one]] {
        let fault = world.open(&signed_by(&package, signatures)).unwrap_err();
        let expected = SignatureFault::Threshold { have: 1, need: 2 };
        assert!(
            matches!(&fault, Fault::Verify(VerifyError::Signature(found)) if *found == expected),
            "{fault:?}"
        );
    }
}

#[test]
fn ok_signers_sign_one_after_the_other_without_the_content_key() {
    let plan = Plan { targets_keys: 2, targets_threshold: 2, ..Plan::default() };
    let world = World::planned(&plan);
    let path = world.folder.path("model.emp");
    std::fs::write(&path, signed_by(&world.package(PAYLOAD), vec![])).unwrap();
    for (signer, other, have) in
        [("targets.key", "targets-2.key", 1), ("targets-2.key", "targets.key", 2)]
    {
        let keys = Folder::new();
        for name in [signer, "trust.json"] {
            std::fs::copy(world.key_file(name), keys.path(name)).unwrap();
        }
        assert!(!keys.path(other).exists());
        let ring = KeyRing::open(&keys.path("")).unwrap();
        assert_eq!(sign_package(&path, &ring).unwrap().len(), have);
        // Signing twice adds nothing.
        assert_eq!(sign_package(&path, &ring).unwrap().len(), have);
        let package = std::fs::read(&path).unwrap();
        assert_eq!(signatures(&package).len(), have);
        assert_eq!(world.open(&package).is_ok(), have == 2);
    }
}

#[test]
fn fail_what_is_not_whole_is_not_signed() {
    let world = World::new();
    let path = world.folder.path("model.emp");
    let package = world.package(PAYLOAD);
    let mut flipped = package.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [&flipped, &package[..package.len() - 1], &[&package[..], b"x"].concat(), b"text"]
    {
        std::fs::write(&path, bytes).unwrap();
        let fault = sign_package(&path, &world.ring).unwrap_err();
        assert!(matches!(fault, PackError::Read { .. }), "{fault:?}");
        assert_eq!(&std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn fail_policy() {
    let world = World::new();
    let expired = World::planned(&Plan { expires_unix_s: Some(NOW), ..Plan::default() });
    let sealed = |release: Release| world.seal(PAYLOAD, release).to_bytes();
    let other = Boards::Named(vec!["qemu-virt".into()]);
    let judged = |world: &World, package: &[u8], floor: u64| {
        let sealed = Sealed::read(Cursor::new(package)).unwrap();
        format!("{:?}", sealed.verify(&world.policy(), floor).unwrap_err())
    };
    let cases = [
        (judged(&world, &sealed(Release { boards: other, ..release() }), 0), "OtherBoard"),
        (
            judged(&world, &sealed(Release { counter: 4, ..release() }), 5),
            "BelowFloor { counter: 4, floor: 5 }",
        ),
        (judged(&world, &sealed(Release { expires_unix_s: Some(NOW), ..release() }), 0), "Expired"),
        (judged(&expired, &expired.package(PAYLOAD), 0), "RootExpired"),
    ];
    for (fault, expected) in cases {
        assert!(fault.starts_with(expected), "{expected}: {fault}");
    }
}

#[test]
fn ok_policy_at_its_edges() {
    let world = World::new();
    let last = Release { counter: 5, expires_unix_s: Some(NOW + 1), ..release() };
    let package = world.seal(PAYLOAD, last).to_bytes();
    Sealed::read(Cursor::new(&package)).unwrap().verify(&world.policy(), 5).unwrap();
    let any = world.seal(PAYLOAD, Release { boards: Boards::Any, ..release() }).to_bytes();
    world.open(&any).unwrap();
    let other = Release { boards: Boards::Named(vec!["elsewhere".into()]), ..release() };
    let desk = Policy { place: Place::Desk, ..world.policy() };
    let package = world.seal(PAYLOAD, other).to_bytes();
    Sealed::read(Cursor::new(&package)).unwrap().verify(&desk, 0).unwrap();
    assert_eq!(BOARD, "host");
}

#[test]
fn fail_another_device() {
    let (world, other) = (World::new(), World::new());
    let package = world.package(PAYLOAD);
    let sealed = Sealed::read(Cursor::new(&package)).unwrap();
    let fault = sealed.verify(&world.policy(), 0).unwrap().open(&other.device).unwrap_err();
    assert!(matches!(fault, OpenError::NoStanza { .. }), "{fault:?}");
    // The same stanza under another's name.
    let mut prefix = Prefix::read(&mut &package[..]).unwrap();
    let body = package[prefix.to_bytes().len()..].to_vec();
    let Stanza::Device { recipient, .. } = &mut prefix.stanzas[0] else { panic!("a device's") };
    *recipient = other.device.public().fingerprint().0;
    let renamed = [prefix.to_bytes(), body].concat();
    let sealed = Sealed::read(Cursor::new(&renamed)).unwrap();
    let fault = sealed.verify(&world.policy(), 0).unwrap().open(&other.device).unwrap_err();
    assert!(matches!(fault, OpenError::WrongKey { .. }), "{fault:?}");
}

#[test]
fn ok_every_recipient_opens_and_fail_a_stanza_of_another_package() {
    let (world, other) = (World::new(), World::new());
    let recipients = [world.device.public().clone(), other.device.public().clone()];
    let package = Package::pack(PAYLOAD, release()).unwrap().seal(&recipients).unwrap();
    let package = package.sign(&world.ring).to_bytes();
    for device in [&world.device, &other.device] {
        let sealed = Sealed::read(Cursor::new(&package)).unwrap();
        let view = sealed.verify(&world.policy(), 0).unwrap().open(device).unwrap();
        assert_eq!(view.bytes(), PAYLOAD);
    }
    let mut prefix = Prefix::read(&mut &package[..]).unwrap();
    let body = package[prefix.to_bytes().len()..].to_vec();
    prefix.stanzas = Prefix::read(&mut &world.counted(9)[..]).unwrap().stanzas;
    let fault = world.open(&[prefix.to_bytes(), body].concat()).unwrap_err();
    assert!(matches!(fault, Fault::Open(OpenError::WrongKey { .. })), "{fault:?}");
}

#[test]
fn fail_recipients() {
    let packed = || Package::pack(PAYLOAD, release()).unwrap();
    assert!(matches!(packed().seal(&[]), Err(PackError::Recipients(0))));
    let folder = Folder::new();
    let path = folder.path("device.pub");
    std::fs::write(&path, format!("edgemill-public-1 device {}\n", "00".repeat(32))).unwrap();
    let low_order = PublicDeviceKey::load(&path).unwrap();
    assert!(matches!(packed().seal(&[low_order]), Err(PackError::BadRecipient(_))));
}

#[test]
fn ok_anyone_examines_without_a_key_and_fail_when_it_was_changed() {
    let world = World::new();
    let package = world.package(PAYLOAD);
    let signers = Sealed::read(Cursor::new(&package)).unwrap().examine().unwrap();
    let targets = world.trust.targets().keys()[0].fingerprint();
    assert_eq!(signers, [targets]);
    let mut changed = package.clone();
    *changed.last_mut().unwrap() ^= 1;
    let fault = Sealed::read(Cursor::new(&changed)).unwrap().examine().unwrap_err();
    assert!(matches!(fault, VerifyError::BodyDigest));
}

#[test]
fn messages_are_bounded_and_escaped() {
    let world = World::new();
    let package = world.package(PAYLOAD);
    for at in 0..package.len() {
        let mut changed = package.clone();
        changed[at] = 0x1b;
        let Err(fault) = world.open(&changed) else { continue };
        let message = match fault {
            Fault::Verify(fault) => fault.to_string(),
            Fault::Open(fault) => fault.to_string(),
        };
        assert!(message.len() < 1024 && !message.contains('\u{1b}'), "byte {at}: {message:?}");
    }
}
