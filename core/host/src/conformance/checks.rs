//! What each check is about, in the order of the report.

/// Name and rule of every check.
pub(super) const CHECKS: &[(&str, &str)] = &[
    ("loads", "it is a shared object of this machine that exports edgemill_entry"),
    ("abi-version", "it was built for this version of the boundary"),
    ("struct-size", "its descriptor has the size of this version"),
    ("functions", "every required function is there"),
    ("descriptor", "id, version, summary and parameters are well formed"),
    ("extensions", "the host has every extension it requires"),
    ("no-crash", "no callback crashes, aborts or exits"),
    ("no-hang", "every callback comes back"),
    ("life-cycle", "create, ports, activate, process, deactivate, and again, each answers OK"),
    ("statuses", "it answers known statuses, and END only as a source"),
    ("ports", "its ports are well formed and stay the same"),
    ("host-calls", "it calls the host only where host.h allows, with valid arguments"),
    ("formats", "it emits only packets of the formats that were fixed"),
    ("burst", "it stays within `burst` buffers and packets in a call"),
    ("held", "it keeps no more than `held` inputs"),
    ("released", "it gives back all it holds by the end of deactivate, and nothing else"),
    ("borrowed", "it writes only into buffers that it acquired and has not emitted"),
    ("bounds", "it writes nothing behind the end of a buffer"),
    ("timer", "it answers OK to TIMER"),
    ("flush", "it answers OK to FLUSH"),
    ("no-buffer", "it gets by when there is no buffer, and when the host is stopping"),
    ("two-instances", "an instance does the same beside a second one"),
    ("unknown-parameter", "a parameter that it does not declare does no harm"),
    ("bad-parameter", "a value of the wrong type or out of range does no harm"),
    ("missing-parameter", "it refuses to be created without a required parameter"),
    ("order", "process answers an error unless it is active"),
    ("contract", "no contract, or that of another model, does no harm"),
    ("model", "no model, half a model or rubbish is refused and does no harm"),
    ("realtime", "process calls no allocator"),
    ("fail-safe", "its safe state can be applied at any time, again and again"),
];

/// What a check is about; empty for a name that is none.
pub(super) fn rule(check: &str) -> &'static str {
    CHECKS.iter().find(|(name, _)| *name == check).map_or("", |(_, rule)| rule)
}
