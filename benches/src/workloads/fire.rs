//! Timers that fire: what each costs, how late it is, and whether any gets lost.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    BATCH, Metric, Places, Sample, Workload, compared, figure, grouped, nanos_per, quantile,
};
use crate::alarm::Alarm;
use crate::peers::Peer;
use crate::usage::cpu_of;

/// Who was not woken so long after the last deadline is lost.
const GRACE: Duration = Duration::from_secs(60);

pub struct Fire {
    count: usize,
    /// Until the first deadline: time to register them all.
    lead: Duration,
    /// The time over which the deadlines are spread.
    spread: Duration,
}

impl Fire {
    pub fn variants(quick: bool) -> Vec<Fire> {
        let millis = Duration::from_millis;
        let all = |(count, lead)| Fire { count, lead: millis(lead), spread: millis(2_000) };
        if quick {
            return vec![Fire { count: 1_000, lead: millis(50), spread: millis(100) }];
        }
        [(1_000, 1_000), (100_000, 1_000), (1_000_000, 2_500)].map(all).into()
    }
}

impl Workload for Fire {
    const NAME: &'static str = "fire";
    const ABOUT: &'static str = "Sleeps with deadlines at random over 2 s, the same for all. They \
        are armed beforehand by one thread, within the second before the first deadline (2.5 s for \
        a million). Lateness is read from the clock inside the waker. CPU is that of the whole \
        process from the first registration until the last sleep is dropped. Lost is who was not \
        woken within 60 s.";
    const METRICS: &'static [Metric] = &[
        compared("CPU ns/timer", 0),
        compared("late p50 us", 1),
        compared("p99 us", 1),
        figure("p99.9 us", 1),
        figure("early", 0),
        figure("lost", 0),
        figure("armed in ms", 1),
    ];
    const HAS_PRECISION: bool = true;
    const REPEATED: bool = false;

    fn table(&self) -> String {
        format!("{} timers", grouped(self.count))
    }

    fn measure<P: Peer>(&self, peer: &P) -> Sample {
        let mut rng = Rng::with_seed(1);
        let places = Places::<P::Sleep>::new(self.count);
        let spread = self.spread.as_nanos() as u64;
        let offsets: Vec<_> =
            (0..self.count).map(|_| Duration::from_nanos(rng.u64(..spread))).collect();
        // Making the alarms takes a while, so the lead begins after that.
        let start = Instant::now() + self.lead + Duration::from_nanos(500) * self.count as u32;
        let alarms: Arc<[_]> = offsets.iter().map(|offset| Alarm::at(start + *offset)).collect();
        let last = start + self.spread;

        let work = || {
            thread::sleep((start - self.lead).saturating_duration_since(Instant::now()));
            let begin = Instant::now();
            let places = peer.run(vec![arm(peer.clone(), places, alarms.clone())]);
            let armed = begin.elapsed();
            wait(&alarms, last);
            drop(places);
            armed
        };
        let (armed, cpu) = cpu_of(work);

        let mut lateness: Vec<_> = alarms.iter().filter_map(|alarm| alarm.lateness()).collect();
        lateness.sort_unstable();
        let early = lateness.partition_point(|late| *late < 0);
        let micros = |share| Some(quantile(&lateness, share) as f64 / 1e3);
        let values = vec![
            cpu.map(|cpu| nanos_per(self.count, cpu)),
            micros(0.5),
            micros(0.99),
            micros(0.999),
            Some(early as f64),
            Some((self.count - lateness.len()) as f64),
            Some(armed.as_secs_f64() * 1e3),
        ];
        Sample { values, lateness }
    }
}

pub(super) async fn arm<P: Peer>(
    peer: P,
    mut places: Places<P::Sleep>,
    alarms: Arc<[Arc<Alarm>]>,
) -> Places<P::Sleep> {
    for (batch, some) in alarms.chunks(BATCH).enumerate() {
        for (place, alarm) in some.iter().enumerate() {
            let sleep = peer.sleep_until(alarm.deadline());
            if !places.arm(batch * BATCH + place, sleep, &alarm.clone().into()) {
                // The registration took longer than the lead.
                alarm.ring();
            }
        }
        peer.breathe().await;
    }
    places
}

/// Returns when all alarms have rung, or no more will.
fn wait(alarms: &[Arc<Alarm>], last: Instant) {
    thread::sleep(last.saturating_duration_since(Instant::now()));
    let mut silent = alarms.iter().filter(|alarm| alarm.lateness().is_none()).peekable();
    while let Some(alarm) = silent.peek() {
        while alarm.lateness().is_none() {
            if last.elapsed() > GRACE {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        silent.next();
    }
}
