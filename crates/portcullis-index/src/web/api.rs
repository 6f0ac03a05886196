//! One file per resource. Each has `routes()` and is read top-down.

pub mod health;
pub mod oidc;
pub mod publishers;
