//! A million timers that are due at once, and somebody who has nothing to do with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Metric, Places, Sample, Workload, compared, figure, fire, precise, quantile};
use crate::alarm::Alarm;
use crate::peers::Peer;

/// What the bystander waits for, again and again.
const NAP: Duration = Duration::from_millis(1);
/// Who was not woken so long after the deadline is lost.
const GRACE: Duration = Duration::from_secs(60);

pub struct Burst {
    count: usize,
    /// Until they are due.
    lead: Duration,
}

impl Burst {
    pub fn variants(quick: bool) -> Vec<Burst> {
        let (count, lead) = if quick { (1_000, 100) } else { (1_000_000, 3_000) };
        vec![Burst { count, lead: Duration::from_millis(lead) }]
    }
}

impl Workload for Burst {
    const NAME: &'static str = "burst";
    const ABOUT: &'static str = "A million sleeps with the same deadline, armed by one thread; and \
        another thread with sleeps of 1 ms, one after the other: of these, the ones that end between that \
        deadline and the last wake-up count. Lateness is read from the clock inside the wakers. Each peer in a process of its own: \
        after workloads with millions of timers, what it has of memory is scattered.";
    const METRICS: &'static [Metric] = &[
        compared("woken within ms", 0),
        compared("bystander late p50 us", 1),
        compared("max us", 0),
        figure("lost", 0),
    ];
    const HAS_PRECISION: bool = true;
    const REPEATED: bool = false;
    const ALONE: bool = true;

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let places = Places::<P::Sleep>::new(self.count);
        let deadline = Instant::now() + self.lead;
        let alarms: Arc<[_]> = (0..self.count).map(|_| Alarm::at(deadline)).collect();
        let jobs = [Some(places), None].map(|places| job(peer.clone(), places, alarms.clone()));
        let mut results = peer.run(jobs.into()).into_iter();
        let (Some((_places, _)), Some((_, mut naps))) = (results.next(), results.next()) else {
            unreachable!("there are two jobs");
        };
        naps.sort_unstable();
        let late: Vec<_> = alarms.iter().filter_map(|alarm| alarm.lateness()).collect();
        Sample::of([
            late.iter().max().map(|late| *late as f64 / 1e6),
            Some(quantile(&naps, 0.5) as f64 / 1e3),
            naps.last().map(|late| *late as f64 / 1e3),
            Some((self.count - late.len()) as f64),
        ])
    }
}

/// Arms the crowd in the places, or, without any, naps; how late it was woken then.
async fn job<P: Peer>(
    peer: P,
    places: Option<Places<P::Sleep>>,
    alarms: Arc<[Arc<Alarm>]>,
) -> (Option<Places<P::Sleep>>, Vec<i64>) {
    if let Some(places) = places {
        return (Some(fire::arm(peer, places, alarms).await), Vec::new());
    }
    let deadline = alarms[0].deadline();
    let end = deadline + GRACE;
    let mut silent = alarms.iter().peekable();
    let mut naps = Vec::new();
    while silent.peek().is_some() && Instant::now() < end {
        let late = precise::one(&peer, NAP).await;
        while silent.next_if(|alarm| alarm.lateness().is_some()).is_some() {}
        if Instant::now() >= deadline {
            naps.push(late);
        }
    }
    (None, naps)
}
