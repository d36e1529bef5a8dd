//! Writes the sample that `storm --replay` plays: a busy server's second and a half, by lot.
//!
//! `generate-replay [ROWS] [SEED] > sample.csv`; without arguments, exactly what is in
//! `examples-std/data/replay-sample.csv`. Each row is a sleep of `duration` microseconds that is
//! created `offset` microseconds after the start. Of a hundred rows,
//!
//! - 70 are the timeout of a request: 30 ms to 1 s, round numbers, as people choose them;
//! - 10 are the keep-alive of a connection: 1.0 to 1.5 s;
//! - 20 are a short wait for pacing or a retry: 50 us to 5 ms, any number.
//!
//! Nine rows of ten come one by one, over 1.5 s. The tenth part comes in bursts, at the same
//! microsecond as the row before, as it does when a cache expires. So the replay ends after 3 s.

#[path = "../random.rs"]
mod random;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use random::Random;

const ROWS: u64 = 10_000;
const SEED: u64 = 1;

/// Rows are created over this long.
const SPAN: u64 = 1_500_000;
/// What people write into configuration files, and how often, of 70.
const TIMEOUTS: [(u64, u64); 6] =
    [(30_000, 10), (50_000, 15), (100_000, 20), (250_000, 12), (500_000, 8), (1_000_000, 5)];
const REQUESTS: u64 = 70;
const KEEP_ALIVES: u64 = 10;
/// Of a hundred rows, those that come together with the one before.
const IN_BURSTS: u64 = 10;

fn main() -> ExitCode {
    let mut numbers = [ROWS, SEED];
    for (index, argument) in std::env::args().skip(1).enumerate() {
        match (numbers.get_mut(index), argument.parse()) {
            (Some(number), Ok(value)) => *number = value,
            _ => {
                eprintln!("usage: generate-replay [ROWS] [SEED], not {argument:?}");
                return ExitCode::from(2);
            }
        }
    }
    match write(BufWriter::new(io::stdout().lock()), numbers[0], numbers[1]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate-replay: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(mut out: impl Write, rows: u64, seed: u64) -> io::Result<()> {
    let mut random = Random::new(seed);
    let mut offset = 0;
    writeln!(out, "offset,duration")?;
    for row in 0..rows {
        if row > 0 && random.below(100) >= IN_BURSTS {
            // Somewhere in the row's own share of the span.
            let due = |row: u64| (u128::from(SPAN) * u128::from(row) / u128::from(rows)) as u64;
            offset = random.between(due(row), due(row + 1) + 1).max(offset);
        }
        writeln!(out, "{offset},{}", duration(&mut random))?;
    }
    out.flush()
}

fn duration(random: &mut Random) -> u64 {
    let mut kind = random.below(100);
    if kind < REQUESTS {
        for (timeout, share) in TIMEOUTS {
            if kind < share {
                return timeout;
            }
            kind -= share;
        }
    }
    if kind < REQUESTS + KEEP_ALIVES {
        return random.between(1_000_000, 1_500_000);
    }
    random.between(50, 5_000)
}
