//! The files as they are typed: any combination that serde accepts, nothing checked.
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use crate::error::{ConfigError, Fault};
use crate::limits;
use crate::pipeline::Value;
use crate::place::Source;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawPipeline {
    pub name: Spanned<String>,
    pub on_stop: Option<Spanned<String>>,
    pub stop_ms: Option<Spanned<u64>>,
    #[serde(default)]
    pub stage: Vec<Spanned<RawStage>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawStage {
    pub name: Spanned<String>,
    pub source: Option<Spanned<String>>,
    pub plugin: Option<Spanned<String>>,
    pub contract: Option<Spanned<String>>,
    pub model: Option<Spanned<String>>,
    pub input: Option<Spanned<RawInput>>,
    pub inputs: Option<BTreeMap<Spanned<String>, Spanned<RawInput>>>,
    #[serde(default)]
    pub params: BTreeMap<Spanned<String>, Spanned<Value>>,
    #[serde(default)]
    pub cpu: Vec<Spanned<u64>>,
    pub priority: Option<Spanned<u64>>,
    pub on_failure: Option<Spanned<String>>,
    pub hang_ms: Option<Spanned<u64>>,
    pub deadline_ms: Option<Spanned<u64>>,
    pub stale_ms: Option<Spanned<u64>>,
    pub join: Option<Spanned<RawJoin>>,
    #[serde(default)]
    pub allow_unsigned: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawJoin {
    pub tolerance_ms: Option<Spanned<u64>>,
    pub timeout_ms: Option<Spanned<u64>>,
}

/// `"stage"`, `"stage.port"` or `{ from = "stage.port", overflow = "latest", capacity = 1 }`.
pub(crate) struct RawInput {
    pub from: String,
    pub overflow: Option<Spanned<String>>,
    pub capacity: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawInputTable {
    from: String,
    overflow: Option<Spanned<String>>,
    capacity: Option<Spanned<u64>>,
}

impl<'de> Deserialize<'de> for RawInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputVisitor;
        impl<'de> Visitor<'de> for InputVisitor {
            type Value = RawInput;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "\"stage\", \"stage.port\" or { from = \"stage.port\", overflow = \"latest\" }",
                )
            }
            fn visit_str<E: Error>(self, from: &str) -> Result<RawInput, E> {
                Ok(RawInput { from: from.to_owned(), overflow: None, capacity: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawInput, A::Error> {
                let RawInputTable { from, overflow, capacity } =
                    Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawInput { from, overflow, capacity })
            }
        }
        deserializer.deserialize_any(InputVisitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a whole number, a number or a string")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawBoard {
    pub name: Spanned<String>,
    pub arch: Option<Spanned<String>>,
    #[serde(default)]
    pub cores: Vec<Spanned<u64>>,
    #[serde(default)]
    pub clusters: Vec<Vec<Spanned<u64>>>,
    pub memory_mib: Option<Spanned<u64>>,
    pub memory_lock: Option<Spanned<String>>,
    #[serde(default)]
    pub allow_unsigned: bool,
    #[serde(default)]
    pub paths: RawPaths,
    #[serde(default)]
    pub camera: Vec<RawCamera>,
    #[serde(default)]
    pub line: Vec<RawLine>,
    pub watchdog: Option<RawWatchdog>,
    #[serde(default)]
    pub thermal: Vec<RawThermal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawCamera {
    pub name: Spanned<String>,
    pub device: Spanned<String>,
    pub format: Option<Spanned<String>>,
    pub width: Option<Spanned<u64>>,
    pub height: Option<Spanned<u64>>,
    pub rate_hz: Option<Spanned<u64>>,
    pub controls: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawLine {
    pub name: Spanned<String>,
    pub chip: Option<Spanned<String>>,
    pub offset: Option<Spanned<u64>>,
    pub kernel_name: Option<Spanned<String>>,
    #[serde(default)]
    pub active_low: bool,
    pub idle: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawWatchdog {
    pub device: Spanned<String>,
    pub timeout_s: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawThermal {
    pub zone: Spanned<String>,
    pub throttle_c: Spanned<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawPaths {
    pub plugins: Option<Spanned<String>>,
    pub store: Option<Spanned<String>>,
    pub store_key: Option<Spanned<String>>,
    pub device_key: Option<Spanned<String>>,
    pub trust: Option<Spanned<String>>,
    pub run: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawAccess {
    #[serde(default)]
    pub grant: Vec<RawGrant>,
    #[serde(default)]
    pub user: Vec<RawUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawGrant {
    pub pipeline: Spanned<String>,
    pub stage: Spanned<String>,
    pub model: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawUser {
    pub name: Spanned<String>,
    pub may: Vec<Spanned<String>>,
}

/// TOML to a raw file, or where and why not.
pub(crate) fn read<T: DeserializeOwned>(text: &str, source: &Source<'_>) -> Result<T, ConfigError> {
    if text.len() > limits::FILE_BYTES {
        return Err(Fault::TooLarge.at(source.whole()));
    }
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or_else(|| source.whole(), |span| source.place(span));
        Fault::from_toml(error.message()).at(at)
    })
}
