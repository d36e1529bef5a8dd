//! The clock and its alarm: near, far, late, at a wrap of the counter, and with nothing to do.

use core::mem;

use board::{burn, println};
use moirai_timer_core::{Driver, Ticks};
use moirai_timer_tests::Task;

use crate::{HZ, LONG, OurSleep, OurTimer, PLACE, ends, poll, renew};

/// Every deadline from the present on, from phases an eighth of a tick apart.
pub fn near() {
    /// Instructions that a tick lasts, at a nanosecond each.
    const TICK: u32 = (1_000_000_000 / HZ) as u32;
    for ahead in 0..150 {
        for phase in 0..8 {
            let timer = renew();
            let task = Task::new();
            burn(2 + phase * TICK / 8);
            let mut sleep = timer.sleep_until(timer.now().after(ahead));
            let ready = poll(&mut sleep, &task).is_ready();
            ends(timer, &mut sleep, &task, ready);
        }
    }
    println!("near: 0 to 149 ticks ahead");
}

/// Interrupts masked until five deadlines have passed: all fire at the end of that, in order.
pub fn held_up() {
    for round in 0..50 {
        let timer = renew();
        let tasks: [Task; 5] = core::array::from_fn(|_| Task::new());
        let start = timer.now().after(HZ / 10_000 + round);
        let mut sleeps: [OurSleep; 5] =
            core::array::from_fn(|i| timer.sleep_until(start.after(i as u64 * (HZ / 100_000))));
        for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
            assert!(poll(sleep, task).is_pending());
        }
        critical_section::with(|_| {
            let mut last = timer.now();
            while timer.now() <= sleeps[4].deadline().after(HZ / 20_000) {
                let now = timer.now();
                assert!(now >= last, "the clock went back");
                last = now;
            }
            assert!(tasks.iter().all(|task| !task.is_woken()));
        });
        for (sleep, task) in sleeps.iter_mut().zip(&tasks) {
            ends(timer, sleep, task, false);
        }
        assert!(tasks.windows(2).all(|pair| pair[0].order() < pair[1].order()));
    }
    println!("held up: 50 times");
}

const SYSTICK: bool = cfg!(any(feature = "mps2-an385-systick", feature = "lm3s6965evb"));

/// Half a round of the counter. SysTick's rounds differ, and this is the longest of them. `mtime` does not
/// wrap, but carries into its upper word.
const HALF: u64 = if cfg!(feature = "virt") {
    1 << 32
} else if cfg!(feature = "microbit-narrow") {
    1 << 15
} else if cfg!(feature = "microbit-24") {
    1 << 23
} else if cfg!(any(feature = "microbit", feature = "mps2-an385")) {
    1 << 31
} else {
    1 << 24
};

/// Nothing armed: no interrupt but those that keep the time of a narrow counter, one for each half.
pub fn idle() {
    let timer = renew();
    timer.turn();
    let counts = HZ / 5;
    let (start, before) = (timer.now(), PLACE.handled());
    while timer.now() < start.after(counts) {
        // Emulators are slow at reading clocks.
        burn(20_000);
    }
    let came = u64::from(PLACE.handled() - before);
    println!("idle: {came} interrupts in {counts} ticks");
    let kept = if cfg!(feature = "virt") { 0 } else { counts / HALF + 1 };
    assert!(came <= kept);
}

/// Sleeps of all lengths while the counter wraps: the clock goes forward, nothing is lost.
pub fn wraps() {
    for number in 0..2 {
        wrap(number);
    }
}

fn wrap(number: u32) {
    let timer = renew();
    approach_a_wrap(timer, number);
    let start = timer.now();
    let mut seen = half(start);
    let mut halves = 0;
    let mut random = 0x2545_f491u32;
    let mut last = start;
    let until = start.after(WRAPS_TAKE);
    let tasks: [Task; 8] = core::array::from_fn(|_| Task::new());
    let mut sleeps: [Option<(OurSleep, u32)>; 8] = [const { None }; 8];
    let mut fired = 0;
    while last < until {
        for (slot, task) in sleeps.iter_mut().zip(&tasks) {
            let now = timer.now();
            assert!(now >= last, "the clock went back from {last:?} to {now:?}");
            assert!(now < last.after(LONG), "the clock jumped from {last:?} to {now:?}");
            last = now;
            let half = half(now);
            halves += ended(mem::replace(&mut seen, half), half);
            match slot {
                Some((sleep, wakes)) => {
                    let late = now.since(sleep.deadline());
                    assert!(late < LONG / 2, "lost, {late} ticks ago");
                    if task.wakes() > *wakes {
                        assert!(timer.now() >= sleep.deadline());
                        *slot = None;
                        fired += 1;
                    }
                }
                None => {
                    random ^= random << 13;
                    random ^= random >> 17;
                    random ^= random << 5;
                    let mut sleep = timer.sleep_until(now.after(u64::from(random) % (HZ / 500)));
                    let wakes = task.wakes();
                    if poll(&mut sleep, task).is_pending() {
                        *slot = Some((sleep, wakes));
                    }
                }
            }
        }
    }
    println!("wraps: {fired} fired in {} ticks, in which {halves} halves ended", last.since(start));
    assert!(halves >= LEAST_ENDED);
}

/// How long it lasts. The halves of 16 bits are short, the others' are led to their end.
const WRAPS_TAKE: u64 = if cfg!(feature = "microbit-narrow") { 40 * HALF } else { HZ / 100 };
/// How many halves end meanwhile, at least. SysTick is at zero for every alarm; so often it is seen to
/// have been there.
const LEAST_ENDED: u64 = if SYSTICK {
    30
} else if WRAPS_TAKE > HALF {
    WRAPS_TAKE / HALF
} else {
    1
};

/// Which half of the counter it is, or SysTick's count.
fn half(now: Ticks) -> u64 {
    if SYSTICK {
        // SAFETY: reads the count, which changes nothing.
        unsafe { (0xe000_e018 as *const u32).read_volatile() }.into()
    } else {
        now.get() / HALF
    }
}

/// How many halves ended between the two. SysTick counts down, and goes up only at zero.
fn ended(before: u64, after: u64) -> u64 {
    if SYSTICK { u64::from(after > before) } else { after - before }
}

/// A sleep of two and a half rounds of a counter of 24 bits, and one tick more and less, asleep.
pub fn far() {
    for ahead in [(5 << 23) - 1, 5 << 23, (5 << 23) + 1, 1 << 24] {
        let timer = renew();
        let task = Task::new();
        let mut sleep = timer.sleep_until(timer.now().after(ahead));
        assert!(poll(&mut sleep, &task).is_pending());
        board::wait_until(|| task.is_woken());
        ends(timer, &mut sleep, &task, false);
        assert!(timer.now() < sleep.deadline().after(LONG));
    }
    println!("far: past a round of 24 bits");
}

/// Sets the counter to just before the end of a half, as if nothing had happened for long, and has the
/// alarm set anew.
fn approach_a_wrap(timer: &'static OurTimer, number: u32) {
    let _ = (timer, number);
    #[cfg(any(feature = "microbit", feature = "microbit-narrow", feature = "microbit-24"))]
    wait_for_a_wrap(timer);
    critical_section::with(|_| {
        #[cfg(feature = "mps2-an385")]
        {
            // First the middle of the round, then its end.
            let value = (0x4000_0000 as *mut u32).wrapping_add(1);
            let count = if number == 0 { 0x7fff_0000 } else { 0xffff_0000u32 };
            // SAFETY: the counter that is the clock; its driver does not write it any more.
            unsafe { value.write_volatile(!count) };
        }
        #[cfg(feature = "virt")]
        {
            let mtime = 0x0200_bff8 as *mut u32;
            // SAFETY: as above.
            unsafe {
                mtime.write_volatile(0xffff_0000);
                mtime.wrapping_add(1).write_volatile(number);
            }
        }
    });
    PLACE.driver().pend();
}

/// Nordic's counter cannot be set. A half of its 32 bits takes 36 minutes, but QEMU skips idle time.
#[cfg(any(feature = "microbit", feature = "microbit-narrow", feature = "microbit-24"))]
fn wait_for_a_wrap(timer: &'static OurTimer) {
    loop {
        let left = HALF - timer.now().get() % HALF;
        // A busy host may skip more than there is to skip: then it waits for the next.
        if left <= WRAPS_TAKE / 2 {
            return;
        }
        let task = Task::new();
        let mut sleep = timer.sleep_until(timer.now().after(left - WRAPS_TAKE / 4));
        assert!(poll(&mut sleep, &task).is_pending());
        board::wait_until(|| task.is_woken());
    }
}

/// SysTick beside a counter that is never touched, with as many restarts as there can be.
/// What it loses is less than QEMU does.
#[cfg(feature = "mps2-an385-systick")]
pub fn no_drift() {
    let reference = || {
        // SAFETY: a timer that is used nowhere else; it counts down.
        !unsafe { (0x4000_0004 as *const u32).read_volatile() }
    };
    for (register, value) in [(2usize, u32::MAX), (1, u32::MAX), (0, 1)] {
        // SAFETY: as above: reload, value, and go.
        unsafe { (0x4000_0000 as *mut u32).wrapping_add(register).write_volatile(value) };
    }
    let timer = renew();
    let both = || critical_section::with(|_| (timer.now().get(), u64::from(reference())));
    let (ours, theirs) = both();
    let (mut alarms, mut random) = (0u32, 1u32);
    let (mut worst, mut drift) = (0, 0);
    while timer.now().get() - ours < 10_000_000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let task = Task::new();
        let mut sleep = timer.sleep_until(timer.now().after(200 + u64::from(random >> 21)));
        assert!(poll(&mut sleep, &task).is_pending());
        // Awake: QEMU, told to skip idle time, can skip more than it should.
        while !task.is_woken() {
            burn(100);
        }
        alarms += 1;
        let (now, then) = both();
        drift = (now - ours) as i64 - (then - theirs) as i64;
        worst = worst.max(drift.abs());
    }
    println!("no drift: {drift} ticks in 10 million with {alarms} alarms, {worst} at worst");
    // QEMU begins a new count at every restart, and loses a part of one by that; silicon does not,
    // see the driver's tests on a model of it.
    assert!(worst < i64::from(alarms), "a count a restart");
}
