//! The safe view of a plugin's descriptor: read once from the library's memory, checked, and owned.
use std::ffi::{CStr, c_char};

use edgemill_abi::{ParamKind, raw};
use serde::{Deserialize, Serialize};

use crate::params::{self, ParamInput};

/// The most parameters, choices of one parameter, or required extensions.
pub const MAX_COUNT: usize = 64;
/// The most bytes of an id, a version, or a name.
pub const MAX_NAME_BYTES: usize = 64;
/// The most bytes of a sentence, a default, or a choice.
pub const MAX_TEXT_BYTES: usize = 512;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// As in the pipeline's `plugin = "…"`.
    pub id: String,
    /// Semantic version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// `process` neither allocates nor blocks.
    pub realtime: bool,
    /// It drives the world: at most one instance is active, and it offers a fail-safe.
    pub actuator: bool,
    /// What the pipeline's file may set.
    pub params: Vec<Param>,
    /// Extensions of the host it cannot do without.
    pub required_extensions: Vec<String>,
}

/// One parameter as the plugin declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// As in the pipeline's `params = { … }`.
    pub name: String,
    /// Empty where it has none.
    pub unit: String,
    /// One sentence.
    pub help: String,
    /// Type of its value.
    #[serde(with = "kind_word")]
    pub kind: ParamKind,
    /// It has no default and must be given.
    pub required: bool,
    /// Least and most, both allowed; `None` where any number will do.
    pub range: Option<(f64, f64)>,
    /// What it is when it is not given.
    pub default: Option<ParamInput>,
    /// The words allowed; empty where any will do.
    pub choices: Vec<String>,
}

/// A type of parameter as its word.
mod kind_word {
    use edgemill_abi::ParamKind;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(kind: &ParamKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ParamKind, D::Error> {
        let word = String::deserialize(from)?;
        let kind = ParamKind::ALL.iter().find(|k| k.word() == word);
        kind.copied().ok_or_else(|| de::Error::custom(format!("`{word}` is no type of parameter")))
    }
}

/// What is wrong with a descriptor; the path of the field comes first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct DescriptorFault {
    /// Such as `params[2].name`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub fault: String,
}

pub(crate) fn fault<T>(
    field: impl Into<String>,
    fault: impl Into<String>,
) -> Result<T, DescriptorFault> {
    Err(DescriptorFault { field: field.into(), fault: fault.into() })
}

impl Descriptor {
    /// Reads and checks every field.
    ///
    /// # Safety
    /// `raw` is a descriptor of this version of the boundary (its version and size have been compared) whose
    /// pointers and counts are as `plugin.h` says: they lead to constants that are never unloaded.
    pub(crate) unsafe fn read(raw: &raw::Descriptor) -> Result<Self, DescriptorFault> {
        // SAFETY: the caller vouches for every pointer of the descriptor.
        let text = |field, at, limit| unsafe { text(field, at, limit) };
        let known = raw::FLAG_REALTIME | raw::FLAG_ACTUATOR;
        if raw.flags & !known != 0 {
            return fault("flags", format!("{:#x} has bits that mean nothing", raw.flags));
        }
        let id = text("id", raw.id, MAX_NAME_BYTES)?;
        if !is_id(&id) {
            return fault("id", "must be lower-case letters, digits and `-`, a letter first");
        }
        let version = text("version", raw.version, MAX_NAME_BYTES)?;
        if !is_version(&version) {
            return fault("version", "must be a semantic version such as 1.0.2");
        }
        let summary = text("summary", raw.summary, MAX_TEXT_BYTES)?;
        if summary.is_empty() {
            return fault("summary", "must be one sentence, it is empty");
        }
        // SAFETY: as above.
        let (params, required_extensions) = unsafe {
            let params = array("params", raw.params, raw.param_count, MAX_COUNT)?;
            let extensions = array(
                "required_extensions",
                raw.required_extensions,
                raw.required_extension_count,
                MAX_COUNT,
            )?;
            (read_params(params)?, words("required_extensions", extensions)?)
        };
        let realtime = raw.flags & raw::FLAG_REALTIME != 0;
        let actuator = raw.flags & raw::FLAG_ACTUATOR != 0;
        Ok(Self { id, version, summary, realtime, actuator, params, required_extensions })
    }

    /// The parameter of this name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }
}

/// # Safety
/// The pointers of every element are as `plugin.h` says.
unsafe fn read_params(params: &[raw::Param]) -> Result<Vec<Param>, DescriptorFault> {
    let mut read: Vec<Param> = Vec::with_capacity(params.len());
    for (i, raw) in params.iter().enumerate() {
        // SAFETY: the caller vouches for the pointers of each element.
        let param = unsafe { read_param(&format!("params[{i}]"), raw)? };
        if read.iter().any(|p| p.name == param.name) {
            return fault(format!("params[{i}].name"), format!("`{}` is there twice", param.name));
        }
        read.push(param);
    }
    Ok(read)
}

/// # Safety
/// The pointers of `raw` are as `plugin.h` says.
unsafe fn read_param(at: &str, raw: &raw::Param) -> Result<Param, DescriptorFault> {
    // SAFETY: the caller vouches for the pointers.
    let text = |field: &str, from, limit| unsafe { text(&format!("{at}.{field}"), from, limit) };
    let name = text("name", raw.name, MAX_NAME_BYTES)?;
    if !is_param_name(&name) {
        return fault(
            format!("{at}.name"),
            "must be lower-case letters, digits, `_` and `-`, a letter first",
        );
    }
    let Some(kind) = ParamKind::from_raw(raw.kind) else {
        return fault(format!("{at}.type"), format!("{} is no type of parameter", raw.kind));
    };
    if raw.required > 1 {
        return fault(format!("{at}.required"), format!("must be 0 or 1, it is {}", raw.required));
    }
    // SAFETY: as above.
    let choices = unsafe {
        words(
            &format!("{at}.choices"),
            array(&format!("{at}.choices"), raw.choices, raw.choice_count, MAX_COUNT)?,
        )?
    };
    if !choices.is_empty() && kind != ParamKind::String {
        return fault(format!("{at}.choices"), "only a string has choices");
    }
    let mut param = Param {
        name,
        unit: text("unit", raw.unit, MAX_NAME_BYTES)?,
        help: text("help", raw.help, MAX_TEXT_BYTES)?,
        kind,
        required: raw.required == 1,
        range: range(at, kind, raw.least, raw.most)?,
        default: None,
        choices,
    };
    param.default = default(at, &param, &text("fallback", raw.fallback, MAX_TEXT_BYTES)?)?;
    Ok(param)
}

fn range(
    at: &str,
    kind: ParamKind,
    least: f64,
    most: f64,
) -> Result<Option<(f64, f64)>, DescriptorFault> {
    if !matches!(kind, ParamKind::Int | ParamKind::Float) {
        return Ok(None);
    }
    if least.is_nan() || most.is_nan() || least > most {
        return fault(format!("{at}.least"), format!("{least} to {most} is no range"));
    }
    Ok((least < most).then_some((least, most)))
}

fn default(at: &str, param: &Param, text: &str) -> Result<Option<ParamInput>, DescriptorFault> {
    if text.is_empty() {
        return Ok(None);
    }
    if param.required {
        return fault(format!("{at}.fallback"), "a required parameter has no default");
    }
    let value = params::parse(param.kind, text);
    match value.ok_or(()).and_then(|v| param.accept(&v).map_err(|_| ())) {
        Ok(value) => Ok(Some(value)),
        Err(()) => fault(format!("{at}.fallback"), format!("`{text}` is not {}", param.allowed())),
    }
}

/// # Safety
/// `at` is null or leads to `count` elements that stay as they are for all of `'a`.
pub(crate) unsafe fn array<'a, T>(
    field: &str,
    at: *const T,
    count: u32,
    limit: usize,
) -> Result<&'a [T], DescriptorFault> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > limit {
        return fault(field, format!("{count} elements, at most {limit} are allowed"));
    }
    match (count, at.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => fault(field, format!("NULL, with a count of {count}")),
        // SAFETY: not null (checked here); the caller vouches for `count` elements.
        _ => Ok(unsafe { std::slice::from_raw_parts(at, count) }),
    }
}

/// # Safety
/// Each pointer is null or leads to a string ended by NUL.
unsafe fn words(field: &str, words: &[*const c_char]) -> Result<Vec<String>, DescriptorFault> {
    let mut read: Vec<String> = Vec::with_capacity(words.len());
    for (i, &word) in words.iter().enumerate() {
        // SAFETY: the caller vouches for the pointer.
        let word = unsafe { text(&format!("{field}[{i}]"), word, MAX_TEXT_BYTES)? };
        if read.contains(&word) {
            return fault(format!("{field}[{i}]"), format!("`{word}` is there twice"));
        }
        read.push(word);
    }
    Ok(read)
}

/// # Safety
/// `at` is null or leads to a string ended by NUL.
pub(crate) unsafe fn text(
    field: &str,
    at: *const c_char,
    limit: usize,
) -> Result<String, DescriptorFault> {
    if at.is_null() {
        return fault(field, "NULL, where a string must be");
    }
    // SAFETY: not null (checked here); the caller vouches for the NUL that ends it.
    let bytes = unsafe { CStr::from_ptr(at) }.to_bytes();
    if bytes.len() > limit {
        return fault(field, format!("{} bytes, at most {limit} are allowed", bytes.len()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => Ok(text.to_owned()),
        Ok(_) => fault(field, "has control characters"),
        Err(e) => fault(field, format!("not UTF-8, from byte {}", e.valid_up_to())),
    }
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_param_name(name: &str) -> bool {
    is_id(&name.replace('_', "-"))
}

/// Three numbers, then what semver.org calls pre-release and build.
fn is_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_char};
    use std::ptr::null;

    use edgemill_abi::raw;

    use super::{Descriptor, DescriptorFault};
    use crate::params::ParamInput;

    /// A parameter that is valid: a number from 0 to 1.
    fn param(name: &'static CStr) -> raw::Param {
        raw::Param {
            name: name.as_ptr(),
            unit: c"s".as_ptr(),
            help: c"How long.".as_ptr(),
            kind: raw::PARAM_FLOAT,
            required: 0,
            least: 0.0,
            most: 1.0,
            fallback: c"0.5".as_ptr(),
            choices: null(),
            choice_count: 0,
            reserved: 0,
        }
    }

    fn descriptor(params: &[raw::Param]) -> raw::Descriptor {
        raw::Descriptor {
            abi_version: raw::ABI_VERSION,
            struct_size: 0,
            id: c"decide-rule".as_ptr(),
            version: c"1.0.2".as_ptr(),
            summary: c"Decides.".as_ptr(),
            flags: raw::FLAG_REALTIME,
            params: params.as_ptr(),
            required_extensions: null(),
            param_count: u32::try_from(params.len()).unwrap(),
            required_extension_count: 0,
            create: None,
            ports: None,
            activate: None,
            process: None,
            deactivate: None,
            destroy: None,
            get_extension: None,
        }
    }

    fn read(raw: &raw::Descriptor) -> Result<Descriptor, DescriptorFault> {
        // SAFETY: every pointer in these tests is NULL or leads to a constant.
        unsafe { Descriptor::read(raw) }
    }

    #[test]
    fn a_valid_descriptor_is_read_whole() {
        let read = read(&descriptor(&[param(c"hold-time")])).unwrap();
        assert_eq!(
            (&*read.id, &*read.version, &*read.summary),
            ("decide-rule", "1.0.2", "Decides.")
        );
        assert!(read.realtime && !read.actuator);
        let hold = read.param("hold-time").unwrap();
        assert_eq!((hold.range, &hold.default), (Some((0.0, 1.0)), &Some(ParamInput::Float(0.5))));
    }

    /// Text longer than any field may be.
    const LONG: &CStr = {
        const BYTES: [u8; 600] = {
            let mut bytes = [b'a'; 600];
            bytes[599] = 0;
            bytes
        };
        match CStr::from_bytes_with_nul(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("one NUL, at the end"),
        }
    };

    #[test]
    fn a_field_that_breaks_a_rule_is_named() {
        type Break = fn(&mut raw::Descriptor);
        let cases: [(&str, Break); 12] = [
            ("id: must be lower-case", |d| d.id = c"Decide".as_ptr()),
            ("id: must be lower-case", |d| d.id = c"".as_ptr()),
            ("id: NULL", |d| d.id = null()),
            ("id: 599 bytes, at most 64", |d| d.id = LONG.as_ptr()),
            ("version: must be a semantic version", |d| d.version = c"1.0".as_ptr()),
            ("version: not UTF-8, from byte 1", |d| d.version = c"1\xff".as_ptr()),
            ("summary: must be one sentence", |d| d.summary = c"".as_ptr()),
            ("summary: has control characters", |d| d.summary = c"\x1b[2J".as_ptr()),
            ("flags: 0x5 has bits", |d| d.flags = 5),
            ("params: NULL, with a count of 1", |d| d.params = null()),
            ("params: 65 elements, at most 64", |d| d.param_count = 65),
            ("required_extensions: NULL", |d| d.required_extension_count = 1),
        ];
        for (says, break_it) in cases {
            let params = [param(c"a")];
            let mut raw = descriptor(&params);
            break_it(&mut raw);
            let fault = read(&raw).expect_err(says).to_string();
            assert!(fault.contains(says), "{says}: {fault}");
        }
    }

    struct Words<const N: usize>([*const c_char; N]);
    // SAFETY: addresses of constants.
    unsafe impl<const N: usize> Sync for Words<N> {}
    static TWICE: Words<2> = Words([c"low".as_ptr(), c"low".as_ptr()]);
    static STATES: Words<2> = Words([c"low".as_ptr(), c"high".as_ptr()]);

    #[test]
    fn a_parameter_that_breaks_a_rule_is_named() {
        type Break = fn(&mut raw::Param);
        let cases: [(&str, Break); 11] = [
            ("params[1].name: must be lower-case", |p| p.name = c"rate hz".as_ptr()),
            ("params[1].name: `a` is there twice", |p| p.name = c"a".as_ptr()),
            ("params[1].type: 9 is no type", |p| p.kind = 9),
            ("params[1].required: must be 0 or 1", |p| p.required = 2),
            ("params[1].fallback: a required parameter", |p| p.required = 1),
            ("params[1].least: 2 to 1 is no range", |p| p.least = 2.0),
            ("params[1].least: NaN to 1 is no range", |p| p.least = f64::NAN),
            ("params[1].fallback: `1.5` is not a number from 0 to 1 s", |p| {
                p.fallback = c"1.5".as_ptr();
            }),
            ("params[1].fallback: `half` is not a number", |p| p.fallback = c"half".as_ptr()),
            ("params[1].choices: only a string", |p| {
                (p.choices, p.choice_count) = (STATES.0.as_ptr(), 2);
            }),
            ("params[1].choices[1]: `low` is there twice", |p| {
                (p.kind, p.fallback) = (raw::PARAM_STRING, c"".as_ptr());
                (p.choices, p.choice_count) = (TWICE.0.as_ptr(), 2);
            }),
        ];
        for (says, break_it) in cases {
            let mut params = [param(c"a"), param(c"b")];
            break_it(&mut params[1]);
            let fault = read(&descriptor(&params)).expect_err(says).to_string();
            assert!(fault.contains(says), "{says}: {fault}");
        }
    }

    #[test]
    fn a_descriptor_survives_json() {
        let read = read(&descriptor(&[param(c"hold-time")])).unwrap();
        let json = serde_json::to_string(&read).unwrap();
        assert!(json.contains(r#""kind":"float""#), "{json}");
        assert_eq!(serde_json::from_str::<Descriptor>(&json).unwrap(), read);
    }
}
