//! What a host might do wrong, and a plugin that panics wherever it can: each through the real C entry points.
use std::ptr;

use edgemill_sdk::testing::Bench;
use edgemill_sdk::{
    Actuator, Call, Contract, Error, Event, Format, Host, Name, Plugin, Port, Ports, Range, Reason,
    Result, Setup, Status, Value, choices, log, params, raw,
};

choices! {
    /// Where it panics.
    pub enum Panics {
        Nowhere = "nowhere",
        Create = "create",
        Ports = "ports",
        Activate = "activate",
        Process = "process",
        Parallel = "parallel",
        Deactivate = "deactivate",
        DropActive = "drop-active",
        FailSafe = "fail-safe",
        Destroy = "destroy",
    }
}

params! {
    /// What the tests set.
    pub struct Params {
        /// Where it panics.
        panics: Panics = "nowhere",
    }
}

struct Subject {
    panics: Panics,
}

impl Subject {
    fn at(&self, place: Panics) {
        assert_ne!(self.panics, place, "on command");
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.at(Panics::Destroy);
    }
}

struct Active {
    panics: bool,
}

impl Drop for Active {
    fn drop(&mut self) {
        assert!(!self.panics, "on command");
    }
}

impl Plugin for Subject {
    type Params = Params;
    type Active<'m> = Active;

    fn create(_: Host<'_>, Params { panics }: Params) -> Result<Self> {
        assert_ne!(panics, Panics::Create, "on command");
        Ok(Self { panics })
    }

    fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
        self.at(Panics::Ports);
        let port = |name| Port::new(name, Range::event());
        Ok(Ports::new().input(port("in")).output(port("out")))
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<Active> {
        self.at(Panics::Activate);
        Ok(Active { panics: self.panics == Panics::DropActive })
    }

    fn process<'m>(&mut self, _: &mut Active, call: &Call<'_, 'm>) -> Result<()> {
        self.at(Panics::Process);
        call.parallel(4, |_| self.at(Panics::Parallel))?;
        log!(call.host(), Info, "called for {}", call.reason());
        call.input(0).map_or(Ok(()), |input| call.emit(0, input))
    }

    fn deactivate<'m>(&mut self, _: Host<'m>, _: Active) -> Result<()> {
        self.at(Panics::Deactivate);
        Err(Error::io("said in deactivate"))
    }
}

impl Actuator for Subject {
    fn safe_state(&self) -> String {
        "nothing moves".to_owned()
    }

    fn fail_safe(&mut self, _: Host<'_>) -> Result<()> {
        self.at(Panics::FailSafe);
        Ok(())
    }
}

edgemill_sdk::export!(actuator Subject);

fn subject(panics: &str) -> Bench {
    Bench::new(&edgemill_entry, &[("panics", Value::Text(panics))]).expect("created")
}

fn activate(bench: &mut Bench) {
    bench.ports(None).expect("ports");
    bench.activate(&[Format::Event], &[Format::Event], None).expect("activated");
}

fn feed(bench: &mut Bench) -> Status {
    let packet = bench.event(Event::named(Name::fitted("red")));
    bench.process(Reason::Input, &[Some(packet)])
}

/// Calls create with this table and the valid values.
fn create_with(host: *const raw::Host) -> raw::Status {
    let value = raw::ParamValue {
        name: c"panics".as_ptr(),
        kind: raw::PARAM_STRING,
        boolean: 0,
        integer: 0,
        number: 0.0,
        text: c"nowhere".as_ptr(),
    };
    let mut instance = ptr::null_mut();
    let create = edgemill_entry.create.expect("there");
    // SAFETY: all pointers but `host` are valid, and that is what is tested.
    let answer = unsafe { create(host, &raw const value, 1, &raw mut instance) };
    if answer == raw::OK {
        // SAFETY: it was just made.
        unsafe { edgemill_entry.destroy.expect("there")(instance) };
    }
    answer
}

#[test]
fn create_refuses_a_table_that_lacks_something() {
    let bench = subject("nowhere");
    // SAFETY: the bench's table is valid, and as plain data may be copied.
    let table = || unsafe { ptr::read(bench.table()) };
    assert_eq!(create_with(bench.table()), raw::OK);
    assert_eq!(create_with(ptr::null()), raw::ERR_BAD_ARGUMENT);
    let lacking: [fn(&mut raw::Host); 14] = [
        |host| host.abi_version = 2,
        |host| host.struct_size -= 1,
        |host| host.emit = None,
        |host| host.emit_from = None,
        |host| host.acquire = None,
        |host| host.retain = None,
        |host| host.release = None,
        |host| host.log = None,
        |host| host.metric = None,
        |host| host.now_ns = None,
        |host| host.secret_alloc = None,
        |host| host.secret_free = None,
        |host| host.parallel = None,
        |host| host.get_extension = None,
    ];
    for (index, take) in lacking.iter().enumerate() {
        let mut table = table();
        take(&mut table);
        assert_eq!(create_with(&raw const table), raw::ERR_BAD_ARGUMENT, "case {index}");
    }
    let mut larger = table();
    larger.struct_size += 8;
    assert_eq!(create_with(&raw const larger), raw::OK, "a later host may offer more");
}

#[test]
fn null_is_refused_by_every_callback() {
    let mut bench = subject("nowhere");
    activate(&mut bench);
    let instance = bench.instance();
    let raw::Descriptor {
        create: Some(create),
        ports: Some(ports),
        activate: Some(activate),
        process: Some(process),
        deactivate: Some(deactivate),
        destroy: Some(destroy),
        get_extension: Some(get_extension),
        ..
    } = edgemill_entry
    else {
        panic!("a callback is missing")
    };
    let mut made = ptr::null_mut();
    let (null, bad) = (ptr::null_mut(), raw::ERR_BAD_ARGUMENT);
    // SAFETY: that NULL is refused rather than followed is what is tested; all else is valid.
    unsafe {
        assert_eq!(create(bench.table(), ptr::null(), 1, &raw mut made), bad);
        assert_eq!(create(bench.table(), ptr::null(), 0, ptr::null_mut()), bad);
        assert_eq!(ports(null, ptr::null(), ptr::null_mut()), bad);
        assert_eq!(ports(instance, ptr::null(), ptr::null_mut()), bad);
        assert_eq!(activate(null, ptr::null(), ptr::null(), ptr::null()), bad);
        assert_eq!(process(null, raw::REASON_INPUT, ptr::null()), bad);
        assert_eq!(process(instance, raw::REASON_INPUT, ptr::null()), bad);
        assert_eq!(process(instance, 9, [ptr::null()].as_ptr()), bad);
        deactivate(null);
        destroy(null);
        assert!(get_extension(null, raw::EXT_FAIL_SAFE.as_ptr()).is_null());
        assert!(get_extension(instance, ptr::null()).is_null());
        let fail_safe = get_extension(instance, raw::EXT_FAIL_SAFE.as_ptr());
        let fail_safe = fail_safe.cast::<raw::FailSafe>().as_ref().expect("it is an actuator");
        assert_eq!(fail_safe.apply.expect("there")(null), bad);
        assert_eq!(std::ffi::CStr::from_ptr(fail_safe.state), c"nothing moves");
        bench.deactivate();
        assert_eq!(activate(instance, ptr::null(), ptr::null(), ptr::null()), bad);
    }
    assert!(made.is_null());
}

#[test]
fn callbacks_out_of_order_are_refused() {
    let mut bench = subject("nowhere");
    let formats = [Format::Event];
    assert_eq!(feed(&mut bench), Status::BadArgument, "process before activate");
    let early = bench.activate(&formats, &formats, None).expect_err("before ports");
    assert_eq!(early.0, Status::BadArgument);
    bench.deactivate();
    activate(&mut bench);
    let twice = bench.activate(&formats, &formats, None).expect_err("while active");
    assert_eq!(twice.0, Status::BadArgument);
    assert_eq!(feed(&mut bench), Status::Ok, "a refusal changes nothing");
    bench.deactivate();
    bench.deactivate();
    assert_eq!(feed(&mut bench), Status::BadArgument, "process after deactivate");
    activate(&mut bench);
    assert_eq!(feed(&mut bench), Status::Ok, "it may be activated again");
}

#[test]
fn a_panic_in_create_is_a_fault() {
    let given = [("panics", Value::Text("create"))];
    let (status, line) = Bench::new(&edgemill_entry, &given).err().expect("refused");
    assert_eq!(status, Status::Fault);
    assert!(line.starts_with("create panicked: ") && line.contains("on command"), "{line}");
}

#[test]
fn a_panic_in_any_callback_is_a_fault_with_a_line_in_the_log() {
    let steps: [(&str, &str); 4] = [
        ("ports", "ports"),
        ("activate", "activate"),
        ("process", "process"),
        ("fail-safe", "fail_safe"),
    ];
    for (place, callback) in steps {
        let mut bench = subject(place);
        let formats = [Format::Event];
        let ports = bench.ports(None).map(|_| ());
        let activated = ports.and_then(|()| bench.activate(&formats, &formats, None));
        let status = match activated {
            Err((status, _)) => status,
            Ok(()) if place == "process" => feed(&mut bench),
            Ok(()) => bench.fail_safe().expect("it is an actuator"),
        };
        assert_eq!(status, Status::Fault, "{place}");
        let line = bench.logged().pop().expect("a line").text;
        assert!(line.starts_with(&format!("{callback} panicked: ")), "{place}: {line}");
        assert_eq!(feed(&mut bench), Status::Fault, "{place}: nothing reaches it any more");
        if place != "fail-safe" {
            assert_eq!(bench.fail_safe(), Some(Status::Ok), "{place}: but the fail-safe does");
        }
    }
}

#[test]
fn a_panic_in_teardown_is_caught() {
    for place in ["deactivate", "drop-active", "destroy"] {
        let mut bench = subject(place);
        activate(&mut bench);
        bench.deactivate();
        let lines = bench.logged();
        let panicked = lines.iter().any(|line| line.text.starts_with("deactivate panicked: "));
        assert_eq!(panicked, place != "destroy", "{place}: {lines:?}");
    }
}

#[test]
fn a_panic_on_a_helper_thread_is_an_error_of_process() {
    let mut bench = subject("parallel");
    activate(&mut bench);
    assert_eq!(feed(&mut bench), Status::Fault);
    let line = bench.logged().pop().expect("a line").text;
    assert_eq!(line, "process: fault: a parallel call panicked");
    assert_eq!(
        feed(&mut bench),
        Status::Fault,
        "it is called again, for process itself did not panic"
    );
    assert_eq!(bench.logged().len(), 1);
}

#[test]
fn errors_of_deactivate_are_logged() {
    let mut bench = subject("nowhere");
    activate(&mut bench);
    bench.deactivate();
    let line = bench.logged().pop().expect("a line").text;
    assert_eq!(line, "deactivate: input/output error: said in deactivate");
}

#[test]
fn two_instances_do_not_disturb_each_other() {
    let (mut sound, mut ill) = (subject("nowhere"), subject("process"));
    activate(&mut sound);
    activate(&mut ill);
    assert_eq!(feed(&mut ill), Status::Fault);
    assert_eq!(feed(&mut sound), Status::Ok);
    drop(ill);
    assert_eq!(feed(&mut sound), Status::Ok);
    assert_eq!(sound.emitted().len(), 2);
}

#[test]
fn the_descriptor_tells_what_the_package_tells() {
    assert_eq!(edgemill_entry.abi_version, raw::ABI_VERSION);
    assert_eq!(edgemill_entry.struct_size as usize, size_of::<raw::Descriptor>());
    assert_eq!(edgemill_entry.flags, raw::FLAG_ACTUATOR);
    // SAFETY: a descriptor's texts are ended by NUL.
    let id = unsafe { std::ffi::CStr::from_ptr(edgemill_entry.id) };
    assert_eq!(id, c"edgemill-sdk");
}
