//! A driver crate of the registry, for a humidity sensor, that asks for a `DelayNs`: the blocking one
//! waits for interrupts, the async one lets other tasks run.
//!
//! The sensor is played. It does not answer before its measurement is done, as a real one.

#![no_std]
#![no_main]

use core::time::Duration;

use board::{block_on, println};
use embedded_hal::i2c::{ErrorKind, ErrorType, NoAcknowledgeSource, Operation};
use futures_util::future::join;
use moirai_timer_core::{Ticks, Timer};
use moirai_timer_hal::Delay;
use sht4x::{Precision, Sht4x, Sht4xAsync};

board::start!(main, TIMER: 8);

/// A bus with one sensor.
struct Bus {
    done: Ticks,
}

impl Bus {
    fn transaction(&mut self, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        for operation in operations {
            match operation {
                Operation::Write(_) => {
                    self.done = TIMER.sleep(Duration::from_micros(8_300)).deadline();
                }
                Operation::Read(_) if TIMER.now() < self.done => {
                    return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
                }
                // Two words of an example of the data sheet, with its check sum.
                Operation::Read(data) => data
                    .iter_mut()
                    .zip([0xbe, 0xef, 0x92, 0xbe, 0xef, 0x92])
                    .for_each(|(to, from)| *to = from),
            }
        }
        Ok(())
    }
}

impl ErrorType for Bus {
    type Error = ErrorKind;
}

impl embedded_hal::i2c::I2c for Bus {
    fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        self.transaction(operations)
    }
}

impl embedded_hal_async::i2c::I2c for Bus {
    async fn transaction(
        &mut self,
        _: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        self.transaction(operations)
    }
}

type Ours = Delay<&'static Timer<board::Driver, 8>>;

fn main() {
    let mut delay: Ours = Delay::new(&TIMER, board::wfi);

    let mut sensor = Sht4x::<_, Ours>::new(Bus { done: Ticks::ZERO });
    match sensor.measure(Precision::High, &mut delay) {
        Ok(data) => println!("blocking: {} m°C", data.temperature_milli_celsius()),
        Err(error) => println!("blocking: {error:?}"),
    }

    let mut sensor = Sht4xAsync::<_, Ours>::new(Bus { done: Ticks::ZERO });
    block_on(async {
        let mut blinks = 0;
        let others = async {
            for _ in 0..4 {
                TIMER.sleep(Duration::from_millis(2)).await;
                blinks += 1;
            }
        };
        let (data, ()) = join(sensor.measure(Precision::High, &mut delay), others).await;
        match data {
            Ok(data) => {
                println!("async: {} m°C, {blinks} blinks", data.temperature_milli_celsius())
            }
            Err(error) => println!("async: {error:?}"),
        }
    });
}
