//! A machine with a few sleeps, the operations on it, and the check that nothing was lost.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;

use moirai_timer_core::{ManualDriver, Sleep, Ticks, Timer};
use moirai_timer_tests::Task;

use crate::watched::Watched;

const SLOTS: usize = 8;
type Machine = Timer<ManualDriver<1_000>, SLOTS>;

/// What a program, an interrupt handler, or another processor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new sleep that is due before all others.
    ArmEarliest,
    /// One that is due before even that.
    ArmEarlier,
    /// One that is due between the first alarm and the second.
    ArmBetween,
    /// A new sleep that is due after all others.
    ArmLatest,
    /// The same, with an interrupt before it and one after it, for whatever reason.
    ArmLatestAmidTurns,
    /// That sleep goes.
    DropLatest,
    /// A new sleep that is gone at once.
    ArmAndDrop,
    /// A slot is taken and kept.
    Reserve,
    /// Two slots are taken; the first returns, the other is kept.
    ReserveTwoReturnOne,
    /// A sleep goes that the store knows.
    DropArmed,
    /// A sleep goes that the store does not know yet.
    DropQueued,
    /// A sleep goes that is due.
    DropDue,
    /// A sleep is to be woken earlier.
    ResetEarlier,
    /// A sleep is to be woken between the first alarm and the second.
    ResetBetween,
    /// A sleep is to be woken later.
    ResetLater,
    /// Another task polls a sleep.
    ReplaceWaker,
    /// Another task polls a sleep that is due soon, and finds it due or not.
    ReplaceDue,
    /// Another task polls a sleep that is due soon, after it has put it off.
    PutOffDue,
    /// The interrupt handler, as often as it is due.
    Alarm,
    /// Time passes, so that a sleep is due, and the interrupt comes.
    ClockAndAlarm,
    /// Somebody else turns, who does not set the alarm.
    Turn,
    /// Somebody looks at the metrics.
    Metrics,
    /// A sleep is dropped, and its slot adopted by one that is later.
    AdoptLatest,
    /// The same, by one that is earlier than all.
    AdoptEarliest,
    /// The alarm comes, and all sleeps have been moved further away.
    VainAlarm,
    /// One that was moved further away is moved back, in part.
    ResetBack,
    /// Somebody asks for the next deadline, and all sleeps have been moved.
    NextDeadline,
}

/// The first, interrupted by the second.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted(pub Operation, pub Operation);

/// A sleep, and what is expected of it.
struct Expected<'a> {
    sleep: Option<Sleep<&'a Machine>>,
    task: Task,
    old_task: Task,
    due: u64,
}

pub struct World<'a> {
    machine: &'a Watched<Machine>,
    /// Due at 100, 200, 300 and 400; the last is not known to the store.
    sleeps: [RefCell<Expected<'a>>; 4],
    /// Due at 20, 10, 500 and 150, if they are armed.
    fresh: [RefCell<Expected<'a>>; 4],
    gone: Task,
    reserved: RefCell<Vec<Sleep<&'a Machine>>>,
}

impl<'a> Expected<'a> {
    fn new(due: u64) -> RefCell<Self> {
        let (task, old_task) = (Task::new(), Task::new());
        RefCell::new(Expected { sleep: None, task, old_task, due })
    }

    fn arm(&mut self, machine: &'a Machine) {
        let mut sleep = machine.sleep_until(Ticks::new(self.due));
        if self.task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending() {
            self.sleep = Some(sleep);
        }
    }

    fn reset(&mut self, due: u64) {
        self.due = due;
        self.sleep.as_mut().expect("it is armed").reset(Ticks::new(due));
    }

    /// Polls for another task; if the sleep is complete, there is nothing to expect of it.
    fn replace(&mut self) {
        std::mem::swap(&mut self.task, &mut self.old_task);
        let sleep = self.sleep.as_mut().expect("it is armed");
        if self.task.polls(|cx| Pin::new(sleep).poll(cx)).is_ready() {
            self.sleep = None;
        }
    }
}

impl<'a> World<'a> {
    fn new(machine: &'a Watched<Machine>) -> Self {
        let world = World {
            machine,
            sleeps: [100, 200, 300, 400].map(Expected::new),
            fresh: [20, 10, 500, 150].map(Expected::new),
            gone: Task::new(),
            reserved: RefCell::default(),
        };
        world.sleeps[..3].iter().for_each(|sleep| sleep.borrow_mut().arm(machine));
        // Slots that were used before, in the pool's list.
        (0..4).for_each(|_| world.reserve());
        world.reserved.take();
        world.serve();
        world.sleeps[3].borrow_mut().arm(machine);
        world
    }

    /// Runs the interrupt handler while its interrupt is due.
    fn serve(&self) {
        for _ in 0..100 {
            if !self.machine.driver().take_interrupt() {
                return;
            }
            self.machine.on_alarm();
        }
        panic!("the interrupt never ceases");
    }

    fn reserve(&self) {
        let sleep = self.machine.try_sleep_until(Ticks::LAST).expect("there is room");
        self.reserved.borrow_mut().push(sleep);
    }

    fn perform(&self, operation: Operation) {
        let arm = |sleep: &RefCell<Expected<'a>>| sleep.borrow_mut().arm(self.machine);
        match operation {
            Operation::ArmEarliest => arm(&self.fresh[0]),
            Operation::ArmEarlier => arm(&self.fresh[1]),
            Operation::ArmBetween => arm(&self.fresh[3]),
            Operation::ArmLatest => arm(&self.fresh[2]),
            Operation::ArmLatestAmidTurns => {
                self.machine.on_alarm();
                arm(&self.fresh[2]);
                self.machine.on_alarm();
            }
            Operation::DropLatest => self.fresh[2].borrow_mut().sleep = None,
            Operation::ArmAndDrop => {
                let mut sleep = self.machine.sleep_until(Ticks::new(15));
                let _ = self.gone.polls(|cx| Pin::new(&mut sleep).poll(cx));
            }
            Operation::Reserve => self.reserve(),
            Operation::ReserveTwoReturnOne => {
                self.reserve();
                self.reserve();
                let first = self.reserved.borrow().len() - 2;
                let first = self.reserved.borrow_mut().remove(first);
                drop(first);
            }
            Operation::DropDue => self.sleeps[0].borrow_mut().sleep = None,
            Operation::DropArmed => self.sleeps[1].borrow_mut().sleep = None,
            Operation::DropQueued => self.sleeps[3].borrow_mut().sleep = None,
            Operation::ResetEarlier => self.sleeps[2].borrow_mut().reset(50),
            Operation::ResetBetween => self.sleeps[2].borrow_mut().reset(150),
            Operation::ResetLater => self.sleeps[2].borrow_mut().reset(600),
            Operation::ReplaceWaker => self.sleeps[2].borrow_mut().replace(),
            Operation::ReplaceDue => self.sleeps[0].borrow_mut().replace(),
            Operation::PutOffDue => {
                let mut sleep = self.sleeps[0].borrow_mut();
                sleep.reset(550);
                sleep.replace();
            }
            Operation::Alarm => self.serve(),
            Operation::ClockAndAlarm => {
                self.machine.driver().set(Ticks::new(100));
                self.serve();
            }
            Operation::Turn => {
                self.machine.turn();
            }
            Operation::Metrics => {
                self.machine.metrics();
            }
            Operation::AdoptLatest => {
                self.sleeps[1].borrow_mut().sleep = None;
                arm(&self.fresh[2]);
            }
            Operation::AdoptEarliest => {
                self.sleeps[1].borrow_mut().sleep = None;
                arm(&self.fresh[0]);
            }
            Operation::VainAlarm => {
                self.machine.driver().set(Ticks::new(100));
                self.serve();
            }
            Operation::ResetBack => {
                self.sleeps[2].borrow_mut().reset(250);
            }
            Operation::NextDeadline => {
                self.machine.next_deadline();
            }
        }
    }

    /// Runs on alarms alone. What is armed wakes at its deadline; what is gone never does.
    fn check(&self) {
        let machine = self.machine;
        loop {
            self.serve();
            let now = machine.now().get();
            for watched in self.sleeps.iter().chain(&self.fresh) {
                let watched = watched.borrow();
                let (woken, due) = (watched.task.wakes(), watched.due);
                if watched.sleep.is_some() && due <= now {
                    assert!(woken > 0, "due at {due} and asleep at {now}");
                } else if watched.sleep.is_some() {
                    assert_eq!(woken, 0, "due at {due} and awake at {now}");
                }
            }
            let Some(alarm) = machine.driver().alarm() else { break };
            let earliest = (self.sleeps.iter().chain(&self.fresh))
                .filter(|watched| watched.borrow().sleep.is_some())
                .map(|watched| watched.borrow().due)
                .filter(|due| *due > now)
                .min();
            assert!(
                earliest.is_none_or(|due| alarm.get() <= due),
                "the alarm is at {alarm:?}, a deadline at {earliest:?}"
            );
            machine.driver().set(alarm);
        }
        for watched in self.sleeps.iter().chain(&self.fresh) {
            let watched = watched.borrow();
            let (new, old) = (watched.task.wakes(), watched.old_task.wakes());
            if watched.sleep.is_some() {
                assert_eq!(new, 1, "due at {}: there is no alarm, and it sleeps", watched.due);
                assert!(old <= 1, "the former task was woken again");
            } else {
                assert!(new + old <= 1, "woken when it was gone");
            }
            assert_eq!((watched.task.wakers(), watched.old_task.wakers()), (0, 0));
        }
        assert_eq!((self.gone.wakes(), self.gone.wakers()), (0, 0));
    }

    /// Everything goes but what was reserved.
    fn into_reserved(self) -> Vec<Sleep<&'a Machine>> {
        self.reserved.into_inner()
    }

    fn interrupt(&self, interrupted: Interrupted, access: u64) -> bool {
        let Interrupted(operation, other) = interrupted;
        if operation == Operation::Alarm {
            // Something to do for the handler.
            self.machine.driver().set(Ticks::new(5));
            self.perform(Operation::ArmAndDrop);
        }
        if matches!(operation, Operation::VainAlarm | Operation::NextDeadline) {
            self.serve();
            self.sleeps[0].borrow_mut().reset(350);
            self.sleeps[1].borrow_mut().reset(600);
            self.sleeps[2].borrow_mut().reset(700);
        }
        let handler =
            matches!(operation, Operation::Alarm | Operation::ClockAndAlarm | Operation::VainAlarm);
        self.machine.interrupt(access, || self.perform(operation), &mut || {
            self.perform(other);
            // On a small machine the timer's own interrupt comes next, unless it is that which
            // was interrupted.
            if !handler && !matches!(other, Operation::Turn | Operation::Metrics) {
                self.serve();
            }
        })
    }

    /// Performs one interrupted operation after the other, on a new machine, each at its access
    /// with this number to the timer's memory. Afterwards nothing may be lost. False, without that
    /// check, if one of them has fewer accesses.
    pub fn interrupted<const N: usize>(operations: [Interrupted; N], accesses: [u64; N]) -> bool {
        let machine = Watched::new(Machine::new(ManualDriver::new()));
        let world = World::new(&machine);
        let mut steps = operations.into_iter().zip(accesses);
        let hit = steps.all(|(operation, access)| world.interrupt(operation, access));
        if hit {
            world.check();
            let reserved = world.into_reserved();
            check_slots(&machine, reserved.len());
            drop(reserved);
            check_slots(&machine, 0);
        }
        hit
    }
}

/// All slots are there, but for those that are held.
fn check_slots(machine: &Machine, held: usize) {
    machine.turn();
    let free: Vec<_> = (held..SLOTS).map(|_| machine.try_sleep_until(Ticks::LAST)).collect();
    assert!(free.iter().all(Result::is_ok), "a slot was lost");
    assert!(machine.try_sleep_until(Ticks::LAST).is_err(), "a slot was found");
}
