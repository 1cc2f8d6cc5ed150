//! Waiting for descriptors. See poll(2).
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::error::{Context, Result};

/// Waits until one of `fds` can be read (or has failed, or was hung up on), or until `timeout` has passed;
/// `None` waits for ever. Says for each whether it is ready. A signal ends the wait early with none ready.
///
/// # Errors
/// The kernel has no memory, or there are more descriptors than the process may open.
pub fn readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Result<Vec<bool>> {
    let mut set: Vec<_> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    match nix::poll::poll(&mut set, milliseconds(timeout)) {
        Ok(_) | Err(Errno::EINTR) => Ok(set.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
        Err(errno) => Err(errno).context("poll", || format!("{} descriptors", fds.len())),
    }
}

/// Rounded up, so that a wait never ends before its time and a short one does not spin.
fn milliseconds(timeout: Option<Duration>) -> PollTimeout {
    timeout.map_or(PollTimeout::NONE, |time| {
        let rounded = time.as_nanos().div_ceil(1_000_000);
        i32::try_from(rounded).ok().and_then(|ms| ms.try_into().ok()).unwrap_or(PollTimeout::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::event::Waker;

    #[test]
    fn a_rung_waker_is_readable_until_taken() {
        let (rung, quiet) = (Waker::new().unwrap(), Waker::new().unwrap());
        rung.wake();
        rung.wake();
        let fds = [rung.as_fd(), quiet.as_fd()];
        assert_eq!(readable(&fds, None).unwrap(), [true, false]);
        assert!(rung.take());
        assert!(!rung.take());
        assert_eq!(readable(&fds, Some(Duration::from_millis(1))).unwrap(), [false, false]);
    }

    #[test]
    fn a_timeout_is_rounded_up() {
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), PollTimeout::from(1u8));
        assert_eq!(milliseconds(Some(Duration::MAX)), PollTimeout::MAX);
        assert_eq!(milliseconds(None), PollTimeout::NONE);
    }
}
