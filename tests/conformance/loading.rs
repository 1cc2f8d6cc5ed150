//! Files that are no plugins of this machine, each refused by what is wrong with it.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_host::{Inspection, Library, inspect};

use crate::fixture::{bad_plugin, folder};
use crate::{Case, Verdict, expect};

/// A file to make, and what the refusal must say.
type Fault = (&'static str, fn(&Path) -> std::io::Result<()>, &'static str);

const FAULTS: &[Fault] = &[
    ("absent", |_| Ok(()), "cannot be read: No such file"),
    ("a_folder", |path| fs::create_dir(path), "not a regular file"),
    ("empty", |path| fs::write(path, ""), "not an ELF file (it begins with nothing, it is empty)"),
    ("text", |path| fs::write(path, "#!/bin/sh\necho no"), "not an ELF file"),
    ("header_cut_short", |path| fs::write(path, &elf(3, OURS)[..40]), "not an ELF file"),
    ("other_machine", |path| fs::write(path, elf(3, 40)), "built for arm, this machine is"),
    ("an_object_file", |path| fs::write(path, elf(1, OURS)), "an object file (.o), not a shared"),
    ("nothing_behind_the_header", |path| fs::write(path, elf(3, OURS)), "the loader refuses it"),
    ("too_large", |path| fs::File::create(path)?.set_len((128 << 20) + 1), "larger than"),
];

const OURS: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

/// The header of a 64-bit little-endian ELF file.
fn elf(kind: u16, machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..18].copy_from_slice(&kind.to_le_bytes());
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes
}

pub fn cases() -> Vec<Case> {
    let one = |&(name, make, says): &'static Fault| {
        Case::new(format!("load_{name}"), move || is_refused(name, make, says))
    };
    let own = [
        Case::new("load_other_digest", other_digest),
        Case::new("load_twice_is_one_library", twice),
        Case::new("inspect_says_what_is_there", inspects),
        Case::new("inspect_survives_a_crash_at_load", crash_at_load),
        Case::new("inspect_name_with_control_characters", control_characters),
    ];
    FAULTS.iter().map(one).chain(own).collect()
}

fn fresh(name: &str) -> PathBuf {
    let path = folder("loading").join(name);
    let _ = fs::remove_file(&path);
    let _ = fs::remove_dir(&path);
    path
}

fn is_refused(name: &str, make: fn(&Path) -> std::io::Result<()>, says: &str) -> Verdict {
    let path = fresh(name);
    make(&path).map_err(|e| e.to_string())?;
    let words = match Library::open(&path, None) {
        Ok(_) => return Err("it was loaded".to_owned()),
        Err(error) => error.to_string(),
    };
    let _ = fs::remove_file(&path);
    let right = words.contains(says) && words.contains(name) && words.len() < 4096;
    expect(right, || format!("must name the file and say: {says}\n{words}"))
}

fn other_digest() -> Verdict {
    let path = bad_plugin(None)?;
    let expected = "07".repeat(32);
    match Library::open(&path, Some([7; 32])) {
        Ok(_) => Err("it was loaded".to_owned()),
        Err(error) => expect(error.to_string().contains(&expected), || error.to_string()),
    }
}

fn twice() -> Verdict {
    let path = bad_plugin(None)?;
    let open = || Library::open(&path, None).map_err(|e| e.to_string());
    let maps = |_| fs::read_to_string("/proc/self/maps").map_err(|e| e.to_string());
    let (first, before) = (open()?, maps(())?);
    let (second, after) = (open()?, maps(())?);
    let lines = |text: &str| text.lines().filter(|l| l.contains("memfd:none.so")).count();
    let same = first.descriptor() == second.descriptor() && first.sha256() == second.sha256();
    let once = lines(&before) > 0 && lines(&before) == lines(&after);
    expect(same && once, || format!("{before}\n{after}"))
}

fn inspects() -> Verdict {
    let path = bad_plugin(None)?;
    let Inspection { sha256, bytes, descriptor } = inspect(&path).map_err(|e| e.to_string())?;
    let size = fs::metadata(&path).map_err(|e| e.to_string())?.len();
    let params: Vec<_> = descriptor.params.iter().map(|p| (&*p.name, p.required)).collect();
    let right = bytes == size
        && sha256.len() == 64
        && descriptor.id == "bad-plugin"
        && (descriptor.realtime, descriptor.actuator) == (true, true)
        && params == [("path", true), ("gain", false)];
    expect(right, || format!("{descriptor:?}"))
}

fn crash_at_load() -> Verdict {
    let error = inspect(&bad_plugin(Some("CRASH_LOAD"))?).err().map(|e| e.to_string());
    let words = error.unwrap_or_default();
    expect(words.contains("crash_load.so: crashed") && words.contains("SIGSEGV"), || words)
}

fn control_characters() -> Verdict {
    let path = fresh("a\x1b[2Jb.so");
    fs::write(&path, "no plugin").map_err(|e| e.to_string())?;
    let words = inspect(&path).err().map(|e| e.to_string()).unwrap_or_default();
    expect(words.contains("a\\u{1b}[2Jb.so: not an ELF file"), || words)
}
