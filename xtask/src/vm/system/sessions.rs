//! Machines that several cases share, each in its own state of configuration.
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

use super::base;
use super::guest::{BOOT, Guest, Power, words};
use crate::vm::Context;

/// A machine, or why there is none.
type Session = Mutex<Option<Result<Guest, String>>>;

/// As the box is.
static FIRST: Session = Mutex::new(None);
/// With a root that cannot be written to, its state on another disk, and without a clock.
static SECOND: Session = Mutex::new(None);

/// Shows a case on the box as it is.
pub fn first(
    context: &Context,
    name: &str,
    case: fn(&mut Guest) -> Result<String>,
) -> Result<String> {
    with(&FIRST, context, name, case, |context| {
        let base = base::ensure(context)?;
        let log = context.log("system");
        boot(&base, words(true), false, log)
    })
}

/// Shows a case on a box whose root cannot be written to and whose clock says 1970.
pub fn second(
    context: &Context,
    name: &str,
    case: fn(&mut Guest) -> Result<String>,
) -> Result<String> {
    // The first machine would take its share of the processor.
    stop(&FIRST);
    with(&SECOND, context, name, case, |context| {
        let base = base::ensure(context)?;
        let log = context.log("system-read-only");
        boot(&base, format!("{} edgemill.state=/dev/vdb", words(false)), true, log)
    })
}

fn boot(base: &base::Base, words: String, odd: bool, log: std::path::PathBuf) -> Result<Guest> {
    let mut guest = Guest::boot(Power {
        image: &base.image,
        disk: &base.disk,
        keeps: false,
        disks: if odd { vec![base.state.clone()] } else { Vec::new() },
        words,
        share: &base.share,
        more: if odd { &["-rtc", "base=1970-01-01T00:00:00"] } else { &[] },
        log,
    })?;
    guest.ready()?;
    guest.remember()?;
    // Each case begins on a box that decides.
    guest.wire.wait(true, guest.began, BOOT)?;
    Ok(guest)
}

fn with(
    session: &Session,
    context: &Context,
    name: &str,
    case: fn(&mut Guest) -> Result<String>,
    boot: fn(&Context) -> Result<Guest>,
) -> Result<String> {
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    let made = session.get_or_insert_with(|| boot(context).map_err(|error| format!("{error:#}")));
    match made {
        Ok(guest) if guest.is_on() => guest.show(&context.log(name), case),
        Ok(_) => {
            *session = None;
            Err(anyhow!("the machine was turned off by an earlier case; run this one by itself"))
        }
        Err(why) => {
            let why = anyhow!("{why}");
            std::fs::write(context.log(name), format!("{why}\n"))?;
            Err(why)
        }
    }
}

/// Cuts the power of the machines that still run.
pub fn end() {
    stop(&FIRST);
    stop(&SECOND);
}

fn stop(session: &Session) {
    *session.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
