//! The listener: HTTP/1 and HTTP/2, with or without TLS, bounded in connections and time, ended gracefully.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::app::App;
use crate::web::extract::Peer;

/// Most connections at one time; further ones wait to be accepted.
const CONNECTIONS: usize = 2_048;
/// How long a client may take for a request's head, or a TLS handshake. It also ends a connection that says nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one connection may last: bounds clients that read an answer for ever.
const CONNECTION_LIFE: Duration = Duration::from_secs(3_600);
/// How long requests that are being answered may go on after the server was told to end.
const GRACE: Duration = Duration::from_secs(20);
/// Longest head of a request, in bytes: tokens may be 32,760 bytes long.
const HEAD_LIMIT: usize = 64 * 1024;

/// Answers requests until `shutdown` comes, then lets those that have begun come to their end.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(
    app: App,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let speaker =
        Speaker { router: super::router(app), http1: Arc::new(http1()), http2: Arc::new(http2()), tls };
    tokio::pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit.map_err(std::io::Error::other)?,
            () = &mut shutdown => break,
        };
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, say: the next one may succeed once a connection has ended.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let (speaker, watcher) = (speaker.clone(), graceful.watcher());
        tokio::spawn(async move {
            // A connection that breaks is the client's affair; a request's own failure was logged where it happened.
            let _ = tokio::time::timeout(CONNECTION_LIFE, speaker.speak(stream, address, watcher)).await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that were still running were cut off");
    }
    Ok(())
}

// Each version has a builder of its own: one that finds out by itself which it is waits for the first byte without a limit.

fn http1() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_LIMIT);
    builder
}

fn http2() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_LIMIT as u32)
        .keep_alive_interval(HEAD_TIMEOUT)
        .keep_alive_timeout(HEAD_TIMEOUT);
    builder
}

/// What a connection is answered with.
#[derive(Clone)]
struct Speaker {
    router: Router,
    http1: Arc<Builder<TokioExecutor>>,
    http2: Arc<Builder<TokioExecutor>>,
    tls: Option<TlsAcceptor>,
}

impl Speaker {
    async fn speak(self, stream: TcpStream, address: SocketAddr, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.answer(&self.http1, stream, address, watcher).await;
        };
        match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let builder = if h2 { &self.http2 } else { &self.http1 };
                self.answer(builder, stream, address, watcher).await;
            }
            _ => tracing::debug!("a TLS handshake failed"),
        }
    }

    async fn answer(
        &self,
        builder: &Builder<TokioExecutor>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        watcher: Watcher,
    ) {
        let service =
            self.router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Peer(address));
                request.map(axum::body::Body::new)
            });
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let _ = watcher.watch(connection.into_owned()).await;
    }
}
