//! The header of an ELF file (System V ABI, "ELF Header"), read before the loader sees the file, so that the
//! error names what was found instead of what the loader could not do.

/// Bytes of a 64-bit ELF header.
pub(crate) const HEADER_BYTES: usize = 64;

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_SHARED: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const MACHINE_AARCH64: u16 = 183;

/// What keeps a file from being a plugin of this machine, by its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfFault {
    /// No ELF magic, or shorter than a header.
    #[error("not an ELF file (it begins with {found}); a plugin is a shared object, `.so`")]
    NotElf {
        /// The first bytes.
        found: String,
    },
    /// Built for another processor.
    #[error("built for {found}, this machine is {wanted}; build the plugin for {wanted}")]
    Architecture {
        /// The processor of the file.
        found: String,
        /// The processor this binary runs on.
        wanted: &'static str,
    },
    /// An object file, a core dump or a program at a fixed address.
    #[error("an ELF file, but {found}, not a shared object; link it with -shared")]
    NotShared {
        /// Its kind.
        found: String,
    },
    /// Its parts reach beyond its end: a copy that was cut off.
    #[error(
        "an ELF file, but cut off: its parts reach to byte {wanted} and it has {found}; copy it again"
    )]
    CutOff {
        /// Bytes that it should have at least.
        wanted: u64,
        /// Bytes that it has.
        found: u64,
    },
}

/// Accepts the header of a shared object for the machine we run on.
pub(crate) fn check(file: &[u8]) -> Result<(), ElfFault> {
    if file.len() < HEADER_BYTES || !file.starts_with(b"\x7fELF") {
        let found = match file {
            [] => "nothing, it is empty".to_owned(),
            _ => format!("\"{}\"", file[..file.len().min(8)].escape_ascii()),
        };
        return Err(ElfFault::NotElf { found });
    }
    let half = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    let (machine, wanted) = if cfg!(target_arch = "aarch64") {
        (MACHINE_AARCH64, "aarch64")
    } else {
        (MACHINE_X86_64, "x86-64")
    };
    if (file[4], file[5]) != (CLASS_64, LITTLE_ENDIAN) || half(18) != machine {
        return Err(ElfFault::Architecture {
            found: architecture(file[4], file[5], half(18)),
            wanted,
        });
    }
    match half(16) {
        TYPE_SHARED => check_whole(file),
        kind => Err(ElfFault::NotShared { found: kind_name(kind) }),
    }
}

/// The loader maps each part without asking whether the file has it, and then dies by SIGBUS.
fn check_whole(file: &[u8]) -> Result<(), ElfFault> {
    let found = file.len() as u64;
    let number = |at: u64, bytes: usize| {
        let at = usize::try_from(at).ok()?;
        let field = file.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let (table, size, count) =
        (number(32, 8).unwrap_or(0), number(54, 2).unwrap_or(0), number(56, 2).unwrap_or(0));
    let wanted = (0..count).try_fold(0, |wanted: u64, index| {
        let entry = table.checked_add(index * size)?;
        Some(wanted.max(number(entry + 8, 8)?.checked_add(number(entry + 32, 8)?)?))
    });
    match wanted {
        Some(wanted) if wanted <= found => Ok(()),
        wanted => Err(ElfFault::CutOff { wanted: wanted.unwrap_or(u64::MAX), found }),
    }
}

fn architecture(class: u8, data: u8, machine: u16) -> String {
    let name = match machine {
        3 => "x86",
        40 => "arm",
        MACHINE_X86_64 => "x86-64",
        MACHINE_AARCH64 => "aarch64",
        243 => "RISC-V",
        _ => return format!("ELF machine {machine}"),
    };
    let width = if class == CLASS_64 { "" } else { ", 32-bit" };
    let order = if data == LITTLE_ENDIAN { "" } else { ", big-endian" };
    format!("{name}{width}{order}")
}

fn kind_name(kind: u16) -> String {
    match kind {
        1 => "an object file (.o)".to_owned(),
        2 => "a program".to_owned(),
        4 => "a core dump".to_owned(),
        _ => format!("of type {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ElfFault, HEADER_BYTES, check};

    fn header(class: u8, data: u8, kind: u16, machine: u16) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data]);
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    /// A header with one part of this place and length.
    fn with_part(offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = header(2, 1, 3, OURS).to_vec();
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
        bytes.resize(64 + 56, 0);
        bytes[72..80].copy_from_slice(&offset.to_le_bytes());
        bytes[96..104].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    #[test]
    fn refuses_a_file_whose_parts_reach_beyond_its_end() {
        assert_eq!(check(&with_part(0, 120)), Ok(()));
        for (offset, length) in [(0, 121), (120, 1), (u64::MAX, 1), (1, u64::MAX)] {
            let fault = check(&with_part(offset, length)).expect_err("cut off");
            assert!(matches!(fault, ElfFault::CutOff { found: 120, .. }), "{fault}");
        }
        assert!(check(&with_part(0, 120)[..100]).is_err(), "the table itself is cut off");
    }

    const OURS: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    const THEIRS: u16 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };

    #[test]
    fn accepts_a_shared_object_of_this_machine() {
        assert_eq!(check(&header(2, 1, 3, OURS)), Ok(()));
    }

    #[test]
    fn refuses_each_other_file_by_what_it_is() {
        let cases: [(&str, Vec<u8>, &str); 8] = [
            ("empty", vec![], "nothing, it is empty"),
            ("text", b"#!/bin/sh\n".to_vec(), "\"#!/bin/s\""),
            ("cut_short", header(2, 1, 3, OURS)[..63].to_vec(), "not an ELF file"),
            ("other_machine", header(2, 1, 3, THEIRS).to_vec(), "built for"),
            ("unknown_machine", header(2, 1, 3, 999).to_vec(), "ELF machine 999"),
            ("32_bit_big_endian", header(1, 2, 3, 40).to_vec(), "arm, 32-bit, big-endian"),
            ("object_file", header(2, 1, 1, OURS).to_vec(), "an object file (.o)"),
            ("program", header(2, 1, 2, OURS).to_vec(), "a program"),
        ];
        for (name, bytes, expected) in cases {
            let fault: ElfFault = check(&bytes).expect_err(name);
            assert!(fault.to_string().contains(expected), "{name}: {fault}");
        }
    }
}
