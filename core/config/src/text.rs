//! Text of the outside world, made fit for a message.

/// `text` with control characters escaped, cut with `…` where it would be longer than `most` bytes.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        let start = shown.len();
        if is_unsafe(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
        if shown.len() > most {
            shown.truncate(start);
            shown.push('…');
            break;
        }
    }
    shown
}

/// Control characters, and those that change the direction of the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// The one of `known` that `found` was most likely meant to be, if any is near.
#[must_use]
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if found.len() > 64 {
        return None;
    }
    let limit = (found.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(found, name), name))
        .filter(|&(far, _)| far <= limit)
        .min_by_key(|&(far, _)| far)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, in which two neighbours changing places count as one step.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            let at = |i: usize, j: usize| table[i * width + j];
            table[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = usize::from(a[i - 1] != b[j - 1]);
                let mut least =
                    (at(i - 1, j) + 1).min(at(i, j - 1) + 1).min(at(i - 1, j - 1) + change);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(at(i - 2, j - 2) + 1);
                }
                least
            };
        }
    }
    table[table.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_length_is_bounded() {
        assert_eq!(printable("a\x1b[31m\n", 99), "a\\u{1b}[31m\\u{a}");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
        assert_eq!(printable("ééé", 3), "é…");
        assert_eq!(printable("ab\n", 3), "ab…");
        assert_eq!(printable("a\u{202e}b", 99), "a\\u{202e}b");
    }

    #[test]
    fn the_nearest_name_is_found_only_when_it_is_near() {
        let known = ["input", "inputs", "plugin", "params"];
        assert_eq!(nearest("inptu", known), Some("input"));
        assert_eq!(nearest("plugn", known), Some("plugin"));
        assert_eq!(nearest("priority", known), None);
        assert_eq!(nearest(&"x".repeat(100), known), None);
    }
}
