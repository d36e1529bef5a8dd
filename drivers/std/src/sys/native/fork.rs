//! Unix: being told of `fork`.

/// Calls `prepare` before every `fork`, `parent` and `child` after it. Call it once.
pub(crate) fn on_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: the functions are valid for the life of the process and do not unwind. If it fails,
    // for want of memory, a forked child has timers that do not fire; nothing else.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}
