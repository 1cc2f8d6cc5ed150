//! Text from outside, made fit for a message.

/// The most characters of outside text that a message repeats.
const SHOWN_CHARS: usize = 120;

/// `text` with control characters escaped, cut after 120 characters.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    nibbles.map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

/// Exactly `N` bytes from `2 N` lower-case hexadecimal digits; `None` for anything else, so that one value
/// has one spelling.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_one_spelling() {
        assert_eq!(from_hex::<2>("0aff"), Some([10, 255]));
        for fail in ["0aF0", "0af", "0af00", "0ag0", ""] {
            assert_eq!(from_hex::<2>(fail), None, "{fail}");
        }
        assert_eq!(to_hex(&[10, 255]), "0aff");
    }

    #[test]
    fn shown_text_is_bounded_and_escaped() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(shown(&"x".repeat(5000)).chars().count(), SHOWN_CHARS + 1);
    }
}
