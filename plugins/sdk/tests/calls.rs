//! What a plugin can do in a call, each through the real C entry points.
use edgemill_sdk::testing::Bench;
use edgemill_sdk::{
    Call, Contract, DType, Event, Format, Host, Kind, Name, Plugin, Port, Ports, Range, Reason,
    Result, Retained, SecretSlice, Setup, Status, Value, choices, format, log, params, raw,
};

choices! {
    /// What it does with an input.
    pub enum Does {
        Fill = "fill",
        Forget = "forget",
        Misplace = "misplace",
        Boxes = "boxes",
        TooManyBoxes = "too-many-boxes",
        Keep = "keep",
        Forward = "forward",
        ForwardAtOnce = "forward-at-once",
        Window = "window",
        Parallel = "parallel",
        Log = "log",
        AskForEvent = "ask-for-event",
    }
}

params! {
    /// What the tests set.
    pub struct Params {
        /// What it does with an input.
        does: Does = "fill",
        /// Whether it needs a model.
        model: bool = false,
    }
}

/// Input: four f32. Outputs: four f32, two detections.
struct Subject(Params);

struct Active<'m> {
    kept: Vec<Retained<'m>>,
    secret: SecretSlice<'m, f32>,
    model: &'m [u8],
}

impl Plugin for Subject {
    type Params = Params;
    type Active<'m> = Active<'m>;

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        Ok(Self(params))
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        assert!(contract.is_none());
        let input = Port::new("in", Range::any_tensor(Some(DType::F32))).held(2);
        let boxes = Port::new("boxes", Range::detections(2));
        Ok(Ports::new().input(input).output(Port::new("out", Range::tensor(four()))).output(boxes))
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Active<'m>> {
        let model = if self.0.model { setup.model()?.bytes() } else { &[] };
        let mut secret = setup.secret::<f32>(1000)?;
        assert!(secret.iter().all(|&s| s == 0.0), "it is zeroed");
        assert!(secret.as_ptr().addr().is_multiple_of(64), "it is aligned");
        secret.fill(f32::from(u8::try_from(model.len()).expect("short")));
        Ok(Active { kept: Vec::new(), secret, model })
    }

    fn process<'m>(&mut self, active: &mut Active<'m>, call: &Call<'_, 'm>) -> Result<()> {
        match self.0.does {
            Does::Fill => fill(active, call),
            Does::Forget => call.acquire(0).map(drop),
            Does::Misplace => call.emit(1, call.acquire(0)?),
            Does::Boxes | Does::TooManyBoxes => {
                let count = if self.0.does == Does::Boxes { 1 } else { 3 };
                let mut buffer = call.acquire(1)?;
                buffer
                    .set_boxes(&vec![raw::Detection { score: 0.5, ..Default::default() }; count])?;
                call.emit(1, buffer)
            }
            Does::Keep => {
                active.kept.extend(call.retain(0)?);
                Ok(())
            }
            Does::Forward => {
                let old = active.kept.pop();
                active.kept.extend(call.retain(0)?);
                old.map_or(Ok(()), |old| call.forward(0, old))
            }
            Does::ForwardAtOnce => call.forward(0, call.retain(0)?.expect("an input")),
            Does::Window => {
                active.kept.extend(call.retain(0)?);
                call.emit_from(0, call.acquire(0)?, &active.kept[0])
            }
            Does::Parallel => {
                let mut buffer = call.acquire(0)?;
                let seen = std::sync::Mutex::new([0_u32; 4]);
                call.parallel(4, |i| seen.lock().expect("no panic")[i as usize] += i + 1)?;
                for (to, from) in
                    buffer.elements_mut()?.iter_mut().zip(seen.into_inner().expect(""))
                {
                    *to = f32::from(u8::try_from(from).expect("small"));
                }
                call.emit(0, buffer)
            }
            Does::Log => {
                call.host().metric(c"level", 2.5);
                log!(call.host(), Warn, "{}", "ü".repeat(600));
                Ok(())
            }
            Does::AskForEvent => call.event(0).map(|_| ()),
        }
    }
}

fn fill<'m>(active: &Active<'m>, call: &Call<'_, 'm>) -> Result<()> {
    let Some(tensor) = call.tensor(0)? else { return Ok(()) };
    let mut buffer = call.acquire(0)?;
    assert!(buffer.elements_mut::<i8>().is_err(), "the port gives f32");
    let input = tensor.elements::<f32>().expect("the port takes f32");
    for ((to, from), add) in buffer.elements_mut()?.iter_mut().zip(input).zip(&*active.secret) {
        *to = from + add;
    }
    assert_eq!(usize::from(active.secret[999] != 0.0), usize::from(!active.model.is_empty()));
    call.emit(0, buffer)
}

edgemill_sdk::export!(Subject);

fn four() -> format::Tensor {
    let shape = [4, 0, 0, 0, 0, 0];
    let raw = raw::Tensor { dtype: raw::DTYPE_F32, rank: 1, shape, scale: 0.0, zero_point: 0 };
    format::Tensor::new(raw).expect("valid")
}

fn outputs() -> [Format; 2] {
    let boxes = raw::Detections { count: 2, frame_width: 640, frame_height: 480, reserved: 0 };
    [Format::Tensor(four()), Format::Detections(format::Detections::new(boxes).expect("valid"))]
}

fn subject(does: &str) -> Bench {
    let mut bench = Bench::new(&edgemill_entry, &[("does", Value::Text(does))]).expect("created");
    bench.ports(None).expect("ports");
    bench.activate(&[Format::Tensor(four())], &outputs(), None).expect("activated");
    bench
}

fn feed(bench: &mut Bench) -> Status {
    let packet = bench.tensor(four(), &[1.0_f32, 2.0, 3.0, 4.0]);
    bench.process(Reason::Input, &[Some(packet)])
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn a_filled_buffer_goes_out_in_the_ports_format() {
    let mut bench = subject("fill");
    assert_eq!(feed(&mut bench), Status::Ok);
    let emitted = bench.emitted();
    assert_eq!(floats(&emitted[0].bytes), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!((emitted[0].kind, emitted[0].origin.stream), (Kind::Tensor.raw(), 7));
    assert_eq!(*emitted[0].payload.tensor(), four().raw());
    assert_eq!(bench.references(), 0);
}

#[test]
fn a_model_is_readable_until_deactivate() {
    let contract = Contract {
        model: "m".into(),
        version: "1.0.0".into(),
        inputs: vec![four()],
        outputs: vec![four()],
        picture: None,
        window: None,
        head: "regression".into(),
        labels: vec![],
    };
    let given = [("model", Value::Bool(true))];
    let mut bench = Bench::new(&edgemill_entry, &given).expect("created");
    bench.ports(None).expect("ports");
    let formats = [Format::Tensor(four())];
    let refused = bench.activate(&formats, &outputs(), None).expect_err("no model is granted");
    assert_eq!(refused.0, Status::Denied);
    assert!(refused.1.contains("access.toml"), "{}", refused.1);
    bench.activate(&formats, &outputs(), Some((&[9; 3], &contract))).expect("activated");
    assert_eq!(feed(&mut bench), Status::Ok);
    assert_eq!(floats(&bench.emitted()[0].bytes), [4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn contracts_that_make_no_sense_are_refused() {
    let picture = edgemill_sdk::Picture {
        layout: edgemill_sdk::Layout::Nhwc,
        colour: edgemill_sdk::Colour::Rgb,
        fit: edgemill_sdk::Fit::Stretch,
        filter: edgemill_sdk::Filter::Area,
        fill: 0,
        region: [0.0, 0.0, 1.0, 1.0],
        mean: [0.0; 4],
        std: [1.0; 4],
    };
    let window = edgemill_sdk::Window { samples: 8, hop: 4, rate_hz: 100.0 };
    let good = Contract {
        model: "m".into(),
        version: "1.0.0".into(),
        inputs: vec![four()],
        outputs: vec![four()],
        picture: Some(picture),
        window: Some(window),
        head: "classifier".into(),
        labels: vec!["a".into()],
    };
    type Change = fn(&mut Contract);
    let changes: [(&str, Change); 8] = [
        ("inputs", |c| c.inputs.clear()),
        ("outputs", |c| c.outputs = vec![four(); 65]),
        ("region", |c| picture_of(c).region = [0.5, 0.0, 0.6, 1.0]),
        ("region", |c| picture_of(c).region = [0.0, 0.0, f32::NAN, 1.0]),
        ("mean", |c| picture_of(c).mean[2] = f32::INFINITY),
        ("std", |c| picture_of(c).std[0] = 0.0),
        ("hop", |c| c.window = Some(edgemill_sdk::Window { hop: 0, ..window_of(c) })),
        ("rate_hz", |c| c.window = Some(edgemill_sdk::Window { rate_hz: -1.0, ..window_of(c) })),
    ];
    for (field, change) in changes {
        let mut contract = good.clone();
        change(&mut contract);
        let mut bench = Bench::new(&edgemill_entry, &[]).expect("created");
        let (status, line) = bench.ports(Some(&contract)).expect_err(field);
        assert_eq!(status, Status::BadArgument);
        assert!(line.contains(&format!("`{field}`")), "{field}: {line}");
    }
}

fn picture_of(contract: &mut Contract) -> &mut edgemill_sdk::Picture {
    contract.picture.as_mut().expect("there")
}

fn window_of(contract: &Contract) -> edgemill_sdk::Window {
    contract.window.expect("there")
}

#[test]
fn a_buffer_that_is_not_emitted_is_given_back() {
    let mut bench = subject("forget");
    assert_eq!(feed(&mut bench), Status::Ok);
    assert_eq!((bench.emitted().len(), bench.references()), (0, 0));
}

#[test]
fn a_buffer_of_another_port_is_refused_and_given_back() {
    let mut bench = subject("misplace");
    assert_eq!(feed(&mut bench), Status::BadArgument);
    assert_eq!((bench.emitted().len(), bench.references()), (0, 0));
}

#[test]
fn detections_may_be_fewer_than_the_format_says_but_not_more() {
    let mut bench = subject("boxes");
    assert_eq!(feed(&mut bench), Status::Ok);
    let emitted = bench.emitted();
    assert_eq!(emitted[0].payload.detections().count, 1);
    assert_eq!(floats(&emitted[0].bytes)[4].to_bits(), 0.5_f32.to_bits());
    let mut bench = subject("too-many-boxes");
    assert_eq!(feed(&mut bench), Status::BadArgument);
    assert_eq!(bench.references(), 0);
}

#[test]
fn what_is_kept_is_given_back_at_deactivate() {
    let mut bench = subject("keep");
    feed(&mut bench);
    feed(&mut bench);
    assert_eq!(bench.references(), 2);
    bench.deactivate();
    assert_eq!(bench.references(), 0);
}

#[test]
fn a_kept_packet_goes_on_as_it_came() {
    let mut bench = subject("forward");
    feed(&mut bench);
    feed(&mut bench);
    let emitted = bench.emitted();
    assert_eq!(emitted.len(), 1);
    assert_eq!(emitted[0].origin.sequence, 0);
    assert_eq!(bench.references(), 1, "the second is kept");

    let mut bench = subject("forward-at-once");
    assert_eq!(feed(&mut bench), Status::Ok);
    assert_eq!((bench.emitted().len(), bench.references()), (1, 0));
}

#[test]
fn what_is_made_of_a_kept_packet_inherits_from_it() {
    let mut bench = subject("window");
    feed(&mut bench);
    feed(&mut bench);
    let sequences: Vec<_> = bench.emitted().iter().map(|e| e.origin.sequence).collect();
    assert_eq!(sequences, [0, 0]);
}

#[test]
fn a_full_pool_and_a_stop_are_no_faults() {
    let mut bench = subject("fill");
    bench.exhaust(true);
    assert_eq!(feed(&mut bench), Status::Ok);
    bench.exhaust(false);
    bench.stop();
    assert_eq!(feed(&mut bench), Status::Ok);
    assert!(bench.emitted().is_empty() && bench.logged().is_empty());
}

#[test]
fn parallel_visits_every_index_once() {
    let mut bench = subject("parallel");
    assert_eq!(feed(&mut bench), Status::Ok);
    assert_eq!(floats(&bench.emitted()[0].bytes), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn long_lines_are_cut_at_a_character() {
    let mut bench = subject("log");
    assert_eq!(feed(&mut bench), Status::Ok);
    let line = bench.logged().pop().expect("a line").text;
    assert_eq!(line, "ü".repeat(512));
    assert_eq!(bench.metric("level"), Some(2.5));
}

#[test]
fn inputs_of_another_kind_are_named() {
    let mut bench = subject("ask-for-event");
    assert_eq!(feed(&mut bench), Status::BadArgument);
    let line = bench.logged().pop().expect("a line").text;
    assert!(line.ends_with("input 0 carries a tensor, not an event"), "{line}");
    let event = bench.event(Event::named(Name::fitted("red")));
    assert_eq!(bench.process(Reason::Input, &[Some(event)]), Status::Ok);
}

#[test]
fn inputs_that_contradict_themselves_are_refused() {
    let mut bench = subject("fill");
    let mut packet = bench.tensor(four(), &[0.0_f32; 4]);
    packet.buffer.size = 15;
    assert_eq!(bench.process(Reason::Input, &[Some(packet)]), Status::BadArgument);
    let line = bench.logged().pop().expect("a line").text;
    assert!(line.contains("needs 16 bytes, the buffer has 15"), "{line}");
}
