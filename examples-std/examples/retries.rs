//! A client that tries again, with pauses that grow and are blurred by chance, as long as its
//! budget of time allows.
//!
//! The retries are `backon`'s, on our timer. The budget is a `Deadline`: it is made where the work
//! comes in, and each try gets what is left of it, or less.
//!
//! `cargo run --release --example retries`

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use moirai_timer_ext::interop::BackonSleeper;
use moirai_timer_ext::{Deadline, Elapsed};
use moirai_timer_std::Timer;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

const MS: Duration = Duration::from_millis(1);

/// A server that hangs up on the first so many clients.
fn server(hangs_up: usize) -> io::Result<SocketAddr> {
    use std::io::{Read, Write};
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut client in listener.incoming().skip(hangs_up).flatten() {
            let mut question = [0; 4];
            let _ = client.read_exact(&mut question).and_then(|()| client.write_all(b"pong"));
        }
    });
    Ok(address)
}

/// One try.
async fn ask(server: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"ping").await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// As many tries as there is time for.
async fn ask_again(
    server: SocketAddr,
    deadline: &Deadline<Timer>,
) -> Result<io::Result<String>, Elapsed> {
    let start = Instant::now();
    let attempt = || async {
        // Half a second a try, and less if there is less.
        let answer = deadline.within(500 * MS).run(ask(server)).await;
        answer.unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)))
    };
    let pauses =
        ExponentialBuilder::default().with_min_delay(4 * MS).with_jitter().without_max_times();
    let retry = attempt
        .retry(pauses)
        .sleep(BackonSleeper::new())
        .when(|error| error.kind() != io::ErrorKind::PermissionDenied)
        .notify(|error, pause| {
            println!("after {:4.0?}: {error}; again in {pause:.0?}", start.elapsed());
        });
    deadline.run(retry).await
}

fn main() -> io::Result<()> {
    smol::block_on(async {
        println!("A server that comes to itself:");
        let deadline = Deadline::after(Timer::global().clone(), 60_000 * MS);
        let answer = ask_again(server(4)?, &deadline).await.map_err(io::Error::other)??;
        println!("answered: {answer}");

        println!("One that does not:");
        let start = Instant::now();
        let deadline = Deadline::after(Timer::global().clone(), 100 * MS);
        let elapsed = ask_again(server(usize::MAX)?, &deadline).await;
        assert!(elapsed.is_err() && start.elapsed() >= 100 * MS, "never early");
        println!("given up after {:.0?}", start.elapsed());
        Ok(())
    })
}
