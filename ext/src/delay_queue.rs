//! Many deadlines, each with a value, behind one sleep.

use alloc::collections::BTreeSet;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::{Handle, Sleep, Ticks};
use portable_atomic::{AtomicUsize, Ordering::Relaxed};
use slab::Slab;

/// Values, each of which comes out when its time has come, in the order of their deadlines.
///
/// For a cache whose entries expire, requests that are given up, sessions that end: where each
/// deadline belongs to a value that is held here, and one task takes care of all. As a [`Stream`]
/// it gives the values; it ends when it is empty, and goes on when it is polled after an insertion.
///
/// # Cost
///
/// One slot of the timer, however many values there are. To insert, remove, reset and expire is
/// O(log n), and allocates now and then.
///
/// # Cancellation
///
/// Dropping it drops the values. Waiting for the next one is cancellation safe: nothing is taken out
/// until it is given.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use futures_util::StreamExt;
/// use moirai_timer_ext::DelayQueue;
/// use moirai_timer_std::{Timer, block_on};
/// use std::time::Duration;
///
/// let mut queue = DelayQueue::new(Timer::global().clone());
/// queue.insert("quick", Duration::from_millis(1));
/// let slow = queue.insert("slow", Duration::from_millis(2));
/// let gone = queue.insert("gone", Duration::from_millis(1));
/// assert_eq!(queue.remove(gone), Ok("gone"));
/// block_on(async {
///     assert_eq!(queue.next().await.unwrap().into_value(), "quick");
///     assert_eq!(queue.next().await.unwrap().key(), slow);
///     assert!(queue.next().await.is_none());
/// });
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct DelayQueue<T, H: Handle> {
    /// Distinguishes its keys from those of others.
    number: usize,
    timer: H,
    sleep: Sleep<H>,
    /// What the sleep waits for: the first of `order`.
    until: Ticks,
    /// The task that waits, for what the sleep cannot tell it: see `follow`.
    waiter: Option<Waker>,
    entries: Slab<Entry<T>>,
    /// By deadline, and of those that are the same, by serial number: first in, first out.
    order: BTreeSet<(Ticks, u64, usize)>,
    next_serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    deadline: Ticks,
    /// Never used twice, so that a key of a value that is gone finds nothing.
    serial: u64,
    /// The serial number when it was filed last.
    filed: u64,
}

/// Which value of which [`DelayQueue`].
///
/// Never given out again, so one that is kept too long, or is brought to another queue, is
/// an error and not somebody else's value.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use moirai_timer_ext::{DelayQueue, Key};
/// use moirai_timer_std::Timer;
/// use std::{collections::HashMap, time::Duration};
///
/// // Who is connected, and the key of when that ends.
/// let mut sessions: HashMap<&str, Key> = HashMap::new();
/// let mut ends = DelayQueue::new(Timer::global().clone());
/// sessions.insert("ada", ends.insert("ada", Duration::from_secs(60)));
///
/// ends.reset(sessions["ada"], Duration::from_secs(60)).unwrap(); // she was heard of
/// assert_eq!(ends.remove(sessions["ada"]), Ok("ada")); // she has left
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    queue: usize,
    serial: u64,
    index: usize,
}

/// Why a key does not lead to a value.
///
/// ```
/// # #[cfg(feature = "std")] {
/// # use moirai_timer_ext::{DelayQueue, KeyError};
/// # use moirai_timer_std::Timer;
/// # use std::time::Duration;
/// let timer = Timer::global();
/// let (mut queue, mut other) = (DelayQueue::new(timer.clone()), DelayQueue::new(timer.clone()));
/// let key = queue.insert("value", Duration::from_secs(1));
/// other.insert("other", Duration::from_secs(1));
/// assert_eq!(other.remove(key), Err(KeyError::OfAnotherQueue));
/// assert_eq!(queue.remove(key), Ok("value"));
/// assert_eq!(queue.remove(key), Err(KeyError::Gone));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The value has expired, or was removed.
    Gone,
    /// The key was given out by another queue.
    OfAnotherQueue,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Gone => "the value of this key has expired or was removed",
            KeyError::OfAnotherQueue => "this key is of another delay queue",
        })
    }
}

impl core::error::Error for KeyError {}

/// A value whose time has come.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use moirai_timer_ext::{DelayQueue, Expired};
/// use moirai_timer_std::{Timer, block_on};
/// use futures_util::StreamExt;
/// use std::time::{Duration, Instant};
///
/// let mut queue = DelayQueue::new(Timer::global().clone());
/// let key = queue.insert("lease", Duration::from_millis(1));
/// let due = queue.deadline(key).unwrap();
///
/// let expired: Expired<&str, Instant> = block_on(queue.next()).unwrap();
/// assert_eq!((expired.get_ref(), expired.key(), expired.deadline()), (&"lease", key, due));
/// assert_eq!(expired.into_value(), "lease");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired<T, I> {
    value: T,
    key: Key,
    deadline: I,
}

impl<T, I: Copy> Expired<T, I> {
    /// The value.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The value.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The key that it had.
    pub fn key(&self) -> Key {
        self.key
    }

    /// When it was due.
    pub fn deadline(&self) -> I {
        self.deadline
    }
}

impl<T, H: Handle + Clone> DelayQueue<T, H> {
    /// An empty queue on `timer`. Allocates nothing yet.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let queue = DelayQueue::<u32, _>::new(Timer::global().clone());
    /// assert!(queue.is_empty());
    /// # }
    /// ```
    pub fn new(timer: H) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        DelayQueue {
            number: NEXT.fetch_add(1, Relaxed),
            sleep: Sleep::never(timer.clone()),
            until: Ticks::NEVER,
            waiter: None,
            timer,
            entries: Slab::new(),
            order: BTreeSet::new(),
            next_serial: 0,
        }
    }
}

impl<T, H: Handle> DelayQueue<T, H> {
    /// Puts a value in that is to come out in `duration`; never, if that is beyond the clock.
    ///
    /// If somebody waits for the next value, it is woken in time.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use futures_util::StreamExt;
    /// # use std::time::Duration;
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let key = queue.insert("session", Duration::from_millis(1));
    /// assert_eq!(queue.get(key), Ok(&"session"));
    /// let expired = block_on(queue.next()).unwrap();
    /// assert_eq!((expired.key(), expired.into_value()), (key, "session"));
    /// # }
    /// ```
    pub fn insert(&mut self, value: T, duration: Duration) -> Key {
        self.insert_ticks(value, self.ticks_after(duration))
    }

    /// Puts a value in that is to come out at `deadline`.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let timer = Timer::global();
    /// let mut queue = DelayQueue::new(timer.clone());
    /// let noon = timer.now() + Duration::from_secs(3600);
    /// let key = queue.insert_at("bells", noon);
    /// assert_eq!(queue.deadline(key), Ok(noon));
    /// # }
    /// ```
    pub fn insert_at(&mut self, value: T, deadline: H::Instant) -> Key {
        self.insert_ticks(value, self.timer.ticks_at(deadline))
    }

    fn insert_ticks(&mut self, value: T, deadline: Ticks) -> Key {
        let serial = self.serial();
        let index = self.entries.insert(Entry { value, deadline, serial, filed: serial });
        self.order.insert((deadline, serial, index));
        self.follow();
        Key { queue: self.number, serial, index }
    }

    /// Takes a value out before its time.
    ///
    /// If it was the last, and somebody waits for the next, it is woken, and finds that there is none.
    ///
    /// # Errors
    /// If the key leads to none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::{DelayQueue, KeyError};
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let request = queue.insert(7, Duration::from_secs(30));
    /// assert_eq!(queue.remove(request), Ok(7)); // it was answered in time
    /// assert_eq!(queue.remove(request), Err(KeyError::Gone));
    /// # }
    /// ```
    pub fn remove(&mut self, key: Key) -> Result<T, KeyError> {
        let entry = self.entry(key)?;
        let place = (entry.deadline, entry.filed, key.index);
        self.order.remove(&place);
        let value = self.entries.remove(key.index).value;
        self.follow();
        Ok(value)
    }

    /// Has a value come out in `duration`, counted from now.
    ///
    /// # Errors
    /// If the key leads to none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::{DelayQueue, KeyError};
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let first = queue.insert('a', Duration::from_secs(1));
    /// let second = queue.insert('b', Duration::from_secs(2));
    /// assert_eq!(queue.peek(), Some(first));
    /// assert_eq!(queue.reset(first, Duration::from_secs(3)), Ok(()));
    /// assert_eq!(queue.peek(), Some(second));
    /// # }
    /// ```
    pub fn reset(&mut self, key: Key, duration: Duration) -> Result<(), KeyError> {
        self.reset_ticks(key, self.ticks_after(duration))
    }

    /// Has a value come out at `deadline`.
    ///
    /// # Errors
    /// If the key leads to none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::global();
    /// let mut queue = DelayQueue::new(timer.clone());
    /// let key = queue.insert("lease", Duration::from_secs(30));
    /// let renewed = timer.now() + Duration::from_secs(60);
    /// queue.reset_at(key, renewed).unwrap();
    /// assert_eq!(queue.deadline(key), Ok(renewed));
    /// # }
    /// ```
    pub fn reset_at(&mut self, key: Key, deadline: H::Instant) -> Result<(), KeyError> {
        self.reset_ticks(key, self.timer.ticks_at(deadline))
    }

    fn reset_ticks(&mut self, key: Key, deadline: Ticks) -> Result<(), KeyError> {
        self.entry(key)?;
        let filed = self.serial();
        let entry = &mut self.entries[key.index];
        let old = (entry.deadline, entry.filed, key.index);
        (entry.deadline, entry.filed) = (deadline, filed);
        self.order.remove(&old);
        self.order.insert((deadline, filed, key.index));
        self.follow();
        Ok(())
    }

    /// The value that comes out next.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// assert_eq!(queue.peek(), None);
    /// queue.insert("later", Duration::from_secs(3600));
    /// let sooner = queue.insert("sooner", Duration::from_secs(1));
    /// assert_eq!(queue.peek(), Some(sooner));
    /// # }
    /// ```
    pub fn peek(&self) -> Option<Key> {
        let &(_, _, index) = self.order.first()?;
        Some(Key { queue: self.number, serial: self.entries[index].serial, index })
    }

    /// A value.
    ///
    /// # Errors
    /// If the key leads to none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::{DelayQueue, KeyError};
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let key = queue.insert("value", Duration::from_secs(1));
    /// assert_eq!(queue.get(key), Ok(&"value"));
    /// queue.clear();
    /// assert_eq!(queue.get(key), Err(KeyError::Gone));
    /// # }
    /// ```
    pub fn get(&self, key: Key) -> Result<&T, KeyError> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A value, to be changed.
    ///
    /// # Errors
    /// If the key leads to none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let request = queue.insert(1, Duration::from_secs(1));
    /// *queue.get_mut(request).unwrap() += 1; // another try
    /// assert_eq!(queue.remove(request), Ok(2));
    /// # }
    /// ```
    pub fn get_mut(&mut self, key: Key) -> Result<&mut T, KeyError> {
        self.entry(key)?;
        Ok(&mut self.entries[key.index].value)
    }

    /// When a value comes out; some point far in the future, if never.
    ///
    /// # Errors
    /// If the key leads to none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let first = queue.insert("first", Duration::from_secs(1));
    /// let second = queue.insert("second", Duration::from_secs(2));
    /// assert!(queue.deadline(first).unwrap() < queue.deadline(second).unwrap());
    /// # }
    /// ```
    pub fn deadline(&self, key: Key) -> Result<H::Instant, KeyError> {
        self.entry(key).map(|entry| self.timer.instant_at(entry.deadline))
    }

    /// How many values there are.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let key = queue.insert('a', Duration::from_secs(1));
    /// queue.insert('b', Duration::from_secs(1));
    /// assert_eq!(queue.len(), 2);
    /// queue.remove(key).unwrap();
    /// assert_eq!(queue.len(), 1);
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    ///
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// let key = queue.insert("value", Duration::from_secs(1));
    /// assert!(!queue.is_empty());
    /// queue.remove(key).unwrap();
    /// assert!(queue.is_empty());
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops all values, and keeps the memory. Whoever waits for the next one is woken. O(n).
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use futures_util::StreamExt;
    /// # use std::time::Duration;
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// queue.insert("value", Duration::from_secs(3600));
    /// queue.clear();
    /// assert_eq!(block_on(queue.next()), None);
    /// # }
    /// ```
    pub fn clear(&mut self) {
        self.order.clear();
        self.entries.clear();
        self.follow();
    }

    /// The next value whose time has come; `None` if there are no values at all.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::DelayQueue;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::poll_fn, time::Duration};
    /// // Without a crate for streams.
    /// let mut queue = DelayQueue::new(Timer::global().clone());
    /// queue.insert("value", Duration::from_millis(1));
    /// let expired = block_on(poll_fn(|cx| queue.poll_expired(cx)));
    /// assert_eq!(expired.unwrap().into_value(), "value");
    /// assert!(block_on(poll_fn(|cx| queue.poll_expired(cx))).is_none());
    /// # }
    /// ```
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Option<Expired<T, H::Instant>>> {
        let Some(&(deadline, filed, index)) = self.order.first() else {
            return Poll::Ready(None);
        };
        if Pin::new(&mut self.sleep).poll(cx).is_pending() {
            match &mut self.waiter {
                Some(waiter) => waiter.clone_from(cx.waker()),
                None => self.waiter = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        self.waiter = None;
        self.order.remove(&(deadline, filed, index));
        let Entry { value, serial, .. } = self.entries.remove(index);
        self.follow();
        let key = Key { queue: self.number, serial, index };
        Poll::Ready(Some(Expired { value, key, deadline: self.timer.instant_at(deadline) }))
    }

    fn entry(&self, key: Key) -> Result<&Entry<T>, KeyError> {
        if key.queue != self.number {
            return Err(KeyError::OfAnotherQueue);
        }
        let entry = self.entries.get(key.index).ok_or(KeyError::Gone)?;
        if entry.serial == key.serial { Ok(entry) } else { Err(KeyError::Gone) }
    }

    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    fn ticks_after(&self, duration: Duration) -> Ticks {
        self.timer.now().after(self.timer.ticks_in(duration))
    }

    /// Moves the sleep to the first deadline. A sleep that waits for ever keeps no waker, and an empty
    /// queue has nothing to wait for: then the task is woken here.
    fn follow(&mut self) {
        let first = self.order.first().map_or(Ticks::NEVER, |&(at, _, _)| at);
        let before = self.until;
        if before != first {
            self.until = first;
            self.sleep.reset(self.timer.instant_at(first));
        }
        let forgotten = before == Ticks::NEVER && first != Ticks::NEVER;
        if forgotten || self.order.is_empty() {
            self.waiter.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl<T, H: Handle> Unpin for DelayQueue<T, H> {}

impl<T, H: Handle> Stream for DelayQueue<T, H> {
    type Item = Expired<T, H::Instant>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_expired(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }
}

impl<T, H: Handle> fmt::Debug for DelayQueue<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayQueue").field("len", &self.len()).field("next", &self.sleep).finish()
    }
}
