//! A new model that fails is gone back from by the box itself, whatever way it fails.
use edgemill_model::manifest::Boards;
use edgemill_store::author::KeyRing;

use crate::keys::{open, package, release, sign, signed_site};
use crate::site::{Daemon, Site};

/// A box with version 1.0.0 in use; version 2.0.0 will be a bad one, in this way.
fn site(bad: &str) -> (Site, KeyRing) {
    let (site, ring) = signed_site();
    sign(site.plugin("probe"), &ring, &["probe"]);
    site.write(
        "access.toml",
        "[[grant]]\npipeline = \"p\"\nstage = \"middle\"\nmodel = \"light\"\n",
    );
    let daemon = site.start();
    daemon.wait_until(|_| true);
    install(&site, &ring, &daemon, 1);
    install(&site, &ring, &daemon, 2);
    daemon.signal("TERM");
    daemon.wait();
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
         params = {{ role = \"source\", pace-us = 1000 }}\n\
         [[stage]]\nname = \"middle\"\nplugin = \"probe\"\nmodel = \"light\"\nhang-ms = 40\n\
         params = {{ role = \"pass\", bad-version = \"2.0.0\", bad-model = \"{bad}\" }}\n\
         input = \"source\"\n\
         [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = {{ role = \"sink\" }}\n\
         input = \"middle\"\n"
    );
    site.pipeline("p", &stages);
    (site, ring)
}

fn install(site: &Site, ring: &KeyRing, daemon: &Daemon, counter: u64) {
    let path = package(site, ring, "it.emp", release(counter, Boards::Any));
    daemon.client().install(&open(&path)).unwrap();
}

fn active(daemon: &Daemon) -> String {
    let models = daemon.client().models().unwrap();
    models[0].slots.iter().find(|slot| slot.slot == "active").unwrap().version.clone()
}

/// Decisions flow again, and with the model that did well.
fn goes_on_with_the_old_one(daemon: &Daemon) {
    let delivered = |status: &edgemill_control::Status| status.pipelines[0].stages[2].delivered;
    let before = daemon.wait_until(|status| !status.pipelines.is_empty());
    let before = delivered(&before);
    daemon.wait_until(|status| {
        status.pipelines[0].stages[1].state == "running" && delivered(status) > before + 20
    });
    assert_eq!(active(daemon), "1.0.0", "{}", daemon.stderr());
}

#[test]
fn one_that_is_refused_is_never_in_use_and_the_caller_is_told() {
    let (site, _) = site("refuse");
    let daemon = site.start();
    daemon.wait_until(|status| !status.pipelines.is_empty());
    let _ = daemon.client().activate("light");
    daemon.wait_until(|_| active(&daemon) == "1.0.0");
    goes_on_with_the_old_one(&daemon);
    let log = daemon.stderr();
    assert!(log.contains("model light 2.0.0 failed on probation, back to version 1.0.0"), "{log}");
}

#[test]
fn one_whose_stage_fails_for_good_is_gone_back_from_while_the_daemon_runs() {
    let (site, _) = site("error");
    let daemon = site.start();
    daemon.wait_until(|status| !status.pipelines.is_empty());
    daemon.client().activate("light").unwrap();
    assert_eq!(active(&daemon), "2.0.0");
    daemon.wait_until(|_| active(&daemon) == "1.0.0");
    goes_on_with_the_old_one(&daemon);
}

#[test]
fn one_that_ends_the_daemon_is_gone_back_from_on_a_later_start() {
    for (bad, most_starts) in [("hang", 1), ("crash", 3)] {
        let (site, _) = site(bad);
        let daemon = site.start();
        daemon.wait_until(|status| !status.pipelines.is_empty());
        // A crash may come before the answer.
        let _ = daemon.client().activate("light");
        let ended = daemon.wait();
        assert_ne!(ended.code, Some(0), "{bad}: {}", ended.stderr);
        let mut starts = 0;
        let daemon = loop {
            starts += 1;
            assert!(starts <= most_starts + 1, "{bad}: it would loop for ever");
            let mut daemon = site.start();
            if daemon.lives_until(|status| {
                status.pipelines.first().is_some_and(|it| it.stages[2].delivered > 20)
            }) {
                break daemon;
            }
        };
        goes_on_with_the_old_one(&daemon);
    }
}
