//! The slots that have news for the store. It cannot be full: the links are in the slots.
//!
//! Any number of producers push, any number of consumers take, and a consumer takes everything
//! with one swap. Because nothing is ever popped singly, a producer that is preempted half-way
//! blocks nobody, and the stack has no ABA problem.

use crate::sync::{AtomicU32, Ordering::*};

use crate::{Slot, Slots};

#[derive(Debug)]
pub(crate) struct CommandQueue {
    /// Index plus one of the slot that was pushed last; 0 when there is no news.
    head: AtomicU32,
}

impl CommandQueue {
    pub(crate) const fn new() -> CommandQueue {
        CommandQueue { head: AtomicU32::new(0) }
    }

    /// Links a slot. The caller is the one that set its *queued* flag.
    ///
    /// Sequentially consistent: the alarm is read after this.
    pub(crate) fn push(&self, slot: &Slot, index: u32) {
        let link = &slot.next;
        let mut head = self.head.load(Relaxed);
        loop {
            link.store(head, Relaxed);
            match self.head.compare_exchange_weak(head, index + 1, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// Whether there is no news. Sequentially consistent: it is asked after the alarm is published.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(SeqCst) == 0
    }

    /// Takes everything; gives the first in, as index plus one, linked in the order of arrival.
    pub(crate) fn take(&self, slots: &(impl Slots + ?Sized)) -> u32 {
        if self.is_empty() {
            return 0;
        }
        let mut newest = self.head.swap(0, SeqCst);
        let mut first = 0;
        while newest != 0 {
            let link = &slots.slot(newest - 1).next;
            let older = link.load(Relaxed);
            link.store(first, Relaxed);
            first = newest;
            newest = older;
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, vec, vec::Vec};

    fn order(slots: &impl Slots, mut at: u32) -> Vec<u32> {
        let mut order = Vec::new();
        while at != 0 {
            order.push(at - 1);
            at = slots.slot(at - 1).next.load(Relaxed);
        }
        order
    }

    #[test]
    fn a_batch_comes_out_in_the_order_in_which_it_went_in() {
        let slots = [const { Slot::new() }; 4];
        let queue = CommandQueue::new();
        assert_eq!(queue.take(&slots), 0);
        for index in [2usize, 0, 3] {
            queue.push(&slots[index], index as u32);
        }
        assert!(!queue.is_empty());
        assert_eq!(order(&slots, queue.take(&slots)), [2, 0, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn several_producers_and_consumers_lose_nothing() {
        const EACH: u32 = 2_000;
        let slots = [const { Slot::new() }; 4 * EACH as usize];
        let queue = CommandQueue::new();
        let (queue_ref, slots_ref, left) = (&queue, &slots, &AtomicU32::new(4));
        let mut got: Vec<u32> = thread::scope(|scope| {
            for producer in 0..4 {
                scope.spawn(move || {
                    for index in producer * EACH..(producer + 1) * EACH {
                        queue_ref.push(&slots_ref[index as usize], index);
                    }
                    left.fetch_sub(1, Release);
                });
            }
            let consumers = [(); 2].map(|()| {
                scope.spawn(move || {
                    let mut got = vec![];
                    loop {
                        let done = left.load(Acquire) == 0;
                        let batch = order(slots_ref, queue_ref.take(slots_ref));
                        if done && batch.is_empty() {
                            return got;
                        }
                        got.extend(batch);
                    }
                })
            });
            consumers.into_iter().flat_map(|c| c.join().unwrap()).collect()
        });
        got.sort();
        assert_eq!(got, (0..4 * EACH).collect::<Vec<_>>());
    }
}
