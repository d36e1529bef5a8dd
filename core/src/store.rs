//! What the engine asks of a collection of deadlines.

use crate::Ticks;

/// Deadlines in order, each with the index of its slot.
///
/// Only the turner touches it, so it is plain data. A store holds an index once at most.
pub trait Store {
    /// Makes room for slots with indices below `capacity`. May allocate, if the store can.
    fn reserve(&mut self, capacity: u32);

    /// Adds `index`, or moves it if it is there.
    ///
    /// # Panics
    /// If there is no room for the index.
    fn set(&mut self, index: u32, at: Ticks);

    /// Takes `index` out; whether it was there.
    fn remove(&mut self, index: u32) -> bool;

    /// The earliest deadline, and its index. No order is promised among equal deadlines.
    fn first(&self) -> Option<(Ticks, u32)>;

    /// How many there are.
    fn len(&self) -> u32;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
