//! `portcullis scan` of what is not on this disk. All servers are stand-ins on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod github;
mod repository;
mod stand_in;
