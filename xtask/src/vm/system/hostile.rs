//! Users of the box who mean ill: one who belongs to nothing, and one of the group edgemill who was given no right.
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::guest::{Guest, SHARE};

const SECONDS: u32 = 10;

/// Both attack the control socket and whatever lies about; the daemon goes on, and says who was refused.
pub fn user(guest: &mut Guest) -> Result<String> {
    guest.put("/run/sysusers.d/hostile.conf", "u stranger -\nu member -\nm member edgemill\n")?;
    guest.run(&format!("systemd-sysusers && install -m 0755 {SHARE}/hostile /tmp/hostile"))?;
    let (pid, began, cursor) = (guest.pid()?, Instant::now(), guest.cursor()?);
    let stranger = attack(guest, "stranger")?;
    let member = attack(guest, "member")?;
    ensure!(guest.pid()? == pid, "the daemon is another process now");
    ensure!(guest.wire.changes_since(began) == 0, "the line changed meanwhile");
    guest.goes_on()?;
    let count = |report: &Value, name: &str| report[name].as_u64().unwrap_or_default();
    ensure!(count(&stranger, "connections") == 0, "a stranger was let in: {stranger}");
    for name in ["connections", "denied", "bad_request", "descriptors"] {
        ensure!(count(&member, name) > 5, "the member tried too little: {member}");
    }
    let said = guest.journal(&cursor)?;
    for refusal in ["user `member` may not", ": the request ", "more refused before"] {
        ensure!(said.contains(refusal), "no `{refusal}` is in the log: {said:.2000}");
    }
    Ok(format!("nothing gained; member: {member}"))
}

fn attack(guest: &mut Guest, user: &str) -> Result<Value> {
    let command = format!(
        "setpriv --reuid={user} --regid={user} --init-groups /tmp/hostile /run/edgemill {SECONDS} 1"
    );
    let limit = Duration::from_secs(120);
    let said = guest.machine.shell()?.run(&command, limit).with_context(|| format!("as {user}"))?;
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("the attack said {said}"))
}
