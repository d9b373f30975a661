//! What can go wrong on the runtime's side, told apart where a caller acts differently.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use spec::names::NetworkName;
use spec::request::Attachment;

use crate::verb::Verb;

/// Why an operation of the runtime's side did not succeed.
#[derive(Debug)]
pub enum Error {
    /// A plugin of the chain ran and reported an error.
    Plugin {
        /// Type, and name if it has one, as libcni words it: `type="bridge"`.
        plugin: String,
        /// What it was asked to do.
        verb: Verb,
        /// What it answered.
        error: spec::Error,
    },
    /// The first plugin of the chain found fault with its configuration or environment on ADD, or could not be
    /// started: nothing was made.
    Refused {
        /// Type, and name if it has one.
        plugin: String,
        /// What it answered.
        error: spec::Error,
    },
    /// Several plugins of the chain went wrong, each by itself.
    Several {
        /// The one that leads: the first in time.
        first: Box<Error>,
        /// The others, in order.
        rest: Vec<Error>,
    },
    /// A plugin's binary is in none of the plugin directories.
    MissingPlugin {
        /// Type, and name if it has one.
        plugin: String,
        /// What it was to do.
        verb: Verb,
        /// Where was looked.
        error: spec::Error,
    },
    /// The network's configuration does not allow the operation.
    Unsupported(spec::Error),
    /// The cache says that this container has this interface, on this network: it has to be deleted before it is
    /// added again, or another network needs another interface.
    AlreadyAttached(NetworkName, Attachment),
    /// Another operation held the lock for the whole waiting time.
    Busy {
        /// The network or container that is locked.
        what: String,
        /// How long was waited.
        waited: Duration,
    },
    /// A file of the cache or a lock could not be used.
    File {
        /// What was tried: "write", "read", "lock".
        tried: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it did not work.
        cause: io::Error,
    },
    /// ADD went wrong, and so did the DEL that was to clean up after it.
    Cleanup {
        /// Why ADD went wrong.
        first: Box<Error>,
        /// Why DEL went wrong.
        cleanup: Box<Error>,
    },
}

/// What operations of the runtime's side return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Nothing wrong; the one error; or all of them as one.
    pub(crate) fn joined(errors: impl Iterator<Item = Error>) -> Result<()> {
        let mut errors = errors;
        let Some(first) = errors.next() else { return Ok(()) };
        let rest: Vec<_> = errors.collect();
        Err(if rest.is_empty() { first } else { Self::Several { first: Box::new(first), rest } })
    }

    /// The plugin's own error, where a plugin's error is the reason.
    #[must_use]
    pub fn reported(&self) -> Option<&spec::Error> {
        match self {
            Self::Plugin { error, .. }
            | Self::Refused { error, .. }
            | Self::MissingPlugin { error, .. }
            | Self::Unsupported(error) => Some(error),
            Self::Cleanup { first, .. } | Self::Several { first, .. } => first.reported(),
            Self::AlreadyAttached(..) | Self::Busy { .. } | Self::File { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin { plugin, verb, error } | Self::MissingPlugin { plugin, verb, error } => {
                write!(out, "plugin {plugin} failed ({verb}): {error}")
            }
            Self::Refused { plugin, error } => write!(out, "plugin {plugin} failed ({}): {error}", Verb::Add),
            Self::Several { first, rest } => {
                write!(out, "{first}")?;
                rest.iter().try_for_each(|error| write!(out, "; {error}"))
            }
            Self::Unsupported(error) => write!(out, "{error}"),
            Self::AlreadyAttached(network, Attachment { container, ifname }) => {
                write!(out, "container {container} is attached to network {network} as {ifname} already")
            }
            Self::Busy { what, waited } => {
                write!(out, "lock {what}: another operation has held it for {} s", waited.as_secs())
            }
            Self::File { tried, path, cause } => write!(out, "{tried} {}: {cause}", path.display()),
            Self::Cleanup { first, cleanup } => {
                write!(out, "{first}; and what it had made could not be deleted: {cleanup}")
            }
        }
    }
}

impl std::error::Error for Error {}
