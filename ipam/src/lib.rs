//! Which address a container gets: `host-local` and `static`, for their binaries and for plugins in whose
//! process they run.

mod config;
pub mod host_local;
mod in_process;
pub mod range;
pub mod span;
pub mod static_addresses;
mod store;

pub use in_process::{InProcess, in_process};
