//! Shutting down refuses what comes later, and loses nothing that came before (rule 2).

use loom::thread;

use crate::world::{Task, World};
use moirai_timer_core::RegisterError;

/// Either the sleep is refused, or it fires on time.
///
/// Goes red when a sleep that was let in is not pushed because the timer is closed by then.
#[test]
fn shutdown_against_register() {
    loom::model(|| {
        let world = World::<1>::new();
        let (task, sleep) = (Task::new(), world.sleep(10));
        let producer = thread::spawn({
            let task = task.clone();
            move || {
                let mut sleep = sleep.reserved()?;
                assert!(task.polls(&mut sleep).is_pending());
                Ok::<_, RegisterError>(sleep)
            }
        });
        world.timer().shutdown();
        world.on_alarm();
        match producer.join().unwrap() {
            Ok(mut sleep) => world.settle(vec![(&task, &mut sleep)]),
            Err(error) => {
                assert_eq!(error, RegisterError::ShutDown);
                assert_eq!(task.wakers(), 0);
            }
        }
        assert_eq!(world.sleep(10).reserved().err(), Some(RegisterError::ShutDown));
    });
}
