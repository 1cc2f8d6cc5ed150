//! From a pipeline as typed to one that is valid.
use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use crate::error::{ConfigError, Fault, Found, choice, few, list, model_name, name, shown, within};
use crate::graph;
use crate::limits;
use crate::pipeline::{
    FAILURES, Input, Join, ModelUse, OVERFLOWS, OnFailure, Overflow, Param, Pipeline, STOPS, Stage,
    Stop, Value, Work,
};
use crate::place::{Located, Place, Source};
use crate::raw::{RawInput, RawJoin, RawPipeline, RawStage};
use crate::text::nearest;

/// A text parameter of this name is taken from the folder of the file that it stands in.
const PATH: &str = "path";
/// Enough to ride over a scheduling delay, little enough that a queue adds few frames of age.
const DEFAULT_CAPACITY: u32 = 4;
/// Longer than any stage of a live pipeline should take, shorter than a person waits.
const DEFAULT_HANG: Duration = Duration::from_secs(2);
/// systemd waits 90 s before it kills; a queue that does not drain in 2 s is stuck.
const DEFAULT_STOP: Duration = Duration::from_secs(2);
/// Two frames at 10 per second.
const DEFAULT_JOIN_TIMEOUT: Duration = Duration::from_millis(200);

/// The pipeline, unless something was found.
pub(crate) fn check(raw: RawPipeline, source: &Source<'_>, found: &mut Found) -> Option<Pipeline> {
    let name = found.note(name("pipeline", source.locate(raw.name)));
    let on_stop = match raw.on_stop {
        None => Some(Stop::Drain),
        Some(word) => found.note(choice("on-stop", &source.locate(word), &STOPS)),
    };
    let stop_within = found.note(time("stop-ms", source, raw.stop_ms));
    found.note(few("stages", raw.stage.len(), limits::STAGES, || source.whole()))?;
    if raw.stage.is_empty() {
        found.push(Fault::Empty.at(source.whole()));
    }
    let stages: Vec<Option<Stage>> = raw
        .stage
        .into_iter()
        .map(|stage| check_stage(source.locate(stage), source, found))
        .collect();
    let stages: Vec<Stage> = stages.into_iter().collect::<Option<_>>()?;
    check_names(&stages, found)?;
    let stages = in_order(stages, found)?;
    check_sources_used(&stages, found);
    Some(Pipeline {
        name: name?,
        on_stop: on_stop?,
        stop_within: stop_within?.map_or(DEFAULT_STOP, |time| time.value),
        stages,
    })
}

fn check_stage(raw: Located<RawStage>, source: &Source<'_>, found: &mut Found) -> Option<Stage> {
    let RawStage { inputs, input, params, cpu, join, .. } = raw.value;
    let stage = found.note(name("stage", source.locate(raw.value.name)))?;
    let at = stage.at.clone();
    let conflict = |problem: &str| Fault::stage(&stage, problem).at(at.clone());

    let work = found.note(check_work(
        [raw.value.source, raw.value.plugin, raw.value.contract, raw.value.model]
            .map(|text| text.map(|text| source.locate(text))),
        &conflict,
    ));
    let inputs = check_inputs(input, inputs, source, found, &conflict);
    let params = check_params(params, source, found);
    let join = check_join(join, source, found);
    let cpus = check_cpus(cpu, source, found);
    let priority = optional(raw.value.priority, source, found, |number| {
        let value = within("priority", &number, 1, 99)?;
        Ok(Located { value: u8::try_from(value).unwrap_or(u8::MAX), at: number.at })
    });
    let on_failure = match raw.value.on_failure {
        None => Some(Located { value: OnFailure::Restart, at: at.clone() }),
        Some(word) => {
            let word = source.locate(word);
            found
                .note(choice("on-failure", &word, &FAILURES))
                .map(|value| Located { value, at: word.at })
        }
    };
    let hang = found.note(time("hang-ms", source, raw.value.hang_ms));
    let deadline = found.note(time("deadline-ms", source, raw.value.deadline_ms));
    let stale = found.note(time("stale-ms", source, raw.value.stale_ms));

    let (work, inputs) = (work?, inputs?);
    if matches!(work, Work::Source(_)) && !inputs.is_empty() {
        found.push(conflict(
            "is a source and has an input; a source begins a pipeline: remove the one or the other",
        ));
    }
    let deadline = deadline?;
    if let Some(deadline) = deadline.as_ref().filter(|_| !inputs.is_empty()) {
        let problem = "has deadline-ms and an input; a deadline is set where packets begin: move it to the source";
        found.push(Fault::stage(&stage, problem).at(deadline.at.clone()));
    }
    Some(Stage {
        work,
        params: params?,
        inputs,
        join: join?,
        cpus: cpus?,
        priority: priority?,
        on_failure: on_failure?,
        hang: hang?.map_or(DEFAULT_HANG, |time| time.value),
        deadline,
        stale: stale?,
        allow_unsigned: raw.value.allow_unsigned,
        name: stage,
    })
}

fn check_work(
    [source, plugin, contract, model]: [Option<Located<String>>; 4],
    conflict: &dyn Fn(&str) -> ConfigError,
) -> Result<Work, ConfigError> {
    let model = match (contract, model) {
        (Some(_), Some(_)) => {
            return Err(conflict(
                "has both contract and model; model brings the contract with it: remove contract",
            ));
        }
        (Some(contract), None) => ModelUse::Contract(model_name(contract)?),
        (None, Some(model)) => ModelUse::Model(model_name(model)?),
        (None, None) => ModelUse::None,
    };
    match (source, plugin) {
        (Some(_), Some(_)) => Err(conflict("has both source and plugin; keep one of them")),
        (None, None) => Err(conflict(
            "has neither source nor plugin; add source = \"v4l\" (or replay, pattern, series) or plugin = \"ID\"",
        )),
        (Some(source), None) if model == ModelUse::None => {
            Ok(Work::Source(name("source", source)?))
        }
        (Some(_), None) => {
            Err(conflict("is a source and names a model; sources use none: remove it"))
        }
        (None, Some(id)) => Ok(Work::Plugin { id: name("plugin", id)?, model }),
    }
}

fn check_inputs(
    one: Option<Spanned<RawInput>>,
    several: Option<BTreeMap<Spanned<String>, Spanned<RawInput>>>,
    source: &Source<'_>,
    found: &mut Found,
    conflict: &dyn Fn(&str) -> ConfigError,
) -> Option<Vec<Input>> {
    let several = match (one, several) {
        (Some(_), Some(_)) => {
            found.push(conflict("has both input and inputs; put the one among the several"));
            return None;
        }
        (Some(one), None) => {
            return Some(vec![found.note(check_input(None, source.locate(one), source))?]);
        }
        (None, several) => several.unwrap_or_default(),
    };
    let first = several.keys().next().map(|port| port.span()).unwrap_or_default();
    found.note(few("inputs", several.len(), limits::INPUTS, || source.place(first)))?;
    let checked: Vec<Option<Input>> = several
        .into_iter()
        .map(|(port, input)| {
            let port = found.note(name("port", source.locate(port)))?;
            found.note(check_input(Some(port.value), source.locate(input), source))
        })
        .collect();
    checked.into_iter().collect()
}

fn check_input(
    port: Option<String>,
    raw: Located<RawInput>,
    source: &Source<'_>,
) -> Result<Input, ConfigError> {
    let at = raw.at.clone();
    let (stage, output) = match raw.from.split_once('.') {
        Some((stage, output)) => (stage, Some(output)),
        None => (raw.from.as_str(), None),
    };
    let located = |text: &str| Located { value: text.to_owned(), at: at.clone() };
    let from = name("stage", located(stage))?;
    let output = output.map(|output| name("port", located(output))).transpose()?;
    let RawInput { overflow, capacity, .. } = raw.value;
    let overflow =
        overflow.map(|word| choice("overflow", &source.locate(word), &OVERFLOWS)).transpose()?;
    let most = if overflow == Some(Overflow::Latest) { 1 } else { limits::CAPACITY };
    let capacity = match capacity {
        None => DEFAULT_CAPACITY.min(most),
        Some(number) => {
            let number = within("capacity", &source.locate(number), 1, u64::from(most))?;
            u32::try_from(number).unwrap_or(most)
        }
    };
    Ok(Input { port, from, output: output.map(|output| output.value), overflow, capacity })
}

fn check_params(
    raw: BTreeMap<Spanned<String>, Spanned<Value>>,
    source: &Source<'_>,
    found: &mut Found,
) -> Option<BTreeMap<String, Param>> {
    let first = raw.keys().next().map(|key| key.span()).unwrap_or_default();
    found.note(few("parameters", raw.len(), limits::PARAMS, || source.place(first)))?;
    let mut params = BTreeMap::new();
    for (key, value) in raw {
        let key = found.note(name("parameter", source.locate(key)))?;
        let mut value = source.locate(value);
        if let Value::Text(text) = &mut value.value {
            found.note(few("bytes in a text", text.len(), limits::TEXT_BYTES, || {
                value.at.clone()
            }))?;
            if text.contains('\0') {
                let problem =
                    "holds a NUL character, which no plugin can be given; remove it".to_owned();
                found.push(
                    Fault::Syntax(format!("{}: {problem}", shown(&key))).at(value.at.clone()),
                );
            }
            if key.value == PATH {
                *text = source.resolve(text).to_string_lossy().into_owned();
            }
        }
        params.insert(key.value, value);
    }
    Some(params)
}

fn check_join(
    raw: Option<Spanned<RawJoin>>,
    source: &Source<'_>,
    found: &mut Found,
) -> Option<Join> {
    let raw = raw.map(Spanned::into_inner);
    let (tolerance, timeout) =
        raw.map(|raw| (raw.tolerance_ms, raw.timeout_ms)).unwrap_or_default();
    let tolerance = found.note(time("tolerance-ms", source, tolerance));
    let timeout = found.note(time("timeout-ms", source, timeout));
    Some(Join {
        tolerance: tolerance?.map(|time| time.value),
        timeout: timeout?.map_or(DEFAULT_JOIN_TIMEOUT, |time| time.value),
    })
}

fn check_cpus(
    raw: Vec<Spanned<u64>>,
    source: &Source<'_>,
    found: &mut Found,
) -> Option<Vec<Located<usize>>> {
    let most = u64::try_from(limits::CORES).unwrap_or(u64::MAX);
    let first = raw.first().map(Spanned::span).unwrap_or_default();
    found.note(few("cores", raw.len(), limits::CORES, || source.place(first)))?;
    let checked: Vec<Option<Located<usize>>> = raw
        .into_iter()
        .map(|number| {
            let number = source.locate(number);
            let value = found.note(within("cpu", &number, 0, most - 1))?;
            Some(Located { value: usize::try_from(value).ok()?, at: number.at })
        })
        .collect();
    checked.into_iter().collect()
}

/// A time in milliseconds, at least one.
fn time(
    key: &'static str,
    source: &Source<'_>,
    raw: Option<Spanned<u64>>,
) -> Result<Option<Located<Duration>>, ConfigError> {
    let Some(number) = raw.map(|number| source.locate(number)) else { return Ok(None) };
    let value = Duration::from_millis(within(key, &number, 1, limits::MILLISECONDS)?);
    Ok(Some(Located { value, at: number.at }))
}

/// `Some(None)` for a key that is absent, `None` for one that is wrong.
fn optional<T, U>(
    raw: Option<Spanned<T>>,
    source: &Source<'_>,
    found: &mut Found,
    check: impl FnOnce(Located<T>) -> Result<U, ConfigError>,
) -> Option<Option<U>> {
    match raw {
        None => Some(None),
        Some(value) => found.note(check(source.locate(value))).map(Some),
    }
}

/// Every stage has a name of its own, and every input names a stage.
fn check_names(stages: &[Stage], found: &mut Found) -> Option<()> {
    let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut good = Some(());
    for stage in stages {
        if let Some(first) = first.insert(&stage.name, &stage.name.at) {
            let fault =
                Fault::Duplicate { what: "stage", name: shown(&stage.name), first: first.clone() };
            found.push(fault.at(stage.name.at.clone()));
            good = None;
        }
    }
    let known = || stages.iter().map(|stage| stage.name.as_str());
    for stage in stages {
        for input in stage.inputs.iter().filter(|input| !first.contains_key(input.from.as_str())) {
            let fault = Fault::UnknownStage {
                stage: shown(&stage.name),
                found: shown(&input.from),
                nearest: nearest(&input.from, known()).map(str::to_owned),
                known: list(known()),
            };
            found.push(fault.at(input.from.at.clone()));
            good = None;
        }
    }
    good
}

/// The stages, each after those it takes its inputs from; else the circle is named.
fn in_order(stages: Vec<Stage>, found: &mut Found) -> Option<Vec<Stage>> {
    let index = |name: &str| stages.iter().position(|stage| stage.name.value == name);
    let upstream: Vec<Vec<usize>> = stages
        .iter()
        .map(|stage| stage.inputs.iter().filter_map(|input| index(&input.from)).collect())
        .collect();
    match graph::order(&upstream) {
        Ok(order) => {
            let mut stages: Vec<Option<Stage>> = stages.into_iter().map(Some).collect();
            Some(order.into_iter().filter_map(|index| stages[index].take()).collect())
        }
        Err(circle) => {
            let last = &stages[circle[0]];
            let names = circle.iter().chain(&circle[..1]).map(|&index| shown(&stages[index].name));
            let cycle = names.collect::<Vec<_>>().join(" → ");
            found.push(Fault::Cycle { cycle }.at(last.name.at.clone()));
            None
        }
    }
}

fn check_sources_used(stages: &[Stage], found: &mut Found) {
    for source in stages {
        let Work::Source(kind) = &source.work else { continue };
        let used = |stage: &Stage| stage.inputs.iter().any(|input| input.from == source.name);
        if !stages.iter().any(used) {
            found.push(Fault::UnusedSource(shown(&source.name)).at(kind.at.clone()));
        }
    }
}
