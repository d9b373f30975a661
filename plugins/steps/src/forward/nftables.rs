//! Forwarding through nftables, over netlink: an attachment is elements; the rules are static ([`layout`]).

mod layout;

use super::Ingress;
use crate::label::Label;
use crate::ruleset;
use crate::stale::Stale;
use crate::table::{INET, no_bridges};
use kernel::error::forgive_existing;
use kernel::nft::{Chain, Element, Key, Nft, Request, Set, Transaction, Value};
use layout::{ACCEPT4, ACCEPT6, APART, FORWARD, INTRA, ISOLATED, PORTS, SEGREGATED, missing, missing_ports};
use spec::error::{Error, Result};
use std::net::IpAddr;

/// An element and where it goes.
type Put<'a> = (Set<'static>, Element<'a>);

pub(super) fn ensure(label: &Label, addresses: &[IpAddr], ingress: Option<&Ingress>) -> Result<()> {
    if addresses.is_empty() && ingress.is_none() {
        return Ok(());
    }
    let mut nft = Nft::open()?;
    let comment = label.comment();
    let shared = ingress.into_iter().flat_map(segregation);
    let elements: Vec<Put<'_>> = accepted(addresses, &comment).into_iter().chain(shared).collect();
    build(&mut nft, missing)?;
    nft.put_elements(&elements, missing)?;
    put_port(&mut nft, &comment, ingress)
}

/// Closes an isolated port to the others of its bridge.
pub(super) fn ensure_port(label: &Label, ingress: Option<&Ingress>) -> Result<()> {
    if port(ingress).is_none() {
        return Ok(());
    }
    put_port(&mut Nft::open()?, &label.comment(), ingress)
}

fn put_port(nft: &mut Nft, comment: &str, ingress: Option<&Ingress>) -> Result<()> {
    let Some(port) = port(ingress) else { return Ok(()) };
    let element = Element::new(Value::ifname(port)).comment(comment);
    let put = build(nft, missing_ports).and_then(|()| nft.put_element(ISOLATED, &element, missing_ports));
    put.map_err(|error| no_bridges(error).context(format!("close port {port} to the others of its bridge")))
}

/// For the first attachment, and after somebody flushed a chain; whoever comes second finds it there.
fn build(
    nft: &mut Nft,
    missing: impl Fn(&mut Nft) -> kernel::error::Result<Transaction>,
) -> kernel::error::Result<()> {
    let missing = missing(nft)?;
    forgive_existing(nft.commit(&missing))
}

pub(super) fn check(label: &Label, addresses: &[IpAddr], ingress: Option<&Ingress>) -> Result<()> {
    if addresses.is_empty() && ingress.is_none() {
        return Ok(());
    }
    let mut nft = Nft::open()?;
    if !missing(&mut nft)?.is_empty() {
        return Err(flushed(FORWARD));
    }
    for address in addresses {
        let set = accepting(address);
        let found = nft.element(set, *address)?;
        if !ruleset::is_marked(found.as_ref(), label) {
            return Err(lost(&address.to_string(), set));
        }
    }
    for (set, element) in ingress.into_iter().flat_map(segregation) {
        if nft.element(set, element.key().clone())?.is_none() {
            let bridge = ingress.map_or("", |ingress| &ingress.bridge);
            return Err(lost(&format!("bridge {bridge}"), set));
        }
    }
    check_isolated(&mut nft, label, ingress)
}

pub(super) fn check_port(label: &Label, ingress: Option<&Ingress>) -> Result<()> {
    match port(ingress) {
        Some(_) => check_isolated(&mut Nft::open()?, label, ingress),
        None => Ok(()),
    }
}

fn check_isolated(nft: &mut Nft, label: &Label, ingress: Option<&Ingress>) -> Result<()> {
    let Some(port) = port(ingress) else { return Ok(()) };
    if !missing_ports(nft)?.is_empty() {
        return Err(flushed(PORTS));
    }
    let found = nft.element(ISOLATED, Value::ifname(port))?;
    match ruleset::is_marked(found.as_ref(), label) {
        true => Ok(()),
        false => Err(lost(&format!("port {port}"), ISOLATED)),
    }
}

fn flushed(chain: Chain<'_>) -> Error {
    Error::internal(format!(
        "chain {chain} has not all of its rules: somebody removed some, or flushed the ruleset"
    ))
}

fn lost(what: &str, set: Set<'_>) -> Error {
    Error::internal(format!(
        "{what} is not in set {set} for this attachment: somebody removed it, or flushed the ruleset"
    ))
}

/// The deletions of the attachment's elements. What is known of it is looked up; where nothing is known, the
/// sets are looked through for its mark. An address that somebody else has by now keeps that one's element.
pub(super) fn deletions(
    nft: &mut Nft,
    label: &Label,
    addresses: Option<&[IpAddr]>,
    recorded: Option<Option<&Ingress>>,
) -> Result<Vec<Request>> {
    let ours = |mark: &str| label.marks(mark);
    let mut deletions = Vec::new();
    match addresses {
        Some(addresses) => {
            for address in addresses {
                deletions.extend(ruleset::deletions(
                    accepting(address),
                    nft.element(accepting(address), *address)?,
                    ours,
                ));
            }
        }
        None => {
            deletions.extend(ruleset::deletions(ACCEPT4, nft.elements(ACCEPT4)?, ours));
            deletions.extend(ruleset::deletions(ACCEPT6, nft.elements(ACCEPT6)?, ours));
        }
    }
    match recorded {
        None => deletions.extend(ruleset::deletions(ISOLATED, nft.elements(ISOLATED)?, ours)),
        Some(ingress) => {
            if let Some(port) = port(ingress) {
                deletions.extend(ruleset::deletions(
                    ISOLATED,
                    nft.element(ISOLATED, Value::ifname(port))?,
                    ours,
                ));
            }
        }
    }
    Ok(deletions)
}

/// The same for all attachments that are gone.
pub(super) fn stale_deletions(nft: &mut Nft, stale: &Stale<'_>) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for set in [ACCEPT4, ACCEPT6, ISOLATED] {
        deletions.extend(ruleset::deletions(set, nft.elements(set)?, |mark| stale.is(mark)));
    }
    Ok(deletions)
}

pub(super) fn available() -> Result<()> {
    Nft::open()?.has_table(INET)?;
    Ok(())
}

fn accepting(address: &IpAddr) -> Set<'static> {
    if address.is_ipv4() { ACCEPT4 } else { ACCEPT6 }
}

fn accepted<'a>(addresses: &[IpAddr], comment: &'a str) -> Vec<Put<'a>> {
    let element = |address: &IpAddr| Element::new(*address).comment(comment);
    addresses.iter().map(|address| (accepting(address), element(address))).collect()
}

/// Shared by all attachments of the bridge, so without anybody's mark.
fn segregation<'a>(ingress: &Ingress) -> [Put<'a>; 2] {
    let bridge = Value::ifname(&ingress.bridge);
    let itself = Key::concat(&[bridge, bridge]);
    let within = if ingress.isolated { APART } else { INTRA };
    [(SEGREGATED, Element::new(bridge)), (within, Element::new(itself))]
}

fn port(ingress: Option<&Ingress>) -> Option<&str> {
    ingress?.port.as_deref()
}
