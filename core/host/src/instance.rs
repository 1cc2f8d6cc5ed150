//! The calls into a plugin's instance, one method each. What they may be called with, and when, is the caller's to
//! keep: [`crate::PluginStage`] keeps the rules, the conformance suite breaks some of them on purpose.
use std::ffi::{CStr, c_void};
use std::sync::Arc;

use edgemill_abi::raw;

use crate::library::Library;

/// Made by `create`, ended by `destroy` when dropped.
#[derive(Debug)]
pub(crate) struct Instance {
    library: Arc<Library>,
    raw: *mut c_void,
}

// SAFETY: the boundary lets an instance be called from one thread after another, never from two at once
// (plugin.h, "Callbacks of one instance never overlap"); every method here takes `&mut self`.
unsafe impl Send for Instance {}

impl Instance {
    /// # Errors
    /// What `create` answered, if not OK.
    ///
    /// # Safety
    /// `host` is valid, and unmoved, until the instance has been dropped.
    pub(crate) unsafe fn create(
        library: &Arc<Library>,
        host: *const raw::Host,
        values: &[raw::ParamValue],
    ) -> Result<Self, raw::Status> {
        let mut raw = std::ptr::null_mut();
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        // SAFETY: the function is there (checked at load); the caller vouches for `host`; `values` has `count`
        // elements and lives through the call.
        let status =
            unsafe { (library.functions().create)(host, values.as_ptr(), count, &raw mut raw) };
        match status {
            raw::OK => Ok(Self { library: Arc::clone(library), raw }),
            status => Err(status),
        }
    }

    /// # Errors
    /// What `ports` answered, if not OK.
    ///
    /// # Safety
    /// `contract` is null or valid through the life of the instance.
    pub(crate) unsafe fn ports(
        &mut self,
        contract: *const raw::Contract,
    ) -> Result<raw::Ports, raw::Status> {
        let mut ports = raw::Ports {
            inputs: std::ptr::null(),
            outputs: std::ptr::null(),
            input_count: 0,
            output_count: 0,
            timer_ns: 0,
        };
        // SAFETY: `raw` is what `create` made and `destroy` has not ended; the caller vouches for `contract`.
        match unsafe { (self.library.functions().ports)(self.raw, contract, &raw mut ports) } {
            raw::OK => Ok(ports),
            status => Err(status),
        }
    }

    /// # Safety
    /// One format for each port; `model` is null, or valid until `deactivate` has returned.
    pub(crate) unsafe fn activate(
        &mut self,
        inputs: &[raw::Format],
        outputs: &[raw::Format],
        model: *const raw::Model,
    ) -> raw::Status {
        let activate = self.library.functions().activate;
        // SAFETY: `raw` is a live instance; the caller vouches for the counts and the model.
        unsafe { activate(self.raw, inputs.as_ptr(), outputs.as_ptr(), model) }
    }

    /// # Safety
    /// One pointer for each input port, each null or to a packet that lives through the call with its buffer.
    pub(crate) unsafe fn process(
        &mut self,
        reason: u32,
        inputs: &[*const raw::Packet],
    ) -> raw::Status {
        // SAFETY: `raw` is a live instance; the caller vouches for the packets.
        unsafe { (self.library.functions().process)(self.raw, reason, inputs.as_ptr()) }
    }

    /// To be called once for each `activate` that answered OK.
    pub(crate) fn deactivate(&mut self) {
        // SAFETY: `raw` is a live instance.
        unsafe { (self.library.functions().deactivate)(self.raw) }
    }

    /// The instance's extension of this name, or null.
    pub(crate) fn extension(&mut self, name: &CStr) -> *const c_void {
        match self.library.functions().get_extension {
            // SAFETY: `raw` is a live instance; the name is ended by NUL.
            Some(get) => unsafe { get(self.raw, name.as_ptr()) },
            None => std::ptr::null(),
        }
    }

    /// The fail-safe extension, where the instance has one.
    pub(crate) fn fail_safe(&mut self) -> Option<FailSafe> {
        let at = self.extension(raw::EXT_FAIL_SAFE).cast::<raw::FailSafe>();
        // SAFETY: not null (checked here), and by its name a fail_safe struct that is valid until destroy.
        let raw = unsafe { at.as_ref() }?;
        Some(FailSafe { state: raw.state, apply: raw.apply? })
    }

    /// # Safety
    /// `fail_safe` was got from this instance.
    pub(crate) unsafe fn apply(&mut self, fail_safe: &FailSafe) -> raw::Status {
        // SAFETY: `raw` is a live instance, and the function is its own.
        unsafe { (fail_safe.apply)(self.raw) }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `raw` is what `create` made; this is the only `destroy`.
        unsafe { (self.library.functions().destroy)(self.raw) }
    }
}

/// The extension `edgemill.fail_safe/1`, its function known to be there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailSafe {
    pub state: *const std::ffi::c_char,
    apply: unsafe extern "C" fn(*mut c_void) -> raw::Status,
}

// SAFETY: two addresses, of a constant text and of code; both are valid until destroy, from any thread.
unsafe impl Send for FailSafe {}
