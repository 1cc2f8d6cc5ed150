//! SIGHUP: a good file changes what it changes and nothing else; a bad one changes nothing and is told of.
use crate::counts::{self, balances, pipeline, stage};
use crate::site::Site;

/// An endless pipeline whose sink has these parameters.
fn write(site: &Site, sink: &str) {
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
         params = {{ role = \"source\", pace-us = 200, path = \"../source.jsonl\" }}\n\
         [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = {{ role = \"sink\", {sink} }}\n\
         input = {{ from = \"source\", overflow = \"block\", capacity = 32 }}\n"
    );
    site.plugin("probe").pipeline("p", &stages);
}

#[test]
fn only_the_stage_that_changed_is_made_anew_and_nothing_is_lost() {
    let site = Site::new();
    write(&site, "path = \"../before.jsonl\"");
    let daemon = site.start();
    let delivered = |wanted: u64| {
        daemon.wait_until(move |status| {
            status.pipelines[0].stages.iter().any(|stage| stage.delivered > wanted)
        })
    };
    let before = delivered(100).pipelines[0].stages[1].delivered;
    write(&site, "path = \"../after.jsonl\"");
    daemon.signal("HUP");
    daemon.wait_until(|status| status.daemon.reloads == 1);
    delivered(before + 200);
    daemon.signal("TERM");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = ended.report();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    let own = |name: &str| counts::read(&site.folder.join(name));
    let (source, old, new) = (own("source.jsonl"), own("before.jsonl"), own("after.jsonl"));
    assert_eq!((source.instances, old.instances, new.instances), (1, 1, 1));
    assert_eq!(source.emitted, old.received + new.received, "nothing is lost on the way over");
    assert_eq!(stage(pipeline, "sink").received, old.received + new.received);
}

#[test]
fn pipelines_come_and_go() {
    let site = Site::new();
    write(&site, "path = \"../p.jsonl\"");
    let daemon = site.start();
    daemon.wait_until(|status| status.pipelines.len() == 1);
    let text = std::fs::read_to_string(site.folder.join("pipelines/p.toml")).unwrap();
    let second = site.write("pipelines/q.toml", &text.replace("name = \"p\"", "name = \"q\""));
    daemon.client().reload().unwrap();
    daemon.wait_until(|status| {
        let q = status.pipelines.iter().find(|pipeline| pipeline.name == "q");
        q.is_some_and(|q| q.stages.iter().any(|stage| stage.delivered > 10))
    });
    std::fs::remove_file(second).unwrap();
    daemon.client().reload().unwrap();
    let status = daemon.wait_until(|status| status.pipelines.len() == 1);
    assert_eq!(status.pipelines[0].name, "p");
    daemon.client().stop().unwrap();
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_of() {
    let cases = [
        ("malformed", "name = \"p", "p.toml:"),
        ("unknown key", "name = \"p\"\nstages = 1", "unknown key `stages`"),
        ("unknown parameter", "params = { role = \"sink\", rle = 1 }", "rle"),
        ("missing plugin", "plugin = \"prob\"", "prob"),
        ("ports that do not fit", "params = { role = \"sink\", bytes = 3 }", "sink.in"),
    ];
    let site = Site::new();
    write(&site, "path = \"../p.jsonl\"");
    let good = std::fs::read_to_string(site.folder.join("pipelines/p.toml")).unwrap();
    let daemon = site.start();
    daemon.wait_until(|status| status.pipelines.len() == 1);
    for (case, text, said) in cases {
        let bad = if text.starts_with("name") {
            text.to_owned()
        } else {
            let key = text.split(' ').next().unwrap();
            let (head, sink) = good.split_once("name = \"sink\"").unwrap();
            let lines = sink.lines().map(|line| if line.starts_with(key) { text } else { line });
            format!("{head}name = \"sink\"{}\n", lines.collect::<Vec<_>>().join("\n"))
        };
        site.write("pipelines/p.toml", &bad);
        let refused = daemon.client().reload().expect_err(case).to_string();
        assert!(refused.contains(said) && refused.contains("p.toml:"), "{case}: {refused}");
        assert!(refused.len() < 4096, "{case}");
        let status = daemon.client().status().unwrap();
        assert_eq!(status.daemon.reloads, 0, "{case}");
        assert!(status.daemon.reload_refused.is_some_and(|why| why.contains(said)), "{case}");
        assert!(status.pipelines[0].stages.iter().all(|stage| stage.state == "running"), "{case}");
    }
    daemon.signal("TERM");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = ended.report();
    balances(pipeline(&report, "p"));
    assert_eq!(counts::read(&site.folder.join("p.jsonl")).instances, 1, "one sink all the time");
}
