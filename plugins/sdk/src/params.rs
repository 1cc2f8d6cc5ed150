//! Parameters: declared once, as a struct, and read from what the pipeline's file sets.
use std::ffi::{CStr, c_char};
use std::ptr;

use edgemill_abi::{ParamKind, raw};

use crate::{Error, Result};

/// All parameters of a plugin; made by [`params!`](crate::params!). `()` for a plugin that has none.
pub trait ParamSet: Sized {
    /// As the descriptor shows them.
    const TABLE: &'static [raw::Param];

    /// Reads them from what the host gives to create.
    ///
    /// # Errors
    /// A parameter that is missing, unknown, of the wrong type or out of its range.
    fn read(values: &Values<'_>) -> Result<Self>;
}

impl ParamSet for () {
    const TABLE: &'static [raw::Param] = &[];

    fn read(_: &Values<'_>) -> Result<Self> {
        Ok(())
    }
}

/// A type that a parameter may have: `bool`, `i64`, `u32`, `u64`, `f64`, `String`, an `Option` of these for one
/// that may be left out, and enums made by [`choices!`](crate::choices!).
pub trait ParamType: Sized {
    /// Type of the literal that is its default.
    type Literal;
    /// Type at the boundary.
    const KIND: ParamKind;
    /// The least and the most it may be, unless `#[range]` says otherwise; equal for no range.
    const RANGE: (f64, f64) = (0.0, 0.0);
    /// Whether it must be given where it has no default.
    const REQUIRED: bool = true;
    /// The words it may be.
    const CHOICES: Choices = Choices(&[]);

    /// `None` where the value does not fit the type.
    fn read(value: &Value<'_>) -> Option<Self>;

    /// What a parameter is that was left out; `None` where it must not be.
    fn absent() -> Option<Self> {
        None
    }
}

/// The words of a choice, as the descriptor shows them.
#[derive(Clone, Copy)]
pub struct Choices(pub &'static [*const c_char]);

/// One value that the host gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Of type bool.
    Bool(bool),
    /// Of type int.
    Int(i64),
    /// Of type float.
    Float(f64),
    /// Of type string.
    Text(&'a str),
}

macro_rules! param_type {
    ($type:ty, $literal:ty, $kind:ident, $range:expr, $pattern:pat => $read:expr) => {
        impl ParamType for $type {
            type Literal = $literal;
            const KIND: ParamKind = ParamKind::$kind;
            const RANGE: (f64, f64) = $range;

            fn read(value: &Value<'_>) -> Option<Self> {
                match *value {
                    $pattern => $read,
                    _ => None,
                }
            }
        }
    };
}

const U32_RANGE: (f64, f64) = (0.0, u32::MAX as f64);
/// 2^53 - 1: the largest integer up to which `least` and `most`, doubles, are exact.
const U64_RANGE: (f64, f64) = (0.0, 9_007_199_254_740_991.0);

param_type!(bool, bool, Bool, (0.0, 0.0), Value::Bool(b) => Some(b));
param_type!(i64, i64, Int, (0.0, 0.0), Value::Int(i) => Some(i));
param_type!(u32, u32, Int, U32_RANGE, Value::Int(i) => u32::try_from(i).ok());
param_type!(u64, u64, Int, U64_RANGE, Value::Int(i) => u64::try_from(i).ok());
param_type!(f64, f64, Float, (0.0, 0.0), Value::Float(f) => Some(f));
param_type!(String, &'static str, String, (0.0, 0.0), Value::Text(t) => Some(t.to_owned()));

impl<T: ParamType> ParamType for Option<T> {
    type Literal = T::Literal;
    const KIND: ParamKind = T::KIND;
    const RANGE: (f64, f64) = T::RANGE;
    const REQUIRED: bool = false;
    const CHOICES: Choices = T::CHOICES;

    fn read(value: &Value<'_>) -> Option<Self> {
        T::read(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// What the host gives to create, with every name known and every pointer followed.
pub struct Values<'a> {
    given: Vec<(&'a str, Value<'a>)>,
    declared: &'static [raw::Param],
}

impl<'a> Values<'a> {
    /// # Safety
    /// `values` leads to `count` values as `plugin.h` describes them, which stay for all of `'a`.
    pub(crate) unsafe fn new(
        values: *const raw::ParamValue,
        count: u32,
        declared: &'static [raw::Param],
    ) -> Result<Self> {
        if values.is_null() && count > 0 {
            return Err(Error::unfit("create: `values` is NULL"));
        }
        let mut given = Vec::with_capacity(declared.len());
        for index in 0..count as usize {
            // SAFETY: `values` is not NULL and has `count` members, the caller's promise.
            given.push(unsafe { read_value(&*values.add(index), declared)? });
        }
        Ok(Self { given, declared })
    }

    /// The parameter of this name, which may be spelt with `_` or `-`.
    ///
    /// # Errors
    /// It is missing, of the wrong type or out of its range.
    pub fn get<T: ParamType>(&self, name: &str) -> Result<T> {
        let same = |other: &str| {
            let spelt = other.bytes().map(|b| if b == b'-' { b'_' } else { b });
            spelt.eq(name.bytes())
        };
        let Some((name, value)) = self.given.iter().find(|(n, _)| same(n)) else {
            let missing = || Error::unfit(format!("parameter `{name}` is missing"));
            return T::absent().ok_or_else(missing);
        };
        self.check_range(name, value)?;
        T::read(value)
            .ok_or_else(|| Error::unfit(format!("parameter `{name}` cannot be {value:?}")))
    }

    fn check_range(&self, name: &str, value: &Value<'_>) -> Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "the range is given in doubles")]
        let number = match *value {
            Value::Int(int) => int as f64,
            Value::Float(float) => float,
            Value::Bool(_) | Value::Text(_) => return Ok(()),
        };
        let range = self.declared.iter().find(|p| declared_name(p) == name.as_bytes());
        let (least, most) = range.map_or((0.0, 0.0), |p| (p.least, p.most));
        if least < most && !(least..=most).contains(&number) {
            let text = format!("parameter `{name}` is {number}, not within {least}..={most}");
            return Err(Error::unfit(text));
        }
        Ok(())
    }
}

fn declared_name(param: &raw::Param) -> &[u8] {
    // SAFETY: a declared parameter's name is a literal made by `params!`.
    unsafe { CStr::from_ptr(param.name).to_bytes() }
}

/// # Safety
/// `value` is as `plugin.h` describes it and stays for all of `'a`.
unsafe fn read_value<'a>(
    value: &'a raw::ParamValue,
    declared: &[raw::Param],
) -> Result<(&'a str, Value<'a>)> {
    // SAFETY: the caller's promise.
    let name = unsafe { text_of(value.name) }?;
    let param = declared.iter().find(|p| declared_name(p) == name.as_bytes());
    let param = param.ok_or_else(|| Error::unfit(format!("there is no parameter `{name}`")))?;
    if param.kind != value.kind {
        return Err(Error::unfit(format!("parameter `{name}` is of another type")));
    }
    let value = match ParamKind::from_raw(value.kind) {
        Some(ParamKind::Bool) => Value::Bool(value.boolean != 0),
        Some(ParamKind::Int) => Value::Int(value.integer),
        Some(ParamKind::Float) => Value::Float(value.number),
        // SAFETY: the caller's promise.
        Some(ParamKind::String) => Value::Text(unsafe { text_of(value.text) }?),
        None => return Err(Error::unfit(format!("parameter `{name}` is of no known type"))),
    };
    Ok((name, value))
}

/// # Safety
/// `text`, unless NULL, leads to bytes ended by NUL that stay for all of `'a`.
unsafe fn text_of<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::unfit("a parameter's name or text is NULL"));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::unfit("a parameter's name or text is not UTF-8"))
}

/// One row of the descriptor's table. Called by [`params!`](crate::params!).
#[doc(hidden)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a choice has a handful of words")]
pub const fn declare<T: ParamType>(
    name: &'static CStr,
    help: &'static CStr,
    unit: &'static CStr,
    range: Option<(f64, f64)>,
    fallback: Option<&'static CStr>,
) -> raw::Param {
    let (least, most) = match range {
        Some(range) => range,
        None => T::RANGE,
    };
    let choices = T::CHOICES.0;
    raw::Param {
        name: name.as_ptr(),
        unit: unit.as_ptr(),
        help: help.as_ptr(),
        kind: T::KIND.raw(),
        required: (T::REQUIRED && fallback.is_none()) as u32,
        least,
        most,
        fallback: match fallback {
            Some(text) => text.as_ptr(),
            None => c"".as_ptr(),
        },
        choices: if choices.is_empty() { ptr::null() } else { choices.as_ptr() },
        choice_count: choices.len() as u32,
        reserved: 0,
    }
}

/// `text` with `-` for `_`. `text` ends with the NUL byte. Called by [`params!`](crate::params!).
#[doc(hidden)]
#[must_use]
pub const fn kebab<const N: usize>(text: &str) -> [u8; N] {
    let mut name = [0; N];
    let mut i = 0;
    while i < N {
        let byte = text.as_bytes()[i];
        name[i] = if byte == b'_' { b'-' } else { byte };
        i += 1;
    }
    name
}

/// `text`, which ends with the NUL byte. Called by [`params!`](crate::params!) and [`export!`](crate::export!).
#[doc(hidden)]
#[must_use]
pub const fn literal(text: &'static str) -> &'static CStr {
    c_string(text.as_bytes())
}

/// A doc comment, ended by the NUL byte, without the blank it begins with. Called by [`params!`](crate::params!).
#[doc(hidden)]
#[must_use]
pub const fn comment(text: &'static str) -> &'static CStr {
    match text.as_bytes() {
        [b' ', rest @ ..] => c_string(rest),
        bytes => c_string(bytes),
    }
}

/// `bytes`, which end with the NUL byte and hold no other.
#[doc(hidden)]
#[must_use]
pub const fn c_string(bytes: &'static [u8]) -> &'static CStr {
    match CStr::from_bytes_with_nul(bytes) {
        Ok(text) => text,
        Err(_) => panic!("the text holds a NUL byte"),
    }
}

/// Declares a plugin's parameters as a struct.
///
/// The first comment of a field is its help, its name with `-` for `_` the key in the pipeline's file, and a
/// literal after `=` its default. A field without a default must be given, unless it is an `Option`. After the
/// comment may follow `#[range(LEAST, MOST)]` and `#[unit("…")]`, in this order.
///
/// ```
/// use edgemill_sdk::{choices, params};
///
/// choices! {
///     /// What to do with the line at the start.
///     pub enum Safe { Low = "low", High = "high" }
/// }
///
/// params! {
///     /// What the pipeline's file may set.
///     pub struct Params {
///         /// How long the line stays on after the last event.
///         #[range(0.0, 3600.0)]
///         #[unit("s")]
///         hold_time: f64 = 0.5,
///         /// The state that is safe.
///         safe: Safe = "low",
///         /// The line's name.
///         line: String,
///         /// Chip to look for it on; all chips where it is left out.
///         chip: Option<String>,
///     }
/// }
/// # use edgemill_sdk::ParamSet;
/// assert_eq!(Params::TABLE.len(), 4);
/// ```
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* $vis:vis struct $set:ident {
        $($(#[doc = $help:literal])+
          $(#[range($least:expr, $most:expr)])?
          $(#[unit($unit:literal)])?
          $field:ident: $type:ty $(= $default:literal)?),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $set {
            $($(#[doc = $help])+ pub $field: $type,)*
        }

        impl $crate::ParamSet for $set {
            const TABLE: &'static [$crate::raw::Param] = &[$({
                $(const _: <$type as $crate::ParamType>::Literal = $default;)?
                const NAME: [u8; concat!(stringify!($field), "\0").len()] =
                    $crate::params::kebab(concat!(stringify!($field), "\0"));
                #[allow(unused_mut, unused_assignments)]
                const RANGE: Option<(f64, f64)> = {
                    let mut range = None;
                    $(range = Some(($least as f64, $most as f64));)?
                    range
                };
                #[allow(unused_mut, unused_assignments)]
                const FALLBACK: Option<&::core::ffi::CStr> = {
                    let mut fallback = None;
                    $(fallback = Some($crate::params::literal(concat!($default, "\0")));)?
                    fallback
                };
                $crate::params::declare::<$type>(
                    $crate::params::c_string(&NAME),
                    $crate::params::comment(concat!($($help,)+ "\0")),
                    $crate::params::literal(concat!($($unit,)? "\0")),
                    RANGE,
                    FALLBACK,
                )
            }),*];

            fn read(values: &$crate::Values<'_>) -> $crate::Result<Self> {
                Ok(Self { $($field: values.get::<$type>(stringify!($field))?,)* })
            }
        }
    };
}

/// Declares an enum that a parameter may be, with the word for each. See [`params!`](crate::params!).
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$doc])* #[doc = concat!("`", $word, "`")] $variant,)+ }

        impl $crate::ParamType for $name {
            type Literal = &'static str;
            const KIND: $crate::ParamKind = $crate::ParamKind::String;
            const CHOICES: $crate::params::Choices = $crate::params::Choices(&[
                $($crate::params::literal(concat!($word, "\0")).as_ptr(),)+
            ]);

            fn read(value: &$crate::Value<'_>) -> Option<Self> {
                match value {
                    $($crate::Value::Text($word) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
