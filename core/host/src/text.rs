//! Text that came from outside, made fit for a message: bounded, and with its control characters escaped.

/// At most `limit` bytes of `text` with control characters escaped; what is cut off is marked by `…`.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let before = out.len();
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > limit {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// Two lower-case digits for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The candidate nearest to `name` by edits, where one is near enough to be what was meant.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = name.chars().count() / 3 + 1;
    candidates.map(|c| (edits(name, c), c)).filter(|&(n, _)| n <= limit).min().map(|(_, c)| c)
}

/// Insertions, deletions and substitutions that lead from `a` to `b` (Levenshtein, 1966).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest, printable};

    #[test]
    fn printable_escapes_and_bounds() {
        assert_eq!(printable("a\x1b[31m\nb", 80), "a\\u{1b}[31m\\nb");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("ab\u{e9}\u{e9}", 4), "ab\u{e9}…");
        assert_eq!(printable("abc", 3), "abc");
    }

    #[test]
    fn nearest_is_by_edits_and_not_too_far() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        let names = ["threshold", "label", "rate_hz"];
        assert_eq!(nearest("treshold", names.into_iter()), Some("threshold"));
        assert_eq!(nearest("rate-hz", names.into_iter()), Some("rate_hz"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }
}
