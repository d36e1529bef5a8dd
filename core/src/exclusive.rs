//! The exclusive section: one turner at a time, and nobody waits for it.
//!
//! Whoever finds the section taken leaves a mark and goes. The one inside finds the mark when it
//! leaves, and sees to it that somebody comes back.

use core::ops::{Deref, DerefMut};

use crate::sync::{AtomicU8, Ordering::*, UnsafeCell};

const FREE: u8 = 0;
const TAKEN: u8 = 1;
const WANTED: u8 = 2;

/// Data that one caller at a time may use.
///
/// The Section Invariant: from the change that takes `state` out of `FREE` until the change back,
/// exactly one [`Section`] exists, and only through it is `data` reached.
#[derive(Debug)]
pub(crate) struct Exclusive<T> {
    state: AtomicU8,
    data: UnsafeCell<T>,
}

// SAFETY: by the Section Invariant `data` is used by one thread at a time.
unsafe impl<T: Send> Sync for Exclusive<T> {}

/// Proof of being the only one inside.
pub(crate) struct Section<'a, T> {
    of: &'a Exclusive<T>,
}

impl<T> Exclusive<T> {
    pub(crate) const fn new(data: T) -> Self {
        Exclusive { state: AtomicU8::new(FREE), data: UnsafeCell::new(data) }
    }

    /// Enters, if nobody is inside.
    pub(crate) fn try_enter(&self) -> Option<Section<'_, T>> {
        self.state.compare_exchange(FREE, TAKEN, SeqCst, SeqCst).ok()?;
        Some(Section { of: self })
    }

    /// Enters; or, if somebody is inside, leaves the mark that makes their `leave` return true.
    pub(crate) fn try_enter_or_mark(&self) -> Option<Section<'_, T>> {
        loop {
            if let Some(section) = self.try_enter() {
                return Some(section);
            }
            match self.state.compare_exchange(TAKEN, WANTED, SeqCst, SeqCst) {
                Ok(_) | Err(WANTED) => return None,
                // They left in between.
                Err(_) => {}
            }
        }
    }

    /// Gives back a section that was entered, and then forgotten.
    ///
    /// # Safety
    /// It was, and has not been given back yet.
    pub(crate) unsafe fn resume(&self) -> Section<'_, T> {
        Section { of: self }
    }
}

impl<T> Section<'_, T> {
    /// Leaves; whether somebody wanted to enter meanwhile.
    #[must_use = "somebody may rely on being told"]
    pub(crate) fn leave(self) -> bool {
        let of = self.of;
        core::mem::forget(self);
        of.state.swap(FREE, SeqCst) == WANTED
    }
}

impl<T> Drop for Section<'_, T> {
    fn drop(&mut self) {
        self.of.state.store(FREE, SeqCst);
    }
}

impl<T> Deref for Section<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: by the Section Invariant nobody else is inside.
        self.of.data.with(|data| unsafe { &*data })
    }
}

impl<T> DerefMut for Section<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the Section Invariant nobody else is inside.
        self.of.data.with_mut(|data| unsafe { &mut *data })
    }
}

#[cfg(all(test, loom))]
mod models {
    //! Rule 3, nobody waits: one at a time is inside, sees what the last one did, and hears of
    //! everybody who wanted to enter.
    //!
    //! Goes red when: `try_enter` succeeds with less than acquire; `leave` swaps with less than
    //! release, or looks first and stores then; `try_enter_or_mark` gives up without a mark.

    use super::*;
    use loom::thread;
    use std::{format, sync::Arc};

    #[test]
    fn entering_against_leaving() {
        loom::model(|| {
            let exclusive = Arc::new(Exclusive::new(0));
            let _ = format!("{exclusive:?}");
            // Adds one; whether somebody who enters has to do more, or will be told to.
            let visit = |exclusive: &Exclusive<u32>| match exclusive.try_enter_or_mark() {
                Some(mut section) => {
                    *section += 1;
                    (1, section.leave())
                }
                None => (0, false),
            };
            let others = [(); 2].map(|()| {
                let exclusive = exclusive.clone();
                thread::spawn(move || visit(&exclusive))
            });
            let mut visits = std::vec![visit(&exclusive)];
            visits.extend(others.map(|other| other.join().unwrap()));
            let entered: u32 = visits.iter().map(|(entered, _)| entered).sum();
            assert_eq!(*exclusive.try_enter().expect("all have left"), entered);
            assert!(
                entered == 3 || visits.iter().any(|(_, told)| *told),
                "somebody was kept out, and nobody was told"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_mark_is_seen_once() {
        let exclusive = Exclusive::new(7);
        let section = exclusive.try_enter().unwrap();
        assert!(exclusive.try_enter().is_none());
        assert!(!section.leave(), "a plain try leaves no mark");

        let section = exclusive.try_enter_or_mark().unwrap();
        assert!(exclusive.try_enter_or_mark().is_none());
        assert!(exclusive.try_enter_or_mark().is_none());
        assert!(section.leave());

        let section = exclusive.try_enter().unwrap();
        assert_eq!(*section, 7);
        assert!(!section.leave());
    }

    #[test]
    fn whoever_panics_inside_has_left() {
        let exclusive = Exclusive::new(0);
        let panics = std::panic::AssertUnwindSafe(|| {
            let _section = exclusive.try_enter();
            std::panic::resume_unwind(std::boxed::Box::new(()));
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(exclusive.try_enter().is_some());
    }
}
