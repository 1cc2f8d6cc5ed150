//! The trials beside the ordinary life: each leads instances through a part of it, in a child process of its own, and
//! notes what it finds under the check it stands for.
use edgemill_abi::{ParamKind, Reason, Status, raw};
use edgemill_model::contract::Window;

use super::ledger::Supply;
use super::rig::{Activation, Refusal, Rig, word};
use super::{Findings, Subject, allocations};
use crate::params::{self, ParamInput, RawValues};

/// Calls of `process` in one activation.
pub(super) const CALLS: usize = 8;

/// An instance. What keeps it from being made was found in the ordinary life, so that `check` says nothing.
fn made<'s>(
    subject: &'s Subject,
    seed: u64,
    check: &str,
    findings: &mut Findings,
) -> Option<Rig<'s>> {
    let rig = Rig::new(subject, seed).ok();
    if rig.is_none() {
        findings.skip(check, "no instance can be made");
    }
    rig
}

/// An instance that is active, as [`made`].
fn active<'s>(
    subject: &'s Subject,
    seed: u64,
    check: &str,
    findings: &mut Findings,
) -> Option<Rig<'s>> {
    let mut rig = made(subject, seed, check, findings)?;
    let active = matches!(rig.activate(), Activation::Answered(raw::OK));
    if !active {
        findings.skip(check, "it cannot be activated");
    }
    active.then_some(rig)
}

/// No buffer to be had, then a host that is stopping: a stage gets by, call after call.
pub(super) fn no_buffer(subject: &Subject, findings: &mut Findings) {
    let Some(mut rig) = made(subject, 2, "no-buffer", findings) else { return };
    for supply in [Supply::NoBuffer, Supply::Stopping, Supply::Normal] {
        if !matches!(rig.activate(), Activation::Answered(raw::OK)) {
            return findings.skip("no-buffer", "it cannot be activated twice here");
        }
        rig.bench().supply = supply;
        for _ in 0..CALLS {
            if rig.drive() == raw::ERR_FAULT {
                findings.fail("no-buffer", "the plugin is at fault when there is no buffer");
            }
        }
        rig.deactivate();
        if let Some(fault) = rig.bench().faults().get("released") {
            findings.fail("no-buffer", format!("with no buffer to be had: {fault}"));
        }
    }
}

/// An instance that runs beside a second one, made and ended while it runs, gives what it gave alone. The clock and
/// the inputs are the same, so a difference is a state that instances share.
pub(super) fn two_instances(subject: &Subject, findings: &mut Findings) {
    let mut other = None;
    let alone = output_of(subject, &mut other, |_, _| {});
    if alone.is_none() {
        return findings.skip("two-instances", "it cannot be activated");
    }
    let mut refused = false;
    let beside = output_of(subject, &mut other, |other, call| match call {
        0 => {
            *other = Rig::new(subject, 9).ok();
            let active = other.as_mut().map(Rig::activate);
            refused = !matches!(active, Some(Activation::Answered(raw::OK)));
        }
        5 => {
            if let Some(mut other) = other.take() {
                if !refused {
                    other.deactivate();
                }
                other.destroy();
            }
        }
        _ => {
            let _ = other.as_mut().filter(|_| !refused).map(Rig::drive);
        }
    });
    if refused && !subject.library.descriptor().actuator {
        findings.fail("two-instances", "a second instance cannot be made or activated");
    }
    if beside != alone {
        findings.fail("two-instances", "an instance gives other output beside a second one");
    }
}

/// What an instance emits in eight calls; `meanwhile` runs before each.
fn output_of<'s>(
    subject: &'s Subject,
    other: &mut Option<Rig<'s>>,
    mut meanwhile: impl FnMut(&mut Option<Rig<'s>>, usize),
) -> Option<Vec<u64>> {
    let mut rig = Rig::new(subject, 3).ok()?;
    let Activation::Answered(raw::OK) = rig.activate() else { return None };
    for call in 0..CALLS {
        meanwhile(other, call);
        rig.drive();
    }
    let emitted = rig.bench().take_emissions();
    rig.deactivate();
    rig.destroy();
    Some(emitted)
}

/// A value that nobody has declared: refused by the host, and harmless to `create`.
pub(super) fn unknown_parameter(subject: &Subject, findings: &mut Findings) {
    let unknown = ("edgemill-undeclared", ParamInput::Int(1));
    let given = [(unknown.0.to_owned(), unknown.1.clone())];
    if params::check(subject.library.descriptor(), &given).is_ok() {
        findings.fail("unknown-parameter", "the plugin declares `edgemill-undeclared`");
    }
    let values = subject.values.iter().chain([(unknown.0, &unknown.1)]);
    create_with(subject, values, "unknown-parameter", findings);
}

/// Values of the wrong type, out of range and not among the choices; also harmless to `create`.
pub(super) fn bad_parameter(subject: &Subject, findings: &mut Findings) {
    for param in &subject.library.descriptor().params {
        for bad in bad_values(param) {
            let others = subject.values.iter().filter(|(name, _)| *name != param.name);
            let values = others.chain([(param.name.as_str(), &bad)]);
            create_with(subject, values, "bad-parameter", findings);
        }
    }
}

fn bad_values(param: &crate::Param) -> Vec<ParamInput> {
    let wrong_type = match param.kind {
        ParamKind::String => ParamInput::Int(7),
        _ => ParamInput::String("seven".to_owned()),
    };
    let mut bad = vec![wrong_type];
    match param.kind {
        ParamKind::Int => bad.extend([ParamInput::Int(i64::MIN), ParamInput::Int(i64::MAX)]),
        ParamKind::Float => {
            bad.extend([f64::NAN, f64::INFINITY, -f64::MAX, f64::MAX].map(ParamInput::Float));
        }
        ParamKind::String if !param.choices.is_empty() => {
            bad.push(ParamInput::String("edgemill-no-such-choice".to_owned()));
        }
        ParamKind::String | ParamKind::Bool => {}
    }
    bad
}

/// No values at all: refused where one is required, and harmless.
pub(super) fn missing_parameter(subject: &Subject, findings: &mut Findings) {
    let required = subject.library.descriptor().params.iter().find(|p| p.required);
    match (required, Rig::with_values(subject, &[])) {
        (Some(param), Ok(_)) => findings.fail(
            "missing-parameter",
            format!("create answers OK without `{}`, which is required", param.name),
        ),
        (_, Err(Refusal::Create(status))) if Status::from_raw(status).is_none() => {
            findings
                .fail("missing-parameter", format!("create answers {status}, which is no status"));
        }
        _ => {}
    }
}

fn create_with<'a>(
    subject: &Subject,
    values: impl Iterator<Item = (&'a str, &'a ParamInput)>,
    check: &'static str,
    findings: &mut Findings,
) {
    let values = RawValues::new(values);
    if let Err(Refusal::Create(status)) = Rig::with_values(subject, values.as_slice())
        && Status::from_raw(status).is_none()
    {
        findings.fail(check, format!("create answers {status}, which is no status"));
    }
}

/// `process` before activate and after deactivate answers an error and does nothing.
pub(super) fn order(subject: &Subject, findings: &mut Findings) {
    let Some(mut rig) = made(subject, 5, "order", findings) else { return };
    let refuses = |rig: &mut Rig<'_>, when: &str, findings: &mut Findings| {
        let reason = if rig.ports.inputs.is_empty() { Reason::Turn } else { Reason::Input };
        let status = rig.call(reason);
        if status >= raw::OK {
            findings.fail("order", format!("process answers {} {when}", word(status)));
        }
    };
    refuses(&mut rig, "before activate", findings);
    if let Activation::Answered(raw::OK) = rig.activate() {
        rig.drive();
        rig.deactivate();
        refuses(&mut rig, "after deactivate", findings);
    }
}

/// No contract, and one of another model: refused or not, but harmless.
pub(super) fn contract(subject: &Subject, findings: &mut Findings) {
    let mut other = subject.contract.clone();
    other.contract.picture = None;
    other.contract.window = Some(Window { samples: 1, hop: 1, rate_hz: 1.0 });
    other.contract.outputs = other.contract.inputs.clone();
    other.contract.labels.clear();
    for (what, contract) in [("no contract", None), ("another contract", Some(&other))] {
        match Rig::with_contract(subject, contract) {
            Err(Refusal::Ports(status)) if Status::from_raw(status).is_none() => {
                findings.fail("contract", format!("ports answers {status} to {what}"));
            }
            Err(Refusal::PortsFault(fault)) => {
                findings.fail("contract", format!("with {what}: {fault}"));
            }
            _ => {}
        }
    }
}

/// No model, half of one and rubbish: no crash, and an error from a plugin that needs its model.
pub(super) fn model(subject: &Subject, findings: &mut Findings) {
    let needs_model = activates(subject, None, findings) == Some(false);
    let half = &subject.model[..subject.model.len() / 2];
    let rubbish = vec![0xa5; subject.model.len()];
    if half.is_empty() {
        return;
    }
    for (what, bytes) in [("half a model", half), ("rubbish", &rubbish[..])] {
        if activates(subject, Some(bytes), findings) == Some(true) && needs_model {
            findings.fail("model", format!("activate answers OK to {what}"));
        }
    }
}

/// Whether it becomes active with this model; one call of `process` if so.
fn activates(subject: &Subject, model: Option<&[u8]>, findings: &mut Findings) -> Option<bool> {
    let mut rig = Rig::new(subject, 6).ok()?;
    let Activation::Answered(status) = rig.activate_with(model) else { return None };
    if status == raw::OK {
        rig.drive();
        rig.deactivate();
    } else if Status::from_raw(status).is_none() {
        findings.fail("model", format!("activate answers {status}, which is no status"));
    }
    Some(status == raw::OK)
}

/// `process` of a plugin that says REALTIME calls no allocator, from its first call on.
pub(super) fn realtime(subject: &Subject, findings: &mut Findings) {
    if !subject.library.descriptor().realtime {
        return findings.skip("realtime", "the plugin does not promise it");
    }
    let Some(counter) = allocations::Counter::find() else {
        return findings.skip("realtime", "the allocator cannot be watched on this system");
    };
    let Some(mut rig) = active(subject, 7, "realtime", findings) else { return };
    rig.counter = Some(counter);
    for call in 1..=4 * CALLS {
        rig.drive();
        let calls = rig.allocations;
        if calls > 0 {
            findings.fail(
                "realtime",
                format!("process calls the allocator {calls} times in call {call}"),
            );
        }
    }
    rig.deactivate();
}

/// The safe state: before activate, active, after deactivate; each time twice.
pub(super) fn fail_safe(subject: &Subject, findings: &mut Findings) {
    let Some(mut rig) = made(subject, 8, "fail-safe", findings) else { return };
    let Some(fail_safe) = rig.fail_safe() else {
        return match subject.library.descriptor().actuator {
            true => findings
                .fail("fail-safe", "an actuator, but it has no extension edgemill.fail_safe/1"),
            false => findings.skip("fail-safe", "the plugin drives nothing"),
        };
    };
    // SAFETY: an extension's state is NULL or a text ended by NUL, valid until destroy.
    let state = unsafe { crate::descriptor::text("state", fail_safe.state, 512) };
    match state {
        Ok(state) if state.is_empty() => findings.fail("fail-safe", "says nothing of its state"),
        Ok(_) => {}
        Err(fault) => findings.fail("fail-safe", fault.to_string()),
    }
    let twice = |rig: &mut Rig<'_>, when: &str, findings: &mut Findings| {
        for time in ["first", "second"] {
            let status = rig.apply(&fail_safe);
            if status == raw::ERR_IO {
                findings.skip("fail-safe", "apply found no device or file; see its parameters");
            } else if status != raw::OK {
                findings.fail(
                    "fail-safe",
                    format!("apply answers {} {when}, the {time} time", word(status)),
                );
            }
        }
    };
    twice(&mut rig, "before activate", findings);
    if let Activation::Answered(raw::OK) = rig.activate() {
        rig.drive();
        twice(&mut rig, "while active", findings);
        rig.deactivate();
        twice(&mut rig, "after deactivate", findings);
    }
}
