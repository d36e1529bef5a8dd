//! Turning a timer that has a virtual clock.
//!
//! Nobody sleeps until its deadlines, so nobody is there to be nudged. Instead, whoever has made
//! the engine ask for a turn takes it before it goes on: the one who moves the clock, and every
//! task that arms a sleep. One at a time, and nothing is woken before the turn has ended: so a turn
//! is one step to everybody else.

use moirai_timer_core::Ticks;

use super::time::VirtualTime;
use crate::shards::Core;

impl Core {
    /// Turns if the engine has asked for it, until it does not.
    pub(crate) fn serve(&self, time: &VirtualTime) {
        loop {
            let alone = time.alone();
            let mut next = None;
            while self.parker.take_pended() || next.is_some_and(|at| at <= time.now()) {
                next = self.drive();
            }
            let due = time.take_due();
            if due.is_empty() {
                return;
            }
            // Until all of them are woken, nobody is to find that all are at rest.
            let _busy = time.busy();
            drop(alone);
            for waker in due {
                self.shards[0].driver().wake_now(waker);
            }
        }
    }

    /// What a task does when it has armed a sleep, or moved one.
    #[cold]
    pub(crate) fn serve_and_tell(&self, time: &VirtualTime) {
        self.serve(time);
        time.notify();
    }

    /// The earliest deadline, or a time before it at which it can be known better.
    pub(crate) fn next(&self, time: &VirtualTime) -> Option<Ticks> {
        self.turn_once(time);
        self.next_deadline_known()
    }

    /// Sets the clock, and turns; says how many sleeps that has woken.
    pub(super) fn step(&self, time: &VirtualTime, to: Ticks) -> u64 {
        let before = time.total();
        time.set(to);
        self.turn_once(time);
        time.total() - before
    }

    fn turn_once(&self, time: &VirtualTime) {
        self.parker.pend();
        self.serve(time);
    }
}
