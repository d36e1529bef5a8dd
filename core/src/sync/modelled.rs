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
        }

        impl $name {
            pub(crate) const fn new(initial: $type) -> Self {
                $name { initial, modelled: OnceLock::new() }
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
}
