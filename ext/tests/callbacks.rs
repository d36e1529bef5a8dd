//! Callbacks on a virtual clock: called at their time, or not at all.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_ext::{CallbackHandle, CallbackTimer};
use moirai_timer_std::test::VirtualClock;
use moirai_timer_std::{Timer, block_on};

const SECOND: Duration = Duration::from_secs(1);
/// Far beyond what anything here takes.
const FAR_BEYOND: Duration = Duration::from_secs(120);

fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(FAR_BEYOND).expect("it comes")
}

/// A callback that is due now comes after all that were due before.
fn pass(callbacks: &CallbackTimer) {
    let (sender, receiver) = channel();
    callbacks.spawn_after(Duration::ZERO, move || sender.send(()).unwrap()).detach();
    next(&receiver);
}

#[test]
fn a_callback_is_called_at_its_time_and_not_before() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let (sender, receiver) = channel();
    let (timer, start) = (clock.timer(), clock.now());
    let handle = callbacks.spawn_after(3600 * SECOND, move || sender.send(timer.now()).unwrap());
    block_on(clock.advance(3600 * SECOND - Duration::from_nanos(1)));
    pass(&callbacks);
    assert!(!handle.is_finished() && receiver.try_recv().is_err());
    block_on(clock.advance(Duration::from_nanos(1)));
    assert_eq!(next(&receiver), start + 3600 * SECOND);
    assert!(handle.is_finished());
    assert!(!handle.cancel());
}

#[test]
fn callbacks_are_called_in_the_order_of_their_deadlines() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let (sender, receiver) = channel();
    for seconds in [5, 1, 4, 2, 3] {
        let sender = sender.clone();
        let at = clock.now() + seconds * SECOND;
        callbacks.spawn_at(at, move || sender.send(seconds).unwrap()).detach();
    }
    block_on(clock.advance(10 * SECOND));
    let order: Vec<_> = (0..5).map(|_| next(&receiver)).collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
}

#[test]
fn a_callback_that_is_cancelled_or_whose_handle_is_dropped_is_never_called() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let called = Arc::new(AtomicBool::new(false));
    let spawn = || {
        let called = called.clone();
        callbacks.spawn_after(SECOND, move || called.store(true, SeqCst))
    };
    let (cancelled, dropped) = (spawn(), spawn());
    assert!(cancelled.cancel());
    drop(dropped);
    // What the functions owned is gone by then.
    assert_eq!(Arc::strong_count(&called), 1);
    block_on(clock.advance(2 * SECOND));
    pass(&callbacks);
    assert!(!called.load(SeqCst));
    assert_eq!(clock.timer().metrics().armed, 0);
}

#[test]
fn a_callback_that_panics_harms_nobody() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("on purpose, when dropped");
        }
    }
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let (sender, receiver) = channel();
    callbacks.spawn_after(SECOND, || panic!("on purpose")).detach();
    callbacks.spawn_after(SECOND, || std::panic::panic_any(PanicsWhenDropped)).detach();
    let owned = PanicsWhenDropped;
    callbacks.spawn_after(SECOND, move || drop(owned)).detach();
    callbacks.spawn_after(2 * SECOND, move || sender.send("called").unwrap()).detach();
    block_on(clock.advance(2 * SECOND));
    assert_eq!(next(&receiver), "called");
    assert_eq!(callbacks.panics(), 3);
    assert_eq!(clock.timer().metrics().waker_panics, 0);
}

#[test]
fn what_a_callback_panics_with_is_dropped() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let payload = Arc::new(());
    let carried = payload.clone();
    callbacks.spawn_after(SECOND, move || std::panic::panic_any(carried)).detach();
    block_on(clock.advance(SECOND));
    pass(&callbacks);
    assert_eq!(callbacks.panics(), 1);
    assert_eq!(Arc::strong_count(&payload), 1);
}

#[test]
fn a_callback_may_spawn_and_cancel_others() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let (sender, receiver) = channel();
    let victim = callbacks.spawn_after(2 * SECOND, || unreachable!("it was cancelled"));
    let victim = Mutex::new(Some(victim));
    let inner = callbacks.clone();
    callbacks
        .spawn_after(SECOND, move || {
            assert!(victim.lock().unwrap().take().unwrap().cancel());
            inner.spawn_after(SECOND, move || sender.send(()).unwrap()).detach();
        })
        .detach();
    block_on(async {
        clock.advance(SECOND).await;
        pass(&callbacks);
        clock.advance(SECOND).await;
    });
    next(&receiver);
}

#[test]
fn callbacks_outlive_the_timer_that_spawned_them_and_then_its_thread_ends() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let (sender, receiver) = channel();
    let (alive, ended) = channel::<()>();
    thread_local!(static ALIVE: RefCell<Option<Sender<()>>> = const { RefCell::new(None) });
    callbacks.spawn_after(SECOND, move || ALIVE.set(Some(alive))).detach();
    callbacks.spawn_after(2 * SECOND, move || sender.send(()).unwrap()).detach();
    drop(callbacks);
    block_on(clock.advance(2 * SECOND));
    next(&receiver);
    // The thread's locals go when it ends.
    assert_eq!(ended.recv_timeout(FAR_BEYOND), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_callback_is_on_time_when_the_timer_is_full() {
    let timer = Timer::builder().capacity(1).shards(1).build().unwrap();
    let blocker = timer.try_sleep(3600 * SECOND).unwrap();
    let callbacks = CallbackTimer::new(timer.clone()).unwrap();
    let (sender, receiver) = channel();
    let start = Instant::now();
    callbacks.spawn_after(Duration::from_millis(2), move || sender.send(()).unwrap()).detach();
    next(&receiver);
    assert!(start.elapsed() >= Duration::from_millis(2));
    drop(blocker);
}

#[test]
fn callbacks_are_cancelled_from_many_threads_while_they_come_due() {
    let clock = VirtualClock::new();
    let callbacks = CallbackTimer::new(clock.timer()).unwrap();
    let (sender, receiver) = channel();
    let cancelled: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let (callbacks, sender) = (&callbacks, sender.clone());
                scope.spawn(move || {
                    let handles: Vec<_> = (0..500)
                        .map(|n| {
                            let sender = sender.clone();
                            let after = Duration::from_nanos(u64::from((n * 7 + thread) % 50));
                            callbacks.spawn_after(after, move || sender.send(()).unwrap())
                        })
                        .collect();
                    handles.into_iter().map(CallbackHandle::cancel).filter(|done| *done).count()
                })
            })
            .collect();
        for _ in 0..60 {
            block_on(clock.advance(Duration::from_nanos(1)));
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    block_on(clock.advance(SECOND));
    pass(&callbacks);
    drop(sender);
    assert_eq!(receiver.try_iter().count() + cancelled, 4 * 500);
}
