//! What has to happen: a list of sleeps, all of which are looked at each time.

use std::vec;
use std::vec::Vec;

use moirai_timer_core::{Metrics, MissedTickBehavior, RegisterError, Ticks};

/// What is known of the future in a place.
#[derive(Clone, Debug)]
pub(super) struct Future {
    pub(super) deadline: Ticks,
    tolerance: u64,
    pub(super) kind: Kind,
    pub(super) holds_slot: bool,
    armed: Option<Armed>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Sleep,
    Interval { period: u64, missed: MissedTickBehavior },
    Timeout { finished: bool },
}

/// Who is to be woken, and where the store may have it: under any deadline that it has had, or that
/// somebody had whose slot it may have adopted.
#[derive(Clone, Debug)]
struct Armed {
    task: usize,
    had: Vec<Ticks>,
}

/// A wake-up that is due.
#[derive(Clone, Copy, Debug)]
struct Wake {
    task: usize,
    /// The earliest and the last of its deadlines.
    from: Ticks,
    at: Ticks,
}

/// What a poll has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Pending,
    Ready,
    /// The tick that was due then.
    Tick(Ticks),
    /// The timeout's future was ready in time.
    Finished,
}

#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) now: Ticks,
    places: Vec<Option<Future>>,
    slots: usize,
    /// Slots that are held for nothing.
    pub(super) hoard: usize,
    shut_down: bool,
    fired: u64,
    cancelled: u64,
    full_repolls: u64,
    /// How many ticks after their deadlines those fired that were woken.
    pub(super) late: u64,
    /// The earliest deadline of those that left since the last turn.
    left: Ticks,
    /// Where the store may have those of them that were cancelled.
    cancelled_at: Vec<Ticks>,
    /// The calls that are under way; the innermost comes last.
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Call {
    /// Whether it turns the timer.
    turns: bool,
    /// The wake-ups that it still owes.
    owed: Vec<Wake>,
}

impl Oracle {
    pub(super) fn new(now: Ticks, slots: usize, places: usize) -> Self {
        Oracle {
            now,
            places: vec![None; places],
            slots,
            hoard: 0,
            shut_down: false,
            fired: 0,
            cancelled: 0,
            full_repolls: 0,
            late: 0,
            left: Ticks::NEVER,
            cancelled_at: vec![],
            calls: vec![],
        }
    }

    pub(super) fn place(&mut self, place: usize) -> Option<&mut Future> {
        self.places[place].as_mut()
    }

    fn armed(&self) -> impl Iterator<Item = (&Future, &Armed)> {
        self.places.iter().flatten().filter_map(|future| Some((future, future.armed.as_ref()?)))
    }

    /// What taking a slot has to say.
    fn free_slot(&self) -> Result<(), RegisterError> {
        let held = self.places.iter().flatten().filter(|future| future.holds_slot).count();
        if self.shut_down {
            Err(RegisterError::ShutDown)
        } else if held + self.hoard == self.slots {
            Err(RegisterError::Full)
        } else {
            Ok(())
        }
    }

    // ---- what programs do ----

    pub(super) fn put(&mut self, place: usize, deadline: Ticks, tolerance: u64, kind: Kind) {
        self.places[place] =
            Some(Future { deadline, tolerance, kind, holds_slot: false, armed: None });
    }

    /// A sleep with a slot of its own, unless it never needs one.
    pub(super) fn reserve(&mut self, place: usize, deadline: Ticks) -> Result<(), RegisterError> {
        let holds_slot = !deadline.is_never();
        if holds_slot {
            self.free_slot()?;
        }
        let kind = Kind::Sleep;
        self.places[place] = Some(Future { deadline, tolerance: 0, kind, holds_slot, armed: None });
        Ok(())
    }

    /// What the attempt to take one slot more has to say; it is kept.
    pub(super) fn hoard_one(&mut self) -> Result<(), RegisterError> {
        self.free_slot()?;
        self.hoard += 1;
        Ok(())
    }

    pub(super) fn drop(&mut self, place: usize) {
        let Some(mut future) = self.places[place].take() else { return };
        if let Some(armed) = future.armed.take() {
            self.left = self.left.min(future.alarm());
            self.cancelled_at.extend(armed.had);
            self.cancelled += 1;
        }
    }

    pub(super) fn reset(&mut self, place: usize, deadline: Ticks) {
        let Some(future) = &mut self.places[place] else { return };
        future.deadline = deadline;
        let alarm = future.alarm();
        if let Some(armed) = &mut future.armed {
            armed.had.push(alarm);
        }
    }

    pub(super) fn poll(&mut self, place: usize, task: usize) -> Option<Polled> {
        let (now, free) = (self.now, self.free_slot().is_ok());
        let future = self.places[place].as_mut()?;
        if let Kind::Timeout { finished: true } = future.kind {
            return Some(Polled::Finished);
        }
        if future.deadline <= now {
            let was_armed = future.armed.take().is_some();
            if was_armed {
                self.left = self.left.min(future.alarm());
                self.fired += 1;
            }
            // An interval keeps a slot that has fired.
            let keeps = matches!(future.kind, Kind::Interval { .. }) && !was_armed;
            future.holds_slot &= keeps;
            let due = future.deadline;
            let Kind::Interval { period, missed } = future.kind else {
                return Some(Polled::Ready);
            };
            future.deadline = following(due, now, period, missed);
            return Some(Polled::Tick(due));
        }
        if future.holds_slot || free && !future.deadline.is_never() {
            future.holds_slot = true;
            let mut had = vec![future.alarm()];
            had.extend(&self.cancelled_at);
            future.armed.get_or_insert(Armed { task, had }).task = task;
        } else if !future.deadline.is_never() {
            // Without a slot: it wakes its own task at once.
            self.full_repolls += 1;
            self.owe(Wake { task, from: now, at: now });
        }
        Some(Polled::Pending)
    }

    pub(super) fn shut_down(&mut self) {
        self.shut_down = true;
    }

    // ---- what the timer does ----

    /// Everything that is due is to be woken, now.
    pub(super) fn turn(&mut self) {
        let now = self.now;
        self.call().turns = true;
        self.left = Ticks::NEVER;
        self.cancelled_at.clear();
        let mut due = vec![];
        for future in self.places.iter_mut().flatten() {
            let at = future.alarm();
            if at <= now {
                let wake = |Armed { task, had }| Wake { task, from: earliest(had), at };
                due.extend(future.armed.take().map(wake));
            } else if let Some(armed) = &mut future.armed {
                armed.had.retain(|at| *at > now);
            }
        }
        self.fired += due.len() as u64;
        self.late += due.iter().map(|wake| now.since(wake.at)).sum::<u64>();
        due.into_iter().for_each(|wake| self.owe(wake));
    }

    /// A call begins; what it owes is counted from here.
    pub(super) fn begin(&mut self) {
        self.calls.push(Call::default());
    }

    /// The call has ended, and must have woken everybody.
    pub(super) fn end(&mut self) {
        let Call { owed, .. } = self.calls.pop().expect("a call was under way");
        assert!(owed.is_empty(), "not woken: {owed:?} at {:?}", self.now);
    }

    fn owe(&mut self, wake: Wake) {
        self.call().owed.push(wake);
    }

    fn call(&mut self) -> &mut Call {
        self.calls.last_mut().expect("nobody is woken but in a call")
    }

    /// This task was woken. Earlier deadlines come first; among equal ones, any does. A sleep that
    /// was moved further away, and is due all the same, may come where it would have come before. A
    /// task does not tell for which of its sleeps it was woken: for the earliest that fits.
    pub(super) fn woken(&mut self, task: usize) {
        let owed = &mut self.call().owed;
        let first = owed.iter().map(|wake| wake.at).min();
        let is_next = |wake: &Wake| wake.task == task && Some(wake.from) <= first;
        let fitting = (0..owed.len()).filter(|&index| is_next(&owed[index]));
        match fitting.min_by_key(|&index| owed[index].at) {
            Some(next) => drop(owed.swap_remove(next)),
            None => self.woken_already(task),
        }
    }

    /// A waker has made it due in a turn, which has come round again. It need not have: there is another turn
    /// to come.
    fn woken_already(&mut self, task: usize) {
        let now = self.now;
        let Call { turns, ref owed } = *self.call();
        assert!(turns && owed.is_empty(), "{task} was woken instead of {owed:?}");
        let due = |future: &&mut Future| {
            future.alarm() <= now && future.armed.as_ref().is_some_and(|armed| armed.task == task)
        };
        let futures = self.places.iter_mut().flatten().filter(due);
        let future = futures.min_by_key(|future| future.alarm());
        let future =
            future.unwrap_or_else(|| panic!("{task} was woken, and nothing of it was due"));
        future.armed = None;
        self.fired += 1;
        self.late += now.since(future.alarm());
    }

    // ---- what must be true ----

    /// The earliest time at which anything must happen; *never*, if nothing is armed.
    pub(super) fn earliest(&self) -> Ticks {
        earliest(self.armed().map(|(future, _)| future.alarm()))
    }

    /// The earliest time under which the store may have anything, after a turn.
    pub(super) fn least(&self) -> Ticks {
        earliest(self.armed().flat_map(|(_, armed)| armed.had.iter().copied()))
    }

    /// The earliest deadline of those that left since the last turn, which may keep the alarm.
    pub(super) fn left(&self) -> Ticks {
        self.left
    }

    pub(super) fn count_armed(&self) -> usize {
        self.armed().count()
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    pub(super) fn check_metrics(&self, metrics: &Metrics) {
        let armed = self.armed().count();
        assert_eq!(metrics.armed as usize, armed, "sleeps armed");
        assert_eq!(metrics.fired, self.fired, "fired");
        assert_eq!(metrics.cancelled, self.cancelled, "cancelled");
        assert_eq!(metrics.registered, armed as u64 + self.fired + self.cancelled, "registered");
        assert_eq!(metrics.full_repolls, self.full_repolls, "full_repolls");
    }
}

impl Future {
    /// When its task is to be woken: at the roundest tick that its tolerance allows.
    fn alarm(&self) -> Ticks {
        let from = self.deadline.get();
        if self.deadline.is_never() || from == 0 {
            return self.deadline;
        }
        let last = (from + self.tolerance).min(Ticks::LAST.get());
        let roundest = (from..=last).max_by_key(|at| at.trailing_zeros());
        Ticks::new(roundest.expect("there is one at least"))
    }
}

fn earliest(times: impl IntoIterator<Item = Ticks>) -> Ticks {
    times.into_iter().min().unwrap_or(Ticks::NEVER)
}

/// The tick after the one that was due at `due`, and is taken `now`.
fn following(due: Ticks, now: Ticks, period: u64, missed: MissedTickBehavior) -> Ticks {
    let next = due.after(period);
    if next > now {
        return next;
    }
    match missed {
        MissedTickBehavior::Burst => next,
        MissedTickBehavior::Delay => now.after(period),
        MissedTickBehavior::Skip => due.after((now.since(due) / period + 1).saturating_mul(period)),
    }
}
