//! CNI on paper: what the specification says, as types.
//!
//! Names that are valid by construction, the configuration a plugin reads, the request it answers, results in
//! every version, errors with the specification's codes, the one `main` of all plugins, delegation, and the
//! configuration lists that a runtime loads. No kernel in here.

pub mod config;
pub mod delegate;
pub mod error;
mod exec;
mod fold;
mod json;
pub mod list;
pub mod names;
pub mod plugin;
pub mod request;
pub mod result;
pub mod version;

pub use config::{Config, Dns, ValidAttachment};
pub use delegate::Delegate;
pub use error::{Code, Error, Result};
pub use list::NetworkList;
pub use names::{ContainerId, IfName, NameError, NetworkName, PluginType};
pub use plugin::{Plugin, World};
pub use request::{Add, Attachment, Caller, Check, Del, Gc, Status};
pub use result::{Interface, Ip, Route, Success};
pub use version::Version;
