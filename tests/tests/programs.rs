//! Random programs on a timer with four slots, against a model that is too simple to be wrong.
//!
//! After each step: exactly those tasks were woken that had to be, every poll was right by the
//! clock, and either a turn is pending or the alarm is at or before the earliest deadline.

use std::future::Future;
use std::pin::Pin;

use moirai_timer_core::{
    Driver, Engine, HeapEntry, HeapStore, Inline, ManualDriver, RegisterError, Sleep, Slot, Store,
    Ticks, WheelMemory, WheelNode, WheelStore,
};
use moirai_timer_tests::Task;
use proptest::prelude::*;

const SLOTS: usize = 4;
const SLEEPS: usize = 7;
const TASKS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Makes a sleep that is due so far from now, in place of what was there.
    New(usize, u64),
    /// The same, with a slot at once, if there is one.
    TryNew(usize, u64),
    Poll(usize, usize),
    Reset(usize, u64),
    Drop(usize),
    Advance(u64),
    /// The interrupt handler, if its interrupt is due.
    Interrupt,
    /// Somebody turns.
    Turn,
    /// Somebody looks at the metrics.
    Look,
    Shutdown,
}

fn ahead() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0u64..12,
        3 => 0u64..200,
        1 => (0u32..59).prop_map(|bits| 1 << bits),
        1 => Just(u64::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..SLEEPS, ahead()).prop_map(|(sleep, ahead)| Step::New(sleep, ahead)),
        1 => (0..SLEEPS, ahead()).prop_map(|(sleep, ahead)| Step::TryNew(sleep, ahead)),
        12 => (0..SLEEPS, 0..TASKS).prop_map(|(sleep, task)| Step::Poll(sleep, task)),
        6 => (0..SLEEPS, ahead()).prop_map(|(sleep, ahead)| Step::Reset(sleep, ahead)),
        2 => (0..SLEEPS).prop_map(Step::Drop),
        3 => (1u64..6).prop_map(Step::Advance),
        1 => (1u64..300).prop_map(Step::Advance),
        5 => Just(Step::Interrupt),
        2 => Just(Step::Turn),
        1 => Just(Step::Look),
        1 => prop::bool::weighted(0.05).prop_map(|s| if s { Step::Shutdown } else { Step::Look }),
    ]
}

type Machine<S> = Engine<ManualDriver<1_000>, [Slot; SLOTS], S>;

/// What the model knows of a sleep.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    deadline: Ticks,
    holds_slot: bool,
    /// The task that is to be woken, if any is.
    armed: Option<usize>,
}

#[derive(Default)]
struct Model {
    now: Ticks,
    sleeps: [Option<Expected>; SLEEPS],
    wakes: [u32; TASKS],
    shut_down: bool,
    fired: u64,
    cancelled: u64,
    full_repolls: u64,
}

impl Model {
    fn free_slot(&self) -> Result<(), RegisterError> {
        if self.shut_down {
            return Err(RegisterError::ShutDown);
        }
        let held = self.sleeps.iter().flatten().filter(|sleep| sleep.holds_slot).count();
        if held < SLOTS { Ok(()) } else { Err(RegisterError::Full) }
    }

    fn at(&self, ahead: u64) -> Ticks {
        self.now.after(ahead)
    }

    fn drop(&mut self, sleep: usize) {
        let gone = self.sleeps[sleep].take();
        self.cancelled += gone.is_some_and(|gone| gone.armed.is_some()) as u64;
    }

    fn poll(&mut self, sleep: usize, task: usize) -> Option<bool> {
        let free = self.free_slot().is_ok();
        let expected = self.sleeps[sleep].as_mut()?;
        if expected.deadline <= self.now {
            self.fired += expected.armed.is_some() as u64;
            expected.armed = None;
            expected.holds_slot = false;
            return Some(true);
        }
        if expected.holds_slot || free && !expected.deadline.is_never() {
            expected.holds_slot = true;
            expected.armed = Some(task);
        } else if !expected.deadline.is_never() {
            self.wakes[task] += 1;
            self.full_repolls += 1;
        }
        Some(false)
    }

    fn turn(&mut self) {
        for expected in self.sleeps.iter_mut().flatten() {
            if expected.deadline <= self.now
                && let Some(task) = expected.armed.take()
            {
                self.wakes[task] += 1;
                self.fired += 1;
            }
        }
    }

    fn armed(&self) -> impl Iterator<Item = Ticks> {
        let armed = self.sleeps.iter().flatten().filter(|sleep| sleep.armed.is_some());
        armed.map(|sleep| sleep.deadline)
    }

    fn earliest(&self) -> Option<Ticks> {
        self.armed().filter(|deadline| !deadline.is_never()).min()
    }
}

fn run<S: Store>(store: S, start: Ticks, steps: &[Step]) {
    let slots = [const { Slot::new() }; SLOTS];
    let machine: Machine<S> = Engine::with_parts(ManualDriver::at(start), slots, store);
    let mut sleeps: [Option<Sleep<&Machine<S>>>; SLEEPS] = [const { None }; SLEEPS];
    let tasks = [(); TASKS].map(|()| Task::new());
    let mut model = Model { now: start, ..Model::default() };
    let mut pending = false;

    for (number, &step) in steps.iter().enumerate() {
        match step {
            Step::New(sleep, ahead) => {
                model.drop(sleep);
                let deadline = model.at(ahead);
                model.sleeps[sleep] = Some(Expected { deadline, ..Expected::default() });
                sleeps[sleep] = None;
                sleeps[sleep] = Some(machine.sleep_until(deadline));
            }
            Step::TryNew(sleep, ahead) => {
                model.drop(sleep);
                sleeps[sleep] = None;
                let deadline = model.at(ahead);
                let holds_slot = !deadline.is_never();
                let expected = if holds_slot { model.free_slot() } else { Ok(()) };
                let got = machine.try_sleep_until(deadline);
                assert_eq!(got.as_ref().err(), expected.as_ref().err(), "step {number}");
                model.sleeps[sleep] =
                    expected.ok().map(|()| Expected { deadline, holds_slot, armed: None });
                sleeps[sleep] = got.ok();
            }
            Step::Poll(sleep, task) => {
                let expected = model.poll(sleep, task);
                let got = sleeps[sleep]
                    .as_mut()
                    .map(|sleep| tasks[task].polls(|cx| Pin::new(sleep).poll(cx)).is_ready());
                assert_eq!(got, expected, "step {number}");
            }
            Step::Reset(sleep, ahead) => {
                let deadline = model.at(ahead);
                if let (Some(expected), Some(sleep)) =
                    (&mut model.sleeps[sleep], &mut sleeps[sleep])
                {
                    expected.deadline = deadline;
                    sleep.reset(deadline);
                }
            }
            Step::Drop(sleep) => {
                model.drop(sleep);
                sleeps[sleep] = None;
            }
            Step::Advance(ticks) => {
                machine.driver().advance(ticks);
                model.now = machine.driver().now();
            }
            Step::Interrupt => {
                if std::mem::take(&mut pending) {
                    machine.on_alarm();
                    model.turn();
                }
            }
            Step::Turn => {
                // Whoever turns is told when to come back.
                let next = machine.turn();
                model.turn();
                let earliest = model.earliest();
                assert!(earliest.is_none_or(|at| next.is_some_and(|next| next <= at)));
            }
            Step::Look => {
                let metrics = machine.metrics().expect("nobody is inside");
                assert_eq!(metrics.armed as usize, model.armed().count(), "step {number}");
                assert_eq!(metrics.full_repolls, model.full_repolls);
            }
            Step::Shutdown => {
                model.shut_down = true;
                machine.shutdown();
            }
        }
        for (task, expected) in tasks.iter().zip(model.wakes) {
            assert_eq!(task.wakes(), expected, "step {number}, {step:?}");
        }
        pending |= machine.driver().take_interrupt();
        let alarm = machine.driver().alarm();
        let served = |at: Ticks| pending || alarm.is_some_and(|alarm| alarm <= at);
        assert!(model.earliest().is_none_or(served), "step {number}, {step:?}: lost");
    }

    drop(sleeps);
    (0..SLEEPS).for_each(|sleep| model.drop(sleep));
    machine.turn();
    let metrics = machine.metrics().expect("nobody is inside");
    assert_eq!((metrics.armed, metrics.fired), (0, model.fired));
    assert_eq!(metrics.cancelled, model.cancelled);
    assert_eq!(metrics.registered, model.fired + model.cancelled);
    assert!(tasks.iter().all(|task| task.wakers() == 0));
    if !model.shut_down {
        let all = [(); SLOTS].map(|()| machine.try_sleep_until(Ticks::LAST));
        assert!(all.iter().all(Result::is_ok));
    }
}

struct Arrays([HeapEntry; SLOTS], [WheelNode; SLOTS]);

impl WheelMemory for Arrays {
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [WheelNode]) {
        (&mut self.0, &mut self.1)
    }

    fn look(&self) -> (&[HeapEntry], &[WheelNode]) {
        (&self.0, &self.1)
    }

    fn reserve(&mut self, _: u32) {}

    fn reserve_near(&mut self, _: u32) {}
}

fn wheel<const G: u32>() -> WheelStore<Arrays, G, 12> {
    WheelStore::with_memory(Arrays([HeapEntry::EMPTY; SLOTS], [WheelNode::EMPTY; SLOTS]))
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_timer_with_a_heap_does_what_the_model_does(
        start in prop_oneof![Just(0u64), 0..1u64 << 59],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(HeapStore::<Inline<SLOTS>>::new(), Ticks::new(start), &steps);
    }
}

proptest! {
    #![proptest_config(cases(700))]

    #[test]
    fn a_timer_with_a_wheel_does_what_the_model_does(
        start in prop_oneof![Just(0u64), 0..1u64 << 59],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(wheel::<0>(), Ticks::new(start), &steps);
        run(wheel::<4>(), Ticks::new(start), &steps);
    }
}
