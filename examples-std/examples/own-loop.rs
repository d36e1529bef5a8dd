//! A timer without a thread, driven by a program that has an event loop already: epoll, kqueue or
//! whatever the system has, by the crate `polling`.
//!
//! Two things make that work: `turn` wakes what is due and says when to call it again, which is the
//! time-out of the loop's wait; and the waker that is given to `driven_by` interrupts that wait when
//! somebody arms an earlier deadline in the meantime.
//!
//! `cargo run --release --example own-loop`

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use moirai_timer_std::{Timer, block_on, sleep};
use polling::{Event, Events, Poller};

const MS: Duration = Duration::from_millis(1);
/// The socket's, among what the poller watches.
const SOCKET: usize = 0;

/// Interrupts the loop's wait: one system call, as a waker should do little.
struct Notify(Arc<Poller>);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.0.notify().expect("a poller can be notified");
    }
}

/// Has the loop poll its task.
struct Task {
    woken: AtomicBool,
    poller: Arc<Poller>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.poller.notify().expect("a poller can be notified");
    }
}

fn main() -> io::Result<()> {
    let poller = Arc::new(Poller::new()?);
    let driver = Waker::from(Arc::new(Notify(poller.clone())));
    let timer = Timer::builder().driven_by(driver).build()?;

    // The rest of the program: somebody who writes now and then, and somebody who arms a sleep while the
    // loop waits for later things.
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut writer = TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept()?;
    let talk = thread::spawn(move || {
        (0..3).try_for_each(|number| {
            block_on(sleep(7 * MS));
            writer.write_all(format!("line {number}").as_bytes())
        })
    });
    let other = timer.clone();
    let (tell, told) = oneshot::channel();
    let hurry = thread::spawn(move || {
        block_on(other.sleep(2 * MS));
        tell.send(()).expect("the task waits for it");
    });

    let mut rounds = Vec::new();
    let task = async {
        for round in 1..=3 {
            let due = timer.now() + 10 * MS;
            timer.sleep_until(due).await;
            rounds.push((due, timer.now()));
            println!("the task's round {round}");
        }
        // Only the loop turns the timer: it goes on for as long as somebody sleeps.
        told.await.expect("it only sleeps");
    };
    socket.set_nonblocking(true)?;
    // SAFETY: it is deleted below, before the socket is closed.
    unsafe { poller.add(&socket, Event::readable(SOCKET))? };
    let ended = run(&poller, &timer, &socket, task);
    poller.delete(&socket)?;
    let (waits, heard) = ended?;
    println!("{waits} waits of the loop, and not one thread of the timer's");
    hurry.join().expect("it only sleeps");
    talk.join().expect("it only writes")?;
    assert_eq!(rounds.len(), 3);
    assert!(rounds.iter().all(|(due, at)| at >= due), "never early");
    assert_eq!(heard, "line 0line 1line 2");
    Ok(())
}

/// The event loop: ends when the task has ended and the socket was closed. Says how often it has waited,
/// and what came over the socket.
fn run(
    poller: &Arc<Poller>,
    timer: &Timer,
    mut socket: &TcpStream,
    task: impl Future,
) -> io::Result<(u32, String)> {
    let woken = Arc::new(Task { woken: true.into(), poller: poller.clone() });
    let waker = Waker::from(woken.clone());
    let (mut task, mut done, mut open, mut waits) = (pin!(task), false, true, 0);
    let (mut events, mut heard) = (Events::new(), String::new());
    while !done || open {
        if !done && woken.woken.swap(false, Ordering::Acquire) {
            done = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            continue;
        }
        // Wakes what is due. What comes between this and the wait is not lost: it has notified the poller.
        let next = timer.turn();
        let left = next.map(|at| at.saturating_duration_since(timer.now()));
        events.clear();
        poller.wait(&mut events, left)?;
        waits += 1;
        if events.iter().any(|event| event.key == SOCKET) {
            let mut buffer = [0; 64];
            let read = socket.read(&mut buffer)?;
            open = read > 0;
            if open {
                let text = String::from_utf8_lossy(&buffer[..read]);
                println!("the socket: {text:?}");
                heard += &text;
                poller.modify(socket, Event::readable(SOCKET))?;
            }
        }
    }
    Ok((waits, heard))
}
