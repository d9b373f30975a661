//! Forwarding through nftables, over netlink: static rules, and elements for each attachment.
//!
//! ```text
//! table inet tidewater {
//!     set segregated { type ifname }              # bridges with an ingress policy
//!     set intra { type ifname . ifname }          # a bridge and itself: same-bridge
//!     set apart { type ifname . ifname }          # a bridge and itself: isolated
//!     set accept-v4 { type ipv4_addr }            # the containers' addresses
//!     set accept-v6 { type ipv6_addr }
//!     chain admin { }                             # the administrator's, first to be asked; never touched here
//!     chain isolation {
//!         iifname . oifname @apart drop
//!         iifname . oifname @intra return
//!         iifname @segregated oifname @segregated drop }
//!     chain forward { type filter hook forward priority filter; policy accept;
//!         jump admin
//!         jump isolation
//!         ct state established,related ip daddr @accept-v4 accept
//!         ct status dnat ip daddr @accept-v4 accept
//!         ip saddr @accept-v4 accept
//!         … the same for IPv6 } }
//! table bridge tidewater {
//!     set isolated { type ifname }                # ports: isolated, whether or not frames meet the rules above
//!     chain forward { type filter hook forward priority filter; policy accept;
//!         iifname @isolated meta protocol ip drop
//!         … ip6, and the same for oifname } }
//! ```
//!
//! The accepting rules matter where an administrator sets the policy of the chain to drop. What is translated to a
//! container is let through to it then: somebody mapped that port.

use super::Ingress;
use crate::label::Label;
use crate::ruleset;
use crate::stale::Stale;
use crate::table::{BRIDGE, INET};
use kernel::error::{Errno, forgive_existing};
use kernel::nft::{
    Base, Chain, ChainKind, Element, Hook, Key, Nft, Policy, Request, Rule, Selector, Set, SetSpec,
    Transaction, Type, Value, Verdict, ct_state, ct_status, priority,
};
use spec::error::{Error, Result};
use std::net::IpAddr;

const FORWARD: Chain<'static> = INET.chain("forward");
const ISOLATION: Chain<'static> = INET.chain("isolation");
const ADMIN: Chain<'static> = INET.chain("admin");
const SEGREGATED: Set<'static> = INET.set("segregated");
const INTRA: Set<'static> = INET.set("intra");
const APART: Set<'static> = INET.set("apart");
const ACCEPT4: Set<'static> = INET.set("accept-v4");
const ACCEPT6: Set<'static> = INET.set("accept-v6");
const PORTS: Chain<'static> = BRIDGE.chain("forward");
const ISOLATED: Set<'static> = BRIDGE.set("isolated");

/// What makes the rules of a chain.
type Rules = fn() -> Vec<Rule<'static>>;

/// How many rules [`isolation_rules`] and [`forward_rules`] are.
const ISOLATION_RULES: usize = 3;
const FORWARD_RULES: usize = 8;

/// EtherTypes.
const IP: u16 = 0x0800;
const IP6: u16 = 0x86dd;

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
    let put = build(nft, missing_ports)
        .and_then(|()| nft.put_element(ISOLATED, &element, missing_ports).map_err(Into::into));
    put.map_err(|error| error.context(format!("close port {port} to the others of its bridge")))
}

/// For the first attachment, and after somebody flushed a chain; whoever comes second finds it there.
fn build(nft: &mut Nft, missing: impl Fn(&mut Nft) -> kernel::error::Result<Transaction>) -> Result<()> {
    let missing = missing(nft)?;
    Ok(forgive_existing(nft.commit(&missing))?)
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

/// All of the table that elements need and that is not there. A chain is created together with its rules, hence
/// once, however many ADDs build at the same time; rules that somebody flushed are put back after one more flush,
/// so that they are there once too.
fn missing(nft: &mut Nft) -> kernel::error::Result<Transaction> {
    let mut transaction = Transaction::new();
    if nft.chain(FORWARD)?.is_none() {
        transaction.extend([INET.add(), ADMIN.add(), ISOLATION.add(), ISOLATION.flush()]);
        transaction.extend(sets());
        transaction.extend(isolation_rules().iter().map(Rule::add));
        transaction.push(FORWARD.create_base(&base(priority::FILTER)));
        transaction.extend(forward_rules().iter().map(Rule::add));
        return Ok(transaction);
    }
    let chains: [(_, _, Rules); 2] =
        [(ISOLATION, ISOLATION_RULES, isolation_rules), (FORWARD, FORWARD_RULES, forward_rules)];
    for (chain, count, rules) in chains {
        if nft.count_rules(chain)? < count {
            transaction.extend([INET.add(), ADMIN.add(), ISOLATION.add()]);
            transaction.extend(sets());
            transaction.push(chain.flush());
            transaction.extend(rules().iter().map(Rule::add));
        }
    }
    Ok(transaction)
}

fn sets() -> [Request; 5] {
    [
        SEGREGATED.add(&SetSpec::set(&[Type::Ifname])),
        INTRA.add(&SetSpec::set(&[Type::Ifname, Type::Ifname])),
        APART.add(&SetSpec::set(&[Type::Ifname, Type::Ifname])),
        ACCEPT4.add(&SetSpec::set(&[Type::Ipv4Addr])),
        ACCEPT6.add(&SetSpec::set(&[Type::Ipv6Addr])),
    ]
}

fn base(priority: i32) -> Base {
    Base { kind: ChainKind::Filter, hook: Hook::Forward, priority, policy: Policy::Accept }
}

fn isolation_rules() -> Vec<Rule<'static>> {
    let way = [Selector::Iifname, Selector::Oifname];
    vec![
        ISOLATION.rule().in_set(&way, APART.name).verdict(Verdict::Drop),
        ISOLATION.rule().in_set(&way, INTRA.name).verdict(Verdict::Return),
        ISOLATION
            .rule()
            .in_set(&way[..1], SEGREGATED.name)
            .in_set(&way[1..], SEGREGATED.name)
            .verdict(Verdict::Drop),
    ]
}

fn forward_rules() -> Vec<Rule<'static>> {
    let mut rules = vec![
        FORWARD.rule().verdict(Verdict::jump(ADMIN.name)),
        FORWARD.rule().verdict(Verdict::jump(ISOLATION.name)),
    ];
    for (source, destination, set) in [
        (Selector::IpSaddr, Selector::IpDaddr, ACCEPT4.name),
        (Selector::Ip6Saddr, Selector::Ip6Daddr, ACCEPT6.name),
    ] {
        let answers = ct_state::ESTABLISHED | ct_state::RELATED;
        rules.extend([
            FORWARD.rule().any_of(Selector::CtState, answers).in_set(&[destination], set),
            FORWARD.rule().any_of(Selector::CtStatus, ct_status::DNAT).in_set(&[destination], set),
            FORWARD.rule().in_set(&[source], set),
        ]);
    }
    let jumps = rules.drain(..2).collect::<Vec<_>>();
    jumps.into_iter().chain(rules.into_iter().map(|rule| rule.verdict(Verdict::Accept))).collect()
}

/// The same for the bridge's own table.
fn missing_ports(nft: &mut Nft) -> kernel::error::Result<Transaction> {
    let rules = port_rules();
    let there = match nft.chain(PORTS) {
        Ok(found) => found.is_some(),
        // A kernel without rules for bridges does not know the family.
        Err(error) if error.errno() == Errno::OPNOTSUPP || error.errno() == Errno::AFNOSUPPORT => {
            return Err(error.because(
                "is not possible: this kernel has no nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE)",
            ));
        }
        Err(error) => return Err(error),
    };
    let mut transaction = Transaction::new();
    if !there {
        transaction.extend([BRIDGE.add(), ISOLATED.add(&SetSpec::set(&[Type::Ifname]))]);
        transaction.push(PORTS.create_base(&base(priority::BRIDGE_FILTER)));
    } else if nft.rules(PORTS)?.len() < rules.len() {
        transaction.extend([ISOLATED.add(&SetSpec::set(&[Type::Ifname])), PORTS.flush()]);
    } else {
        return Ok(transaction);
    }
    transaction.extend(rules.iter().map(Rule::add));
    Ok(transaction)
}

fn port_rules() -> Vec<Rule<'static>> {
    let sides = [Selector::Iifname, Selector::Oifname];
    let each = sides.into_iter().flat_map(|side| [(side, IP), (side, IP6)]);
    each.map(|(side, kind)| {
        PORTS
            .rule()
            .in_set(&[side], ISOLATED.name)
            .is(Selector::Protocol, Value::port(kind))
            .verdict(Verdict::Drop)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_whole_with_all_of_its_rules() {
        assert_eq!((isolation_rules().len(), forward_rules().len()), (ISOLATION_RULES, FORWARD_RULES));
    }
}
