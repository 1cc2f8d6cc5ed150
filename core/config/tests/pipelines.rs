//! Pipelines as text: what is read, and what each fault is told as.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use std::path::Path;
use std::time::Duration;

use edgemill_config::{Errors, ModelUse, OnFailure, Overflow, Pipeline, Stop, Value, Work};

fn parse(text: &str) -> Result<Pipeline, Errors> {
    Pipeline::parse(text, Path::new("pipelines/p.toml"))
}

const WHOLE: &str = r#"
name = "traffic-light"
on-stop = "drop"
stop-ms = 500

[[stage]]
name = "decide"
plugin = "decide-rule"
contract = "light"
input = { from = "infer.out", overflow = "drop-oldest", capacity = 9 }
on-failure = "halt"
stale-ms = 100

[[stage]]
name = "camera"
source = "replay"
params = { path = "frames", width = 640, rate_hz = 0.5, loop = true }
cpu = [0, 1]
priority = 10
deadline-ms = 40

[[stage]]
name = "infer"
plugin = "infer-int8"
model = "light"
inputs = { left = "camera", right = { from = "camera", overflow = "latest" } }
join = { tolerance-ms = 5 }
hang-ms = 77
allow-unsigned = true
"#;

#[test]
fn every_key_is_read_and_stages_are_put_in_order() {
    let pipeline = parse(WHOLE).unwrap();
    assert_eq!(pipeline.name.value, "traffic-light");
    assert_eq!((pipeline.on_stop, pipeline.stop_within), (Stop::Drop, Duration::from_millis(500)));
    let names: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["camera", "infer", "decide"]);

    let camera = pipeline.stage("camera").unwrap();
    assert!(matches!(&camera.work, Work::Source(kind) if kind.value == "replay"));
    let frames = std::env::current_dir().unwrap().join("pipelines/frames");
    assert_eq!(camera.params["path"].value, Value::Text(frames.to_str().unwrap().into()));
    assert_eq!(camera.params["width"].value, Value::Int(640));
    assert_eq!(camera.params["rate_hz"].value, Value::Float(0.5));
    assert_eq!(camera.params["loop"].value, Value::Bool(true));
    assert_eq!(camera.params["width"].at.to_string(), "pipelines/p.toml:17:37");
    assert_eq!(camera.cpus.iter().map(|cpu| cpu.value).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(camera.priority.as_ref().unwrap().value, 10);
    assert_eq!(camera.deadline.as_ref().unwrap().value, Duration::from_millis(40));

    let infer = pipeline.stage("infer").unwrap();
    assert!(matches!(&infer.work, Work::Plugin { model: ModelUse::Model(_), .. }));
    assert_eq!(infer.inputs[0].port.as_deref(), Some("left"));
    assert_eq!((infer.inputs[0].overflow, infer.inputs[0].capacity), (None, 4));
    assert_eq!((infer.inputs[1].overflow, infer.inputs[1].capacity), (Some(Overflow::Latest), 1));
    assert_eq!(infer.join.tolerance, Some(Duration::from_millis(5)));
    assert_eq!(infer.hang, Duration::from_millis(77));
    assert!(infer.allow_unsigned);

    let decide = pipeline.stage("decide").unwrap();
    assert_eq!(decide.model().unwrap().value, "light");
    assert_eq!(decide.inputs[0].output.as_deref(), Some("out"));
    assert_eq!(decide.inputs[0].capacity, 9);
    assert_eq!(decide.on_failure.value, OnFailure::Halt);
    assert_eq!(decide.stale.as_ref().unwrap().value, Duration::from_millis(100));
}

#[test]
fn equality_disregards_where_things_stand() {
    assert_eq!(parse(WHOLE).unwrap(), parse(&format!("# moved\n{WHOLE}")).unwrap());
    assert_ne!(parse(WHOLE).unwrap(), parse(&WHOLE.replace("640", "641")).unwrap());
}

/// A source and a sink, with more lines for the source and for the sink.
fn two(source: &str, sink: &str) -> String {
    format!("name = \"p\"\n[[stage]]\nname = \"a\"\n{source}\n[[stage]]\nname = \"b\"\n{sink}\n")
}

#[test]
fn each_fault_names_its_place_and_the_next_step() {
    const SOURCE: &str = "source = \"pattern\"";
    const SINK: &str = "plugin = \"x\"\ninput = \"a\"";
    let cases = [
        ("malformed", "name = \"p".to_owned(), "pipelines/p.toml:1:10: ", "correct this line"),
        (
            "no name",
            "[[stage]]\nname = \"a\"".into(),
            "pipelines/p.toml:1:1: ",
            "missing field `name`",
        ),
        (
            "unknown key",
            two(SOURCE, "plugin = \"x\"\ninptu = \"a\""),
            "pipelines/p.toml:8:1: ",
            "unknown key `inptu`; did you mean `input`?; the keys here are name, source,",
        ),
        (
            "unknown key of the file",
            "nmae = \"p\"".into(),
            "pipelines/p.toml:1:1: ",
            "unknown key `nmae`; did you mean `name`?",
        ),
        (
            "unknown key of an input",
            two(SOURCE, "plugin = \"x\"\ninput = { from = \"a\", overfow = \"block\" }"),
            "pipelines/p.toml:8:23: ",
            "did you mean `overflow`?",
        ),
        (
            "input of no type",
            two(SOURCE, "plugin = \"x\"\ninput = 3"),
            "pipelines/p.toml:8:9: ",
            "expected \"stage\", \"stage.port\" or",
        ),
        (
            "parameter of no type",
            two("source = \"pattern\"\nparams = { x = [1] }", SINK),
            "pipelines/p.toml:5:16: ",
            "expected true, false, a whole number, a number or a string",
        ),
        ("empty", "name = \"p\"".into(), "pipelines/p.toml: ", "add a [[stage]]"),
        (
            "bad name",
            "name = \"a b\"".into(),
            "pipelines/p.toml:1:8: ",
            "pipeline `a b` is not a name",
        ),
        (
            "control character",
            "name = \"a\\u001b[2J\"".into(),
            "pipelines/p.toml:1:8: ",
            "pipeline `a\\u{1b}[2J` is not a name",
        ),
        (
            "long name",
            format!("name = \"{}\"", "x".repeat(9999)),
            "pipelines/p.toml:1:8: ",
            "is not a name",
        ),
        (
            "duplicate stage",
            two(SOURCE, "plugin = \"x\"\ninput = \"a\"\n[[stage]]\nname = \"a\"\nplugin = \"y\""),
            "pipelines/p.toml:10:8: ",
            "stage `a` is here a second time (first at pipelines/p.toml:3:8)",
        ),
        (
            "unknown input",
            two(SOURCE, "plugin = \"x\"\ninput = \"aa.out\""),
            "pipelines/p.toml:8:9: ",
            "stage `b` takes its input from `aa`, and no stage has that name; did you mean `a`?; the stages are a, b",
        ),
        (
            "self loop",
            two(SOURCE, "plugin = \"x\"\ninputs = { l = \"a\", r = \"b\" }"),
            "pipelines/p.toml:6:8: ",
            "the stages go in a circle: b → b",
        ),
        (
            "cycle",
            "name = \"p\"\n\
             [[stage]]\nname = \"a\"\nplugin = \"x\"\ninput = \"c\"\n\
             [[stage]]\nname = \"b\"\nplugin = \"x\"\ninput = \"a\"\n\
             [[stage]]\nname = \"c\"\nplugin = \"x\"\ninput = \"b\"\n"
                .into(),
            "pipelines/p.toml:",
            "the stages go in a circle: b → c → a → b",
        ),
        (
            "unused source",
            "name = \"p\"\n[[stage]]\nname = \"a\"\nsource = \"pattern\"".into(),
            "pipelines/p.toml:4:10: ",
            "nothing takes the output of source `a`",
        ),
        (
            "no work",
            two("", SINK),
            "pipelines/p.toml:3:8: ",
            "stage `a` has neither source nor plugin",
        ),
        (
            "two works",
            two("source = \"pattern\"\nplugin = \"x\"", SINK),
            "pipelines/p.toml:3:8: ",
            "both source and plugin",
        ),
        (
            "source with input",
            two(SOURCE, "source = \"pattern\"\ninput = \"a\""),
            "pipelines/p.toml:6:8: ",
            "is a source and has an input",
        ),
        (
            "source with model",
            two("source = \"pattern\"\nmodel = \"m\"", SINK),
            "pipelines/p.toml:3:8: ",
            "is a source and names a model",
        ),
        (
            "contract and model",
            two(SOURCE, &format!("{SINK}\ncontract = \"m\"\nmodel = \"m\"")),
            "pipelines/p.toml:6:8: ",
            "both contract and model",
        ),
        (
            "input and inputs",
            two(SOURCE, &format!("{SINK}\ninputs = {{ l = \"a\" }}")),
            "pipelines/p.toml:6:8: ",
            "both input and inputs",
        ),
        (
            "deadline off a source",
            two(SOURCE, &format!("{SINK}\ndeadline-ms = 5")),
            "pipelines/p.toml:9:15: ",
            "move it to the source",
        ),
        (
            "unknown word",
            two(SOURCE, &format!("{SINK}\non-failure = \"restrat\"")),
            "pipelines/p.toml:9:14: ",
            "on-failure is `restrat`; did you mean `restart`?; it may be restart, bypass, halt",
        ),
        (
            "latest holds one",
            two(
                SOURCE,
                "plugin = \"x\"\ninput = { from = \"a\", overflow = \"latest\", capacity = 2 }",
            ),
            "pipelines/p.toml:8:55: ",
            "capacity is 2; it must be from 1 to 1",
        ),
        (
            "priority out of range",
            two("source = \"pattern\"\npriority = 100", SINK),
            "pipelines/p.toml:5:12: ",
            "priority is 100; it must be from 1 to 99",
        ),
        (
            "negative time",
            two(SOURCE, &format!("{SINK}\nhang-ms = -1")),
            "pipelines/p.toml:9:11: ",
            "invalid value: integer `-1`",
        ),
        (
            "no time",
            two(SOURCE, &format!("{SINK}\nhang-ms = 0")),
            "pipelines/p.toml:9:11: ",
            "from 1 to",
        ),
        (
            "NUL in a text",
            two("source = \"pattern\"\nparams = { path = \"a\\u0000\" }", SINK),
            "pipelines/p.toml:5:19: ",
            "path: holds a NUL character",
        ),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(case, text, place, message)| {
            let errors = parse(&text).expect_err(case).to_string();
            let good = errors.starts_with(place) && errors.contains(message);
            (!good || errors.len() >= 4096 || errors.contains('\x1b'))
                .then(|| format!("{case}: {errors}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_errors_are_told_at_once_and_bounded() {
    let both = two("source = \"pattern\"\npriority = 0", "plugin = \"X\"\ninput = \"a\"");
    let errors = parse(&both).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");

    let stage =
        |n: usize| format!("[[stage]]\nname = \"s{n}\"\nplugin = \"é{}\"\n", "é".repeat(99));
    let many: String = (0..60).map(stage).collect();
    let message = parse(&format!("name = \"p\"\n{many}")).unwrap_err().to_string();
    assert!(message.len() < 4096, "{}", message.len());
    assert!(message.contains(" more"), "{message}");
}

#[test]
fn limits_hold() {
    let stages = |count: usize| -> String {
        let stage = |n| format!("[[stage]]\nname = \"s{n}\"\nplugin = \"x\"\n");
        format!("name = \"p\"\n{}", (0..count).map(stage).collect::<String>())
    };
    assert!(parse(&stages(64)).is_ok());
    let message = parse(&stages(65)).unwrap_err().to_string();
    assert!(message.contains("has 65 stages; at most 64"), "{message}");
    let message = parse(&" ".repeat(64 * 1024 + 1)).unwrap_err().to_string();
    assert!(message.contains("larger than 65536 bytes"), "{message}");
    let nested = format!("name = {}", "[".repeat(60_000));
    assert!(parse(&nested).unwrap_err().to_string().len() < 4096);
}
