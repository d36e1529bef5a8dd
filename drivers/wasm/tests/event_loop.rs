//! The driver on a real event loop: that of Node, or of a browser.
#![cfg(target_arch = "wasm32")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use js_sys::{Function, Promise};
use moirai_timer_wasm::{
    Instant, MissedTickBehavior, Timer, interval, sleep, sleep_until, timeout,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use wasm_bindgen_test::wasm_bindgen_test;

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Has the timeouts counted that are set from now on, until it is told to stop.
const WATCH: &str = "
    const { setTimeout, clearTimeout } = globalThis;
    const live = new Set();
    const watch = {
        count: 0,
        live: () => live.size,
        giveWay: () => new Promise(resolve => setTimeout(resolve)),
        stop: () => Object.assign(globalThis, { setTimeout, clearTimeout }),
    };
    globalThis.setTimeout = (handler, milliseconds) => {
        const id = setTimeout(() => { live.delete(id); handler(); }, milliseconds);
        live.add(id);
        watch.count += 1;
        return id;
    };
    globalThis.clearTimeout = id => { live.delete(id); clearTimeout(id); };
    return watch;
";

#[wasm_bindgen]
extern "C" {
    type Watch;

    /// How many were set so far.
    #[wasm_bindgen(method, getter)]
    fn count(this: &Watch) -> u32;

    /// How many are set now.
    #[wasm_bindgen(method)]
    fn live(this: &Watch) -> u32;

    /// Lets the event loop's other tasks run.
    #[wasm_bindgen(method, js_name = giveWay)]
    fn give_way(this: &Watch) -> Promise;

    #[wasm_bindgen(method)]
    fn stop(this: &Watch);
}

#[wasm_bindgen_test]
async fn a_sleep_ends_at_its_deadline_and_not_before() {
    for micros in [0, 1, 100, 999, 1_000, 1_001, 2_500, 20_000] {
        let deadline = Instant::now() + Duration::from_micros(micros);
        sleep_until(deadline).await;
        assert!(Instant::now() >= deadline, "{micros} us");
    }
}

#[wasm_bindgen_test]
async fn tasks_wake_in_the_order_of_their_deadlines() {
    for unit in [4, 40, 400, 4_000].map(|ms| MS * ms) {
        let (order, armed_at) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(None)));
        let start = Instant::now();
        for place in [4, 1, 3, 2] {
            let (order, armed_at) = (order.clone(), armed_at.clone());
            spawn_local(async move {
                let mut sleep = sleep_until(start + unit * place);
                let _ = timeout(Duration::ZERO, &mut sleep).await;
                armed_at.set(Some(Instant::now()));
                sleep.await;
                order.borrow_mut().push(place);
            });
        }
        while order.borrow().len() < 4 {
            sleep(MS).await;
        }
        if armed_at.get() < Some(start + unit) {
            return assert_eq!(*order.borrow(), [1, 2, 3, 4]);
        }
        // This machine is too slow for that.
    }
    panic!("this machine is hopelessly slow");
}

#[wasm_bindgen_test]
async fn ten_thousand_sleeps_all_end() {
    let ended = Rc::new(Cell::new(0));
    let start = Instant::now();
    for number in 0..10_000 {
        let ended = ended.clone();
        spawn_local(async move {
            sleep_until(start + Duration::from_micros(7 * number)).await;
            ended.set(ended.get() + 1);
        });
    }
    while ended.get() < 10_000 {
        sleep(MS).await;
    }
    assert!(start.elapsed() >= Duration::from_micros(7 * 9_999));
}

#[wasm_bindgen_test]
async fn what_is_further_away_than_a_timeout_can_be_waits() {
    let timer = Timer::new();
    let far = [DAY * 24, DAY * 25, DAY * 50, DAY * 3_650, Duration::MAX];
    for duration in far {
        // In a browser a timeout that is too long rings at once.
        assert!(timer.timeout(MS * 5, timer.sleep(duration)).await.is_err());
    }
    let metrics = timer.metrics();
    assert!(metrics.vain_turns <= far.len() as u64, "it is not turned in vain: {metrics:?}");
}

#[wasm_bindgen_test]
async fn a_deadline_that_is_moved_is_kept() {
    let timer = Timer::new();
    let mut later = timer.sleep(MS);
    // Waits, or has ended where a millisecond passed since: moved, it waits in either case.
    let _ = timer.timeout(Duration::ZERO, &mut later).await;
    let deadline = Instant::now() + 8 * MS;
    later.reset(deadline);
    later.await;
    assert!(Instant::now() >= deadline);

    let mut sooner = timer.sleep(DAY);
    assert!(timer.timeout(Duration::ZERO, &mut sooner).await.is_err());
    sooner.reset_after(2 * MS);
    sooner.await;
}

#[wasm_bindgen_test]
async fn a_timeout_ends_what_is_too_slow() {
    assert_eq!(timeout(DAY, async { 42 }).await, Ok(42));
    assert!(timeout(2 * MS, sleep(DAY)).await.is_err());
    assert!(timeout(DAY, sleep(2 * MS)).await.is_ok());
}

#[wasm_bindgen_test]
async fn an_interval_ticks_on_schedule() {
    let mut ticks = interval(3 * MS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let first = ticks.tick().await;
    for number in 1..5 {
        let at = ticks.tick().await;
        assert_eq!(at - first, 3 * MS * number);
        assert!(Instant::now() >= at);
    }
}

/// What arms, moves and drops sleeps on the event loop sets one timeout, and leaves none.
#[wasm_bindgen_test]
async fn there_is_one_timeout_at_most_and_none_when_idle() {
    let watch: Watch = Function::new_no_args(WATCH).call0(&JsValue::UNDEFINED).unwrap().into();
    let (timer, start) = (Timer::new(), Instant::now());
    // Whatever else has ended by the time that somebody looks.
    let mut last = timer.sleep(DAY);
    assert!(timer.timeout(Duration::ZERO, &mut last).await.is_err());
    let sleeps: Vec<_> = (1..1_000).map(|n| timer.try_sleep(DAY - MS * n).unwrap()).collect();
    let ended = Rc::new(Cell::new(0));
    for sleep in sleeps {
        let (timer, ended) = (timer.clone(), ended.clone());
        spawn_local(async move {
            assert!(timer.timeout(3 * MS, sleep).await.is_err());
            ended.set(ended.get() + 1);
        });
    }
    let mut most = 0;
    while ended.get() < 999 {
        JsFuture::from(watch.give_way()).await.unwrap();
        most = most.max(watch.live());
    }
    drop((timer, last));
    JsFuture::from(watch.give_way()).await.unwrap();
    watch.stop();
    assert_eq!((most, watch.live()), (1, 0), "at most, and in the end");
    // They count in milliseconds, of which a slow machine takes more.
    let most = 100 + start.elapsed().as_millis() as u32;
    assert!(watch.count() < most, "{} timeouts were set for 1,998 sleeps", watch.count());
}
