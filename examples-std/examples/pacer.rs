//! A media pacer: a packet every millisecond, and not a little earlier or later.
//!
//! Three choices make that work. `Precision::Exact` parks until shortly before the deadline and spins
//! for the rest. Without a thread of the timer's, the thread that waits is the one that sends, and nobody
//! has to wake it. And `Burst` makes up for what was missed: a receiver can do with a late packet, but not
//! without it.
//!
//! `cargo run --release --example pacer`

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use moirai_timer_std::{MissedTickBehavior, Precision, Timer};

const PERIOD: Duration = Duration::from_millis(1);
const PACKETS: usize = 2_000;

fn main() -> io::Result<()> {
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(receiver.local_addr()?)?;

    for precision in [Precision::Default, Precision::Exact] {
        let timer = Timer::builder().without_thread().precision(precision).build()?;
        let sent = timer.block_on(pace(&timer, &socket))?;
        assert_eq!(sent.len(), PACKETS);
        // Each has its place in the row, whatever held up those before it.
        for (number, (due, at)) in (0..).zip(&sent) {
            assert_eq!(*due, sent[0].0 + number * PERIOD);
            assert!(at >= due, "never early");
        }
        println!("{precision:?}: {PACKETS} packets, one every {PERIOD:?}");
        percentiles("late", sent.iter().map(|(due, at)| *at - *due));
        let gaps = sent.windows(2).map(|pair| pair[1].1 - pair[0].1);
        percentiles("jitter", gaps.map(|gap| gap.abs_diff(PERIOD)));
    }
    Ok(())
}

/// Sends all packets; gives when each was due, and when it was handed to the system.
async fn pace(timer: &Timer, socket: &UdpSocket) -> io::Result<Vec<(Instant, Instant)>> {
    let mut ticks = timer.interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::with_capacity(PACKETS);
    for number in 0..PACKETS {
        let due = ticks.tick().await;
        sent.push((due, Instant::now()));
        // The header of RTP, less what it says about the payload: 20 ms of telephony.
        let mut packet = [0; 172];
        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        socket.send(&packet)?;
    }
    Ok(sent)
}

fn percentiles(what: &str, values: impl Iterator<Item = Duration>) {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    let (median, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!("  {what:>6}: median {median:?}, 99 % {p99:?}, 99.9 % {p999:?}, most {:?}", at(1.0));
}
