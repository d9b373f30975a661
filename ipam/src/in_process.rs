//! IPAM without a process of its own, where that makes no difference.

use std::net::IpAddr;

use spec::{Add, Caller, Check, Del, Gc, Plugin, PluginType, Result, Status, Success, delegate};

use crate::host_local::{self, HostLocal};
use crate::static_addresses::Static;

/// An IPAM plugin of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InProcess {
    /// `host-local`.
    HostLocal,
    /// `static`.
    Static,
}

/// The plugin to call in this process, if the binary that would be executed is of this very build: then it
/// would do the same. `None` for anybody else's, which has to be executed as the specification says.
///
/// # Errors
/// There is no such binary on the caller's path.
pub fn in_process(plugin: &PluginType, caller: &Caller) -> Result<Option<InProcess>> {
    let binary = delegate::find(plugin, &caller.path)?;
    let Some(ours) = InProcess::named(plugin.as_str()) else { return Ok(None) };
    let note = kernel::elf::build_note_of(&binary);
    Ok((note.as_deref() == Some(kernel::elf::own_build_note())).then_some(ours))
}

impl InProcess {
    fn named(name: &str) -> Option<InProcess> {
        match name {
            HostLocal::NAME => Some(InProcess::HostLocal),
            Static::NAME => Some(InProcess::Static),
            _ => None,
        }
    }

    /// ADD.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn add(&self, call: &Add) -> Result<Success> {
        match self {
            InProcess::HostLocal => HostLocal::add(call),
            InProcess::Static => Static::add(call),
        }
    }

    /// DEL.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn del(&self, call: &Del) -> Result<()> {
        match self {
            InProcess::HostLocal => HostLocal::del(call),
            InProcess::Static => Static::del(call),
        }
    }

    /// CHECK.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn check(&self, call: &Check) -> Result<()> {
        match self {
            InProcess::HostLocal => HostLocal::check(call),
            InProcess::Static => Static::check(call),
        }
    }

    /// GC.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn gc(&self, call: &Gc) -> Result<()> {
        match self {
            InProcess::HostLocal => HostLocal::gc(call),
            InProcess::Static => Static::gc(call),
        }
    }

    /// STATUS.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn status(&self, call: &Status) -> Result<()> {
        match self {
            InProcess::HostLocal => HostLocal::status(call),
            InProcess::Static => Static::status(call),
        }
    }

    /// The addresses that an attachment holds now; those of `static` if they can be told from the request.
    ///
    /// # Errors
    /// The configuration or the leases cannot be read.
    pub fn held(&self, call: &Del) -> Result<Vec<IpAddr>> {
        match self {
            InProcess::HostLocal => host_local::held(call),
            InProcess::Static => Ok(crate::static_addresses::held(call)),
        }
    }
}
