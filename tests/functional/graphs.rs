//! Graphs that are not a line: tees, joins, and several pipelines in one daemon.
use crate::counts::{self, balances, edge, pipeline, stage};
use crate::site::Site;

#[test]
fn a_tee_gives_every_branch_a_copy_and_a_join_puts_them_together() {
    const COUNT: u64 = 5000;
    let site = Site::new();
    let blocking =
        |from: &str| format!("{{ from = \"{from}\", overflow = \"block\", capacity = 8 }}");
    let stages = format!(
        "[[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = {{ role = \"source\", count = {COUNT} }}\n\
         [[stage]]\nname = \"left\"\nplugin = \"probe\"\nparams = {{ role = \"pass\" }}\ninput = {source}\n\
         [[stage]]\nname = \"right\"\nplugin = \"probe\"\nparams = {{ role = \"pass\" }}\ninput = {source}\n\
         [[stage]]\nname = \"join\"\nplugin = \"probe\"\n\
         params = {{ role = \"sink\", inputs = 2, path = \"../join.jsonl\" }}\n\
         inputs = {{ in0 = {left}, in1 = {right} }}\njoin = {{ timeout-ms = 60000 }}\n",
        source = blocking("source"),
        left = blocking("left"),
        right = blocking("right"),
    );
    site.plugin("probe").pipeline("p", &stages);
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    assert_eq!(stage(pipeline, "source").emitted, COUNT);
    for branch in ["left.in", "right.in", "join.in0", "join.in1"] {
        assert_eq!(edge(pipeline, branch).received, COUNT, "{branch}");
    }
    assert_eq!(counts::read(&site.folder.join("join.jsonl")).received, 2 * COUNT);
}

#[test]
fn a_join_counts_what_finds_no_partner() {
    let site = Site::new();
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = { role = \"source\", count = 1000 }\n\
        [[stage]]\nname = \"thin\"\nplugin = \"probe\"\n\
        params = { role = \"pass\", error-at = 3 }\n\
        input = { from = \"source\", overflow = \"block\" }\n\
        [[stage]]\nname = \"join\"\nplugin = \"probe\"\nparams = { role = \"sink\", inputs = 2 }\n\
        inputs = { in0 = { from = \"source\", overflow = \"block\" }, in1 = { from = \"thin\", overflow = \"block\" } }\n\
        join = { timeout-ms = 50 }\n";
    site.plugin("probe").pipeline("p", stages);
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    let whole = edge(pipeline, "join.in0");
    assert!(whole.dropped["unmatched"] > 0, "{whole:?}");
}

#[test]
fn several_pipelines_run_in_one_daemon_each_with_its_own_account() {
    let site = Site::new();
    site.plugin("probe");
    for (name, count) in [("one", 1000), ("two", 2000), ("three", 3000)] {
        let stages = format!(
            "[[stage]]\nname = \"source\"\nplugin = \"probe\"\nparams = {{ role = \"source\", count = {count} }}\n\
             [[stage]]\nname = \"sink\"\nplugin = \"probe\"\nparams = {{ role = \"sink\" }}\n\
             input = {{ from = \"source\", overflow = \"block\" }}\n"
        );
        site.pipeline(name, &stages);
    }
    let report = site.run();
    for (name, count) in [("one", 1000), ("two", 2000), ("three", 3000)] {
        let pipeline = pipeline(&report, name);
        balances(pipeline);
        assert_eq!(stage(pipeline, "sink").delivered, count, "{name}");
    }
}
