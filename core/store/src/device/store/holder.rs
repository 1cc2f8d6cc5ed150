//! Who holds a lock. See proc_locks(5).
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that holds the flock(2) of the file at `path`; `None` where the kernel does not show it.
pub(crate) fn lock_holder(path: &Path) -> Option<u32> {
    let inode = fs::metadata(path).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, inode))
}

/// A line is `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`: pid, then device and inode.
fn holder_in(line: &str, inode: u64) -> Option<u32> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", pid, file, ..] = fields[..] else { return None };
    let held: u64 = file.rsplit(':').next()?.parse().ok()?;
    (held == inode).then(|| pid.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_read_from_the_line_of_its_inode() {
        let line = "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF";
        assert_eq!(holder_in(line, 131), Some(4711));
        assert_eq!(holder_in(line, 132), None);
        assert_eq!(holder_in("1: -> FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF", 131), None);
        assert_eq!(holder_in("2: POSIX  ADVISORY  WRITE 4711 08:01:131 0 EOF", 131), None);
    }
}
