//! What the demo measured, as a page for a person or one JSON object for a machine.
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::model::Confusion;
use super::play::{Decision, FlowPath};
use super::{Demo, Measured};

/// Prints the summary on stdout.
pub fn print(demo: &Demo, measured: &Measured, as_json: bool) -> Result<()> {
    let figures = Figures::new(demo, measured);
    if as_json {
        println!("{}", figures.json(measured));
    } else {
        println!("{}", figures.page(demo, measured));
    }
    Ok(())
}

/// What the demo promises, on pictures that nothing was learnt or chosen from.
pub fn check(demo: &Demo, measured: &Measured) -> Result<()> {
    let figures = Figures::new(demo, measured);
    let (best, path) = (measured.learnt.evaluated.best(), &measured.played.account.path);
    let (f32, int8) = (best.f32.accuracy, best.int8.accuracy);
    ensure!(int8 >= 0.99, "int8 accuracy is {int8}, below 0.99");
    ensure!((f32 - int8).abs() <= 0.005, "int8 accuracy {int8} is far from f32's {f32}");
    let through = figures.accuracy_pipeline;
    ensure!(through == int8, "the pipeline's accuracy is {through}, int8's on its own {int8}");
    let table = &best.int8.confusion;
    let yellow = table.labels.iter().position(|label| label == "yellow").context("no yellow")?;
    let right = table.counts[yellow][yellow];
    ensure!(right >= 8, "only {right} of the yellow lights are seen");
    let all = demo.pictures.test.len() as u64;
    let FlowPath { sent, delivered, dropped } = path;
    ensure!(
        *sent == all && *delivered == all && dropped.values().all(|&lost| lost == 0),
        "of {all} frames {sent} were sent, {delivered} delivered, {dropped:?} dropped"
    );
    Ok(())
}

/// Numbers made of the actuator's own log.
struct Figures {
    accuracy_pipeline: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Figures {
    fn new(demo: &Demo, measured: &Measured) -> Self {
        let decisions = &measured.played.decisions;
        let mut latencies: Vec<f64> = decisions.iter().map(latency_us).collect();
        latencies.sort_by(f64::total_cmp);
        Self {
            accuracy_pipeline: accuracy(demo, decisions),
            p50_us: quantile(&latencies, 50),
            p99_us: quantile(&latencies, 99),
        }
    }

    fn json(&self, measured: &Measured) -> Value {
        let (learnt, played) = (&measured.learnt, &measured.played);
        json!({
            "accuracy_f32": learnt.evaluated.best().f32.accuracy,
            "accuracy_int8": learnt.evaluated.best().int8.accuracy,
            "accuracy_pipeline": self.accuracy_pipeline,
            "accuracy_worst_seed": learnt.evaluated.worst_accuracy_int8,
            "package_bytes_f32": learnt.package_bytes[0],
            "package_bytes_int8": learnt.package_bytes[1],
            "sent": played.account.path.sent,
            "delivered": played.account.path.delivered,
            "dropped": played.account.path.dropped,
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "first_decision_ms": played.first_decision_ms,
            "supervisor_pss_kb": played.pss_kb,
        })
    }

    fn page(&self, demo: &Demo, measured: &Measured) -> String {
        let (learnt, played) = (&measured.learnt, &measured.played);
        let account = &played.account.path;
        let [f32_bytes, int8_bytes] = learnt.package_bytes.map(|bytes| bytes as f64 / 1024.0);
        let lost: u64 = account.dropped.values().sum();
        let lines = [
            title(&format!("{} traffic lights it had never seen", demo.pictures.test.len())),
            row(
                "accuracy",
                &[
                    ("f32", percent(learnt.evaluated.best().f32.accuracy)),
                    ("int8", percent(learnt.evaluated.best().int8.accuracy)),
                    ("through the pipeline", percent(self.accuracy_pipeline)),
                ],
            ),
            row(
                "",
                &[("worst of three seeds, int8", percent(learnt.evaluated.worst_accuracy_int8))],
            ),
            row(
                "package",
                &[("f32", format!("{f32_bytes:.0} KiB")), ("int8", format!("{int8_bytes:.0} KiB"))],
            ),
            confusion(&learnt.evaluated.best().int8.confusion),
            title("from camera to actuator"),
            row(
                "latency",
                &[
                    ("p50", format!("{:.0} µs", self.p50_us)),
                    ("p99", format!("{:.0} µs", self.p99_us)),
                ],
            ),
            stages(played),
            row(
                "account",
                &[
                    ("sent", account.sent.to_string()),
                    ("delivered", account.delivered.to_string()),
                    ("dropped", lost.to_string()),
                ],
            ),
            title("the daemon, seen from outside"),
            row(
                "start",
                &[("exec to first decision", format!("{:.1} ms", played.first_decision_ms))],
            ),
            row(
                "memory",
                &[("proportional set size", format!("{:.1} MiB", played.pss_kb as f64 / 1024.0))],
            ),
            title("where to go next"),
            next(demo),
        ];
        lines.join("\n")
    }
}

fn accuracy(demo: &Demo, decisions: &[Decision]) -> f64 {
    let right = |decision: &&Decision| {
        let index = usize::try_from(decision.sequence).unwrap_or(usize::MAX);
        demo.pictures.truth(index) == Some(&decision.event)
    };
    decisions.iter().filter(right).count() as f64 / demo.pictures.test.len() as f64
}

fn latency_us(decision: &Decision) -> f64 {
    decision.acted_ns.saturating_sub(decision.capture_ns) as f64 / 1e3
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

fn title(text: &str) -> String {
    format!("\n  {text}\n  {}", "─".repeat(70))
}

fn row(name: &str, cells: &[(&str, String)]) -> String {
    let cells: Vec<String> = cells.iter().map(|(what, value)| format!("{what} {value}")).collect();
    format!("  {name:<12}{}", cells.join("   "))
}

fn confusion(table: &Confusion) -> String {
    let head: String = table.labels.iter().map(|label| format!("{label:>8}")).collect();
    let mut lines = vec![format!("  {:<12}{:>8}{head}", "confusion", "")];
    for (truth, counts) in table.labels.iter().zip(&table.counts) {
        let counts: String = counts.iter().map(|count| format!("{count:>8}")).collect();
        lines.push(format!("  {:<12}{truth:>8}{counts}", ""));
    }
    lines.push(format!("  {:<12}rows are what it was, columns what int8 said", ""));
    lines.join("\n")
}

fn stages(played: &super::Played) -> String {
    let lines = played.account.stages.iter().map(|stage| {
        let (p50, p99) = (stage.call.p50_us, stage.call.p99_us);
        format!("  {:<12}{:<10}p50 {p50:>7.0} µs   p99 {p99:>7.0} µs", "", stage.name)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn next(demo: &Demo) -> String {
    let pipeline = demo.places.demo("pipelines/traffic-light.toml");
    let credits = crate::data::TRAFFIC_LIGHT_CREDITS.trim_end().replace('\n', "\n  ");
    format!(
        "  read it     {}\n  check it    target/release/edgemill check {}\n  a camera    cargo xtask demo --camera /dev/video0\n  a plugin    docs/adding-a-plugin.md\n\n  {credits}\n",
        pipeline.display(),
        pipeline.display(),
    )
}
