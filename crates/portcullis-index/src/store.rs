//! The database: one layer for SQLite and PostgreSQL.
//!
//! SQL stands only in this folder, one file a table family. Every function takes a [`Tx`], so that what belongs together
//! commits together; a dropped `Tx` rolls back. Nothing in here names `web` or decides anything.

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Executor, Row, Transaction};
use std::time::Duration;

use crate::clock::Instant;

pub mod accounts;
pub mod blobs;
pub mod cases;
pub mod containments;
pub mod events;
pub mod examinations;
pub mod exposures;
pub mod files;
pub mod jobs;
pub mod leases;
pub mod management_tokens;
pub mod mint_gates;
pub mod notices;
pub mod pending_publishers;
pub mod projects;
pub mod publishers;
pub mod reports;
pub mod sessions;
pub mod token_uses;
pub mod tokens;
pub mod used_jti;

/// Which database it is. The SQL is the same but for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, one writer at a time: a writing transaction is `BEGIN IMMEDIATE`, so row locks are not needed.
    Sqlite,
    /// PostgreSQL at its default isolation (read committed): rows are locked explicitly.
    Postgres,
}

/// What can go wrong below the domain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or refused a statement.
    #[error("the database did not carry out a statement: {0}")]
    Database(#[from] sqlx::Error),
    /// A row holds what no version of this program writes.
    #[error("the database holds an unreadable value in {what}; restore from a backup or ask for help")]
    Corrupt {
        /// Table and column.
        what: String,
    },
    /// The schema is newer than this program.
    #[error(
        "the database has schema version {found}, this program knows up to {known}; start the newer release that \
         made it, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// The version in the database.
        found: i64,
        /// The newest version that this program has.
        known: i64,
    },
    /// The URL is of no database we speak to.
    #[error("the database URL must begin with sqlite: or postgres:")]
    UnknownDatabase,
}

impl StoreError {
    /// Whether a unique constraint decided that somebody else was first.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

/// The result of every store function.
pub type Result<T> = std::result::Result<T, StoreError>;

const MIGRATIONS: &[(i64, &str)] = &[(1, include_str!("../migrations/0001_initial.sql"))];

/// Any fixed number: what nodes that migrate at the same time wait for on PostgreSQL.
const MIGRATION_LOCK: i64 = 0x706f_7274_6375_6c6c;

/// A pool of connections to one database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
}

impl Store {
    /// Opens the database that `url` names (`sqlite:PATH` or `postgres://…`), creating the file of an SQLite one.
    ///
    /// # Errors
    /// Where the URL is of no known kind or the database can't be reached.
    pub async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let dialect = if url.starts_with("sqlite:") {
            Dialect::Sqlite
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Dialect::Postgres
        } else {
            return Err(StoreError::UnknownDatabase);
        };
        let url = match dialect {
            Dialect::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
            _ => url.to_owned(),
        };
        let pool = AnyPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| Box::pin(prepare(connection, dialect)))
            .connect(&url)
            .await?;
        Ok(Self { pool, dialect })
    }

    /// Brings the schema up to this program's version, under a lock that other nodes wait for.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] where a newer release made the schema.
    pub async fn migrate(&self, now: Instant) -> Result<()> {
        let mut tx = self.write().await?;
        if self.dialect == Dialect::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(MIGRATION_LOCK)
                .execute(tx.connection())
                .await?;
        }
        tx.connection()
            .execute("CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)")
            .await?;
        let found: i64 = sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM schema_versions")
            .fetch_one(tx.connection())
            .await?
            .try_get("version")?;
        let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
            sqlx::raw_sql(*sql).execute(tx.connection()).await?;
            sqlx::query("INSERT INTO schema_versions (version, applied_at) VALUES ($1, $2)")
                .bind(*version)
                .bind(now.0)
                .execute(tx.connection())
                .await?;
        }
        tx.commit().await
    }

    /// A transaction that only reads.
    ///
    /// # Errors
    /// Where the database can't be reached.
    pub async fn read(&self) -> Result<Tx> {
        Ok(Tx { inner: self.pool.begin().await?, dialect: self.dialect })
    }

    /// A transaction that only reads, and reads all of it as it was at one moment, whatever is committed beside it. On SQLite
    /// every transaction does; PostgreSQL's ordinary ones show each statement what is committed by then.
    ///
    /// # Errors
    /// Where the database can't be reached.
    pub async fn snapshot(&self) -> Result<Tx> {
        let inner = match self.dialect {
            Dialect::Sqlite => self.pool.begin().await?,
            Dialect::Postgres => {
                self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
            }
        };
        Ok(Tx { inner, dialect: self.dialect })
    }

    /// A transaction that may write. On SQLite it takes the write lock at once: a read-then-write in a deferred
    /// transaction fails with `SQLITE_BUSY_SNAPSHOT` whatever the timeout.
    ///
    /// # Errors
    /// Where the database can't be reached, or another writer holds SQLite's lock for too long.
    pub async fn write(&self) -> Result<Tx> {
        let inner = match self.dialect {
            Dialect::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Dialect::Postgres => self.pool.begin().await?,
        };
        Ok(Tx { inner, dialect: self.dialect })
    }

    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Closes all connections; pending transactions are waited for.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn prepare(connection: &mut AnyConnection, dialect: Dialect) -> std::result::Result<(), sqlx::Error> {
    if dialect == Dialect::Sqlite {
        // WAL lets readers go on beside the writer; FULL makes a commit survive a power cut, which a decision must.
        for pragma in [
            "PRAGMA busy_timeout = 10000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
        ] {
            connection.execute(pragma).await?;
        }
    }
    Ok(())
}

/// A transaction. Commit consumes it; dropped, it rolls back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
    dialect: Dialect,
}

impl Tx {
    /// Makes everything that was done in it durable.
    ///
    /// # Errors
    /// Where the database refuses; then nothing of it holds.
    pub async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }

    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Appended to a `SELECT`: nobody may change the rows until this transaction ends.
    pub(crate) fn share_lock(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR SHARE",
        }
    }

    /// Appended to a `SELECT`: nobody else may lock or change the rows until this transaction ends.
    pub(crate) fn update_lock(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR UPDATE",
        }
    }

    /// Appended to a `SELECT`: takes the rows that nobody else is working on.
    pub(crate) fn skip_locked(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }
}

/// A statement put together from constant parts (a column list, a lock): never from a value.
pub(crate) fn statement(parts: &[&'static str]) -> AssertSqlSafe<String> {
    AssertSqlSafe(parts.concat())
}

/// Reads columns of a row into domain values, naming the column where that fails.
pub(crate) struct Columns<'row>(pub(crate) &'row AnyRow);

impl Columns<'_> {
    pub(crate) fn text(&self, column: &str) -> Result<String> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn number(&self, column: &str) -> Result<i64> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_number(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.number(column)? != 0)
    }

    pub(crate) fn bytes(&self, column: &str) -> Result<Vec<u8>> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn time(&self, column: &str) -> Result<Instant> {
        self.number(column).map(Instant)
    }

    pub(crate) fn optional_time(&self, column: &str) -> Result<Option<Instant>> {
        Ok(self.optional_number(column)?.map(Instant))
    }

    /// A value that has a text form: an id, a stored enum.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: &str) -> Result<T> {
        self.text(column)?.parse().map_err(|_| StoreError::Corrupt { what: column.to_owned() })
    }

    pub(crate) fn optional_parsed<T: std::str::FromStr>(&self, column: &str) -> Result<Option<T>> {
        self.optional_text(column)?
            .map(|text| text.parse().map_err(|_| StoreError::Corrupt { what: column.to_owned() }))
            .transpose()
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|_| StoreError::Corrupt { what: column.to_owned() })
    }
}

/// An enum with one stored word per variant: the word in the database, in JSON and on the pages.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word it is stored and shown as.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::store::UnknownWord;
            fn from_str(text: &str) -> std::result::Result<Self, crate::store::UnknownWord> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(crate::store::UnknownWord) }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(|_| serde::de::Error::unknown_variant(&text, &[$($word),*]))
            }
        }
    };
}
pub(crate) use stored_enum;

/// A word that stands for no variant of a stored enum.
#[derive(Debug, thiserror::Error)]
#[error("not one of the known words")]
pub struct UnknownWord;
