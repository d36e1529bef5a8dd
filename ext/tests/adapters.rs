//! Adapters, queues and deadlines on a clock that moves when it is told, as on firmware: everything here
//! is generic over the timer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use moirai_timer_core::{ManualDriver, Ticks, Timer};
use moirai_timer_ext::{Deadline, DelayQueue, Elapsed, FutureExt, Key, KeyError, StreamExt};

/// A tick is a millisecond here.
type Manual = Timer<ManualDriver<1_000>, 16>;

fn timer() -> Manual {
    Timer::new(ManualDriver::new())
}

fn ms(ticks: u64) -> Duration {
    Duration::from_millis(ticks)
}

fn advance(timer: &Manual, ticks: u64) {
    timer.driver().advance(ticks);
    timer.on_alarm();
}

/// A task that counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Woken {
    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    fn next<S: Stream + ?Sized>(self: &Arc<Self>, stream: Pin<&mut S>) -> Poll<Option<S::Item>> {
        stream.poll_next(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    /// Since this was asked last.
    fn count(&self) -> u32 {
        self.0.swap(0, SeqCst)
    }
}

/// A stream that the test puts items into. The test polls it; nobody is woken.
struct Feed<T>(Rc<RefCell<(VecDeque<T>, bool)>>);

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Feed(self.0.clone())
    }
}

impl<T> Feed<T> {
    fn new() -> Self {
        Feed(Rc::new(RefCell::new((VecDeque::new(), false))))
    }

    fn put(&self, item: T) {
        self.0.borrow_mut().0.push_back(item);
    }

    fn end(&self) {
        self.0.borrow_mut().1 = true;
    }
}

impl<T> Stream for Feed<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        let (items, ended) = &mut *self.0.borrow_mut();
        match items.pop_front() {
            None if !*ended => Poll::Pending,
            item => Poll::Ready(item),
        }
    }
}

#[test]
fn a_future_times_out_at_the_tick() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut slow = pin!(pending::<()>().timeout_on(&timer, ms(5)));
    let mut until = pin!(pending::<()>().timeout_at_on(&timer, Ticks::new(6)));
    assert!(task.poll(slow.as_mut()).is_pending() && task.poll(until.as_mut()).is_pending());
    advance(&timer, 4);
    assert_eq!(task.count(), 0);
    advance(&timer, 1);
    assert_eq!(task.count(), 1);
    assert_eq!(task.poll(slow.as_mut()), Poll::Ready(Err(Elapsed::new())));
    assert!(task.poll(until.as_mut()).is_pending());
    advance(&timer, 1);
    assert!(task.poll(until.as_mut()).is_ready());
    let mut quick = pin!(ready(3).timeout_on(&timer, ms(0)));
    assert_eq!(task.poll(quick.as_mut()), Poll::Ready(Ok(3)));
}

#[test]
fn a_delayed_future_is_not_polled_before_its_time() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut polls = 0;
    let work = std::future::poll_fn(|_| {
        polls += 1;
        if polls == 2 { Poll::Ready(polls) } else { Poll::Pending }
    });
    let mut delayed = pin!(work.delay_on(&timer, ms(3)));
    for _ in 0..3 {
        assert!(task.poll(delayed.as_mut()).is_pending());
        advance(&timer, 1);
    }
    assert!(task.poll(delayed.as_mut()).is_pending());
    // The delay is over: it does not come again.
    assert_eq!(timer.metrics().unwrap().armed, 0);
    assert_eq!(task.poll(delayed.as_mut()), Poll::Ready(2));
}

#[test]
fn an_interval_is_a_stream_of_its_ticks() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut ticks = pin!(timer.interval(ms(10)));
    assert_eq!(task.next(ticks.as_mut()), Poll::Ready(Some(Ticks::new(0))));
    assert!(task.next(ticks.as_mut()).is_pending());
    advance(&timer, 10);
    assert_eq!(task.count(), 1);
    assert_eq!(task.next(ticks.as_mut()), Poll::Ready(Some(Ticks::new(10))));
    // Missed ticks are skipped: one comes, and not four.
    advance(&timer, 45);
    assert_eq!(task.next(ticks.as_mut()), Poll::Ready(Some(Ticks::new(20))));
    assert!(task.next(ticks.as_mut()).is_pending());
    assert_eq!(ticks.size_hint(), (usize::MAX, None));
}

#[test]
fn an_items_time_counts_from_when_it_is_waited_for() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let feed = Feed::new();
    let mut stream = pin!(feed.clone().timeout_on(&timer, ms(10)));
    // The consumer takes its time before it asks, and after.
    advance(&timer, 50);
    feed.put(1);
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(Ok(1))));
    advance(&timer, 50);
    assert!(task.next(stream.as_mut()).is_pending());
    advance(&timer, 9);
    assert!(task.next(stream.as_mut()).is_pending());
    assert_eq!(task.count(), 0);
    advance(&timer, 1);
    assert_eq!(task.count(), 1);
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(Err(Elapsed::new()))));
    // It goes on: another wait, and another error.
    assert!(task.next(stream.as_mut()).is_pending());
    advance(&timer, 10);
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(Err(Elapsed::new()))));
    feed.put(2);
    feed.end();
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(Ok(2))));
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(None));
}

#[test]
fn a_throttled_stream_keeps_its_distance_and_loses_nothing() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut stream = pin!(stream::iter(0..4).throttle_on(&timer, ms(10)));
    for item in 0..4 {
        assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(item)), "{item}");
        assert!(task.next(stream.as_mut()).is_pending());
        advance(&timer, 9);
        assert!(task.next(stream.as_mut()).is_pending());
        assert_eq!(task.count(), 0);
        advance(&timer, 1);
        assert_eq!(task.count(), 1);
    }
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(None));
}

#[test]
fn a_debounced_stream_gives_what_is_followed_by_silence() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let feed = Feed::new();
    let mut stream = pin!(feed.clone().debounce_on(&timer, ms(10)));
    assert!(task.next(stream.as_mut()).is_pending());
    assert_eq!(timer.metrics().unwrap().armed, 0);
    // Each comes before the silence after the one before is long enough.
    for item in 0..5 {
        feed.put(item);
        assert!(task.next(stream.as_mut()).is_pending());
        advance(&timer, 9);
    }
    assert!(task.next(stream.as_mut()).is_pending());
    task.count();
    advance(&timer, 1);
    assert_eq!(task.count(), 1);
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(4)));
    assert!(task.next(stream.as_mut()).is_pending());
    // The end is silence.
    feed.put(7);
    feed.put(8);
    feed.end();
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(Some(8)));
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(None));
    assert_eq!(task.next(stream.as_mut()), Poll::Ready(None));
}

#[test]
fn a_stream_that_always_has_an_item_lets_others_run() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut stream = pin!(stream::repeat(1).debounce_on(&timer, ms(10)));
    for _ in 0..3 {
        assert!(task.next(stream.as_mut()).is_pending());
        assert_eq!(task.count(), 1);
    }
}

#[test]
fn chunks_come_when_they_are_full_or_when_their_time_is_up() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let feed = Feed::new();
    let mut chunks = pin!(feed.clone().chunks_timeout_on(&timer, 3, ms(10)));
    (0..4).for_each(|item| feed.put(item));
    assert_eq!(task.next(chunks.as_mut()), Poll::Ready(Some(vec![0, 1, 2])));
    assert!(task.next(chunks.as_mut()).is_pending());
    advance(&timer, 5);
    feed.put(4);
    assert!(task.next(chunks.as_mut()).is_pending());
    task.count();
    // Counted from the first.
    advance(&timer, 5);
    assert_eq!(task.count(), 1);
    assert_eq!(task.next(chunks.as_mut()), Poll::Ready(Some(vec![3, 4])));
    // Nothing has come: no chunk, no matter how long.
    assert!(task.next(chunks.as_mut()).is_pending());
    advance(&timer, 100);
    assert!(task.next(chunks.as_mut()).is_pending());
    feed.put(5);
    feed.end();
    assert_eq!(task.next(chunks.as_mut()), Poll::Ready(Some(vec![5])));
    assert_eq!(task.next(chunks.as_mut()), Poll::Ready(None));
}

/// A stream that always has an item, and of which each takes a tick.
#[test]
fn chunks_of_a_stream_that_always_has_an_item_come_when_their_time_is_up() {
    let timer = timer();
    let task = Arc::new(Woken::default());
    let busy = stream::repeat_with(|| timer.driver().advance(1)).take(1_000);
    let mut chunks = pin!(busy.chunks_timeout_on(&timer, 500, ms(10)));
    let Poll::Ready(Some(chunk)) = task.next(chunks.as_mut()) else { panic!("its time is up") };
    assert_eq!(chunk.len(), 11);
}

#[test]
fn chunks_of_a_stream_that_always_has_an_item_let_others_run() {
    let timer = timer();
    let task = Arc::new(Woken::default());
    let mut chunks =
        pin!(stream::repeat(1).take(100_000).chunks_timeout_on(&timer, 50_000, ms(10)));
    assert!(task.next(chunks.as_mut()).is_pending());
    assert_eq!(task.count(), 1);
    advance(&timer, 10);
    let Poll::Ready(Some(chunk)) = task.next(chunks.as_mut()) else { panic!("its time is up") };
    assert!(chunk.len() < 100, "{}", chunk.len());
}

#[test]
#[should_panic = "a chunk has at least one item"]
fn chunks_of_nothing_are_refused() {
    let timer = timer();
    let _ = stream::iter(0..3).chunks_timeout_on(&timer, 0, ms(1));
}

#[test]
fn a_delay_queue_gives_values_in_the_order_of_their_deadlines() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut queue = DelayQueue::new(&timer);
    assert_eq!(task.next(Pin::new(&mut queue)), Poll::Ready(None));
    for (value, after) in [("d", 9), ("b", 3), ("c", 3), ("a", 1)] {
        queue.insert(value, ms(after));
    }
    let mut out = Vec::new();
    while !queue.is_empty() {
        match task.next(Pin::new(&mut queue)) {
            Poll::Ready(Some(expired)) => {
                assert_eq!(expired.deadline(), timer.now());
                out.push(expired.into_value());
            }
            Poll::Ready(None) => unreachable!("it is not empty"),
            Poll::Pending => advance(&timer, 1),
        }
    }
    assert_eq!(out, ["a", "b", "c", "d"]);
    assert_eq!(timer.now(), Ticks::new(9));
    // One slot, and as many wake-ups as there were deadlines.
    assert_eq!((timer.metrics().unwrap().registered, task.count()), (3, 3));
}

#[test]
fn a_delay_queue_that_is_waited_for_follows_every_change() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut queue = DelayQueue::new(&timer);
    let late = queue.insert("late", ms(100));
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    let early = queue.insert("early", ms(10));
    advance(&timer, 10);
    assert_eq!(task.count(), 1);
    assert_eq!(queue.peek(), Some(early));
    queue.reset(early, ms(20)).unwrap();
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    queue.reset_at(late, Ticks::new(15)).unwrap();
    assert_eq!((queue.peek(), queue.deadline(late)), (Some(late), Ok(Ticks::new(15))));
    advance(&timer, 5);
    assert_eq!(task.count(), 1);
    let expired = task.next(Pin::new(&mut queue));
    assert!(matches!(expired, Poll::Ready(Some(expired)) if *expired.get_ref() == "late"));
    *queue.get_mut(early).unwrap() = "changed";
    assert_eq!(queue.get(early), Ok(&"changed"));
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    queue.clear();
    assert_eq!((queue.len(), queue.peek()), (0, None));
    advance(&timer, 1_000);
    assert_eq!(task.next(Pin::new(&mut queue)), Poll::Ready(None));
    // It goes on after it was empty, and after a value that never comes.
    queue.insert("never", Duration::MAX);
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    task.count();
    queue.insert("last", ms(1));
    assert_eq!(task.count(), 1);
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    advance(&timer, 1);
    assert_eq!(task.count(), 1);
    assert!(matches!(task.next(Pin::new(&mut queue)), Poll::Ready(Some(_))));
}

#[test]
fn a_key_leads_to_its_value_or_to_none() {
    let timer = timer();
    let (mut queue, mut other) = (DelayQueue::new(&timer), DelayQueue::new(&timer));
    let (one, foreign) = (queue.insert(1, ms(1)), other.insert(2, ms(1)));
    assert_eq!(queue.remove(foreign), Err(KeyError::OfAnotherQueue));
    assert_eq!(queue.reset(foreign, ms(5)), Err(KeyError::OfAnotherQueue));
    assert_eq!(queue.remove(one), Ok(1));
    // Takes the place that the first had.
    let two = queue.insert(2, ms(1));
    assert_ne!(one, two);
    assert_eq!(queue.get(one), Err(KeyError::Gone));
    assert_eq!(queue.get_mut(one), Err(KeyError::Gone));
    assert_eq!(queue.remove(one), Err(KeyError::Gone));
    assert_eq!(queue.deadline(one), Err(KeyError::Gone));
    assert_eq!(queue.get(two), Ok(&2));
    queue.clear();
    assert_eq!(queue.get(two), Err(KeyError::Gone));
    assert_eq!(other.get(foreign), Ok(&2));
}

/// A queue against a list that is searched, on random operations.
#[test]
fn a_delay_queue_agrees_with_a_list() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut queue = DelayQueue::new(&timer);
    // Key, value, deadline, and when it was filed.
    let mut list: Vec<(Key, u64, u64, u64)> = Vec::new();
    let mut random = 1_u64;
    let mut dice = |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % sides
    };
    for step in 0..20_000 {
        let now = timer.now().get();
        match dice(6) {
            0 | 1 => {
                let after = dice(50);
                list.push((queue.insert(step, ms(after)), step, now + after, step));
            }
            2 if !list.is_empty() => {
                let (key, value, ..) = list.swap_remove(dice(list.len() as u64) as usize);
                assert_eq!(queue.remove(key), Ok(value));
                assert_eq!(queue.remove(key), Err(KeyError::Gone));
            }
            3 if !list.is_empty() => {
                let (index, after) = (dice(list.len() as u64) as usize, dice(50));
                queue.reset(list[index].0, ms(after)).unwrap();
                (list[index].2, list[index].3) = (now + after, step);
            }
            4 => advance(&timer, dice(5)),
            _ => {
                let now = timer.now().get();
                let first = list.iter().enumerate().min_by_key(|(_, entry)| (entry.2, entry.3));
                let expected = first.filter(|(_, entry)| entry.2 <= now).map(|(index, _)| index);
                let expected = expected.map(|index| list.swap_remove(index));
                match task.next(Pin::new(&mut queue)) {
                    Poll::Ready(Some(expired)) => {
                        let (key, value, deadline, _) = expected.expect("nothing is due");
                        assert_eq!((expired.key(), *expired.get_ref()), (key, value));
                        assert_eq!(expired.deadline(), Ticks::new(deadline));
                    }
                    Poll::Ready(None) => assert!(list.is_empty()),
                    Poll::Pending => assert!(expected.is_none() && !list.is_empty()),
                }
            }
        }
        let first = list.iter().min_by_key(|entry| (entry.2, entry.3)).map(|entry| entry.0);
        assert_eq!((queue.peek(), queue.len()), (first, list.len()));
    }
}

/// A waiting task is woken for every value, whatever is done to the queue meanwhile.
#[test]
fn a_task_that_waits_for_a_delay_queue_sleeps_only_until_the_next_value() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let mut queue = DelayQueue::new(&timer);
    let mut random = 7_u64;
    let mut dice = |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % sides
    };
    let mut last = None;
    for _ in 0..5_000 {
        let key = queue.insert((), ms(1 + dice(40)));
        if let Some(key) = last.replace(key) {
            if dice(3) == 0 {
                let _ = queue.reset(key, ms(1 + dice(40)));
            } else if dice(3) == 0 {
                let _ = queue.remove(key);
            }
        }
        // What is due is taken, until it waits.
        while let Poll::Ready(Some(_)) = task.next(Pin::new(&mut queue)) {}
        task.count();
        advance(&timer, 1);
        let due = queue.peek().is_some_and(|key| queue.deadline(key).unwrap() <= timer.now());
        assert!(!due || task.count() > 0, "nobody was woken at {:?}", timer.now());
    }
}

#[test]
fn a_task_that_waits_for_what_never_comes_is_woken_for_what_is_inserted() {
    let timer = timer();
    let mut queue = DelayQueue::new(&timer);
    let task = Arc::new(Woken::default());
    queue.insert("never", Duration::MAX);
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    queue.insert("soon", ms(1));
    advance(&timer, 1);
    assert!(task.count() > 0);
    let expired = task.next(Pin::new(&mut queue));
    assert!(matches!(expired, Poll::Ready(Some(expired)) if *expired.get_ref() == "soon"));
}

#[test]
fn a_task_whose_value_was_put_off_for_ever_is_woken_when_it_is_brought_back() {
    let timer = timer();
    let mut queue = DelayQueue::new(&timer);
    let task = Arc::new(Woken::default());
    let key = queue.insert("value", ms(5));
    assert!(task.next(Pin::new(&mut queue)).is_pending());
    queue.reset(key, Duration::MAX).unwrap();
    advance(&timer, 10);
    assert_eq!(task.count(), 0);
    queue.reset(key, ms(1)).unwrap();
    advance(&timer, 1);
    assert!(task.count() > 0);
    assert!(task.next(Pin::new(&mut queue)).is_ready());
}

#[test]
fn a_task_that_waits_for_a_delay_queue_learns_that_it_is_empty() {
    let timer = timer();
    let task = Arc::new(Woken::default());
    for duration in [ms(5), Duration::MAX] {
        let mut queue = DelayQueue::new(&timer);
        let (first, last) = (queue.insert(1, duration), queue.insert(2, duration));
        assert!(task.next(Pin::new(&mut queue)).is_pending());
        queue.remove(first).unwrap();
        assert_eq!(task.count(), 0);
        queue.remove(last).unwrap();
        assert_eq!(task.count(), 1);
        assert_eq!(task.next(Pin::new(&mut queue)), Poll::Ready(None));

        queue.insert(3, duration);
        assert!(task.next(Pin::new(&mut queue)).is_pending());
        queue.clear();
        assert_eq!(task.count(), 1);
        // It is told once.
        queue.clear();
        assert_eq!(task.count(), 0);
    }
}

#[test]
fn a_deadline_is_passed_down_and_only_becomes_earlier() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    let deadline = Deadline::after(&timer, ms(100));
    assert_eq!(deadline.remaining(), Some(ms(100)));
    let part = deadline.within(ms(30));
    assert_eq!(
        (part.remaining(), deadline.within(ms(500)).remaining()),
        (Some(ms(30)), Some(ms(100)))
    );
    assert_eq!(deadline.within_at(Ticks::new(7)).instant(), Some(Ticks::new(7)));
    assert_eq!(deadline.within_at(Ticks::NEVER).instant(), Some(Ticks::new(100)));
    let mut work = pin!(part.run(pending::<()>()));
    assert!(task.poll(work.as_mut()).is_pending());
    advance(&timer, 30);
    assert_eq!(task.count(), 1);
    assert_eq!(task.poll(work.as_mut()), Poll::Ready(Err(Elapsed::new())));
    assert_eq!((part.check(), deadline.check()), (Err(Elapsed::new()), Ok(())));
    // A part that begins later has what is left.
    advance(&timer, 60);
    assert_eq!(deadline.within(ms(30)).remaining(), Some(ms(10)));
    advance(&timer, 20);
    assert_eq!((deadline.remaining(), deadline.is_elapsed()), (Some(ms(0)), true));
    assert_eq!(task.poll(pin!(deadline.run(ready(1)))), Poll::Ready(Ok(1)));
    assert_eq!(format!("{deadline:?}"), "Deadline { remaining: 0ns }");
}

#[test]
fn a_deadline_of_never_has_no_limit() {
    let (timer, task) = (timer(), Arc::<Woken>::default());
    for never in [Deadline::never(&timer), Deadline::after(&timer, Duration::MAX)] {
        assert_eq!((never.remaining(), never.instant(), never.check()), (None, None, Ok(())));
        assert!(task.poll(pin!(never.run(pending::<()>()))).is_pending());
        assert!(task.poll(pin!(never.sleep())).is_pending());
        assert_eq!(never.within(ms(3)).remaining(), Some(ms(3)));
        assert_eq!(format!("{never:?}"), "Deadline(never)");
    }
    assert_eq!(timer.metrics().unwrap().registered, 0);
}
