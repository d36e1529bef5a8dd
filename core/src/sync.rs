//! The atomics, on machines that lack some.
//!
//! Compare-and-swap on ARMv6-M comes from `portable-atomic`, in the way that the program asks it for: by a
//! critical section, or by masking interrupts itself.
//! For 64-bit fields on 32-bit machines it would take a spin lock instead, which an interrupt
//! handler must not meet, so those are here. The program picks the implementation of
//! `critical-section`, and a section lasts for one read and one write.
//!
//! Under `cfg(loom)` they are the model checker's, see `modelled`.

#[cfg(loom)]
mod modelled;
#[cfg(loom)]
pub(crate) use modelled::{
    AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, UnsafeCell,
};

pub(crate) use portable_atomic::Ordering;
#[cfg(not(loom))]
pub(crate) use portable_atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicUsize};

#[cfg(all(not(loom), target_has_atomic = "64"))]
pub(crate) use portable_atomic::AtomicU64;

#[cfg(all(not(loom), not(target_has_atomic = "64")))]
pub(crate) use sectioned::AtomicU64;

/// A cell that is reached through closures, so that a model checker can watch who does.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(data: T) -> Self {
        UnsafeCell(core::cell::UnsafeCell::new(data))
    }

    /// For reading.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// For writing.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(any(test, not(target_has_atomic = "64")))]
mod sectioned {
    use core::cell::Cell;

    use critical_section::Mutex;

    use super::Ordering;

    /// What the core needs of an `AtomicU64`. Every access is sequentially consistent.
    #[derive(Debug)]
    pub(crate) struct AtomicU64(Mutex<Cell<u64>>);

    impl AtomicU64 {
        pub(crate) const fn new(value: u64) -> Self {
            AtomicU64(Mutex::new(Cell::new(value)))
        }

        /// Replaces the value by what `f` makes of it, if it makes something; gives the old one.
        #[inline]
        fn change(&self, f: impl FnOnce(u64) -> Option<u64>) -> Result<u64, u64> {
            critical_section::with(|section| {
                let cell = self.0.borrow(section);
                let old = cell.get();
                let new = f(old).ok_or(old)?;
                cell.set(new);
                Ok(old)
            })
        }

        pub(crate) fn load(&self, _: Ordering) -> u64 {
            critical_section::with(|section| self.0.borrow(section).get())
        }

        pub(crate) fn store(&self, value: u64, _: Ordering) {
            critical_section::with(|section| self.0.borrow(section).set(value));
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            old: u64,
            new: u64,
            _: Ordering,
            _: Ordering,
        ) -> Result<u64, u64> {
            self.change(|now| (now == old).then_some(new))
        }

        pub(crate) fn fetch_update(
            &self,
            _: Ordering,
            _: Ordering,
            f: impl FnOnce(u64) -> Option<u64>,
        ) -> Result<u64, u64> {
            self.change(f)
        }

        pub(crate) fn fetch_add(&self, more: u64, _: Ordering) -> u64 {
            self.change(|now| Some(now.wrapping_add(more))).unwrap_or_else(|now| now)
        }

        pub(crate) fn fetch_max(&self, other: u64, _: Ordering) -> u64 {
            self.change(|now| Some(now.max(other))).unwrap_or_else(|now| now)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::super::Ordering::Relaxed;
        use super::*;

        #[test]
        fn it_does_what_the_machines_own_would() {
            let (ours, theirs) = (AtomicU64::new(5), portable_atomic::AtomicU64::new(5));
            for (old, new) in [(5, 9), (5, 1), (9, 12)] {
                assert_eq!(
                    ours.compare_exchange_weak(old, new, Relaxed, Relaxed),
                    theirs.compare_exchange(old, new, Relaxed, Relaxed)
                );
            }
            assert_eq!(ours.fetch_add(u64::MAX, Relaxed), theirs.fetch_add(u64::MAX, Relaxed));
            for value in [3, 70] {
                assert_eq!(ours.fetch_max(value, Relaxed), theirs.fetch_max(value, Relaxed));
            }
            for divisor in [70, 71] {
                let f = |now: u64| now.is_multiple_of(divisor).then_some(now + 1);
                assert_eq!(
                    ours.fetch_update(Relaxed, Relaxed, f),
                    theirs.fetch_update(Relaxed, Relaxed, f)
                );
            }
            ours.store(4, Relaxed);
            assert_eq!(ours.load(Relaxed), 4);
        }
    }
}
