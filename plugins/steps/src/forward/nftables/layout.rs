//! The static part of forwarding in nftables: rules and empty sets, there once for all attachments.
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
//!         iifname @isolated meta protocol != arp drop
//!         oifname @isolated meta protocol != arp drop } }
//! ```
//!
//! The accepting rules matter where an administrator sets the policy of the chain to drop. What is translated to a
//! container is let through to it then: somebody mapped that port.

use crate::table::{BRIDGE, INET};
use kernel::nft::{
    Base, Chain, ChainKind, Hook, Nft, Policy, Request, Rule, Selector, Set, SetSpec, Transaction, Type,
    Value, Verdict, ct_state, ct_status, priority,
};

pub(super) const FORWARD: Chain<'static> = INET.chain("forward");
const ISOLATION: Chain<'static> = INET.chain("isolation");
const ADMIN: Chain<'static> = INET.chain("admin");
pub(super) const SEGREGATED: Set<'static> = INET.set("segregated");
pub(super) const INTRA: Set<'static> = INET.set("intra");
pub(super) const APART: Set<'static> = INET.set("apart");
pub(super) const ACCEPT4: Set<'static> = INET.set("accept-v4");
pub(super) const ACCEPT6: Set<'static> = INET.set("accept-v6");
pub(super) const PORTS: Chain<'static> = BRIDGE.chain("forward");
pub(super) const ISOLATED: Set<'static> = BRIDGE.set("isolated");

/// What makes the rules of a chain.
type Rules = fn() -> Vec<Rule<'static>>;

/// How many rules [`isolation_rules`] and [`forward_rules`] are.
const ISOLATION_RULES: usize = 3;
const FORWARD_RULES: usize = 8;

/// EtherType.
const ARP: u16 = 0x0806;

/// All of the table that elements need and that is not there. A chain is created together with its rules, hence
/// once, however many ADDs build at the same time; rules that somebody flushed are put back after one more flush,
/// so that they are there once too.
pub(super) fn missing(nft: &mut Nft) -> kernel::error::Result<Transaction> {
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
    let jumps = [ADMIN, ISOLATION].map(|to| FORWARD.rule().verdict(Verdict::jump(to.name)));
    let families = [
        (Selector::IpSaddr, Selector::IpDaddr, ACCEPT4.name),
        (Selector::Ip6Saddr, Selector::Ip6Daddr, ACCEPT6.name),
    ];
    let accepts = families.into_iter().flat_map(|(source, destination, set)| {
        let answers = ct_state::ESTABLISHED | ct_state::RELATED;
        [
            FORWARD.rule().any_of(Selector::CtState, answers).in_set(&[destination], set),
            FORWARD.rule().any_of(Selector::CtStatus, ct_status::DNAT).in_set(&[destination], set),
            FORWARD.rule().in_set(&[source], set),
        ]
    });
    jumps.into_iter().chain(accepts.map(|rule| rule.verdict(Verdict::Accept))).collect()
}

/// The same for the bridge's own table.
pub(super) fn missing_ports(nft: &mut Nft) -> kernel::error::Result<Transaction> {
    let rules = port_rules();
    let there = nft.chain(PORTS)?.is_some();
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

/// All but ARP: a list of what is dropped would have to know what is inside of VLAN tags.
fn port_rules() -> Vec<Rule<'static>> {
    let closed = |side| {
        let rule = PORTS.rule().in_set(&[side], ISOLATED.name);
        rule.is_not(Selector::Protocol, Value::port(ARP)).verdict(Verdict::Drop)
    };
    [Selector::Iifname, Selector::Oifname].map(closed).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_whole_with_all_of_its_rules() {
        assert_eq!((isolation_rules().len(), forward_rules().len()), (ISOLATION_RULES, FORWARD_RULES));
    }
}
