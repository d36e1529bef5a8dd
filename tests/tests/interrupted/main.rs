//! An interrupt before each access that anything makes to a timer's memory.
//!
//! Concurrency, made exhaustive: each operation is stopped at every single access to the timer, and
//! another caller comes in between, does its work completely, and leaves. That is what an interrupt
//! handler does to a thread on a small machine, and one of the things that another processor does
//! on a large one. Afterwards the machine runs on its alarms alone, and
//! every sleep has to wake exactly at its deadline.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod watched;
mod world;

use world::{Interrupted, Operation, World};

/// Interrupts `operation` everywhere, by each of `others` in turn.
fn interrupted(operation: Operation, others: &[Operation]) {
    for &other in others {
        let at = |access| World::interrupted([Interrupted(operation, other)], [access]);
        let accesses = (0..).take_while(|access| at(*access)).count();
        assert!(accesses >= 2, "{operation:?} touches the timer only {accesses} times");
    }
}

/// Interrupts one operation everywhere, and then another one everywhere.
fn interrupted_twice(first: Interrupted, second: Interrupted) {
    let mut accesses = 0;
    for one in 0.. {
        let at = |other| World::interrupted([first, second], [one, other]);
        match (0..).take_while(|other| at(*other)).count() {
            0 => break,
            found => accesses += found,
        }
    }
    assert!(accesses > 10, "only {accesses} cases");
}

macro_rules! interrupted {
    ($($name:ident: $operation:ident by $($other:ident)*;)*) => {$(
        #[test]
        fn $name() {
            interrupted(Operation::$operation, &[$(Operation::$other),*]);
        }
    )*};
}

interrupted! {
    arming: ArmEarliest by
        ArmEarlier ArmLatest ArmAndDrop DropQueued DropArmed Alarm ClockAndAlarm Metrics;
    arming_the_last: ArmLatest by
        ArmEarlier ArmAndDrop DropArmed ClockAndAlarm Turn Metrics;
    arming_what_is_gone_at_once: ArmAndDrop by
        ArmEarlier ArmLatest DropQueued Alarm Turn Metrics;
    taking_a_slot: Reserve by
        Reserve ReserveTwoReturnOne ArmEarlier ArmAndDrop DropQueued Turn;
    dropping_what_is_armed: DropArmed by
        ArmEarlier ArmAndDrop DropQueued ClockAndAlarm Turn Metrics;
    dropping_what_is_queued: DropQueued by
        ArmEarlier ArmAndDrop DropArmed ClockAndAlarm Turn Metrics;
    resetting_to_earlier: ResetEarlier by
        ArmEarlier ArmAndDrop DropArmed Alarm ClockAndAlarm Metrics;
    arming_while_the_alarm_rings: ArmBetween by
        ClockAndAlarm ArmEarlier DropArmed Metrics;
    resetting_while_the_alarm_rings: ResetBetween by
        ClockAndAlarm ArmEarlier DropArmed Metrics;
    resetting_to_later: ResetLater by
        ArmEarlier DropArmed ClockAndAlarm Turn Metrics;
    replacing_the_waker: ReplaceWaker by
        ArmEarlier ClockAndAlarm Turn Metrics;
    replacing_the_waker_of_what_is_due: ReplaceDue by
        ArmEarlier ClockAndAlarm Turn Metrics;
    putting_off_what_is_due: PutOffDue by
        ArmEarlier ClockAndAlarm Turn Metrics;
    the_interrupt: Alarm by
        ArmEarlier ArmBetween ArmLatest ArmAndDrop DropQueued DropArmed ResetEarlier ResetBetween
        ResetLater ReplaceWaker Turn Metrics;
    the_interrupt_with_work: ClockAndAlarm by
        ArmEarlier ArmBetween ArmLatest ArmAndDrop DropQueued DropArmed DropDue ResetEarlier
        ResetBetween ResetLater ReplaceWaker ReplaceDue PutOffDue Turn Metrics;
    a_turn_beside_the_interrupt: Turn by
        ArmEarlier ArmBetween ArmLatest ArmAndDrop DropArmed ResetEarlier ResetBetween Alarm
        ClockAndAlarm;
    a_look_at_the_metrics: Metrics by
        ArmEarlier ArmLatest ArmAndDrop DropArmed ResetEarlier Alarm ClockAndAlarm Turn;
    adopting_by_a_later_sleep: AdoptLatest by
        ArmEarlier ArmBetween ArmAndDrop DropQueued ClockAndAlarm Turn Metrics ResetEarlier NextDeadline DropDue Reserve;
    adopting_by_an_earlier_sleep: AdoptEarliest by
        ArmEarlier ArmBetween ArmLatest ArmAndDrop DropQueued ClockAndAlarm Turn Metrics ResetEarlier NextDeadline DropDue;
    a_turn_in_vain_files_anew: VainAlarm by
        ArmEarlier ArmBetween ArmLatest ArmAndDrop DropQueued DropArmed DropDue ResetBack AdoptLatest AdoptEarliest ResetBetween ReplaceWaker Turn Metrics NextDeadline;
    a_look_at_the_next_deadline: NextDeadline by
        ArmEarlier ArmBetween ArmLatest ArmAndDrop DropQueued DropArmed ResetBack AdoptLatest AdoptEarliest ResetBetween Turn Metrics ClockAndAlarm;
    // Somebody turns, and sets no alarm for what he finds: the one who brought it must ask.
    arming_while_another_turns: ArmEarliest by Turn;
    resetting_while_another_turns: ResetEarlier by Turn;
}

#[test]
fn a_slot_that_passes_from_hand_to_hand() {
    use Operation::*;
    interrupted_twice(
        Interrupted(DropQueued, ArmLatestAmidTurns),
        Interrupted(DropLatest, ArmEarliest),
    );
}
