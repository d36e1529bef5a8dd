//! What a timer has done, for the crate `metrics`: taken when it is asked for, so that arming and firing
//! pay nothing.

use std::convert::Infallible;
use std::fmt;
use std::string::String;
use std::time::Duration;

use metrics::{Counter, Gauge, SharedString, Unit, counter, gauge};
use metrics::{describe_counter, describe_gauge};
use moirai_timer_std::{Lateness, Metrics, Timer};

/// Publishes the [metrics](Timer::metrics) of a timer through the facade `metrics`, to whatever recorder
/// the program has installed.
///
/// | name | | |
/// |---|---|---|
/// | `moirai_timer_armed` | gauge | sleeps that are armed |
/// | `moirai_timer_slots` | gauge | slots that there is memory for |
/// | `moirai_timer_registered_total` | counter | sleeps that were armed |
/// | `moirai_timer_fired_total` | counter | sleeps that reached their deadline |
/// | `moirai_timer_cancelled_total` | counter | sleeps that were dropped before |
/// | `moirai_timer_full_repolls_total` | counter | polls that found no slot |
/// | `moirai_timer_turns_total`, `moirai_timer_vain_turns_total` | counter | turns, and those that found nothing to do |
/// | `moirai_timer_waker_panics_total` | counter | wakers that panicked |
/// | `moirai_timer_lateness_seconds` | gauge | how late timers fired, with a label `quantile` of 0.5, 0.9, 0.99 or 1 |
///
/// All have the label `timer`. Lateness is that of the timers which have fired since the time before, and
/// zero if there were none: it is a gauge for each quantile and no histogram, so that publishing costs the
/// same after a million timers as after one.
///
/// A recorder has to be installed before this is made.
///
/// ```
/// use moirai_timer_ext::MetricsExporter;
/// use moirai_timer_std::{Timer, block_on, timeout};
/// use std::time::Duration;
///
/// // When a scraper asks, say ..
/// let mut exporter = MetricsExporter::new(Timer::global().clone(), "global");
/// exporter.publish();
///
/// // .. or every ten seconds, in a task of its own.
/// # let _ = block_on(timeout(Duration::from_millis(1),
/// exporter.publish_every(Duration::from_secs(10))
/// # ));
/// ```
pub struct MetricsExporter {
    timer: Timer,
    counters: [Counter; COUNTERS.len()],
    armed: Gauge,
    slots: Gauge,
    lateness: [Gauge; QUANTILES.len()],
    /// As it was when it was published last.
    before: Lateness,
}

/// Name, description, value.
type Count = (&'static str, &'static str, fn(&Metrics) -> u64);

const COUNTERS: [Count; 7] = [
    ("moirai_timer_registered_total", "Sleeps that were armed", |metrics| metrics.registered),
    ("moirai_timer_fired_total", "Sleeps that reached their deadline", |metrics| metrics.fired),
    ("moirai_timer_cancelled_total", "Sleeps that were dropped before", |metrics| {
        metrics.cancelled
    }),
    ("moirai_timer_full_repolls_total", "Polls that found no slot", |metrics| metrics.full_repolls),
    ("moirai_timer_turns_total", "Turns", |metrics| metrics.turns),
    ("moirai_timer_vain_turns_total", "Turns in vain", |metrics| metrics.vain_turns),
    ("moirai_timer_waker_panics_total", "Wakers that panicked", |metrics| metrics.waker_panics),
];
const ARMED: &str = "moirai_timer_armed";
const SLOTS: &str = "moirai_timer_slots";
const LATENESS: &str = "moirai_timer_lateness_seconds";
const QUANTILES: [(&str, f64); 4] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("1", 1.0)];

impl MetricsExporter {
    /// Registers the metrics of `timer` with the recorder that is installed, under the label
    /// `timer` = `name`.
    ///
    /// ```
    /// # use moirai_timer_ext::MetricsExporter;
    /// # use moirai_timer_std::Timer;
    /// let timer = Timer::builder().thread_name("leases").build()?;
    /// let exporter = MetricsExporter::new(timer, "leases");
    /// assert!(format!("{exporter:?}").contains("leases"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(timer: Timer, name: impl Into<String>) -> MetricsExporter {
        let name = SharedString::from(name.into());
        describe_gauge!(ARMED, Unit::Count, "Sleeps that are armed");
        describe_gauge!(SLOTS, Unit::Count, "Slots that there is memory for");
        describe_gauge!(LATENESS, Unit::Seconds, "How late timers fired");
        MetricsExporter {
            counters: COUNTERS.map(|(metric, description, _)| {
                describe_counter!(metric, Unit::Count, description);
                counter!(metric, "timer" => name.clone())
            }),
            armed: gauge!(ARMED, "timer" => name.clone()),
            slots: gauge!(SLOTS, "timer" => name.clone()),
            lateness: QUANTILES.map(
                |(quantile, _)| gauge!(LATENESS, "timer" => name.clone(), "quantile" => quantile),
            ),
            before: timer.metrics().lateness,
            timer,
        }
    }

    /// Publishes what has happened so far. Costs what [`Timer::metrics`] does, waits as that does, and
    /// sets 13 values.
    ///
    /// ```
    /// use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    /// use moirai_timer_ext::MetricsExporter;
    /// use moirai_timer_std::Timer;
    /// use std::time::Duration;
    ///
    /// let recorder = DebuggingRecorder::new();
    /// let recorded = recorder.snapshotter();
    /// recorder.install().unwrap();
    ///
    /// let timer = Timer::new();
    /// let mut exporter = MetricsExporter::new(timer.clone(), "mine");
    /// timer.block_on(timer.sleep(Duration::from_millis(1)));
    /// exporter.publish();
    ///
    /// let slots = recorded.snapshot().into_vec().into_iter().find_map(|(key, _, _, value)| {
    ///     (key.key().name() == "moirai_timer_slots").then_some(value)
    /// });
    /// let Some(DebugValue::Gauge(slots)) = slots else { panic!("it was not published") };
    /// assert_eq!(slots.into_inner(), timer.metrics().slots as f64);
    /// ```
    pub fn publish(&mut self) {
        let metrics = self.timer.metrics();
        for ((.., value), counter) in COUNTERS.iter().zip(&self.counters) {
            counter.absolute(value(&metrics));
        }
        self.armed.set(metrics.armed as f64);
        self.slots.set(metrics.slots as f64);
        let lateness = metrics.lateness.since(&self.before);
        for ((_, quantile), gauge) in QUANTILES.iter().zip(&self.lateness) {
            gauge.set(lateness.quantile(*quantile).as_secs_f64());
        }
        self.before = metrics.lateness;
    }

    /// Publishes now and then every `period`, by an interval of the timer itself. Does not return; to
    /// be spawned, or dropped when it is to end.
    ///
    /// # Panics
    /// If `period` is zero.
    ///
    /// ```
    /// # use moirai_timer_ext::MetricsExporter;
    /// # use moirai_timer_std::{Timer, block_on, timeout};
    /// # use std::time::Duration;
    /// let exporter = MetricsExporter::new(Timer::global().clone(), "global");
    /// let publishing = exporter.publish_every(Duration::from_secs(10));
    /// // An executor's `spawn(publishing)`, say. It would go on for ever.
    /// assert!(block_on(timeout(Duration::from_millis(1), publishing)).is_err());
    /// ```
    #[track_caller]
    pub fn publish_every(mut self, period: Duration) -> impl Future<Output = Infallible> + Send {
        let mut ticks = self.timer.interval(period);
        async move {
            loop {
                ticks.tick().await;
                self.publish();
            }
        }
    }
}

impl fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsExporter").field("timer", &self.timer).finish_non_exhaustive()
    }
}
