//! Two interrupt priorities and the program at one timer at once.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use board::println;
use moirai_timer_tests::{Handoff, Task};

use crate::{HZ, OurSleep, PLACE, ends, interrupt, poll, renew};

/// Counts of the second timer that leave the others time to do something, 40 nanoseconds or more.
const STEP: u32 = board::other::HZ.div_ceil(25_000_000);

/// 0: none. 1: it goes on. 2: the second timer is not to be set again.
pub static STORM: AtomicU32 = AtomicU32::new(0);

/// A producer of a storm.
pub struct Producer {
    task: Handoff<Task>,
    sleeps: Handoff<[Option<OurSleep>; 4]>,
    random: AtomicU32,
    fired: AtomicU32,
}

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

/// The second timer's.
pub static OTHERS: Producer = Producer::new(1);
static ALARMS: Producer = Producer::new(77);
static PROGRAMS: Producer = Producer::new(1234);

/// Arms, moves or drops one of the producer's sleeps, or looks whether it is ready.
pub fn storm_from(producer: &Producer) {
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
        board::other::set(STEP * (1 + random % 20));
    }
}

/// The second timer, the alarm's tasks and the program, all at the same timer at once.
pub fn storm() {
    let timer = renew();
    for producer in [&OTHERS, &ALARMS, &PROGRAMS] {
        producer.task.replace(Some(Task::new()));
        producer.sleeps.replace(Some([const { None }; 4]));
    }
    let bell = Task::new();
    let hook = || storm_from(&ALARMS);
    let before = interrupt::COUNT.load(SeqCst);
    bell.hooked(&hook, || {
        STORM.store(1, SeqCst);
        board::other::set(STEP * 5);
        let mut rings = timer.sleep_until(timer.now());
        while interrupt::COUNT.load(SeqCst) - before < 20_000 {
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
