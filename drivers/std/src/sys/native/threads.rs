//! Threads, and what they share, as the standard library has them.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::*};

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

/// In the number of a thread that others may have as well: there are more than 256, or this one is ending.
const SHARED: u32 = 1 << 31;

// One that is dropped would have to be looked at each time whether it has been.
thread_local!(static NUMBER: Cell<u32> = const { Cell::new(u32::MAX) });

/// The lowest number that no other thread has; one of 2^31 or more, whose last byte others have as well, if
/// there is none. A thread that ends leaves it to the next, which finds the memory of its shard in the cache,
/// its timers' slots, and what they keep for it.
#[inline]
pub(crate) fn thread_number() -> usize {
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
            // What is dropped after this, as the thread ends, must not take it for its own.
            NUMBER.set(self.0 | SHARED);
            NUMBERS_IN_USE.give(self.0);
        }
    }

    thread_local!(static LEASE: Cell<Option<Lease>> = const { Cell::new(None) });
    let Some(number) = NUMBERS_IN_USE.take() else { return shared() | SHARED };
    // If the thread is ending, the number is free again at once.
    let lease = Lease(number);
    match LEASE.try_with(|place| place.set(Some(lease))) {
        Ok(()) => number,
        Err(_) => number | SHARED,
    }
}

/// A number that others have as well.
fn shared() -> u32 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (NEXT.fetch_add(1, Relaxed) % u64::from(NUMBERS)) as u32
}

/// A bit for each number: whether a thread has it.
struct Numbers([AtomicU64; NUMBERS as usize / 64]);

impl Numbers {
    /// The lowest that is free. Whoever gets it sees what the thread did that had it before.
    fn take(&self) -> Option<u32> {
        self.0.iter().zip(0..).find_map(|(word, place)| {
            let lowest = |taken: u64| (taken != u64::MAX).then(|| taken | (taken + 1));
            let before = word.fetch_update(Acquire, Relaxed, lowest).ok()?;
            Some(place * 64 + before.trailing_ones())
        })
    }

    fn give(&self, number: u32) {
        self.0[number as usize / 64].fetch_and(!(1 << (number % 64)), Release);
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
        let barrier = sync::Barrier::new(300);
        let mut numbers: Vec<_> = thread::scope(|scope| {
            let number = || {
                let number = thread_number();
                barrier.wait();
                number
            };
            let threads: Vec<_> = (0..300).map(|_| scope.spawn(number)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let all = numbers.len();
        numbers.retain(|number| *number < SHARED as usize);
        assert!(numbers.iter().all(|number| *number < NUMBERS as usize));
        assert!((8..=NUMBERS as usize).contains(&numbers.len()), "{} of {all}", numbers.len());
        let different: HashSet<_> = numbers.iter().collect();
        assert_eq!(different.len(), numbers.len(), "two have one number for their own");
    }

    /// In which order its locals are dropped nobody says: one is made before its number, one after.
    #[test]
    fn a_thread_that_ends_has_its_number_no_more() {
        struct Last(sync::mpsc::Sender<usize>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.send(thread_number()).unwrap();
            }
        }
        thread_local! {
            static BEFORE: Cell<Option<Last>> = const { Cell::new(None) };
            static AFTER: Cell<Option<Last>> = const { Cell::new(None) };
        }
        let (sender, numbers) = sync::mpsc::channel();
        let locals = move || {
            BEFORE.set(Some(Last(sender.clone())));
            let number = thread_number();
            AFTER.set(Some(Last(sender)));
            number
        };
        let own = thread::spawn(locals).join().unwrap();
        let [first, last] = [numbers.recv().unwrap(), numbers.recv().unwrap()];
        assert_eq!((first, last), (own, own | SHARED as usize));
    }
}
