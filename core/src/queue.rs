//! The slots that have news for the store. It cannot be full: the links are in the slots.
//!
//! Any number of producers push, any number of consumers take, and a consumer takes everything
//! with one swap. Because nothing is ever popped singly, a producer that is preempted half-way
//! blocks nobody, and the stack has no ABA problem.
//!
//! What came last is first. The commands of one slot merge in the slot, so only those of different
//! slots can be seen out of order, and to the store that makes no difference.

use crate::sync::{AtomicUsize, Ordering::*};

use crate::Slot;

#[derive(Debug)]
pub(crate) struct CommandQueue {
    /// Index plus one of the slot that was pushed last, or 0 when there is no news; and above that,
    /// where a word has room for it, how many slots there are.
    head: AtomicUsize,
}

fn head(newest: u32, count: u32) -> usize {
    (u64::from(count) << 32 | u64::from(newest)) as usize
}

fn newest(head: usize) -> u32 {
    head as u32
}

fn count(head: usize) -> u32 {
    (head as u64 >> 32) as u32
}

impl CommandQueue {
    pub(crate) const fn new() -> CommandQueue {
        CommandQueue { head: AtomicUsize::new(0) }
    }

    /// Links a slot. The caller is the one that set its *queued* flag, or has taken it from where it was
    /// parked. Returns how many are linked then; on a 32-bit machine, 1.
    ///
    /// Sequentially consistent: the alarm is read after this.
    pub(crate) fn push(&self, slot: &Slot, index: u32) -> u32 {
        let link = &slot.next;
        let mut seen = self.head.load(Relaxed);
        loop {
            link.store(newest(seen), Relaxed);
            let linked = count(seen) + 1;
            match self.head.compare_exchange_weak(seen, head(index + 1, linked), SeqCst, Relaxed) {
                Ok(_) => return linked,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Whether there seems to be no news.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Relaxed) == 0
    }

    /// Takes everything; gives what was pushed last, as index plus one, linked to what was pushed before.
    ///
    /// Sequentially consistent, also the look whether there is anything: it comes after the alarm is published.
    pub(crate) fn take(&self) -> u32 {
        if self.head.load(SeqCst) == 0 {
            return 0;
        }
        newest(self.head.swap(0, SeqCst))
    }
}

#[cfg(all(test, loom))]
mod models {
    //! Rule 2, never lost: what is pushed is taken, once, the latest first, with what its producer wrote.
    //!
    //! Go red when `push` changes the head with less than release, `take` with less than acquire.

    // Loom runs its threads on one, and checks what they share.
    #![allow(clippy::arc_with_non_send_sync)]

    use super::*;
    use crate::sync::UnsafeCell;
    use loom::thread;
    use std::{format, sync::Arc, vec, vec::Vec};

    struct World {
        queue: CommandQueue,
        slots: [Slot; 3],
        /// Stands for what a producer writes into its slot.
        written: [UnsafeCell<bool>; 3],
    }

    impl World {
        fn new() -> Arc<World> {
            let world = Arc::new(World {
                queue: CommandQueue::new(),
                slots: [const { Slot::new() }; 3],
                written: [const { UnsafeCell::new(false) }; 3],
            });
            // Loom is to know of everything before the threads start.
            let _ = format!("{:?} {:?} {:?}", world.queue, world.slots, world.written);
            world
        }

        fn push(&self, index: u32) {
            // SAFETY: nobody else uses the slot before it is pushed.
            self.written[index as usize].with_mut(|written| unsafe { *written = true });
            self.queue.push(&self.slots[index as usize], index);
        }

        fn take(&self) -> Vec<u32> {
            let mut taken = vec![];
            let mut at = self.queue.take();
            while at != 0 {
                let index = at - 1;
                // SAFETY: nobody else uses the slot after it was pushed.
                assert!(self.written[index as usize].with(|written| unsafe { *written }));
                taken.push(index);
                at = self.slots[index as usize].next.load(Relaxed);
            }
            taken
        }
    }

    #[test]
    fn push_against_take() {
        loom::model(|| {
            let world = World::new();
            let producer = thread::spawn({
                let world = world.clone();
                move || (0..3).for_each(|index| world.push(index))
            });
            let mut takes = vec![world.take(), world.take()];
            producer.join().unwrap();
            takes.push(world.take());
            takes.iter_mut().for_each(|taken| taken.reverse());
            assert_eq!(takes.concat(), [0, 1, 2], "one producer's commands, the latest first");
        });
    }

    #[test]
    fn two_producers_and_a_taker() {
        loom::model(|| {
            let world = World::new();
            let producers = [&[0u32, 1][..], &[2]].map(|indices| {
                let world = world.clone();
                thread::spawn(move || indices.iter().for_each(|&index| world.push(index)))
            });
            let mut takes = vec![world.take()];
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            takes.push(world.take());
            takes.iter_mut().for_each(|taken| taken.reverse());
            let mut taken = takes.concat();
            let place = |index| taken.iter().position(|&other| other == index);
            assert!(place(0) < place(1), "one producer's commands, the latest first");
            taken.sort();
            assert_eq!(taken, [0, 1, 2]);
        });
    }

    #[test]
    fn a_producer_and_two_takers() {
        loom::model(|| {
            let world = World::new();
            world.push(0);
            let taker = thread::spawn({
                let world = world.clone();
                move || world.take()
            });
            world.push(1);
            let mut taken = world.take();
            taken.extend(taker.join().unwrap());
            taken.extend(world.take());
            taken.sort();
            assert_eq!(taken, [0, 1]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Slots;
    use crate::sync::AtomicU32;
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
    fn what_was_pushed_last_comes_out_first() {
        let slots = [const { Slot::new() }; 4];
        let queue = CommandQueue::new();
        assert_eq!(queue.take(), 0, "there is nothing");
        for index in [2usize, 0, 3] {
            queue.push(&slots[index], index as u32);
        }
        assert!(!queue.is_empty());
        assert_eq!(order(&slots, queue.take()), [3, 0, 2]);
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
                        let batch = order(slots_ref, queue_ref.take());
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
