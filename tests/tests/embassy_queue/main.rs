//! The queues that take the place of embassy-time-queue-utils', beside the original: random
//! programs on a time driver as embassy's HALs have it, which sets its alarm when, and only when,
//! the queue says so. What is woken when has to be the same.

mod driver;
mod tasks;

/// The sources themselves, because cargo lets only one of two crates that link the same thing into
/// a workspace.
#[path = "../../../compat/embassy-time-queue-utils/src/queue_generic.rs"]
#[allow(dead_code, unexpected_cfgs)]
mod queue_generic;
#[path = "../../../compat/embassy-time-queue-utils/src/queue_integrated.rs"]
#[allow(dead_code)]
mod queue_integrated;

use embassy_time_queue_utils as original;
use proptest::prelude::*;

use driver::{Driver, Queue};
use tasks::Task;

const TASKS: usize = 40;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A task asks to be woken so far from now; or before now.
    Ask(usize, i64),
    /// It asks for the same time once more.
    AskAgain(usize),
    AskForNever(usize),
    Pass(u64),
    /// Time passes, and the interrupt comes only at the end.
    Late(u64),
}

fn ahead() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -2i64..40, 2 => 0i64..2_000, 1 => (0u32..50).prop_map(|bits| 1 << bits)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..TASKS, ahead()).prop_map(|(task, ahead)| Step::Ask(task, ahead)),
        3 => (0..TASKS).prop_map(Step::AskAgain),
        1 => (0..TASKS).prop_map(Step::AskForNever),
        3 => (0u64..20).prop_map(Step::Pass),
        1 => (0u64..3_000).prop_map(Step::Pass),
        1 => (0u64..100).prop_map(Step::Late),
    ]
}

/// Which task was woken when; those that were woken at the same time in the order of their numbers.
fn wakes(queue: impl Queue, program: &[Step]) -> Vec<(u64, usize, u32)> {
    let tasks: [_; TASKS] = std::array::from_fn(|_| Task::new());
    let mut driver = Driver::new(queue);
    let mut asked = [0; TASKS];
    let mut log = Vec::new();
    let mut look = |now: u64| {
        for (number, task) in tasks.iter().enumerate() {
            let wakes = task.take_wakes();
            if wakes > 0 {
                log.push((now, number, wakes));
            }
        }
    };
    for step in program {
        let now = driver.now();
        let ask = match *step {
            Step::Ask(task, ahead) => Some((task, now.saturating_add_signed(ahead))),
            Step::AskAgain(task) => Some((task, asked[task])),
            Step::AskForNever(task) => Some((task, u64::MAX)),
            Step::Pass(ticks) => {
                driver.pass(now + ticks, &mut look);
                None
            }
            Step::Late(ticks) => {
                driver.late(now + ticks);
                None
            }
        };
        if let Some((task, at)) = ask {
            driver.schedule_wake(at, &tasks[task].waker());
            asked[task] = at;
        }
        look(driver.now());
    }
    driver.pass(u64::MAX - 1, look);
    log
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn they_wake_whom_the_originals_wake_at_the_same_times(
        program in prop::collection::vec(step(), 1..400)
    ) {
        let expected = wakes(original::queue_integrated::Queue::new(), &program);
        let generic = original::queue_generic::ConstGenericQueue::<64>::new();
        prop_assert_eq!(&wakes(generic, &program), &expected);

        let generic = queue_generic::ConstGenericQueue::<64>::new();
        prop_assert_eq!(&wakes(generic, &program), &expected);
        prop_assert_eq!(&wakes(queue_integrated::Queue::new(), &program), &expected);
    }
}

fn asking_again_changes_nothing(queue: impl Queue) {
    let (task, other) = (Task::new(), Task::new());
    let mut driver = Driver::new(queue);
    assert!(driver.schedule_wake(5_000, &task.waker()));
    for at in [5_000, 5_001, 1 << 40, u64::MAX] {
        assert!(!driver.schedule_wake(at, &task.waker()), "asking for {at} again");
    }
    assert!(!driver.schedule_wake(6_000, &other.waker()), "it is not the earliest");
    assert!(!driver.schedule_wake(5_500, &other.waker()), "nor is it now");
    assert!(driver.schedule_wake(4_999, &other.waker()));
    driver
        .pass(4_999, |now| assert_eq!((now, other.take_wakes(), task.take_wakes()), (4_999, 1, 0)));
    driver
        .pass(9_999, |now| assert_eq!((now, other.take_wakes(), task.take_wakes()), (5_000, 0, 1)));
}

/// The originals say yes where nothing has changed, and the driver looks at everything once more.
#[test]
fn the_alarm_is_set_only_for_an_earlier_expiration() {
    asking_again_changes_nothing(queue_generic::ConstGenericQueue::<64>::new());
    asking_again_changes_nothing(queue_integrated::Queue::new());
}

/// With the original the third takes the room of the second, which takes it back, and so on.
#[test]
fn with_one_task_too_many_only_that_one_polls_itself() {
    let [a, b, late] = [Task::new(), Task::new(), Task::new()];
    let mut driver = Driver::new(queue_generic::ConstGenericQueue::<2>::new());
    driver.schedule_wake(2_000, &a.waker());
    driver.schedule_wake(3_000, &b.waker());
    for poll in 1..100 {
        assert!(!driver.schedule_wake(2_500, &late.waker()));
        assert_eq!(late.take_wakes(), 1, "poll {poll}");
        assert!(!driver.schedule_wake(3_000, &b.waker()));
        assert_eq!((a.take_wakes(), b.take_wakes()), (0, 0), "poll {poll}");
    }
    driver.pass(2_000, |now| assert_eq!((now, a.take_wakes()), (2_000, 1)));
    driver.schedule_wake(2_500, &late.waker());
    assert_eq!(late.take_wakes(), 0, "there is room now");
    driver.pass(2_500, |now| assert_eq!((now, late.take_wakes()), (2_500, 1)));
    driver.pass(3_000, |now| assert_eq!((now, b.take_wakes()), (3_000, 1)));
}

/// At 2^60 ticks, which the queue calls never, nothing else comes at all.
#[test]
fn a_clock_beyond_the_last_tick_wakes_what_is_due() {
    let task = Task::new();
    let mut queue = queue_generic::ConstGenericQueue::<2>::new();
    assert!(queue.schedule_wake((1 << 60) - 2, &task.waker()));
    assert!(!queue.schedule_wake(1 << 60, &Task::new().waker()));
    assert_eq!(queue.next_expiration(u64::MAX), u64::MAX);
    assert_eq!(task.take_wakes(), 1);
}
