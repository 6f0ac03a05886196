//! `portcullis serve`: the index, Trusted Publishing and the desk.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use portcullis_index::account::one_time_link::first_administrator_link;
use portcullis_index::app::App;
use portcullis_index::settings::Tls;
use portcullis_index::{jobs, sealing, tls, web};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::Outcome;
use crate::forge::Remote;
use crate::server::{self, DataFolder, SettingsArguments};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  portcullis serve\n  portcullis serve --config portcullis.toml --check\n  \
                        PORTCULLIS_TLS__SELF_SIGNED=true portcullis serve --listen 127.0.0.1:8443"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// How clients reach the server [default: from --listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Check the settings, print what is in force without secrets, and end
    #[arg(long)]
    check: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let settings = arguments.settings.resolve(|said| {
        said.listen = arguments.listen.clone().or_else(|| said.listen.take());
        said.url = arguments.url.clone().or_else(|| said.url.take());
    })?;
    if arguments.check {
        if let Tls::Certificate { cert, key } = &settings.tls {
            tls::acceptor(cert, key)?;
        }
        writeln!(std::io::stdout(), "{}", settings.summary())?;
        return Ok(Outcome::Done);
    }
    crate::log_to_stderr();
    for section in &settings.without_effect {
        tracing::warn!("the section [{section}] of the settings is known and has no effect in this release");
    }
    tokio::runtime::Runtime::new().context("starting the runtime")?.block_on(async {
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("listening on {}; is another server running there?", settings.listen))?;
        let listening = listener.local_addr().context("asking where the server listens")?;
        let base_url = server::base_url(&settings, listening)?;
        let forge = Arc::new(Remote::new(&settings)?);
        let app = server::open(settings, base_url, DataFolder::MayBeMade).await?.with_forge(forge);
        serve(app, listener, listening).await
    })?;
    Ok(Outcome::Done)
}

async fn serve(app: App, listener: TcpListener, listening: SocketAddr) -> anyhow::Result<()> {
    let acceptor = acceptor(&app)?;
    // Before `ready`, so that whoever waits for that line may send the signal at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    let workers = [
        tokio::spawn(jobs::run(app.clone(), stopped.clone())),
        tokio::spawn(sealing::run(app.clone(), stopped)),
    ];
    if let Some(link) =
        first_administrator_link(&app).await.context("making the first administrator's link")?
    {
        writeln!(std::io::stderr(), "There is no administrator yet. Within the hour, make one at {link}")?;
    }
    writeln!(std::io::stdout(), "ready: {}", app.base_url.as_str().trim_end_matches('/'))?;
    std::io::stdout().flush()?;
    tracing::info!(%listening, "serving");
    let shutdown = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("ending: no new connections, running requests come to their end");
    };
    web::server::serve(app.clone(), listener, acceptor, shutdown).await.context("serving")?;
    // The requests have ended; what they recorded is sealed by the workers' last round.
    let _ = stop.send(true);
    for worker in workers {
        worker.await.context("a background worker failed")?;
    }
    app.store.close().await;
    Ok(())
}

fn acceptor(app: &App) -> anyhow::Result<Option<TlsAcceptor>> {
    match &app.settings.tls {
        Tls::Off => Ok(None),
        Tls::Certificate { cert, key } => Ok(Some(tls::acceptor(cert, key)?)),
        Tls::SelfSigned { folder } => {
            let (cert, key) = tls::self_signed(folder, app.host())?;
            writeln!(
                std::io::stderr(),
                "TLS for trying out: give clients {} as their certificate authority",
                folder.join("ca.pem").display()
            )?;
            Ok(Some(tls::acceptor(&cert, &key)?))
        }
    }
}
