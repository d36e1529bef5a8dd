//! A timer, the futures on it, and the oracle beside them.
//!
//! After each step, and after each action of a waker:
//!
//! * exactly those were woken that had to be, each once, in the order of their deadlines, neither
//!   early nor, once somebody has turned, late;
//! * every poll has said what it must by the clock, and every attempt to take a slot too, so as
//!   many slots are in use as there are futures that hold one;
//! * nobody was inside the exclusive section when a waker was cloned, dropped or woken;
//! * a turn is pending, or the alarm is at or before the earliest deadline; after a turn, both the
//!   alarm and the next deadline are no earlier than anything that was asked for;
//! * the store agrees with a map, at every call ([`Checked`]).

use std::any::Any;
use std::array;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use moirai_timer_core::{
    Engine, Handle, HeapStore, Inline, Interval, ManualDriver, MissedTickBehavior, Sleep, Slot,
    Store, Ticks, Timeout, WheelArrays, WheelStore,
};
use portable_atomic::{AtomicU64, Ordering::SeqCst};

use super::TASKS;
use super::bell::{Bell, Listener, Touch};
use super::checked::{Checked, EXACT};
use super::hand::{Clock, Hand, OnPurpose, Timer, surviving};
use super::oracle::{Kind, Oracle, Polled};
use super::program::{Action, Program, Step};

/// Runs a program on every store, and by a keeper.
///
/// # Panics
/// If any of them does not do what the oracle says.
pub fn check(program: &Program) {
    run::<_, 6>(HeapStore::<Inline<6>>::new(), program);
    run::<_, 24>(HeapStore::<Inline<24>>::new(), program);
    run::<_, 6>(wheel::<0, 12, 6>(), program);
    run::<_, 24>(wheel::<4, 12, 24>(), program);
    run::<_, 6>(wheel::<16, 9, 6>(), program);
    run::<_, 6>(wheel::<59, 1, 6>(), program);
    run_keeping::<_, 7>(wheel::<4, 12, 7>(), program);
}

fn wheel<const G: u32, const LEVELS: usize, const N: usize>()
-> WheelStore<WheelArrays<N>, G, LEVELS> {
    WheelStore::with_memory(WheelArrays::new())
}

/// A future that is ready when it is told.
struct Gate(bool);

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What is in a place.
enum Held<H: Handle> {
    Sleep(Sleep<H>),
    Interval(Interval<H>),
    Timeout(Timeout<Gate, H>),
}

impl<H: Handle<Instant = Ticks>> Held<H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Held::Sleep(sleep) => match Pin::new(sleep).poll(cx) {
                Poll::Pending => Polled::Pending,
                Poll::Ready(()) => Polled::Ready,
            },
            Held::Interval(interval) => match interval.poll_tick(cx) {
                Poll::Pending => Polled::Pending,
                Poll::Ready(tick) => Polled::Tick(tick),
            },
            Held::Timeout(timeout) => match Pin::new(timeout).poll(cx) {
                Poll::Pending => Polled::Pending,
                Poll::Ready(Err(_)) => Polled::Ready,
                Poll::Ready(Ok(())) => Polled::Finished,
            },
        }
    }
}

struct Machine<'a, S: Store, const N: usize> {
    timer: &'a Timer<S, N>,
    hand: Hand<'a, S, N>,
    /// How many slots there are to be held.
    slots: usize,
    wakers: [Waker; TASKS],
    places: RefCell<Vec<Option<Held<Hand<'a, S, N>>>>>,
    /// The places that a call is under way on: wakers let them be.
    busy: Vec<Cell<bool>>,
    hoard: RefCell<Vec<Sleep<Hand<'a, S, N>>>>,
    oracle: RefCell<Oracle>,
    when_woken: [Cell<Option<Action>>; TASKS],
    when_dropped: [Cell<Option<Action>>; TASKS],
    panics: [Cell<bool>; TASKS],
    /// A poll that looks for a slot is under way. It has cloned the waker, and drops the clone if it
    /// finds none; what is done in between decides whether it finds one, and is left to other tests.
    seeking: Cell<bool>,
    /// The interrupt is due.
    pending: Cell<bool>,
    /// How many calls there have been, those of wakers included.
    calls: Cell<u64>,
}

impl<S: Store, const N: usize> Listener for Machine<'_, S, N> {
    fn touched(&self, task: usize, touch: Touch) {
        if thread::panicking() {
            return;
        }
        assert!(self.timer.try_freeze(), "{touch:?} inside the exclusive section");
        // SAFETY: it was frozen by this call, one line above.
        let wanted = unsafe { self.timer.thaw() };
        assert!(!wanted, "somebody came in between");
        match touch {
            Touch::Clone => {}
            Touch::Drop => {
                let hook = &self.when_dropped[task];
                let action = if self.seeking.get() { None } else { hook.take() };
                if let Some(action) = action {
                    self.act(action);
                }
            }
            Touch::Wake => {
                self.oracle.borrow_mut().woken(task);
                if let Some(action) = self.when_woken[task].take() {
                    self.act(action);
                }
                if self.panics[task].take() {
                    // Without the message.
                    resume_unwind(Box::new(OnPurpose) as Box<dyn Any + Send>);
                }
            }
        }
    }
}

impl<'a, S: Store, const N: usize> Machine<'a, S, N> {
    /// Does something that may wake tasks: those that the oracle names, and no others.
    fn call<O, T>(
        &self,
        expected: impl FnOnce(&mut Oracle) -> O,
        call: impl FnOnce() -> T,
    ) -> (O, T) {
        self.calls.set(self.calls.get() + 1);
        let expected = {
            let mut oracle = self.oracle.borrow_mut();
            oracle.begin();
            expected(&mut oracle)
        };
        let got = call();
        self.oracle.borrow_mut().end();
        (expected, got)
    }

    /// Has something done to a place, unless a call is under way on it.
    fn at(&self, place: u8, body: impl FnOnce(usize)) {
        let place = usize::from(place) % self.busy.len();
        if !self.busy[place].replace(true) {
            body(place);
            self.busy[place].set(false);
        }
    }

    fn sleep_until(&self, deadline: Ticks) -> Sleep<Hand<'a, S, N>> {
        Sleep::at(self.hand.clone(), deadline)
    }

    fn drop(&self, place: usize) {
        let held = self.places.borrow_mut()[place].take();
        self.call(|oracle| oracle.drop(place), || drop(held));
    }

    /// Puts something into a place, after what is there was dropped.
    fn put(
        &self,
        place: usize,
        held: Held<Hand<'a, S, N>>,
        deadline: Ticks,
        tolerance: u64,
        kind: Kind,
    ) {
        self.drop(place);
        self.oracle.borrow_mut().put(place, deadline, tolerance, kind);
        self.places.borrow_mut()[place] = Some(held);
    }

    /// Does something with what is in a place.
    fn hold<O, T>(
        &self,
        place: usize,
        expected: impl FnOnce(&mut Oracle) -> O,
        call: impl FnOnce(&mut Held<Hand<'a, S, N>>) -> T,
    ) -> Option<(O, T)> {
        let mut held = self.places.borrow_mut()[place].take()?;
        let both = self.call(expected, || call(&mut held));
        self.places.borrow_mut()[place] = Some(held);
        Some(both)
    }

    fn act(&self, action: Action) {
        let now = self.timer.now();
        match action {
            Action::Sleep(place, deadline, tolerance) => self.at(place, |place| {
                let (deadline, tolerance) = (deadline.from(now), u64::from(tolerance));
                let sleep = self.sleep_until(deadline);
                let sleep = sleep.with_tolerance(Duration::from_millis(tolerance));
                self.put(place, Held::Sleep(sleep), deadline, tolerance, Kind::Sleep);
            }),
            Action::Reserve(place, deadline) => self.at(place, |place| {
                self.drop(place);
                let deadline = deadline.from(now);
                let (expected, got) = self.call(
                    |oracle| oracle.reserve(place, deadline),
                    || self.sleep_until(deadline).reserved(),
                );
                assert_eq!(got.as_ref().err(), expected.as_ref().err());
                self.places.borrow_mut()[place] = got.ok().map(Held::Sleep);
            }),
            Action::Interval(place, start, period, missed) => self.at(place, |place| {
                let (start, period) = (start.from(now), u64::from(period) + 1);
                let missed = match missed % 3 {
                    0 => MissedTickBehavior::Burst,
                    1 => MissedTickBehavior::Delay,
                    _ => MissedTickBehavior::Skip,
                };
                let mut interval =
                    Interval::new(self.sleep_until(start), Duration::from_millis(period));
                interval.set_missed_tick_behavior(missed);
                let kind = Kind::Interval { period, missed };
                self.put(place, Held::Interval(interval), start, 0, kind);
            }),
            Action::Timeout(place, deadline) => self.at(place, |place| {
                let deadline = deadline.from(now);
                let timeout = Timeout::new(Gate(false), self.sleep_until(deadline));
                let kind = Kind::Timeout { finished: false };
                self.put(place, Held::Timeout(timeout), deadline, 0, kind);
            }),
            Action::Finish(place) => self.at(place, |place| {
                self.hold(
                    place,
                    |oracle| {
                        if let Some(Kind::Timeout { finished }) =
                            oracle.place(place).map(|future| &mut future.kind)
                        {
                            *finished = true;
                        }
                    },
                    |held| {
                        if let Held::Timeout(timeout) = held {
                            timeout.get_mut().0 = true;
                        }
                    },
                );
            }),
            Action::Poll(place, task) => self.at(place, |place| {
                let task = usize::from(task) % TASKS;
                let has_slot =
                    self.oracle.borrow_mut().place(place).is_some_and(|it| it.holds_slot);
                let was_seeking = self.seeking.replace(!has_slot);
                let both = self.hold(
                    place,
                    |oracle| oracle.poll(place, task),
                    |held| {
                        let mut cx = Context::from_waker(&self.wakers[task]);
                        let polled = surviving(|| held.poll(&mut cx));
                        // A sleep without a slot wakes its task, which may panic.
                        polled.unwrap_or(Polled::Pending)
                    },
                );
                self.seeking.set(was_seeking);
                if let Some((expected, got)) = both {
                    assert_eq!(Some(got), expected, "polled at {now:?}");
                }
            }),
            Action::Reset(place, deadline) => self.at(place, |place| {
                let deadline = deadline.from(now);
                self.hold(
                    place,
                    |oracle| match oracle.place(place).map(|future| future.kind) {
                        None | Some(Kind::Timeout { .. }) => {}
                        _ => oracle.reset(place, deadline),
                    },
                    |held| match held {
                        Held::Sleep(sleep) => sleep.reset(deadline),
                        Held::Interval(interval) => interval.reset_at(deadline),
                        Held::Timeout(_) => {}
                    },
                );
            }),
            Action::Drop(place) => self.at(place, |place| self.drop(place)),
            Action::Fill => loop {
                let (expected, got) =
                    self.call(Oracle::hoard_one, || self.sleep_until(Ticks::LAST).reserved());
                assert_eq!(got.as_ref().err(), expected.as_ref().err());
                match got {
                    Ok(sleep) => self.hoard.borrow_mut().push(sleep),
                    Err(_) => return,
                }
            },
            Action::Empty => {
                let hoard = self.hoard.take();
                self.call(|oracle| oracle.hoard = 0, || drop(hoard));
            }
            Action::Turn => self.turn(),
            Action::Drain => {
                self.call(|_| {}, || self.timer.drain());
            }
            Action::Look => self.look(),
            Action::ShutDown => {
                self.call(Oracle::shut_down, || self.timer.shutdown());
            }
        }
    }

    fn turn(&self) {
        let before = self.calls.get();
        let least = self.oracle.borrow().left();
        let ((), next) = self.call(Oracle::turn, || self.timer.turn());
        if self.calls.get() == before + 1 {
            self.bounds(next, least);
            self.next_deadline();
        }
    }

    fn interrupt(&self) {
        self.pending.set(self.pending.get() | self.timer.driver().manual.take_interrupt());
        if !self.pending.replace(false) {
            return;
        }
        let before = self.calls.get();
        let least = self.oracle.borrow().left();
        self.call(Oracle::turn, || self.timer.on_alarm());
        if self.calls.get() == before + 1 {
            self.bounds(self.timer.driver().manual.alarm(), least);
            self.next_deadline();
        }
    }

    /// Whoever has turned is to come back in time, and not before there is a reason.
    fn bounds(&self, next: Option<Ticks>, left: Ticks) {
        let oracle = self.oracle.borrow();
        let (next, earliest) = (next.unwrap_or(Ticks::NEVER), oracle.earliest());
        assert!(next <= earliest, "next at {next:?}, though one is due at {earliest:?}");
        let least = oracle.least().min(left);
        assert!(next >= least || oracle.count_armed() > EXACT, "next at {next:?}, not {least:?}");
    }

    /// After a turn it is known exactly.
    fn next_deadline(&self) {
        let next = self.timer.next_deadline();
        let oracle = self.oracle.borrow();
        let earliest = oracle.earliest();
        let next = next.expect("nobody is inside");
        assert!(next == earliest || oracle.count_armed() > EXACT && next < earliest);
    }

    fn look(&self) {
        self.call(
            |_| {},
            || {
                let metrics = self.timer.metrics().expect("nobody is inside");
                self.oracle.borrow().check_metrics(&metrics);
            },
        );
    }

    fn step(&self, step: Step) {
        match step {
            Step::Do(action) => self.act(action),
            Step::WhenWoken(task, action) => {
                self.when_woken[usize::from(task) % TASKS].set(Some(action));
            }
            Step::WhenDropped(task, action) => {
                self.when_dropped[usize::from(task) % TASKS].set(Some(action));
            }
            Step::PanicWhenWoken(task) => self.panics[usize::from(task) % TASKS].set(true),
            Step::Interrupt => self.interrupt(),
            Step::Advance(to) => self.advance(to.from(self.timer.now())),
            Step::AdvanceToAlarm => {
                if let Some(alarm) = self.timer.driver().manual.alarm() {
                    self.advance(alarm);
                }
            }
        }
    }

    fn advance(&self, to: Ticks) {
        self.timer.driver().manual.set(to);
        self.oracle.borrow_mut().now = self.timer.now();
    }

    /// What must be true whenever nobody is in a call.
    fn at_rest(&self) {
        let driver = self.timer.driver();
        self.pending.set(self.pending.get() | driver.manual.take_interrupt());
        let oracle = self.oracle.borrow();
        let (alarm, earliest) = (driver.manual.alarm(), oracle.earliest());
        let served = self.pending.get() || alarm.unwrap_or(Ticks::NEVER) <= earliest;
        assert!(served, "{earliest:?} is lost: the alarm is at {alarm:?}");
        assert_eq!(driver.late.load(SeqCst), oracle.late, "how late they fired");
        assert_eq!(self.timer.is_shut_down(), oracle.is_shut_down());
    }

    /// Everything goes, and every slot is there again.
    fn end(&self) {
        for hook in self.when_woken.iter().chain(&self.when_dropped) {
            hook.set(None);
        }
        (0..self.busy.len()).for_each(|place| self.drop(place));
        self.act(Action::Empty);
        self.turn();
        self.look();
        self.act(Action::Fill);
        if !self.oracle.borrow().is_shut_down() {
            assert_eq!(self.hoard.borrow().len(), self.slots);
        }
    }
}

fn run<S: Store, const N: usize>(store: S, program: &Program) {
    run_with::<S, N>(store, None, program);
}

/// The same by the keeper, who can do with all slots but one.
fn run_keeping<S: Store, const N: usize>(store: S, program: &Program) {
    run_with::<S, N>(store, Some(Cell::new(N - 1)), program);
}

fn run_with<S: Store, const N: usize>(store: S, room: Option<Cell<usize>>, program: &Program) {
    let start = program.start.from(Ticks::ZERO).min(Ticks::LAST);
    let clock = Clock { manual: ManualDriver::at(start), late: AtomicU64::new(0) };
    let timer: Timer<S, N> =
        Engine::with_parts(clock, [const { Slot::new() }; N], Checked::new(store));
    let bells = array::from_fn(Bell::new);
    // More futures than slots, so that some find none.
    let slots = room.as_ref().map_or(N, Cell::get);
    let places = slots + 3;
    let machine = Machine {
        timer: &timer,
        hand: Hand { timer: &timer, room: room.as_ref() },
        slots,
        wakers: bells.each_ref().map(Bell::waker),
        places: RefCell::new((0..places).map(|_| None).collect()),
        busy: vec![Cell::new(false); places],
        hoard: RefCell::new(vec![]),
        oracle: RefCell::new(Oracle::new(start, slots, places)),
        when_woken: Default::default(),
        when_dropped: Default::default(),
        panics: Default::default(),
        seeking: Cell::new(false),
        pending: Cell::new(false),
        calls: Cell::new(0),
    };
    let _quiet = Quiet(&bells);
    bells.iter().for_each(|bell| bell.tell(Some(&machine)));
    for (number, &step) in program.steps.iter().enumerate() {
        let _report = Report { number, step };
        machine.step(step);
        if program.watched {
            machine.look();
        }
        machine.at_rest();
    }
    machine.end();
    assert!(bells.iter().all(|bell| bell.wakers() == 1), "a waker was kept");
}

/// From here on nobody hears of wakers: the machine is about to go, and its futures with it.
struct Quiet<'a, 'b>(&'b [Bell<'a>; TASKS]);

impl Drop for Quiet<'_, '_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|bell| bell.tell(None));
    }
}

/// Says which step has failed.
struct Report {
    number: usize,
    step: Step,
}

impl Drop for Report {
    fn drop(&mut self) {
        if thread::panicking() {
            std::eprintln!("in step {}, {:?}", self.number, self.step);
        }
    }
}
