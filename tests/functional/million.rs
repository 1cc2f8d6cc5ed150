//! A million packets with random faults: two accounts, one truth.
use crate::counts::{self, balances, edge, pipeline, stage};
use crate::site::Site;

/// Errors and panics on the way over two stages that are bypassed meanwhile, and errors of a sink that is not: packets
/// go past, get lost and are counted everywhere. Every stage also appends what it counted by itself.
#[test]
fn the_daemons_account_is_the_plugins_own() {
    let count: u64 = if edgemill_tests::emulator::emulated() { 100_000 } else { 1_000_000 };
    let site = Site::new();
    let probe = |name: &str, more: &str| {
        format!(
            "[[stage]]\nname = \"{name}\"\nplugin = \"probe\"\n\
             params = {{ path = \"../{name}.jsonl\", {more} }}\n"
        )
    };
    let from = |stage: &str| {
        format!("input = {{ from = \"{stage}\", overflow = \"block\", capacity = 64 }}\n")
    };
    let stages = [
        probe("source", &format!("role = \"source\", count = {count}")),
        probe("first", "role = \"pass\", error-ppm = 30, seed = 7"),
        from("source") + "on-failure = \"bypass\"\n",
        probe("second", "role = \"pass\", panic-ppm = 30, seed = 8"),
        from("first") + "on-failure = \"bypass\"\n",
        probe("sink", "role = \"sink\", error-ppm = 30, seed = 9"),
        "input = { from = \"second\", overflow = \"drop-oldest\", capacity = 16 }\n".to_owned(),
    ];
    site.plugin("probe").pipeline("p", &stages.concat());
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);

    let own = |name: &str| counts::read(&site.folder.join(format!("{name}.jsonl")));
    let source = own("source");
    assert_eq!(source.emitted, count);
    assert_eq!(edge(pipeline, "first.in").sent, source.emitted);
    let mut before = source.emitted;
    for (name, next) in [("first", "second.in"), ("second", "sink.in")] {
        let (own, told) = (own(name), stage(pipeline, name));
        assert_eq!(told.received, before, "{name}: nothing is lost before it");
        assert_eq!(told.received, own.received + told.bypassed, "{name}");
        assert_eq!((told.passed, told.faulted), (own.emitted, own.faulted), "{name}");
        assert!(told.faulted > 0 && told.bypassed > 0, "{name}: {told:?}");
        before = edge(pipeline, next).sent;
        assert_eq!(before, own.emitted + told.bypassed, "{name}");
    }
    let (own, told) = (own("sink"), stage(pipeline, "sink"));
    assert_eq!(told.received, own.received);
    assert_eq!(told.faulted, own.faulted);
    assert_eq!(told.delivered, own.received - own.faulted);
    let to_sink = edge(pipeline, "sink.in");
    assert!(to_sink.dropped["overflow"] + to_sink.dropped["restart"] > 0, "{to_sink:?}");
}
