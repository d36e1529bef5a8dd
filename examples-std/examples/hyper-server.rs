//! A hyper server that waits for nobody longer than it wants to: not for a request's head, not for
//! the next request, and not for an answer of its own.
//!
//! tokio lends sockets and tasks. Its clock is not enabled: what takes time here goes by our timer.
//!
//! `cargo run --release --example hyper-server`

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use moirai_timer_ext::FutureExt;
use moirai_timer_ext::interop::HyperTimer;
use moirai_timer_std::sleep;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MS: Duration = Duration::from_millis(1);
/// For the head of a request; and for the next request on a connection that is kept alive.
const HEADER_READ_TIMEOUT: Duration = Duration::from_millis(200);
/// For the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(100);

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn serve(listener: TcpListener) {
    let mut server = http1::Builder::new();
    server.timer(HyperTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    while let Ok((stream, client)) = listener.accept().await {
        let connection = server.serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                println!("server: dropped {client}: {error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let page = async {
        if request.uri().path() == "/slow" {
            sleep(3_600_000 * MS).await;
        }
        Response::new(Full::from("hello"))
    };
    Ok(page.timeout(REQUEST_TIMEOUT).await.unwrap_or_else(|elapsed| {
        let mut response = Response::new(Full::from(elapsed.to_string()));
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        response
    }))
}

/// Asks twice on one connection, then lies idle until the server has had enough.
async fn good_client(server: SocketAddr) -> Result<(), Error> {
    let stream = TcpStream::connect(server).await?;
    let (mut requests, connection) = handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    for path in ["/", "/slow"] {
        let start = Instant::now();
        let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
        requests.ready().await?;
        let response = requests.send_request(request).await?;
        println!("client: {path} is {}, after {:.0?}", response.status(), start.elapsed());
    }
    let start = Instant::now();
    connection.await??;
    println!("client: closed after {:.0?} of silence", start.elapsed());
    Ok(())
}

/// Slow loris: a byte now and then, so that the connection is never idle, and a head that never
/// ends.
async fn slow_client(server: SocketAddr) -> Result<(), Error> {
    let start = Instant::now();
    let (mut read, mut write) = TcpStream::connect(server).await?.into_split();
    write.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await?;
    let drip = tokio::spawn(async move {
        while write.write_all(b"z").await.is_ok() {
            sleep(5 * MS).await;
        }
    });
    // Nothing to read: the end of the connection, one way or another.
    let _ = read.read_u8().await;
    drip.await?;
    let lasted = start.elapsed();
    assert!(lasted >= HEADER_READ_TIMEOUT, "never early");
    println!("slow client: dropped after {lasted:.0?}");
    Ok(())
}

fn main() -> Result<(), Error> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_io().build()?;
    let clients = async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let server = listener.local_addr()?;
        tokio::spawn(serve(listener));
        let slow = tokio::spawn(slow_client(server));
        // A connection may be closed for its silence just as it is to be used: then it takes another.
        while let Err(error) = good_client(server).await {
            println!("client: {error}, and tries again");
        }
        slow.await?
    };
    tokio.block_on(clients.timeout(60_000 * MS))?
}
