//! Masquerade: what leaves the containers' own subnet leaves with the host's address.
//!
//! Two backends write it; removal looks for the work of both, and for what the reference plugins had left for
//! the same attachment, because a node may have been upgraded with the container running.

mod iptables;
mod nftables;

use crate::label::Label;
use crate::record::{self, Recorded};
use crate::ruleset::open_if_supported;
use crate::stale::Stale;
use crate::undo::Undo;
use ipnet::IpNet;
use kernel::nft::Nft;
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};
use std::net::IpAddr;

/// Who writes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Elements of sets in the table `inet tidewater`, over netlink.
    Nftables,
    /// A chain for each container through `iptables-restore`, for hosts whose rules all live there.
    Iptables,
}

impl Backend {
    /// Reads the key `ipMasqBackend`; empty means nftables.
    ///
    /// # Errors
    /// Code 7 for any other word.
    pub fn from_key(key: &str) -> Result<Backend> {
        match key {
            "" | "nftables" => Ok(Backend::Nftables),
            "iptables" => Ok(Backend::Iptables),
            _ => Err(Error::invalid_config(format!(
                "unknown ipmasq backend {key:?}: want \"nftables\" or \"iptables\""
            ))),
        }
    }
}

/// What is on record: who wrote the rules, for which addresses.
#[derive(Debug, Serialize, Deserialize)]
struct Masquerade {
    backend: Backend,
    addresses: Vec<IpNet>,
}

impl Recorded for Masquerade {
    const KIND: &'static str = "masquerade";
}

/// Masquerades for an ADD and tracks it.
///
/// # Errors
/// As [`ensure`].
pub fn for_add(backend: Backend, label: &Label, addresses: &[IpNet], undo: &mut Undo<'_>) -> Result<()> {
    let (mark, taken_back) = (label.clone(), addresses.iter().map(IpNet::addr).collect::<Vec<_>>());
    undo.track("masquerade", move || remove(&mark, Some(&taken_back)).map(drop));
    ensure(backend, label, addresses)
}

/// Masquerades what these addresses send outside their subnets. Safe to repeat.
///
/// # Errors
/// The backend refused; what was written before that is for [`remove`] to take back.
pub fn ensure(backend: Backend, label: &Label, addresses: &[IpNet]) -> Result<()> {
    record::put(label, &Masquerade { backend, addresses: addresses.to_vec() })?;
    write(backend, label, addresses)
}

fn write(backend: Backend, label: &Label, addresses: &[IpNet]) -> Result<()> {
    match backend {
        Backend::Nftables => nftables::ensure(label, addresses),
        Backend::Iptables => {
            let lock = record::lock()?;
            remove_rules(label, Some(&[]))?;
            iptables::ensure(label, addresses, &lock)
        }
    }
}

/// Puts back what is on record of all attachments; says of how many.
///
/// # Errors
/// The backend refused one; the others were put back.
pub fn reload() -> Result<usize> {
    record::write_again(|label, Masquerade { backend, addresses }| write(*backend, label, addresses))
}

/// Whether the rules of these addresses stand.
///
/// # Errors
/// The first address that is not masqueraded.
pub fn check(backend: Backend, label: &Label, addresses: &[IpNet]) -> Result<()> {
    match backend {
        Backend::Nftables => nftables::check(label, addresses),
        Backend::Iptables => iptables::check(label, addresses),
    }
}

/// Removes the attachment's rules, whichever backend made them. `addresses` are those that it has or had; without
/// them and without a record all elements are looked through for its mark. The socket comes back open: closing it
/// after a delete waits until the kernel has freed what was deleted, so the caller chooses who does.
///
/// # Errors
/// The kernel or `iptables` refused; what is not there is no error.
pub fn remove(label: &Label, addresses: Option<&[IpAddr]>) -> Result<Option<Nft>> {
    let recorded = record::get::<Masquerade>(label)?;
    let _lock = if recorded.is_some() { record::lock_out()? } else { None };
    let recorded: Option<Vec<IpAddr>> =
        recorded.map(|found| found.addresses.iter().map(IpNet::addr).collect());
    let nft = remove_rules(label, addresses.or(recorded.as_deref()))?;
    record::remove::<Masquerade>(label)?;
    Ok(nft)
}

fn remove_rules(label: &Label, addresses: Option<&[IpAddr]>) -> Result<Option<Nft>> {
    let mut nft = open_if_supported()?;
    if let Some(nft) = &mut nft {
        // All in one transaction: a deletion waits until the kernel has freed what the one before deleted.
        let mut deletions = nftables::deletions(nft, label, addresses)?;
        deletions.extend(iptables::deletions(nft, &label.iptables_chain())?);
        nft.remove(deletions)?;
    }
    iptables::remove_legacy(label)?;
    Ok(nft)
}

/// Removes the rules of all attachments of the network that are not valid any more, whoever made them.
///
/// # Errors
/// The kernel or `iptables` refused.
pub fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    let _lock = record::lock_out()?;
    if let Some(mut nft) = open_if_supported()? {
        let mut deletions = nftables::stale_deletions(&mut nft, stale)?;
        deletions.extend(iptables::stale_deletions(&mut nft, stale)?);
        nft.remove(deletions)?;
    }
    iptables::remove_stale_legacy(stale)?;
    record::remove_stale::<Masquerade>(stale)
}

/// Whether this backend can work here, for STATUS.
///
/// # Errors
/// Code 50 with what is missing.
pub fn available(backend: Backend) -> Result<()> {
    let outcome = match backend {
        Backend::Nftables => nftables::available(),
        Backend::Iptables => iptables::available(),
    };
    outcome.map_err(|error| Error::not_available(format!("masquerade: {error}")))
}
