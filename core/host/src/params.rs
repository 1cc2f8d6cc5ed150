//! A plugin's parameters: what the pipeline's file gives, checked against what the plugin declares.
use std::ffi::CString;
use std::fmt;

use edgemill_abi::{ParamKind, raw};
use serde::{Deserialize, Serialize};

use crate::descriptor::{Descriptor, Param};
use crate::text::{nearest, printable};

/// A value, as a file gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamInput {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    String(String),
}

/// Every parameter that was given or has a default, checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Values(Vec<(String, ParamInput)>);

/// What a file gives that the plugin does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// No such parameter.
    #[error("{plugin} has no parameter `{name}`{suggestion}; it has: {all}", suggestion = suggest(.nearest), all = list(.all))]
    Unknown {
        /// Id of the plugin.
        plugin: String,
        /// As given.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// Every parameter there is, with what it takes.
        all: Vec<String>,
    },
    /// Given more than once.
    #[error("{plugin}: parameter `{name}` is given twice")]
    Twice {
        /// Id of the plugin.
        plugin: String,
        /// Its name.
        name: String,
    },
    /// Required, not given.
    #[error("{plugin} needs the parameter `{name}`: {allowed}")]
    Missing {
        /// Id of the plugin.
        plugin: String,
        /// Its name.
        name: String,
        /// What it takes.
        allowed: String,
    },
    /// Wrong type, out of range, or not among the choices.
    #[error("{plugin}: parameter `{name}` is {given}, it must be {allowed}{suggestion}", suggestion = suggest(.nearest))]
    Value {
        /// Id of the plugin.
        plugin: String,
        /// Its name.
        name: String,
        /// As given.
        given: String,
        /// What it takes.
        allowed: String,
        /// The choice that may have been meant.
        nearest: Option<String>,
    },
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default()
}

/// Bounded: 64 parameters with 64 choices each would be longer than a message may be.
fn list(all: &[String]) -> String {
    if all.is_empty() { "none".to_owned() } else { printable(&all.join(", "), 2000) }
}

/// Checks what was given, and adds the defaults of what was not; the order is the plugin's.
///
/// # Errors
/// The first thing that does not fit: an unknown name before a bad value before a missing one.
pub fn check(
    descriptor: &Descriptor,
    given: &[(String, ParamInput)],
) -> Result<Values, ParamError> {
    let plugin = || descriptor.id.clone();
    for (i, (name, _)) in given.iter().enumerate() {
        if descriptor.param(name).is_none() {
            return Err(unknown(descriptor, name));
        }
        if given[..i].iter().any(|(n, _)| n == name) {
            return Err(ParamError::Twice { plugin: plugin(), name: name.clone() });
        }
    }
    let mut values = Vec::with_capacity(descriptor.params.len());
    for param in &descriptor.params {
        let value = match given.iter().find(|(n, _)| *n == param.name) {
            Some((_, value)) => Some(param.accept(value).map_err(|nearest| ParamError::Value {
                plugin: plugin(),
                name: param.name.clone(),
                given: printable(&value.to_string(), 200),
                allowed: param.allowed(),
                nearest,
            })?),
            None if param.required => {
                return Err(ParamError::Missing {
                    plugin: plugin(),
                    name: param.name.clone(),
                    allowed: param.allowed(),
                });
            }
            None => param.default.clone(),
        };
        values.extend(value.map(|v| (param.name.clone(), v)));
    }
    Ok(Values(values))
}

fn unknown(descriptor: &Descriptor, name: &str) -> ParamError {
    let names = descriptor.params.iter().map(|p| p.name.as_str());
    ParamError::Unknown {
        plugin: descriptor.id.clone(),
        name: printable(name, 100),
        nearest: nearest(name, names).map(str::to_owned),
        all: descriptor.params.iter().map(|p| format!("{} ({})", p.name, p.allowed())).collect(),
    }
}

impl Param {
    /// The value in the parameter's own type, or the choice that may have been meant.
    pub(crate) fn accept(&self, value: &ParamInput) -> Result<ParamInput, Option<String>> {
        let in_range = |x: f64| self.range.is_none_or(|(least, most)| least <= x && x <= most);
        match (self.kind, value) {
            (ParamKind::Bool, ParamInput::Bool(_)) => Ok(value.clone()),
            (ParamKind::Int, ParamInput::Int(i)) if in_range(approximate(*i)) => Ok(value.clone()),
            (ParamKind::Float, ParamInput::Int(i)) if in_range(approximate(*i)) => {
                Ok(ParamInput::Float(approximate(*i)))
            }
            (ParamKind::Float, ParamInput::Float(x)) if x.is_finite() && in_range(*x) => {
                Ok(value.clone())
            }
            (ParamKind::String, ParamInput::String(s)) if s.contains('\0') => Err(None),
            (ParamKind::String, ParamInput::String(s)) => {
                if self.choices.is_empty() || self.choices.contains(s) {
                    return Ok(value.clone());
                }
                Err(nearest(s, self.choices.iter().map(String::as_str)).map(str::to_owned))
            }
            _ => Err(None),
        }
    }

    /// What it takes, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        match (self.kind, self.range) {
            (ParamKind::Bool, _) => "true or false".to_owned(),
            (ParamKind::Int, None) => format!("a whole number{unit}"),
            (ParamKind::Int, Some((least, most))) => {
                format!("a whole number from {least} to {most}{unit}")
            }
            (ParamKind::Float, None) => format!("a number{unit}"),
            (ParamKind::Float, Some((least, most))) => {
                format!("a number from {least} to {most}{unit}")
            }
            (ParamKind::String, _) if self.choices.is_empty() => "a string".to_owned(),
            (ParamKind::String, _) => {
                let quoted: Vec<String> = self.choices.iter().map(|c| format!("\"{c}\"")).collect();
                format!("one of {}", printable(&quoted.join(", "), 500))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranges are doubles at the boundary")]
fn approximate(i: i64) -> f64 {
    i as f64
}

/// A default, from the text in the descriptor.
pub(crate) fn parse(kind: ParamKind, text: &str) -> Option<ParamInput> {
    match kind {
        ParamKind::Bool => text.parse().ok().map(ParamInput::Bool),
        ParamKind::Int => text.parse().ok().map(ParamInput::Int),
        ParamKind::Float => text.parse().ok().map(ParamInput::Float),
        ParamKind::String => Some(ParamInput::String(text.to_owned())),
    }
}

impl fmt::Display for ParamInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::String(s) => write!(f, "\"{s}\""),
        }
    }
}

impl Values {
    /// Name and value, in the plugin's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParamInput)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Values in the boundary's form, with the strings they point to.
pub(crate) struct RawValues {
    values: Vec<raw::ParamValue>,
    _strings: Vec<CString>,
}

impl RawValues {
    /// Also takes what was not checked: the conformance suite gives bad values on purpose.
    pub(crate) fn new<'a>(values: impl Iterator<Item = (&'a str, &'a ParamInput)>) -> Self {
        let mut strings = Vec::new();
        let mut keep = |text: &str| {
            let text = CString::new(text.replace('\0', "")).unwrap_or_default();
            let at = text.as_ptr();
            strings.push(text);
            at
        };
        let values = values.map(|(name, value)| raw_value(keep(name), value, &mut keep)).collect();
        Self { values, _strings: strings }
    }

    pub(crate) fn as_slice(&self) -> &[raw::ParamValue] {
        &self.values
    }
}

fn raw_value(
    name: *const std::ffi::c_char,
    value: &ParamInput,
    keep: &mut impl FnMut(&str) -> *const std::ffi::c_char,
) -> raw::ParamValue {
    let mut raw = raw::ParamValue {
        name,
        kind: 0,
        boolean: 0,
        integer: 0,
        number: 0.0,
        text: std::ptr::null(),
    };
    match value {
        ParamInput::Bool(b) => (raw.kind, raw.boolean) = (raw::PARAM_BOOL, u32::from(*b)),
        ParamInput::Int(i) => (raw.kind, raw.integer) = (raw::PARAM_INT, *i),
        ParamInput::Float(x) => (raw.kind, raw.number) = (raw::PARAM_FLOAT, *x),
        ParamInput::String(s) => (raw.kind, raw.text) = (raw::PARAM_STRING, keep(s)),
    }
    raw
}

#[cfg(test)]
mod tests {
    use edgemill_abi::ParamKind;

    use super::{ParamInput, RawValues, check};
    use crate::descriptor::{Descriptor, Param};

    fn param(name: &str, kind: ParamKind) -> Param {
        Param {
            name: name.to_owned(),
            unit: String::new(),
            help: String::new(),
            kind,
            required: false,
            range: None,
            default: None,
            choices: vec![],
        }
    }

    fn rule() -> Descriptor {
        let words = ["red", "yellow", "green"].map(str::to_owned).to_vec();
        Descriptor {
            id: "decide-rule".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Decides.".to_owned(),
            realtime: true,
            actuator: false,
            params: vec![
                Param { required: true, ..param("path", ParamKind::String) },
                Param { choices: words, ..param("class", ParamKind::String) },
                Param {
                    range: Some((0.0, 1.0)),
                    default: Some(ParamInput::Float(0.5)),
                    ..param("threshold", ParamKind::Float)
                },
                Param {
                    range: Some((1.0, 9.0)),
                    unit: "frames".to_owned(),
                    ..param("hold", ParamKind::Int)
                },
                param("loud", ParamKind::Bool),
            ],
            required_extensions: vec![],
        }
    }

    fn given(pairs: &[(&str, ParamInput)]) -> Vec<(String, ParamInput)> {
        let path = ("path".to_owned(), ParamInput::String("x".to_owned()));
        let rest = pairs.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
        std::iter::once(path).chain(rest).collect()
    }

    #[test]
    fn defaults_are_added_and_integers_serve_as_numbers() {
        let values = check(&rule(), &given(&[])).expect("path alone is enough");
        let all: Vec<_> = values.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(all, ["path=\"x\"", "threshold=0.5"]);
        let values = check(&rule(), &given(&[("threshold", ParamInput::Int(1))])).expect("1 fits");
        assert!(values.iter().any(|(n, v)| n == "threshold" && *v == ParamInput::Float(1.0)));
    }

    #[test]
    fn each_misfit_is_named_with_what_would_fit() {
        let word = |s: &str| ParamInput::String(s.to_owned());
        let cases = [
            ("unknown", given(&[("treshold", ParamInput::Int(1))]), "did you mean `threshold`?"),
            (
                "unknown_lists_all",
                given(&[("zzz", ParamInput::Int(1))]),
                "hold (a whole number from 1 to 9 frames)",
            ),
            ("twice", given(&[("path", word("y"))]), "`path` is given twice"),
            ("missing", vec![], "needs the parameter `path`: a string"),
            (
                "wrong_type",
                given(&[("loud", ParamInput::Int(1))]),
                "`loud` is 1, it must be true or false",
            ),
            (
                "fraction_for_int",
                given(&[("hold", ParamInput::Float(2.0))]),
                "`hold` is 2.0, it must be a whole number",
            ),
            ("too_small", given(&[("hold", ParamInput::Int(0))]), "from 1 to 9 frames"),
            ("too_large", given(&[("threshold", ParamInput::Float(1.01))]), "from 0 to 1"),
            ("not_a_number", given(&[("threshold", ParamInput::Float(f64::NAN))]), "is NaN"),
            ("no_choice", given(&[("class", word("gren"))]), "\"green\" (did you mean `green`?)"),
            ("nul", vec![("path".to_owned(), word("a\0b"))], "\"a\\u{0}b\""),
            (
                "control_character_in_name",
                given(&[("\x1b[2J", ParamInput::Int(1))]),
                "`\\u{1b}[2J`",
            ),
        ];
        for (name, given, expected) in cases {
            let error = check(&rule(), &given).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}: {error}");
            assert!(error.len() < 4096, "{name}");
        }
    }

    #[test]
    fn raw_values_hold_each_type_in_its_own_field() {
        let given = [
            ("b", ParamInput::Bool(true)),
            ("i", ParamInput::Int(-3)),
            ("f", ParamInput::Float(2.5)),
            ("s", ParamInput::String("word".to_owned())),
        ];
        let raw = RawValues::new(given.iter().map(|(n, v)| (*n, v)));
        let [b, i, f, s] = raw.as_slice() else { panic!("four values") };
        assert_eq!((b.boolean, i.integer, f.number), (1, -3, 2.5));
        // SAFETY: `raw` owns the strings and is still alive.
        let word = unsafe { std::ffi::CStr::from_ptr(s.text) };
        assert_eq!(word, c"word");
    }
}
