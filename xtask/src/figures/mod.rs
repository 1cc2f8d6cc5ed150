//! `cargo xtask figures [AREA]`: measures what the project publishes, prints it and writes `docs/figures.md`.
mod appliance;
mod engine;
mod hops;
mod main_area;
mod pictures;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// Options of `cargo xtask figures`.
#[derive(clap::Args)]
#[command(after_help = "Example: EDGEMILL_BENCH=peers cargo xtask figures main --json")]
pub struct Args {
    /// Measure only this area.
    area: Option<String>,
    /// Print one JSON object on stdout and progress on stderr.
    #[arg(long)]
    json: bool,
}

/// One figure.
pub struct Row {
    /// Its key in `--json`.
    pub name: &'static str,
    /// `None`: it could not be measured, and so its aim is not met.
    pub value: Option<f64>,
    /// `ratio`, `MB`, `ms`, …
    pub unit: &'static str,
    /// The value to stay at or under.
    pub at_most: f64,
    /// What a person runs to have it again.
    pub command: &'static str,
    /// For a ratio, the two medians it was made of, by name.
    pub medians: Vec<(&'static str, f64)>,
}

impl Row {
    fn met(&self) -> bool {
        self.value.is_some_and(|value| value <= self.at_most)
    }

    fn json(&self) -> Value {
        let mut object = json!({
            "value": self.value, "unit": self.unit, "aim": format!("<= {}", self.at_most), "met": self.met(),
        });
        for (name, median) in &self.medians {
            object[*name] = json!(median);
        }
        object
    }

    fn markdown(&self) -> String {
        let value = self.value.map_or("not measured".into(), |value| format!("{value:.3}"));
        let met = if self.met() { "yes" } else { "no" };
        let medians: String =
            self.medians.iter().map(|(name, median)| format!(" {name} {median:.2};")).collect();
        format!(
            "| {} | {value} | {} | ≤ {} | {met} | `{}`{medians} |",
            self.name, self.unit, self.at_most, self.command
        )
    }
}

type Measure = fn(&Path) -> Result<Vec<Row>>;

const AREAS: [(&str, Measure); 3] =
    [("main", main_area::measure), ("appliance", appliance::measure), ("engine", engine_area)];

/// Networks, and making their inputs of frames.
fn engine_area(root: &Path) -> Result<Vec<Row>> {
    let mut rows = engine::measure(root)?;
    rows.extend(pictures::measure(root)?);
    Ok(rows)
}

/// Measures the areas asked for.
pub fn run(root: &Path, args: &Args) -> Result<()> {
    let wanted = |name: &str| args.area.as_ref().is_none_or(|area| area == name);
    if !AREAS.iter().any(|(name, _)| wanted(name)) {
        let names: Vec<_> = AREAS.iter().map(|(name, _)| *name).collect();
        bail!("there is no such area; there are: {}", names.join(", "));
    }
    let mut printed = Map::new();
    for (name, measure) in AREAS.into_iter().filter(|(name, _)| wanted(name)) {
        let rows = measure(root)?;
        let table = table(&rows);
        publish(&root.join("docs/figures.md"), name, &table)?;
        if args.json {
            printed.extend(rows.iter().map(|row| (row.name.to_string(), row.json())));
        } else {
            println!("{name}\n\n{table}");
        }
    }
    if args.json {
        println!("{}", Value::Object(printed));
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let head = "| figure | value | unit | aim | met | measured by |\n|---|---|---|---|---|---|\n";
    head.to_string() + &rows.iter().map(|row| row.markdown() + "\n").collect::<String>()
}

/// Replaces one area's section and leaves the others.
fn publish(file: &Path, area: &str, table: &str) -> Result<()> {
    let old = fs::read_to_string(file).unwrap_or_default();
    let heading = format!("## {area}");
    let mut sections: Vec<String> = old
        .split_inclusive('\n')
        .fold(Vec::new(), |mut sections: Vec<String>, line| {
            if line.starts_with("## ") || sections.is_empty() {
                sections.push(String::new());
            }
            sections.last_mut().expect("one was pushed").push_str(line);
            sections
        })
        .into_iter()
        .filter(|section| section.starts_with("## ") && section.lines().next() != Some(&*heading))
        .map(|section| section.trim_end().to_string())
        .collect();
    sections.push(format!("{heading}\n\n{}\n\n{}", machine(), table.trim_end()));
    let intro = "# Figures\n\nEach was measured by `cargo xtask figures AREA` on the machine named with it, in one run.";
    let text = format!("{intro}\n\n{}\n", sections.join("\n\n"));
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What it was measured on.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, {}.", model.unwrap_or(std::env::consts::ARCH), std::env::consts::OS)
}

/// The middle value; of an even number, the upper of the two.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
