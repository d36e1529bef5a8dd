//! Systems without `fork`.

use std::io;

/// Does nothing.
pub(crate) fn on_fork(
    _prepare: extern "C" fn(),
    _parent: extern "C" fn(),
    _child: extern "C" fn(),
) {
}

/// There is no forked child.
pub(crate) fn start_thread(_run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
