//! A timer's metrics, through the facade `metrics`, as a recorder sees them.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use moirai_timer_ext::{FutureExt, MetricsExporter};
use moirai_timer_std::test::VirtualClock;
use moirai_timer_std::{Timer, block_on};

const SECOND: Duration = Duration::from_secs(1);

/// The values that a recorder holds, which forgets them when it is asked.
struct Values(BTreeMap<String, f64>);

impl Values {
    fn of(snapshotter: &Snapshotter) -> Values {
        let all = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(_) => panic!("there is none"),
            };
            let label = |label: &metrics::Label| format!(" {}={}", label.key(), label.value());
            let labels: String = key.key().labels().map(label).collect();
            (format!("{}{labels}", key.key().name()), value)
        });
        Values(all.collect())
    }

    /// By name, and labels but for the prefix that all have.
    #[track_caller]
    fn get(&self, metric: &str) -> f64 {
        let value = self.0.get(&format!("moirai_timer_{metric}"));
        *value.unwrap_or_else(|| panic!("{metric} is not among {:#?}", self.0))
    }
}

/// Runs `test` with a recorder of its own, and a way to look at it.
fn recorded(test: impl FnOnce(&dyn Fn() -> Values)) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || test(&|| Values::of(&snapshotter)));
}

#[test]
fn what_a_timer_has_done_is_published_when_it_is_asked_for() {
    recorded(|values| {
        let clock = VirtualClock::new();
        let timer = clock.timer();
        let mut exporter = MetricsExporter::new(timer.clone(), "mine");
        block_on(clock.auto_advance(async {
            timer.sleep(SECOND).await;
            let _ = std::future::pending::<()>().timeout_on(timer.clone(), SECOND).await;
            let _ = timer.sleep(SECOND * 9).timeout_on(timer.clone(), SECOND).await;
        }));
        assert_eq!(values().get("fired_total timer=mine"), 0.0, "nobody has asked");
        exporter.publish();
        let values = values();
        let metrics = timer.metrics();
        assert!(metrics.turns > 0);
        for (metric, value) in [
            ("armed", 0.0),
            ("slots", 256.0),
            ("registered_total", 4.0),
            ("fired_total", 3.0),
            ("cancelled_total", 1.0),
            ("full_repolls_total", 0.0),
            ("turns_total", metrics.turns as f64),
            ("vain_turns_total", metrics.vain_turns as f64),
            ("waker_panics_total", 0.0),
        ] {
            assert_eq!(values.get(&format!("{metric} timer=mine")), value, "{metric}");
        }
    });
}

#[test]
fn timers_are_told_apart_by_their_names() {
    recorded(|values| {
        for (name, rounds) in [("a", 1), ("b", 2)] {
            let clock = VirtualClock::new();
            let timer = clock.timer();
            let mut exporter = MetricsExporter::new(timer.clone(), name);
            block_on(clock.auto_advance(async {
                for _ in 0..rounds {
                    timer.sleep(SECOND).await;
                }
            }));
            exporter.publish();
        }
        let values = values();
        assert_eq!(values.get("fired_total timer=a"), 1.0);
        assert_eq!(values.get("fired_total timer=b"), 2.0);
    });
}

/// The interval is the timer's own, so here it is virtual.
#[test]
fn it_is_published_at_an_interval_as_long_as_somebody_polls() {
    recorded(|values| {
        let clock = VirtualClock::new();
        let timer = clock.timer();
        let exporter = MetricsExporter::new(timer.clone(), "ticking");
        let publishing = exporter.publish_every(SECOND * 10).timeout_on(timer.clone(), SECOND * 61);
        let work = async {
            for _ in 0..70 {
                timer.sleep(SECOND).await;
            }
        };
        let (_, ended) = block_on(clock.auto_advance(futures_util::future::join(work, publishing)));
        assert!(ended.is_err());
        // For the last time at 60 s, when 60 of the sleeps had fired, and six times the interval.
        assert_eq!(values().get("fired_total timer=ticking"), 66.0);
    });
}

/// By a system's clock something is late, and is forgotten once it was published.
#[test]
fn lateness_is_that_of_the_time_since_it_was_published_last() {
    recorded(|values| {
        let timer = Timer::builder().shards(1).without_thread().build().unwrap();
        let mut exporter = MetricsExporter::new(timer.clone(), "late");
        while timer.metrics().lateness.count() == 0 {
            timer.block_on(timer.sleep(Duration::from_millis(1)));
        }
        let quantiles = || {
            let values = values();
            ["0.5", "0.9", "0.99", "1"].map(|quantile| {
                values.get(&format!("lateness_seconds timer=late quantile={quantile}"))
            })
        };
        exporter.publish();
        let late = quantiles();
        assert!(late.is_sorted() && late[0] > 0.0, "{late:?}");
        assert!(late[3] <= timer.metrics().lateness.max().as_secs_f64());
        exporter.publish();
        assert_eq!(quantiles(), [0.0; 4]);
    });
}

#[test]
#[should_panic = "the period of an interval must not be zero"]
fn a_period_of_zero_panics_where_it_is_asked_for() {
    let exporter = MetricsExporter::new(Timer::global().clone(), "global");
    drop(exporter.publish_every(Duration::ZERO));
}
