//! Futures with a deadline.

use core::cell::Cell;
use core::future::{pending, poll_fn, ready};
use core::pin::pin;
use core::time::Duration;

use moirai_timer_core::{Handle, Timeout};

use crate::ClockRig;

use super::*;

/// A value that is there when the time is up is not lost, even with no time at all.
pub fn the_value_comes_before_the_timeout<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    for duration in [Duration::ZERO, rig.handle().duration_of(unit), Duration::MAX] {
        let sleep = Sleep::after(rig.handle().clone(), duration);
        let timeout = pin!(Timeout::new(ready(7), sleep));
        assert_eq!(task.polls(|cx| timeout.poll(cx)), Poll::Ready(Ok(7)));
    }
    // Both are due: the future is asked first.
    let deadline = rig.now().after(2 * unit);
    let mut timeout = pin!(Timeout::new(at(rig, deadline), at(rig, deadline)));
    let _ = task.polls(|cx| timeout.as_mut().poll(cx));
    rig.wait_until(deadline);
    assert_eq!(task.polls(|cx| timeout.as_mut().poll(cx)), Poll::Ready(Ok(())));
    Ok(())
}

/// The task is woken when the time is up, and told so.
pub fn a_timeout_elapses_on_time<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let mut timeout = pin!(Timeout::new(pending::<()>(), at(rig, deadline)));
    assert_eq!(rig.handle().ticks_at(timeout.deadline()), deadline);
    let polled = task.polls(|cx| timeout.as_mut().poll(cx));
    before(rig, deadline)?;
    assert_eq!(polled, Poll::Pending);
    wait_for(rig, &task);
    assert!(rig.now() >= deadline);
    match task.polls(|cx| timeout.as_mut().poll(cx)) {
        Poll::Ready(Err(elapsed)) => {
            // An error like any other.
            let _: &dyn core::error::Error = &elapsed;
        }
        other => panic!("{other:?} after the deadline"),
    }
    Ok(())
}

/// A timeout of zero gives the future one poll.
pub fn a_timeout_of_zero_polls_once<R: Rig>(rig: &R, _: u64) -> Outcome {
    let task = Task::new();
    let sleep = Sleep::after(rig.handle().clone(), Duration::ZERO);
    let timeout = pin!(Timeout::new(pending::<()>(), sleep));
    assert!(matches!(task.polls(|cx| timeout.poll(cx)), Poll::Ready(Err(_))));
    assert_eq!(task.wakers(), 0);
    Ok(())
}

/// A timeout of *never* is the future alone.
pub fn a_timeout_of_never_never_elapses<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let inner = at(rig, rig.now().after(4 * unit));
    let never = Sleep::after(rig.handle().clone(), Duration::MAX);
    let mut timeout = pin!(Timeout::new(inner, never));
    rig.wait(&mut || match task.polls(|cx| timeout.as_mut().poll(cx)) {
        Poll::Pending => false,
        Poll::Ready(result) => {
            assert_eq!(result, Ok(()));
            true
        }
    });
    Ok(())
}

/// When the future wins, or the timeout is dropped or taken apart, nobody is woken later.
pub fn a_timeout_that_ended_never_wakes<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(6 * unit);
    let mut dropped = Timeout::new(pending::<()>(), at(rig, deadline));
    let mut apart = Timeout::new(pending::<()>(), at(rig, deadline));
    for timeout in [&mut dropped, &mut apart] {
        let polled = task.polls(|cx| Pin::new(timeout).poll(cx));
        before(rig, deadline)?;
        assert_eq!(polled, Poll::Pending);
    }
    drop(dropped);
    let future = apart.into_inner();
    before(rig, deadline)?;
    settle(rig, deadline.after(2 * unit), unit);
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    drop(future);
    Ok(())
}

/// What the future waited for has come: the timeout gives it, and wakes nobody any more.
pub fn a_future_that_completes_in_time_ends_its_timeout<R: Rig>(rig: &R, unit: u64) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(6 * unit);
    let message = Cell::new(None);
    let receives = poll_fn(|_| message.take().map_or(Poll::Pending, Poll::Ready));
    let mut timeout = Timeout::new(receives, at(rig, deadline));
    for _ in 0..3 {
        let polled = task.polls(|cx| Pin::new(&mut timeout).poll(cx));
        before(rig, deadline)?;
        assert_eq!(polled, Poll::Pending);
    }
    message.set(Some(7));
    let polled = task.polls(|cx| Pin::new(&mut timeout).poll(cx));
    drop(timeout);
    before(rig, deadline)?;
    assert_eq!(polled, Poll::Ready(Ok(7)));
    settle(rig, deadline.after(2 * unit), unit);
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    Ok(())
}

/// The time is up also for a future whose task is awake all the time.
pub fn a_future_that_never_rests_does_not_outlast_its_timeout<R: Rig>(
    rig: &R,
    unit: u64,
) -> Outcome {
    let task = Task::new();
    let deadline = rig.now().after(4 * unit);
    let restless = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let mut timeout = Timeout::new(restless, at(rig, deadline));
    loop {
        let now = rig.now();
        if task.polls(|cx| Pin::new(&mut timeout).poll(cx)).is_ready() {
            assert!(rig.now() >= deadline);
            return Ok(());
        }
        assert!(now < deadline, "pending {} ticks late", now.since(deadline));
        rig.wait_until(now.after(unit / 4));
    }
}

/// *Never* is later than ten years.
pub fn a_timeout_of_the_longest_duration_outlasts_ten_years<R: ClockRig>(
    rig: &R,
    _: u64,
) -> Outcome {
    let task = Task::new();
    let ten_years = rig.handle().ticks_in(Duration::from_secs(10 * 365 * 86_400));
    let over = Cell::new(false);
    let future = poll_fn(|_| if over.get() { Poll::Ready(7) } else { Poll::Pending });
    let never = Sleep::after(rig.handle().clone(), Duration::MAX);
    let mut timeout = Timeout::new(future, never);
    assert_eq!(task.polls(|cx| Pin::new(&mut timeout).poll(cx)), Poll::Pending);
    rig.set_clock(rig.now().after(ten_years));
    rig.interrupts();
    assert_eq!(task.polls(|cx| Pin::new(&mut timeout).poll(cx)), Poll::Pending);
    over.set(true);
    assert_eq!(task.polls(|cx| Pin::new(&mut timeout).poll(cx)), Poll::Ready(Ok(7)));
    assert_eq!(task.wakes(), 0);
    Ok(())
}
