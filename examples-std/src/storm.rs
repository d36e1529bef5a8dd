//! Plays a script of sleeps on one executor, and measures.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use moirai_timer_std::{Precision, Timer};

use crate::executors::{self, Executor};
use crate::options::Kind;
use crate::outcome::{Distribution, Engine, Outcome};
use crate::shot::{Action, Board, Order, Shot};
use crate::usage;
use crate::watch::Watch;
use crate::workload::{Fate, Planned, Workload};

/// A sleep that has not completed so long after the last deadline is lost.
const GRACE: Duration = Duration::from_secs(30);
/// With fewer sleeps at once, what a thread's stack takes would drown what they take.
const ENOUGH_TO_WEIGH: usize = 10_000;

/// Something that happens at a time, counted from the start.
struct Event {
    at: Duration,
    what: What,
}

enum What {
    /// The sleep of this index is created.
    Create(u32, Duration, Option<Arc<Order>>),
    /// Its task is told to cancel or to reset it.
    Give(Arc<Order>),
}

/// Runs the workload to its end, or until what is missing counts as lost.
///
/// To be called once in a process: the memory that one run leaves behind would hide what the next
/// one takes.
///
/// # Errors
/// If the system refuses a thread.
pub(crate) fn run(kind: Kind, workload: Workload, precision: Precision) -> Result<Outcome> {
    let timer = Timer::builder().precision(precision).build()?;
    let count = workload.sleeps.len();
    let lead = workload.lead;
    let board = Arc::new(Board::new(count));
    let script = script(workload.sleeps);
    let mut executor =
        executors::start(kind, &timer).with_context(|| format!("cannot start {}", kind.name()))?;

    let watch = Watch::start(kind.name(), board.clone())?;
    let processor_before = usage::processor_time();
    let start = Instant::now();
    let last = play(script, start, &timer, executor.as_mut(), &board);
    while !board.is_complete() {
        let left = (last + GRACE).saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::park_timeout(left);
    }
    let took = start.elapsed();
    let processor_after = usage::processor_time();
    let seen = watch.stop();
    executor.finish();

    let mut tally = board.tally();
    let processor = processor_before.zip(processor_after).map(|(before, after)| after - before);
    let memory = seen.memory_growth.filter(|_| seen.most_at_once >= ENOUGH_TO_WEIGH);
    Ok(Outcome {
        executor: kind,
        count: count as u64,
        fired: tally.lateness.len() as u64,
        cancelled: tally.cancelled,
        early: tally.early,
        lost: tally.lost,
        lateness: Distribution::of(&mut tally.lateness),
        processor_each: processor.map(|total| total.as_nanos() as f64 / count as f64),
        memory_each: memory.map(|bytes| bytes as f64 / seen.most_at_once as f64),
        arming_overran: !lead.is_zero() && board.all_begun().is_none_or(|at| at - start > lead),
        took,
        engine: Engine::of(&timer.metrics()),
    })
}

/// What happens when; creations first where times are equal.
fn script(sleeps: Vec<Planned>) -> Vec<Event> {
    let mut script = Vec::with_capacity(sleeps.len());
    let mut orders = Vec::new();
    for (index, Planned { at, duration, fate }) in sleeps.into_iter().enumerate() {
        let ordered = match fate {
            Fate::Kept => None,
            Fate::Cancelled { after } => Some((after, Action::Cancel)),
            Fate::Reset { after, to } => Some((after, Action::Reset { to })),
        };
        let order = ordered.map(|(after, action)| {
            let order = Arc::new(Order::new(action));
            orders.push(Event { at: at + after, what: What::Give(order.clone()) });
            order
        });
        script.push(Event { at, what: What::Create(index as u32, duration, order) });
    }
    script.append(&mut orders);
    script.sort_by_key(|event| event.at);
    script
}

/// Lets everything happen in its time; returns the last deadline that any sleep has had.
fn play(
    script: Vec<Event>,
    start: Instant,
    timer: &Timer,
    executor: &mut dyn Executor,
    board: &Arc<Board>,
) -> Instant {
    let mut last = start;
    for Event { at, what } in script {
        let early = (start + at).saturating_duration_since(Instant::now());
        if !early.is_zero() {
            // The system's own sleep: what is measured must not drive the measurement.
            thread::sleep(early);
        }
        match what {
            What::Create(index, duration, order) => {
                let created = Instant::now();
                let deadline = created + duration;
                let longest = order.as_ref().map_or(duration, |order| order.latest(duration));
                last = last.max(created + longest);
                let board = board.clone();
                let sleep = timer.sleep_until(deadline);
                let begun = false;
                executor.spawn(Shot { sleep, deadline, created, order, index, begun, board });
            }
            What::Give(order) => order.give(),
        }
    }
    last
}
