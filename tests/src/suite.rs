//! The lists of cases, and the macros that turn them into tests.

/// Calls a macro with the name of each case of a list: `any`, `alone`, `clock`, or `unwinding`.
///
/// `each_case!(any: my_macro)` becomes `my_macro! { a_case another_case .. }`; what stands in
/// brackets after the macro's name comes first.
#[macro_export]
macro_rules! each_case {
    (any: $then:path $([$($with:tt)*])?) => {
        $then! { $($($with)*)?
            a_sleep_of_zero_is_ready_at_once
            a_deadline_in_the_past_is_ready_at_once
            a_sleep_wakes_its_task_once_at_its_deadline
            a_duration_is_counted_from_the_call
            every_poll_is_right_by_the_clock
            a_completed_sleep_stays_ready
            one_sleep_after_another_takes_no_less_than_their_sum
            a_stray_wake_does_no_harm
            a_duration_beyond_the_clock_waits_for_ever
            a_far_deadline_does_not_hold_up_a_near_one
            a_sleep_is_unpin_send_and_sync

            timers_fire_in_the_order_of_their_deadlines
            equal_deadlines_all_fire
            a_hundred_that_are_due_together_all_wake
            half_of_a_crowd_may_leave
            dropping_one_of_a_tasks_sleeps_leaves_the_others
            a_sleep_may_leave_the_deadline_that_it_was_moved_to

            a_dropped_sleep_never_wakes
            a_sleep_may_be_dropped_after_it_fired
            a_sleep_that_is_polled_late_is_ready_without_a_wake

            a_reset_to_earlier_wakes_earlier
            a_reset_to_later_wakes_later
            the_last_of_many_resets_counts
            a_reset_to_the_past_wakes_at_once
            a_sleep_that_is_moved_into_the_past_is_ready_at_the_next_poll
            a_reset_to_never_waits_for_a_reset_from_never
            a_sleep_of_never_can_be_given_a_deadline
            a_completed_sleep_can_be_reset
            a_sleep_that_fired_unseen_can_be_reset
            an_unpolled_sleep_can_be_reset
            a_reserved_sleep_can_be_reset

            only_the_last_waker_is_woken
            polling_again_with_the_same_waker_keeps_one
            two_tasks_may_pass_a_sleep_to_and_fro
            a_waker_may_use_the_timer

            tolerance_makes_nothing_early
            a_poll_within_the_window_is_ready
            a_tolerant_sleep_can_be_reset

            the_value_comes_before_the_timeout
            a_timeout_elapses_on_time
            a_timeout_of_zero_polls_once
            a_timeout_of_never_never_elapses
            a_timeout_that_ended_never_wakes
            a_future_that_completes_in_time_ends_its_timeout
            a_future_that_never_rests_does_not_outlast_its_timeout

            an_interval_ticks_every_period
            skipped_ticks_stay_on_schedule
            a_dropped_interval_never_wakes
            a_tick_that_was_taken_wakes_nobody
            an_interval_of_the_longest_period_ticks_once
        }
    };
    (unwinding: $then:path $([$($with:tt)*])?) => {
        $then! { $($($with)*)?
            a_waker_that_panics_harms_nobody
            a_period_of_zero_panics
        }
    };
    (alone: $then:path $([$($with:tt)*])?) => {
        $then! { $($($with)*)?
            a_sleep_that_was_never_polled_touches_nothing
            a_dropped_sleep_gives_its_slot_back_by_the_next_turn
            the_metrics_add_up

            a_full_timer_says_so
            a_sleep_without_a_slot_is_on_time_all_the_same
            a_sleep_without_a_slot_takes_the_first_that_is_free
            reserved_slots_return_unused
            slots_are_used_again_for_ever

            what_is_armed_fires_after_a_shutdown
            a_timer_that_is_shut_down_reserves_nothing
            a_sleep_after_a_shutdown_is_on_time
            a_shutdown_leaves_armed_sleeps_their_freedom

            an_interval_keeps_its_slot_from_tick_to_tick
        }
    };
    (clock: $then:path $([$($with:tt)*])?) => {
        $then! { $($($with)*)?
            nothing_happens_a_tick_early_or_late
            a_duration_is_never_cut_short
            the_alarm_is_the_earliest_deadline
            a_clock_that_stands_still_fires_nothing
            a_clock_that_jumps_an_hour_loses_nothing
            a_jump_before_the_first_turn_loses_nothing
            the_last_tick_can_be_waited_for
            only_an_earlier_deadline_is_a_command
            a_sleep_that_came_and_went_is_one_command
            a_sleep_that_is_dropped_when_due_does_not_wake
            a_row_of_deadlines_falls_one_a_tick
            years_pass_like_moments
            a_near_sleep_is_on_time_wherever_the_clock_stands
            a_clock_that_moves_wakes_nobody_until_it_is_turned
            groups_that_begin_at_different_times_end_at_theirs
            sleeps_on_a_virtual_clock_end_to_the_tick

            a_timeout_of_the_longest_duration_outlasts_ten_years

            a_tolerant_sleep_wakes_within_its_window
            tolerant_timers_meet

            burst_catches_up
            delay_shifts_the_schedule
            skip_leaves_missed_ticks_out
            an_interval_can_be_reset
            a_period_is_one_tick_at_least
            an_interval_keeps_its_rule_through_one_absence_after_another
            an_interval_may_be_put_off_for_longer_than_its_period

            without_a_sleep_there_is_no_alarm
            one_far_timer_is_one_interrupt
            a_later_sleep_asks_for_no_turn
        }
    };
}

/// A `#[test]` for each case that any [`Rig`](crate::Rig) has to pass; `$new` makes one.
#[macro_export]
macro_rules! conformance {
    ($new:expr) => {
        $crate::each_case!(any: $crate::tests_of_cases [$new;]);
        $crate::each_case!(unwinding: $crate::tests_of_cases [$new;]);
    };
}

/// A `#[test]` for each case that needs a timer of its own, an [`AloneRig`](crate::AloneRig).
#[macro_export]
macro_rules! conformance_alone {
    ($new:expr) => {
        $crate::each_case!(alone: $crate::tests_of_cases [$new;]);
    };
}

/// A `#[test]` for each case that needs to move the clock, a [`ClockRig`](crate::ClockRig).
#[macro_export]
macro_rules! conformance_clock {
    ($new:expr) => {
        $crate::each_case!(clock: $crate::tests_of_cases [$new;]);
    };
}

/// What [`conformance!`] and its relatives expand to.
#[doc(hidden)]
#[macro_export]
macro_rules! tests_of_cases {
    ($new:expr; $($case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::run($new, $crate::cases::$case);
        }
    )*};
}
