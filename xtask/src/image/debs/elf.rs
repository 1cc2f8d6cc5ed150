//! What programs and libraries need of the system, read from the files themselves.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::output;

/// Debian's name for the package of a library, with what its versioned symbols begin with.
const LIBRARIES: [(&str, &str, &str); 7] = [
    ("libc.so.6", "libc6", "GLIBC_"),
    ("libm.so.6", "libc6", "GLIBC_"),
    ("libdl.so.2", "libc6", "GLIBC_"),
    ("libpthread.so.0", "libc6", "GLIBC_"),
    ("ld-linux-aarch64.so.1", "libc6", "GLIBC_"),
    ("ld-linux-x86-64.so.2", "libc6", "GLIBC_"),
    ("libgcc_s.so.1", "libgcc-s1", "GCC_"),
];

/// The dependencies of all `files` together: each package in the oldest version that has every symbol they use.
///
/// # Errors
/// One is linked with a library that no package is known for.
pub fn depends(files: &[&Path]) -> Result<String> {
    let mut needed: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for file in files {
        let mut readelf = Command::new("readelf");
        let said = output(readelf.args(["--wide", "--dynamic", "--version-info"]).arg(file))?;
        for library in said.lines().filter_map(needs) {
            let Some((_, package, _)) = LIBRARIES.iter().find(|(name, ..)| *name == library) else {
                bail!("{} needs {library}, which no known package has", file.display());
            };
            needed.entry(package).or_default();
        }
        for (package, version) in said.lines().filter_map(symbol_version) {
            let oldest = needed.entry(package).or_default();
            *oldest = version.max(oldest.clone());
        }
    }
    let shown = needed.into_iter().map(|(package, version)| {
        let numbers: Vec<_> = version.iter().map(ToString::to_string).collect();
        match numbers.as_slice() {
            [] => package.to_owned(),
            numbers => format!("{package} (>= {})", numbers.join(".")),
        }
    });
    Ok(shown.collect::<Vec<_>>().join(", "))
}

/// `… (NEEDED)  Shared library: [libc.so.6]`
fn needs(line: &str) -> Option<&str> {
    line.split_once("(NEEDED)")?.1.split_once('[')?.1.strip_suffix(']')
}

/// `… Name: GLIBC_2.34  Flags: none  Version: 5`
fn symbol_version(line: &str) -> Option<(&'static str, Vec<u32>)> {
    let name = line.split_once("Name: ")?.1.split_whitespace().next()?;
    let (_, package, head) = LIBRARIES.iter().find(|(_, _, head)| name.starts_with(head))?;
    let numbers: Option<Vec<u32>> =
        name.strip_prefix(head)?.split('.').map(|part| part.parse().ok()).collect();
    let mut numbers = numbers?;
    // 4.2.0 and 4.2 are the same symbols, but Debian's version 4.2 is older than 4.2.0.
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some((package, numbers))
}

#[cfg(test)]
mod tests {
    use super::{needs, symbol_version};

    #[test]
    fn readelf_is_understood() {
        let line = " 0x0000000000000001 (NEEDED)             Shared library: [libm.so.6]";
        assert_eq!(needs(line), Some("libm.so.6"));
        let line = "  0x0010:   Name: GLIBC_2.34  Flags: none  Version: 5";
        assert_eq!(symbol_version(line), Some(("libc6", vec![2, 34])));
        let line = "  0x0050:   Name: GCC_4.2.0  Flags: none  Version: 3";
        assert_eq!(symbol_version(line), Some(("libgcc-s1", vec![4, 2])));
        assert_eq!(symbol_version("  000000: Version: 1  File: libc.so.6  Cnt: 9"), None);
    }
}
