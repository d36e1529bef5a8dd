//! What being on time may cost.

/// How hard the timer's thread tries to be on time. In no case is a timer early.
///
/// Figures from a virtual machine with two processors, where a parked thread wakes some 50 us
/// late; on hardware of one's own it is a fraction of that. `docs/bench` has the measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Wakes up 2,000 times a second at most, and fires together what has come due: up to half a
    /// millisecond late. Costs least when very many timers fire.
    Relaxed,
    /// Parks until the deadline: as late as the system wakes a thread. Deadlines that are less
    /// than 5 us ahead are waited for without parking, which takes a processor when hundreds of
    /// thousands of timers fire a second.
    #[default]
    Default,
    /// Parks until a little before the deadline and spins for the rest: less than a microsecond
    /// late as long as there is a processor free. How early is learned from how late the system
    /// has been, so each wake-up costs some 100 us of processor time.
    Exact,
}
