//! A bus that a driver of a device shares, and the delays between its transfers.

use std::convert::Infallible;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use embedded_hal_async::spi::{Operation, SpiBus, SpiDevice};
use embedded_hal_bus::spi::ExclusiveDevice;
use moirai_timer_ext::interop::HalDelay;
use moirai_timer_std::test::VirtualClock;
use moirai_timer_std::{Timer, block_on};

use crate::{FAR_BEYOND, MS, NS, run};

/// Notes when each byte was sent.
struct Bus {
    timer: Timer,
    sent: Vec<(u8, Instant)>,
}

impl embedded_hal::spi::ErrorType for Bus {
    type Error = Infallible;
}

impl SpiBus for Bus {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        words.fill(0);
        Ok(())
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        let now = self.timer.now();
        self.sent.extend(words.iter().map(|word| (*word, now)));
        Ok(())
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Infallible> {
        self.write(write).await?;
        self.read(read).await
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        self.write(words).await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Chip select, of a device that is always selected.
struct Grounded;

impl embedded_hal::digital::ErrorType for Grounded {
    type Error = Infallible;
}

impl embedded_hal::digital::OutputPin for Grounded {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_bus_waits_for_exactly_as_long_as_its_device_needs() {
    let clock = VirtualClock::new();
    let start = clock.now();
    let bus = Bus { timer: clock.timer(), sent: Vec::new() };
    let delay = HalDelay::on(clock.timer());
    let mut device = ExclusiveDevice::new(bus, Grounded, delay).unwrap();
    let mut operations = [
        Operation::Write(b"a"),
        Operation::DelayNs(1),
        Operation::Write(b"b"),
        Operation::DelayNs(u32::MAX),
        Operation::Write(b"c"),
    ];
    block_on(clock.auto_advance(device.transaction(&mut operations))).unwrap();
    let longest = u32::MAX * NS;
    let due = [(b'a', start), (b'b', start + NS), (b'c', start + NS + longest)];
    assert_eq!(device.bus().sent, due);
}

#[test]
fn every_unit_is_what_it_says() {
    use embedded_hal_async::delay::DelayNs;
    let clock = VirtualClock::new();
    let mut delay = HalDelay::on(clock.timer());
    let all = async {
        delay.delay_ns(7).await;
        delay.delay_us(7).await;
        delay.delay_ms(7).await;
        // Seven weeks, which fit in no number of nanoseconds that the trait has.
        delay.delay_ms(u32::MAX).await;
    };
    block_on(clock.auto_advance(all));
    assert_eq!(clock.elapsed(), 7 * NS + 7_000 * NS + 7 * MS + u32::MAX * MS);
    assert_eq!(clock.timer().metrics().fired, 4);
}

#[test]
fn a_thread_that_blocks_is_let_go_at_its_time() {
    use embedded_hal::delay::DelayNs;
    let clock = VirtualClock::new();
    let (done, is_done) = channel();
    let timer = clock.timer();
    let thread = thread::spawn(move || {
        let mut delay = HalDelay::on(timer.clone());
        delay.delay_ns(500);
        delay.delay_us(500);
        delay.delay_ms(500);
        done.send(timer.now()).unwrap();
    });
    let start = clock.now();
    run(async {
        for pause in [500 * NS, 500_000 * NS, 500 * MS] {
            clock.until_armed(1).await;
            clock.advance(pause - NS).await;
            assert_eq!(clock.armed(), 1);
            clock.advance(NS).await;
        }
    });
    let ended = is_done.recv_timeout(FAR_BEYOND).unwrap();
    assert_eq!(ended, start + 500_500_500 * NS);
    thread.join().unwrap();
}

#[test]
fn a_blocking_delay_of_the_global_timer_is_never_early() {
    use embedded_hal::delay::DelayNs;
    let start = Instant::now();
    HalDelay::default().delay_us(3_000);
    assert!(start.elapsed() >= 3 * MS);
}
