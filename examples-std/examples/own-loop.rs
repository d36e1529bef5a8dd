//! A timer without a thread, driven by a program that has an event loop already.
//!
//! Two things make that work: `turn` wakes what is due and says when to call it again, and the
//! waker that is given to `driven_by` interrupts the loop when somebody arms an earlier deadline
//! in the meantime. Here the loop waits on a channel; it could as well be epoll and an event
//! descriptor, or a window system's queue.
//!
//! `cargo run --release --example own-loop`

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::Timer;

/// What the loop reacts to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// The timer wants to be turned.
    Turn,
    /// The task wants to be polled.
    Poll,
    /// Somebody pressed a key, say.
    Key(char),
}

/// A waker that posts an event.
struct Post {
    event: Event,
    events: Sender<Event>,
}

impl Wake for Post {
    fn wake(self: Arc<Self>) {
        // When the loop is gone, there is nobody to tell.
        let _ = self.events.send(self.event);
    }
}

fn main() -> io::Result<()> {
    let (sender, events) = channel();
    let waker = |event| Waker::from(Arc::new(Post { event, events: sender.clone() }));
    let timer = Timer::builder().driven_by(waker(Event::Turn)).build()?;

    // The rest of the program, which knows nothing of timers.
    let keys = sender.clone();
    let typist = thread::spawn(move || {
        for key in "tick".chars() {
            thread::sleep(Duration::from_millis(7));
            let _ = keys.send(Event::Key(key));
        }
    });

    let task = async {
        for round in 1..=3 {
            timer.sleep(Duration::from_millis(10)).await;
            println!("task: round {round}");
        }
    };
    let turns = run(&timer, &events, &waker(Event::Poll), task);
    println!("{turns} turns of the loop, and not one thread of the timer's");
    typist.join().map_err(|_| io::Error::other("the typist panicked"))
}

/// The event loop. Ends with the task; says how often it went round.
fn run(timer: &Timer, events: &Receiver<Event>, poll: &Waker, task: impl Future) -> u32 {
    let mut task = pin!(task);
    let mut cx = Context::from_waker(poll);
    if task.as_mut().poll(&mut cx).is_ready() {
        return 0;
    }
    for turns in 1.. {
        // Wakes what is due, which posts `Event::Poll`. No event can slip in between this and the
        // wait: it is in the channel by then.
        let next = timer.turn();
        let event = match next {
            Some(at) => events.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Key(key)) => println!("key: {key}"),
            Ok(Event::Poll) => {
                if task.as_mut().poll(&mut cx).is_ready() {
                    return turns;
                }
            }
            // Both lead to the next turn.
            Ok(Event::Turn) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender"),
        }
    }
    unreachable!("the loop has no end of its own")
}
