//! The listener: HTTP/1 and HTTP/2, with or without TLS, bounded in connections and time, ended gracefully.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::app::App;
use crate::web::extract::Peer;

/// Most connections at one time; further ones wait to be accepted.
const CONNECTIONS: usize = 2_048;
/// How long a client may take for a request's head, or a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
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
    let router = super::router(app);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_LIMIT);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(HEAD_LIMIT as u32);
    let builder = Arc::new(builder);
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
        let _ = stream.set_nodelay(true);
        let service =
            router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Peer(address));
                request.map(axum::body::Body::new)
            });
        let (builder, tls, watcher) = (Arc::clone(&builder), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let connect = async |stream: Box<dyn Stream>, permit: OwnedSemaphorePermit| {
                let connection =
                    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                // A connection that breaks is the client's affair; the request's own failure was logged where it happened.
                let _ = watcher.watch(connection.into_owned()).await;
                drop(permit);
            };
            match tls {
                None => connect(Box::new(stream), permit).await,
                Some(tls) => match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connect(Box::new(stream), permit).await,
                    _ => tracing::debug!("a TLS handshake failed"),
                },
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that were still running were cut off");
    }
    Ok(())
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
