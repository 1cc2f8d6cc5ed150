//! What a guest's script said that it saw: facts, states, counts and the daemon's report.
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::console::Line;

/// A guest's console, after its end.
pub struct Heard(Vec<Line>);

impl Heard {
    /// Takes what a console said.
    ///
    /// # Errors
    /// The script waited for something in vain, or the daemon ended before.
    pub fn new(lines: Vec<Line>) -> Result<Self> {
        let heard = Self(lines);
        if let Ok(what) = heard.words("gave-up-on") {
            let last = heard.after("LOG ").last().map_or("nothing", |(_, text)| text);
            bail!("waited in vain for `{what}`; the daemon's last word was: {last}");
        }
        Ok(heard)
    }

    fn after(&self, prefix: &str) -> impl Iterator<Item = (&Line, &str)> {
        self.0.iter().filter_map(move |line| Some((line, line.text.strip_prefix(prefix)?)))
    }

    fn said(&self, name: &str) -> Result<(&Line, &str)> {
        let mut facts = self.after("FACT ");
        let found = facts.find_map(|(line, text)| {
            let (found, rest) = text.split_once(' ')?;
            (found == name).then_some((line, rest))
        });
        found.with_context(|| format!("the guest did not say its {name}"))
    }

    /// `FACT NAME NUMBER …`.
    pub fn fact(&self, name: &str) -> Result<u64> {
        let (_, rest) = self.said(name)?;
        let number = rest.split(' ').next().unwrap_or_default();
        number.parse().with_context(|| format!("{name} is `{rest}`"))
    }

    /// What follows the number.
    pub fn words(&self, name: &str) -> Result<&str> {
        Ok(self.said(name)?.1.split_once(' ').map_or("", |(_, words)| words))
    }

    /// How often a fact was told.
    pub fn times(&self, name: &str) -> usize {
        self.after("FACT ").filter(|(_, text)| text.split(' ').next() == Some(name)).count()
    }

    /// When a fact was told, since the machine was started.
    pub fn at(&self, name: &str) -> Result<Duration> {
        Ok(self.said(name)?.0.at)
    }

    /// Lines of the daemon's own log that contain a text.
    pub fn logged(&self, text: &str) -> usize {
        self.after("LOG ").filter(|(_, line)| line.contains(text)).count()
    }

    /// All pipelines, as `edgemill status --json` told them at a time.
    pub fn status(&self, when: &str) -> Result<Value> {
        self.json(&format!("STATUS {when} "))
    }

    /// The daemon's own report at its end.
    pub fn report(&self) -> Result<Value> {
        Ok(self.json("REPORT ")?["status"].take())
    }

    fn json(&self, prefix: &str) -> Result<Value> {
        let (_, text) = self.after(prefix).next().with_context(|| format!("no {prefix}line"))?;
        serde_json::from_str(text).with_context(|| format!("after {prefix}came `{text}`"))
    }

    /// What the counting stages took by their own count, all instances together.
    pub fn own_count(&self) -> Result<u64> {
        let mut sum = 0;
        for (_, text) in self.after("COUNTS ") {
            let counts: Value = serde_json::from_str(text).with_context(|| format!("`{text}`"))?;
            sum += number(&counts, "received")?;
        }
        Ok(sum)
    }
}

/// A number in a status.
pub fn number(of: &Value, name: &str) -> Result<u64> {
    of[name].as_u64().with_context(|| format!("no number `{name}` in {of}"))
}

/// A list in a status.
pub fn list<'a>(of: &'a Value, name: &str) -> Result<&'a [Value]> {
    Ok(of[name].as_array().with_context(|| format!("no list `{name}` in {of}"))?)
}

/// One stage of a pipeline.
pub fn stage<'a>(status: &'a Value, pipeline: &str, name: &str) -> Result<&'a Value> {
    let pipelines = list(status, "pipelines")?;
    let found = pipelines.iter().find(|it| it["name"] == pipeline);
    let found = found.with_context(|| format!("there is no pipeline {pipeline}"))?;
    let stage = list(found, "stages")?.iter().find(|it| it["name"] == name);
    stage.with_context(|| format!("there is no stage {name}"))
}

/// Holds every identity of an account at rest: each packet is counted where it went on or was lost.
pub fn check_account(status: &Value) -> Result<()> {
    let pipelines = list(status, "pipelines")?;
    ensure!(!pipelines.is_empty(), "no pipeline in the report");
    for pipeline in pipelines {
        for edge in list(pipeline, "edges")? {
            let got = number(edge, "received")? + dropped(edge)? + number(edge, "queued")?;
            ensure!(number(edge, "sent")? == got, "an edge does not add up: {edge}");
        }
        for stage in list(pipeline, "stages")? {
            let outcomes =
                ["passed", "bypassed", "consumed", "delivered", "faulted", "no_buffer", "in_call"];
            let sum = outcomes.iter().map(|name| number(stage, name)).sum::<Result<u64>>()?;
            ensure!(number(stage, "received")? == sum, "a stage does not add up: {stage}");
            let edges = list(pipeline, "edges")?.iter();
            let from = format!("{}.", stage["name"].as_str().unwrap_or_default());
            let out =
                edges.filter(|edge| edge["from"].as_str().is_some_and(|it| it.starts_with(&from)));
            let sent = out.map(|edge| number(edge, "sent")).sum::<Result<u64>>()?;
            ensure!(number(stage, "emitted")? >= sent, "more was sent than emitted: {stage}");
        }
        for path in list(pipeline, "paths")? {
            let ends = number(path, "delivered")? + number(path, "consumed")? + dropped(path)?;
            let all = ends + number(path, "queued")?;
            ensure!(number(path, "sent")? == all, "from end to end it does not add up: {path}");
        }
    }
    Ok(())
}

/// Everything that was dropped, for whatever reason.
pub fn dropped(of: &Value) -> Result<u64> {
    let reasons = of["dropped"].as_object().with_context(|| format!("no `dropped` in {of}"))?;
    reasons.keys().map(|reason| number(&of["dropped"], reason)).sum()
}
