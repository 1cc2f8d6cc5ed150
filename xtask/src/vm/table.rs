//! What cases came to, for people and for programs.
use anyhow::Result;
use serde_json::{Map, Value, json};

/// What one case came to.
pub struct Outcome {
    pub name: &'static str,
    pub seconds: f64,
    /// What was measured, or why it failed.
    pub note: Result<String>,
}

impl Outcome {
    fn note(&self) -> String {
        match &self.note {
            Ok(note) => note.clone(),
            Err(error) => format!("{error:#}"),
        }
    }
}

/// A line of the table.
pub fn line(outcome: &Outcome) -> String {
    let word = if outcome.note.is_ok() { "ok" } else { "FAILED" };
    format!("{:<18}{word:<8}{:>6.1} s  {}\n", outcome.name, outcome.seconds, outcome.note())
}

/// All of them.
pub fn text(outcomes: &[Outcome]) -> String {
    let head = format!("{:<18}{:<8}{:>8}  note\n", "case", "ok", "seconds");
    outcomes.iter().map(line).fold(head, |table, line| table + &line)
}

/// `{"CASE": {"ok": …, "seconds": …, "note": …}}`.
pub fn json(outcomes: &[Outcome]) -> Value {
    let entry = |outcome: &Outcome| {
        let seconds = (outcome.seconds * 10.0).round() / 10.0;
        let value =
            json!({ "ok": outcome.note.is_ok(), "seconds": seconds, "note": outcome.note() });
        (outcome.name.to_owned(), value)
    };
    Value::Object(outcomes.iter().map(entry).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::{Outcome, json, text};

    #[test]
    fn people_and_programs_are_told_the_same() {
        let outcomes = [
            Outcome { name: "late", seconds: 1.26, note: Ok("3 frames".into()) },
            Outcome { name: "cut", seconds: 2.0, note: Err(anyhow::anyhow!("no model")) },
        ];
        let expected = r#"{"cut":{"note":"no model","ok":false,"seconds":2.0},"late":{"note":"3 frames","ok":true,"seconds":1.3}}"#;
        assert_eq!(json(&outcomes).to_string(), expected);
        let table = text(&outcomes);
        assert!(table.contains("late              ok         1.3 s  3 frames\n"), "{table}");
        assert!(table.contains("cut               FAILED     2.0 s  no model\n"), "{table}");
    }
}
