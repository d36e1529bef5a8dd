//! Futures with a deadline.

use core::future::{pending, ready};
use core::pin::pin;
use core::time::Duration;

use moirai_timer_core::{Handle, Timeout};

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
