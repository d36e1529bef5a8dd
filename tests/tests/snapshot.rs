//! Metrics can be written down, sent elsewhere, and read back.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use moirai_timer_core::{ManualDriver, Metrics as CoreMetrics, Timer as CoreTimer};
use moirai_timer_std::{Lateness, Metrics, Timer};
use moirai_timer_tests::{Task, on_live_threads};
use serde_json::{from_str, from_value, json, to_string, to_value};

const HOUR: Duration = Duration::from_secs(3_600);

/// A timer that has something of everything to tell.
fn eventful() -> Timer {
    let timer = Timer::builder().shards(1).without_thread().build().unwrap();
    let mut far = timer.sleep(HOUR);
    assert!(Task::new().polls(|cx| Pin::new(&mut far).poll(cx)).is_pending());
    for micros in [0, 100, 1_000] {
        let mut sleep = timer.sleep(HOUR);
        assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        sleep.reset_after(Duration::from_micros(micros));
        // However late it is: the first one is due, and fired by this.
        timer.turn();
        timer.block_on(sleep);
    }
    drop(far);
    timer
}

#[test]
fn a_snapshot_of_a_timer_survives_json() {
    let metrics = eventful().metrics();
    assert!(metrics.fired > 0 && metrics.cancelled == 1 && metrics.turns > 0, "{metrics:?}");
    let json = to_string(&metrics).unwrap();
    assert_eq!(from_str::<Metrics>(&json).unwrap(), metrics, "{json}");
}

/// Whoever reads a snapshot elsewhere, in another language, relies on these names.
#[test]
fn a_snapshot_has_names_and_units() {
    let value = to_value(eventful().metrics()).unwrap();
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "armed",
            "cancelled",
            "fired",
            "full_repolls",
            "lateness",
            "registered",
            "slots",
            "turns",
            "vain_turns",
            "waker_panics"
        ]
    );
    assert_eq!(to_value(Lateness::default()).unwrap(), json!({ "max_nanos": 0, "buckets": [] }));
}

#[test]
fn a_histogram_survives_json_with_all_that_can_be_asked_of_it() {
    let written = json!({ "max_nanos": 70_000, "buckets": [[15, 2], [8_191, 40], [73_727, 1]] });
    let lateness: Lateness = from_value(written.clone()).unwrap();
    assert_eq!(lateness.count(), 43);
    assert_eq!(lateness.quantile(0.5), Duration::from_nanos(8_191));
    assert_eq!(lateness.max(), Duration::from_micros(70));
    assert_eq!(lateness.buckets().last(), Some((Duration::from_nanos(73_727), 1)));
    assert_eq!(to_value(&lateness).unwrap(), written);
}

#[test]
fn a_histogram_with_other_buckets_is_refused_with_the_reason() {
    let refuses = |buckets, because: &str| {
        let written = json!({ "max_nanos": 9, "buckets": buckets });
        let error = from_value::<Lateness>(written).unwrap_err().to_string();
        assert!(error.contains(because), "{error:?} does not say {because:?}");
    };
    refuses(json!([[8_000, 1]]), "no bucket of the histogram ends at 8000 ns");
    refuses(json!([[u64::MAX, 1]]), "no bucket of the histogram ends at 18446744073709551615 ns");
    refuses(json!([[15, u64::MAX], [15, 1]]), "up to the bucket of 15 ns are more than");
    refuses(json!([[14, u64::MAX], [15, 1]]), "up to the bucket of 15 ns are more than");
    refuses(json!([[15, 1]]), "of 9 ns is in no bucket that is used: the last begins at 15 ns");
    refuses(
        json!([[8_191, 1]]),
        "of 9 ns is in no bucket that is used: the last begins at 7680 ns",
    );
}

#[test]
fn what_an_older_version_did_not_count_is_zero() {
    let old: Metrics = from_value(json!({ "fired": 7 })).unwrap();
    assert_eq!((old.fired, old.waker_panics, old.lateness), (7, 0, Lateness::default()));
}

#[test]
fn a_snapshot_of_a_timer_of_the_core_survives_json() {
    let timer = CoreTimer::<ManualDriver<1_000>, 2>::new(ManualDriver::new());
    let mut sleep = timer.sleep(Duration::from_millis(5));
    assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    timer.driver().advance(5);
    timer.on_alarm();
    let metrics = timer.metrics().unwrap();
    let value = to_value(metrics).unwrap();
    assert_eq!((&value["fired"], &value["armed"]), (&json!(1), &json!(0)));
    assert_eq!(from_value::<CoreMetrics>(value).unwrap(), metrics);
}

/// The figures of the shards add up to the timer's.
#[test]
fn shards_tell_their_part() {
    let timer = Timer::builder().shards(4).without_thread().build().unwrap();
    let arm = || {
        let mut sleep = timer.sleep(HOUR);
        assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        sleep
    };
    let sleeps = on_live_threads([arm; 12]);
    let shards = timer.shard_metrics();
    assert_eq!(shards.len(), 4);
    assert!(shards.iter().filter(|shard| shard.armed > 0).count() > 1, "{shards:?}");
    assert_eq!(shards.iter().map(|shard| shard.armed).sum::<u64>(), sleeps.len() as u64);
    assert_eq!(shards.iter().map(|shard| shard.slots).sum::<u64>(), timer.metrics().slots);
}
