//! Changes of the configuration, as the supervisor's thread sees them: one at a time, read and made by a thread of their
//! own, then taken up by each pipeline at its packet boundaries. The start is the first of them.
use std::sync::Arc;

use edgemill_control::{Reply, Responder};
use edgemill_pipeline::RunError;

use crate::assembly::run_failure;
use crate::change::{self, Changed, Present};
use crate::daemon::{Daemon, spawn};
use crate::exit::{Exit, Failure};
use crate::fail_safe;
use crate::keeper::refusal;
use crate::log::{self, Level};
use crate::running::Running;
use crate::service::{Command, Door};
use crate::settings;

/// The change that is under way.
#[derive(Default)]
pub struct Change {
    /// It was read, and what is new runs, or it was refused.
    decided: bool,
    /// It is the start.
    first: bool,
    askers: Vec<Asker>,
    /// What changes.
    told: Vec<String>,
    /// What was refused.
    refused: Vec<Failure>,
}

/// Who waits for the end of a change.
pub struct Asker {
    /// The way back.
    pub responder: Responder,
    /// What was done before, of which the change is the consequence.
    pub done: Option<String>,
}

impl Asker {
    fn answer(self, answer: &Result<String, Failure>) {
        let told = answer.as_ref().map(|told| match &self.done {
            Some(done) => Reply::Done(format!("{done}; {told}")),
            None => Reply::Done(told.clone()),
        });
        self.responder.send(told.map_err(refusal));
    }
}

impl Daemon {
    /// Reads the configuration and makes it so. Those who ask while a change is under way get another one after it.
    pub(crate) fn begin_change(&mut self, asker: Option<Asker>) {
        if self.stopping.is_some() {
            return;
        }
        if self.change.is_some() {
            self.asked_again.get_or_insert_default().extend(asker);
            return;
        }
        let first = self.base.is_none();
        if !first {
            let _ = self.notifier.reloading();
        }
        let askers = asker.into_iter().collect();
        self.change = Some(Change { first, askers, ..Change::default() });
        let (context, present) = (Arc::clone(&self.context), self.present());
        let desk = self.desk.clone();
        let work = move || {
            let changed = change::change(&context, &present);
            desk.ask(Command::Changed(Box::new(changed)));
        };
        if let Err(failure) = spawn("change", work) {
            self.desk.ask(Command::Changed(Box::new(Err(failure))));
        }
    }

    fn present(&self) -> Present {
        let mut present = Present { base: self.base.clone(), ..Present::default() };
        for running in self.pipelines.iter().filter(|running| running.takes_reload()) {
            present.running.push(running.name().to_owned());
            running.add_known(&mut present.known);
        }
        present.actuators = self.pipelines.iter().flat_map(Running::actuators).collect();
        present
    }

    /// The thread's answer. The first configuration has to be good; a later one is only not taken.
    pub(crate) fn changed(&mut self, changed: Result<Changed, Failure>) -> Result<(), Failure> {
        let Some(change) = &mut self.change else { return Ok(()) };
        change.decided = true;
        match changed {
            Err(failure) if change.first => Err(failure),
            Err(failure) => {
                change.refused.push(failure);
                Ok(())
            }
            Ok(changed) => self.take_up(changed),
        }
    }

    fn take_up(&mut self, changed: Changed) -> Result<(), Failure> {
        let Changed { config, base, trust, listener, started, reloaded, gone_back, milestones } =
            changed;
        let (leaving, stopping) = (
            |it: &Running| config.pipelines.iter().all(|p| p.name != it.pipeline.name),
            self.stopping.is_some(),
        );
        let mut told = Vec::new();
        for running in self.pipelines.iter_mut().filter(|it| leaving(it)) {
            told.push(format!("pipeline {} ends", running.name()));
            running.leaving = true;
            running.stop();
        }
        for assembled in reloaded {
            let mut running = self.pipelines.iter_mut().filter(|running| running.takes_reload());
            if let Some(running) = running.find(|it| it.pipeline.name == assembled.pipeline.name) {
                running.reload(assembled);
            }
        }
        for mut running in started {
            if stopping {
                running.stop();
            }
            told.push(format!("pipeline {} begins", running.name()));
            self.pipelines.retain(|old| old.ended.is_none() || old.name() != running.name());
            self.pipelines.push(running);
        }
        if let Some(change) = &mut self.change {
            change.told.append(&mut told);
            change.refused.extend(gone_back.into_iter().map(|it| Failure::new(Exit::Model, it)));
        }
        if self.base.is_none() {
            self.start = self.context.since_start(milestones);
        }
        self.base = Some(Arc::clone(&base));
        match (&self.door, listener) {
            (Some(door), _) => door.replace(config.access),
            (None, listener) => {
                let door = Door::new(config.access);
                self.door = Some(door.clone());
                if let Some(listener) = listener {
                    return self.open(listener, &base, door, trust);
                }
            }
        }
        Ok(())
    }

    /// A pipeline has taken the change up, or refuses it.
    pub(crate) fn reloaded(&mut self, index: usize, result: Result<Vec<String>, RunError>) {
        if let Err(error) = &result {
            self.blame_refusal(index, error);
        }
        let running = &mut self.pipelines[index];
        let settled = match &result {
            Ok(stages) if stages.is_empty() => None,
            Ok(stages) => Some(Ok(format!("pipeline {}: {}", running.name(), stages.join(", ")))),
            Err(error) => Some(Err(run_failure(running.wanted(), error))),
        };
        running.settle(result.is_ok());
        match (settled, &mut self.change) {
            (Some(Ok(told)), Some(change)) => change.told.push(told),
            (Some(Err(failure)), Some(change)) => change.refused.push(failure),
            _ => (),
        }
    }

    /// A new model whose stage cannot begin with it is what kept the change from being taken.
    fn blame_refusal(&self, index: usize, error: &RunError) {
        if let Some(stage) = error.stage() {
            self.blame(index, stage, &error.to_string());
        }
    }

    /// A pipeline that has ended takes nothing up any more.
    pub(crate) fn reloaded_too_late(&mut self, index: usize) {
        if self.pipelines[index].is_changing() {
            self.reloaded(index, Err(RunError::Busy("at its end")));
        }
    }

    /// Says what came of the change, once all of it is decided.
    pub(crate) fn finish_change(&mut self) {
        let settled = self.pipelines.iter().all(|running| !running.is_changing());
        let Some(change) = self.change.take_if(|change| change.decided && settled) else { return };
        let answer = self.tell_change(&change);
        self.well_since = std::time::Instant::now();
        self.record_actuators();
        change.askers.into_iter().for_each(|asker| asker.answer(&answer));
        let _ = self.notifier.ready();
        self.tell_status();
        settings::release_code(self.base.as_ref().is_some_and(|base| base.memory_locked));
        if let Some(askers) = self.asked_again.take() {
            self.begin_change(None);
            if let Some(change) = &mut self.change {
                change.askers = askers;
            }
        }
    }

    fn tell_change(&mut self, change: &Change) -> Result<String, Failure> {
        if let Some(first) = change.refused.first() {
            let lines: Vec<&str> = change.refused.iter().map(|it| it.message.as_str()).collect();
            let failure = Failure::new(first.exit, lines.join("\n"));
            log::error(&failure.message);
            log::line(
                Level::Error,
                "",
                "not all of the configuration was taken; what ran before runs on",
            );
            self.reload_refused = Some(failure.message.clone());
            return Err(failure);
        }
        let told = match change.told.as_slice() {
            [] => "nothing changes".to_owned(),
            told => told.join("; "),
        };
        if change.first {
            let text = if self.pipelines.is_empty() { self.what_to_do() } else { told.clone() };
            log::line(Level::Info, "", &text);
        } else {
            self.reloads += 1;
            self.reload_refused = None;
            log::line(Level::Info, "", &format!("configuration read again: {told}"));
        }
        Ok(told)
    }

    /// The list that is left for after the daemon's death names what runs now, no more and no less.
    fn record_actuators(&self) {
        let Some(base) = &self.base else { return };
        let actuators: Vec<_> = self.pipelines.iter().flat_map(Running::actuators).collect();
        let run = &base.board.paths.run;
        if (!actuators.is_empty() || fail_safe::is_recorded(run))
            && let Err(failure) = fail_safe::record(run, actuators)
        {
            log::line(Level::Error, "", &failure.message);
        }
    }
}
