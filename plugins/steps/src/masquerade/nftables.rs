//! Masquerade through nftables, over netlink: the table `inet tidewater`.
//!
//! ```text
//! map masquerade4 { type ipv4_addr : verdict }        and masquerade6 for IPv6
//! chain postrouting { type nat hook postrouting priority srcnat;
//!     ip daddr 224.0.0.0/4 return
//!     ip6 daddr ff00::/8 return
//!     ip saddr vmap @masquerade4
//!     ip6 saddr vmap @masquerade6 }
//! chain masquerade-10.1.0.0/16 { ip daddr 10.1.0.0/16 return; masquerade }
//! ```
//!
//! One attachment is one element for each address, `10.1.0.5 : goto masquerade-10.1.0.0/16`, with its mark as the
//! comment. The chains and rules are static: shared, ensured, never removed by one attachment.

use crate::label::Label;
use crate::stale::Stale;
use ipnet::IpNet;
use kernel::nft::{
    Base, Chain, ChainKind, Element, ElementFound, Family, Hook, Nft, Policy, Request, Selector, Set,
    SetSpec, Table, Type, Verdict, priority,
};
use spec::error::{Error, Result};
use std::net::IpAddr;

/// Everything of ours for IP packets.
const TABLE: Table<'static> = Table::new(Family::Inet, "tidewater");
const POSTROUTING: Chain<'static> = TABLE.chain("postrouting");
const MAP4: Set<'static> = TABLE.set("masquerade4");
const MAP6: Set<'static> = TABLE.set("masquerade6");
/// The reference plugins' table, with one rule for each address.
const REFERENCE: Table<'static> = Table::new(Family::Inet, "cni_plugins_masquerade");

pub(super) fn ensure(label: &Label, addresses: &[IpNet]) -> Result<()> {
    let mut nft = Nft::open()?;
    let comment = label.comment();
    for address in addresses {
        let goto = Verdict::goto(chain_name(*address));
        let element = Element::new(address.addr()).to(goto).comment(&comment);
        // The static part is missing for the first attachment of a subnet, and when somebody flushed the ruleset.
        let missing = |_: &mut Nft| Ok(base().into_iter().chain(subnet_chain(*address)).collect());
        nft.put_element(map(address.addr()), &element, missing)?;
    }
    Ok(())
}

pub(super) fn check(label: &Label, addresses: &[IpNet]) -> Result<()> {
    let mut nft = Nft::open()?;
    for address in addresses {
        let found = nft.element(map(address.addr()), address.addr())?;
        if !found.as_ref().is_some_and(|found| is_ours(found, label)) {
            return Err(Error::internal(format!(
                "masquerade of {address}: no element of this attachment in {}; \
                 somebody removed it, or flushed the ruleset",
                map(address.addr())
            )));
        }
    }
    if nft.rules(POSTROUTING)?.is_empty() {
        return Err(Error::internal(format!("masquerade: chain {POSTROUTING} has no rules")));
    }
    Ok(())
}

/// The deletions of what this attachment has in nftables: its elements, and the rules that the reference plugins
/// had made for it. An address that somebody else has by now keeps that one's element.
pub(super) fn deletions(nft: &mut Nft, label: &Label, addresses: &[IpAddr]) -> Result<Vec<Request>> {
    let mut deletions = nft.rules_by_comment(REFERENCE, |comment| label.marks(comment))?;
    for address in addresses {
        let set = map(*address);
        if nft.element(set, *address)?.is_some_and(|found| is_ours(&found, label)) {
            deletions.extend(set.delete_elements(&[Element::new(*address)]));
        }
    }
    Ok(deletions)
}

pub(super) fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    let Some(mut nft) = super::open_if_supported()? else {
        return Ok(());
    };
    let mut deletions = nft.rules_by_comment(REFERENCE, |comment| stale.is(comment))?;
    for set in [MAP4, MAP6] {
        let found = nft.elements(set)?;
        let gone =
            found.into_iter().filter(|found| found.comment.as_deref().is_some_and(|mark| stale.is(mark)));
        let elements: Vec<Element<'_>> = gone.map(|found| Element::new(found.key)).collect();
        deletions.extend(set.delete_elements(&elements));
    }
    nft.remove(deletions)?;
    Ok(())
}

pub(super) fn available() -> Result<()> {
    Nft::open()?.tables()?;
    Ok(())
}

/// Table, maps and the base chain; safe to repeat, because the chain is flushed in the same transaction.
fn base() -> Vec<Request> {
    let chain = Base {
        kind: ChainKind::Nat,
        hook: Hook::Postrouting,
        priority: priority::SRCNAT,
        policy: Policy::Accept,
    };
    let multicast4 = IpNet::V4(ipnet::Ipv4Net::new_assert([224, 0, 0, 0].into(), 4));
    let multicast6 = IpNet::V6(ipnet::Ipv6Net::new_assert([0xff00, 0, 0, 0, 0, 0, 0, 0].into(), 8));
    vec![
        TABLE.add(),
        MAP4.add(&SetSpec::verdict_map(&[Type::Ipv4Addr])),
        MAP6.add(&SetSpec::verdict_map(&[Type::Ipv6Addr])),
        POSTROUTING.add_base(&chain),
        POSTROUTING.flush(),
        POSTROUTING.rule().within(Selector::IpDaddr, multicast4).verdict(Verdict::Return).add(),
        POSTROUTING.rule().within(Selector::Ip6Daddr, multicast6).verdict(Verdict::Return).add(),
        POSTROUTING.rule().vmap(&[Selector::IpSaddr], MAP4.name).add(),
        POSTROUTING.rule().vmap(&[Selector::Ip6Saddr], MAP6.name).add(),
    ]
}

/// The static chain of one subnet: what stays inside is left alone, the rest is masqueraded.
fn subnet_chain(address: IpNet) -> Vec<Request> {
    let name = chain_name(address);
    let chain = TABLE.chain(&name);
    let selector = if address.addr().is_ipv4() { Selector::IpDaddr } else { Selector::Ip6Daddr };
    vec![
        chain.add(),
        chain.flush(),
        chain.rule().within(selector, address.trunc()).verdict(Verdict::Return).add(),
        chain.rule().masquerade().add(),
    ]
}

/// `masquerade-10.1.0.0/16`; the colons of IPv6, which `nft` would not read back in a name, become underscores.
fn chain_name(address: IpNet) -> String {
    format!("masquerade-{}", address.trunc()).replace(':', "_")
}

fn map(address: IpAddr) -> Set<'static> {
    if address.is_ipv4() { MAP4 } else { MAP6 }
}

fn is_ours(found: &ElementFound, label: &Label) -> bool {
    found.comment.as_deref().is_some_and(|comment| label.marks(comment))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_chain_is_named_after_its_subnet_in_a_form_that_nft_reads() {
        assert_eq!(chain_name("10.1.0.5/16".parse().unwrap()), "masquerade-10.1.0.0/16");
        assert_eq!(chain_name("fd00:1::5/64".parse().unwrap()), "masquerade-fd00_1__/64");
    }
}
