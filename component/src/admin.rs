//! Shell: the HTTP listener for health and metrics. It decides nothing.
//!
//! `/healthz` answers while the program runs, `/readyz` while messages can cross, `/metrics` with everything counted.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::metrics;

/// Connections served at a time; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 32;

/// How long a client may take to send a request, and how long it may be silent between two.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may last at all, so that no slow reader holds a place for ever.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

/// The running listener. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Admin {
    /// Listens at `address`; `readiness` is what `/readyz` tells.
    pub async fn spawn(address: SocketAddr, readiness: watch::Receiver<bool>) -> io::Result<Admin> {
        let listener = TcpListener::bind(address).await?;
        Ok(Admin {
            address: listener.local_addr()?,
            task: tokio::spawn(accept(listener, readiness)),
        })
    }

    /// Where it listens, with the port that was chosen if 0 was asked for.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, readiness: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Owned here, so that they end with this task.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let readiness = readiness.clone();
                connections.spawn(async move {
                    let _ =
                        tokio::time::timeout(CONNECTION_TIMEOUT, serve(stream, readiness)).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "the admin listener cannot accept a connection");
                // Out of file descriptors, most likely: trying at once again would only burn time.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, readiness: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), *readiness.borrow());
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection to the admin listener broke");
    }
}

fn answer(method: &Method, path: &str, is_ready: bool) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "expected GET\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if is_ready => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render()),
        _ => text(
            StatusCode::NOT_FOUND,
            "expected /healthz, /readyz or /metrics\n",
        ),
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", body)
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn health_readiness_and_metrics_are_served() {
        let (ready, readiness) = watch::channel(false);
        let admin = Admin::spawn(SocketAddr::from(([127, 0, 0, 1], 0)), readiness)
            .await
            .unwrap();
        let at = admin.local_address();

        assert!(get(at, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
        assert!(get(at, "/readyz").await.starts_with("HTTP/1.1 503 "));
        ready.send(true).unwrap();
        assert!(get(at, "/readyz").await.starts_with("HTTP/1.1 200 OK"));
        let metrics = get(at, "/metrics").await;
        assert!(
            metrics.contains("stox_sessions_open") && metrics.contains(metrics::CONTENT_TYPE),
            "{metrics}"
        );
        assert!(get(at, "/").await.starts_with("HTTP/1.1 404 "));
        assert!(
            ask(
                at,
                "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            .await
            .starts_with("HTTP/1.1 405 ")
        );
        assert!(
            ask(at, "nonsense\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 400 ")
        );

        drop(admin);
        tokio::task::yield_now().await;
        assert!(TcpStream::connect(at).await.is_err());
    }

    async fn get(at: SocketAddr, path: &str) -> String {
        ask(
            at,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        .await
    }

    async fn ask(at: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }
}
