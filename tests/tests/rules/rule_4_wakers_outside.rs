//! No waker is cloned, dropped or woken while the store is held, and one that panics harms nobody.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Context;

use moirai_timer_core::{Driver, Sleep, Ticks};
use moirai_timer_tests::{Handoff, forever};

use super::hooked_driver::{HookedTimer, hooked_timer, serve};
use super::probe::Probe;

type Machine = HookedTimer<128>;

/// A probe that notes when it is cloned, woken or dropped while the store is held.
fn outside(timer: &'static Machine, held: &'static AtomicU32) -> &'static Probe {
    Probe::new(move || {
        held.fetch_add(timer.metrics().is_none() as u32, SeqCst);
    })
}

fn poll(sleep: &mut Sleep<&'static Machine>, probe: &'static Probe) {
    let waker = probe.waker();
    let _ = Pin::new(sleep).poll(&mut Context::from_waker(&waker));
}

/// Everything that can happen to a waker: kept, replaced, woken, cancelled, before the timer has
/// seen it and after, and in crowds.
#[test]
fn code_of_the_tasks_finds_the_store_free() {
    static HELD: AtomicU32 = AtomicU32::new(0);
    let timer = hooked_timer::<128>();
    let (ours, theirs) = (outside(timer, &HELD), outside(timer, &HELD));
    let crowd = |count| {
        let start = timer.now();
        let mut sleeps: Vec<_> =
            (0..count).map(|i| timer.sleep_until(start.after(1 + i % 3))).collect();
        sleeps.iter_mut().for_each(|sleep| poll(sleep, ours));
        sleeps.iter_mut().step_by(3).for_each(|sleep| poll(sleep, theirs));
        sleeps
    };
    for _ in 0..20 {
        let mut sleeps = crowd(100);
        drop(sleeps.drain(20..30));
        serve(timer);
        sleeps.iter_mut().step_by(4).for_each(|sleep| poll(sleep, theirs));
        drop(sleeps.drain(50..80));
        timer.driver().manual.advance(2);
        sleeps.iter_mut().step_by(5).for_each(|sleep| poll(sleep, theirs));
        serve(timer);
        drop(sleeps.drain(..10));
        // A full timer hands out no slot, and cleans up on behalf of the one who asks.
        drop(crowd(200));
        timer.driver().manual.advance(2);
        serve(timer);
        timer.turn();
    }
    for probe in [ours, theirs] {
        let counts = [&probe.clones, &probe.drops, &probe.wakes].map(|count| count.load(SeqCst));
        assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
    }
    assert_eq!(HELD.load(SeqCst), 0, "code of the tasks ran while the store was held");
}

/// A waker that drops a hundred sleeps, some of them in the very batch that it is woken in.
#[test]
fn a_waker_may_drop_what_is_due_with_it() {
    let timer = hooked_timer::<128>();
    static HELD: AtomicU32 = AtomicU32::new(0);
    let crowd = outside(timer, &HELD);
    let place: &'static Handoff<Vec<_>> = forever(Handoff::new());
    let first = Probe::new(move || drop(place.replace(None)));
    let mut sleeps: Vec<_> = (0..100).map(|_| timer.sleep_until(Ticks::new(2))).collect();
    sleeps.iter_mut().for_each(|sleep| poll(sleep, crowd));
    let mut starter = timer.sleep_until(Ticks::new(1));
    poll(&mut starter, first);
    place.replace(Some(sleeps));
    timer.driver().manual.set(Ticks::new(2));
    serve(timer);
    assert_eq!((first.wakes.load(SeqCst), HELD.load(SeqCst)), (1, 0));
    // Up to a batch had left with the first; nobody is woken after the drop who had not.
    assert!(crowd.wakes.load(SeqCst) < 32);
    let free: Vec<_> = (0..127).map(|_| timer.try_sleep_until(Ticks::LAST)).collect();
    assert!(free.iter().all(Result::is_ok));
}

fn panics(call: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// A panic in `clone` reaches the caller of `poll`, who caused it, and nobody else; the slot that
/// was to be armed is not lost.
#[test]
fn a_waker_that_panics_when_cloned_costs_no_slot() {
    let timer = hooked_timer::<128>();
    let probe = Probe::new(|| {});
    let mut sleep = timer.sleep_until(Ticks::new(1_000));
    probe.panics_when_cloned.store(true, SeqCst);
    for _ in 0..200 {
        let mut sleep = timer.sleep_until(Ticks::new(1_000));
        assert!(panics(|| poll(&mut sleep, probe)));
    }
    // One that is armed for another task, too.
    let steady = Probe::new(|| {});
    poll(&mut sleep, steady);
    serve(timer);
    assert!(panics(|| poll(&mut sleep, probe)));
    timer.driver().manual.set(Ticks::new(1_000));
    serve(timer);
    assert_eq!(steady.wakes.load(SeqCst), 1, "it stays with the task that it was with");
    drop(sleep);
    timer.turn();
    let free: Vec<_> = (0..128).map(|_| timer.try_sleep_until(Ticks::LAST)).collect();
    assert!(free.iter().all(Result::is_ok), "slots were lost");
}

/// A panic in `drop` comes when the timer has finished.
#[test]
fn a_waker_that_panics_when_dropped_costs_no_slot() {
    let timer = hooked_timer::<128>();
    let (probe, steady) = (Probe::new(|| {}), Probe::new(|| {}));
    for turned in [false, true] {
        let mut dropped = timer.sleep_until(Ticks::new(1_000));
        let mut replaced = timer.sleep_until(Ticks::new(1_000));
        let mut late = timer.sleep_until(Ticks::new(1));
        for sleep in [&mut dropped, &mut replaced, &mut late] {
            poll(sleep, probe);
        }
        if turned {
            serve(timer);
        }
        probe.panics_when_dropped.store(true, SeqCst);
        assert!(panics(|| drop(dropped)));
        assert!(panics(|| poll(&mut replaced, steady)));
        probe.panics_when_dropped.store(false, SeqCst);
    }
    timer.driver().manual.set(Ticks::new(1_000));
    serve(timer);
    let free: Vec<_> = (0..128).map(|_| timer.try_sleep_until(Ticks::LAST)).collect();
    assert!(free.iter().all(Result::is_ok), "slots were lost");
}

/// Where nobody catches it, a panic in `wake` reaches the interrupt handler's caller; the rest of
/// the batch is woken, and the next interrupt finds the rest of the crowd.
#[test]
fn a_waker_that_panics_when_woken_harms_nobody() {
    let timer = hooked_timer::<128>();
    let (probe, steady) = (Probe::new(|| {}), Probe::new(|| {}));
    probe.panics_when_woken.store(true, SeqCst);
    let mut sleeps: Vec<_> = (0..100).map(|_| timer.sleep_until(Ticks::new(5))).collect();
    for (i, sleep) in sleeps.iter_mut().enumerate() {
        poll(sleep, if i == 40 { probe } else { steady });
    }
    serve(timer);
    timer.driver().manual.set(Ticks::new(5));
    let mut panicked = 0;
    while timer.driver().manual.take_interrupt() {
        panicked += panics(|| timer.on_alarm()) as u32;
        assert!(panicked < 5);
    }
    assert_eq!(panicked, 1);
    assert_eq!((probe.wakes.load(SeqCst), steady.wakes.load(SeqCst)), (1, 99));
}

/// The same with an alarm that rings once: the panic takes away the turn that would have set the next.
#[test]
fn a_waker_that_panics_when_woken_leaves_the_others_their_alarm() {
    let timer = hooked_timer::<128>();
    let (probe, steady) = (Probe::new(|| {}), Probe::new(|| {}));
    probe.panics_when_woken.store(true, SeqCst);
    let (mut first, mut second) =
        (timer.sleep_until(Ticks::new(5)), timer.sleep_until(Ticks::new(9)));
    poll(&mut first, probe);
    poll(&mut second, steady);
    serve(timer);
    let clock = &timer.driver().manual;
    clock.set(Ticks::new(5));
    assert!(clock.take_interrupt());
    clock.disarm();
    assert!(panics(|| timer.on_alarm()));
    serve(timer);
    assert_eq!(clock.alarm(), Some(Ticks::new(9)));
    clock.set(Ticks::new(9));
    serve(timer);
    assert_eq!((probe.wakes.load(SeqCst), steady.wakes.load(SeqCst)), (1, 1));
}

/// As a forked child needs it: no code of the parent's tasks runs. A sleep has its task back when it is
/// polled again.
#[test]
fn wakers_that_are_forgotten_are_not_called() {
    let timer = hooked_timer::<128>();
    let (forgotten, fresh) = (Probe::new(|| {}), Probe::new(|| {}));
    let mut sleeps = [5, 5, 6].map(|at| timer.sleep_until(Ticks::new(at)));
    sleeps.iter_mut().for_each(|sleep| poll(sleep, forgotten));
    serve(timer);
    let mut late = timer.sleep_until(Ticks::new(6));
    poll(&mut late, forgotten);
    let drops = forgotten.drops.load(SeqCst);
    // SAFETY: nobody else uses it.
    unsafe { timer.forget_wakers() };
    poll(&mut sleeps[0], fresh);
    poll(&mut late, fresh);
    timer.driver().manual.set(Ticks::new(6));
    serve(timer);
    assert_eq!((forgotten.wakes.load(SeqCst), fresh.wakes.load(SeqCst)), (0, 2));
    assert_eq!(timer.metrics().unwrap().fired, 4);
    drop((sleeps, late));
    assert_eq!(forgotten.drops.load(SeqCst), drops, "they are leaked");
}

/// A waker that owns a sleep, which goes when its last copy goes, within the timer's own work.
#[test]
fn a_waker_may_drop_a_sleep_when_it_is_dropped() {
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};

    type Sleeping = Sleep<&'static HookedTimer<8>>;
    struct Owner {
        _owned: Mutex<Sleeping>,
    }
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    let timer = hooked_timer::<8>();
    let owner = || {
        let mut owned = timer.sleep_until(Ticks::new(1_000));
        let _ = Pin::new(&mut owned).poll(&mut Context::from_waker(Waker::noop()));
        let owner = Arc::new(Owner { _owned: Mutex::new(owned) });
        let mut sleep = timer.sleep_until(timer.now().after(5));
        let waker = Waker::from(owner);
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker));
        sleep
    };
    // Cancelled, replaced, fired, completed: each lets go of the last copy.
    drop(owner());
    let mut replaced = owner();
    let _ = Pin::new(&mut replaced).poll(&mut Context::from_waker(Waker::noop()));
    drop(replaced);
    let (fired, mut completed) = (owner(), owner());
    serve(timer);
    timer.driver().manual.advance(5);
    let ready = Pin::new(&mut completed).poll(&mut Context::from_waker(Waker::noop())).is_ready();
    serve(timer);
    let metrics = timer.metrics().expect("nobody is inside");
    assert_eq!((ready, metrics.armed, metrics.fired), (true, 0, 2));
    drop(fired);
    let all: Vec<_> = (0..8).map(|_| timer.try_sleep_until(Ticks::new(1_000))).collect();
    assert!(all.iter().all(Result::is_ok), "a slot is lost");
}
