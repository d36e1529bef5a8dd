//! A timeout around a serial port that receives a line, or does not.
//!
//! The port is played: bytes arrive by another sleep, where a real one has an interrupt.

#![no_std]
#![no_main]

use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use board::{block_on, println};
use futures_util::future::{Either, select};
use moirai_timer_core::Sleep;

board::start!(main, TIMER: 8);

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Receives the bytes of a message, each of them some time after the one before.
struct Port {
    message: core::slice::Iter<'static, u8>,
    between: Duration,
    next: Sleep<&'static moirai_timer_core::Timer<board::Driver, 8>>,
}

impl Port {
    fn new(message: &'static [u8], between: Duration) -> Self {
        Port { message: message.iter(), between, next: TIMER.sleep(between) }
    }

    /// One byte. Dropping the future loses none.
    async fn receive(&mut self) -> u8 {
        poll_fn(|cx| {
            if Future::poll(core::pin::Pin::new(&mut self.next), cx).is_pending() {
                return Poll::Pending;
            }
            let Some(byte) = self.message.next() else { return Poll::Pending };
            self.next.reset_after(self.between);
            Poll::Ready(*byte)
        })
        .await
    }

    async fn receive_line(&mut self) -> usize {
        let mut length = 0;
        while self.receive().await != b'\n' {
            length += 1;
        }
        length
    }
}

fn main() {
    block_on(async {
        let mut quick = Port::new(b"hello\n", MS(1));
        match TIMER.timeout(MS(10), quick.receive_line()).await {
            Ok(length) => println!("a line of {length}"),
            Err(elapsed) => println!("{elapsed}"),
        }

        let mut slow = Port::new(b"hello\n", MS(3));
        match TIMER.timeout(MS(10), slow.receive_line()).await {
            Ok(length) => println!("a line of {length}"),
            Err(elapsed) => println!("{elapsed}"),
        }

        // A byte at a time, each with 5 ms: the same future of a sleep is moved each time.
        let mut patient = core::pin::pin!(TIMER.sleep(MS(5)));
        let mut bytes = 0;
        loop {
            let byte = core::pin::pin!(slow.receive());
            match select(byte, patient.as_mut()).await {
                Either::Left((b'\n', _)) => break,
                Either::Left(_) => bytes += 1,
                Either::Right(_) => return println!("silence after {bytes}"),
            }
            patient.reset_after(MS(5));
        }
        println!("the other {bytes}, and the end of the line");
    });
}
