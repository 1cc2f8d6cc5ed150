//! One call, in each role.
use std::collections::VecDeque;
use std::thread::sleep;
use std::time::{Duration, Instant};

use edgemill_sdk::{Call, Error, Event, Input, Name, Reason, Result, Retained, Status};

use crate::counts::Counts;
use crate::faults::{Fault, Faults};
use crate::params::{Flows, Params, Role};

/// The longest sleep of a source in one turn, far below any hang limit.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// From activate to deactivate.
pub struct Run<'m> {
    role: Role,
    kind: Flows,
    count: u64,
    pace_us: u64,
    hold: usize,
    hang: Duration,
    slow: Duration,
    path: Option<String>,
    faults: Faults,
    inputs: usize,
    outputs: usize,
    /// Turns of a source that were not slept away.
    turns: u64,
    began: Option<Instant>,
    held: VecDeque<Retained<'m>>,
}

impl<'m> Run<'m> {
    pub fn new(params: &Params, faults: Faults, inputs: usize, outputs: usize) -> Self {
        let hold = params.hold as usize;
        Self {
            role: params.role,
            kind: params.kind,
            count: params.count,
            pace_us: params.pace_us,
            hold,
            hang: Duration::from_millis(params.hang_ms),
            slow: Duration::from_micros(params.slow_us),
            path: params.path.clone(),
            faults,
            inputs,
            outputs,
            turns: 0,
            began: None,
            held: VecDeque::with_capacity(hold + 1),
        }
    }

    pub fn process(&mut self, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        match call.reason() {
            Reason::Turn => self.turn(counts, call),
            Reason::Input => self.input(counts, call),
            Reason::Flush => self.flush(counts, call),
            Reason::Timer => Ok(()),
        }
    }

    fn turn(&mut self, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        if self.count > 0 && self.turns >= self.count {
            call.end();
            return Ok(());
        }
        if !self.is_due() {
            return Ok(());
        }
        let n = self.turns;
        self.turns += 1;
        self.fail(n, counts)?;
        for port in 0..self.outputs {
            match self.kind {
                Flows::Event => call.emit(port, Event::named(Name::fitted("probe")))?,
                Flows::Tensor | Flows::Image | Flows::Series => match call.acquire(port) {
                    Ok(buffer) => call.emit(port, buffer)?,
                    Err(error) => return no_buffer(error, counts),
                },
            }
            counts.emitted += 1;
        }
        Ok(())
    }

    /// Sleeps until the next packet is due, or for as long as one turn may.
    fn is_due(&mut self) -> bool {
        if self.pace_us == 0 {
            return true;
        }
        let now = Instant::now();
        let since = Duration::from_micros(self.pace_us.saturating_mul(self.turns));
        let due = *self.began.get_or_insert(now) + since;
        let wait = due.saturating_duration_since(now);
        sleep(wait.min(LONGEST_SLEEP));
        wait <= LONGEST_SLEEP
    }

    fn input(&mut self, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        let mut first: Option<(usize, Input<'_>)> = None;
        for port in 0..self.inputs {
            if let Some(input) = call.input(port) {
                counts.received += 1;
                first = first.or(Some((port, input)));
            }
        }
        let Some((port, input)) = first else { return Ok(()) };
        if counts.first_capture_ns == 0 {
            counts.first_capture_ns = input.origin().capture_ns;
        }
        self.fail(input.origin().sequence, counts)?;
        match self.role {
            Role::Pass if self.hold > 0 => self.hold_back(port, counts, call),
            Role::Pass => self.pass(input, counts, call),
            Role::Sink | Role::Source => Ok(()),
        }
    }

    fn pass(&self, input: Input<'_>, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        for port in 0..self.outputs {
            call.emit(port, input)?;
            counts.emitted += 1;
        }
        Ok(())
    }

    /// Emits the oldest that is held, so that there is room for this one.
    fn hold_back(&mut self, port: usize, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        if self.held.len() >= self.hold {
            self.emit_oldest(counts, call)?;
        }
        self.held.extend(call.retain(port)?);
        Ok(())
    }

    fn flush(&mut self, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        counts.flushed += 1;
        counts.flushed_ns = call.host().now_ns();
        while !self.held.is_empty() {
            self.emit_oldest(counts, call)?;
        }
        Ok(())
    }

    fn emit_oldest(&mut self, counts: &mut Counts, call: &Call<'_, 'm>) -> Result<()> {
        let Some(oldest) = self.held.pop_front() else { return Ok(()) };
        call.forward(0, oldest)?;
        counts.emitted += 1;
        Ok(())
    }

    fn fail(&self, n: u64, counts: &mut Counts) -> Result<()> {
        match self.faults.of(n) {
            None => {}
            Some(Fault::Slow) => sleep(self.slow),
            Some(Fault::Hang) => {
                // Whoever hangs for good never gets to deactivate.
                counts.append(self.path.as_deref())?;
                sleep(self.hang);
            }
            Some(Fault::Error) => {
                counts.faulted += 1;
                return Err(Error::new(Status::Fault, "it fails on command"));
            }
            Some(Fault::Panic) => {
                counts.faulted += 1;
                panic!("it panics on command");
            }
            Some(Fault::Crash) => std::process::abort(),
        }
        Ok(())
    }
}

fn no_buffer(error: Error, counts: &mut Counts) -> Result<()> {
    counts.no_buffer += u64::from(error.status() == Status::NoBuffer);
    Err(error)
}
