//! An interrupt between any two instructions: that of the second timer, and the alarm's own.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use board::{burn, println};
use moirai_timer_tests::Task;

use crate::phase::{INTRUDER, phase};
use crate::{HZ, PLACE, interrupt, poll};

/// The second timer interrupts at 25,000 phases, an instruction apart.
pub fn preempted() {
    const PHASES: u32 = 25_000;
    let mut within = 0;
    for phase_number in 0..PHASES {
        let before = interrupt::COUNT.load(SeqCst);
        let begin = || interrupt::after(phase_number);
        let came = phase(phase_number.into(), begin, || interrupt::COUNT.load(SeqCst) != before);
        within += u32::from(came);
    }
    let distinct = interrupt::distinct();
    println!("preempted: {PHASES} phases, {within} of them within, at {distinct} instructions");
    assert!(
        within > PHASES / 10 && within < PHASES,
        "the sweep goes from the beginning to the end"
    );
    // A turn, a registration and what is done to another sleep have about a thousand.
    assert!(distinct > 1_000, "it comes to every instruction");
}

/// The alarm rings at 2,000 phases, and the task that it wakes intrudes.
pub fn rung() {
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
