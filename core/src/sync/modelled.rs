//! loom's atomics and cells, for the model checker: what `sync` is under `cfg(loom)`.
//!
//! # Constant constructors
//!
//! The engine can be a `static`, so its atomics are made by constant functions. Loom's have to be
//! registered with the execution at run time. So each of these is registered when it is first used,
//! and `Debug` counts as a use: a model prints its timer before it starts a thread (and loom
//! objects if one that was not printed is first used by two threads at once).
//!
//! # Sequential consistency
//!
//! Loom's README says that it takes a `SeqCst` access for an acquiring or releasing one. It does
//! more than that: a `SeqCst` load passes over a store for a later one if both were `SeqCst`. Loom
//! explores every order of the accesses, so with that, sequentially consistent accesses of one
//! atomic see each other in a total order, which is what C11 asks for. Only the initial value was not
//! written by a `SeqCst` store, and is taken for one that any load may still see. So it is stored
//! once more here. Nothing else happens at such an access; no fence hides what a weaker ordering
//! elsewhere would let through. The tests below hold this: the protocol that needs the order passes
//! with it, and fails if any one of its four accesses is weaker.
//!
//! # Loads of several threads
//!
//! Of each atomic loom remembers the last access alone (its issues 166 and 392). A load, and then a load
//! and a change by another thread: it does not try whether that change may come before the first load. So
//! each load here first writes to an atomic beside, relaxed, which orders no memory, but is an access that
//! excludes another: loom tries both orders of the two loads, and by that what follows from either.
//!
//! What stays invisible, because loom never does it: a compare-and-swap that fails spuriously, one
//! that fails because it read a stale value, and a load that reads what a later store will write.

use std::cell;
use std::fmt;
use std::sync::OnceLock;

use super::Ordering;

macro_rules! atomic {
    ($($name:ident: $type:ty;)*) => {$(
        pub(crate) struct $name {
            initial: $type,
            modelled: OnceLock<loom::sync::atomic::$name>,
            /// Written by each load, see above.
            loads: OnceLock<loom::sync::atomic::AtomicUsize>,
        }

        impl $name {
            pub(crate) const fn new(initial: $type) -> Self {
                $name { initial, modelled: OnceLock::new(), loads: OnceLock::new() }
            }

            fn touch(&self) {
                let loads = || loom::sync::atomic::AtomicUsize::new(0);
                self.loads.get_or_init(loads).swap(0, Ordering::Relaxed);
            }

            #[allow(dead_code)]
            pub(crate) fn load(&self, ordering: Ordering) -> $type {
                self.touch();
                (**self).load(ordering)
            }
        }

        impl core::ops::Deref for $name {
            type Target = loom::sync::atomic::$name;

            fn deref(&self) -> &Self::Target {
                self.modelled.get_or_init(|| {
                    let modelled = loom::sync::atomic::$name::new(self.initial);
                    modelled.store(self.initial, Ordering::SeqCst);
                    modelled
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.touch();
                fmt::Debug::fmt(&**self, f)
            }
        }
    )*};
}

atomic! {
    AtomicBool: bool;
    AtomicU8: u8;
    AtomicU16: u16;
    AtomicU32: u32;
    AtomicU64: u64;
    AtomicUsize: usize;
}

/// Data, and a cell of loom's that stands for it.
pub(crate) struct UnsafeCell<T> {
    data: cell::UnsafeCell<T>,
    watch: OnceLock<loom::cell::UnsafeCell<()>>,
}

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(data: T) -> Self {
        UnsafeCell { data: cell::UnsafeCell::new(data), watch: OnceLock::new() }
    }

    fn watch(&self) -> &loom::cell::UnsafeCell<()> {
        self.watch.get_or_init(|| loom::cell::UnsafeCell::new(()))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.watch().with(|_| f(self.data.get()))
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.watch().with_mut(|_| f(self.data.get()))
    }
}

impl<T> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.watch(), f)
    }
}

#[cfg(test)]
mod models {
    use super::*;
    use std::collections::HashSet;
    use std::sync::{Arc, Mutex};

    use Ordering::*;

    /// Two threads, each of which writes one flag and then reads the other; what they read.
    fn store_buffering(orderings: [[Ordering; 2]; 2]) -> HashSet<[bool; 2]> {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let collected = seen.clone();
        loom::model(move || {
            let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
            let _ = std::format!("{flags:?}");
            let theirs = flags.clone();
            let [[mine_write, mine_read], [their_write, their_read]] = orderings;
            let other = loom::thread::spawn(move || {
                theirs[1].swap(true, their_write);
                theirs[0].load(their_read)
            });
            flags[0].store(true, mine_write);
            let read = [flags[1].load(mine_read), other.join().unwrap()];
            collected.lock().unwrap().insert(read);
        });
        Arc::into_inner(seen).unwrap().into_inner().unwrap()
    }

    #[test]
    fn sequentially_consistent_flags_are_never_both_overlooked() {
        let seen = store_buffering([[SeqCst, SeqCst], [SeqCst, SeqCst]]);
        assert_eq!(seen, HashSet::from([[false, true], [true, false], [true, true]]));
    }

    #[test]
    fn one_weaker_access_and_both_may_be() {
        for orderings in [
            [[Release, SeqCst], [SeqCst, SeqCst]],
            [[SeqCst, Acquire], [SeqCst, SeqCst]],
            [[SeqCst, SeqCst], [AcqRel, SeqCst]],
            [[SeqCst, SeqCst], [SeqCst, Acquire]],
        ] {
            assert!(store_buffering(orderings).contains(&[false, false]), "{orderings:?}");
        }
    }

    /// One thread loads; the other loads, and changes what it has found.
    #[test]
    fn a_change_that_follows_a_load_may_come_before_another_load() {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let collected = seen.clone();
        loom::model(move || {
            let atomic = Arc::new(AtomicU32::new(0));
            let _ = std::format!("{atomic:?}");
            let theirs = atomic.clone();
            let other = loom::thread::spawn(move || {
                theirs.store(theirs.load(Relaxed) + 1, Relaxed);
            });
            collected.lock().unwrap().insert(atomic.load(Relaxed));
            other.join().unwrap();
        });
        assert_eq!(*seen.lock().unwrap(), HashSet::from([0, 1]));
    }
}
