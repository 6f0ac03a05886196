//! What every request and job shares: the database, file contents, keys, the clock and the settings in force.

use std::sync::Arc;

use tokio::sync::Notify;
use url::Url;

use crate::account::SignInGuard;
use crate::blobs::Blobs;
use crate::clock::{Instant, SharedClock};
use crate::desk::forge::{Forge, NoForge};
use crate::history::{HistoryError, Signer};
use crate::issuer_keys::IssuerKeys;
use crate::server_key::ServerKey;
use crate::settings::Settings;
use crate::store::Store;
use crate::store::events::SigningPurpose;

/// Shared by everything that runs in one server process. Cheap to clone.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
    forge: Arc<dyn Forge>,
}

/// The contents of an [`App`].
pub struct Shared {
    /// The settings in force.
    pub settings: Settings,
    /// How clients reach the server, without a trailing slash.
    pub base_url: Url,
    /// The database.
    pub store: Store,
    /// File contents.
    pub blobs: Blobs,
    /// Opens what lies encrypted in the database.
    pub server_key: ServerKey,
    /// Signs checkpoints.
    pub checkpoint_signer: Signer,
    /// Signs receipts.
    pub receipt_signer: Signer,
    /// Slows down whoever guesses passwords.
    pub sign_in: SignInGuard,
    /// The issuers whose tokens are exchanged, and their keys.
    pub issuer_keys: IssuerKeys,
    /// The time.
    pub clock: SharedClock,
    /// Names this process in leases.
    pub node: String,
    /// Wakes the sealer after a commit.
    pub sealer_wake: Notify,
    /// Wakes the job runner after a commit.
    pub jobs_wake: Notify,
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "App({})", self.base_url)
    }
}

impl App {
    /// Puts the parts together; makes the signing keys where the database has none yet.
    ///
    /// # Errors
    /// Where the database refuses or a signing key does not open with this server key.
    pub async fn new(
        settings: Settings,
        base_url: Url,
        store: Store,
        blobs: Blobs,
        server_key: ServerKey,
        clock: SharedClock,
    ) -> Result<Self, HistoryError> {
        let now = clock.now();
        let checkpoint_signer = Signer::load(&store, &server_key, SigningPurpose::Checkpoint, now).await?;
        let receipt_signer = Signer::load(&store, &server_key, SigningPurpose::Receipt, now).await?;
        let issuer_keys = IssuerKeys::new(&settings.issuers);
        let shared = Shared {
            settings,
            base_url,
            store,
            blobs,
            server_key,
            checkpoint_signer,
            receipt_signer,
            sign_in: SignInGuard::default(),
            issuer_keys,
            clock,
            node: uuid::Uuid::now_v7().to_string(),
            sealer_wake: Notify::new(),
            jobs_wake: Notify::new(),
        };
        Ok(Self { shared: Arc::new(shared), forge: Arc::new(NoForge) })
    }

    /// The same with a forge that the desk's examinations ask. Without one they say that there is none.
    #[must_use]
    pub fn with_forge(mut self, forge: Arc<dyn Forge>) -> Self {
        self.forge = forge;
        self
    }

    /// What fetches and scans repositories.
    #[must_use]
    pub fn forge(&self) -> &dyn Forge {
        self.forge.as_ref()
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The host that clients know the server by: the location inside tokens and the tail of the audience.
    #[must_use]
    pub fn host(&self) -> &str {
        self.base_url.host_str().unwrap_or("localhost")
    }

    /// An absolute URL on this server; `path` begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url.as_str().trim_end_matches('/'))
    }

    /// Whom a refused person may ask: the operator's contact, else the sender of notices.
    #[must_use]
    pub fn contact(&self) -> &str {
        self.settings
            .contact
            .as_deref()
            .or(self.settings.mail.as_ref().map(|mail| mail.from.as_str()))
            .unwrap_or("the operator of this index")
    }

    /// What a CI job's token must be made for.
    #[must_use]
    pub fn audience(&self) -> String {
        self.settings.audience.clone().unwrap_or_else(|| format!("portcullis:{}", self.host()))
    }

    /// Call after a commit that recorded events, wrote notices or queued jobs: the workers look at once.
    pub fn committed(&self) {
        self.sealer_wake.notify_one();
        self.jobs_wake.notify_one();
    }
}
