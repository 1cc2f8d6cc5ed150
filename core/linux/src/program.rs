//! The code of the program itself. See madvise(2), mlock2(2), proc_pid_maps(5).
use std::ffi::c_void;
use std::fs;
use std::path::Path;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise, munlock};

use crate::error::{Context, Result, check};

/// Gives back the pages of this program's own code. What runs again is mapped again from the page cache, a small fault
/// each; but most of what a daemon runs at its start it never runs again. `locked`: where the process keeps its
/// pages in RAM on fault ([`crate::memory::lock_process`]), these are kept again as they come back.
///
/// # Errors
/// The kernel does not tell where the code is, or an emulator does not know the calls.
pub fn release_code(locked: bool) -> Result<()> {
    let maps =
        fs::read_to_string("/proc/self/maps").context("read", || "/proc/self/maps".into())?;
    let program = std::env::current_exe().context("readlink", || "/proc/self/exe".into())?;
    for (start, length) in maps.lines().filter_map(|line| code_of(line, &program)) {
        release(start, length, locked)?;
    }
    Ok(())
}

/// Start and length of a mapping of the program that can be run and not be written.
fn code_of(line: &str, program: &Path) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, permissions) = (fields.next()?, fields.next()?);
    let path = fields.nth(3)?;
    if permissions != "r-xp" || Path::new(path) != program {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    Some((start, end.checked_sub(start)?))
}

fn release(start: usize, length: usize, locked: bool) -> Result<()> {
    let what = || format!("{length} bytes of code");
    let Some(start) = NonNull::new(std::ptr::with_exposed_provenance_mut::<c_void>(start)) else {
        return Ok(());
    };
    if locked {
        // SAFETY: the range is a mapping of this process (read from maps); unlocking changes no byte.
        unsafe { munlock(start, length) }.context("munlock", what)?;
    }
    // SAFETY: the range is a private mapping of a file that can be run and not be written (checked by `code_of`), so
    // no page of it differs from the file, and what is dropped comes back as it was.
    unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) }.context("madvise", what)?;
    if locked {
        // SAFETY: as for munlock.
        let answer = unsafe { nix::libc::mlock2(start.as_ptr(), length, nix::libc::MLOCK_ONFAULT) };
        check(answer).context("mlock2", what)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_is_found() {
        let program = Path::new("/bin/x");
        let found = |line: &str| code_of(line, program);
        let code = "5000-7000 r-xp 00001000 08:01 42                         /bin/x";
        assert_eq!(found(code), Some((0x5000, 0x2000)));
        for line in [
            "5000-7000 r--p 00001000 08:01 42 /bin/x",
            "5000-7000 rwxp 00001000 08:01 42 /bin/x",
            "5000-7000 r-xp 00001000 08:01 42 /lib/y.so",
            "5000-7000 r-xp 00000000 00:00 0",
            "7000-5000 r-xp 00001000 08:01 42 /bin/x",
            "",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn code_runs_on_after_it_was_released() {
        release_code(false).unwrap();
        assert_eq!((1..=10).map(std::hint::black_box).sum::<u32>(), 55);
    }
}
