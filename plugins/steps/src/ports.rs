//! Port mappings: what arrives at a port of the host goes to a container.
//!
//! Two backends write them; removal looks for the work of both, and for what the reference plugins had left for
//! the same attachment. What an attachment has is on record ([`crate::record`]).

mod iptables;
#[cfg(test)]
mod lab;
mod localnet;
mod mapping;
mod nftables;
mod reference;
mod siblings;
mod stale_flows;

pub use mapping::{HostPorts, Mapping, Protocol};

use crate::label::Label;
use crate::record::{self, Recorded};
use crate::ruleset;
use crate::stale::Stale;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};
use std::net::IpAddr;

/// Who writes the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Elements of maps in the table `inet tidewater`, over netlink.
    Nftables,
    /// A chain for each container through `iptables-restore`, for hosts whose rules all live there.
    Iptables,
}

/// All mappings of one attachment, and how they are made: what its record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Who writes the rules.
    pub backend: Backend,
    /// How the container sees its callers.
    pub source: Source,
    /// For each address family that the container has an address of.
    pub sides: Vec<Side>,
}

/// The mappings of one address family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The container's address with the prefix length of its subnet.
    pub container: IpNet,
    /// At least one.
    pub mappings: Vec<Mapping>,
    /// Additional words that a packet has to match, in the backend's syntax.
    pub conditions: Vec<String>,
}

/// How the container sees its callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Callers whose answers would not find back (from the container's own subnet, from the host's loopback) are
    /// masqueraded. Without it they see no answer, and every other caller keeps its address either way.
    pub snat: bool,
    /// All callers are masqueraded.
    pub masquerade_all: bool,
    /// The bit of the packet mark that says "masquerade this".
    pub mark: Mark,
}

/// Who marks packets that are to be masqueraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// This bit of the packet mark, 0 to 31, and our own rule for it.
    Bit(u8),
    /// Somebody else's chain (backend iptables): no mark and no rule of ours.
    Chain(String),
}

impl Mark {
    /// The bit as a mask; none where another chain marks.
    fn mask(&self) -> u32 {
        match self {
            Mark::Bit(bit) => 1 << bit,
            Mark::Chain(_) => 0,
        }
    }
}

impl Ports {
    /// The same without these mappings.
    fn without(&self, left_out: &[&Mapping]) -> Ports {
        let mut ports = self.clone();
        for side in &mut ports.sides {
            side.mappings.retain(|mapping| !left_out.contains(&mapping));
        }
        ports
    }
}

impl Recorded for Ports {
    const KIND: &'static str = "portmap";
}

/// Makes the mappings. Safe to repeat: what the same attachment had before goes.
///
/// # Errors
/// Another attachment has one of the ports: it is named. The backend refused. What was made before that is for
/// [`remove`] to take back.
pub fn ensure(label: &Label, ports: &Ports) -> Result<()> {
    if let Some(before) = record::get::<Ports>(label)?.filter(|before| before != ports) {
        remove_rules(label, Some(&before))?;
    }
    record::put(label, ports)?;
    write(label, ports)
}

fn write(label: &Label, ports: &Ports) -> Result<()> {
    match ports.backend {
        Backend::Nftables => nftables::ensure(label, ports)?,
        Backend::Iptables => iptables::ensure(label, ports)?,
    }
    localnet::allow_to(ports)?;
    stale_flows::end_misled(ports);
    Ok(())
}

/// Whether all mappings stand as they were made.
///
/// # Errors
/// What is missing, or leads elsewhere.
pub fn check(label: &Label, ports: &Ports) -> Result<()> {
    match ports.backend {
        Backend::Nftables => nftables::check(label, ports),
        Backend::Iptables => iptables::check(label, ports),
    }
}

/// What is removed of an attachment that has no record.
#[derive(Clone, Copy, Debug)]
pub enum Unrecorded<'a> {
    /// It never had mappings.
    Nothing,
    /// These are looked up.
    Known(&'a Ports),
    /// All mappings are looked through for its mark.
    Search,
}

/// Removes the attachment's mappings, whoever made them. What is on record counts; `unrecorded` says what to do
/// without.
///
/// # Errors
/// The kernel or `iptables` refused; what is not there is no error.
pub fn remove(label: &Label, unrecorded: Unrecorded<'_>) -> Result<()> {
    let recorded = record::get::<Ports>(label)?;
    let known = match (&recorded, unrecorded) {
        (Some(recorded), _) => Some(recorded),
        (None, Unrecorded::Known(ports)) => Some(ports),
        (None, Unrecorded::Search) => None,
        // A removal that was killed may have got so far.
        (None, Unrecorded::Nothing) => return siblings::hand_over(label),
    };
    {
        let _lock = record::lock_out()?;
        remove_rules(label, known)?;
        siblings::hand_over(label)?;
        record::remove::<Ports>(label)?;
    }
    known.into_iter().for_each(stale_flows::end_all);
    Ok(())
}

fn remove_rules(label: &Label, known: Option<&Ports>) -> Result<()> {
    if let Some(mut nft) = ruleset::open_if_supported()? {
        // All in one transaction: a deletion waits until the kernel has freed what the one before deleted.
        let mut deletions = nftables::deletions(&mut nft, label, known)?;
        deletions.extend(iptables::deletions(&mut nft, label)?);
        deletions.extend(reference::deletions(&mut nft, label)?);
        ruleset::remove(nft, deletions)?;
    }
    iptables::remove_legacy(label)
}

/// Removes the mappings of all attachments of the network that are not valid any more, whoever made them.
///
/// # Errors
/// The kernel or `iptables` refused.
pub fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    let records = record::list_stale::<Ports>(stale)?;
    {
        let _lock = record::lock_out()?;
        remove_stale_rules(stale)?;
        // Before the heirs are asked: one that is gone too must not get anything.
        record::remove_stale::<Ports>(stale)?;
        siblings::hand_over_stale(stale)?;
    }
    records.iter().for_each(|gone| stale_flows::end_all(&gone.what));
    Ok(())
}

fn remove_stale_rules(stale: &Stale<'_>) -> Result<()> {
    if let Some(mut nft) = ruleset::open_if_supported()? {
        let mut deletions = nftables::stale_deletions(&mut nft, stale)?;
        deletions.extend(iptables::stale_deletions(&mut nft, stale)?);
        nft.remove(deletions)?;
    }
    iptables::remove_stale_legacy(stale)
}

/// Puts back what is on record of all attachments; says of how many.
///
/// # Errors
/// The backend refused one; the others were put back.
pub fn reload() -> Result<usize> {
    record::write_again(write)
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
    outcome.map_err(|error| Error::not_available(format!("port mappings: {error}")))
}

/// The error for a port that somebody else has.
fn taken(mapping: &Mapping, address: Option<IpAddr>, holder: &str) -> Error {
    let at = address.map(|address| format!(" of {address}")).unwrap_or_default();
    Error::internal(format!(
        "map host port {}/{}{at}: already mapped by another attachment ({holder}); \
         use another port, or delete that attachment",
        mapping.host.first, mapping.protocol
    ))
}
