//! One line over a socket, never longer than a limit.
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// A request's bytes, at most.
pub(crate) const REQUEST_BYTES: usize = 4 * 1024;
/// An answer's bytes, at most: 32 pipelines of 64 stages, a few hundred bytes each.
pub(crate) const REPLY_BYTES: usize = 4 * 1024 * 1024;

/// A line that is being read, and the descriptor that came with it.
#[derive(Default)]
pub(crate) struct Partial {
    bytes: Vec<u8>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// How far reading has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A line, without its end.
    Line(Vec<u8>),
    /// More is to come.
    More,
    /// The other end closed before its line was whole.
    Closed,
    /// More bytes than a line may have.
    TooLong,
}

impl Partial {
    /// Takes what the socket has, from one read.
    pub(crate) fn read(&mut self, stream: &UnixStream) -> Result<Progress, edgemill_linux::Error> {
        let mut buffer = [0; REQUEST_BYTES];
        let (length, descriptor) = edgemill_linux::socket::receive(stream, &mut buffer)?;
        self.descriptor = self.descriptor.take().or(descriptor);
        Ok(self.take(&buffer[..length]))
    }

    fn take(&mut self, bytes: &[u8]) -> Progress {
        if bytes.is_empty() {
            return Progress::Closed;
        }
        self.bytes.extend_from_slice(bytes);
        match self.bytes.iter().position(|&byte| byte == b'\n') {
            Some(end) if end <= REQUEST_BYTES => {
                self.bytes.truncate(end);
                Progress::Line(std::mem::take(&mut self.bytes))
            }
            None if self.bytes.len() < REQUEST_BYTES => Progress::More,
            _ => Progress::TooLong,
        }
    }
}

/// A whole answer.
pub(crate) fn read_reply(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(REPLY_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    stream.take(limit).read_to_end(&mut bytes)?;
    match bytes.pop() {
        Some(b'\n') => Ok(bytes),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(_) => Err(io::Error::other("the answer is cut off or too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_in_pieces_and_what_follows_it_is_not_read() {
        let mut partial = Partial::default();
        assert_eq!(partial.take(b"ab"), Progress::More);
        assert_eq!(partial.take(b"c\nd"), Progress::Line(b"abc".to_vec()));
        assert_eq!(Partial::default().take(b""), Progress::Closed);
    }

    #[test]
    fn a_line_has_a_limit() {
        let mut partial = Partial::default();
        assert_eq!(partial.take(&[b'x'; REQUEST_BYTES - 1]), Progress::More);
        assert_eq!(partial.take(b"x"), Progress::TooLong);
        let mut partial = Partial::default();
        partial.take(&[b'x'; REQUEST_BYTES - 1]);
        assert!(matches!(partial.take(b"\n"), Progress::Line(_)));
    }
}
