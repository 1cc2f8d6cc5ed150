//! `edgemill model evaluate`: how often the networks of a training folder are right, on pictures they never saw.
use std::fmt::Write;
use std::path::PathBuf;

use edgemill_learn::{Compressed, Measured, Report, SeedReport, evaluate};

use crate::exit::Failure;
use crate::output::Output;
use crate::progress::Bar;

/// Arguments of `edgemill model evaluate`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model evaluate model --data test")]
pub struct Args {
    /// The training folder, compressed.
    folder: PathBuf,
    /// A folder with a folder of pictures for each label.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Measures every seed's networks, float and int8.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let compressed = Compressed::load(&args.folder).map_err(Failure::model)?;
    let bar = Bar::new("pictures", 0);
    let mut progress = |done, of| bar.at(done as u64, of as u64);
    let report = evaluate(&compressed, &args.data, &mut progress).map_err(Failure::model)?;
    bar.done();
    output.result(&report, page(&report))
}

fn page(report: &Report) -> String {
    let mut text = format!("{}: {} pictures\n", report.model, report.pictures);
    for (index, seed) in report.seeds.iter().enumerate() {
        let kept = if index == report.best { "  (kept, by the validation pictures)" } else { "" };
        let _ = writeln!(text, "  seed {}: {}{kept}", seed.seed, line(seed));
    }
    let _ = write!(
        text,
        "int8, rows are what it was, columns what was said\n{}",
        confusion(&report.best().int8)
    );
    text
}

fn line(seed: &SeedReport) -> String {
    let side = |measured: &Measured| {
        let Measured { accuracy, bytes, median_us, .. } = measured;
        format!("{:.2} % {bytes} bytes {median_us:.0} µs", accuracy * 100.0)
    };
    format!("f32 {}, int8 {}", side(&seed.f32), side(&seed.int8))
}

fn confusion(measured: &Measured) -> String {
    let labels = &measured.confusion.labels;
    let mut text = format!("  {:>10}", "");
    labels.iter().for_each(|label| text.push_str(&format!("{label:>10}")));
    for (truth, counts) in labels.iter().zip(&measured.confusion.counts) {
        text.push_str(&format!("\n  {truth:>10}"));
        counts.iter().for_each(|count| text.push_str(&format!("{count:>10}")));
    }
    text
}
