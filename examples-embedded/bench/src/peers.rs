//! Those that are measured, each with what a program does to be woken by it.

use core::array::from_fn;
use core::cell::RefCell;
use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Waker};

use critical_section::Mutex;
use embassy_time_queue_utils as original;
use moirai_timer_core::{Engine, Sleep, Slot, Store, Ticks, Timer, WheelArrays, WheelStore};
use rtic_time::timer_queue::{Delay, TimerQueue, TimerQueueBackend};

use crate::clock::{self, Variable};
use crate::task::{TASKS, Task};
use crate::{queue_generic, queue_integrated};

pub trait Peer {
    /// A task asks to be woken, for the first time.
    fn ask(&mut self, task: usize, at: u32);

    /// The alarm's interrupt.
    fn ring(&mut self);

    /// The task that was woken, as it was to be, finds that its time has come, and asks for its next.
    fn serve(&mut self, task: usize, at: u32);

    /// The task, which waits, asks once more for the time that it waits for.
    fn again(&mut self, task: usize, at: u32);

    /// The task ends.
    fn end(&mut self, _task: usize) {}
}

type OurEngine<S> = Engine<Variable, [Slot; TASKS], S>;

/// Spans of 16 ticks.
type Wheel = WheelStore<WheelArrays<TASKS>, 4, 12>;

/// Sleeps on our engine.
pub struct Ours<S: Store + 'static> {
    engine: &'static OurEngine<S>,
    sleeps: [Sleep<&'static OurEngine<S>>; TASKS],
    tasks: &'static [Task; TASKS],
}

/// With its deadlines in a heap, as it comes.
pub static HEAP: Timer<Variable, TASKS> = Timer::new(Variable);

pub static WHEEL: OurEngine<Wheel> = Engine::with_parts(
    Variable,
    [const { Slot::new() }; TASKS],
    WheelStore::with_memory(WheelArrays::new()),
);

impl<S: Store> Ours<S> {
    pub fn new(engine: &'static OurEngine<S>) -> Self {
        Ours { engine, sleeps: from_fn(|_| Sleep::never(engine)), tasks: Task::all() }
    }

    fn poll(&mut self, task: usize) -> bool {
        let waker = self.tasks[task].waker();
        let sleep = Pin::new(&mut self.sleeps[task]);
        Future::poll(sleep, &mut Context::from_waker(&waker)).is_ready()
    }
}

impl<S: Store> Peer for Ours<S> {
    fn ask(&mut self, task: usize, at: u32) {
        self.sleeps[task].reset(Ticks::new(at.into()));
        assert!(!self.poll(task));
    }

    fn ring(&mut self) {
        self.engine.on_alarm();
    }

    fn serve(&mut self, task: usize, at: u32) {
        assert!(self.tasks[task].take_woken() && self.poll(task));
        self.sleeps[task].reset(Ticks::new(at.into()));
        assert!(!self.poll(task));
    }

    fn again(&mut self, task: usize, _at: u32) {
        assert!(!self.poll(task));
    }

    fn end(&mut self, task: usize) {
        assert!(self.poll(task));
    }
}

/// What a HAL of embassy's asks of its queue.
pub trait Queue {
    const NEW: Self;
    fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool;
    fn next_expiration(&mut self, now: u64) -> u64;
}

macro_rules! queue {
    ($($queue:ty),*) => {$(
        impl Queue for $queue {
            const NEW: Self = <$queue>::new();

            fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
                <$queue>::schedule_wake(self, at, waker)
            }

            fn next_expiration(&mut self, now: u64) -> u64 {
                <$queue>::next_expiration(self, now)
            }
        }
    )*};
}

queue!(
    queue_generic::ConstGenericQueue<TASKS>,
    queue_integrated::Queue,
    original::queue_generic::ConstGenericQueue<TASKS>,
    original::queue_integrated::Queue
);

/// A HAL's time driver, with one of the queues in a critical section.
pub struct Hal<Q> {
    queue: Mutex<RefCell<Q>>,
    tasks: &'static [Task; TASKS],
}

impl<Q: Queue> Hal<Q> {
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        Hal { queue: Mutex::new(RefCell::new(Q::NEW)), tasks: Task::all() }
    }
}

impl<Q: Queue> Peer for Hal<Q> {
    fn ask(&mut self, task: usize, at: u32) {
        critical_section::with(|section| {
            let mut queue = self.queue.borrow_ref_mut(section);
            if queue.schedule_wake(at.into(), &self.tasks[task].waker()) {
                black_box(queue.next_expiration(clock::now().into()));
            }
        });
    }

    fn ring(&mut self) {
        critical_section::with(|section| {
            black_box(self.queue.borrow_ref_mut(section).next_expiration(clock::now().into()))
        });
    }

    fn serve(&mut self, task: usize, at: u32) {
        assert!(self.tasks[task].take_woken());
        self.ask(task, at);
    }

    fn again(&mut self, task: usize, at: u32) {
        self.ask(task, at);
    }
}

/// rtic-time's queue behind its alarm.
struct Backend;

static RTIC: TimerQueue<Backend> = TimerQueue::new();

impl TimerQueueBackend for Backend {
    type Ticks = u64;

    fn now() -> u64 {
        clock::now().into()
    }

    fn set_compare(at: u64) {
        black_box(at);
    }

    fn clear_compare_flag() {}

    fn pend_interrupt() {
        clock::pend();
    }

    fn timer_queue() -> &'static TimerQueue<Self> {
        &RTIC
    }
}

pub struct Rtic {
    delays: [Option<Delay<'static, Backend>>; TASKS],
    tasks: &'static [Task; TASKS],
}

impl Rtic {
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        RTIC.initialize(Backend);
        Rtic { delays: [const { None }; TASKS], tasks: Task::all() }
    }

    fn poll(&mut self, task: usize) -> bool {
        let waker = self.tasks[task].waker();
        let delay = self.delays[task].as_mut().expect("it waits");
        // SAFETY: a delay stays where it is until it is dropped.
        let delay = unsafe { Pin::new_unchecked(delay) };
        Future::poll(delay, &mut Context::from_waker(&waker)).is_ready()
    }
}

impl Peer for Rtic {
    fn ask(&mut self, task: usize, at: u32) {
        self.delays[task] = Some(RTIC.delay_until(at.into()));
        assert!(!self.poll(task));
    }

    fn ring(&mut self) {
        // SAFETY: nothing else is done meanwhile.
        unsafe { RTIC.on_monotonic_interrupt() };
    }

    fn serve(&mut self, task: usize, at: u32) {
        assert!(self.tasks[task].take_woken() && self.poll(task));
        self.ask(task, at);
    }

    fn again(&mut self, task: usize, _at: u32) {
        assert!(!self.poll(task));
    }
}
