//! Names inside packets: UTF-8 in 24 bytes, ended and filled by NUL bytes.
use core::fmt;

use crate::raw::NAME_BYTES;

/// Why bytes are not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("the name is empty")]
    Empty,
    /// No NUL byte ends it.
    #[error("the name is not ended by a NUL byte within {NAME_BYTES} bytes")]
    NotEnded,
    /// Bytes after its end are not NUL.
    #[error("the name is followed by bytes that are not NUL")]
    NotFilled,
    /// Not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// It holds a control character.
    #[error("the name holds a control character")]
    Control,
}

/// A checked name: 1 to 23 bytes of UTF-8 without control characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; NAME_BYTES]);

impl Name {
    /// The most bytes of text; one is kept for the NUL byte that ends it.
    pub const MAX: usize = NAME_BYTES - 1;

    /// Checks bytes of a packet.
    ///
    /// # Errors
    /// Which rule they break.
    pub fn from_raw(bytes: &[u8; NAME_BYTES]) -> Result<Self, NameError> {
        let end = bytes.iter().position(|&b| b == 0).ok_or(NameError::NotEnded)?;
        let (text, filling) = bytes.split_at(end);
        if filling.iter().any(|&b| b != 0) {
            return Err(NameError::NotFilled);
        }
        let text = core::str::from_utf8(text).map_err(|_| NameError::NotUtf8)?;
        match text {
            "" => Err(NameError::Empty),
            _ if text.chars().any(char::is_control) => Err(NameError::Control),
            _ => Ok(Self(*bytes)),
        }
    }

    /// The name for a text of any length: cut at a character's border to what fits, control characters replaced
    /// by `?`, and `?` for the empty text. The same text always gives the same name.
    #[must_use]
    pub fn fitted(text: &str) -> Self {
        let mut bytes = [0; NAME_BYTES];
        let mut end = 0;
        let clean = |c: char| if c.is_control() { '?' } else { c };
        for c in text.chars().map(clean).chain(text.is_empty().then_some('?')) {
            if end + c.len_utf8() > Self::MAX {
                break;
            }
            end += c.encode_utf8(&mut bytes[end..]).len();
        }
        Self(bytes)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(Self::MAX);
        core::str::from_utf8(&self.0[..end]).unwrap_or("?")
    }

    /// The bytes that cross the boundary.
    #[must_use]
    pub const fn raw(&self) -> [u8; NAME_BYTES] {
        self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &[u8]) -> [u8; NAME_BYTES] {
        let mut bytes = [0; NAME_BYTES];
        bytes[..text.len()].copy_from_slice(text);
        bytes
    }

    #[test]
    fn bytes_that_are_no_name_are_refused() {
        let cases: &[(&str, [u8; NAME_BYTES], NameError)] = &[
            ("empty", padded(b""), NameError::Empty),
            ("not ended", [b'a'; NAME_BYTES], NameError::NotEnded),
            ("rubbish behind", padded(b"red\0x"), NameError::NotFilled),
            ("half a character", padded(b"gr\xc3"), NameError::NotUtf8),
            ("a line break", padded(b"red\n"), NameError::Control),
            ("DEL", padded(b"\x7f"), NameError::Control),
        ];
        for (case, bytes, expected) in cases {
            assert_eq!(Name::from_raw(bytes), Err(*expected), "{case}");
        }
    }

    #[test]
    fn names_survive_the_boundary() {
        for text in ["red", "grün", "abcdefghijklmnopqrstuvw"] {
            let name = Name::fitted(text);
            assert_eq!(name.as_str(), text);
            assert_eq!(Name::from_raw(&name.raw()), Ok(name));
        }
    }

    #[test]
    fn any_text_is_fitted() {
        let cases = [
            ("", "?"),
            ("a\tb", "a?b"),
            ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvw"),
            ("abcdefghijklmnopqrstuvü", "abcdefghijklmnopqrstuv"),
        ];
        for (text, expected) in cases {
            let name = Name::fitted(text);
            assert_eq!(name.as_str(), expected);
            assert!(Name::from_raw(&name.raw()).is_ok());
        }
    }
}
