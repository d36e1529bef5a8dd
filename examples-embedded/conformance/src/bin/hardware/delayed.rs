//! A long interrupt, more urgent than the alarm's, while the alarm is being set.

use core::sync::atomic::Ordering::SeqCst;

use board::println;
use moirai_timer_tests::Task;

use crate::{HZ, ends, interrupt, poll, renew};

/// The second timer interrupts at 2,000 phases, an instruction apart, from before a sleep is armed
/// until its alarm is set, and is over before the deadline: it must not put that off.
pub fn delayed() {
    const PHASES: u32 = 2_000;
    /// 100 microseconds, at a nanosecond each.
    const INSTRUCTIONS: u32 = 100_000;
    /// For all that comes after the deadline; a tenth of that interrupt.
    const TOLERANCE: u64 = HZ / 100_000;
    let (mut within, mut worst) = (0, 0);
    interrupt::LASTS.store(INSTRUCTIONS, SeqCst);
    for phase in 0..PHASES {
        let timer = renew();
        let task = Task::new();
        let mut sleep = timer.sleep_until(timer.now().after(HZ / 5_000));
        let before = interrupt::COUNT.load(SeqCst);
        interrupt::after(phase);
        // The alarm is set before this returns, by the handler of its interrupt.
        assert!(poll(&mut sleep, &task).is_pending());
        within += u32::from(interrupt::COUNT.load(SeqCst) != before);
        ends(timer, &mut sleep, &task, false);
        let late = timer.now().since(sleep.deadline());
        assert!(late <= TOLERANCE, "late by {late} ticks, at phase {phase}");
        worst = worst.max(late);
        assert!(interrupt::COUNT.load(SeqCst) != before, "it came before the deadline");
    }
    interrupt::LASTS.store(0, SeqCst);
    println!("delayed: {PHASES} phases, {within} of them within, late by {worst} ticks at worst");
    assert!(
        within > PHASES / 10 && within < PHASES,
        "the sweep goes from the beginning to the end"
    );
}
