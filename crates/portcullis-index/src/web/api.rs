//! One file per resource. Each has `routes()` and is read top-down.

pub mod cases;
pub mod health;
pub mod legacy;
mod negotiate;
pub mod notices;
pub mod oidc;
pub mod publishers;
pub mod reports;
pub mod simple;
pub mod tokens;
