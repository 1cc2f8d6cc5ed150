//! Stages run where their file says: read back from the kernel, from outside.
use std::collections::BTreeMap;
use std::fs;

use crate::site::{Daemon, Site};

/// Name and allowed cores of every thread.
fn threads(daemon: &Daemon) -> BTreeMap<String, String> {
    let tasks = format!("/proc/{}/task", daemon.pid());
    let read = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        Some((field("Name")?, field("Cpus_allowed_list")?))
    };
    fs::read_dir(tasks).unwrap().flatten().filter_map(read).collect()
}

#[test]
fn each_stage_runs_on_its_core_under_its_name() {
    let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
    let site = Site::new();
    let stages = format!(
        "[[stage]]\nname = \"first-core\"\nplugin = \"probe\"\ncpu = [0]\n\
         params = {{ role = \"source\", pace-us = 1000 }}\n\
         [[stage]]\nname = \"last-core\"\nplugin = \"probe\"\ncpu = [{last}]\nparams = {{ role = \"pass\" }}\n\
         input = \"first-core\"\n\
         [[stage]]\nname = \"both-cores\"\nplugin = \"probe\"\nparams = {{ role = \"sink\" }}\ninput = \"last-core\"\n\
         cpu = [0, {last}]\n"
    );
    site.plugin("probe").pipeline("p", &stages);
    let daemon = site.start();
    let status = daemon.wait_until(|status| {
        let stages = status.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
        stages.filter(|stage| stage.call.count > 0).count() == 3
    });
    let mut both = vec![0, last];
    both.dedup();
    let expected = [("first-core", vec![0]), ("last-core", vec![last]), ("both-cores", both)];
    for (name, cores) in &expected {
        let stage = status.pipelines[0].stages.iter().find(|stage| stage.name == *name).unwrap();
        assert_eq!(stage.cpus, *cores, "{name}, as the daemon reports it");
    }
    if edgemill_tests::emulator::emulated() {
        return;
    }
    let threads = threads(&daemon);
    for (name, cores) in &expected {
        let list = threads.get(*name).unwrap_or_else(|| panic!("no thread {name} in {threads:?}"));
        assert_eq!(parse(list), *cores, "{name}, as the kernel says");
    }
}

/// `0,2-3` as numbers.
fn parse(list: &str) -> Vec<usize> {
    let number = |text: &str| text.parse::<usize>().unwrap();
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => (number(first)..=number(last)).collect::<Vec<_>>(),
        None => vec![number(part)],
    };
    list.split(',').flat_map(range).collect()
}
