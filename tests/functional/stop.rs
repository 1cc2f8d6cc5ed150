//! SIGTERM: what is under way arrives, or is dropped and counted; either way the end comes in bounded time.
use crate::counts::{self, balances, edge, lost, pipeline, stage};
use crate::site::Site;

/// A source without end, and a sink that keeps packets waiting.
fn endless(site: &Site, on_stop: &str) {
    let stages = format!(
        "on-stop = \"{on_stop}\"\nstop-ms = 20000\n\
         [[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = {{ role = \"source\", path = \"../source.jsonl\" }}\n\
         [[stage]]\nname = \"sink\"\nplugin = \"probe\"\n\
         params = {{ role = \"sink\", slow-ppm = 1_000_000, slow-us = 500, path = \"../sink.jsonl\" }}\n\
         input = {{ from = \"source\", overflow = \"block\", capacity = 64 }}\n"
    );
    site.plugin("probe").pipeline("p", &stages);
}

#[test]
fn a_drain_lets_everything_arrive_and_a_drop_counts_it() {
    for (on_stop, signal) in [("drain", "TERM"), ("drop", "INT")] {
        let site = Site::new();
        endless(&site, on_stop);
        let daemon = site.start();
        daemon.wait_until(|status| {
            status.pipelines[0].edges.iter().any(|edge| edge.received > 10 && edge.queued > 8)
        });
        daemon.signal(signal);
        let ended = daemon.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let report = ended.report();
        let pipeline = pipeline(&report, "p");
        balances(pipeline);
        let edge = edge(pipeline, "sink.in");
        assert_eq!(edge.queued, 0, "{on_stop}: {edge:?}");
        assert_eq!(lost(edge), edge.dropped["stopped"], "{on_stop}: {edge:?}");
        match on_stop {
            "drain" => assert_eq!(edge.received, edge.sent, "{edge:?}"),
            _ => assert!(edge.dropped["stopped"] > 0, "{edge:?}"),
        }
        let (source, sink) = (site.folder.join("source.jsonl"), site.folder.join("sink.jsonl"));
        assert_eq!(counts::read(&source).emitted, edge.sent, "{on_stop}");
        assert_eq!(counts::read(&sink).received, edge.received, "{on_stop}");
        assert_eq!(stage(pipeline, "sink").state, "stopped");
    }
}

#[test]
fn a_stage_that_hangs_does_not_hold_up_the_end() {
    let site = Site::new();
    let stages = "stop-ms = 300\n\
        [[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = { role = \"source\", pace-us = 1000 }\n\
        [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nhang-ms = 60000\n\
        params = { role = \"sink\", hang-at = 5, hang-ms = 600000 }\ninput = \"source\"\n";
    site.plugin("probe").pipeline("p", stages);
    let daemon = site.start();
    daemon.wait_until(|status| status.pipelines[0].stages.iter().any(|stage| stage.in_call > 0));
    std::thread::sleep(std::time::Duration::from_millis(50));
    daemon.signal("TERM");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("sink"), "{}", ended.stderr);
}
