//! The two namespaces of an ADD or CHECK, each with one route socket, opened once.

use kernel::error::Errno;
use kernel::netns::NetNs;
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use std::path::Path;

/// The host's side and the container's side.
#[derive(Debug)]
pub struct Sockets {
    /// Route socket in the namespace that the plugin was started in.
    pub host: Rtnl,
    /// Route socket in the container's namespace.
    pub container: Rtnl,
    /// The container's namespace.
    pub netns: NetNs,
}

impl Sockets {
    /// Opens both sides.
    ///
    /// # Errors
    /// Code 8 when the path is no network namespace; an I/O error when a socket cannot be had.
    pub fn open(netns: &Path) -> Result<Sockets> {
        let netns = open_netns(netns)?;
        let container = Rtnl::open_in(&netns)?;
        Ok(Sockets { host: Rtnl::open()?, container, netns })
    }
}

/// Opens the container's namespace.
///
/// # Errors
/// Code 8, with the path and the cause.
pub fn open_netns(path: &Path) -> Result<NetNs> {
    NetNs::open(path).map_err(|error| Error::invalid_netns(error.to_string()))
}

/// Opens the container's namespace if it still lives. A path that is missing, or whose mount is gone so that
/// a plain file is left, is a namespace that ended, and with it everything in it.
///
/// # Errors
/// Code 8 when it may live but cannot be opened, for want of permission or of descriptors.
pub fn open_living(path: &Path) -> Result<Option<NetNs>> {
    match NetNs::open(path) {
        Ok(netns) => Ok(Some(netns)),
        Err(error) if [Errno::NOENT, Errno::NOTDIR].contains(&error.errno()) || error.because.is_some() => {
            Ok(None)
        }
        Err(error) => Err(Error::invalid_netns(error.to_string())),
    }
}
