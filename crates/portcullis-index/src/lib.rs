//! The package index and the incident desk.
