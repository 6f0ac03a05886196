//! Finds CI workflows that carry secrets away, in every version a repository holds.
//!
//! [`scan`] reads local object databases and files, runs nothing, contacts nobody, and returns a [`Report`]. From a
//! path to a report: `source` finds repositories and loose files, `history` yields each distinct version of each workflow
//! once, `workflow` and `flow` follow every secret, `techniques` look, `verdict` weighs, `exposure` joins the versions.

pub mod analysis;
mod called;
pub mod destination;
pub mod edit;
pub mod exposure;
pub mod flow;
pub mod history;
mod login;
pub mod objects;
pub mod publishing;
pub mod reach;
pub mod removal;
pub mod report;
pub mod rewrite;
pub mod scan;
pub mod services;
pub mod signal;
pub mod silence;
pub mod source;
pub mod span;
pub mod syntax;
pub mod technique;
pub mod techniques;
pub mod text;
pub mod verdict;
pub mod workflow;
pub mod yaml;

pub use scan::{Options, Part, Report, Totals, scan, scan_each};

#[cfg(test)]
mod testing;
