//! nf_tables: the bytes of each request beside those of `nft`, and what this kernel makes of them.
//!
//! Tests that need root run in network and mount namespaces of their own (`unshare -nm`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "nft/bytes.rs"]
mod bytes;
#[path = "nft/bytes_rules.rs"]
mod bytes_rules;
#[path = "nft/concurrency.rs"]
mod concurrency;
#[path = "nft/errors.rs"]
mod errors;
#[path = "nft/found.rs"]
mod found;
#[path = "nft/guard.rs"]
mod guard;
#[path = "nft/interop.rs"]
mod interop;
#[path = "nft/lab.rs"]
mod lab;
#[path = "nft/listing.rs"]
mod listing;
#[path = "nft/masquerade.rs"]
mod masquerade;
#[path = "nft/tree.rs"]
mod tree;
#[path = "nft/words.rs"]
mod words;
