//! What each source may be told: the same facts about a parameter that a plugin's descriptor states, and the one
//! check of a pipeline's values against them.
use std::collections::BTreeMap;
use std::fmt;

use crate::text::cut;

/// A value as the pipeline's file gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A string.
    Text(String),
}

impl Value {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
        }
    }
}

/// A stage's parameters by name, as given: not checked.
pub type Params = BTreeMap<String, Value>;

/// The type of a parameter, with its range and its default; a default of `None` makes it required.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number between `least` and `most`, both inclusive.
    Int {
        /// Smallest allowed.
        least: i64,
        /// Largest allowed.
        most: i64,
        /// Default.
        fallback: Option<i64>,
    },
    /// A number between `least` and `most`, both inclusive; whole numbers are taken too.
    Float {
        /// Smallest allowed.
        least: f64,
        /// Largest allowed.
        most: f64,
        /// Default.
        fallback: Option<f64>,
    },
    /// Any string of at most [`MAX_TEXT`] bytes.
    Text {
        /// Default.
        fallback: Option<&'static str>,
    },
    /// One of a few words.
    Choice {
        /// The words allowed.
        words: &'static [&'static str],
        /// Default.
        fallback: Option<&'static str>,
    },
}

/// A parameter that a source takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Param {
    /// As it stands in the pipeline's file.
    pub name: &'static str,
    /// `""` where it has none.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Type, range, default.
    pub kind: Kind,
}

/// The longest string a parameter may have: Linux's limit for a path.
pub const MAX_TEXT: usize = 4096;

/// Why a source's parameters were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParamError {
    /// Not a parameter of this source.
    #[error("parameter `{}` is unknown; this source takes {takes}", name.escape_debug())]
    Unknown {
        /// The name given, cut to a bounded length.
        name: String,
        /// The names there are.
        takes: String,
    },
    /// Required and not given.
    #[error("parameter `{name}` is missing: {help}")]
    Missing {
        /// The parameter.
        name: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// Not of its type.
    #[error("parameter `{name}` is {given} where {wanted} is expected")]
    Type {
        /// The parameter.
        name: &'static str,
        /// The type found.
        given: &'static str,
        /// The type expected.
        wanted: &'static str,
    },
    /// Of its type, but not allowed.
    #[error("parameter `{name}` is {}; {allowed}", given.escape_debug())]
    Range {
        /// The parameter.
        name: &'static str,
        /// The value found, cut to a bounded length.
        given: String,
        /// What would be allowed.
        allowed: String,
    },
}

impl ParamError {
    /// The parameter at fault, so that a caller who knows the file can name the line.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown { name, .. } => name,
            Self::Missing { name, .. } | Self::Type { name, .. } | Self::Range { name, .. } => name,
        }
    }
}

/// All parameters of a source, each of its type and in its range, defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Checked(BTreeMap<&'static str, Value>);

impl Checked {
    /// Checks what was given against what the source takes.
    pub(crate) fn new(takes: &'static [Param], given: &Params) -> Result<Self, ParamError> {
        if let Some(name) = given.keys().find(|name| !takes.iter().any(|p| p.name == *name)) {
            return Err(unknown(takes, name));
        }
        takes
            .iter()
            .map(|param| Ok((param.name, one(param, given.get(param.name))?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A whole number that its range keeps within `u32`.
    pub(crate) fn int(&self, name: &str) -> u32 {
        match self.0.get(name) {
            Some(Value::Int(value)) => u32::try_from(*value).unwrap_or_default(),
            _ => 0,
        }
    }

    pub(crate) fn float(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(Value::Float(value)) => *value,
            _ => 0.0,
        }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(Value::Text(value)) => value,
            _ => "",
        }
    }
}

fn unknown(takes: &[Param], name: &str) -> ParamError {
    let takes = takes.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
    ParamError::Unknown { name: cut(name), takes }
}

fn one(param: &Param, given: Option<&Value>) -> Result<Value, ParamError> {
    let missing = || ParamError::Missing { name: param.name, help: param.help };
    let wrong = |value: &Value, wanted| ParamError::Type {
        name: param.name,
        given: value.type_name(),
        wanted,
    };
    match (param.kind, given) {
        (Kind::Int { least, most, fallback }, given) => match given {
            None => fallback.map(Value::Int).ok_or_else(missing),
            Some(Value::Int(v)) if (least..=most).contains(v) => Ok(Value::Int(*v)),
            Some(Value::Int(v)) => Err(out_of_range(param, *v, least, most)),
            Some(other) => Err(wrong(other, "a whole number")),
        },
        (Kind::Float { least, most, fallback }, given) => match given.map(as_float) {
            None => fallback.map(Value::Float).ok_or_else(missing),
            Some(Ok(v)) if (least..=most).contains(&v) => Ok(Value::Float(v)),
            Some(Ok(v)) => Err(out_of_range(param, v, least, most)),
            Some(Err(other)) => Err(wrong(other, "a number")),
        },
        (Kind::Text { fallback } | Kind::Choice { fallback, .. }, None) => {
            fallback.map(|text| Value::Text(text.to_owned())).ok_or_else(missing)
        }
        (Kind::Text { .. }, Some(Value::Text(text))) => match text.len() {
            1..=MAX_TEXT => Ok(Value::Text(text.clone())),
            length => Err(ParamError::Range {
                name: param.name,
                given: format!("{length} bytes long"),
                allowed: format!("1 to {MAX_TEXT} bytes are allowed"),
            }),
        },
        (Kind::Choice { words, .. }, Some(Value::Text(text))) => choice(param, words, text),
        (_, Some(other)) => Err(wrong(other, "a string")),
    }
}

/// A TOML file may write `30` where a fraction is allowed.
fn as_float(value: &Value) -> Result<f64, &Value> {
    match value {
        Value::Float(v) => Ok(*v),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate or a time; 2^53 is far outside any range"
        )]
        Value::Int(v) => Ok(*v as f64),
        other => Err(other),
    }
}

fn choice(param: &Param, words: &[&str], text: &str) -> Result<Value, ParamError> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err(ParamError::Range {
        name: param.name,
        given: format!("`{}`", cut(text)),
        allowed: format!("allowed are {}", words.join(", ")),
    })
}

fn out_of_range<T: fmt::Display>(param: &Param, value: T, least: T, most: T) -> ParamError {
    let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
    ParamError::Range {
        name: param.name,
        given: value.to_string(),
        allowed: format!("allowed are {least} to {most}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Checked, Kind, Param, ParamError, Params, Value};

    const TAKES: &[Param] = &[
        Param { name: "path", unit: "", help: "Where.", kind: Kind::Text { fallback: None } },
        Param {
            name: "width",
            unit: "px",
            help: "How wide.",
            kind: Kind::Int { least: 2, most: 8192, fallback: Some(640) },
        },
        Param {
            name: "rate",
            unit: "Hz",
            help: "How often.",
            kind: Kind::Float { least: 0.0, most: 1e3, fallback: Some(0.0) },
        },
        Param {
            name: "end",
            unit: "",
            help: "What then.",
            kind: Kind::Choice { words: &["stop", "loop"], fallback: Some("stop") },
        },
    ];

    fn given(pairs: &[(&str, Value)]) -> Params {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn defaults_fill_what_is_not_given() {
        let checked = Checked::new(TAKES, &given(&[("path", text("a"))])).unwrap();
        assert_eq!((checked.text("path"), checked.int("width")), ("a", 640));
        assert_eq!((checked.float("rate"), checked.text("end")), (0.0, "stop"));
    }

    #[test]
    fn a_whole_number_serves_as_a_number() {
        let params = given(&[("path", text("a")), ("rate", Value::Int(30))]);
        assert_eq!(Checked::new(TAKES, &params).unwrap().float("rate"), 30.0);
    }

    #[test]
    fn each_fault_has_its_message() {
        let long = "x".repeat(5000);
        let cases = [
            (
                "unknown",
                given(&[("path", text("a")), ("widht", Value::Int(3))]),
                "parameter `widht` is unknown; this source takes path, width, rate, end",
            ),
            ("missing", given(&[]), "parameter `path` is missing: Where."),
            (
                "type",
                given(&[("path", Value::Bool(true))]),
                "parameter `path` is a boolean where a string is expected",
            ),
            (
                "fraction for a whole number",
                given(&[("path", text("a")), ("width", Value::Float(2.5))]),
                "parameter `width` is a number where a whole number is expected",
            ),
            (
                "range",
                given(&[("path", text("a")), ("width", Value::Int(1))]),
                "parameter `width` is 1; allowed are 2 to 8192 px",
            ),
            (
                "not a number",
                given(&[("path", text("a")), ("rate", Value::Float(f64::NAN))]),
                "parameter `rate` is NaN; allowed are 0 to 1000 Hz",
            ),
            (
                "choice, with a control character",
                given(&[("path", text("a")), ("end", text("st\x1bop"))]),
                "parameter `end` is `st\\u{1b}op`; allowed are stop, loop",
            ),
            (
                "too long",
                given(&[("path", text(&long))]),
                "parameter `path` is 5000 bytes long; 1 to 4096 bytes are allowed",
            ),
        ];
        for (fault, params, message) in cases {
            let error = Checked::new(TAKES, &params).expect_err(fault);
            assert_eq!(error.to_string(), message, "{fault}");
        }
    }

    #[test]
    fn a_message_repeats_only_a_part_of_a_long_name() {
        let error = Checked::new(TAKES, &given(&[(&"n".repeat(10_000), Value::Int(0))]));
        let error = error.expect_err("unknown");
        assert!(error.to_string().len() < 600 && matches!(error, ParamError::Unknown { .. }));
    }
}
