//! hyper's servers and clients, over loopback.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::join;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::rt::{Executor, Timer as _};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, client};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use moirai_timer_ext::interop::HyperTimer;
use moirai_timer_std::sleep;
use moirai_timer_std::test::VirtualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{MS, NS, SECOND, run};

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Both ends of a connection over loopback.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = join(TcpStream::connect(address), listener.accept()).await;
    let (client, server) = (client.unwrap(), server.unwrap().0);
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

fn http1_server(timer: HyperTimer, timeout: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(timer).header_read_timeout(timeout);
    builder
}

async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// Serves the connection as a task that the clock waits for.
fn serve(clock: &VirtualClock, stream: TcpStream) -> JoinHandle<hyper::Result<()>> {
    let timer = HyperTimer::on(clock.timer());
    let server = http1_server(timer, HEADER_READ_TIMEOUT);
    tokio::spawn(clock.track(server.serve_connection(TokioIo::new(stream), service_fn(hello))))
}

/// What comes until the other side closes.
async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // Bytes that the server has not read reset the connection.
    let _ = stream.read_to_end(&mut all).await;
    all
}

/// An answer, and no more than that.
async fn read_answer(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "it was closed");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
}

#[test]
fn a_client_that_never_says_anything_is_dropped_at_its_time_and_not_before() {
    run(async {
        let clock = VirtualClock::new();
        let (mut client, stream) = connection().await;
        let server = serve(&clock, stream);
        clock.until_armed(1).await;
        clock.advance(HEADER_READ_TIMEOUT - NS).await;
        assert_eq!(clock.armed(), 1);
        clock.advance(NS).await;
        assert!(server.await.unwrap().unwrap_err().is_timeout());
        read_to_end(&mut client).await;
        assert_eq!(clock.armed(), 0);
    });
}

#[test]
fn slow_lorises_are_dropped_on_time_and_good_clients_are_served_meanwhile() {
    const LORISES: u64 = 50;
    run(async {
        let clock = VirtualClock::new();
        let mut lorises = Vec::new();
        for _ in 0..LORISES {
            let (mut client, stream) = connection().await;
            client.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
            lorises.push((client, serve(&clock, stream)));
        }
        clock.until_armed(LORISES).await;
        // A byte each second. None of them buys any time.
        for second in 1..30 {
            clock.advance(SECOND).await;
            for (client, _) in &mut lorises {
                client.write_all(b"z").await.unwrap();
            }
            assert_eq!(clock.armed(), LORISES, "after {second} s");
        }
        let (mut good, stream) = connection().await;
        good.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        serve(&clock, stream).await.unwrap().unwrap();
        assert!(read_to_end(&mut good).await.ends_with(b"hello"));

        clock.advance(SECOND - NS).await;
        assert_eq!(clock.armed(), LORISES);
        clock.advance(NS).await;
        assert_eq!(clock.armed(), 0);
        for (mut client, server) in lorises {
            assert!(server.await.unwrap().unwrap_err().is_timeout());
            read_to_end(&mut client).await;
        }
    });
}

#[test]
fn a_connection_that_is_kept_alive_is_closed_when_it_has_been_idle_for_too_long() {
    run(async {
        let clock = VirtualClock::new();
        let (mut client, stream) = connection().await;
        let server = serve(&clock, stream);
        // Each request comes in time, and the time begins anew.
        for _ in 0..5 {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            read_answer(&mut client).await;
            clock.until_armed(1).await;
            clock.advance(HEADER_READ_TIMEOUT - NS).await;
            assert_eq!(clock.armed(), 1);
        }
        clock.advance(NS).await;
        assert_eq!(clock.armed(), 0);
        assert!(server.await.unwrap().unwrap_err().is_timeout());
        assert_eq!(read_to_end(&mut client).await, b"");
        assert_eq!(clock.elapsed(), 5 * HEADER_READ_TIMEOUT - 4 * NS);
    });
}

/// Frames of HTTP/2, as far as pings need them.
struct Http2Peer(TcpStream);

impl Http2Peer {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /// None but the defaults.
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: u8 = 6;
    const ACK: u8 = 1;

    /// A client.
    async fn greet(mut stream: TcpStream) -> Self {
        stream.write_all(&[Self::PREFACE, Self::SETTINGS].concat()).await.unwrap();
        Http2Peer(stream)
    }

    /// A server.
    async fn accept(mut stream: TcpStream) -> Self {
        let mut preface = [0; Self::PREFACE.len()];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(preface, Self::PREFACE);
        stream.write_all(Self::SETTINGS).await.unwrap();
        Http2Peer(stream)
    }

    /// What is in the next ping that has these flags.
    async fn read_ping(&mut self, flags: u8) -> [u8; 8] {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            if head[3..5] == [Self::PING, flags] {
                return payload.try_into().unwrap();
            }
        }
    }

    async fn write_ping(&mut self, flags: u8, payload: [u8; 8]) {
        let head = [0, 0, 8, Self::PING, flags, 0, 0, 0, 0];
        self.0.write_all(&[&head[..], &payload].concat()).await.unwrap();
    }

    /// Answers the other side's ping, and waits until it has seen that.
    async fn answer_ping(&mut self) {
        let asked = self.read_ping(0).await;
        self.write_ping(Self::ACK, asked).await;
        self.write_ping(0, *b"seen it?").await;
        assert_eq!(self.read_ping(Self::ACK).await, *b"seen it?");
    }
}

const INTERVAL: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_client_is_kept_while_it_answers_pings_and_dropped_at_its_time_when_it_does_not() {
    run(async {
        let clock = VirtualClock::new();
        let (client, stream) = connection().await;
        let mut server = http2::Builder::new(TokioExecutor::new());
        server
            .timer(HyperTimer::on(clock.timer()))
            .keep_alive_interval(INTERVAL)
            .keep_alive_timeout(TIMEOUT);
        let server = server.serve_connection(TokioIo::new(stream), service_fn(hello));
        let server = tokio::spawn(clock.track(server));
        let mut client = Http2Peer::greet(client).await;

        clock.until_armed(1).await;
        while clock.elapsed() < HOUR {
            clock.advance(INTERVAL).await;
            client.answer_ping().await;
        }
        clock.advance(INTERVAL).await;
        client.read_ping(0).await;
        clock.advance(TIMEOUT - NS).await;
        assert_eq!(clock.armed(), 1);
        clock.advance(NS).await;
        assert_eq!(clock.armed(), 0);
        assert!(server.await.unwrap().unwrap_err().is_timeout());
    });
}

/// What hyper's clients spawn, as tasks that the clock waits for.
#[derive(Clone)]
struct OnClock(VirtualClock);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for OnClock {
    fn execute(&self, task: F) {
        tokio::spawn(self.0.track(task));
    }
}

#[test]
fn a_server_is_kept_while_it_answers_pings_and_given_up_at_its_time_when_it_falls_silent() {
    run(async {
        let clock = VirtualClock::new();
        let (stream, server) = connection().await;
        let mut client = client::conn::http2::Builder::new(OnClock(clock.clone()));
        client
            .timer(HyperTimer::on(clock.timer()))
            .keep_alive_while_idle(true)
            .keep_alive_interval(INTERVAL)
            .keep_alive_timeout(TIMEOUT);
        let client = client.handshake(TokioIo::new(stream));
        let (client, mut server) = join(client, Http2Peer::accept(server)).await;
        let (mut client, connection) = client.unwrap();
        let connection = tokio::spawn(clock.track(connection));
        let request = Request::get("http://moirai/").body(Empty::<Bytes>::new()).unwrap();
        let answer = tokio::spawn(clock.track(client.send_request(request)));

        clock.until_armed(1).await;
        while clock.elapsed() < HOUR {
            clock.advance(INTERVAL).await;
            server.answer_ping().await;
        }
        clock.advance(INTERVAL).await;
        server.read_ping(0).await;
        clock.advance(TIMEOUT - NS).await;
        assert_eq!(clock.armed(), 1);
        assert!(!answer.is_finished());
        clock.advance(NS).await;
        assert_eq!(clock.armed(), 0);
        assert!(answer.await.unwrap().unwrap_err().is_timeout());
        let _ = connection.await.unwrap();
        read_to_end(&mut server.0).await;
    });
}

#[test]
fn a_pool_closes_a_connection_that_nobody_has_used_for_long() {
    const IDLE: Duration = Duration::from_secs(30);
    run(async {
        let clock = VirtualClock::new();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            http1::Builder::new().serve_connection(stream, service_fn(hello)).await
        });
        let client = Client::builder(OnClock(clock.clone()))
            .pool_timer(HyperTimer::on(clock.timer()))
            .pool_idle_timeout(IDLE)
            .build_http::<Empty<Bytes>>();
        let uri = format!("http://{address}/").parse().unwrap();
        let answer = client.get(uri).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");

        // The pool looks every so often, and at the first look it has not been idle for longer than that.
        clock.until_armed(1).await;
        clock.advance(2 * IDLE - NS).await;
        assert_eq!(clock.armed(), 1);
        assert!(!server.is_finished());
        clock.advance(NS).await;
        assert_eq!(clock.armed(), 0);
        server.await.unwrap().unwrap();
    });
}

/// A sleep that is not ours.
struct Foreign;

impl hyper::rt::Sleep for Foreign {}

impl Future for Foreign {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[test]
fn a_sleep_is_moved_in_its_box_and_one_of_another_timer_is_replaced() {
    run(async {
        let clock = VirtualClock::new();
        let timer = HyperTimer::on(clock.timer());
        let start = clock.now();

        let mut ours = timer.sleep(5 * SECOND);
        let address = &raw const *ours;
        timer.reset(&mut ours, start + SECOND);
        assert!(std::ptr::addr_eq(address, &raw const *ours));
        clock.auto_advance(ours).await;
        assert_eq!(timer.now(), start + SECOND);

        let mut foreign: Pin<Box<dyn hyper::rt::Sleep>> = Box::pin(Foreign);
        timer.reset(&mut foreign, start + 3 * SECOND);
        clock.auto_advance(foreign).await;
        assert_eq!(timer.now(), start + 3 * SECOND);

        // One that is not moved.
        clock.auto_advance(timer.sleep(4 * SECOND)).await;
        assert_eq!(timer.now(), start + 7 * SECOND);
    });
}

#[test]
fn on_the_global_timer_no_loris_is_dropped_early_however_much_it_says() {
    let timeout = 50 * MS;
    run(async {
        let clients: Vec<_> = (0..10)
            .map(|_| {
                tokio::spawn(async move {
                    let start = Instant::now();
                    let (client, stream) = connection().await;
                    let server = http1_server(HyperTimer::new(), timeout)
                        .serve_connection(TokioIo::new(stream), service_fn(hello));
                    let (mut read, mut write) = client.into_split();
                    let drip = async {
                        while write.write_all(b"G").await.is_ok() {
                            sleep(MS).await;
                        }
                    };
                    let serve = async { (server.await, start.elapsed()) };
                    let (ended, ()) = join(serve, drip).await;
                    let _ = read.read_u8().await;
                    ended
                })
            })
            .collect();
        for client in clients {
            let (ended, after) = client.await.unwrap();
            assert!(ended.unwrap_err().is_timeout());
            assert!(after >= timeout, "dropped after {after:?}");
        }
    });
}
