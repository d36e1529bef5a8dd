//! Threads, and what they share, as the standard library has them.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) use std::hint::spin_loop;
pub(crate) use std::{sync, thread};

/// Starts a thread that nobody joins; `forked`: this process is a child, forked from another one.
pub(crate) fn start_thread(
    name: String,
    forked: bool,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    if forked {
        return super::fork::start_thread(move || {
            super::system::name_thread(name);
            run();
        });
    }
    thread::Builder::new().name(name).spawn(run).map(drop)
}

/// As many as a timer may have shards.
const NUMBERS: u32 = 256;

static NUMBERS_IN_USE: Numbers = Numbers([const { AtomicU64::new(0) }; NUMBERS as usize / 64]);

/// A number that no other thread has, while there are not more than 256; the lowest. A thread that ends
/// leaves it to the next, which finds the memory of its shard in the cache, and its timers' slots.
#[inline]
pub(crate) fn thread_number() -> usize {
    // One that is dropped would have to be looked at each time whether it has been.
    thread_local!(static NUMBER: Cell<u32> = const { Cell::new(u32::MAX) });
    NUMBER.with(|number| {
        if number.get() == u32::MAX {
            number.set(lease());
        }
        number.get() as usize
    })
}

/// A number, until this thread ends.
#[cold]
fn lease() -> u32 {
    struct Lease(u32);

    impl Drop for Lease {
        fn drop(&mut self) {
            NUMBERS_IN_USE.give(self.0);
        }
    }

    thread_local!(static LEASE: Cell<Option<Lease>> = const { Cell::new(None) });
    let Some(number) = NUMBERS_IN_USE.take() else { return shared() };
    // If the thread is ending, the number is free again at once, and shared.
    let lease = Lease(number);
    let _ = LEASE.try_with(|place| place.set(Some(lease)));
    number
}

/// A number that others have as well.
fn shared() -> u32 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (NEXT.fetch_add(1, Relaxed) % u64::from(NUMBERS)) as u32
}

/// A bit for each number: whether a thread has it.
struct Numbers([AtomicU64; NUMBERS as usize / 64]);

impl Numbers {
    /// The lowest that is free.
    fn take(&self) -> Option<u32> {
        self.0.iter().zip(0..).find_map(|(word, place)| {
            let lowest = |taken: u64| (taken != u64::MAX).then(|| taken | (taken + 1));
            let before = word.fetch_update(Relaxed, Relaxed, lowest).ok()?;
            Some(place * 64 + before.trailing_ones())
        })
    }

    fn give(&self, number: u32) {
        self.0[number as usize / 64].fetch_and(!(1 << (number % 64)), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_lowest_number_that_is_free_is_taken() {
        let numbers = Numbers([const { AtomicU64::new(0) }; 4]);
        let all: Vec<_> = (0..NUMBERS).map_while(|_| numbers.take()).collect();
        assert_eq!(all, (0..NUMBERS).collect::<Vec<_>>());
        assert_eq!(numbers.take(), None);
        for number in [200, 63, 64] {
            numbers.give(number);
        }
        assert_eq!([(); 4].map(|()| numbers.take()), [Some(63), Some(64), Some(200), None]);
    }

    #[test]
    fn threads_have_numbers_of_their_own_and_leave_them() {
        for _ in 0..NUMBERS {
            let number = || thread::spawn(|| (thread_number(), thread_number())).join().unwrap();
            let (first, again) = number();
            assert_eq!(first, again);
        }
        let free = NUMBERS_IN_USE.take().expect("those that ended have left theirs");
        NUMBERS_IN_USE.give(free);
        let barrier = sync::Barrier::new(8);
        let numbers: HashSet<_> = thread::scope(|scope| {
            let number = || {
                let number = thread_number();
                barrier.wait();
                number
            };
            let threads = [(); 8].map(|()| scope.spawn(number));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(numbers.len(), 8);
    }
}
