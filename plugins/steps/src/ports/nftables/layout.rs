//! The static part in the table `inet tidewater`: what is there once, however many mappings there are.
//!
//! ```text
//! map hostports-v4-at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//! map hostports-v4-all { type inet_proto . inet_service : ipv4_addr . inet_service }
//! map hostports-v4-ranges { type inet_proto . inet_service : ipv4_addr; flags interval }
//! set hostports-v4-some { type inet_proto . inet_service }        ports with an element in -at
//! set hairpin-10.1.0.0-16 { type ipv4_addr }                      containers with snat
//! chain prerouting { type nat hook prerouting priority dstnat;
//!     meta nfproto ipv4 ip daddr != 127.0.0.0/8 fib daddr type local jump hostports-v4 }
//! chain output { type nat hook output priority -100;
//!     meta nfproto ipv4 fib daddr type local jump hostports-v4 }
//! chain hostports-v4 {
//!     jump hairpin-v4
//!     dnat ip to ip daddr . meta l4proto . th dport map @hostports-v4-at
//!     dnat ip to meta l4proto . th dport map @hostports-v4-all
//!     dnat ip to meta l4proto . th dport map @hostports-v4-ranges
//!     meta mark set meta mark & ~0x2000 }
//! chain hairpin-v4 {
//!     ip saddr 127.0.0.0/8 meta mark set meta mark | 0x2000
//!     ip saddr 10.1.0.0/16 meta mark set meta mark | 0x2000 }
//! chain hairpin { type nat hook postrouting priority srcnat;
//!     meta mark & 0x2000 == 0x2000 ip saddr 127.0.0.0/8 ip daddr @hairpin-10.1.0.0-16 masquerade
//!     meta mark & 0x2000 == 0x2000 ip saddr 10.1.0.0/16 ip daddr @hairpin-10.1.0.0-16 masquerade }
//! chain input { type filter hook input priority filter;
//!     iifname != "lo" ip daddr 127.0.0.0/8 ct state new ct status & dnat == 0 drop }
//! ```
//!
//! The mark tells a connection that one of these maps led to the container from one that came there by another
//! way, a service of Kubernetes for instance, whose callers keep their addresses. It stays only on what was
//! led: the last rule of the chain is reached by nothing else.
//!
//! Connections to `::1` are left alone: answers to it are dropped by the kernel (it has no `route_localnet`
//! for IPv6), so that a caller would wait in vain; it is refused at once instead, and goes on with 127.0.0.1.
//!
//! With `conditions`, maps and chains are another group, with a hash of the conditions in their names, and the
//! rules that lead to it carry the conditions.

use super::conditions;
use super::group::{Group, address, marks};
use crate::ports::Ports;
pub(super) use crate::table::INET as TABLE;
use ipnet::{IpNet, Ipv4Net};
use kernel::nft::{
    Base, Chain, ChainKind, Hook, Nft, Policy, Request, Rule, RuleComment, Selector, SetSpec, Value, Verdict,
    ct_state, ct_status, fib, priority,
};
use spec::error::Result;
use std::net::{Ipv4Addr, Ipv6Addr};

const PREROUTING: Chain<'static> = TABLE.chain("prerouting");
const OUTPUT: Chain<'static> = TABLE.chain("output");
const HAIRPIN: Chain<'static> = TABLE.chain("hairpin");
const INPUT: Chain<'static> = TABLE.chain("input");
/// `NFPROTO_IPV4`, `NFPROTO_IPV6`.
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const LOOPBACK: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8));

/// One rule that has to be there.
#[derive(Debug)]
enum Wanted<'a> {
    /// What is sent to this host goes to the group's chain.
    Dispatch { from: Chain<'static>, group: &'a Group, conditions: &'a [String] },
    /// What the group's maps do not know loses its mark.
    Unmark { group: &'a Group, mask: u32 },
    /// Packets of this source are marked; of all where there is none.
    Mark { v4: bool, source: Option<IpNet>, mask: u32 },
    /// Marked packets of this source to a container in the set are masqueraded.
    Masquerade { source: Option<IpNet>, v4: bool, set: String, mask: u32 },
    /// Addresses of the loopback stay unreachable from outside, although `route_localnet` lets them in.
    Localnet,
}

impl Wanted<'_> {
    fn chain(&self) -> &str {
        match self {
            Wanted::Dispatch { from, .. } => from.name,
            Wanted::Unmark { group, .. } => &group.chain,
            Wanted::Mark { v4, .. } => marks(*v4),
            Wanted::Masquerade { .. } => HAIRPIN.name,
            Wanted::Localnet => INPUT.name,
        }
    }

    /// What the rule is known by.
    fn comment(&self) -> String {
        let named = |source: &Option<IpNet>| source.map_or("all".to_owned(), |source| source.to_string());
        match self {
            Wanted::Dispatch { group, .. } => format!("to {}", group.chain),
            Wanted::Unmark { mask, .. } => format!("not mapped: {mask:#x}"),
            Wanted::Mark { source, mask, .. } => format!("{mask:#x}: {}", named(source)),
            Wanted::Masquerade { source, set, mask, .. } => format!("{mask:#x}: {} to {set}", named(source)),
            Wanted::Localnet => "loopback addresses from outside".to_owned(),
        }
    }

    fn is_in(&self, rules: &[RuleComment]) -> bool {
        let comment = self.comment();
        rules.iter().any(|rule| rule.chain == self.chain() && rule.comment.as_deref() == Some(&comment))
    }

    /// What makes the rule; `None` where only `nft` can, because it has conditions.
    fn request(&self) -> Option<Request> {
        let rule = TABLE.chain(self.chain()).rule();
        let rule = match self {
            Wanted::Dispatch { conditions, .. } if !conditions.is_empty() => return None,
            Wanted::Dispatch { from, group, .. } => dispatch(rule, *from, group),
            Wanted::Unmark { mask, .. } => rule.clear_mark_bits(*mask),
            Wanted::Mark { v4, source, mask } => match source {
                Some(source) => rule.within(saddr(*v4), *source),
                None => rule,
            }
            .set_mark_bits(*mask),
            Wanted::Masquerade { source, v4, set, mask } => {
                let marked = rule.masked(Selector::Mark, *mask, *mask);
                let from = match source {
                    Some(source) => marked.within(saddr(*v4), *source),
                    None => marked,
                };
                return Some(from.in_set(&[daddr(*v4)], set).masquerade().comment(&self.comment()).add());
            }
            Wanted::Localnet => rule
                .is_not(Selector::Iifname, Value::ifname("lo"))
                .within(Selector::IpDaddr, LOOPBACK)
                .any_of(Selector::CtState, ct_state::NEW)
                .masked(Selector::CtStatus, ct_status::DNAT, 0)
                .verdict(Verdict::Drop),
        };
        Some(rule.comment(&self.comment()).add())
    }
}

/// What is missing of the static part: requests, and rules that `nft` has to make after those.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) requests: Vec<Request>,
    pub(super) for_nft: Vec<conditions::Rule>,
}

/// Looks for all that these mappings need. The lock of [`crate::record`] is held: nobody else of ours builds now.
pub(super) fn missing(nft: &mut Nft, ports: &Ports, groups: &[Group]) -> Result<Missing> {
    let rules = nft.rule_comments(TABLE)?;
    let broken: Vec<&Group> = groups.iter().filter(|group| !group.is_whole(&rules)).collect();
    let wanted = wanted(ports, groups);
    let mut absent: Vec<&Wanted<'_>> = wanted.iter().filter(|wanted| !wanted.is_in(&rules)).collect();
    if broken.is_empty() && absent.is_empty() {
        return Ok(Missing::default());
    }
    let mut requests = objects(nft, ports, groups)?;
    for group in broken {
        // Their order matters: all of them anew.
        requests.push(TABLE.chain(&group.chain).flush());
        requests.extend(group.rules().into_iter().map(|(comment, rule)| rule.comment(comment).add()));
        let unmark =
            |wanted: &&Wanted<'_>| matches!(wanted, Wanted::Unmark { group: of, .. } if *of == group);
        absent.retain(|wanted| !unmark(wanted));
        requests.extend(wanted.iter().filter(|wanted| unmark(wanted)).filter_map(Wanted::request));
    }
    requests.extend(absent.iter().filter_map(|wanted| wanted.request()));
    let for_nft = absent.iter().filter_map(|wanted| match wanted {
        Wanted::Dispatch { from, group, conditions } if !conditions.is_empty() => {
            let asked = asked_in_words(*from, group);
            Some(conditions::Rule::new(*from, asked, conditions, &group.chain, wanted.comment()))
        }
        _ => None,
    });
    Ok(Missing { for_nft: for_nft.collect(), requests })
}

/// Whether every static rule of these mappings is there; else what is not.
pub(super) fn first_missing(nft: &mut Nft, ports: &Ports, groups: &[Group]) -> Result<Option<String>> {
    let rules = nft.rule_comments(TABLE)?;
    if let Some(group) = groups.iter().find(|group| !group.is_whole(&rules)) {
        return Ok(Some(format!("chain {} is not as it was made", TABLE.chain(&group.chain))));
    }
    let absent = wanted(ports, groups).into_iter().find(|wanted| !wanted.is_in(&rules));
    Ok(absent
        .map(|absent| format!("chain {} has no rule {:?}", TABLE.chain(absent.chain()), absent.comment())))
}

/// The name of the set of the containers all of whose callers are masqueraded.
pub(super) fn masquerade_all_set(v4: bool) -> &'static str {
    if v4 { "masquerade-all-v4" } else { "masquerade-all-v6" }
}

fn wanted<'a>(ports: &'a Ports, groups: &'a [Group]) -> Vec<Wanted<'a>> {
    let mut wanted = Vec::new();
    let mask = ports.source.mark.mask();
    for (side, group) in ports.sides.iter().zip(groups) {
        let v4 = group.v4;
        let conditions = &side.conditions;
        wanted.extend([PREROUTING, OUTPUT].map(|from| Wanted::Dispatch { from, group, conditions }));
        wanted.push(Wanted::Unmark { group, mask });
        if ports.source.masquerade_all {
            wanted.push(Wanted::Mark { v4, source: None, mask });
            let set = masquerade_all_set(v4).to_owned();
            wanted.push(Wanted::Masquerade { source: None, v4, set, mask });
        }
        if ports.source.snat {
            let subnet = side.container.trunc();
            for source in [Some(subnet), v4.then_some(LOOPBACK)].into_iter().flatten() {
                wanted.push(Wanted::Mark { v4, source: Some(source), mask });
                let set = group.hairpin.clone();
                wanted.push(Wanted::Masquerade { source: Some(source), v4, set, mask });
            }
            wanted.extend(v4.then_some(Wanted::Localnet));
        }
    }
    wanted
}

/// Table, chains and sets that are not there yet. A base chain that is there keeps the policy that somebody gave
/// it.
fn objects(nft: &mut Nft, ports: &Ports, groups: &[Group]) -> Result<Vec<Request>> {
    let there = nft.chains(TABLE)?;
    let mut requests = vec![TABLE.add()];
    for (chain, kind, hook, priority) in [
        (PREROUTING, ChainKind::Nat, Hook::Prerouting, priority::DSTNAT),
        (OUTPUT, ChainKind::Nat, Hook::Output, priority::DSTNAT),
        (HAIRPIN, ChainKind::Nat, Hook::Postrouting, priority::SRCNAT),
        (INPUT, ChainKind::Filter, Hook::Input, priority::FILTER),
    ] {
        if !there.iter().any(|found| found.name == chain.name) {
            requests.push(chain.add_base(&Base { kind, hook, priority, policy: Policy::Accept }));
        }
    }
    for group in groups {
        requests.extend(group.objects());
        let addresses = [address(group.v4)];
        let of_addresses = SetSpec::set(&addresses);
        if ports.source.snat {
            requests.push(TABLE.set(&group.hairpin).add(&of_addresses));
        }
        if ports.source.masquerade_all {
            requests.push(TABLE.set(masquerade_all_set(group.v4)).add(&of_addresses));
        }
    }
    Ok(requests)
}

fn dispatch<'a>(rule: Rule<'a>, from: Chain<'_>, group: &'a Group) -> Rule<'a> {
    let family = if group.v4 { NFPROTO_IPV4 } else { NFPROTO_IPV6 };
    let rule = rule.is(Selector::Nfproto, Value::protocol(family));
    let rule = match (group.v4, from.name == OUTPUT.name) {
        (false, true) => rule.is_not(Selector::Ip6Daddr, Value::from(Ipv6Addr::LOCALHOST)),
        // What comes from outside for an address of the loopback goes to the chain `input`, and no further.
        (true, false) => rule.outside(Selector::IpDaddr, LOOPBACK),
        _ => rule,
    };
    rule.is(Selector::FibDaddrType, Value::host(fib::LOCAL)).verdict(Verdict::jump(&group.chain))
}

/// What [`dispatch`] asks but for the last, in the words of `nft`.
fn asked_in_words(from: Chain<'_>, group: &Group) -> &'static str {
    match (group.v4, from.name == OUTPUT.name) {
        (false, true) => "meta nfproto ipv6 ip6 daddr != ::1",
        (true, false) => "meta nfproto ipv4 ip daddr != 127.0.0.0/8",
        (false, false) => "meta nfproto ipv6",
        (true, true) => "meta nfproto ipv4",
    }
}

fn saddr(v4: bool) -> Selector {
    if v4 { Selector::IpSaddr } else { Selector::Ip6Saddr }
}

fn daddr(v4: bool) -> Selector {
    if v4 { Selector::IpDaddr } else { Selector::Ip6Daddr }
}
