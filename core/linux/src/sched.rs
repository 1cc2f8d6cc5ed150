//! Where and how a thread runs. See sched(7).
use std::ffi::CString;

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, gettid};

use crate::error::{Context, Result, check};

/// A thread of this process, by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(Pid);

/// The calling thread.
#[must_use]
pub fn current_thread() -> ThreadId {
    ThreadId(gettid())
}

const THIS: Pid = Pid::from_raw(0);

/// Lets the calling thread run on these cores only.
///
/// # Errors
/// A core's number is past what the kernel can count, or none of the cores exists.
pub fn set_affinity(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores
        .iter()
        .try_for_each(|core| set.set(*core))
        .and_then(|()| sched_setaffinity(THIS, &set))
        .context("sched_setaffinity", || format!("to cores {cores:?}"))
}

/// The cores that the calling thread may run on, as the kernel tells.
///
/// # Errors
/// An emulator that does not know the call.
pub fn affinity() -> Result<Vec<usize>> {
    let set = sched_getaffinity(THIS).context("sched_getaffinity", String::new)?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// Runs the calling thread under SCHED_FIFO at `priority`, 1 (low) to 99.
///
/// # Errors
/// The priority is out of range, or neither CAP_SYS_NICE nor RLIMIT_RTPRIO allows it.
pub fn set_fifo(priority: u8) -> Result<()> {
    set_policy(THIS, libc::SCHED_FIFO, priority.into())
        .context("sched_setscheduler", || format!("to SCHED_FIFO at priority {priority}"))
}

/// Runs the calling thread under the ordinary scheduler, SCHED_OTHER, if it does not already.
///
/// # Errors
/// It runs under SCHED_IDLE, and may not leave it.
pub fn set_ordinary() -> Result<()> {
    set_policy(THIS, libc::SCHED_OTHER, 0).context("sched_setscheduler", || "to SCHED_OTHER".into())
}

/// The SCHED_FIFO priority of the calling thread, if that is its policy.
///
/// # Errors
/// An emulator that does not know the call.
pub fn fifo() -> Result<Option<u8>> {
    // SAFETY: 0 names the calling thread; the call takes no pointer.
    let policy = unsafe { libc::sched_getscheduler(0) };
    check(policy).context("sched_getscheduler", String::new)?;
    if policy & !libc::SCHED_RESET_ON_FORK != libc::SCHED_FIFO {
        return Ok(None);
    }
    let mut param = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 names the calling thread; `param` lives across the call.
    check(unsafe { libc::sched_getparam(0, &raw mut param) })
        .context("sched_getparam", String::new)?;
    Ok(u8::try_from(param.sched_priority).ok())
}

/// Lets a thread of this process run only when a core has nothing else to do: SCHED_IDLE.
///
/// # Errors
/// The thread has ended, or a real-time thread may not leave its policy here.
pub fn set_idle(thread: ThreadId) -> Result<()> {
    set_policy(thread.0, libc::SCHED_IDLE, 0)
        .context("sched_setscheduler", || format!("of thread {} to SCHED_IDLE", thread.0))
}

fn set_policy(thread: Pid, policy: libc::c_int, priority: libc::c_int) -> nix::Result<()> {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: `param` lives across the call, which only reads it.
    check(unsafe { libc::sched_setscheduler(thread.as_raw(), policy, &raw const param) })
}

/// Names the calling thread, for `ps -L` and `top -H`; the kernel keeps the first 15 bytes.
///
/// # Errors
/// An emulator that does not know the call.
pub fn set_thread_name(name: &str) -> Result<()> {
    let clean: Vec<u8> = name.bytes().filter(|byte| *byte != 0).collect();
    let name = CString::new(clean).unwrap_or_default();
    nix::sys::prctl::set_name(&name).context("prctl", || format!("PR_SET_NAME {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinity_is_read_back_as_set() {
        let allowed = affinity().unwrap();
        set_affinity(&allowed[..1]).unwrap();
        assert_eq!(affinity().unwrap(), allowed[..1]);
        set_affinity(&allowed).unwrap();
    }

    #[test]
    fn cores_that_are_not_there_are_refused() {
        for cores in [&[1023_usize][..], &[1 << 40], &[]] {
            let error = set_affinity(cores).unwrap_err();
            assert!(error.to_string().contains("sched_setaffinity"), "{error}");
        }
    }

    #[test]
    fn a_thread_sinks_to_idle_and_priorities_have_a_range() {
        std::thread::spawn(|| {
            assert_eq!(fifo().unwrap(), None);
            assert!(set_fifo(100).is_err());
            set_ordinary().unwrap();
            set_idle(current_thread()).unwrap();
            // SAFETY: 0 names the calling thread.
            assert_eq!(unsafe { libc::sched_getscheduler(0) }, libc::SCHED_IDLE);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        std::thread::spawn(|| {
            set_thread_name("a-stage\0-of-a-pipeline").unwrap();
            let name = nix::sys::prctl::get_name().unwrap();
            assert_eq!(name.to_str().unwrap(), "a-stage-of-a-pi");
        })
        .join()
        .unwrap();
    }
}
