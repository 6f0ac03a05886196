//! The index as its clients see it: through the router, on SQLite and on PostgreSQL, with a clock that tests turn.
//!
//! One binary, one module per area; `support` is the stage.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that meets the unexpected shall fail, also in its stage's helpers, which clippy does not take for tests"
)]

mod ci_issuer;
mod credentials;
mod desk;
mod desk_strangers;
mod distribution;
mod history;
mod incident;
mod pages;
mod pages_desk;
mod pages_project;
mod store;
mod support;
mod trusted_publishing;
mod upload;
