//! What lives for ever, as statics do, but is made at run time.

use std::any::Any;
use std::boxed::Box;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

/// Keeps `value` until the process ends. It stays within reach of a static, so that leak checkers
/// take it for what it is.
pub fn forever<T: Send + Sync + 'static>(value: T) -> &'static T {
    static ALL: Mutex<Vec<&'static (dyn Any + Send + Sync)>> = Mutex::new(Vec::new());
    let value: &'static T = Box::leak(Box::new(value));
    ALL.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    value
}
