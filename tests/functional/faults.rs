//! Errors and panics of a stage, and what its failure policy makes of them.
use crate::counts::{self, balances, edge, pipeline, stage};
use crate::site::Site;

/// A source that paces itself, a stage in between, a sink; `more` is for the stage in between.
fn faulty(site: &Site, params: &str, more: &str) {
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
         params = {{ role = \"source\", count = 400, pace-us = 1000 }}\n\
         [[stage]]\nname = \"middle\"\nplugin = \"probe\"\n{more}\n\
         params = {{ role = \"pass\", {params}, path = \"../middle.jsonl\" }}\n\
         input = {{ from = \"source\", overflow = \"block\" }}\n\
         [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = {{ role = \"sink\", path = \"../sink.jsonl\" }}\n\
         input = {{ from = \"middle\", overflow = \"block\" }}\n"
    );
    site.plugin("probe").pipeline("p", &stages);
}

#[test]
fn a_stage_that_fails_gets_a_new_instance_and_its_losses_are_counted() {
    for fault in ["error-at = 20", "panic-at = 20"] {
        let site = Site::new();
        faulty(&site, fault, "on-failure = \"restart\"");
        let report = site.run();
        let pipeline = pipeline(&report, "p");
        balances(pipeline);
        let middle = stage(pipeline, "middle");
        assert_eq!((middle.faulted, middle.restarts), (1, 1), "{fault}: {middle:?}");
        let own = counts::read(&site.folder.join("middle.jsonl"));
        assert_eq!((own.faulted, own.instances), (1, 2), "{fault}");
        let to_middle = edge(pipeline, "middle.in");
        assert_eq!(to_middle.sent, 400, "{fault}");
        assert!(stage(pipeline, "sink").delivered > 20, "{fault}: it goes on after the fault");
    }
}

#[test]
fn a_bypass_lets_packets_go_past_meanwhile() {
    let site = Site::new();
    faulty(&site, "error-at = 20", "on-failure = \"bypass\"");
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    let middle = stage(pipeline, "middle");
    assert!(middle.bypassed > 0, "{middle:?}");
    assert_eq!(middle.faulted, 1, "{middle:?}");
    assert_eq!(stage(pipeline, "sink").delivered, 399, "only the packet that failed is lost");
}

#[test]
fn a_halt_stops_the_pipeline_and_the_exit_code_says_so() {
    let site = Site::new();
    faulty(&site, "error-at = 20", "on-failure = \"halt\"");
    let ended = site.start().wait();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("middle"), "{}", ended.stderr);
    assert!(ended.stderr.contains("it fails on command"), "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report.exit_code, 7);
    balances(pipeline(&report, "p"));
}

#[test]
fn a_stage_that_fails_again_and_again_is_held_with_the_reason() {
    let site = Site::new();
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
        params = { role = \"source\", pace-us = 1000 }\n\
        [[stage]]\nname = \"middle\"\nplugin = \"probe\"\nparams = { role = \"pass\", error-at = 0, every = 1 }\n\
        input = { from = \"source\", overflow = \"block\" }\n\
        [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = { role = \"sink\" }\n\
        input = { from = \"middle\", overflow = \"block\" }\n";
    site.plugin("probe").pipeline("p", stages);
    let daemon = site.start();
    let status = daemon
        .wait_until(|status| status.pipelines[0].stages.iter().any(|stage| stage.state == "held"));
    let middle = status.pipelines[0].stages.iter().find(|stage| stage.name == "middle").unwrap();
    assert!(middle.restarts > 0, "{middle:?}");
    assert!(
        middle.reason.as_ref().is_some_and(|it| it.contains("it fails on command")),
        "{middle:?}"
    );
    daemon.signal("TERM");
    let ended = daemon.wait();
    balances(pipeline(&ended.report(), "p"));
}
