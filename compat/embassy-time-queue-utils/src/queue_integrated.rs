//! The queue without a capacity: its entries are in the tasks.
//!
//! embassy's executor keeps a few words in each task for the time queue. Here they are a node of a
//! leftist heap (Crane 1972): a binary tree in which no node is later than its children, and in
//! which the way along the right links to the end is the shortest way out. Two such heaps are
//! merged along their right links, in O(log n), and merging is all there is to it: an insertion
//! merges with a single node, a removal merges the two children.
//!
//! # The Node Invariant
//!
//! A node whose rank is above zero is in the queue, has a waker, and is linked exactly once: from
//! its parent, or as the root. Its links lead to nodes that are in the same queue. A node of rank
//! zero is not in the queue, and nothing links to it.
//!
//! Nodes are reached by pointers, and only by methods that borrow the queue mutably.

use core::mem::{MaybeUninit, swap};
use core::ptr::NonNull;
use core::task::Waker;

use embassy_executor_timer_queue::TimerQueueItem;

/// What the queue keeps in a task. All zeros is a node that is not in the queue, which is what the
/// executor starts with.
struct Node {
    at: u64,
    waker: MaybeUninit<Waker>,
    left: Link,
    right: Link,
    parent: Link,
    /// How many nodes the way along the right links has, this one included.
    rank: usize,
}

type Link = Option<NonNull<Node>>;

const _: () = assert!(
    size_of::<Node>() <= size_of::<TimerQueueItem>()
        && align_of::<Node>() <= align_of::<TimerQueueItem>(),
    "a node fits into what the executor keeps for it"
);

/// A timer queue whose entries are in the tasks; for embassy's executor.
///
/// # Safety
///
/// **A program has one integrated queue at most.** Two would use the same node of a task. A queue
/// that has entries is not to be dropped, nor replaced: their tasks would wait for ever.
pub struct Queue {
    root: Link,
}

// SAFETY: a queue is the only one that uses the nodes of its tasks, and wakers may move.
unsafe impl Send for Queue {}
// SAFETY: a shared reference to a queue reaches nothing.
unsafe impl Sync for Queue {}

impl core::fmt::Debug for Queue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Has the task woken at `at`, unless it is to be woken earlier anyway.
    ///
    /// If this returns `true`, the earliest expiration has changed: the caller should ask for it,
    /// and set a new alarm. O(log n); a task that asks for the same time again costs a comparison.
    ///
    /// # Panics
    /// If the waker is not one of embassy's executor.
    pub fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
        // SAFETY: by the Node Invariant items are used by one queue, which we borrow mutably.
        let item = unsafe { TimerQueueItem::from_embassy_waker(waker) };
        self.schedule(at, NonNull::from(item).cast(), waker)
    }

    /// The same with an item that need not be in one of embassy's tasks.
    ///
    /// The item was all zeros when it was used first, is always used with wakers of the same task,
    /// and stays where it is as long as the task is in the queue.
    #[allow(dead_code, reason = "without the feature `integrated-timers` it is not public")]
    pub fn schedule_wake_queue_item(
        &mut self,
        at: u64,
        item: &mut TimerQueueItem,
        waker: &Waker,
    ) -> bool {
        self.schedule(at, NonNull::from(item).cast(), waker)
    }

    fn schedule(&mut self, at: u64, place: NonNull<Node>, waker: &Waker) -> bool {
        // SAFETY: the item is large enough for a node, and started as zeros, which is a valid one;
        // by the Node Invariant nobody else uses it meanwhile. The borrow ends before the next.
        let node = unsafe { &mut *place.as_ptr() };
        if node.rank > 0 {
            if at >= node.at {
                return false;
            }
            node.at = at;
            self.cut(place);
        } else {
            if at == u64::MAX {
                return false;
            }
            node.waker.write(waker.clone());
            (node.at, node.rank) = (at, 1);
            (node.left, node.right, node.parent) = (None, None, None);
        }
        let before = self.root.map(time);
        self.root = merge(self.root, Some(place));
        before.is_none_or(|before| at < before)
    }

    /// Takes the tree under `place` out of the heap.
    fn cut(&mut self, place: NonNull<Node>) {
        // SAFETY: the Node Invariant; each node is borrowed for one statement.
        unsafe {
            let Some(parent) = (*place.as_ptr()).parent.take() else {
                self.root = None;
                return;
            };
            if (*parent.as_ptr()).left == Some(place) {
                (*parent.as_ptr()).left = None;
            } else {
                (*parent.as_ptr()).right = None;
            }
            balance(parent);
        }
    }

    /// Wakes the tasks that are due at `now`, and returns the next expiration; `u64::MAX` if there
    /// is none.
    pub fn next_expiration(&mut self, now: u64) -> u64 {
        while let Some(place) = self.root {
            // SAFETY: the Node Invariant. The borrow ends before the tree changes.
            let node = unsafe { &mut *place.as_ptr() };
            if node.at > now {
                return node.at;
            }
            // SAFETY: the Node Invariant: it has a waker, and has none from here on.
            let waker = unsafe { node.waker.assume_init_read() };
            node.rank = 0;
            self.root = merge(node.left, node.right);
            waker.wake();
        }
        u64::MAX
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

fn time(place: NonNull<Node>) -> u64 {
    // SAFETY: only links are given to this, and by the Node Invariant they lead to nodes.
    unsafe { (*place.as_ptr()).at }
}

fn rank(link: Link) -> usize {
    // SAFETY: the Node Invariant.
    link.map_or(0, |place| unsafe { (*place.as_ptr()).rank })
}

/// Makes one heap of two. Their roots' parents are of no account; that of the result is none.
fn merge(a: Link, b: Link) -> Link {
    let (Some(mut root), Some(mut rest)) = (a, b) else {
        let only = a.or(b)?;
        // SAFETY: the Node Invariant.
        unsafe { (*only.as_ptr()).parent = None };
        return Some(only);
    };
    if time(rest) < time(root) {
        swap(&mut root, &mut rest);
    }
    // SAFETY: the Node Invariant.
    unsafe { (*root.as_ptr()).parent = None };
    // `rest` is to be merged with what is right of `above`, which is no later.
    let (mut above, mut highest) = (root, None);
    // SAFETY: the Node Invariant.
    while let Some(next) = unsafe { (*above.as_ptr()).right } {
        if time(rest) < time(next) {
            put_right(above, rest);
            highest = highest.or(Some(above));
            (above, rest) = (rest, next);
        } else {
            above = next;
        }
    }
    put_right(above, rest);
    // What has been put right may be the longer way: from there up, as far as children were replaced,
    // and on, until a rank is as it was. All of that lies on the way along the right links.
    let (mut place, mut right) = (above, rank(Some(rest)));
    if let Some(highest) = highest {
        while place != highest {
            // SAFETY: the Node Invariant; a node's children are other nodes than itself, and one
            // below another has a parent.
            unsafe {
                let node = &mut *place.as_ptr();
                right = order(node, right);
                place = node.parent.unwrap_unchecked();
            }
        }
    }
    loop {
        // SAFETY: as above.
        let node = unsafe { &mut *place.as_ptr() };
        let was = node.rank;
        right = order(node, right);
        let Some(parent) = node.parent else { break };
        if right == was {
            break;
        }
        place = parent;
    }
    Some(root)
}

fn put_right(parent: NonNull<Node>, child: NonNull<Node>) {
    // SAFETY: the Node Invariant; each node is borrowed for one statement.
    unsafe {
        (*parent.as_ptr()).right = Some(child);
        (*child.as_ptr()).parent = Some(parent);
    }
}

/// Puts the children of a node in order, the right one of which has the rank `right`; the node's own.
#[inline(always)]
fn order(node: &mut Node, right: usize) -> usize {
    let left = rank(node.left);
    if left < right {
        swap(&mut node.left, &mut node.right);
        node.rank = left + 1;
    } else {
        node.rank = right + 1;
    }
    node.rank
}

/// Puts the ranks right from `lowest` upwards, a child of which has gone, until one is as it was.
fn balance(lowest: NonNull<Node>) {
    let mut link = Some(lowest);
    while let Some(place) = link {
        // SAFETY: the Node Invariant; a node's children are other nodes than itself.
        let node = unsafe { &mut *place.as_ptr() };
        let was = node.rank;
        if order(node, rank(node.right)) == was {
            return;
        }
        link = node.parent;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;
    use std::vec::Vec;

    use super::*;

    /// The number of nodes under `link`, all of which are as the heap's rules have them.
    fn checked(link: Link, parent: Link) -> usize {
        let Some(place) = link else { return 0 };
        // SAFETY: the Node Invariant, and the test's items outlive its queues.
        let node = unsafe { &*place.as_ptr() };
        assert_eq!(node.parent, parent);
        assert!(parent.is_none_or(|parent| time(parent) <= node.at), "a child is earlier");
        assert!(rank(node.left) >= rank(node.right), "the right is not the shorter way");
        assert_eq!(node.rank, rank(node.right) + 1);
        1 + checked(node.left, link) + checked(node.right, link)
    }

    #[test]
    fn the_tree_keeps_its_rules_and_the_way_out_is_short() {
        const TASKS: usize = 200;
        let mut items: Vec<_> = (0..TASKS).map(|_| Box::new(TimerQueueItem::new())).collect();
        for seed in 1..30u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut random = |below: u64| {
                // xorshift64 (Marsaglia 2003).
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % below
            };
            let (mut queue, mut now) = (Queue::new(), 0);
            for _ in 0..2_000 {
                let item = &mut items[random(TASKS as u64) as usize];
                let bits = random(12);
                let at = now + 1 + random(1 << bits);
                queue.schedule_wake_queue_item(at, item, Waker::noop());
                if random(5) == 0 {
                    let bits = random(8);
                    now += random(1 << bits);
                    let next = queue.next_expiration(now);
                    assert_eq!(queue.root.map_or(u64::MAX, time), next);
                    assert!(next > now);
                }
                let len = checked(queue.root, None);
                assert!(rank(queue.root) <= (len + 1).ilog2() as usize);
            }
            assert_eq!(queue.next_expiration(u64::MAX - 1), u64::MAX);
        }
    }
}
