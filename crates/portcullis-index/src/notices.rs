//! The ways in which notices travel, one file each.

pub mod mail;
