//! The manifest of a package: what its author says of it, in clear, and signed as the exact bytes that stand
//! in the file. `docs/model-package.md` describes every field.
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::contract::Contract;
use crate::limits;
use crate::tensor::{MAX_RANK, TensorSpec};
use crate::text::{from_hex, shown, to_hex};

/// A manifest that broke a rule. `field` is its path in the JSON.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Longer than [`limits::MANIFEST_BYTES`].
    #[error(
        "manifest is {bytes} bytes, at most {} are allowed: shorten the card",
        limits::MANIFEST_BYTES
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the JSON we know, whatever the reason: the parser says where.
    #[error("manifest is malformed: {0}: pack the model again")]
    Json(String),
    /// A value outside its rule.
    #[error("manifest field `{field}` {fault}: correct it and pack the model again")]
    Field {
        /// Path of the value.
        field: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// A SHA-256 digest (FIPS 180-4); in text, 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

impl std::fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl std::fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom("a SHA-256 is 64 lower-case hexadecimal digits")
        })
    }
}

/// The boards a model may run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boards {
    /// Whatever the board; in JSON `"any"`.
    Any,
    /// These, by the name in their `board.toml`; in JSON a list.
    Named(Vec<String>),
}

impl Boards {
    /// Whether `board` is among them.
    #[must_use]
    pub fn admit(&self, board: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named(names) => names.iter().any(|name| name == board),
        }
    }
}

impl std::fmt::Display for Boards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Named(names) => f.write_str(&shown(&names.join(", "))),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RawBoards {
    Word(String),
    List(Vec<String>),
}

impl Serialize for Boards {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Named(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Boards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match RawBoards::deserialize(deserializer)? {
            RawBoards::Word(word) if word == "any" => Ok(Self::Any),
            RawBoards::Word(_) => Err(serde::de::Error::custom("boards are \"any\" or a list")),
            RawBoards::List(names) => Ok(Self::Named(names)),
        }
    }
}

/// What the author says of a model, before it is packed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The model's name, by which stages and grants call it: `a-z 0-9 - _ .`, a letter or digit first.
    pub name: String,
    /// For people; two packages are ordered by `counter`, never by this.
    pub version: String,
    /// Security counter, at least 1. A box refuses a package whose counter is below its floor.
    pub counter: u64,
    /// What goes in and comes out.
    pub contract: Contract,
    /// Where it may run.
    pub boards: Boards,
    /// Format of the plain payload, such as `edgemill-graph-1`.
    pub graph_format: String,
    /// What was measured: name with its unit (`accuracy_int8`, `latency_p50_us`) and value.
    #[serde(default)]
    pub report: BTreeMap<String, f64>,
    /// The model card, for people.
    #[serde(default)]
    pub card: String,
    /// SPDX expression, or words.
    pub licence: String,
    /// Seconds since 1970-01-01 UTC after which no box opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_s: Option<u64>,
}

/// The plain payload, as it must be after decryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// 1..=[`limits::PAYLOAD_BYTES`].
    pub bytes: u64,
    /// Of all of them.
    pub sha256: Sha256Digest,
}

/// The whole manifest. One that exists has passed every check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// What the author says.
    pub release: Release,
    /// What was packed.
    pub payload: Payload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    release: Release,
    payload: Payload,
}

impl Manifest {
    /// Checks both parts and joins them.
    ///
    /// # Errors
    /// The first [`ManifestError::Field`] found.
    pub fn new(release: Release, payload: Payload) -> Result<Self, ManifestError> {
        let bytes = payload.bytes;
        let fits = (1..=limits::PAYLOAD_BYTES).contains(&bytes);
        require(fits, "payload.bytes", || {
            format!("is {bytes}, not 1..={}", limits::PAYLOAD_BYTES)
        })?;
        release.check()?;
        Ok(Self { release, payload })
    }

    /// Reads and checks the bytes of a manifest, whoever wrote them.
    ///
    /// # Errors
    /// Any [`ManifestError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        bounded(bytes.len())?;
        let raw: RawManifest = serde_json::from_slice(bytes)
            .map_err(|fault| ManifestError::Json(shown(&fault.to_string())))?;
        Self::new(raw.release, raw.payload)
    }

    /// The bytes that are signed.
    ///
    /// # Errors
    /// [`ManifestError::TooLong`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|fault| ManifestError::Json(shown(&fault.to_string())))?;
        bounded(bytes.len())?;
        Ok(bytes)
    }
}

fn bounded(bytes: usize) -> Result<(), ManifestError> {
    match u32::try_from(bytes) {
        Ok(length) if length <= limits::MANIFEST_BYTES => Ok(()),
        _ => Err(ManifestError::TooLong { bytes }),
    }
}

impl Release {
    /// Checks every field against its rule.
    ///
    /// # Errors
    /// The first [`ManifestError::Field`] found.
    pub fn check(&self) -> Result<(), ManifestError> {
        check_name("release.name", &self.name)?;
        check_text("release.version", &self.version)?;
        require(self.counter > 0, "release.counter", || "is 0, must be at least 1".into())?;
        check_text("release.graph_format", &self.graph_format)?;
        check_text("release.licence", &self.licence)?;
        check_card(&self.card)?;
        self.check_boards()?;
        self.check_report()?;
        check_contract(&self.contract)
    }

    fn check_boards(&self) -> Result<(), ManifestError> {
        let Boards::Named(names) = &self.boards else { return Ok(()) };
        let count = names.len();
        require((1..=limits::BOARDS).contains(&count), "release.boards", || {
            format!("names {count} boards, not 1..={}", limits::BOARDS)
        })?;
        names.iter().try_for_each(|name| check_name("release.boards", name))
    }

    fn check_report(&self) -> Result<(), ManifestError> {
        let count = self.report.len();
        require(count <= limits::REPORT_ENTRIES, "release.report", || {
            format!("has {count} entries, at most {} are allowed", limits::REPORT_ENTRIES)
        })?;
        for (name, value) in &self.report {
            check_text("release.report", name)?;
            require(value.is_finite(), "release.report", || {
                format!("`{}` is not a finite number", shown(name))
            })?;
        }
        Ok(())
    }
}

fn require(holds: bool, field: &str, fault: impl FnOnce() -> String) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError::Field { field: field.into(), fault: fault() }) }
}

/// Whether `name` may name a model, a board or another thing that grants and paths mention.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= limits::NAME_CHARS
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || "-_.".contains(c))
}

fn check_name(field: &str, name: &str) -> Result<(), ManifestError> {
    require(is_name(name), field, || {
        let most = limits::NAME_CHARS;
        format!("is `{}`, not 1 to {most} of a-z 0-9 - _ . after a letter or digit", shown(name))
    })
}

fn check_text(field: &str, text: &str) -> Result<(), ManifestError> {
    let count = text.chars().count();
    require((1..=limits::TEXT_CHARS).contains(&count), field, || {
        format!("has {count} characters, not 1..={}", limits::TEXT_CHARS)
    })?;
    require(!text.chars().any(char::is_control), field, || {
        format!("holds control characters: `{}`", shown(text))
    })
}

fn check_card(card: &str) -> Result<(), ManifestError> {
    let count = card.chars().count();
    require(count <= limits::CARD_CHARS, "release.card", || {
        format!("has {count} characters, at most {} are allowed", limits::CARD_CHARS)
    })?;
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    require(!card.chars().any(odd), "release.card", || "holds control characters".into())
}

fn check_contract(contract: &Contract) -> Result<(), ManifestError> {
    check_tensors("release.contract.inputs", &contract.inputs)?;
    check_tensors("release.contract.outputs", &contract.outputs)?;
    check_text("release.contract.head", &contract.head)?;
    check_labels(&contract.labels)?;
    check_picture(contract)?;
    check_window(contract)
}

fn check_tensors(field: &str, tensors: &[TensorSpec]) -> Result<(), ManifestError> {
    let count = tensors.len();
    require((1..=limits::TENSORS).contains(&count), field, || {
        format!("has {count} tensors, not 1..={}", limits::TENSORS)
    })?;
    tensors.iter().try_for_each(|tensor| check_tensor(field, tensor))
}

fn check_tensor(field: &str, tensor: &TensorSpec) -> Result<(), ManifestError> {
    let rank = tensor.shape.len();
    require((1..=MAX_RANK).contains(&rank), field, || {
        format!("has a tensor of rank {rank}, not 1..={MAX_RANK}")
    })?;
    let elements = tensor.shape.iter().try_fold(1_u64, |n, &d| n.checked_mul(u64::from(d)));
    let fits = elements.is_some_and(|n| (1..=limits::TENSOR_ELEMENTS).contains(&n));
    require(fits, field, || {
        let most = limits::TENSOR_ELEMENTS;
        format!("has a tensor of shape {:?}, not of 1..={most} elements", tensor.shape)
    })?;
    let Some(rule) = tensor.quantization else { return Ok(()) };
    require(rule.scale.is_finite() && rule.scale > 0.0, field, || {
        format!("has scale {}, not a finite number above 0", rule.scale)
    })?;
    require(tensor.dtype.holds(rule.zero_point), field, || {
        format!("has zero point {}, which its type cannot hold", rule.zero_point)
    })
}

fn check_labels(labels: &[String]) -> Result<(), ManifestError> {
    let count = labels.len();
    require(count <= limits::LABELS, "release.contract.labels", || {
        format!("has {count} names, at most {} are allowed", limits::LABELS)
    })?;
    labels.iter().try_for_each(|label| check_text("release.contract.labels", label))
}

fn check_picture(contract: &Contract) -> Result<(), ManifestError> {
    let Some(picture) = &contract.picture else { return Ok(()) };
    let [x, y, width, height] = picture.region;
    // A millionth over: 0.7 and 0.3 are not exact.
    let inside = |at: f32, size: f32| at >= 0.0 && size > 0.0 && at + size <= 1.000_001;
    require(inside(x, width) && inside(y, height), "release.contract.picture.region", || {
        format!("is {:?}, not x, y, width, height within 0..=1", picture.region)
    })?;
    let finite = picture.mean.iter().chain(&picture.std).all(|v| v.is_finite());
    require(finite, "release.contract.picture", || "has a mean or std that is not finite".into())?;
    let divides = picture.std.iter().all(|&v| v != 0.0);
    require(divides, "release.contract.picture.std", || "holds a 0".into())
}

fn check_window(contract: &Contract) -> Result<(), ManifestError> {
    let Some(window) = &contract.window else { return Ok(()) };
    let sound =
        window.samples > 0 && window.hop > 0 && window.rate_hz.is_finite() && window.rate_hz > 0.0;
    require(sound, "release.contract.window", || "has a number that is not above 0".into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({
            "release": {
                "name": "traffic-light", "version": "1.0", "counter": 1,
                "contract": {
                    "inputs": [{
                        "dtype": "i8", "shape": [1, 32, 32, 3],
                        "quantization": {"scale": 0.003_921_57, "zero_point": -128}
                    }],
                    "outputs": [{"dtype": "f32", "shape": [1, 4]}],
                    "picture": {
                        "layout": "nhwc", "colour": "rgb", "fit": "crop", "fill": 0,
                        "region": [0.7, 0.0, 0.3, 1.0],
                        "mean": [0.0, 0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0, 1.0]
                    },
                    "window": {"samples": 1, "hop": 1, "rate_hz": 1.0},
                    "head": "classifier", "labels": ["red"]
                },
                "boards": ["host"], "graph_format": "edgemill-graph-1",
                "report": {"accuracy": 0.99}, "card": "A\ncard", "licence": "MIT",
                "expires_unix_s": 1
            },
            "payload": {"bytes": 1, "sha256": "00".repeat(32)}
        })
    }

    fn read(value: &Value) -> Result<Manifest, ManifestError> {
        Manifest::from_bytes(value.to_string().as_bytes())
    }

    #[test]
    fn a_good_one_is_read_and_survives_being_written() {
        let manifest = read(&good()).unwrap();
        assert_eq!(Manifest::from_bytes(&manifest.to_bytes().unwrap()), Ok(manifest));
    }

    #[test]
    fn what_may_be_absent_may_be() {
        let mut value = good();
        for field in ["report", "card", "expires_unix_s"] {
            value["release"].as_object_mut().unwrap().remove(field);
        }
        for field in ["picture", "window", "labels"] {
            value["release"]["contract"].as_object_mut().unwrap().remove(field);
        }
        value["release"]["boards"] = json!("any");
        assert!(read(&value).unwrap().release.boards.admit("whatever"));
    }

    #[test]
    fn each_field_outside_its_rule_is_named() {
        let long = |count: usize| Value::from("x".repeat(count));
        let tensors = json!(vec![json!({"dtype": "u8", "shape": [1]}); limits::TENSORS + 1]);
        let report: Value =
            (0..=limits::REPORT_ENTRIES).map(|n| (n.to_string(), json!(0))).collect();
        let cases = [
            ("/release/name", json!(""), "release.name"),
            ("/release/name", json!("Upper"), "release.name"),
            ("/release/name", json!("../up"), "release.name"),
            ("/release/name", json!("-dash"), "release.name"),
            ("/release/name", long(limits::NAME_CHARS + 1), "release.name"),
            ("/release/version", json!(""), "release.version"),
            ("/release/version", json!("1\u{1b}[2J"), "release.version"),
            ("/release/version", long(limits::TEXT_CHARS + 1), "release.version"),
            ("/release/counter", json!(0), "release.counter"),
            ("/release/graph_format", json!(""), "release.graph_format"),
            ("/release/licence", json!(""), "release.licence"),
            ("/release/card", json!("\r"), "release.card"),
            ("/release/card", long(limits::CARD_CHARS + 1), "release.card"),
            ("/release/boards", json!([]), "release.boards"),
            ("/release/boards", json!(["No board"]), "release.boards"),
            ("/release/boards", json!(vec!["b"; limits::BOARDS + 1]), "release.boards"),
            ("/release/report", json!({"": 1}), "release.report"),
            ("/release/report", report, "release.report"),
            ("/release/contract/inputs", json!([]), "release.contract.inputs"),
            ("/release/contract/outputs", tensors, "release.contract.outputs"),
            ("/release/contract/inputs/0/shape", json!([]), "release.contract.inputs"),
            ("/release/contract/inputs/0/shape", json!([1, 0]), "release.contract.inputs"),
            ("/release/contract/inputs/0/shape", json!(vec![1; 7]), "release.contract.inputs"),
            (
                "/release/contract/inputs/0/shape",
                json!(vec![u32::MAX; 6]),
                "release.contract.inputs",
            ),
            ("/release/contract/inputs/0/quantization/scale", json!(0), "release.contract.inputs"),
            (
                "/release/contract/inputs/0/quantization/zero_point",
                json!(128),
                "release.contract.inputs",
            ),
            ("/release/contract/head", json!(""), "release.contract.head"),
            ("/release/contract/labels", json!([""]), "release.contract.labels"),
            (
                "/release/contract/labels",
                json!(vec!["l"; limits::LABELS + 1]),
                "release.contract.labels",
            ),
            ("/release/contract/picture/region/2", json!(0.4), "release.contract.picture.region"),
            ("/release/contract/picture/region/2", json!(0), "release.contract.picture.region"),
            ("/release/contract/picture/std/3", json!(0), "release.contract.picture.std"),
            ("/release/contract/window/hop", json!(0), "release.contract.window"),
            ("/release/contract/window/rate_hz", json!(-1), "release.contract.window"),
            ("/payload/bytes", json!(0), "payload.bytes"),
            ("/payload/bytes", json!(limits::PAYLOAD_BYTES + 1), "payload.bytes"),
        ];
        for (path, value, expected) in cases {
            let mut changed = good();
            *changed.pointer_mut(path).unwrap() = value.clone();
            let fault = read(&changed).unwrap_err();
            let ManifestError::Field { field, .. } = &fault else { panic!("{path}: {fault}") };
            assert_eq!(field, expected, "{path} = {value}: {fault}");
        }
    }

    #[test]
    fn what_is_not_our_json_is_refused() {
        let mut unknown = good();
        unknown["release"]["secret"] = json!(1);
        let mut capitals = good();
        capitals["payload"]["sha256"] = json!("AA".repeat(32));
        let mut word = good();
        word["release"]["boards"] = json!("all");
        let mut huge = good();
        huge["release"]["contract"]["picture"]["mean"][0] = json!(1e300);
        let texts =
            ["", "{", "[]", "null", "{\"release\": {}, \"payload\": {}}", &"[".repeat(100_000)];
        let texts = texts.map(String::from).into_iter();
        for text in texts.chain([unknown, capitals, word, huge].map(|value| value.to_string())) {
            let fault = Manifest::from_bytes(text.as_bytes()).unwrap_err();
            assert!(matches!(fault, ManifestError::Json(_)), "{fault}");
        }
        let long = vec![b' '; limits::MANIFEST_BYTES as usize + 1];
        assert!(matches!(Manifest::from_bytes(&long), Err(ManifestError::TooLong { .. })));
    }

    #[test]
    fn a_scale_that_is_read_is_the_scale_that_was_written() {
        let mut bits = 0x3b80_8081_u32;
        for _ in 0..10_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let scale = f32::from_bits(bits & 0x3fff_ffff | 0x3000_0000);
            let text = serde_json::to_string(&scale).unwrap();
            let read: f32 = serde_json::from_str(&text).unwrap();
            assert_eq!(read.to_bits(), scale.to_bits(), "{text}");
        }
    }
}
