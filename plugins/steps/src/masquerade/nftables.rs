//! Masquerade through nftables, over netlink: the table `inet tidewater`.
//!
//! ```text
//! set masquerade-10.1.0.0-16 { type ipv4_addr; elements = { 10.1.0.5 comment "…" } }
//! chain postrouting { type nat hook postrouting priority srcnat;
//!     ip daddr 224.0.0.0/4 return
//!     ip6 daddr ff00::/8 return
//!     ip saddr @masquerade-10.1.0.0-16 ip daddr != 10.1.0.0/16 masquerade }
//! ```
//!
//! One subnet is one set with one rule: static, shared, ensured, never removed by one attachment. One attachment is
//! one element for each address, with its mark as the comment. (A verdict map would need one rule for all subnets,
//! but the kernel walks all verdict elements for each one that is added; plain ones cost the same among any number.)

use crate::label::Label;
use crate::ruleset;
use crate::stale::Stale;
use crate::subnet_set;
use crate::table::INET as TABLE;
use ipnet::IpNet;
use kernel::error::forgive_existing;
use kernel::nft::{
    Base, Chain, ChainKind, Element, ElementFound, Family, Hook, Nft, Policy, Request, Selector, Set,
    SetSpec, Table, Transaction, Type, Verdict, priority,
};
use spec::error::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const POSTROUTING: Chain<'static> = TABLE.chain("postrouting");
/// What the name of each set begins with, before its subnet.
const PREFIX: &str = "masquerade-";
/// The reference plugins' table, with one rule for each address.
const REFERENCE: Table<'static> = Table::new(Family::Inet, "cni_plugins_masquerade");

pub(super) fn ensure(label: &Label, addresses: &[IpNet]) -> Result<()> {
    let mut nft = Nft::open()?;
    let comment = label.comment();
    let ruled: Vec<String> = nft.rules(POSTROUTING)?.into_iter().flat_map(|rule| rule.sets).collect();
    for address in addresses {
        let name = set_name(*address);
        if !ruled.contains(&name) {
            // Others may build the same at this moment: whoever comes second finds it there.
            let missing = missing(&mut nft, *address)?;
            forgive_existing(nft.commit(&missing))?;
        }
        let element = Element::new(address.addr()).comment(&comment);
        nft.put_element(TABLE.set(&name), &element, |nft| missing(nft, *address))?;
    }
    Ok(())
}

pub(super) fn check(label: &Label, addresses: &[IpNet]) -> Result<()> {
    let mut nft = Nft::open()?;
    let rules = nft.rules(POSTROUTING)?;
    for address in addresses {
        let name = set_name(*address);
        if !rules.iter().any(|rule| rule.sets.contains(&name)) {
            return Err(Error::internal(format!(
                "masquerade of {address}: chain {POSTROUTING} has no rule for set {name}"
            )));
        }
        let found = nft.element(TABLE.set(&name), address.addr())?;
        if !ruleset::is_marked(found.as_ref(), label) {
            return Err(Error::internal(format!(
                "masquerade of {address}: no element of this attachment in set {name}; \
                 somebody removed it, or flushed the ruleset"
            )));
        }
    }
    Ok(())
}

/// The deletions of what this attachment has in nftables: its elements, and the rules that the reference
/// plugins had made for it. An address that somebody else has by now keeps that one's element.
pub(super) fn deletions(nft: &mut Nft, label: &Label, addresses: Option<&[IpAddr]>) -> Result<Vec<Request>> {
    let mut deletions = nft.rules_by_comment(REFERENCE, |comment| label.marks(comment))?;
    for (name, subnet) in sets(nft)? {
        let set = TABLE.set(&name);
        let found = match addresses {
            Some(addresses) => {
                elements_of(nft, set, addresses.iter().filter(|address| subnet.contains(*address)))?
            }
            None => nft.elements(set)?,
        };
        deletions.extend(ruleset::deletions(set, found, |mark| label.marks(mark)));
    }
    Ok(deletions)
}

fn elements_of<'a>(
    nft: &mut Nft,
    set: Set<'_>,
    addresses: impl Iterator<Item = &'a IpAddr>,
) -> Result<Vec<ElementFound>> {
    let mut found = Vec::new();
    for address in addresses {
        found.extend(nft.element(set, *address)?);
    }
    Ok(found)
}

/// The same for all attachments that are gone.
pub(super) fn stale_deletions(nft: &mut Nft, stale: &Stale<'_>) -> Result<Vec<Request>> {
    let mut deletions = nft.rules_by_comment(REFERENCE, |comment| stale.is(comment))?;
    for (name, _) in sets(nft)? {
        let found = nft.elements(TABLE.set(&name))?;
        deletions.extend(ruleset::deletions(TABLE.set(&name), found, |mark| stale.is(mark)));
    }
    Ok(deletions)
}

pub(super) fn available() -> Result<()> {
    Nft::open()?.tables()?;
    Ok(())
}

/// Everything that an element needs and that is not there: for the first attachment of a subnet, and after
/// somebody flushed the ruleset or the chain. Chain and set are created together with their rules, hence
/// once, however many ADDs build at the same time.
fn missing(nft: &mut Nft, address: IpNet) -> kernel::error::Result<Transaction> {
    let mut transaction: Transaction = [TABLE.add()].into_iter().collect();
    let rules = nft.rules(POSTROUTING)?;
    if nft.chain(POSTROUTING)?.is_none() {
        transaction.push(base_chain());
        transaction.extend(spared());
    } else if rules.is_empty() {
        transaction.extend(spared());
    }
    let name = set_name(address);
    let (kind, rule) = subnet(address, &name);
    if !nft.has_set(TABLE.set(&name))? {
        transaction.extend([TABLE.set(&name).create(&SetSpec::set(&[kind])), rule]);
    } else if !rules.iter().any(|rule| rule.sets.contains(&name)) {
        transaction.push(rule);
    }
    Ok(transaction)
}

fn base_chain() -> Request {
    POSTROUTING.create_base(&Base {
        kind: ChainKind::Nat,
        hook: Hook::Postrouting,
        priority: priority::SRCNAT,
        policy: Policy::Accept,
    })
}

/// The first rules of the base chain: what goes to many at once never leaves with another address.
fn spared() -> [Request; 2] {
    let multicast4 = IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4));
    let multicast6 = IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8));
    [
        POSTROUTING.rule().within(Selector::IpDaddr, multicast4).verdict(Verdict::Return).add(),
        POSTROUTING.rule().within(Selector::Ip6Daddr, multicast6).verdict(Verdict::Return).add(),
    ]
}

/// What the set of a subnet holds, and its rule: what stays inside is left alone.
fn subnet(address: IpNet, name: &str) -> (Type, Request) {
    let (kind, source, destination) = match address {
        IpNet::V4(_) => (Type::Ipv4Addr, Selector::IpSaddr, Selector::IpDaddr),
        IpNet::V6(_) => (Type::Ipv6Addr, Selector::Ip6Saddr, Selector::Ip6Daddr),
    };
    let rule = POSTROUTING.rule().in_set(&[source], name).outside(destination, address.trunc()).masquerade();
    (kind, rule.add())
}

/// The sets of all subnets, whether or not a rule still uses them.
fn sets(nft: &mut Nft) -> Result<Vec<(String, IpNet)>> {
    let names = nft.sets(TABLE)?.into_iter();
    Ok(names.filter_map(|name| subnet_set::subnet(PREFIX, &name).map(|subnet| (name, subnet))).collect())
}

fn set_name(address: IpNet) -> String {
    subnet_set::name(PREFIX, address)
}
