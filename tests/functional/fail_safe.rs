//! Actuators go to their safe state: when the pipeline stops, and after the daemon has died.
use std::fs;
use std::path::Path;

use crate::programs;
use crate::site::Site;

fn acting(site: &Site, more: &str) {
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
         params = {{ role = \"source\", kind = \"event\", pace-us = 1000 }}\n\
         [[stage]]\nname = \"act\"\nplugin = \"actuate-log\"\n{more}\nparams = {{ path = \"../decisions.jsonl\" }}\n\
         input = \"source\"\n"
    );
    site.plugin("probe").plugin("actuate-log").pipeline("p", &stages);
}

fn last_line(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().last().unwrap_or_default().to_owned()
}

fn started(site: &Site) -> crate::site::Daemon {
    let daemon = site.start();
    daemon.wait_until(|status| status.pipelines[0].stages.iter().any(|stage| stage.delivered > 10));
    daemon
}

#[test]
fn a_stop_applies_it() {
    let site = Site::new();
    acting(&site, "");
    let daemon = started(&site);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code, Some(0));
    assert!(last_line(&site.folder.join("decisions.jsonl")).contains("fail-safe"));
}

#[test]
fn after_a_kill_the_verb_applies_it_from_the_list_alone() {
    let site = Site::new();
    acting(&site, "");
    let daemon = started(&site);
    daemon.signal("KILL");
    daemon.wait();
    let log = site.folder.join("decisions.jsonl");
    assert!(!last_line(&log).contains("fail-safe"));
    fs::remove_file(site.folder.join("pipelines/p.toml")).unwrap();
    fs::remove_file(site.folder.join("board.toml")).unwrap();
    let run = |name: &str| {
        let mut command = programs::program("edgemilld");
        command.arg("fail-safe").arg("--run").arg(site.folder.join(name)).current_dir("/");
        command.output().unwrap()
    };
    let applied = run("run");
    let said = String::from_utf8_lossy(&applied.stderr);
    assert_eq!(applied.status.code(), Some(0), "{said}");
    assert!(said.contains("act: put in its safe state"), "{said}");
    assert!(last_line(&log).contains("fail-safe"));

    let nothing = run("nowhere");
    assert_eq!(nothing.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no actuators have run here"));

    fs::write(site.folder.join("plugins/actuate-log.so"), "changed").unwrap();
    let changed = run("run");
    let said = String::from_utf8_lossy(&changed.stderr);
    assert_eq!(changed.status.code(), Some(4), "{said}");
    assert!(said.contains("p/act is NOT in its safe state"), "{said}");
}

#[test]
fn input_that_goes_stale_applies_it() {
    let site = Site::new();
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
        params = { role = \"source\", kind = \"event\", count = 20, pace-us = 1000, slow-at = 15, slow-us = 500000 }\n\
        [[stage]]\nname = \"act\"\nplugin = \"actuate-log\"\nstale-ms = 50\n\
        params = { path = \"../decisions.jsonl\" }\ninput = \"source\"\n";
    site.plugin("probe").plugin("actuate-log").pipeline("p", stages);
    site.run();
    let text = fs::read_to_string(site.folder.join("decisions.jsonl")).unwrap();
    let safe: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("fail-safe"))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(safe, [15, 21], "once in the pause, once at the end:\n{text}");
}
