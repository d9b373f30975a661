//! The runtime's side of CNI: sandboxes, chains of plugins, the result cache. spec/LIFECYCLE.md made code.
//!
//! A runtime makes a [`Sandbox`](sandbox::Sandbox), attaches it with a [`Runtime`] to networks read by
//! [`spec::NetworkList`], and later detaches and deletes it; what a crash left in between is found by GC.

pub mod cache;
mod chain;
mod endpoint;
mod error;
mod gc;
mod go_json;
mod lock;
mod runtime;
pub mod sandbox;
mod verb;

pub use cache::Cache;
pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use gc::Collected;
pub use runtime::Runtime;
pub use verb::Verb;
