//! Whatever is sent to the control socket, the daemon refuses it and goes on. As another user, the same attack runs in
//! `cargo xtask vm hostile_user`.
use std::time::Duration;

use edgemill_tests::hostile::Attacker;

use crate::site::Site;

#[test]
fn nothing_that_is_sent_disturbs_the_daemon() {
    let site = Site::new();
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
        params = { role = \"source\", kind = \"event\", pace-us = 1000 }\n\
        [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = { role = \"sink\", kind = \"event\" }\n\
        input = \"source\"\n";
    site.plugin("probe").pipeline("p", stages);
    let daemon = site.start();
    let delivered = |status: &edgemill_control::Status| {
        status.pipelines.first().map_or(0, |pipeline| pipeline.stages[1].delivered)
    };
    let before = daemon.wait_until(|status| delivered(status) > 0);
    let attacker = Attacker::new(&site.run_folder(), 1, true);
    let report = attacker.attack(Duration::from_secs(3)).unwrap();
    assert!(report.bad_request > 20 && report.descriptors > 5, "{report:?}");
    let after = daemon.wait_until(|status| delivered(status) > delivered(&before) + 1000);
    assert_eq!(after.daemon.pid, daemon.pid());
    daemon.signal("TERM");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = ended.stderr.lines().filter(|line| line.contains("control: uid ")).count() as u64;
    assert!(
        said > 1 && said < 20,
        "{said} of {} refusals are told: {}",
        report.bad_request,
        ended.stderr
    );
}
