//! What `serve` and `admin` share: finding the settings and putting the application together on them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use portcullis_index::app::App;
use portcullis_index::blobs::Blobs;
use portcullis_index::clock::{Clock, SystemClock};
use portcullis_index::server_key::ServerKey;
use portcullis_index::settings::{Said, Settings, Tls};
use portcullis_index::store::Store;
use secrecy::ExposeSecret;
use url::Url;

/// Where the settings come from: flags, then the environment (`PORTCULLIS_DATABASE__URL`), then the file, then defaults.
#[derive(clap::Args)]
pub(crate) struct SettingsArguments {
    /// The settings file (TOML)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The data folder [default: portcullis-data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

impl SettingsArguments {
    /// What is in force; `overlay` lays further flags over it.
    pub(crate) fn resolve(&self, overlay: impl FnOnce(&mut Said)) -> anyhow::Result<Settings> {
        let mut said = Said::read(self.config.as_deref(), std::env::vars())?;
        if let Some(data) = &self.data {
            said.data = Some(data.clone());
        }
        overlay(&mut said);
        Ok(Settings::resolve(said)?)
    }
}

/// Whether the data folder may be made: only a server that starts makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataFolder {
    /// `serve`.
    MayBeMade,
    /// `admin`: a wrong path must not become an empty index.
    MustExist,
}

/// Opens database, file contents and key as the settings say.
pub(crate) async fn open(settings: Settings, base_url: Url, folder: DataFolder) -> anyhow::Result<App> {
    if folder == DataFolder::MustExist {
        ensure!(
            settings.data.is_dir(),
            "the data folder {} does not exist; name the one that `portcullis serve` uses with --data or --config",
            settings.data.display()
        );
    }
    make_private_folder(&settings.data)?;
    let store = Store::open(settings.database.expose_secret()).await.context("opening the database")?;
    store.migrate(SystemClock.now()).await.context("bringing the database's schema up to date")?;
    let server_key = ServerKey::load_or_create(&settings.key_file)?;
    let blobs = Blobs::open(&settings.blobs)
        .with_context(|| format!("opening the folder of file contents {}", settings.blobs.display()))?;
    Ok(App::new(settings, base_url, store, blobs, server_key, Arc::new(SystemClock)).await?)
}

fn make_private_folder(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("making the data folder {}", path.display()))
}

/// How clients reach the server: as it was said, or from where it listens.
pub(crate) fn base_url(settings: &Settings, listening: std::net::SocketAddr) -> anyhow::Result<Url> {
    if let Some(url) = &settings.url {
        return Ok(url.clone());
    }
    let scheme = if settings.tls == Tls::Off { "http" } else { "https" };
    let address = if listening.ip().is_unspecified() {
        std::net::SocketAddr::from(([127, 0, 0, 1], listening.port()))
    } else {
        listening
    };
    Ok(Url::parse(&format!("{scheme}://{address}"))?)
}
