//! Goes through the rounds, and says at the end what they have shown.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{Lateness, Timer, block_on};

use crate::hazards;
use crate::memory;
use crate::programs::{Round, program, resident};
use crate::subjects::{Subjects, settle};
use crate::witness::{self, Whose, fail};

const TASKS: u64 = 100;
const THREADS: u64 = 6;
const RESIDENTS: u64 = 500;

/// What may be allocated after the last round beyond what was after the first: executors keep a
/// queue for themselves now and then. If each task's waker leaked once, that would be more.
const SLACK: usize = 64 << 10;

/// What is counted between two rounds, when nothing goes on.
#[derive(Clone, Copy)]
struct Footprint {
    live: usize,
    resident: usize,
    threads: usize,
}

fn footprint() -> Footprint {
    Footprint { live: memory::live(), resident: memory::resident(), threads: memory::threads() }
}

fn has_grown(first: Footprint, last: Footprint) -> bool {
    last.live > first.live + SLACK || last.threads > first.threads
}

/// Whether it is the case, sooner or later.
fn soon(is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > Duration::from_secs(30) {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// How long a round is, in a soak of this length.
pub(crate) fn round_of(length: Duration) -> Duration {
    (length / 3).min(Duration::from_secs(20))
}

pub(crate) fn run(length: Duration, seed: u64) {
    memory::share_heaps();
    let end = Instant::now() + length;
    let round_length = round_of(length);
    let mut subjects = Arc::new(Subjects::new());
    subjects.fill();
    subjects.check();
    let over = Arc::new(AtomicBool::new(false));
    let watch = thread::spawn({
        let over = over.clone();
        move || witness::watch(&over)
    });
    let residents: Vec<_> = (0..RESIDENTS)
        .map(|number| {
            let seed = seed.wrapping_mul(1 << 20).wrapping_add(number);
            smol::spawn(resident(Timer::global().clone(), end, seed))
        })
        .collect();

    let mut footprints: Vec<Footprint> = Vec::new();
    let mut ended = 0;
    let begin = Instant::now();
    // The last round may be cut short, but is not shorter than half.
    while footprints.len() < 3 || Instant::now() + round_length / 2 < end {
        let number = footprints.len() as u64;
        let round = Arc::new(Round::new(subjects.clone()));
        go_round(&round, round_length, seed.wrapping_add(number << 40));
        ended += round.ended.load(Relaxed);
        drop(round);
        subjects.check();
        let panicked = hazards::PANICS.load(SeqCst);
        if !soon(|| subjects.panics() == panicked) {
            let counted = subjects.panics();
            fail(format_args!("{panicked} wakers have panicked, and the timers know of {counted}"));
        }
        // The threads of timers that were dropped may still be about to end.
        let first = footprints.first().copied();
        soon(|| first.is_none_or(|first| !has_grown(first, footprint())));
        let footprint = footprint();
        footprints.push(footprint);
        println!(
            "{:>5} s  {ended:>10} ended, {} KiB allocated, {} KiB in memory, {} threads",
            begin.elapsed().as_secs(),
            footprint.live >> 10,
            footprint.resident >> 10,
            footprint.threads,
        );
        let _ = std::io::stdout().flush();
    }

    for resident in residents {
        block_on(resident);
    }
    settle("global", Timer::global());
    let repolls = subjects.repolls();
    let of_timers: Vec<_> = (subjects.all().iter())
        .map(|subject| (subject.name, subject.timer.metrics().lateness))
        .collect();
    Arc::get_mut(&mut subjects).unwrap_or_else(|| fail("somebody kept the timers")).end();
    over.store(true, SeqCst);
    watch.join().unwrap_or_else(|_| fail("the watch panicked"));

    println!();
    print_lateness(&of_timers);
    println!(
        "\n{ended} ended; {} wakers panicked, {} forks, {} threads and {} timers came and went, \
         {} stops, {repolls} polls without a slot",
        hazards::PANICS.load(SeqCst),
        hazards::FORKS.load(SeqCst),
        hazards::VISITORS.load(SeqCst),
        hazards::BUILT.load(SeqCst),
        footprints.len(),
    );
    check_memory(&footprints);
    println!("soak passed: nothing early, nothing lost, no slot leaked, memory flat");
}

/// Everything at once, for so long; returns when everything has ended.
fn go_round(round: &Arc<Round>, length: Duration, seed: u64) {
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap_or_else(|error| fail(error));
    let on_tokio: Vec<_> = (0..TASKS)
        .map(|task| runtime.spawn(program(round.clone(), Whose::Tokio, seed + task)))
        .collect();
    let on_smol: Vec<_> = (0..TASKS)
        .map(|task| smol::spawn(program(round.clone(), Whose::Smol, seed + TASKS + task)))
        .collect();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let mut workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let program = program(round.clone(), Whose::Threads, seed + 2 * TASKS + thread);
                scope.spawn(move || block_on(program))
            })
            .collect();
        workers.push(scope.spawn(|| hazards::panicking_wakers(round, seed)));
        workers.push(scope.spawn(|| hazards::meddling_wakers(round, seed)));
        workers.push(scope.spawn(|| hazards::comers_and_goers(round, seed)));
        workers.push(scope.spawn(|| hazards::builders(round, seed)));
        workers.push(scope.spawn(|| hazards::forks(round, seed)));
        workers.extend((0..processors).map(|_| scope.spawn(|| hazards::burner(round))));

        thread::park_timeout(length / 2);
        witness::be_stopped();
        while let Some(left) = length.checked_sub(begin.elapsed()) {
            thread::park_timeout(left);
        }
        round.over.store(true, SeqCst);
        for worker in workers {
            worker.join().unwrap_or_else(|_| fail("a thread panicked"));
        }
    });
    for task in on_tokio {
        runtime.block_on(task).unwrap_or_else(|error| fail(error));
    }
    on_smol.into_iter().for_each(block_on);
}

fn print_lateness(of_timers: &[(&str, Lateness)]) {
    const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];
    let row = |name: &str, count: u64, at: &dyn Fn(f64) -> u64, most: u64| {
        print!("{name:<22} {count:>10}");
        for nanos in QUANTILES.map(at).into_iter().chain([most]) {
            print!(" {:>10.1}", nanos as f64 / 1e3);
        }
        println!();
    };
    print!("late by, us            {:>10}", "count");
    println!(
        " {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "p50", "p90", "p99", "p99.9", "p99.99", "most"
    );
    for whose in Whose::ALL {
        let late = witness::lateness(whose);
        let name = match whose {
            Whose::Tokio => "tasks on tokio",
            Whose::Smol => "tasks on smol",
            Whose::Threads => "threads",
            Whose::Residents => "long sleeps",
            Whose::Stopped => "amid a stop",
        };
        row(name, late.len(), &|quantile| late.value_at_quantile(quantile), late.max());
    }
    for (name, late) in of_timers {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let name = format!("timer: {name}");
        row(&name, late.count(), &|quantile| nanos(late.quantile(quantile)), nanos(late.max()));
    }
}

fn check_memory(footprints: &[Footprint]) {
    let (first, last) = (footprints[0], footprints[footprints.len() - 1]);
    let most = footprints.iter().map(|footprint| footprint.resident).max().unwrap_or(0);
    println!(
        "allocated {} KiB after the first round, {} KiB after the last; in memory {}, {}, at most \
         {} KiB",
        first.live >> 10,
        last.live >> 10,
        first.resident >> 10,
        last.resident >> 10,
        most >> 10,
    );
    if last.live > first.live + SLACK {
        fail("memory GROWS");
    }
    // What the system counts has holes in it, which change.
    if last.resident > first.resident + first.resident / 4 {
        fail("the process GROWS");
    }
    if last.threads > first.threads {
        fail("threads are LEFT behind");
    }
}
