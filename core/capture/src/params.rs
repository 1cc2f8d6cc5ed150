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

impl fmt::Display for Value {
    /// As it would stand in the file; of a long string only the beginning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "\"{}\"", cut(value).escape_debug()),
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

impl Param {
    /// What it takes, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        match self.kind {
            Kind::Int { least, most, .. } => {
                format!("a whole number from {least} to {most}{unit}")
            }
            Kind::Float { least, most, .. } => format!("a number from {least} to {most}{unit}"),
            Kind::Text { .. } => format!("a string of 1 to {MAX_TEXT} bytes"),
            Kind::Choice { words, .. } => format!("one of \"{}\"", words.join("\", \"")),
        }
    }

    /// The default, as it would stand in the file; `None` if the parameter must be given.
    #[must_use]
    pub fn fallback(&self) -> Option<Value> {
        match self.kind {
            Kind::Int { fallback, .. } => fallback.map(Value::Int),
            Kind::Float { fallback, .. } => fallback.map(Value::Float),
            Kind::Text { fallback } | Kind::Choice { fallback, .. } => {
                fallback.map(|text| Value::Text(text.to_owned()))
            }
        }
    }

    /// The value in the parameter's own type, if it may have it. A file may write `30` where a fraction is allowed.
    fn accept(&self, given: &Value) -> Option<Value> {
        let good = match (self.kind, given) {
            (Kind::Int { least, most, .. }, Value::Int(value)) => (least..=most).contains(value),
            (Kind::Float { least, most, .. }, Value::Float(value)) => {
                (least..=most).contains(value)
            }
            (Kind::Float { .. }, Value::Int(value)) => {
                return self.accept(&Value::Float(f64::from(i32::try_from(*value).ok()?)));
            }
            (Kind::Text { .. }, Value::Text(text)) => (1..=MAX_TEXT).contains(&text.len()),
            (Kind::Choice { words, .. }, Value::Text(text)) => words.contains(&text.as_str()),
            _ => false,
        };
        good.then(|| given.clone())
    }

    fn check(&self, of: &'static str, given: Option<&Value>) -> Result<Value, ParamError> {
        let Some(given) = given else {
            let (name, help, allowed) = (self.name, self.help, self.allowed());
            return self.fallback().ok_or(ParamError::Missing { of, name, help, allowed });
        };
        self.accept(given).ok_or_else(|| ParamError::Value {
            of,
            name: self.name,
            given: given.to_string(),
            allowed: self.allowed(),
        })
    }
}

/// Why a source's parameters were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Not a parameter of this source.
    #[error("{of} has no parameter `{}`; it has: {all}", name.escape_debug())]
    Unknown {
        /// The source.
        of: &'static str,
        /// The name given, cut to a bounded length.
        name: String,
        /// Those there are, with what each takes.
        all: String,
    },
    /// Required and not given.
    #[error("{of} needs the parameter `{name}`, {allowed}: {help}")]
    Missing {
        /// The source.
        of: &'static str,
        /// The parameter.
        name: &'static str,
        /// What it is for.
        help: &'static str,
        /// What it takes.
        allowed: String,
    },
    /// Of another type, out of range, or none of the choices.
    #[error("{of}: parameter `{name}` is {given}, it must be {allowed}")]
    Value {
        /// The source.
        of: &'static str,
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
            Self::Missing { name, .. } | Self::Value { name, .. } => name,
        }
    }
}

/// All parameters of a source, each of its type and in its range, defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Checked(BTreeMap<&'static str, Value>);

impl Checked {
    /// Checks what was given against what the source takes.
    pub(crate) fn new(
        of: &'static str,
        takes: &'static [Param],
        given: &Params,
    ) -> Result<Self, ParamError> {
        if let Some(name) = given.keys().find(|name| !takes.iter().any(|p| p.name == *name)) {
            return Err(unknown(of, takes, name));
        }
        let checked = takes.iter().map(|p| Ok((p.name, p.check(of, given.get(p.name))?)));
        checked.collect::<Result<_, _>>().map(Self)
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

fn unknown(of: &'static str, takes: &[Param], name: &str) -> ParamError {
    let all: Vec<_> = takes.iter().map(|p| format!("{} ({})", p.name, p.allowed())).collect();
    ParamError::Unknown { of, name: cut(name), all: all.join(", ") }
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
        let checked = Checked::new("v4l", TAKES, &given(&[("path", text("a"))])).unwrap();
        assert_eq!((checked.text("path"), checked.int("width")), ("a", 640));
        assert_eq!((checked.float("rate"), checked.text("end")), (0.0, "stop"));
    }

    #[test]
    fn a_whole_number_serves_as_a_number() {
        let params = given(&[("path", text("a")), ("rate", Value::Int(30))]);
        assert_eq!(Checked::new("v4l", TAKES, &params).unwrap().float("rate"), 30.0);
    }

    #[test]
    fn each_fault_has_its_message() {
        let cases = [
            (
                "unknown",
                given(&[("path", text("a")), ("widht", Value::Int(3))]),
                "v4l has no parameter `widht`; it has: path (a string of 1 to 4096 bytes), width (a whole number from 2 \
                 to 8192 px), rate (a number from 0 to 1000 Hz), end (one of \"stop\", \"loop\")",
            ),
            (
                "missing",
                given(&[]),
                "v4l needs the parameter `path`, a string of 1 to 4096 bytes: Where.",
            ),
            (
                "type",
                given(&[("path", Value::Bool(true))]),
                "v4l: parameter `path` is true, it must be a string of 1 to 4096 bytes",
            ),
            (
                "fraction for a whole number",
                given(&[("path", text("a")), ("width", Value::Float(2.5))]),
                "v4l: parameter `width` is 2.5, it must be a whole number from 2 to 8192 px",
            ),
            (
                "range",
                given(&[("path", text("a")), ("width", Value::Int(1))]),
                "v4l: parameter `width` is 1, it must be a whole number from 2 to 8192 px",
            ),
            (
                "not a number",
                given(&[("path", text("a")), ("rate", Value::Float(f64::NAN))]),
                "v4l: parameter `rate` is NaN, it must be a number from 0 to 1000 Hz",
            ),
            (
                "choice, with a control character",
                given(&[("path", text("a")), ("end", text("st\x1bop"))]),
                "v4l: parameter `end` is \"st\\u{1b}op\", it must be one of \"stop\", \"loop\"",
            ),
        ];
        for (fault, params, message) in cases {
            let error = Checked::new("v4l", TAKES, &params).expect_err(fault);
            assert_eq!(error.to_string(), message, "{fault}");
        }
    }

    #[test]
    fn a_message_repeats_only_a_part_of_what_is_long() {
        let long = Checked::new("v4l", TAKES, &given(&[("path", text(&"x".repeat(5000)))]));
        let long = long.expect_err("longer than a path").to_string();
        assert!(long.contains("`path` is \"xxx") && long.len() < 400, "{long}");
        let error = Checked::new("v4l", TAKES, &given(&[(&"n".repeat(10_000), Value::Int(0))]));
        let error = error.expect_err("unknown");
        assert!(error.to_string().len() < 600 && matches!(error, ParamError::Unknown { .. }));
    }
}
