//! Parameters: as the descriptor shows them, and as create reads them.
use std::ffi::{CStr, c_char};

use edgemill_sdk::testing::Bench;
use edgemill_sdk::{
    Call, Contract, Host, ParamSet, Plugin, Ports, Result, Setup, Status, Value, choices, params,
    raw,
};

choices! {
    /// A colour.
    pub enum Light {
        Red = "red",
        Green = "green",
    }
}

params! {
    /// One of each type.
    pub struct Params {
        /// The first sentence.
        /// The second one.
        #[range(-2, 2)]
        #[unit("steps")]
        offset_steps: i64 = -1,
        /// A rate.
        #[range(0.5, 10.0)]
        rate: f64 = 1.5,
        /// Whether it is loud.
        loud: bool = true,
        /// A word.
        word: String = "so be it",
        /// A colour.
        light: Light = "green",
        /// A count that has to be given.
        count: u32,
        /// One that may be left out.
        limit: Option<u64>,
    }
}

struct Subject;

impl Plugin for Subject {
    type Params = Params;
    type Active<'m> = ();

    fn create(host: Host<'_>, params: Params) -> Result<Self> {
        edgemill_sdk::log!(host, Info, "{params:?}");
        Ok(Self)
    }

    fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
        Ok(Ports::new())
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
        Ok(())
    }

    fn process<'m>(&mut self, (): &mut (), _: &Call<'_, 'm>) -> Result<()> {
        Ok(())
    }
}

edgemill_sdk::export!(Subject);

fn text(text: *const c_char) -> &'static str {
    // SAFETY: a table's texts are literals ended by NUL.
    unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8")
}

#[test]
fn the_table_shows_what_was_declared() {
    let rows: Vec<_> = Params::TABLE
        .iter()
        .map(|p| {
            let texts = [p.name, p.fallback, p.unit].map(text);
            (texts, p.kind, p.required, p.least, p.most, p.choice_count)
        })
        .collect();
    let (int, float, string) = (raw::PARAM_INT, raw::PARAM_FLOAT, raw::PARAM_STRING);
    let u64_most = 9_007_199_254_740_991.0;
    let expected = [
        (["offset-steps", "-1", "steps"], int, 0, -2.0, 2.0, 0),
        (["rate", "1.5", ""], float, 0, 0.5, 10.0, 0),
        (["loud", "true", ""], raw::PARAM_BOOL, 0, 0.0, 0.0, 0),
        (["word", "so be it", ""], string, 0, 0.0, 0.0, 0),
        (["light", "green", ""], string, 0, 0.0, 0.0, 2),
        (["count", "", ""], int, 1, 0.0, 4_294_967_295.0, 0),
        (["limit", "", ""], int, 0, 0.0, u64_most, 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(text(Params::TABLE[0].help), "The first sentence. The second one.");
    // SAFETY: the table has two choices, checked above.
    let second = unsafe { *Params::TABLE[4].choices.add(1) };
    assert_eq!(text(second), "green");
}

fn create(given: &[(&str, Value<'_>)]) -> std::result::Result<String, (Status, String)> {
    let mut bench = Bench::new(&edgemill_entry, given)?;
    Ok(bench.logged().pop().expect("a line").text)
}

const COUNT: (&str, Value<'_>) = ("count", Value::Int(4_294_967_295));

#[test]
fn values_are_read_as_their_types() {
    let defaults = "Params { offset_steps: -1, rate: 1.5, loud: true, word: \"so be it\", \
                    light: Green, count: 4294967295, limit: None }";
    assert_eq!(create(&[COUNT]).expect("created"), defaults);
    let given = [
        ("offset-steps", Value::Int(-2)),
        ("rate", Value::Float(10.0)),
        ("loud", Value::Bool(false)),
        ("word", Value::Text("")),
        ("light", Value::Text("red")),
        ("count", Value::Int(0)),
        ("limit", Value::Int(7)),
    ];
    let all = "Params { offset_steps: -2, rate: 10.0, loud: false, word: \"\", light: Red, \
               count: 0, limit: Some(7) }";
    assert_eq!(create(&given).expect("created"), all);
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let cases: [(&str, (&str, Value<'_>), &str); 7] = [
        ("unknown", ("colour", Value::Int(1)), "no parameter `colour`"),
        ("of another type", ("rate", Value::Int(1)), "`rate` is of another type"),
        ("below its range", ("offset-steps", Value::Int(-3)), "`offset-steps` is -3"),
        ("above its range", ("rate", Value::Float(10.1)), "`rate` is 10.1"),
        ("not a number", ("rate", Value::Float(f64::NAN)), "`rate` is NaN"),
        ("no choice", ("light", Value::Text("blue")), "`light` cannot be Text(\"blue\")"),
        ("negative", ("limit", Value::Int(-1)), "`limit` is -1"),
    ];
    for (case, value, expected) in cases {
        let (status, line) = create(&[COUNT, value]).expect_err(case);
        assert_eq!(status, Status::BadArgument, "{case}");
        assert!(line.contains(expected), "{case}: {line}");
    }
    let (_, line) = create(&[]).expect_err("missing");
    assert!(line.contains("`count` is missing"), "{line}");
}
