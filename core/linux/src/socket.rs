//! Local sockets: who is at the other end, and descriptors along with bytes. See unix(7).
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, getsockopt, recvmsg, sendmsg, sockopt,
};

use crate::error::{Context, Result};

/// The process at the other end, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process id.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
}

/// Who is at the other end: SO_PEERCRED.
///
/// # Errors
/// An emulator that does not know the option.
pub fn peer(stream: &UnixStream) -> Result<Peer> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials)
        .context("getsockopt", || "SO_PEERCRED".into())?;
    Ok(Peer { pid: credentials.pid(), uid: credentials.uid() })
}

/// Sends `bytes`, and with the first of them a copy of `descriptor`: SCM_RIGHTS. Says how many bytes went.
///
/// # Errors
/// The other end is gone or does not read in time.
pub fn send_with_descriptor(
    stream: &UnixStream,
    bytes: &[u8],
    descriptor: BorrowedFd<'_>,
) -> Result<usize> {
    let descriptors = [descriptor.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(bytes)], &message, flags, None)
        .context("sendmsg", || "a descriptor".into())
}

/// Reads what is there, and the descriptor that came with it. Of several descriptors the rest are closed.
/// 0 bytes: the other end has closed.
///
/// # Errors
/// The other end failed or does not send in time.
pub fn receive(stream: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut control = nix::cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), flags)
        .context("recvmsg", || "a socket".into())?;
    let mut descriptors = Vec::new();
    if let Ok(messages) = received.cmsgs() {
        for message in messages {
            if let ControlMessageOwned::ScmRights(raw) = message {
                // SAFETY: the kernel has just made these descriptors for us, and nobody else knows them.
                descriptors.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
    }
    Ok((received.bytes, descriptors.into_iter().next()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_bytes() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = crate::memfd::Memfd::holding("sent", &b"content"[..]).unwrap();
        let file = File::open(file.proc_path()).unwrap();
        assert_eq!(send_with_descriptor(&ours, b"line\n", file.as_fd()).unwrap(), 5);
        let mut bytes = [0; 16];
        let (length, descriptor) = receive(&theirs, &mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"line\n");
        let mut content = String::new();
        File::from(descriptor.unwrap()).read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        drop(ours);
        let (length, descriptor) = receive(&theirs, &mut bytes).unwrap();
        assert_eq!((length, descriptor.is_none()), (0, true));
    }

    #[test]
    fn the_peer_is_this_process() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = peer(&ours).unwrap();
        assert_eq!(peer.uid, crate::process::user());
        assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
    }
}
