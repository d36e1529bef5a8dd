//! One phase: everything that a program can do to a timer, and somewhere in it an intrusion.

use core::future::pending;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;

use board::burn;
use moirai_timer_core::{TickCount, Ticks};
use moirai_timer_tests::{Handoff, Task};

use crate::{HZ, LONG, OurSleep, OurTimer, ends, poll, renew};

/// What an interrupt does to the timer: arms one sleep, moves another, drops a third.
pub struct Intruder {
    arms: Handoff<OurSleep>,
    armed: Handoff<(OurSleep, bool)>,
    moves: Handoff<(OurSleep, Ticks)>,
    moved: Handoff<OurSleep>,
    drops: Handoff<OurSleep>,
}

pub static INTRUDER: Intruder = Intruder {
    arms: Handoff::new(),
    armed: Handoff::new(),
    moves: Handoff::new(),
    moved: Handoff::new(),
    drops: Handoff::new(),
};

/// The task of the sleep that the intruder arms.
static INTRUDERS: Handoff<Task> = Handoff::new();

impl Intruder {
    pub fn intrude(&self) {
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
pub fn phase(seed: u64, begin: impl FnOnce(), intrusion: impl Fn() -> bool) -> bool {
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
    let mut limited = timer.timeout(ahead(23), pending::<()>());
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
