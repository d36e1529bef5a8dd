//! Instructions that an expiry and its rearming take, with so many timers armed, in QEMU's exact time.
//!
//! All deadlines are in the future of a clock that is a variable, and come up one after another. Each
//! round advances the clock to the next one, serves it, and arms it anew behind all others. What is
//! measured is the queue and what calls it, and no hardware: the same for every peer.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use board::println;
use embassy_time_queue_utils::Queue;
use moirai_timer_core::{Armed, Driver, Sleep, Ticks, Timer};

const ROUNDS: u32 = 1_024;
/// Instructions in a count of SysTick.
const COUNT: u32 = 40;

static NOW: AtomicU32 = AtomicU32::new(0);
static PENDED: AtomicBool = AtomicBool::new(false);

/// A clock that is a variable, and an alarm that nobody looks at.
struct Variable;

impl Driver for Variable {
    const TICK_HZ: u64 = 1_000_000;

    fn now(&self) -> Ticks {
        Ticks::new(NOW.load(Relaxed).into())
    }

    fn arm(&self, at: Ticks) -> Armed {
        if at <= self.now() { Armed::Elapsed } else { Armed::Pending }
    }

    fn disarm(&self) {}

    fn pend(&self) {
        PENDED.store(true, Relaxed);
    }
}

static WOKEN: AtomicU32 = AtomicU32::new(0);

/// A waker that counts.
fn waker() -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| RawWaker::new(core::ptr::null(), &TABLE),
        |_| WOKEN.store(WOKEN.load(Relaxed) + 1, Relaxed),
        |_| WOKEN.store(WOKEN.load(Relaxed) + 1, Relaxed),
        |_| {},
    );
    // SAFETY: the functions of the table do not look at the pointer.
    unsafe { Waker::new(core::ptr::null(), &TABLE) }
}

/// Instructions that a call of `round` takes, on average.
fn measure(mut round: impl FnMut(u32)) -> u32 {
    let systick = cortex_m::peripheral::SYST::PTR;
    // SAFETY: nobody else uses it here.
    unsafe {
        (*systick).rvr.write(0xff_ffff);
        (*systick).cvr.write(0);
        (*systick).csr.write(0b101);
        while (*systick).cvr.read() == 0 {}
    }
    // SAFETY: as above.
    let read = || unsafe { (*systick).cvr.read() };
    let before = read();
    (0..ROUNDS).for_each(&mut round);
    let after = read();
    (before - after) * COUNT / ROUNDS
}

static OURS: Timer<Variable, 128> = Timer::new(Variable);

fn ours<const N: usize>() -> u32 {
    NOW.store(0, Relaxed);
    let waker = waker();
    let mut cx = Context::from_waker(&waker);
    let mut sleeps: [Sleep<_>; N] =
        core::array::from_fn(|i| OURS.sleep_until(Ticks::new(1 + i as u64)));
    for sleep in &mut sleeps {
        assert!(Future::poll(Pin::new(sleep), &mut cx).is_pending());
    }
    OURS.on_alarm();
    let woken = WOKEN.load(Relaxed);
    let took = measure(|round| {
        // The interrupt,
        NOW.store(1 + round, Relaxed);
        OURS.on_alarm();
        // the task that it woke,
        let sleep = &mut sleeps[round as usize % N];
        assert!(Future::poll(Pin::new(&mut *sleep), &mut cx).is_ready());
        sleep.reset(Ticks::new((1 + round + N as u32).into()));
        assert!(Future::poll(Pin::new(&mut *sleep), &mut cx).is_pending());
        // and the interrupt that this asked for, if it did.
        if PENDED.load(Relaxed) {
            PENDED.store(false, Relaxed);
            OURS.on_alarm();
        }
    });
    assert_eq!(WOKEN.load(Relaxed) - woken, ROUNDS);
    drop(sleeps);
    OURS.turn();
    took
}

fn embassys_generic<const N: usize>() -> u32 {
    let waker = waker();
    let queue = critical_section::Mutex::new(RefCell::new(Queue::new()));
    let with = |f: &mut dyn FnMut(&mut Queue)| {
        critical_section::with(|section| f(&mut queue.borrow(section).borrow_mut()));
    };
    // Wakers that differ: it takes equal ones for one timer.
    let wakers: [Waker; N] = core::array::from_fn(|i| {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| RawWaker::new(data, &TABLE),
            |_| WOKEN.store(WOKEN.load(Relaxed) + 1, Relaxed),
            |_| WOKEN.store(WOKEN.load(Relaxed) + 1, Relaxed),
            |_| {},
        );
        // SAFETY: the functions of the table do not look at the pointer.
        unsafe { Waker::new(core::ptr::without_provenance(i + 1), &TABLE) }
    });
    drop(waker);
    for (i, waker) in wakers.iter().enumerate() {
        with(&mut |queue| {
            queue.schedule_wake(1 + i as u64, waker);
        });
    }
    let woken = WOKEN.load(Relaxed);
    let took = measure(|round| {
        let now = u64::from(1 + round);
        with(&mut |queue| {
            core::hint::black_box(queue.next_expiration(now));
        });
        with(&mut |queue| {
            let waker = &wakers[round as usize % N];
            if queue.schedule_wake(now + N as u64, waker) {
                core::hint::black_box(queue.next_expiration(now));
            }
        });
    });
    assert_eq!(WOKEN.load(Relaxed) - woken, ROUNDS);
    took
}

board::start!(main, TIMER: 1);

fn main() {
    println!("instructions 1 8 32 64 128");
    println!(
        "ours {} {} {} {} {}",
        ours::<1>(),
        ours::<8>(),
        ours::<32>(),
        ours::<64>(),
        ours::<128>()
    );
    println!(
        "embassy-generic {} {} {} {} {}",
        embassys_generic::<1>(),
        embassys_generic::<8>(),
        embassys_generic::<32>(),
        embassys_generic::<64>(),
        embassys_generic::<128>()
    );
    println!(
        "bytes {}",
        (size_of::<Timer<Variable, 128>>() - size_of::<Timer<Variable, 64>>()) / 64
    );
}
