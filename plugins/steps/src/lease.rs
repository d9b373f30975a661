//! The address lease of an attachment: which IPAM plugin grants it, and whether that runs in this process.

use crate::undo::Undo;
use ipam::InProcess;
use spec::delegate::{self, Delegate};
use spec::error::{Error, Result};
use spec::names::PluginType;
use spec::request::{Add, Caller, Check, Del, Gc, Status};
use spec::result::Success;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Leases addresses for an ADD and tracks the lease.
///
/// # Errors
/// The IPAM plugin is not there, fails, or gives no address.
pub fn for_add<'a>(plugin: &PluginType, call: &'a Add, undo: &mut Undo<'a>) -> Result<Success> {
    let ipam = Ipam::find(plugin, &call.caller)?;
    // A delegate that failed half-way has to be told to release, spec §4; in process it does so by itself.
    let result = match ipam.add(call) {
        Ok(result) => result,
        Err(error) => {
            take_back(&ipam, call);
            return Err(error);
        }
    };
    undo.track("lease addresses", move || ipam.del(&call.to_del()));
    if result.ips.is_empty() {
        return Err(Error::internal("IPAM plugin returned missing IP config"));
    }
    Ok(result)
}

fn take_back(ipam: &Ipam, call: &Add) {
    if let Ipam::Foreign(_) = ipam
        && let Err(error) = ipam.del(&call.to_del())
    {
        eprintln!("undo of a failed lease: {error}");
    }
}

/// The addresses whose rules may be there: those leased now and those that the ADD reported. `None` when
/// nobody can say: a foreign IPAM plugin is not asked, and a runtime that lost its cache, or whose ADD
/// failed, has no result.
///
/// # Errors
/// The lease store cannot be read.
pub fn addresses(call: &Del, ipam: Option<&Ipam>) -> Result<Option<Vec<IpAddr>>> {
    let reported = call.config.prev_result.as_ref();
    let leased = ipam.map(|ipam| ipam.held(call)).transpose()?.flatten();
    if reported.is_none() && leased.is_none() {
        return Ok(None);
    }
    let reported = reported.into_iter().flat_map(|result| &result.ips).map(|ip| ip.address.addr());
    let addresses: BTreeSet<IpAddr> = leased.into_iter().flatten().chain(reported).collect();
    Ok(Some(addresses.into_iter().collect()))
}

/// The IPAM plugin of a configuration.
///
/// Ours runs in process when the binary that a caller would execute is of this very build
/// (`ipam::in_process`): that saves a process for each operation and changes nothing else. Any other is
/// executed, spec §4.
#[derive(Debug)]
pub enum Ipam {
    /// `host-local` or `static` of this build.
    InProcess(InProcess),
    /// Another program on `CNI_PATH`.
    Foreign(Delegate),
}

impl Ipam {
    /// Finds the IPAM plugin of this type on `CNI_PATH`.
    ///
    /// # Errors
    /// No such program; it is named with the directories that were searched.
    pub fn find(plugin: &PluginType, caller: &Caller) -> Result<Ipam> {
        match ipam::in_process(plugin, caller)? {
            Some(ours) => Ok(Ipam::InProcess(ours)),
            None => Ok(Ipam::Foreign(delegate::ipam(caller, plugin)?)),
        }
    }

    /// Leases addresses (ADD).
    ///
    /// # Errors
    /// The IPAM plugin's own, unchanged.
    pub fn add(&self, call: &Add) -> Result<Success> {
        match self {
            Ipam::InProcess(ours) => ours.add(call),
            Ipam::Foreign(delegate) => delegate.add(call),
        }
    }

    /// Gives the addresses back (DEL); fine when there are none.
    ///
    /// # Errors
    /// The IPAM plugin's own, unchanged.
    pub fn del(&self, call: &Del) -> Result<()> {
        match self {
            Ipam::InProcess(ours) => ours.del(call),
            Ipam::Foreign(delegate) => delegate.del(call),
        }
    }

    /// Asks whether the lease stands (CHECK).
    ///
    /// # Errors
    /// The IPAM plugin's own, unchanged.
    pub fn check(&self, call: &Check) -> Result<()> {
        match self {
            Ipam::InProcess(ours) => ours.check(call),
            Ipam::Foreign(delegate) => delegate.check(call),
        }
    }

    /// Passes GC on.
    ///
    /// # Errors
    /// The IPAM plugin's own, unchanged.
    pub fn gc(&self, call: &Gc) -> Result<()> {
        match self {
            Ipam::InProcess(ours) => ours.gc(call),
            Ipam::Foreign(delegate) => delegate.gc(call),
        }
    }

    /// Passes STATUS on.
    ///
    /// # Errors
    /// The IPAM plugin's own, unchanged.
    pub fn status(&self, call: &Status) -> Result<()> {
        match self {
            Ipam::InProcess(ours) => ours.status(call),
            Ipam::Foreign(delegate) => delegate.status(call),
        }
    }

    /// The addresses that the attachment holds now; `None` where IPAM is a foreign program, which cannot be
    /// asked.
    ///
    /// # Errors
    /// The lease store cannot be read.
    pub fn held(&self, call: &Del) -> Result<Option<Vec<IpAddr>>> {
        match self {
            Ipam::InProcess(ours) => ours.held(call).map(Some),
            Ipam::Foreign(_) => Ok(None),
        }
    }
}
