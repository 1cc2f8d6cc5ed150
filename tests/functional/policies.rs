//! Every overflow policy, with a sink that is slower than its source.
use crate::counts::{self, balances, edge, lost, pipeline, stage};
use crate::site::Site;

/// `count` packets as fast as they go, into a sink that takes 100 µs for each.
fn overflowing(site: &Site, policy: &str, count: u64) {
    let counts = site.folder.join("sink.jsonl");
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = {{ role = \"source\", count = {count} }}\n\
         [[stage]]\nname = \"sink\"\nplugin = \"probe\"\n\
         params = {{ role = \"sink\", slow-ppm = 1_000_000, slow-us = 100, path = \"{}\" }}\n\
         input = {{ from = \"source\", {policy} }}\n",
        counts.display()
    );
    site.plugin("probe").pipeline("p", &stages);
}

#[test]
fn each_policy_drops_what_it_says_and_counts_it() {
    const COUNT: u64 = 2000;
    let cases = [
        ("overflow = \"block\", capacity = 2", "block", false),
        ("overflow = \"drop-oldest\", capacity = 4", "drop-oldest", true),
        ("overflow = \"drop-newest\", capacity = 4", "drop-newest", true),
        ("overflow = \"latest\"", "latest", true),
    ];
    for (policy, word, drops) in cases {
        let site = Site::new();
        overflowing(&site, policy, COUNT);
        let report = site.run();
        let pipeline = pipeline(&report, "p");
        balances(pipeline);
        let edge = edge(pipeline, "sink.in");
        assert_eq!(edge.overflow, word);
        let source = stage(pipeline, "source");
        assert_eq!(edge.sent, source.emitted, "{word}");
        assert_eq!(edge.queued, 0, "{word}");
        assert_eq!(lost(edge) > 0, drops, "{word}: {edge:?}");
        assert_eq!(lost(edge), edge.dropped["overflow"], "{word}: {edge:?}");
        let own = counts::read(&site.folder.join("sink.jsonl"));
        assert_eq!(own.received, edge.received, "{word}: the plugin counted otherwise");
        assert_eq!(stage(pipeline, "sink").delivered, edge.received, "{word}");
        if !drops {
            assert_eq!(edge.sent, COUNT, "nothing is lost where the sender waits");
        }
    }
}

#[test]
fn what_is_past_its_deadline_is_dropped_unread() {
    let site = Site::new();
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\ndeadline-ms = 1\n\
        params = { role = \"source\", count = 200 }\n\
        [[stage]]\nname = \"sink\"\nplugin = \"probe\"\n\
        params = { role = \"sink\", slow-ppm = 1_000_000, slow-us = 2000 }\n\
        input = { from = \"source\", overflow = \"block\", capacity = 8 }\n";
    site.plugin("probe").pipeline("p", stages);
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    let edge = edge(pipeline, "sink.in");
    assert!(edge.dropped["stale"] > 0, "{edge:?}");
    assert_eq!(lost(edge), edge.dropped["stale"], "{edge:?}");
}
