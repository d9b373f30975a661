//! `antiSpoof`: what enters the host by the attachment's port says who it is, or goes.
//!
//! ```text
//! table bridge tidewater {                        # and the same in table inet, without ARP
//!     set guard-ports { type ifname }
//!     set guard-macs { type ifname . ether_addr }
//!     set guard-v4 { type ifname . ipv4_addr }
//!     set guard-v6 { type ifname . ipv6_addr }
//!     chain guard { type filter hook prerouting priority -310; policy accept;
//!         iifname @guard-ports jump guarded }
//!     chain guarded { … } }                       # rules.rs
//! ```
//!
//! Frames that a bridge takes meet the table bridge. Packets that the host takes from the port itself meet the table
//! inet: those of a port that is on no bridge (ptp), and those that a bridge does not look at (link-local groups of
//! IEEE 802.1Q). Both tables have the elements of both kinds of ports, so a port is guarded wherever it is plugged.
//!
//! One attachment is elements with its mark: its port, its MAC, its addresses and its link-local ones.

mod rules;

use crate::chained;
use crate::label::Label;
use crate::record::{self, Recorded};
use crate::ruleset;
use crate::sockets::Sockets;
use crate::stale::Stale;
use crate::table::{BRIDGE, INET, no_bridges};
use kernel::addr;
use kernel::error::forgive_existing;
use kernel::link::{self, Link, LinkRef, Mac};
use kernel::nft::{Element, Key, Nft, Request, Set, Table, Transaction, Type, Value};
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};
use spec::request::Attachment;
use spec::result::Success;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// Both places where frames of a port are met.
const TABLES: [Table<'static>; 2] = [BRIDGE, INET];
const PORTS: &str = "guard-ports";
const MACS: &str = "guard-macs";
const V4: &str = "guard-v4";
const V6: &str = "guard-v6";
const SETS: [&str; 4] = [PORTS, MACS, V4, V6];

/// What an attachment may say of itself; on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The host's end.
    port: String,
    mac: [u8; 6],
    /// Its addresses, link-local ones among them.
    addresses: BTreeSet<IpAddr>,
}

impl Recorded for Guard {
    const KIND: &'static str = "antispoof";
}

impl Guard {
    /// What the attachment is: its host's end, the MAC that the container has now, the addresses that
    /// `prevResult` gives it, and link-local ones that it has or will make of its MAC.
    ///
    /// # Errors
    /// The container's interface is gone, or has no MAC.
    pub fn of(
        sockets: &mut Sockets,
        attachment: &Attachment,
        result: &Success,
        port: &Link,
    ) -> Result<Guard> {
        let ifname = attachment.ifname.as_str();
        let inside = link::get(&mut sockets.container, LinkRef::Name(ifname))?;
        let (inside, mac) = inside.and_then(|link| Some((link.index, link.mac?))).ok_or_else(|| {
            Error::internal(format!(
                "antiSpoof: interface {ifname} of container {} has no MAC address",
                attachment.container
            ))
        })?;
        let mut addresses: BTreeSet<IpAddr> =
            chained::hosts(&chained::addresses(attachment, result)).into_iter().collect();
        let found = addr::list(&mut sockets.container, inside)?.into_iter().map(|found| found.net.addr());
        addresses.extend(found.filter(|address| is_link_local(*address)));
        addresses.insert(IpAddr::V6(from_mac(mac)));
        Ok(Guard { port: port.name.clone(), mac: mac.0, addresses })
    }

    /// Whether this is still the same port and MAC, with all of these addresses.
    ///
    /// # Errors
    /// What is different.
    pub fn covers(&self, now: &Guard, addresses: &[IpAddr]) -> Result<()> {
        if self.port != now.port || self.mac != now.mac {
            return Err(Error::internal(format!(
                "antiSpoof: the attachment was bound to port {} with MAC {}, and has port {} with MAC {} now",
                self.port,
                Mac(self.mac),
                now.port,
                Mac(now.mac)
            )));
        }
        match addresses.iter().find(|address| !self.addresses.contains(address)) {
            Some(address) => Err(Error::internal(format!(
                "antiSpoof of port {}: its address {address} is not on record",
                self.port
            ))),
            None => Ok(()),
        }
    }

    /// The elements of one table.
    fn elements<'a>(&self, table: Table<'static>, comment: &'a str) -> Vec<(Set<'static>, Element<'a>)> {
        let element = |key: Key| Element::new(key).comment(comment);
        let port = Value::ifname(&self.port);
        let mut elements = vec![
            (table.set(PORTS), element(port.into())),
            (table.set(MACS), element(Key::concat(&[port, Value::ether(self.mac)]))),
        ];
        elements.extend(self.addresses.iter().map(|address| {
            let set = if address.is_ipv4() { V4 } else { V6 };
            (table.set(set), element(Key::concat(&[port, Value::from(*address)])))
        }));
        elements
    }
}

/// `fe80::/10`.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfe80)
}

/// The link-local address that a kernel makes of a MAC (RFC 4291, appendix A).
fn from_mac(Mac([a, b, c, d, e, f]): Mac) -> Ipv6Addr {
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// Binds the port. Safe to repeat: what the same attachment had before goes.
///
/// # Errors
/// The kernel refused; what was written before that is for [`remove`] to take back.
pub fn ensure(label: &Label, guard: &Guard) -> Result<()> {
    if record::get::<Guard>(label)?.is_some_and(|before| before != *guard) {
        remove(label)?;
    }
    record::put(label, guard)?;
    write(label, guard)
}

fn write(label: &Label, guard: &Guard) -> Result<()> {
    let mut nft = Nft::open()?;
    for table in TABLES {
        if !rules::seem_whole(&mut nft, table).map_err(no_bridges)? {
            build(&mut nft)?;
        }
    }
    let comment = label.comment();
    // All at once: a port that is guarded without its addresses would be deaf for a moment.
    let elements: Vec<_> = TABLES.iter().flat_map(|table| guard.elements(*table, &comment)).collect();
    Ok(nft.put_elements(&elements, self::missing)?)
}

/// Others may build the same at this moment: whoever comes second finds it there.
fn build(nft: &mut Nft) -> Result<()> {
    let missing = missing(nft).map_err(no_bridges)?;
    forgive_existing(nft.commit(&missing)).map_err(no_bridges)
}

/// Puts back what is on record of all attachments; says of how many.
///
/// # Errors
/// The kernel refused one; the others were put back.
pub fn reload() -> Result<usize> {
    // Each one by itself only looks whether the rules seem to be whole.
    if !record::list::<Guard>()?.is_empty() {
        build(&mut Nft::open()?)?;
    }
    record::write_again(write)
}

/// The MAC that the attachment's port is bound to, if it is.
///
/// # Errors
/// The records cannot be read.
pub fn bound_mac(label: &Label) -> Result<Option<Mac>> {
    Ok(recorded(label)?.map(|guard| Mac(guard.mac)))
}

/// What is on record for the attachment.
///
/// # Errors
/// The records cannot be read.
pub fn recorded(label: &Label) -> Result<Option<Guard>> {
    record::get(label)
}

/// Whether the port is bound, to the MAC that the container has and to all its addresses.
///
/// # Errors
/// What is missing.
pub fn check(label: &Label, guard: &Guard) -> Result<()> {
    let mut nft = Nft::open()?;
    let lost = |what: &str| {
        Error::internal(format!(
            "antiSpoof of port {}: {what}; somebody removed it, or flushed the ruleset",
            guard.port
        ))
    };
    if !missing(&mut nft)?.is_empty() {
        return Err(lost("the rules are not all there"));
    }
    let comment = label.comment();
    for (set, element) in TABLES.iter().flat_map(|table| guard.elements(*table, &comment)) {
        let found = nft.element(set, element.key().clone())?;
        if !ruleset::is_marked(found.as_ref(), label) {
            return Err(lost(&format!("an element of set {set} is missing")));
        }
    }
    Ok(())
}

/// The deletions of what binds the attachment's port. What is on record is looked up; without a record the sets
/// are looked through for the mark, where `wanted`.
///
/// # Errors
/// The kernel does not answer, or the record cannot be read.
pub fn deletions(nft: &mut Nft, label: &Label, wanted: bool) -> Result<Vec<Request>> {
    match record::get::<Guard>(label)? {
        Some(guard) => on_record(nft, label, &guard),
        None if wanted => marked(nft, |mark| label.marks(mark)),
        None => Ok(Vec::new()),
    }
}

/// Ends a removal: the record goes after the elements.
///
/// # Errors
/// The record cannot be removed.
pub fn forget(label: &Label) -> Result<()> {
    record::remove::<Guard>(label)
}

/// Removes what binds the attachment's port.
///
/// # Errors
/// The kernel refused; what is not there is no error.
pub fn remove(label: &Label) -> Result<()> {
    if let Some(mut nft) = ruleset::open_if_supported()? {
        let deletions = deletions(&mut nft, label, true)?;
        nft.remove(deletions)?;
    }
    forget(label)
}

/// Removes what binds ports of attachments that are gone.
///
/// # Errors
/// The kernel refused.
pub fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    if let Some(mut nft) = ruleset::open_if_supported()? {
        let deletions = marked(&mut nft, |mark| stale.is(mark))?;
        nft.remove(deletions)?;
    }
    record::remove_stale::<Guard>(stale)
}

/// Whether the kernel can do it, for STATUS.
///
/// # Errors
/// Code 50 with what is missing.
pub fn available() -> Result<()> {
    let asked = Nft::open().and_then(|mut nft| nft.chain(BRIDGE.chain(rules::BASE)).map(drop));
    asked.map_err(|error| Error::not_available(no_bridges(error).to_string()))
}

fn on_record(nft: &mut Nft, label: &Label, guard: &Guard) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for (set, element) in TABLES.iter().flat_map(|table| guard.elements(*table, "")) {
        let found = nft.element(set, element.key().clone())?;
        deletions.extend(ruleset::deletions(set, found, |mark| label.marks(mark)));
    }
    Ok(deletions)
}

fn marked(nft: &mut Nft, chosen: impl Fn(&str) -> bool) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for set in TABLES.iter().flat_map(|table| SETS.map(|name| table.set(name))) {
        deletions.extend(ruleset::deletions(set, nft.elements(set)?, &chosen));
    }
    Ok(deletions)
}

/// What is not there of both tables.
fn missing(nft: &mut Nft) -> kernel::error::Result<Transaction> {
    let mut transaction = Transaction::new();
    for table in TABLES {
        transaction.extend(rules::missing(nft, table)?);
    }
    Ok(transaction)
}

/// The types of the keys of each set.
fn key(set: &str) -> &'static [Type] {
    match set {
        PORTS => &[Type::Ifname],
        MACS => &[Type::Ifname, Type::EtherAddr],
        V4 => &[Type::Ifname, Type::Ipv4Addr],
        _ => &[Type::Ifname, Type::Ipv6Addr],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_local_address_is_the_kernels() {
        assert_eq!(from_mac(Mac([2, 0, 0, 0x12, 0x34, 0x56])).to_string(), "fe80::ff:fe12:3456");
        assert!(is_link_local("fe80::1".parse().unwrap_or(IpAddr::from([0, 0, 0, 0]))));
        assert!(!is_link_local(IpAddr::from([169, 254, 0, 1])));
    }
}
