//! Unix: being told of `fork`, and the threads of a forked child.

use std::any::Any;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{io, ptr};

/// Calls `prepare` before every `fork`, `parent` and `child` after it. Call it once.
pub(crate) fn on_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: the functions are valid for the life of the process and do not unwind. If it fails,
    // for want of memory, a forked child has timers that do not fire; nothing else.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}

type Run = Box<dyn FnOnce() + Send>;

/// Starts a thread without the standard library, whose threads begin with a lock: if one of the parent's
/// was beginning or ending at the fork, the child finds it taken for ever (`stack_overflow::thread_info`
/// in Rust 1.95). `std` takes such a thread for any other that is not its own; but if its stack overflows,
/// it does not say so.
pub(crate) fn start_thread(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    /// What the standard library gives a thread.
    const STACK: usize = 2 << 20;

    extern "C" fn begin(run: *mut c_void) -> *mut c_void {
        // SAFETY: it is the box that was given away below, and this is called once.
        let run = unsafe { Box::from_raw(run.cast::<Run>()) };
        // It was reported when it happened.
        let _: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(run));
        ptr::null_mut()
    }

    let run = Box::into_raw(Box::new(Box::new(run) as Run));
    let (mut attributes, mut thread) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: the attributes are used after `init` and before `destroy`, none of which fails, nor does
    // what is set; `begin` takes what it is given.
    let error = unsafe {
        let attributes = attributes.as_mut_ptr();
        libc::pthread_attr_init(attributes);
        libc::pthread_attr_setstacksize(attributes, STACK);
        libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
        let error = libc::pthread_create(thread.as_mut_ptr(), attributes, begin, run.cast());
        libc::pthread_attr_destroy(attributes);
        error
    };
    if error != 0 {
        // SAFETY: it came out of its box above, and nobody has it.
        drop(unsafe { Box::from_raw(run) });
        return Err(io::Error::from_raw_os_error(error));
    }
    Ok(())
}
