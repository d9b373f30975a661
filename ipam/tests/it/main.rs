//! host-local and static as a runtime meets them, without root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "json!(…) is handed over where it is written")]

mod boot;
mod calls;
mod kill;
mod model;
mod reference;
mod refused;
mod scale;
mod statics;
mod verbs;
