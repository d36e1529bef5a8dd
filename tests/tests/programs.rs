//! Random programs against the model, a million steps of them, and those that the fuzzer has kept.
//!
//! `PROPTEST_CASES` sets another number of programs. A program that fails is printed after it was
//! made as short as it gets.

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use moirai_timer_tests::model::{Action, Deadline, Program, Step, check};
use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm;

/// Steps over all programs. Each program runs on seven timers.
const STEPS: usize = 1_000_000;
/// Steps of the longest program; on average it is half of that.
const LONGEST: usize = 240;

/// More places and tasks than there are, so that all of them are used.
fn place() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0..9u8, 1 => 0..27u8]
}

fn task() -> impl Strategy<Value = u8> {
    0..3u8
}

fn deadline() -> impl Strategy<Value = Deadline> {
    prop_oneof![
        1 => (0..20u8).prop_map(Deadline::Past),
        8 => (0..12u8).prop_map(Deadline::Near),
        3 => (0..300u16).prop_map(Deadline::Far),
        3 => (0..60u8, 0..70u8, -2..3i8)
            .prop_map(|(bits, ahead, beside)| Deadline::Edge { bits, ahead, beside }),
        1 => (0..3u8).prop_map(Deadline::Last),
        1 => Just(Deadline::Never),
    ]
}

/// Where the clock moves: mostly not far, or the rest of the program is over.
fn advance() -> impl Strategy<Value = Deadline> {
    prop_oneof![
        8 => (1..6u8).prop_map(Deadline::Near),
        2 => (0..300u16).prop_map(Deadline::Far),
        2 => (0..30u8, 0..3u8, -1..2i8)
            .prop_map(|(bits, ahead, beside)| Deadline::Edge { bits, ahead, beside }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (place(), deadline(), prop_oneof![3 => Just(0), 1 => 0..40u8])
            .prop_map(|(place, at, tolerance)| Action::Sleep(place, at, tolerance)),
        2 => (place(), deadline()).prop_map(|(place, at)| Action::Reserve(place, at)),
        1 => (place(), deadline(), 0..20u16, 0..3u8)
            .prop_map(|(place, at, period, missed)| Action::Interval(place, at, period, missed)),
        1 => (place(), deadline()).prop_map(|(place, at)| Action::Timeout(place, at)),
        1 => place().prop_map(Action::Finish),
        16 => (place(), task()).prop_map(|(place, task)| Action::Poll(place, task)),
        8 => (place(), deadline()).prop_map(|(place, at)| Action::Reset(place, at)),
        3 => place().prop_map(Action::Drop),
        1 => Just(Action::Fill),
        2 => Just(Action::Empty),
        3 => Just(Action::Turn),
        1 => Just(Action::Drain),
        1 => Just(Action::Look),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => action().prop_map(Step::Do),
        3 => (task(), action()).prop_map(|(task, action)| Step::WhenWoken(task, action)),
        2 => (task(), action()).prop_map(|(task, action)| Step::WhenDropped(task, action)),
        1 => task().prop_map(Step::PanicWhenWoken),
        6 => Just(Step::Interrupt),
        5 => advance().prop_map(Step::Advance),
        3 => Just(Step::AdvanceToAlarm),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let start = prop_oneof![Just(Deadline::Near(0)), deadline()];
    let steps = prop::collection::vec(step(), 0..=LONGEST);
    // Few are shut down, and those towards their ends.
    let shut_down = prop::option::weighted(0.1, 0.5..1.0f64);
    (start, any::<bool>(), steps, shut_down).prop_map(|(start, watched, mut steps, shut_down)| {
        if let Some(part) = shut_down {
            let place = (steps.len() as f64 * part) as usize;
            steps.insert(place, Step::Do(Action::ShutDown));
        }
        Program { start, watched, steps }
    })
}

fn config() -> ProptestConfig {
    let cases = (STEPS / (LONGEST / 2)) as u32;
    // The other algorithm, not optimised, takes three quarters of the time.
    let rng_algorithm = RngAlgorithm::XorShift;
    ProptestConfig { cases, rng_algorithm, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_timer_does_what_the_oracle_says(program in program()) {
        check(&program);
    }
}

/// What the fuzzer has found worth keeping: together they reach all code that any of them reached.
#[test]
fn the_fuzzers_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/programs");
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("the corpus is in the repository") {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        if let Ok(program) = Program::arbitrary_take_rest(Unstructured::new(&bytes)) {
            check(&program);
            count += 1;
        }
    }
    assert!(count > 50, "{count} programs are not the corpus");
}

/// Two sleeps of one task, of which the later was once as early as the other, and another task's in
/// between: the oracle once took the one wake for the other.
#[test]
fn a_task_is_woken_for_the_earlier_of_its_sleeps() {
    use Action::*;
    use Deadline::*;
    let actions = [
        Sleep(1, Near(1), 0),
        Reserve(8, Near(8)),
        Poll(1, 2),
        Reset(1, Far(8)),
        Sleep(7, Near(1), 0),
        Poll(7, 2),
        Poll(8, 0),
    ];
    let steps = actions.map(Step::Do).into_iter().chain([Step::Advance(Far(8)), Step::Interrupt]);
    check(&Program { start: Near(0), watched: false, steps: steps.collect() });
}

/// The oracle once took a tolerance that goes beyond the last tick for none.
#[test]
fn a_tolerance_beyond_the_clock_ends_at_its_last_tick() {
    let actions = [Action::Sleep(5, Deadline::Last(1), 2), Action::Poll(5, 0)];
    let steps = actions.map(Step::Do).into_iter().chain([Step::Interrupt]);
    check(&Program { start: Deadline::Near(0), watched: false, steps: steps.collect() });
}

/// A waker makes a sleep due within the turn that wakes it, and that turn comes back at once, for the time of
/// a sleep that was dropped.
#[test]
fn a_sleep_that_is_made_due_in_a_turn_may_be_woken_in_it() {
    use Action::*;
    use Deadline::*;
    let far = Edge { bits: 19, ahead: 33, beside: 0 };
    let steps = [
        Step::Do(Sleep(3, far, 0)),
        Step::WhenWoken(0, Reset(3, Past(0))),
        Step::Do(Sleep(2, Near(1), 0)),
        Step::Do(Poll(3, 0)),
        Step::Do(Sleep(0, Near(1), 0)),
        Step::Do(Poll(2, 0)),
        Step::Do(Poll(0, 0)),
        Step::Advance(Near(1)),
        Step::Do(Sleep(2, Past(0), 0)),
        Step::Interrupt,
    ];
    check(&Program { start: Near(0), watched: false, steps: steps.into() });
}
