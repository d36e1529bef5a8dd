//! Memory whose every access is seen, and something else that runs right before one of them.
//!
//! The value has pages of its own, which may not be touched while it is watched. Each access
//! faults; the handler counts it, and opens the pages for one instruction, after which the
//! processor's trap flag raises another signal that closes them again. At the access with the right
//! number the interruption runs first, on the same stack, as an interrupt handler would.

use std::any::Any;
use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::Once;

const TRAP_FLAG: i64 = 0x100;

/// A value in pages of its own.
pub struct Watched<T>(NonNull<T>);

/// What this thread watches at this moment.
struct Watching {
    start: Cell<usize>,
    len: Cell<usize>,
    /// Accesses until the interruption.
    left: Cell<u64>,
    interruption: Cell<Option<*mut dyn FnMut()>>,
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

thread_local! {
    static WATCHING: Watching = const {
        Watching {
            start: Cell::new(0),
            len: Cell::new(0),
            left: Cell::new(0),
            interruption: Cell::new(None),
            panic: Cell::new(None),
        }
    };
}

impl Watching {
    fn protect(&self, protection: i32) {
        // SAFETY: the pages are those of a `Watched`, mapped by it and borrowed by `interrupt`.
        let result =
            unsafe { libc::mprotect(self.start.get() as *mut _, self.len.get(), protection) };
        assert_eq!(result, 0);
    }

    fn close(&self) {
        self.protect(libc::PROT_NONE);
    }

    fn open(&self) {
        self.protect(libc::PROT_READ | libc::PROT_WRITE);
    }
}

fn flags(context: *mut libc::c_void) -> &'static mut i64 {
    // SAFETY: the kernel passes a context to a handler that was installed with SA_SIGINFO, and it
    // lives as long as the handler runs, in which this is used.
    unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_EFL as usize] }
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes the address of the fault.
    let address = unsafe { (*info).si_addr() } as usize;
    WATCHING.with(|watching| {
        if !(watching.start.get()..watching.start.get() + watching.len.get()).contains(&address) {
            // A fault like any other: let it have its way.
            // SAFETY: restores what every program starts with.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            return;
        }
        watching.open();
        let left = watching.left.get();
        if left > 0 {
            watching.left.set(left - 1);
            *flags(context) |= TRAP_FLAG;
        } else if let Some(interruption) = watching.interruption.take() {
            // SAFETY: `interrupt` borrows the closure as long as this can be called.
            let run = AssertUnwindSafe(|| unsafe { (*interruption)() });
            watching.panic.set(catch_unwind(run).err());
        }
    });
}

extern "C" fn on_trap(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    *flags(context) &= !TRAP_FLAG;
    WATCHING.with(Watching::close);
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (signal, handler) in
            [(libc::SIGSEGV, on_fault as *const ()), (libc::SIGTRAP, on_trap as *const ())]
        {
            // SAFETY: the handlers have the signature that SA_SIGINFO asks for, and zeros are a
            // valid rest. What they call may be called there: the signals are synchronous, raised
            // by the test's own access.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as usize;
                action.sa_flags = libc::SA_SIGINFO;
                assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
            }
        }
    });
}

impl<T> Watched<T> {
    const LEN: usize = size_of::<T>().next_multiple_of(4096);

    pub fn new(value: T) -> Self {
        // SAFETY: a new mapping, where the system likes it.
        let pages = unsafe {
            let (access, kind) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
            libc::mmap(ptr::null_mut(), Self::LEN, access, kind, -1, 0)
        };
        assert_ne!(pages, libc::MAP_FAILED);
        let place = NonNull::new(pages.cast::<T>()).expect("it did not fail");
        // SAFETY: the mapping is large enough, aligned to a page, and nobody else's.
        unsafe { place.write(value) };
        Watched(place)
    }

    /// Runs `operation`, and `interruption` right before its access with this number. False if
    /// there are fewer accesses; the interruption has not run then.
    pub fn interrupt(
        &self,
        number: u64,
        operation: impl FnOnce(),
        interruption: &mut dyn FnMut(),
    ) -> bool {
        install();
        // SAFETY: only the lifetime changes. It is taken back before this function returns.
        let interruption: *mut (dyn FnMut() + 'static) =
            unsafe { std::mem::transmute(interruption as *mut dyn FnMut()) };
        WATCHING.with(|watching| {
            watching.start.set(self.0.as_ptr() as usize);
            watching.len.set(Self::LEN);
            watching.left.set(number);
            watching.interruption.set(Some(interruption));
            watching.close();
            let result = catch_unwind(AssertUnwindSafe(operation));
            watching.open();
            watching.len.set(0);
            let missed = watching.interruption.take().is_some();
            if let Some(panic) = watching.panic.take().or(result.err()) {
                resume_unwind(panic);
            }
            !missed
        })
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: it was written in `new`.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        // SAFETY: it was written in `new`, and mapped there.
        unsafe {
            self.0.drop_in_place();
            libc::munmap(self.0.as_ptr().cast(), Self::LEN);
        }
    }
}
