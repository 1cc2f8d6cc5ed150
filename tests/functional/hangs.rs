//! A stage that never comes back: its instance is given up, a new one takes its place, and the third time the daemon
//! ends for systemd to start it again.
use crate::counts::{balances, edge, pipeline, stage};
use crate::site::Site;

fn hanging(site: &Site, hang: &str, plugin: &str) {
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
         params = {{ role = \"source\", count = 600, pace-us = 1000 }}\n\
         [[stage]]\nname = \"middle\"\nplugin = \"probe\"\nhang-ms = 40\n\
         params = {{ role = \"pass\", {hang}, hang-ms = 600000 }}\n\
         input = {{ from = \"source\", overflow = \"block\" }}\n\
         [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = {{ role = \"sink\" }}\n\
         input = {{ from = \"middle\", overflow = \"block\" }}\n{plugin}"
    );
    site.plugin("probe").pipeline("p", &stages);
}

#[test]
fn a_hung_instance_is_given_up_and_a_new_one_goes_on() {
    let site = Site::new();
    hanging(&site, "hang-at = 50", "");
    let ended = site.start().wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = ended.report();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    let middle = stage(pipeline, "middle");
    assert_eq!((middle.hangs, middle.restarts, middle.faulted), (1, 1, 1), "{middle:?}");
    assert_eq!(edge(pipeline, "middle.in").sent, 600);
    assert!(stage(pipeline, "sink").delivered > 50, "it goes on after the hang");
    assert!(ended.stderr.contains("middle"), "{}", ended.stderr);
}

#[test]
fn at_the_third_hang_the_daemon_ends_with_its_code_and_its_report() {
    let site = Site::new();
    hanging(&site, "hang-at = 50, every = 100", "");
    let ended = site.start().wait();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("middle") && ended.stderr.contains("hung"), "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report.exit_code, 7);
    assert_eq!(stage(pipeline(&report, "p"), "middle").hangs, 3);
}
