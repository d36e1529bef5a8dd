//! A server with a million idle connections, each of which is hung up after a while without traffic.
//!
//! Whenever something arrives, the connection's timer is pushed further away: one compare-and-swap, which
//! the timer's thread does not hear of. The deadline that it had before comes up one day, and is looked at
//! then. So what costs is that connections are there, not that they are used.
//!
//! `cargo run --release --example keep-alive`

use std::io;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use memory_stats::memory_stats;
use moirai_timer_std::{Sleep, Timer, block_on};

const CONNECTIONS: usize = 1_000_000;
/// What nginx allows.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A connection, less all that has to do with a network: the socket, and the task that would be woken.
struct Connection {
    keep_alive: Sleep,
}

fn main() -> io::Result<()> {
    let timer = Timer::builder().build()?;
    let mut cx = Context::from_waker(Waker::noop());

    let before = memory();
    let start = Instant::now();
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut keep_alive = timer.sleep(KEEP_ALIVE);
        assert!(Pin::new(&mut keep_alive).poll(&mut cx).is_pending());
        connections.push(Connection { keep_alive });
    }
    println!("{CONNECTIONS} connections accepted in {:.1?}", start.elapsed());
    // Once the timer's thread has seen them all.
    let armed = timer.metrics().armed;
    println!("{armed} armed: {} bytes each, futures included", (memory() - before) / CONNECTIONS);

    let turns = timer.metrics().turns;
    let start = Instant::now();
    for _ in 0..5 {
        for connection in &mut connections {
            connection.keep_alive.reset_after(KEEP_ALIVE);
        }
    }
    let took = start.elapsed() / (5 * CONNECTIONS as u32);
    let turns = timer.metrics().turns - turns;
    println!("5 messages on each: {took:?} for a message, and {turns} turns of the timer");

    // The server is to be restarted, and nobody gets more than a second.
    for connection in &mut connections {
        connection.keep_alive.reset_after(Duration::from_secs(1));
    }
    block_on(async {
        for connection in &mut connections {
            (&mut connection.keep_alive).await;
            assert!(timer.now() >= connection.keep_alive.deadline(), "never early");
        }
    });
    let metrics = timer.metrics();
    println!("{} hung up, {} armed", metrics.fired, metrics.armed);
    assert!(metrics.fired >= CONNECTIONS as u64);
    assert_eq!(metrics.armed, 0);
    Ok(())
}

/// Memory that the process has, in bytes; 0 where the system does not say.
fn memory() -> usize {
    memory_stats().map_or(0, |memory| memory.physical_mem)
}
