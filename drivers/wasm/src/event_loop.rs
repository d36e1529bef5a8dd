//! The driver: one timeout of the event loop's, and turns that are to come soon.
//!
//! # The row of timeouts
//!
//! Browsers count how many timeouts were set, each by the one before. From the fifth on, the next comes
//! after 4 ms or more (HTML, "timer initialisation steps"). A task that sleeps again and again sets such
//! a row. So in a browser the timeout does not turn the timer itself; it sends a message, whose
//! handler does, and which begins a new row. Elsewhere there is no such rule, and no message.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Weak;

use js_sys::Reflect;
use moirai_timer_core::{Armed, Driver, Ticks};
use wasm_bindgen::prelude::*;

use crate::clock;
use crate::timer::Core;

#[wasm_bindgen]
extern "C" {
    /// An id: a number in browsers, an object in Node.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &JsValue, milliseconds: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);

    /// Runs `job` when the event loop's present task has ended, before any other.
    #[wasm_bindgen(js_name = queueMicrotask)]
    fn queue_microtask(job: &JsValue);

    type MessageChannel;

    #[wasm_bindgen(constructor)]
    fn new() -> MessageChannel;

    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> MessagePort;

    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> MessagePort;

    type MessagePort;

    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &MessagePort, handler: &JsValue);

    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &MessagePort, message: &JsValue);

    #[wasm_bindgen(method)]
    fn close(this: &MessagePort);
}

/// The longest timeout: what is longer would ring at once.
const LONGEST: u64 = i32::MAX as u64;
const MILLISECOND: u64 = clock::NANOS / 1_000;

/// In milliseconds, rounded up, as it must not ring before: and if it rings early all the same, since
/// its clock is not ours, the next one is no shorter than one.
fn milliseconds(nanos: u64) -> i32 {
    nanos.div_ceil(MILLISECOND).clamp(1, LONGEST) as i32
}

/// A timeout is set in one place, which is also where it is taken back.
pub(crate) struct EventLoop(OneThread<Alarm>);

struct Alarm {
    core: Weak<Core>,
    /// The timeout that is set.
    id: RefCell<Option<JsValue>>,
    pended: Cell<bool>,
    on_timeout: Closure<dyn Fn()>,
    /// Messages to ourselves, in a browser.
    messages: Option<Messages>,
}

struct Messages {
    channel: MessageChannel,
    _on_message: Closure<dyn Fn()>,
}

/// What belongs to one thread of JavaScript, in a program that has no other.
struct OneThread<T>(T);

// SAFETY: without shared memory a program in WebAssembly has one thread: nothing can be sent to another.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl<T> Send for OneThread<T> {}
// SAFETY: as above.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl<T> Sync for OneThread<T> {}

fn turn(core: &Weak<Core>) {
    // The last handle may be gone: then nobody waits.
    if let Some(core) = core.upgrade() {
        core.driver().0.0.pended.set(false);
        core.on_alarm();
    }
}

/// Whether the rule about rows of timeouts applies.
fn is_browser() -> bool {
    let global = js_sys::global();
    let has = |name: &str| Reflect::has(&global, &name.into()).unwrap_or(false);
    has("MessageChannel") && (has("document") || has("WorkerGlobalScope"))
}

impl EventLoop {
    pub(crate) fn new(core: Weak<Core>) -> Self {
        let to_turn = core.clone();
        let (on_timeout, messages): (Closure<dyn Fn()>, _) = if is_browser() {
            let channel = MessageChannel::new();
            let on_message = Closure::<dyn Fn()>::new(move || turn(&to_turn));
            channel.port2().set_onmessage(on_message.as_ref());
            let to_self = channel.port1();
            let on_timeout = Closure::new(move || to_self.post_message(&JsValue::NULL));
            (on_timeout, Some(Messages { channel, _on_message: on_message }))
        } else {
            (Closure::new(move || turn(&to_turn)), None)
        };
        let (id, pended) = (RefCell::new(None), Cell::new(false));
        EventLoop(OneThread(Alarm { core, id, pended, on_timeout, messages }))
    }
}

impl Driver for EventLoop {
    const TICK_HZ: u64 = clock::NANOS;

    fn now(&self) -> Ticks {
        clock::now()
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.disarm();
        let now = self.now();
        if at <= now {
            return Armed::Elapsed;
        }
        let alarm = &self.0.0;
        let id = set_timeout(alarm.on_timeout.as_ref(), milliseconds(at.since(now)));
        alarm.id.replace(Some(id));
        Armed::Pending
    }

    fn disarm(&self) {
        if let Some(id) = self.0.0.id.take() {
            clear_timeout(&id);
        }
    }

    fn pend(&self) {
        let alarm = &self.0.0;
        if !alarm.pended.replace(true) {
            let core = alarm.core.clone();
            queue_microtask(&Closure::once_into_js(move || turn(&core)));
        }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.disarm();
        if let Some(Messages { channel, .. }) = &self.0.0.messages {
            channel.port1().close();
            channel.port2().set_onmessage(&JsValue::NULL);
        }
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("timeout", &self.0.0.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_whole_milliseconds_that_the_event_loop_can_count() {
        assert_eq!(milliseconds(1), 1);
        assert_eq!(milliseconds(MILLISECOND), 1);
        assert_eq!(milliseconds(MILLISECOND + 1), 2);
        assert_eq!(milliseconds(LONGEST * MILLISECOND), i32::MAX);
        assert_eq!(milliseconds(LONGEST * MILLISECOND + 1), i32::MAX);
        assert_eq!(milliseconds(u64::MAX), i32::MAX);
    }
}
