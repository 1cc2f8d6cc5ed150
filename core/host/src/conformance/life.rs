//! The ordinary life of an instance, which most checks are made on.
use edgemill_abi::{Reason, raw};

use super::rig::{Refusal, Rig, word};
use super::trials::CALLS;
use super::{Findings, Subject};

/// The whole life, twice over the cycle; `process` and `deactivate` on a thread of their own.
pub(super) fn lead(subject: &Subject, findings: &mut Findings) {
    let mut rig = match Rig::new(subject, 1) {
        Ok(rig) => rig,
        Err(refusal) => {
            refusal.note(findings);
            return findings.skip_passed("it did not come to life");
        }
    };
    if rig.unknown_extension() {
        findings.fail("life-cycle", "get_extension answers to a name that nobody has defined");
    }
    ports_are_stable(&mut rig, findings);
    for cycle in 1..=2 {
        if !rig.activate().note(!subject.model.is_empty(), findings) {
            if cycle == 1 {
                findings.skip_passed("it did not become active");
            }
            break;
        }
        std::thread::scope(|scope| {
            let _ = scope.spawn(|| stage_thread(&mut rig, cycle, findings)).join();
        });
    }
    if findings.is_pass("life-cycle") {
        ports_are_stable(&mut rig, findings);
    }
    findings.take_all(&rig.bench());
    rig.destroy();
}

fn ports_are_stable(rig: &mut Rig<'_>, findings: &mut Findings) {
    match rig.ask_ports() {
        Ok(ports) if super::same_ports(&ports, &rig.ports) => {}
        Ok(_) => findings.fail("ports", "a later answer differs from the first"),
        Err(Refusal::Ports(status)) => {
            findings.fail("ports", format!("answered OK once, later {}", word(status)));
        }
        Err(refusal) => refusal.note(findings),
    }
}

fn stage_thread(rig: &mut Rig<'_>, cycle: usize, findings: &mut Findings) {
    if drive_all(rig, cycle, findings) {
        let timed = rig.ports.timer_ns > 0;
        answers_ok(rig, Reason::Timer, timed, "timer", "the plugin asks for no timer", findings);
        let fed = !rig.ports.inputs.is_empty();
        answers_ok(rig, Reason::Flush, fed, "flush", "a source has no input to end", findings);
    } else {
        findings.skip("timer", "process failed before");
        findings.skip("flush", "process failed before");
    }
    rig.deactivate();
}

/// False when a call has failed.
fn drive_all(rig: &mut Rig<'_>, cycle: usize, findings: &mut Findings) -> bool {
    for call in 1..=CALLS {
        match rig.drive() {
            raw::OK => {}
            raw::END if rig.ports.inputs.is_empty() => return true,
            raw::END => {
                findings.fail("statuses", "answered END to input, which only a source may");
                return false;
            }
            status => {
                findings.answer(&format!("process, call {call} of cycle {cycle},"), status);
                return false;
            }
        }
    }
    // A join whose partner did not come: the answer is the plugin's choice, a crash is not.
    let inputs = rig.ports.inputs.len();
    for alone in (0..inputs).filter(|_| inputs > 1) {
        rig.process(Reason::Input, |port| port == alone);
    }
    true
}

fn answers_ok(
    rig: &mut Rig<'_>,
    reason: Reason,
    applies: bool,
    check: &'static str,
    why_not: &str,
    findings: &mut Findings,
) {
    if !applies {
        return findings.skip(check, why_not);
    }
    let status = rig.call(reason);
    if status != raw::OK {
        let call = format!("process answers {} to {}", word(status), check.to_uppercase());
        findings.fail(check, call);
    }
}
