//! What of the containers' traffic the host lets through from one interface to another: the rules of the plugin
//! `firewall`.
//!
//! Three backends write it: nftables over netlink, iptables in the very form of the reference plugin, firewalld by
//! its zones. Which of them depends on who drops on this host: an accept in one base chain never overrules a
//! drop in another, so it has to be said where the drop is. Removal goes by the record and looks for the work of
//! all of them, the reference plugin's included.

mod choice;
mod dbus;
mod firewalld;
mod iptables;
mod nftables;
mod rule;

pub use choice::{Wish, choose};

use crate::best_effort::BestEffort;
use crate::label::Label;
use crate::record::{self, Recorded};
use crate::ruleset::open_if_supported;
use crate::stale::Stale;
use kernel::lock::Lock;
use kernel::nft::{Nft, Request};
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

/// The administrator's chain of iptables, unless the configuration names another.
pub const ADMIN_CHAIN: &str = "CNI-ADMIN";
/// The zone of firewalld, unless the configuration names another.
pub const ZONE: &str = "trusted";

/// Who writes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Elements of sets in the table `inet tidewater`, over netlink.
    Nftables,
    /// The chains of the reference plugin, through `iptables-restore`.
    Iptables,
    /// A zone of firewalld, over D-Bus.
    Firewalld,
}

/// What one attachment has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Who writes it.
    pub backend: Backend,
    /// The container's addresses, whose traffic passes.
    pub addresses: Vec<IpAddr>,
    /// The administrator's chain of iptables.
    pub admin_chain: String,
    /// The zone of firewalld.
    pub zone: String,
    /// What may reach it from the segregated bridges; `None` is everything.
    pub ingress: Option<Ingress>,
}

/// A bridge that nothing of another such bridge reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingress {
    /// The bridge.
    pub bridge: String,
    /// Its containers do not reach each other either.
    pub isolated: bool,
    /// The attachment's port on it, which is then closed to the other ports.
    pub port: Option<String>,
}

impl Recorded for Forward {
    const KIND: &'static str = "firewall";
}

/// Writes what the attachment is to have. Safe to repeat: what the same attachment had before goes.
///
/// # Errors
/// The backend refused; what was written before that is for [`remove`] to take back.
pub fn ensure(label: &Label, forward: &Forward) -> Result<()> {
    if record::get::<Forward>(label)?.is_some_and(|before| before != *forward) {
        remove(label)?;
    }
    record::put(label, forward)?;
    write(label, forward)
}

fn write(label: &Label, forward: &Forward) -> Result<()> {
    match forward.backend {
        Backend::Nftables => nftables::ensure(label, &forward.addresses, forward.ingress.as_ref()),
        Backend::Iptables => {
            nftables::ensure_port(label, forward.ingress.as_ref())?;
            iptables::ensure(forward, &*record::lock()?)
        }
        Backend::Firewalld => {
            nftables::ensure(label, &[], forward.ingress.as_ref())?;
            firewalld::ensure(&forward.zone, &forward.addresses)
        }
    }
}

/// Puts back what is on record of all attachments; says of how many.
///
/// # Errors
/// The backend refused one; the others were put back.
pub fn reload() -> Result<usize> {
    record::write_again(write)
}

/// Whether all of it stands.
///
/// # Errors
/// What is missing.
pub fn check(label: &Label, forward: &Forward) -> Result<()> {
    match forward.backend {
        Backend::Nftables => nftables::check(label, &forward.addresses, forward.ingress.as_ref()),
        Backend::Iptables => {
            nftables::check_port(label, forward.ingress.as_ref())?;
            iptables::check(forward)
        }
        Backend::Firewalld => {
            nftables::check(label, &[], forward.ingress.as_ref())?;
            firewalld::check(&forward.zone, &forward.addresses)
        }
    }
}

/// What is on record for the attachment.
///
/// # Errors
/// The records cannot be read.
pub fn recorded(label: &Label) -> Result<Option<Forward>> {
    record::get(label)
}

/// What has to be removed of one attachment, from its record and from what the runtime says.
#[derive(Debug)]
pub struct Removal<'a> {
    label: &'a Label,
    record: Option<Forward>,
    /// `None`: nobody knows, so everything is looked through for the attachment's mark.
    addresses: Option<Vec<IpAddr>>,
    /// Until the record is gone too.
    _lock: Option<Rc<Lock>>,
}

impl<'a> Removal<'a> {
    /// `reported` are the addresses of `prevResult`, where the runtime gives one.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn new(label: &'a Label, reported: Option<&[IpAddr]>) -> Result<Removal<'a>> {
        let lock = record::lock_out()?;
        let record = record::get::<Forward>(label)?;
        let recorded = record.as_ref().map(|record| record.addresses.as_slice());
        let known = reported.is_some() || recorded.is_some();
        let all: BTreeSet<IpAddr> = [reported, recorded].into_iter().flatten().flatten().copied().collect();
        Ok(Removal { label, record, addresses: known.then(|| all.into_iter().collect()), _lock: lock })
    }

    /// The deletions over netlink: our own elements, and the rules of iptables for these addresses.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn deletions(&self, nft: &mut Nft) -> Result<Vec<Request>> {
        let ingress = self.record.as_ref().map(|record| record.ingress.as_ref());
        let mut deletions = nftables::deletions(nft, self.label, self.addresses.as_deref(), ingress)?;
        let found = iptables::deletions(nft, self.addresses.as_deref().unwrap_or_default())?;
        if !found.is_empty() {
            let own = self.unshared()?;
            let own = found.into_iter().filter(|(address, _)| own.contains(address));
            deletions.extend(own.map(|(_, deletion)| deletion));
        }
        Ok(deletions)
    }

    /// Whether the attachment is on record.
    pub fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// Removes what does not go over netlink: from the old kernel tables, from firewalld. `zone` is where the
    /// reference plugin may have put the addresses of an attachment that is not on record.
    ///
    /// # Errors
    /// What could not be removed, after everything else was.
    pub fn elsewhere(&self, zone: Option<&str>) -> Result<()> {
        let zone = match &self.record {
            Some(record) => (record.backend == Backend::Firewalld).then_some(record.zone.as_str()),
            None => zone,
        };
        if zone.is_none() && !iptables::has_legacy() {
            return Ok(());
        }
        let (mut effort, own) = (BestEffort::new(), self.unshared()?);
        effort.note(iptables::remove_legacy(&own));
        if let Some(zone) = zone.filter(|_| !own.is_empty()) {
            effort.note(firewalld::remove(zone, &own));
        }
        effort.finish()
    }

    /// Ends the removal: the record goes when all else is gone.
    ///
    /// # Errors
    /// The record cannot be removed.
    pub fn forget(&self) -> Result<()> {
        record::remove::<Forward>(self.label)
    }

    /// The addresses that no other attachment has on record. Rules of iptables and sources of a zone carry no mark:
    /// those of an address that somebody else has by now are that one's.
    fn unshared(&self) -> Result<Vec<IpAddr>> {
        let Some(addresses) = self.addresses.as_ref().filter(|addresses| !addresses.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut others = record::list::<Forward>()?;
        others.retain(|other| other.label != *self.label);
        let has = |address: &IpAddr| others.iter().any(|other| other.what.addresses.contains(address));
        Ok(addresses.iter().copied().filter(|address| !has(address)).collect())
    }
}

/// Removes what an ADD made.
///
/// # Errors
/// What could not be removed, after everything else was.
pub fn remove(label: &Label) -> Result<()> {
    let removal = Removal::new(label, None)?;
    if let Some(mut nft) = open_if_supported()? {
        let deletions = removal.deletions(&mut nft)?;
        nft.remove(deletions)?;
    }
    removal.elsewhere(None)?;
    removal.forget()
}

/// Removes what attachments have that are gone. Rules of the reference plugin name nobody, so only what is on
/// record or marked is found.
///
/// # Errors
/// What could not be removed, after everything else was.
pub fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    let mut effort = BestEffort::new();
    for gone in record::list_stale::<Forward>(stale)? {
        effort.note(remove(&gone.label));
    }
    // The records go with the rules above: one whose rules could not be removed stays.
    effort.note(remove_stale_marks(stale));
    effort.note(record::remove_unreadable::<Forward>(stale));
    effort.finish()
}

fn remove_stale_marks(stale: &Stale<'_>) -> Result<()> {
    let _lock = record::lock_out()?;
    let Some(mut nft) = open_if_supported()? else { return Ok(()) };
    let deletions = nftables::stale_deletions(&mut nft, stale)?;
    nft.remove(deletions)?;
    Ok(())
}

/// Whether there is evidence of a running firewalld.
pub fn firewalld_is_likely() -> bool {
    firewalld::is_likely(Nft::open().ok().as_mut())
}

/// Whether this backend can work here, for STATUS.
///
/// # Errors
/// Code 50 with what is missing.
pub fn available(backend: Backend) -> Result<()> {
    let outcome = match backend {
        Backend::Nftables => nftables::available(),
        Backend::Iptables => iptables::available(),
        Backend::Firewalld => firewalld::available(),
    };
    outcome.map_err(|error| Error::not_available(format!("firewall: {error}")))
}
