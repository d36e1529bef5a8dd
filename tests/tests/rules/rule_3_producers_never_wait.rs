//! A producer never waits for anybody.
//!
//! That it does not allocate, and calls the system for nothing but a nudge, is in `no_allocation`
//! and `no_system_call`.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Waker};

use moirai_timer_core::{
    Armed, Drained, Driver, Engine, HeapStore, Inline, ManualDriver, Sleep, Slot, Store, Ticks,
    Timer,
};
use moirai_timer_tests::{Handoff, Task, forever};

use super::hooked_driver::{HookedTimer, hooked_timer, serve};
use super::without_hanging;

/// Everything that a program can do with a timer, a few hundred times.
fn produce(timer: &'static HookedTimer<16>) {
    let mut cx = Context::from_waker(Waker::noop());
    for round in 0..300 {
        let mut kept: Vec<_> =
            (0..5).map(|i| timer.sleep_until(Ticks::new(1_000 + (round * 7 + i) % 40))).collect();
        for sleep in &mut kept {
            let _ = Pin::new(sleep).poll(&mut cx);
        }
        let task = Task::new();
        for sleep in &mut kept {
            sleep.reset(Ticks::new(500));
            sleep.reset(Ticks::new(5_000));
            let _ = task.polls(|cx| Pin::new(&mut *sleep).poll(cx));
        }
        // The pool is soon empty, as nobody turns: these find it full, and do not wait either.
        let _ = timer.try_sleep_until(Ticks::new(2_000));
        let _ = (timer.next_deadline(), timer.metrics(), timer.turn(), timer.drain());
    }
}

/// A producer that finds the pool empty applies what others left, but not all of it: 256 commands, of
/// a batch that was taken before, or else of a new one.
#[test]
fn a_producer_that_drains_does_a_bounded_part() {
    let timer = Timer::<ManualDriver, 1_024>::new(ManualDriver::new());
    let arm = |many| {
        let mut sleeps: Vec<_> = (0..many).map(|_| timer.sleep_until(Ticks::new(1_000))).collect();
        for sleep in &mut sleeps {
            assert!(Pin::new(sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        sleeps
    };
    let drain = || {
        let Drained { applied, freed } = timer.drain();
        (applied, freed)
    };
    let mut sleeps = arm(300);
    assert_eq!(drain(), (256, 0));
    sleeps.extend(arm(300));
    assert_eq!([drain(), drain(), drain(), drain()], [(44, 0), (256, 0), (44, 0), (0, 0)]);

    sleeps.drain(..300);
    assert_eq!(drain(), (256, 256));
    sleeps.clear();
    let drained = [drain(), drain(), drain(), drain()];
    assert_eq!(drained, [(44, 44), (256, 256), (44, 44), (0, 0)]);
    assert_eq!(timer.metrics().unwrap().cancelled, 600);
}

/// A machine whose handler interrupts whoever asks for it.
struct Preempting {
    timer: OnceLock<&'static Timer<Preempting, 4>>,
    interrupts: AtomicUsize,
}

impl Driver for Preempting {
    const TICK_HZ: u64 = 1_000;

    fn now(&self) -> Ticks {
        Ticks::ZERO
    }

    fn arm(&self, _: Ticks) -> Armed {
        Armed::Pending
    }

    fn disarm(&self) {}

    fn pend(&self) {
        self.interrupts.fetch_add(1, SeqCst);
        self.timer.get().unwrap().on_alarm();
    }
}

/// A producer that drains could be preempted while it does, by tasks that keep everything out for a
/// second. So it leaves that to the handler, if there is something to drain and the handler comes at once.
#[test]
fn a_producer_that_finds_the_pool_empty_has_the_handler_drain() {
    let driver = Preempting { timer: OnceLock::new(), interrupts: AtomicUsize::new(0) };
    let timer: &Timer<_, 4> = forever(Timer::new(driver));
    timer.driver().timer.set(timer).ok().unwrap();
    let interrupts = || timer.driver().interrupts.swap(0, SeqCst);
    let arm = |at| {
        let mut sleep = timer.sleep_until(Ticks::new(at));
        assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        sleep
    };
    drop([10, 11, 12, 13].map(arm));
    interrupts();
    // Two of the cancelled ones are at hand, the others are to be counted first.
    let sleeps = [20, 21, 22, 23].map(|at| (arm(at), interrupts()));
    assert_eq!(sleeps.each_ref().map(|(_, interrupts)| *interrupts), [0, 0, 1, 0]);
    timer.turn();
    assert!(timer.try_sleep_until(Ticks::LAST).is_err());
    assert_eq!(interrupts(), 0, "nothing is to be drained");
}

/// A store that counts by how many steps it is tidied.
struct Tidied<'a> {
    heap: HeapStore<Inline<64>>,
    steps: &'a AtomicUsize,
}

impl Store for Tidied<'_> {
    fn set(&mut self, index: u32, at: Ticks) {
        self.heap.set(index, at);
    }
    fn remove(&mut self, index: u32) -> bool {
        self.heap.remove(index)
    }
    fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        self.heap.pop_due(now)
    }
    fn next(&self) -> Option<Ticks> {
        self.heap.next()
    }
    fn tidy(&mut self, steps: usize) {
        self.steps.fetch_add(steps, SeqCst);
    }
    fn len(&self) -> u32 {
        self.heap.len()
    }
}

/// A turn leaves the section after a bounded time: it does a little of what comes up later, and more
/// when more has fired.
#[test]
fn a_turn_tidies_in_proportion_to_what_it_fires() {
    let steps = AtomicUsize::new(0);
    let store = Tidied { heap: HeapStore::new(), steps: &steps };
    let slots = [const { Slot::new() }; 64];
    let timer = Engine::with_parts(ManualDriver::<1_000>::new(), slots, store);
    let mut sleeps: Vec<_> =
        (0..30).map(|i| timer.sleep_until(Ticks::new(if i < 20 { 5 } else { 9 }))).collect();
    for sleep in &mut sleeps {
        assert!(Pin::new(sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    for (now, fire) in [(0, 0), (5, 20), (9, 10)] {
        timer.driver().set(Ticks::new(now));
        timer.turn();
        assert_eq!(steps.swap(0, SeqCst), 64 + 4 * fire);
    }
}

/// As `fork` needs it: nobody turns, producers get on, and afterwards the driver hears of them.
#[test]
fn producers_get_on_while_the_timer_is_frozen() {
    without_hanging(|| {
        let timer = hooked_timer::<16>();
        let clock = &timer.driver().manual;
        assert!(timer.try_freeze());
        assert!(!timer.try_freeze(), "it is");
        let task = Task::new();
        let mut sleep = timer.sleep_until(Ticks::new(5));
        assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        assert!(clock.take_interrupt());
        timer.on_alarm();
        assert_eq!((clock.alarm(), timer.turn(), timer.next_deadline()), (None, None, None));
        assert!(timer.metrics().is_none() && !clock.take_interrupt());
        // SAFETY: it was frozen above.
        assert!(unsafe { timer.thaw() }, "the driver was kept out");
        timer.on_alarm();
        assert_eq!(
            (clock.alarm(), timer.next_deadline()),
            (Some(Ticks::new(5)), Some(Ticks::new(5)))
        );
        clock.set(Ticks::new(5));
        serve(timer);
        assert_eq!(task.wakes(), 1);
    });
}

/// The turner stands still, with the store in its hands, until the producers are done.
#[test]
fn producers_get_on_while_a_turn_stands_still() {
    for call in 0..3 {
        without_hanging(move || {
            let timer = hooked_timer::<16>();
            let task = Task::new();
            let sleeps = [1, 2, 3].map(|at| {
                let mut sleep = timer.sleep_until(Ticks::new(at));
                let _ = task.polls(|cx| Pin::new(&mut sleep).poll(cx));
                sleep
            });
            timer.driver().manual.set(Ticks::new(10));
            timer.driver().hook(call, move || produce(timer));
            serve(timer);
            assert!(timer.driver().unhook());
            serve(timer);
            assert_eq!(task.wakes(), 3);
            drop(sleeps);
        });
    }
}

/// The same, with a turner on another thread that does not move at all.
#[test]
fn producers_on_other_threads_get_on_while_a_turn_stands_still() {
    without_hanging(|| {
        let timer = hooked_timer::<16>();
        let mut sleep = timer.sleep_until(Ticks::new(1));
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop()));
        static STANDS: AtomicBool = AtomicBool::new(false);
        static DONE: AtomicBool = AtomicBool::new(false);
        timer.driver().hook(0, || {
            STANDS.store(true, SeqCst);
            moirai_timer_tests::until(|| DONE.load(SeqCst));
        });
        std::thread::scope(|scope| {
            let turner = scope.spawn(|| timer.turn());
            moirai_timer_tests::until(|| STANDS.load(SeqCst));
            let producers = [(); 3].map(|()| scope.spawn(|| produce(timer)));
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            assert!(!turner.is_finished());
            DONE.store(true, SeqCst);
        });
        serve(timer);
        assert_eq!(timer.metrics().unwrap().armed, 1);
    });
}

/// A producer that finds the pool empty needs the section for a moment, and so does another shard's
/// turn: whoever is inside leaves after so many commands, also if they come in the middle of a turn.
#[test]
fn news_that_come_in_the_middle_of_a_turn_are_applied_in_steps() {
    const MANY: usize = 200;
    let timer = hooked_timer::<256>();
    let task: &'static Task = forever(Task::new());
    let arm = move |at| {
        let mut sleep = timer.sleep_until(Ticks::new(at));
        assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        sleep
    };
    let _first = arm(1_000);
    let sleeps: &'static Handoff<Vec<Sleep<&HookedTimer<256>>>> = forever(Handoff::new());
    // The first thing that it asks its driver is for the time.
    timer.driver().hook(0, move || {
        sleeps.replace(Some((0..MANY as u64).map(|ahead| arm(2_000 + ahead)).collect()));
    });
    // Zero, a time that has passed: there is more to do.
    let visits = (0..).find(|_| timer.turn_batch() != Some(Ticks::ZERO));
    assert!(timer.driver().unhook());
    assert!((2..=4).contains(&visits.unwrap()), "{visits:?} visits left some of {MANY} commands");
    assert_eq!(timer.metrics().unwrap().armed as usize, 1 + MANY);
}
