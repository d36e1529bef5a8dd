//! What only a machine with interrupts can show.
//!
//! | case | what happens |
//! |---|---|
//! | `preempted` | between any two instructions of a producer and a turn, an interrupt arms, moves, drops |
//! | `rung` | the alarm's own interrupt does, in a waker |
//! | `near` | deadlines 0, 1, 2, .. ticks ahead |
//! | `storm` | two interrupt priorities and the program arm and drop at once |
//! | `held_up` | the program masks interrupts for longer than several deadlines |
//! | `wraps` | the counter wraps, or carries, under load |
//! | `far` | a sleep is longer than SysTick's counter |
//! | `idle` | nothing is armed, and no interrupt comes |

#![no_std]
#![no_main]

use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use core::task::Poll;
use core::time::Duration;

use board::{burn, println};
use conformance::{Place, Shared};
use moirai_timer_core::{Driver, Sleep, TickCount, Ticks, Timer};
use moirai_timer_tests::{Handoff, Task};

const ROOM: usize = 16;
const HZ: u64 = board::Driver::TICK_HZ;
/// Far beyond what the machine can be late, and what a case lasts: 10 ms.
const LONG: u64 = HZ / 100;

type OurTimer = Timer<Shared, ROOM>;
type OurSleep = Sleep<&'static OurTimer>;

static PLACE: Place<ROOM> = Place::new();

board::handlers!(PLACE);

#[unsafe(export_name = "main")]
extern "C" fn main() -> ! {
    board::start(PLACE.driver());
    #[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
    {
        board::other::start();
        preempted();
        storm();
    }
    rung();
    near();
    held_up();
    idle();
    wraps();
    far();
    #[cfg(feature = "mps2-an385-systick")]
    no_drift();
    println!("passed");
    board::exit(0)
}

fn renew() -> &'static OurTimer {
    // SAFETY: each case drops all that it makes with its timer.
    unsafe { PLACE.renew() }
}

fn poll(sleep: &mut OurSleep, task: &Task) -> Poll<()> {
    task.polls(|cx| Future::poll(Pin::new(sleep), cx))
}

/// Waits until the task was woken, or the sleep was ready when it was polled. Lost is a sleep whose
/// deadline has long passed, and whose task sleeps.
#[track_caller]
fn ends(timer: &OurTimer, sleep: &mut OurSleep, task: &Task, ready: bool) {
    let deadline = sleep.deadline();
    while !ready && !task.is_woken() {
        assert!(
            timer.now() < deadline.after(LONG),
            "lost: {} ticks ago",
            timer.now().since(deadline)
        );
    }
    assert!(timer.now() >= deadline, "early by {} ticks", deadline.since(timer.now()));
    assert!(poll(sleep, task).is_ready());
    assert_eq!(task.wakers(), 0);
}

/// What an interrupt does to the timer: arms one sleep, moves another, drops a third.
struct Intruder {
    arms: Handoff<OurSleep>,
    armed: Handoff<(OurSleep, bool)>,
    moves: Handoff<(OurSleep, Ticks)>,
    moved: Handoff<OurSleep>,
    drops: Handoff<OurSleep>,
}

static INTRUDER: Intruder = Intruder {
    arms: Handoff::new(),
    armed: Handoff::new(),
    moves: Handoff::new(),
    moved: Handoff::new(),
    drops: Handoff::new(),
};

/// The task of the sleep that the intruder arms.
static INTRUDERS: Handoff<Task> = Handoff::new();

impl Intruder {
    fn intrude(&self) {
        if let Some(mut sleep) = self.arms.replace(None) {
            let task = INTRUDERS.replace(None).expect("it is given with the sleep");
            let ready = poll(&mut sleep, &task).is_ready();
            INTRUDERS.replace(Some(task));
            self.armed.replace(Some((sleep, ready)));
        }
        if let Some((mut sleep, to)) = self.moves.replace(None) {
            sleep.reset(to);
            self.moved.replace(Some(sleep));
        }
        drop(self.drops.replace(None));
    }
}

/// One phase: the program arms, moves, drops, gives another waker, turns, and does everything else
/// that a program can do; at some time comes the `intrusion`.
/// Whether that was before the end of all this.
fn phase(seed: u64, begin: impl FnOnce(), intrusion: impl Fn() -> bool) -> bool {
    let timer = renew();
    let tick = |n: u64| Ticks::new(timer.now().get() + n);
    let [own, moved, renewed, dropped, theirs, there, gone] = [(); 7].map(|()| Task::new());
    // Some near enough to fire meanwhile, some after it.
    let ahead = |salt: u64| 1 + seed.wrapping_mul(salt) % (HZ / 100_000 + 20);

    let mut to_move = timer.sleep_until(tick(LONG));
    let mut to_drop = timer.sleep_until(tick(LONG));
    let mut to_be_moved = timer.sleep_until(tick(LONG));
    let mut to_be_dropped = timer.sleep_until(tick(LONG));
    assert!(poll(&mut to_move, &moved).is_pending());
    assert!(poll(&mut to_drop, &dropped).is_pending());
    assert!(poll(&mut to_be_moved, &there).is_pending());
    assert!(poll(&mut to_be_dropped, &gone).is_pending());
    INTRUDER.arms.replace(Some(timer.sleep_until(tick(ahead(7)))));
    INTRUDERS.replace(Some(theirs));
    INTRUDER.moves.replace(Some((to_be_moved, tick(ahead(11)))));
    INTRUDER.drops.replace(Some(to_be_dropped));
    let mut sleep = timer.sleep_until(tick(ahead(13)));
    let sooner = tick(ahead(17));

    begin();
    let ready = poll(&mut sleep, &own).is_ready();
    to_move.reset(sooner);
    drop(to_drop);
    let at_once = poll(&mut to_move, &renewed).is_ready();
    timer.turn();
    everything_else(timer, seed);

    let came = intrusion();
    while !intrusion() {}
    let theirs = INTRUDERS.replace(None).expect("the intruder has left it");
    let (mut armed, their_ready) = INTRUDER.armed.replace(None).expect("it was armed");
    let mut to_be_moved = INTRUDER.moved.replace(None).expect("it was moved");
    ends(timer, &mut sleep, &own, ready);
    ends(timer, &mut to_move, &renewed, at_once);
    ends(timer, &mut armed, &theirs, their_ready);
    ends(timer, &mut to_be_moved, &there, false);
    assert_eq!((dropped.wakes(), dropped.wakers()), (0, 0));
    assert_eq!((gone.wakes(), gone.wakers()), (0, 0));
    assert!(own.wakes() <= 1 && theirs.wakes() <= 1 && there.wakes() == 1);
    // The first waker too, if the sleep fires before it is polled with the second, or meanwhile.
    assert!(moved.wakes() <= 1 && renewed.wakes() == u32::from(!at_once));
    assert_eq!(moved.wakers(), 0);
    came
}

/// Timeouts, intervals, tolerances, resets to and fro, slots taken ahead: none of them ends early,
/// and none is left when this is over.
fn everything_else(timer: &'static OurTimer, seed: u64) {
    // A driver that waits for an edge of its clock is in step with it from there on.
    let pause = || burn(2 + seed as u32 % 40);
    let task = Task::new();
    let ahead = |salt: u64| TickCount(1 + seed.wrapping_mul(salt) % (HZ / 100_000 + 20));

    pause();
    let mut ticks = timer.interval(ahead(19));
    for _ in 0..2 {
        let tick = task.polls(|cx| ticks.poll_tick(cx));
        assert!(match tick {
            Poll::Ready(due) => due <= timer.now(),
            Poll::Pending => true,
        });
    }
    let mut limited = timer.timeout(ahead(23), core::future::pending::<()>());
    let ends = limited.deadline();
    let outcome = task.polls(|cx| Future::poll(Pin::new(&mut limited), cx));
    assert!(outcome.is_pending() || timer.now() >= ends);
    let mut lenient = timer.sleep(ahead(29)).with_tolerance(Duration::from_micros(20));
    let _ = poll(&mut lenient, &task);
    lenient.reset_after(Duration::from_micros(40));
    let _ = poll(&mut lenient, &task);
    pause();
    timer.turn();
    ticks.reset();
    let _ = task.polls(|cx| ticks.poll_tick(cx));
    lenient.reset_after(Duration::from_micros(2));
    drop(limited);
    let mut reserved = timer.try_sleep(ahead(31)).expect("there is room");
    let _ = poll(&mut reserved, &task);
    let _ = timer.next_deadline();
    pause();
    timer.turn();
    drop((ticks, lenient, reserved));
    pause();
    timer.turn();
    assert_eq!(task.wakers(), 0);
}

/// The addresses that the second timer interrupted, one bit for each two bytes of the program.
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
mod trace {
    use super::*;

    const WORDS: usize = 1024;
    static SEEN: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];
    static OUTSIDE: AtomicU32 = AtomicU32::new(0);

    core::arch::global_asm!(
        ".global OTHER",
        ".type OTHER, %function",
        ".thumb_func",
        "OTHER:",
        "mrs r0, msp",
        "ldr r0, [r0, #24]",
        "ldr r1, =other",
        "bx r1",
        ".ltorg",
    );

    #[unsafe(no_mangle)]
    extern "C" fn other(interrupted: usize) {
        board::other::acknowledge();
        let half = interrupted / 2;
        match SEEN.get(half / 32) {
            Some(word) => word.store(word.load(SeqCst) | 1 << (half % 32), SeqCst),
            None => OUTSIDE.store(OUTSIDE.load(SeqCst) + 1, SeqCst),
        }
        COUNT.store(COUNT.load(SeqCst) + 1, SeqCst);
        super::at_interrupt();
    }

    pub static COUNT: AtomicU32 = AtomicU32::new(0);

    pub fn distinct() -> u32 {
        SEEN.iter().map(|word| word.load(SeqCst).count_ones()).sum()
    }
}

#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
static STORM: AtomicU32 = AtomicU32::new(0);

#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
fn at_interrupt() {
    if STORM.load(SeqCst) == 0 { INTRUDER.intrude() } else { storm_from(&OTHERS) }
}

/// The second timer interrupts at 20,000 phases, an instruction apart.
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
fn preempted() {
    const PHASES: u32 = 20_000;
    /// Instructions that a count of the second timer lasts, at a nanosecond each.
    const COUNT: u32 = 1_000_000_000 / board::other::HZ;
    let mut within = 0;
    for phase_number in 0..PHASES {
        // That long after the timer is set; the first of them while nothing is done but burning.
        let (counts, burnt) = (phase_number / COUNT + 2, 3 * COUNT - phase_number % COUNT);
        let before = trace::COUNT.load(SeqCst);
        let begin = || {
            board::other::set(counts);
            burn(2 + burnt);
        };
        let came = phase(phase_number.into(), begin, || trace::COUNT.load(SeqCst) != before);
        within += u32::from(came);
    }
    let distinct = trace::distinct();
    println!("preempted: {PHASES} phases, {within} of them within, at {distinct} instructions");
    assert!(
        within > PHASES / 10 && within < PHASES,
        "the sweep goes from the beginning to the end"
    );
    // A turn, a registration and what is done to another sleep have about a thousand.
    assert!(distinct > 1_000, "it comes to every instruction");
}

/// The alarm rings at 2,000 phases, and the task that it wakes intrudes.
fn rung() {
    for phase_number in 0..2_000u32 {
        let bell = Task::new();
        let intruded = AtomicU32::new(0);
        let hook = || {
            INTRUDER.intrude();
            intruded.store(1, SeqCst);
        };
        bell.hooked(&hook, || {
            let mut ring = None;
            let begin = || {
                let timer = PLACE.timer();
                let ahead = 1 + u64::from(phase_number) % (HZ / 100_000 + 20);
                let mut sleep = timer.sleep_until(timer.now().after(ahead));
                if poll(&mut sleep, &bell).is_ready() {
                    hook();
                }
                ring = Some(sleep);
                burn(2 + phase_number / 4);
            };
            phase(phase_number.into(), begin, || intruded.load(SeqCst) == 1);
            drop(ring);
        });
    }
    println!("rung: 2000 phases");
}

/// Every deadline from the present on, from every phase of a tick.
fn near() {
    for ahead in 0..150 {
        for phase in 0..8 {
            let timer = renew();
            let task = Task::new();
            burn(2 + phase * 11);
            let mut sleep = timer.sleep_until(timer.now().after(ahead));
            let ready = poll(&mut sleep, &task).is_ready();
            ends(timer, &mut sleep, &task, ready);
        }
    }
    println!("near: 0 to 149 ticks ahead");
}

/// A producer of a storm.
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
struct Producer {
    task: Handoff<Task>,
    sleeps: Handoff<[Option<OurSleep>; 4]>,
    random: AtomicU32,
    fired: AtomicU32,
}

#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
impl Producer {
    const fn new(seed: u32) -> Self {
        Producer {
            task: Handoff::new(),
            sleeps: Handoff::new(),
            random: AtomicU32::new(seed),
            fired: AtomicU32::new(0),
        }
    }

    fn random(&self) -> u32 {
        let mut x = self.random.load(SeqCst);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.random.store(x, SeqCst);
        x
    }
}

#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
static OTHERS: Producer = Producer::new(1);
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
static ALARMS: Producer = Producer::new(77);
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
static PROGRAMS: Producer = Producer::new(1234);

/// Arms, moves or drops one of the producer's sleeps, or looks whether it is ready.
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
fn storm_from(producer: &Producer) {
    let timer = PLACE.timer();
    let (Some(mut sleeps), Some(task)) =
        (producer.sleeps.replace(None), producer.task.replace(None))
    else {
        return;
    };
    let random = producer.random();
    let sleep = &mut sleeps[random as usize % 4];
    let deadline = timer.now().after(u64::from(random >> 8) % (HZ / 20_000));
    match (sleep.as_mut(), random >> 2 & 7) {
        (None, _) => {
            let mut fresh = timer.sleep_until(deadline);
            let _ = poll(&mut fresh, &task);
            *sleep = Some(fresh);
        }
        (Some(_), 0) => *sleep = None,
        (Some(armed), 1) => armed.reset(deadline),
        (Some(armed), _) => {
            let early = timer.now() < armed.deadline();
            if poll(armed, &task).is_ready() {
                assert!(!early || timer.now() >= armed.deadline());
                producer.fired.store(producer.fired.load(SeqCst) + 1, SeqCst);
                *sleep = None;
            }
        }
    }
    producer.task.replace(Some(task));
    producer.sleeps.replace(Some(sleeps));
    if core::ptr::eq(producer, &OTHERS) && STORM.load(SeqCst) == 1 {
        board::other::set(1 + random % 20);
    }
}

/// The second timer, the alarm's tasks and the program, all at the same timer at once.
#[cfg(all(target_arch = "arm", not(feature = "lm3s6965evb")))]
fn storm() {
    let timer = renew();
    for producer in [&OTHERS, &ALARMS, &PROGRAMS] {
        producer.task.replace(Some(Task::new()));
        producer.sleeps.replace(Some([const { None }; 4]));
    }
    let bell = Task::new();
    let hook = || storm_from(&ALARMS);
    let before = trace::COUNT.load(SeqCst);
    bell.hooked(&hook, || {
        STORM.store(1, SeqCst);
        board::other::set(5);
        let mut rings = timer.sleep_until(timer.now());
        while trace::COUNT.load(SeqCst) - before < 20_000 {
            storm_from(&PROGRAMS);
            if poll(&mut rings, &bell).is_ready() {
                rings.reset(timer.now().after(HZ / 100_000));
            }
        }
        STORM.store(2, SeqCst);
    });
    board::other::acknowledge();
    // When all is quiet, whatever is armed still comes.
    for producer in [&OTHERS, &ALARMS, &PROGRAMS] {
        let sleeps = producer.sleeps.replace(None).expect("nobody has them now");
        let task = producer.task.replace(None).expect("nobody has it now");
        for mut sleep in sleeps.into_iter().flatten() {
            let fresh = Task::new();
            let ready = poll(&mut sleep, &fresh).is_ready();
            ends(timer, &mut sleep, &fresh, ready);
        }
        assert_eq!(task.wakers(), 0);
    }
    let [others, alarms, programs] =
        [&OTHERS, &ALARMS, &PROGRAMS].map(|producer| producer.fired.load(SeqCst));
    println!("storm: {others} + {alarms} + {programs} fired");
    assert!(others > 500 && alarms > 50 && programs > 100);
    STORM.store(0, SeqCst);
}

/// Interrupts masked until five deadlines have passed: all fire at the end of that, in order.
fn held_up() {
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

/// Nothing armed: no interrupt but those that keep the time of a narrow counter.
fn idle() {
    /// How many counts there are between two of those.
    const KEPT: Option<u64> = if cfg!(feature = "virt") {
        None
    } else if cfg!(feature = "microbit-narrow") {
        Some(1 << 15)
    } else if cfg!(any(feature = "microbit", feature = "mps2-an385")) {
        Some(1 << 31)
    } else {
        Some(1 << 24)
    };
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
    assert!(came <= KEPT.map_or(0, |kept| counts / kept + 1));
}

/// Sleeps of all lengths while the counter wraps: the clock goes forward, nothing is lost.
fn wraps() {
    for number in 0..2 {
        wrap(number);
    }
}

fn wrap(number: u32) {
    let timer = renew();
    approach_a_wrap(number);
    let start = timer.now();
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
    println!("wraps: {fired} fired in {} ticks", last.since(start));
}

/// How long it lasts. Counters of 32 bits take minutes to wrap, so they are set to just before it.
/// SysTick goes through zero at every alarm.
const WRAPS_TAKE: u64 = if cfg!(feature = "microbit-narrow") { 20 << 16 } else { HZ / 100 };

/// A sleep of two and a half rounds of a counter of 24 bits, and one tick more and less, asleep.
fn far() {
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

/// Sets the counter forward, as if nothing had happened for long, and has the alarm set anew.
fn approach_a_wrap(number: u32) {
    let _ = number;
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

/// SysTick beside a counter that is never touched, with as many restarts as there can be.
/// What it loses is less than QEMU does.
#[cfg(feature = "mps2-an385-systick")]
fn no_drift() {
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
