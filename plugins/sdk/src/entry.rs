//! The C side of a plugin: the descriptor and its callbacks. Each callback refuses NULL and a wrong order, catches
//! panics, and writes what went wrong to the log.
use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{mem, ptr, slice};

use edgemill_abi::{LogLevel, Reason, Status, raw};

use crate::call::Call;
use crate::contract::Contract;
use crate::host::{Host, Table};
use crate::params::{ParamSet, Values};
use crate::payload::Outlet;
use crate::plugin::{Actuator, Plugin};
use crate::ports::OwnedPorts;
use crate::setup::Setup;
use crate::{Error, Result};

/// Whether a plugin drives the world.
pub trait Role<P>: 'static {
    /// Flags of the descriptor.
    const FLAGS: u64;

    /// What the fail-safe does, and doing it; `None` for a plugin that drives nothing.
    #[must_use]
    fn safe_state(plugin: &P) -> Option<String>;

    /// Puts the output in its safe state.
    ///
    /// # Errors
    /// The output cannot be reached, or there is none.
    fn fail_safe(plugin: &mut P, host: Host<'_>) -> Result<()>;
}

/// A plugin that only computes.
pub struct Computes;

impl<P: Plugin> Role<P> for Computes {
    const FLAGS: u64 = 0;

    fn safe_state(_: &P) -> Option<String> {
        None
    }

    fn fail_safe(_: &mut P, _: Host<'_>) -> Result<()> {
        Err(Error::new(Status::Unsupported, "it drives nothing"))
    }
}

/// A plugin that drives the world.
pub struct Acts;

impl<P: Actuator> Role<P> for Acts {
    const FLAGS: u64 = raw::FLAG_ACTUATOR;

    fn safe_state(plugin: &P) -> Option<String> {
        Some(plugin.safe_state())
    }

    fn fail_safe(plugin: &mut P, host: Host<'_>) -> Result<()> {
        plugin.fail_safe(host)
    }
}

/// The descriptor of a plugin.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the boundary's structs are small, params few")]
pub const fn descriptor<P: Plugin, R: Role<P>>(
    id: &'static CStr,
    version: &'static CStr,
    summary: &'static CStr,
) -> raw::Descriptor {
    raw::Descriptor {
        abi_version: raw::ABI_VERSION,
        struct_size: size_of::<raw::Descriptor>() as u32,
        id: id.as_ptr(),
        version: version.as_ptr(),
        summary: summary.as_ptr(),
        flags: R::FLAGS | if P::REALTIME { raw::FLAG_REALTIME } else { 0 },
        params: P::Params::TABLE.as_ptr(),
        required_extensions: ptr::null(),
        param_count: P::Params::TABLE.len() as u32,
        required_extension_count: 0,
        create: Some(create::<P, R>),
        ports: Some(ports::<P>),
        activate: Some(activate::<P>),
        process: Some(process::<P>),
        deactivate: Some(deactivate::<P>),
        destroy: Some(destroy::<P>),
        get_extension: Some(get_extension::<P>),
    }
}

/// An instance as the host holds it.
struct Instance<P: Plugin> {
    table: Table,
    /// Read by `get_extension` from any thread, and therefore never written after create.
    fail_safe: Option<(raw::FailSafe, CString)>,
    inner: UnsafeCell<Inner<P>>,
}

/// What the callbacks change. Callbacks never overlap, which is what makes the `UnsafeCell` sound.
struct Inner<P: Plugin> {
    active: Option<Active<P>>,
    plugin: P,
    ports: Option<OwnedPorts>,
    /// A callback has panicked, so the plugin may be in any state.
    broken: bool,
}

struct Active<P: Plugin> {
    /// Really for `'m`, the time until deactivate; it never leaves this struct, so the lie cannot be seen.
    state: P::Active<'static>,
    input_count: usize,
    outlets: Vec<Outlet>,
}

impl<P: Plugin> Instance<P> {
    fn host(&self) -> Host<'static> {
        // SAFETY: the table stays as long as the instance, and a `Host` that a plugin can keep is bound to `'m`.
        unsafe { Host::new(&raw const self.table) }
    }
}

/// The instance's host and inner part; `None` for NULL.
///
/// # Safety
/// `instance` is NULL or came from `create::<P, _>` and was not destroyed; no other callback of it runs now.
unsafe fn open<'a, P: Plugin>(instance: *mut c_void) -> Option<(Host<'static>, &'a mut Inner<P>)> {
    // SAFETY: the caller's promise; the inner part is reached by callbacks only, and they never overlap.
    unsafe {
        let instance = instance.cast::<Instance<P>>().as_ref()?;
        Some((instance.host(), &mut *instance.inner.get()))
    }
}

/// Runs one callback: what it answers, or what its error or panic amounts to, with a line in the log.
fn run(host: Host<'_>, call: &str, body: impl FnOnce() -> Result<Status>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => Outcome { status, panicked: false },
        Ok(Err(error)) => {
            host.log(LogLevel::Error, format_args!("{call}: {error}"));
            Outcome { status: error.status(), panicked: false }
        }
        Err(panic) => {
            host.log(LogLevel::Error, format_args!("{call} panicked: {}", message(&*panic)));
            // Dropping an unknown payload could panic again.
            mem::forget(panic);
            Outcome { status: Status::Fault, panicked: true }
        }
    }
}

struct Outcome {
    status: Status,
    panicked: bool,
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// As [`run`], on an instance that no callback has panicked in.
///
/// # Safety
/// As [`open`].
unsafe fn run_on<P: Plugin>(
    instance: *mut c_void,
    call: &str,
    body: impl FnOnce(Host<'static>, &mut Inner<P>) -> Result<Status>,
) -> raw::Status {
    // SAFETY: the caller's promise.
    let Some((host, inner)) = (unsafe { open::<P>(instance) }) else {
        return raw::ERR_BAD_ARGUMENT;
    };
    if inner.broken {
        return raw::ERR_FAULT;
    }
    let outcome = run(host, call, || body(host, inner));
    inner.broken = outcome.panicked;
    outcome.status.raw()
}

unsafe extern "C" fn create<P: Plugin, R: Role<P>>(
    host: *const raw::Host,
    values: *const raw::ParamValue,
    value_count: u32,
    instance: *mut *mut c_void,
) -> raw::Status {
    // SAFETY: `host` is NULL or a host table that stays until destroy, as `host.h` says.
    let table = match unsafe { Table::new(host) } {
        Ok(table) if !instance.is_null() => table,
        _ => return raw::ERR_BAD_ARGUMENT,
    };
    // SAFETY: the table lives until the end of this function, and `Host` is not kept: create's is for any lifetime.
    let for_create = unsafe { Host::new(&raw const table) };
    let mut made = None;
    let outcome = run(for_create, "create", || {
        // SAFETY: `values` leads to `value_count` values during create, as `plugin.h` says.
        let values = unsafe { Values::new(values, value_count, P::Params::TABLE)? };
        let plugin = P::create(for_create, P::Params::read(&values)?)?;
        let state = R::safe_state(&plugin);
        made = Some((plugin, state));
        Ok(Status::Ok)
    });
    let Some((plugin, state)) = made.filter(|_| outcome.status == Status::Ok) else {
        return outcome.status.raw();
    };
    let inner = UnsafeCell::new(Inner { active: None, plugin, ports: None, broken: false });
    let fail_safe = state.map(extension::<P, R>);
    let boxed = Box::new(Instance { table, fail_safe, inner });
    // SAFETY: `instance` is not NULL, checked above.
    unsafe { *instance = Box::into_raw(boxed).cast() };
    raw::OK
}

fn extension<P: Plugin, R: Role<P>>(state: String) -> (raw::FailSafe, CString) {
    let state = CString::new(state.replace('\0', " ")).unwrap_or_default();
    (raw::FailSafe { state: state.as_ptr(), apply: Some(apply::<P, R>) }, state)
}

unsafe extern "C" fn ports<P: Plugin>(
    instance: *mut c_void,
    contract: *const raw::Contract,
    out: *mut raw::Ports,
) -> raw::Status {
    let body = |_: Host<'_>, inner: &mut Inner<P>| {
        if out.is_null() {
            return Err(Error::unfit("`out` is NULL"));
        }
        if inner.ports.is_none() {
            // SAFETY: `contract` is NULL or as `contract.h` describes it, as `plugin.h` says.
            let contract = unsafe { contract.as_ref().map(|c| Contract::read(c)).transpose()? };
            inner.ports = Some(OwnedPorts::new(inner.plugin.ports(contract)?)?);
        }
        if let Some(ports) = &inner.ports {
            // SAFETY: `out` is not NULL, checked above, and leads to room for the answer.
            unsafe { *out = ports.raw };
        }
        Ok(Status::Ok)
    };
    // SAFETY: `instance` comes from our create, and the host keeps callbacks of one instance apart.
    unsafe { run_on(instance, "ports", body) }
}

unsafe extern "C" fn activate<P: Plugin>(
    instance: *mut c_void,
    inputs: *const raw::Format,
    outputs: *const raw::Format,
    model: *const raw::Model,
) -> raw::Status {
    let body = |host: Host<'static>, inner: &mut Inner<P>| {
        let ports = inner.ports.as_ref().ok_or_else(|| Error::unfit("called before ports"))?;
        if inner.active.is_some() {
            return Err(Error::unfit("called while active"));
        }
        let (inputs, outputs) = ((inputs, ports.input_count), (outputs, ports.output_count));
        // SAFETY: formats and model are as `plugin.h` says. `'static` stands for the time until deactivate, when
        // what activate answers is dropped; the plugin's code is generic over it and cannot keep it elsewhere.
        let setup = unsafe { Setup::new(host, inputs, outputs, model)? };
        let outlets = setup.outputs().iter().map(|&format| Outlet::new(format)).collect();
        let state = inner.plugin.activate(setup)?;
        inner.active = Some(Active { state, input_count: inputs.1, outlets });
        Ok(Status::Ok)
    };
    // SAFETY: `instance` comes from our create, and the host keeps callbacks of one instance apart.
    unsafe { run_on(instance, "activate", body) }
}

unsafe extern "C" fn process<P: Plugin>(
    instance: *mut c_void,
    reason: u32,
    inputs: *const *const raw::Packet,
) -> raw::Status {
    let body = |host: Host<'static>, inner: &mut Inner<P>| {
        let active =
            inner.active.as_mut().ok_or_else(|| Error::unfit("called while not active"))?;
        let reason = Reason::from_raw(reason).ok_or_else(|| Error::unfit("unknown reason"))?;
        // SAFETY: `inputs` has a pointer for each input port, as `plugin.h` says.
        let inputs = unsafe { packets(inputs, active.input_count)? };
        // SAFETY: the outlets stay in their place until deactivate has dropped all that may refer to them, which is
        // what `'static` stands for here, as in activate.
        let outlets = unsafe { &*ptr::from_ref(active.outlets.as_slice()) };
        let call = Call::new(host, reason, inputs, outlets);
        match inner.plugin.process(&mut active.state, &call) {
            Err(error) if !error.is_no_fault() => Err(error),
            _ => Ok(if call.has_ended() { Status::End } else { Status::Ok }),
        }
    };
    // SAFETY: `instance` comes from our create, and the host keeps callbacks of one instance apart.
    unsafe { run_on(instance, "process", body) }
}

/// # Safety
/// `inputs` is NULL or leads to `count` pointers, each NULL or leading to a packet, for all of `'c`.
unsafe fn packets<'c>(
    inputs: *const *const raw::Packet,
    count: usize,
) -> Result<&'c [Option<&'c raw::Packet>]> {
    match count {
        0 => Ok(&[]),
        _ if inputs.is_null() => Err(Error::unfit("`inputs` is NULL")),
        // SAFETY: not NULL; `Option<&T>` is laid out as a pointer that may be NULL; the rest is the caller's promise.
        _ => Ok(unsafe { slice::from_raw_parts(inputs.cast::<Option<&raw::Packet>>(), count) }),
    }
}

unsafe extern "C" fn deactivate<P: Plugin>(instance: *mut c_void) {
    // SAFETY: `instance` comes from our create, and the host keeps callbacks of one instance apart.
    let Some((host, inner)) = (unsafe { open::<P>(instance) }) else { return };
    let Some(Active { state, outlets, .. }) = inner.active.take() else { return };
    let outcome = run(host, "deactivate", || {
        inner.plugin.deactivate(host, state)?;
        Ok(Status::Ok)
    });
    drop(outlets);
    inner.broken |= outcome.panicked;
}

unsafe extern "C" fn destroy<P: Plugin>(instance: *mut c_void) {
    if instance.is_null() {
        return;
    }
    // What is active refers to the instance's table, so it goes while the instance stands. After deactivate this
    // does nothing.
    // SAFETY: `instance` is what we were given, and is not destroyed yet.
    unsafe { deactivate::<P>(instance) };
    // SAFETY: `instance` comes from `Box::into_raw` in our create, and the host calls destroy once.
    let Instance { table, inner, .. } = *unsafe { Box::from_raw(instance.cast::<Instance<P>>()) };
    // SAFETY: the table lives until the end of this function.
    let host = unsafe { Host::new(&raw const table) };
    run(host, "destroy", || {
        drop(inner);
        Ok(Status::Ok)
    });
}

unsafe extern "C" fn get_extension<P: Plugin>(
    instance: *mut c_void,
    name: *const c_char,
) -> *const c_void {
    if instance.is_null() || name.is_null() {
        return ptr::null();
    }
    // SAFETY: not NULL; `name` is ended by NUL. Only fields are read that nobody writes after create.
    let (fail_safe, name) =
        unsafe { (&(*instance.cast::<Instance<P>>()).fail_safe, CStr::from_ptr(name)) };
    match fail_safe {
        Some((extension, _)) if name == raw::EXT_FAIL_SAFE => (&raw const *extension).cast(),
        _ => ptr::null(),
    }
}

/// Also after a panic elsewhere: a safe state is worth the attempt.
unsafe extern "C" fn apply<P: Plugin, R: Role<P>>(instance: *mut c_void) -> raw::Status {
    // SAFETY: `instance` comes from our create, and the host keeps callbacks of one instance apart.
    let Some((host, inner)) = (unsafe { open::<P>(instance) }) else {
        return raw::ERR_BAD_ARGUMENT;
    };
    let outcome = run(host, "fail_safe", || {
        R::fail_safe(&mut inner.plugin, host)?;
        Ok(Status::Ok)
    });
    inner.broken |= outcome.panicked;
    outcome.status.raw()
}

/// Exports a plugin: its id, version and summary are the package's name, version and description. An
/// [`Actuator`] is exported by `export!(actuator Type)`.
#[macro_export]
macro_rules! export {
    (actuator $plugin:ty) => {
        $crate::export!(@entry $plugin, $crate::entry::Acts);
    };
    (@entry $plugin:ty, $role:ty) => {
        /// The one symbol that a plugin exports.
        #[allow(non_upper_case_globals)]
        #[unsafe(no_mangle)]
        pub static edgemill_entry: $crate::raw::Descriptor =
            $crate::entry::descriptor::<$plugin, $role>(
                $crate::params::literal(concat!(env!("CARGO_PKG_NAME"), "\0")),
                $crate::params::literal(concat!(env!("CARGO_PKG_VERSION"), "\0")),
                $crate::params::literal(concat!(env!("CARGO_PKG_DESCRIPTION"), "\0")),
            );
    };
    ($plugin:ty) => {
        $crate::export!(@entry $plugin, $crate::entry::Computes);
    };
}
