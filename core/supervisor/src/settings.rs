//! Settings of the whole process, made before any thread but the first runs.
use edgemill_config::{Board, MemoryLock};
use edgemill_linux::{memory, process, program};

use crate::exit::{Exit, Failure};
use crate::log::{self, Level};

/// No huge pages (they would round each small mapping up to 2 MiB) and no dumps (there are keys in memory). An emulator
/// may know neither; a kernel knows both.
pub fn protect() {
    for (refused, what) in [
        (process::forbid_huge_pages(), "memory use will be higher"),
        (process::forbid_dumps(), "a core dump could hold keys"),
    ] {
        if let Err(error) = refused {
            log::line(Level::Warn, "", &format!("{error}; {what}"));
        }
    }
}

/// Locks memory as the board says; true when it is locked. Pages are locked as they are touched, so that what is
/// mapped and never used costs nothing.
///
/// # Errors
/// The board requires it and the kernel refuses.
pub fn lock_memory(board: &Board) -> Result<bool, Failure> {
    if board.memory_lock == MemoryLock::Off {
        return Ok(false);
    }
    let Err(error) = memory::lock_process(true) else { return Ok(true) };
    let remedy = "raise LimitMEMLOCK= or give CAP_IPC_LOCK, as edgemill.service does";
    if board.memory_lock == MemoryLock::Require {
        let file = board.name.at.file.display();
        let message = format!(
            "{file}: memory-lock = \"require\", and memory cannot be locked: {error}; {remedy}"
        );
        return Err(Failure::new(Exit::Device, message));
    }
    log::line(Level::Warn, "", &format!("memory is not locked: {error}; {remedy}"));
    Ok(false)
}

/// Gives back the code that only the change of configuration needed: two thirds of the program.
pub fn release_code(memory_locked: bool) {
    if let Err(error) = program::release_code(memory_locked) {
        log::line(Level::Debug, "", &format!("{error}; memory use stays higher"));
    }
}
