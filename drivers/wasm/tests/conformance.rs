//! The suite, on an event loop that the test runs itself, in place of the one of the JavaScript engine: a
//! test can't wait for that without returning to it.
//!
//! Its clock is like a browser's: `performance.now()` is coarse, and timeouts ring a little early by
//! it. The suite runs twice: as in Node, and as in a browser, where there are messages, and a row of
//! timeouts, each set by the one before, is slowed down. That real loops work as this one does, is what
//! `event_loop.rs` tries.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use js_sys::{Function, Reflect, global};
use moirai_timer_core::{Handle, Metrics, Ticks};
use moirai_timer_tests::{AloneRig, CAPACITY, Rig};
use moirai_timer_wasm::Timer;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

/// What `performance.now()` is rounded down to, in microseconds.
const COARSE: u64 = 100;
/// How long before its time a timeout rings.
const EARLY: u64 = 30;

/// From this level on a timeout takes four milliseconds at least, in a browser.
const DEEP: u32 = 5;

/// Something that the loop is to run.
struct Task {
    at: u64,
    id: u32,
    /// How many timeouts were set, each by the one before.
    level: u32,
    handler: Function,
}

#[derive(Default)]
struct Loop {
    /// In microseconds.
    now: u64,
    browser: bool,
    last_id: u32,
    /// The level of what ran last; what the case does counts as part of it.
    level: u32,
    tasks: Vec<Task>,
    jobs: VecDeque<Function>,
}

impl Loop {
    fn push(&mut self, at: u64, level: u32, handler: Function) -> u32 {
        self.last_id += 1;
        self.tasks.push(Task { at, id: self.last_id, level, handler });
        self.last_id
    }
}

thread_local! {
    static LOOP: RefCell<Loop> = RefCell::new(Loop { now: 100_000_000_000, ..Loop::default() });
}

fn with<T>(body: impl FnOnce(&mut Loop) -> T) -> T {
    LOOP.with_borrow_mut(body)
}

/// One port that sends and one that receives, as much as is used of them.
const MESSAGE_CHANNEL: &str = "
    return class {
        port2 = { onmessage: null };
        port1 = { postMessage: () => post(() => this.port2.onmessage?.()), close() {} };
    };
";

/// Puts our event loop in place of the system's.
fn install() {
    let set = |object: &JsValue, name: &str, value: JsValue| {
        assert!(Reflect::set(object, &name.into(), &value).unwrap(), "{name} can be replaced");
    };
    let set_timeout = Closure::<dyn Fn(Function, i32) -> u32>::new(|handler, milliseconds: i32| {
        let mut milliseconds = u64::try_from(milliseconds).expect("browsers take it for zero");
        with(|this| {
            if this.browser && this.level >= DEEP {
                milliseconds = milliseconds.max(4);
            }
            this.push(this.now + milliseconds * 1_000 - EARLY, this.level + 1, handler)
        })
    });
    let clear_timeout = Closure::<dyn Fn(u32)>::new(|id| {
        with(|this| this.tasks.retain(|task| task.id != id));
    });
    let post = Closure::<dyn Fn(Function)>::new(|handler| {
        with(|this| this.push(this.now, 0, handler));
    });
    let queue_microtask =
        Closure::<dyn Fn(Function)>::new(|job| with(|this| this.jobs.push_back(job)));
    let now = Closure::<dyn Fn() -> f64>::new(|| {
        with(|this| (this.now / COARSE * COARSE) as f64 / 1_000.0)
    });
    let channel = Function::new_with_args("post", MESSAGE_CHANNEL);
    let channel = channel.call1(&JsValue::UNDEFINED, &post.into_js_value()).unwrap();
    set(&global(), "MessageChannel", channel);
    set(&global(), "setTimeout", set_timeout.into_js_value());
    set(&global(), "clearTimeout", clear_timeout.into_js_value());
    set(&global(), "queueMicrotask", queue_microtask.into_js_value());
    let performance = Reflect::get(&global(), &"performance".into()).unwrap();
    set(&performance, "now", now.into_js_value());
}

fn run_jobs() {
    while let Some(job) = with(|this| this.jobs.pop_front()) {
        job.call0(&JsValue::UNDEFINED).expect("the driver throws nothing");
    }
}

/// When the next task runs.
fn next() -> Option<u64> {
    with(|this| this.tasks.iter().map(|task| task.at).min())
}

/// Lets the next task run.
fn step() {
    let task = with(|this| {
        let first = this.tasks.iter().enumerate().min_by_key(|(_, task)| task.at);
        let (index, _) = first.expect("no timeout is set, and what is waited for has not come");
        let task = this.tasks.swap_remove(index);
        this.now = this.now.max(task.at);
        this.level = task.level;
        task
    });
    task.handler.call0(&JsValue::UNDEFINED).expect("the driver throws nothing");
    run_jobs();
}

/// A timer on our event loop.
struct Pumped(Timer);

impl Pumped {
    fn new(browser: bool) -> Self {
        thread_local!(static INSTALLED: () = install());
        INSTALLED.with(|()| ());
        // A message may outlive its timer, and finds nobody; a timeout may not.
        let timeouts = with(|this| this.tasks.iter().filter(|task| task.level > 0).count());
        assert_eq!(timeouts, 0, "a timeout outlived the timer of the case before");
        while next().is_some() {
            step();
        }
        with(|this| (this.browser, this.level) = (browser, 0));
        if browser {
            Reflect::set(&global(), &"document".into(), &JsValue::TRUE).unwrap();
        } else {
            Reflect::delete_property(&global(), &"document".into()).unwrap();
        }
        Pumped(Timer::with_capacity(CAPACITY))
    }

    /// What the loop's clock shows when that of the timer shows `at`.
    fn micros_at(&self, at: Ticks) -> u64 {
        let left = at.since(Handle::now(&self.0)).div_ceil(1_000);
        with(|this| (this.now / COARSE * COARSE + left).next_multiple_of(COARSE))
    }
}

impl Drop for Pumped {
    fn drop(&mut self) {
        // One of them may be the timer's, which then outlives the handles.
        run_jobs();
    }
}

impl Rig for Pumped {
    type Handle = Timer;
    /// A timeout is up to one millisecond late.
    const UNIT: u64 = 4_000_000;

    fn handle(&self) -> &Timer {
        &self.0
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        run_jobs();
        while !done() {
            // Asking may have armed something.
            run_jobs();
            step();
        }
    }

    fn wait_until(&self, at: Ticks) {
        run_jobs();
        let end = self.micros_at(at);
        while next().is_some_and(|next| next <= end) {
            step();
        }
        with(|this| this.now = this.now.max(end));
        assert!(self.now() >= at);
    }
}

impl AloneRig for Pumped {
    fn metrics(&self) -> Metrics {
        self.0.metrics()
    }

    fn turn(&self) {
        self.0.turn();
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

macro_rules! tests {
    ($($case:ident)*) => {$(
        #[wasm_bindgen_test]
        fn $case() {
            for browser in [false, true] {
                moirai_timer_tests::run(|| Pumped::new(browser), moirai_timer_tests::cases::$case);
            }
        }
    )*};
}

moirai_timer_tests::each_case!(any: tests);
moirai_timer_tests::each_case!(alone: tests);

/// Each sleep is armed by a task that the one before has woken.
#[wasm_bindgen_test]
fn a_row_of_short_sleeps_is_not_slowed_down() {
    for browser in [false, true] {
        let rig = Pumped::new(browser);
        let task = moirai_timer_tests::Task::new();
        let mut sleep = rig.0.never();
        for number in 0..20 {
            let start = rig.now();
            sleep.reset_after(Duration::from_millis(1));
            rig.wait(&mut || task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_ready());
            let took = rig.now().since(start);
            assert!(took < 3_000_000, "sleep {number} of 1 ms took {took} ns");
        }
    }
}
