//! Run in the guest by a user without rights: `hostile RUN-FOLDER SECONDS SEED`. The last line is what it counted; it
//! fails where something was gained.
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use edgemill_tests::hostile::Attacker;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [run, seconds, seed] = words.as_slice() else {
        eprintln!("usage: hostile RUN-FOLDER SECONDS SEED");
        return ExitCode::from(2);
    };
    let (Ok(seconds), Ok(seed)) = (seconds.parse(), seed.parse()) else {
        eprintln!("SECONDS and SEED are numbers");
        return ExitCode::from(2);
    };
    let mut attacker = Attacker::new(Path::new(run), seed, false);
    let report = attacker.trespass().and_then(|()| attacker.attack(Duration::from_secs(seconds)));
    match report {
        Ok(report) => {
            println!("{}", report.json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
