//! Words from outside, made fit for a message: short, and without control characters.
use std::path::Path;

/// Characters of one such word that a message repeats.
const MOST: usize = 160;

/// The text's beginning.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A path's end, which is what tells two paths apart, escaped.
pub(crate) fn show(path: &Path) -> String {
    let text = path.to_string_lossy();
    let start = text.char_indices().rev().nth(MOST).map_or(0, |(start, _)| start);
    let dots = if start > 0 { "…" } else { "" };
    format!("{dots}{}", text[start..].escape_debug())
}

#[cfg(test)]
mod tests {
    use super::{cut, show};
    use std::path::Path;

    #[test]
    fn long_words_are_cut_at_a_character() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(1000)).chars().count(), 161);
        let long = show(Path::new(&format!("/{}/end.jpg", "ö".repeat(1000))));
        assert!(long.starts_with('…') && long.ends_with("end.jpg") && long.chars().count() < 165);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(show(Path::new("/a\x1b[31m\nb")), "/a\\u{1b}[31m\\nb");
    }
}
