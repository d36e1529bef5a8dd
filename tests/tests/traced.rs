//! What a timer tells `tracing`, by a real subscriber that writes it all down.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use moirai_timer_std::{Sleep, Timer};
use moirai_timer_tests::{Task, until};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const HOUR: Duration = Duration::from_secs(3_600);

/// An event, or a span that has been closed.
#[derive(Clone, Debug)]
struct Told {
    level: Level,
    /// The message or the span's name is that of the field `message`.
    fields: Fields,
    within: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }
}

impl Told {
    fn is(&self, message: &str) -> bool {
        self["message"] == *message
    }
}

impl std::ops::Index<&str> for Told {
    type Output = str;

    fn index(&self, field: &str) -> &str {
        self.fields.0.get(field).map_or("", String::as_str)
    }
}

static ALL: Mutex<Vec<Told>> = Mutex::new(Vec::new());

fn tell(told: Told) {
    ALL.lock().unwrap_or_else(PoisonError::into_inner).push(told);
}

/// What the subscriber uses itself, whenever it hears of a span.
#[cfg(feature = "test-util")]
static VIRTUAL: OnceLock<moirai_timer_std::test::VirtualClock> = OnceLock::new();

/// What the subscriber uses itself, whenever it hears of it.
static USED: OnceLock<Timer> = OnceLock::new();

struct WritesDown;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for WritesDown {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "moirai_timer" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let within = context.event_span(event).map(|span| span.name());
            if let Some(timer) = USED.get().filter(|_| fields.0["timer"] == "is-used") {
                let mut sleep = timer.sleep(HOUR * 2);
                let _ = poll(&mut sleep, &Task::new());
                let _ = (timer.metrics(), format!("{timer:?} {sleep:?}"));
            }
            let starts = fields.0["message"] == *"the timer's thread started";
            let panics = match &*fields.0["timer"] {
                "panics" => within == Some("turn"),
                "panics-at-first" => starts,
                _ => false,
            };
            tell(Told { level: *event.metadata().level(), fields, within });
            if panics {
                std::panic::resume_unwind(Box::new("this subscriber panics"));
            }
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        #[cfg(feature = "test-util")]
        if let Some(clock) = VIRTUAL.get() {
            let _ = (clock.timer().metrics(), clock.timer().next_deadline());
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        record.record(context.span(id).unwrap().extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let mut fields = span.extensions_mut().remove::<Fields>().unwrap();
        fields.0.insert("message", span.name().into());
        tell(Told { level: *span.metadata().level(), fields, within: None });
    }
}

/// What the timer with a thread of this name has told so far.
fn told_by(timer: &str) -> Vec<Told> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter(|told| told["timer"] == *timer).cloned().collect()
}

/// A timer whose thread has this name, which nobody else's has.
fn timer(name: &str) -> Timer {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(WritesDown);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    Timer::builder().shards(1).capacity(300).thread_name(name).build().unwrap()
}

fn poll(sleep: &mut Sleep, task: &Task) -> bool {
    task.polls(|cx| Pin::new(sleep).poll(cx)).is_ready()
}

#[test]
fn the_thread_says_when_it_starts_and_ends_and_a_timer_when_it_is_shut_down() {
    let timer = timer("lives");
    assert!(told_by("lives").is_empty(), "it has not been used");
    let mut sleep = timer.sleep(HOUR);
    assert!(!poll(&mut sleep, &Task::new()));
    until(|| told_by("lives").iter().any(|told| told.is("the timer's thread started")));
    timer.shutdown();
    drop((sleep, timer));
    until(|| told_by("lives").iter().any(|told| told.is("the timer's thread ended")));
    let debug: Vec<_> = told_by("lives").into_iter().filter(|t| t.level == Level::DEBUG).collect();
    let messages: Vec<_> = debug.iter().map(|told| &told["message"]).collect();
    assert!(messages.contains(&"the timer was shut down"), "{messages:?}");
    assert_eq!(messages.iter().filter(|told| told.contains("thread")).count(), 2);
}

#[test]
fn a_pool_says_that_it_grew_and_once_it_is_full_that_tasks_are_busy() {
    let timer = timer("fills");
    let task = Task::new();
    let mut sleeps: Vec<_> = (0..300).map(|_| timer.sleep(HOUR)).collect();
    assert!(sleeps.iter_mut().all(|sleep| !poll(sleep, &task)));
    let growth: Vec<_> =
        told_by("fills").into_iter().filter(|told| told.is("the pool grew")).collect();
    let growth: Vec<_> = growth.iter().map(|told| (&told["shard"], &told["slots"])).collect();
    assert_eq!(growth, [("0", "256"), ("0", "300")]);

    let full = || -> Vec<_> {
        let warnings = told_by("fills").into_iter().filter(|told| told.level == Level::WARN);
        warnings.map(|told| (told["times"].to_owned(), told["shut_down"].to_owned())).collect()
    };
    assert_eq!(full(), []);
    let mut stranded = timer.sleep(HOUR);
    for _ in 0..5 {
        assert!(!poll(&mut stranded, &task));
    }
    let pairs = |times: &[&str]| -> Vec<_> {
        times.iter().map(|times| (times.to_string(), "false".to_owned())).collect()
    };
    assert_eq!(full(), pairs(&["1", "2", "4"]));
    assert!(timer.try_sleep(HOUR).is_err(), "who is told by an error needs no warning");
    assert_eq!(full().len(), 3);
}

#[test]
fn a_turn_is_a_span_that_says_how_many_fired() {
    let timer = timer("turns");
    let task = Task::new();
    let mut far = timer.sleep(HOUR);
    assert!(!poll(&mut far, &task));
    let before = timer.metrics();
    let mut sleeps: Vec<_> = (0..3).map(|_| timer.sleep(HOUR)).collect();
    sleeps.iter_mut().for_each(|sleep| assert!(!poll(sleep, &task)));
    sleeps.iter_mut().for_each(|sleep| sleep.reset_after(Duration::from_millis(20)));
    until(|| timer.metrics().armed == 1);
    let fired = timer.metrics().lateness.count() - before.lateness.count();
    assert_eq!(fired, 3);
    let spans = || told_by("turns").into_iter().filter(|told| told.is("turn"));
    until(|| {
        spans().map(|turn| turn["fired"].parse::<u64>().unwrap()).sum::<u64>() == fired
            && spans().any(|turn| turn["next_in"].ends_with('s'))
    });
    assert!(spans().all(|turn| turn.level == Level::TRACE));
}

#[test]
fn a_panic_of_a_waker_is_told_within_the_turn_with_what_it_said() {
    let timer = timer("shaken");
    let task = Task::new();
    let hook = || std::panic::resume_unwind(Box::new("this waker panics"));
    task.hooked(&hook, || {
        let mut sleep = timer.sleep(HOUR);
        assert!(!poll(&mut sleep, &task));
        sleep.reset_after(Duration::from_millis(5));
        let told = || told_by("shaken").into_iter().find(|told| told.is("a waker panicked"));
        // The thread counts a panic before it tells of it.
        until(|| told().is_some());
        let panic = told().unwrap();
        assert_eq!(timer.metrics().waker_panics, 1);
        assert_eq!((panic.level, &panic["said"]), (Level::WARN, "this waker panics"));
        assert_eq!(panic.within, Some("turn"));
    });
}

#[test]
fn a_timer_without_a_thread_tells_under_no_name() {
    drop(timer("listens"));
    let timer = Timer::builder().shards(1).without_thread().build().unwrap();
    // Nobody turns for a sleep that is due at once, as what is too soon for a slow machine is.
    let turns = |wait| {
        timer.block_on(timer.sleep(Duration::from_millis(wait)));
        told_by("").iter().any(|told| told.is("turn"))
    };
    assert!([1, 100, 10_000].into_iter().any(turns));
    assert!(told_by("").iter().all(|told| !told["message"].contains("thread")));
}

/// Nothing is held while something is told.
#[test]
fn a_subscriber_may_use_the_timer_that_it_hears_of() {
    let timer = USED.get_or_init(|| timer("is-used"));
    let task = Task::new();
    let mut sleeps: Vec<_> = (0..300).map(|_| timer.sleep(HOUR)).collect();
    sleeps.iter_mut().for_each(|sleep| assert!(!poll(sleep, &task)));
    let hook = || std::panic::resume_unwind(Box::new("this waker panics"));
    task.hooked(&hook, || {
        sleeps[7].reset_after(Duration::from_millis(1));
        // The subscriber has armed its sleep when it has heard of it.
        until(|| told_by("is-used").iter().any(|told| told.is("a waker panicked")));
    });
    drop(sleeps);
    timer.shutdown();
    let heard = ["the pool grew", "no slot: a sleep keeps its task busy until it is due"];
    let heard = heard.into_iter().chain(["a waker panicked", "the timer was shut down"]);
    // The thread counts a panic before it tells of it.
    for message in heard {
        until(|| told_by("is-used").iter().any(|told| told.is(message)));
    }
}

/// It is in the hands of the thread, which goes on.
#[test]
fn a_subscriber_that_panics_in_a_turn_does_not_end_the_thread() {
    let timer = timer("panics");
    let (first, others) = (Task::new(), Task::new());
    let (mut sleep, mut after) = (timer.sleep(HOUR), timer.sleep(HOUR));
    assert!(!poll(&mut sleep, &first) && !poll(&mut after, &others));
    let hook = || std::panic::resume_unwind(Box::new("this waker panics"));
    first.hooked(&hook, || {
        sleep.reset_after(Duration::from_millis(1));
        until(|| told_by("panics").iter().any(|told| told.is("a waker panicked")));
    });
    after.reset_after(Duration::from_millis(1));
    until(|| others.wakes() == 1);
}

#[test]
fn a_subscriber_that_panics_when_the_thread_starts_does_not_end_it() {
    let timer = timer("panics-at-first");
    let task = Task::new();
    let mut sleep = timer.sleep(HOUR);
    assert!(!poll(&mut sleep, &task));
    sleep.reset_after(Duration::from_millis(1));
    until(|| task.wakes() == 1);
    let started = |told: &Told| told.is("the timer's thread started");
    until(|| told_by("panics-at-first").iter().any(started));
}

#[cfg(feature = "test-util")]
#[test]
fn a_subscriber_may_use_a_timer_on_a_virtual_clock() {
    drop(timer("listens"));
    let clock = VIRTUAL.get_or_init(moirai_timer_std::test::VirtualClock::new);
    let sleep = clock.timer().sleep(HOUR);
    moirai_timer_std::block_on(clock.auto_advance(sleep));
    assert_eq!(clock.elapsed(), HOUR);
}
