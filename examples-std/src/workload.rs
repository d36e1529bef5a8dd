//! Which sleeps there are, when each is created, and what happens to it on the way.
//!
//! Everything is drawn before the storm starts, so that the same seed plays the same script on
//! every executor.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use moirai_timer_std::Timer;

use crate::options::Options;
use crate::random::Random;
use crate::replay;

/// One sleep of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// When it is created, counted from the start.
    pub(crate) at: Duration,
    /// Its deadline, counted from its creation.
    pub(crate) duration: Duration,
    pub(crate) fate: Fate,
}

/// What happens to a sleep on the way. Times count from its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing: it completes.
    Kept,
    /// It is dropped.
    Cancelled { after: Duration },
    /// It gets another deadline.
    Reset { after: Duration, to: Duration },
}

/// The script of a storm.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) sleeps: Vec<Planned>,
    /// No deadline and no fate is nearer to a sleep's creation than this: the time that it takes
    /// to create all of them, if they are to be armed at once.
    pub(crate) lead: Duration,
}

/// How much time a storm gives itself to arm its sleeps; some three times what it takes.
const LEAD_EACH: Duration = Duration::from_micros(3);
const LEAD_AT_LEAST: Duration = Duration::from_millis(100);
/// A reset adds this much at most to a sleep of a replay.
const LATER_AT_MOST: Duration = Duration::from_secs(1);

impl Workload {
    /// Draws or reads what the options ask for.
    ///
    /// # Errors
    /// If it cannot be read, or is more than the timer or its clock can hold.
    pub(crate) fn new(options: &Options) -> Result<Workload> {
        let limits = Limits::of(&Timer::new());
        let mut random = Random::new(options.seed);
        let mut workload = match &options.replay {
            Some(file) => {
                let sleeps = replay::read(file, limits.reach)?;
                ensure!(!sleeps.is_empty(), "{file:?} has no rows, so there is no sleep to run");
                limits.check_count(sleeps.len() as u64)?;
                Workload { sleeps, lead: Duration::ZERO }
            }
            None => {
                ensure!(options.count > 0, "--count 0 leaves no sleep to run");
                limits.check_count(options.count)?;
                Workload::drawn(options.count as u32, options.over, limits.reach, &mut random)?
            }
        };
        workload.decide_fates(options.cancel, options.reset, &mut random);
        Ok(workload)
    }

    /// `count` sleeps that exist at once, and end at random over `over`.
    fn drawn(count: u32, over: Duration, reach: Duration, random: &mut Random) -> Result<Workload> {
        let lead = (LEAD_EACH * count).max(LEAD_AT_LEAST);
        if lead.checked_add(over).is_none_or(|longest| longest > reach) {
            let years = reach.as_secs() / (365 * 86_400);
            bail!("--over {over:?} is beyond the timer's clock, which reaches {years} years ahead");
        }
        let over = over.as_nanos() as u64;
        let sleeps = (0..count).map(|_| Planned {
            at: Duration::ZERO,
            duration: lead + Duration::from_nanos(random.below(over)),
            fate: Fate::Kept,
        });
        Ok(Workload { sleeps: sleeps.collect(), lead })
    }

    /// Picks exactly those shares, rounded, and when it happens to them.
    fn decide_fates(&mut self, cancel: f64, reset: f64, random: &mut Random) {
        let count = self.sleeps.len();
        let share = |percent: f64| (count as f64 * percent / 100.0).round() as usize;
        let cancelled = share(cancel);
        let touched = (cancelled + share(reset)).min(count);
        let mut order: Vec<u32> = (0..count as u32).collect();
        for index in 0..touched {
            order.swap(index, random.between(index as u64, count as u64) as usize);
            let sleep = &mut self.sleeps[order[index] as usize];
            let (lead, end) = (self.lead.as_nanos() as u64, sleep.duration.as_nanos() as u64);
            let after = random.between(lead, end);
            // As likely sooner as later, by as much as was left.
            let later = (end - after).min(LATER_AT_MOST.as_nanos() as u64);
            let to = random.between(after, end + later);
            let (after, to) = (Duration::from_nanos(after), Duration::from_nanos(to));
            sleep.fate = match index < cancelled {
                true => Fate::Cancelled { after },
                false => Fate::Reset { after, to },
            };
        }
    }

    /// How many sleeps are to be cancelled, and how many to be reset.
    pub(crate) fn touched(&self) -> (usize, usize) {
        let count = |wanted: fn(&Fate) -> bool| {
            self.sleeps.iter().filter(|sleep| wanted(&sleep.fate)).count()
        };
        (
            count(|fate| matches!(fate, Fate::Cancelled { .. })),
            count(|fate| matches!(fate, Fate::Reset { .. })),
        )
    }
}

/// What a timer can hold.
struct Limits {
    /// How far ahead a deadline may be.
    reach: Duration,
}

impl Limits {
    fn of(timer: &Timer) -> Limits {
        let never = timer.never().deadline();
        let room = Duration::from_secs(3600) + LATER_AT_MOST;
        Limits { reach: never.saturating_duration_since(Instant::now()).saturating_sub(room) }
    }

    /// The timer itself knows best how many sleeps it holds.
    fn check_count(&self, count: u64) -> Result<()> {
        let capacity = usize::try_from(count).unwrap_or(usize::MAX);
        match Timer::builder().capacity(capacity).build() {
            Ok(_) if u32::try_from(count).is_ok() => Ok(()),
            Ok(_) => bail!("{count} sleeps are more than this program can number"),
            Err(error) => bail!("{count} sleeps are too many: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(arguments: &str) -> Result<Workload> {
        let words = ["storm"].into_iter().chain(arguments.split_whitespace());
        Workload::new(&Options::parse_from_arguments(words.map(Into::into)).unwrap())
    }

    #[test]
    fn a_seed_names_a_workload() {
        let draw = |seed| {
            let arguments = format!("--count 500 --cancel 20 --reset 30 --seed {seed}");
            workload(&arguments).unwrap().sleeps
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn deadlines_lie_behind_the_lead_and_within_the_span() {
        let workload = workload("--count 1000 --over 50ms").unwrap();
        let span = workload.lead..workload.lead + Duration::from_millis(50);
        assert!(workload.sleeps.iter().all(|sleep| span.contains(&sleep.duration)));
        assert_eq!(workload.touched(), (0, 0));
    }

    #[test]
    fn shares_are_met_exactly() {
        for (shares, expected) in [
            ("--cancel 10 --reset 25", (100, 250)),
            ("--cancel 0.1", (1, 0)),
            ("--reset 100", (0, 1000)),
            ("--cancel 99.95 --reset 0.05", (1000, 0)),
        ] {
            let workload = workload(&format!("--count 1000 {shares}")).unwrap();
            assert_eq!(workload.touched(), expected, "{shares}");
        }
    }

    #[test]
    fn fates_strike_while_the_sleep_waits() {
        let workload = workload("--count 2000 --cancel 50 --reset 50").unwrap();
        let (mut sooner, mut later) = (0, 0);
        for Planned { duration, fate, .. } in &workload.sleeps {
            match fate {
                Fate::Kept => panic!("all were to be touched"),
                Fate::Cancelled { after } => {
                    assert!((workload.lead..*duration).contains(after));
                }
                Fate::Reset { after, to } => {
                    assert!((workload.lead..*duration).contains(after) && to >= after);
                    *(if to < duration { &mut sooner } else { &mut later }) += 1;
                }
            }
        }
        assert!(sooner > 300 && later > 300, "{sooner} sooner, {later} later");
    }

    #[test]
    fn impossible_amounts_are_refused() {
        for (arguments, part) in [
            ("--count 0", "no sleep to run"),
            ("--count 18446744073709551615", "too many"),
            ("--over 40years", "beyond the timer's clock"),
            ("--over 500000000000years", "beyond the timer's clock"),
        ] {
            let message = workload(arguments).expect_err(arguments).to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{arguments}: {message}");
        }
    }

    #[test]
    fn a_span_of_a_nanosecond_will_do() {
        let workload = workload("--count 10 --over 1ns --cancel 50 --reset 50").unwrap();
        assert_eq!(workload.touched(), (5, 5));
    }
}
