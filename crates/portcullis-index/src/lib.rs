//! The package index, Trusted Publishing and the incident desk.
//!
//! `web` → domain files → `store`: a handler parses, calls one domain function and renders; the domain decides; SQL
//! stands only in `store/`. See ARCHITECTURE.md for the invariants.

pub mod account;
pub mod api_token;
pub mod app;
pub mod authority;
pub mod blobs;
pub mod burning;
pub mod clock;
pub mod desk;
pub mod history;
pub mod ids;
pub mod issuer_keys;
pub mod jobs;
pub mod management_token;
pub mod minting;
pub mod notice;
pub mod notices;
pub mod outgoing;
pub mod project;
pub mod publisher;
pub mod sealing;
pub mod search;
pub mod server_key;
pub mod settings;
pub mod simple;
pub mod store;
pub mod tls;
pub mod upload;
pub mod visible;
pub mod web;
