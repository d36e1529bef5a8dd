//! A QUIC connection over loopback.

use std::error::Error;
use std::future::poll_fn;
use std::net::{Ipv4Addr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_util::future::try_join;
use moirai_timer_ext::interop::QuinnRuntime;
use moirai_timer_std::Timer;
use moirai_timer_std::test::VirtualClock;
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, Connection, ConnectionError, Endpoint,
    EndpointConfig, IdleTimeout, Runtime, ServerConfig, TokioRuntime, TransportConfig,
};

use crate::{MS, SECOND, run};

/// tokio, whose tasks the clock waits for.
struct Tracking(VirtualClock);

impl fmt::Debug for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracking")
    }
}

impl Runtime for Tracking {
    fn new_timer(&self, _: Instant) -> Pin<Box<dyn AsyncTimer>> {
        unreachable!("timers are ours")
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(self.0.track(task));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }
}

fn endpoint(runtime: Arc<dyn Runtime>, server: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Endpoint::new(EndpointConfig::default(), server, socket, runtime).unwrap()
}

/// A connection, seen from both ends, and the endpoints that it needs.
struct Pair {
    client: Connection,
    server: Connection,
    _endpoints: [Endpoint; 2],
}

async fn connect(
    runtime: Arc<dyn Runtime>,
    idle_timeout: Duration,
    keep_alive: Option<Duration>,
) -> Result<Pair, ConnectionError> {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(signed.cert);
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();

    let mut transport = TransportConfig::default();
    let idle_timeout = IdleTimeout::try_from(idle_timeout).unwrap();
    transport.max_idle_timeout(Some(idle_timeout));
    let mut server = ServerConfig::with_single_cert(vec![certificate], key.into()).unwrap();
    server.transport_config(Arc::new(transport));
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(idle_timeout)).keep_alive_interval(keep_alive);
    let mut client = ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    client.transport_config(Arc::new(transport));

    let server_endpoint = endpoint(runtime.clone(), Some(server));
    let client_endpoint = endpoint(runtime, None);
    let address = server_endpoint.local_addr().unwrap();
    let connecting = client_endpoint.connect_with(client, address, "localhost").unwrap();
    let accepting = async { server_endpoint.accept().await.unwrap().await };
    let (client, server) = try_join(connecting, accepting).await?;
    Ok(Pair { client, server, _endpoints: [server_endpoint, client_endpoint] })
}

/// A question and its answer.
async fn talk(pair: &Pair) -> Result<(), Box<dyn Error>> {
    let ask = async {
        let (mut send, mut receive) = pair.client.open_bi().await?;
        send.write_all(b"question").await?;
        send.finish()?;
        assert_eq!(receive.read_to_end(100).await?, b"answer");
        Ok(())
    };
    let answer = async {
        let (mut send, mut receive) = pair.server.accept_bi().await?;
        assert_eq!(receive.read_to_end(100).await?, b"question");
        send.write_all(b"answer").await?;
        send.finish()?;
        Ok(())
    };
    try_join(ask, answer).await.map(drop)
}

/// Whether no datagram is on its way. Sockets know nothing of the clock, which has to wait for
/// them.
fn is_quiet(pair: &Pair) -> bool {
    let ends = [&pair.client, &pair.server];
    // In this order: what is received in between counts as not received.
    let received: u64 = ends.iter().map(|end| end.stats().udp_rx.datagrams).sum();
    let sent: u64 = ends.iter().map(|end| end.stats().udp_tx.datagrams).sum();
    // quinn counts the datagram with which a connection begins for the sender only.
    received + 1 == sent
}

/// To the next deadline, and to the end of what follows from it.
async fn advance(clock: &VirtualClock, pair: &Pair) {
    while !is_quiet(pair) {
        tokio::task::yield_now().await;
    }
    clock.advance_to_next().await.expect("a connection has a deadline");
}

#[test]
fn a_timer_expires_at_its_deadline_and_again_at_another() {
    run(async {
        let clock = VirtualClock::new();
        let runtime = QuinnRuntime::on(clock.timer(), TokioRuntime);
        let start = runtime.now();
        let mut timer = runtime.new_timer(start + 5 * SECOND);
        clock.auto_advance(poll_fn(|cx| timer.as_mut().poll(cx))).await;
        assert_eq!(runtime.now(), start + 5 * SECOND);
        timer.as_mut().reset(start + 7 * SECOND);
        clock.auto_advance(poll_fn(|cx| timer.as_mut().poll(cx))).await;
        assert_eq!(runtime.now(), start + 7 * SECOND);
    });
}

#[test]
fn an_idle_connection_ends_after_its_time_and_not_before() {
    run(async {
        let clock = VirtualClock::new();
        let runtime = QuinnRuntime::on(clock.timer(), Tracking(clock.clone()));
        let pair = connect(Arc::new(runtime), 30 * SECOND, None).await.unwrap();
        talk(&pair).await.unwrap();
        let talked = clock.elapsed();
        let ends = [&pair.client, &pair.server];
        while ends.iter().all(|end| end.close_reason().is_none()) {
            advance(&clock, &pair).await;
        }
        let ended = clock.elapsed() - talked;
        // It counts from the last acknowledgement.
        assert!((30 * SECOND..31 * SECOND).contains(&ended), "ended after {ended:?}");
        clock.advance(SECOND).await;
        for end in ends {
            assert_eq!(end.close_reason(), Some(ConnectionError::TimedOut));
        }
    });
}

#[test]
fn keep_alives_carry_a_connection_through_an_hour() {
    const HOUR: Duration = Duration::from_secs(3600);
    run(async {
        let clock = VirtualClock::new();
        let runtime = QuinnRuntime::on(clock.timer(), Tracking(clock.clone()));
        let pair = connect(Arc::new(runtime), 30 * SECOND, Some(20 * SECOND)).await.unwrap();
        talk(&pair).await.unwrap();
        while clock.elapsed() < HOUR {
            advance(&clock, &pair).await;
        }
        let pings = pair.server.stats().frame_rx.ping;
        assert!((170..200).contains(&pings), "{pings} pings in an hour");
        talk(&pair).await.unwrap();
    });
}

/// Talks, and waits until the silence has ended the connection at both ends. An error if something has
/// ended it before.
async fn fall_silent(idle_timeout: Duration) -> Result<(), Box<dyn Error>> {
    let pair = connect(Arc::new(QuinnRuntime::new(TokioRuntime)), idle_timeout, None).await?;
    let start = Timer::global().now();
    talk(&pair).await?;
    for end in [&pair.client, &pair.server] {
        match end.closed().await {
            ConnectionError::TimedOut => assert!(start.elapsed() >= idle_timeout),
            other => return Err(other.into()),
        }
    }
    Ok(())
}

#[test]
fn a_connection_on_the_global_timer_is_never_ended_early() {
    run(async {
        // A longer one if the machine has paused for so long in the midst of it.
        for idle_timeout in [200 * MS, 2 * SECOND, 20 * SECOND] {
            let start = Timer::global().now();
            match fall_silent(idle_timeout).await {
                Ok(()) => return,
                Err(error) => assert!(start.elapsed() >= idle_timeout, "{error}"),
            }
        }
        panic!("no connection has lasted until it was idle");
    });
}
