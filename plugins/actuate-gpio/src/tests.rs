//! The plugin, driven through its C entry points.
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{Event, Format, Name, Reason, Status, Value};

use super::edgemill_entry;

#[test]
fn a_chip_that_is_absent_is_an_error_that_names_it() {
    let text = |name, value| (name, Value::Text(value));
    let given = [text("chip", "/dev/gpiochip-none"), text("line", "LAMP"), text("on", "red")];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    bench.ports(None).expect("ports");
    let (status, line) = bench.activate(&[Format::Event], &[], None).expect_err("refused");
    assert_eq!(status, Status::Io);
    assert!(line.contains("cannot find GPIO line LAMP of /dev/gpiochip-none: "), "{line}");
    assert_eq!(bench.fail_safe(), Some(Status::Io), "the fail-safe says so too");
}

#[test]
fn a_line_that_is_absent_is_an_error_that_names_it() {
    let given = [("line", Value::Text("NO SUCH LINE")), ("on", Value::Text("red"))];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    bench.ports(None).expect("ports");
    let (status, line) = bench.activate(&[Format::Event], &[], None).expect_err("refused");
    assert_eq!(status, Status::Io);
    assert!(line.contains("GPIO line NO SUCH LINE"), "{line}");
}

#[test]
fn wirings_that_make_no_sense_are_refused_by_create() {
    let given = [("line", Value::Text("7")), ("on", Value::Text("red"))];
    let (status, line) = Bench::new(&edgemill_entry, &given).err().expect("refused");
    assert_eq!(status, Status::BadArgument);
    assert!(line.contains("say of which chip"), "{line}");
}

/// Direction and level of the pin that we have, as the kernel reports it; nothing when we have none.
fn kernel_says() -> String {
    let all = std::fs::read_to_string("/sys/kernel/debug/gpio").expect("debugfs is mounted");
    let line = all.lines().find(|line| line.contains("|edgemill"));
    line.map(|line| line.split_whitespace().skip_while(|w| *w != ")").collect()).unwrap_or_default()
}

/// With this safe state the pin is as expected after activate, "red", "green", fail-safe, "red" and deactivate.
fn drive(safe: &str, active_low: bool, expected: [&str; 6]) {
    let given = [
        // By its label; the test below names it.
        ("chip", Value::Text("9030000.pl061")),
        ("line", Value::Text("5")),
        ("on", Value::Text("red")),
        ("active-low", Value::Bool(active_low)),
        ("safe", Value::Text(safe)),
    ];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    bench.ports(None).expect("ports");
    bench.activate(&[Format::Event], &[], None).expect("activated");
    let mut seen = vec![kernel_says()];
    for event in [Some("red"), Some("green"), None, Some("red")] {
        match event {
            None => assert_eq!(bench.fail_safe(), Some(Status::Ok)),
            Some(name) => {
                let packet = bench.event(Event::named(Name::fitted(name)));
                assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::Ok);
            }
        }
        seen.push(kernel_says());
    }
    bench.deactivate();
    seen.push(kernel_says());
    assert_eq!(seen, expected, "safe = {safe}, active-low = {active_low}");
}

#[test]
#[ignore = "needs /dev/gpiochip0 and debugfs: run in the guest of tests/vm"]
fn a_pin_follows_events_and_falls_back() {
    let (low, high, input) = (")outlo", ")outhi", ")inlo");
    drive("low", false, [low, high, low, low, high, ""]);
    drive("high", false, [high, high, low, high, high, ""]);
    drive("low", true, [low, low, high, low, low, ""]);
    drive("input", false, [input, high, low, input, high, ""]);
}

#[test]
#[ignore = "needs /dev/gpiochip0 and debugfs: run in the guest of tests/vm"]
fn a_line_that_is_taken_is_an_error_that_names_it() {
    let given = [("chip", "gpiochip0"), ("line", "6"), ("on", "red")];
    let given = given.map(|(name, value)| (name, Value::Text(value)));
    let two = [(); 2].map(|()| Bench::new(&edgemill_entry, &given).expect("created"));
    let [mut first, mut second] = two;
    assert_eq!(first.fail_safe(), Some(Status::Ok), "it needs no activate");
    assert_eq!(second.fail_safe(), Some(Status::Io));
    let line = second.logged().pop().expect("a line").text;
    assert!(line.contains("cannot request GPIO line 6 of gpiochip0"), "{line}");
    assert!(line.contains("busy"), "{line}");
}
