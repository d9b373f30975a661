//! The static rules of `antiSpoof`: which frames of a guarded port are let in.
//!
//! Everything is refused that is not read whole: the kinds of frames are a list of what passes, and what an IPv6
//! packet carries has to be found behind its extension headers. Neighbour discovery is taken in the forms only that
//! are in use: directly behind the IPv6 header, not in fragments, with one option at most.

use super::{MACS, PORTS, V4, V6, key, sets};
use kernel::nft::{
    Base, Chain, ChainKind, Family, Header, Hook, Nft, Policy, Request, Rule, Selector, SetSpec, Table,
    Value, Verdict,
};

/// The base chain; the others are `guarded` and its parts.
pub(super) const BASE: &str = "guard";
const GUARDED: &str = "guarded";
const ARP: &str = "guarded-arp";
const IP: &str = "guarded-ip";
const IP6: &str = "guarded-ip6";
const NAMELESS: &str = "guarded-nameless";
const ICMP6: &str = "guarded-icmp6";
const SOLICIT: &str = "guarded-solicit";
const ADVERT: &str = "guarded-advert";
const ROUTER: &str = "guarded-router-solicit";
const CHAINS: [&str; 9] = [GUARDED, ARP, IP, IP6, NAMELESS, ICMP6, SOLICIT, ADVERT, ROUTER];

/// The chains of a table besides the base chain.
fn chains(table: Table<'static>) -> &'static [&'static str] {
    if table.family == Family::Arp { &[ARP] } else { &CHAINS }
}

/// How many rules a table has.
fn count(table: Table<'static>) -> usize {
    match table.family {
        Family::Arp => 6,
        Family::Bridge => COUNT + 6,
        _ => COUNT,
    }
}

/// How many rules the table inet has.
const COUNT: usize = 44;
/// Before everybody else's filters, and before the translation of addresses.
const PRIORITY: i32 = -310;

const ETHERTYPE: Selector = Selector::raw(Header::Link, 12, 2);
/// Hardware type, protocol type, lengths of both addresses.
const ARP_FORM: Selector = Selector::raw(Header::Network, 0, 6);
const ARP_MAC: Selector = Selector::raw(Header::Network, 8, 6);
const ARP_IP: Selector = Selector::raw(Header::Network, 14, 4);
const ARP_TARGET: Selector = Selector::raw(Header::Network, 24, 4);
const ARP_OPERATION: Selector = Selector::raw(Header::Network, 6, 2);
const IP_FRAGMENT: Selector = Selector::raw(Header::Network, 6, 2);
const IP6_LENGTH: Selector = Selector::raw(Header::Network, 4, 2);
const IP6_NEXT: Selector = Selector::raw(Header::Network, 6, 1);
const TYPE: Selector = Selector::raw(Header::Transport, 0, 1);
/// The address that a solicitation asks for, or that an advertisement claims.
const ND_TARGET: Selector = Selector::raw(Header::Transport, 8, 16);
/// Type and length of the option behind it, and the MAC in that.
const ND_OPTION: Selector = Selector::raw(Header::Transport, 24, 2);
const ND_MAC: Selector = Selector::raw(Header::Transport, 26, 6);
const RS_OPTION: Selector = Selector::raw(Header::Transport, 8, 2);
const RS_MAC: Selector = Selector::raw(Header::Transport, 10, 6);

const IGMP: u8 = 2;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Whether nothing was flushed, as far as the number of rules tells.
pub(super) fn seem_whole(nft: &mut Nft, table: Table<'static>) -> kernel::error::Result<bool> {
    let rules = nft.rule_comments(table)?;
    Ok(rules.iter().filter(|rule| is_of_guard(&rule.chain)).count() >= count(table))
}

/// What is not there of one table. Rules that somebody flushed are put back after one more flush, so that they are
/// there once, however many ADDs build at the same time.
pub(super) fn missing(nft: &mut Nft, table: Table<'static>) -> kernel::error::Result<Vec<Request>> {
    let rules = rules(table);
    let base = table.chain(BASE);
    let there = nft.chain(base)?.is_some();
    if there
        && nft.rules_of_table(table)?.iter().filter(|rule| is_of_guard(&rule.chain)).count() >= rules.len()
    {
        return Ok(Vec::new());
    }
    let mut requests = vec![table.add()];
    requests.extend(sets(table).iter().map(|name| table.set(name).add(&SetSpec::set(key(name)))));
    for name in chains(table) {
        requests.extend([table.chain(name).add(), table.chain(name).flush()]);
    }
    requests.push(if there { base.flush() } else { base.create_base(&hooked(table)) });
    requests.extend(rules.iter().map(Rule::add));
    Ok(requests)
}

fn is_of_guard(chain: &str) -> bool {
    chain == BASE || CHAINS.contains(&chain)
}

fn hooked(table: Table<'static>) -> Base {
    let hook = if table.family == Family::Arp { Hook::Input } else { Hook::Prerouting };
    Base { kind: ChainKind::Filter, hook, priority: PRIORITY, policy: Policy::Accept }
}

fn rules(table: Table<'static>) -> Vec<Rule<'static>> {
    let base = table.chain(BASE);
    let first = if table.family == Family::Arp { ARP } else { GUARDED };
    let mut rules = vec![base.rule().in_set(&[Selector::Iifname], PORTS).verdict(Verdict::jump(first))];
    if table.family == Family::Arp {
        rules.extend(arp(table.chain(ARP)));
        return rules;
    }
    rules.extend(kinds(table));
    rules.extend(ip(table.chain(IP)));
    rules.extend(ip6(table.chain(IP6)));
    rules.extend(nameless(table.chain(NAMELESS)));
    rules.extend(icmp6(table.chain(ICMP6)));
    rules.extend(solicitation(table.chain(SOLICIT)));
    rules.extend(advertisement(table.chain(ADVERT)));
    rules.extend(router_solicitation(table.chain(ROUTER)));
    rules
}

/// ARP, IPv4 and IPv6 by a frame of one's own; no tags, no other protocols. Above a bridge there are only packets.
fn kinds(table: Table<'static>) -> Vec<Rule<'static>> {
    let chain = table.chain(GUARDED);
    let foreign = chain.rule().not_in_set(&[Selector::Iifname, Selector::EtherSaddr], MACS);
    let kind = |number: u16, to: &str| {
        let selector = if table.family == Family::Bridge { ETHERTYPE } else { Selector::Protocol };
        chain.rule().is(selector, Value::port(number)).verdict(Verdict::goto(to))
    };
    let mut rules = vec![foreign.verdict(Verdict::Drop), kind(0x0800, IP), kind(0x86dd, IP6)];
    if table.family == Family::Bridge {
        rules.push(kind(0x0806, ARP));
        rules.extend(arp(table.chain(ARP)));
    }
    rules.push(chain.rule().verdict(Verdict::Drop));
    rules
}

/// Ethernet and IPv4; sender's MAC and address are one's own, or the sender has none yet and asks whether
/// anybody has one's own (RFC 5227, a probe).
fn arp(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let (drop, accept) = (Verdict::Drop, Verdict::Accept);
    let nobody = chain.rule().is(ARP_IP, Value::bytes(&[0; 4])).is(ARP_OPERATION, Value::port(1));
    vec![
        chain.rule().is_not(ARP_FORM, Value::bytes(&[0, 1, 8, 0, 6, 4])).verdict(drop.clone()),
        chain.rule().not_in_set(&[Selector::Iifname, ARP_MAC], MACS).verdict(drop.clone()),
        nobody.in_set(&[Selector::Iifname, ARP_TARGET], V4).verdict(accept.clone()),
        chain.rule().in_set(&[Selector::Iifname, ARP_IP], V4).verdict(accept),
        chain.rule().verdict(drop),
    ]
}

/// One's own addresses; none at all only to ask a DHCP server; no answers of a DHCP server.
fn ip(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let (drop, accept) = (Verdict::Drop, Verdict::Accept);
    let udp = || chain.rule().is(Selector::L4proto, Value::protocol(UDP));
    let asks = udp()
        .is(Selector::IpSaddr, Value::bytes(&[0; 4]))
        .is(Selector::IpDaddr, Value::bytes(&[255; 4]))
        .is(Selector::ThSport, Value::port(68))
        .is(Selector::ThDport, Value::port(67));
    vec![
        asks.verdict(accept.clone()),
        chain.rule().not_in_set(&[Selector::Iifname, Selector::IpSaddr], V4).verdict(drop.clone()),
        // Queries of a multicast router, as of IPv6.
        chain
            .rule()
            .is(Selector::L4proto, Value::protocol(IGMP))
            .is(TYPE, Value::protocol(0x11))
            .verdict(drop.clone()),
        chain.rule().is_not(Selector::L4proto, Value::protocol(UDP)).verdict(accept.clone()),
        chain.rule().any_bit(IP_FRAGMENT, Value::port(0x1fff)).verdict(accept.clone()),
        udp().is_not(Selector::ThSport, Value::port(67)).verdict(accept),
        chain.rule().verdict(drop),
    ]
}

/// One's own addresses. What a packet carries is found behind its extension headers; where it is not, no rule but
/// the last applies. A later fragment is good for nothing without the first.
fn ip6(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let (drop, accept) = (Verdict::Drop, Verdict::Accept);
    vec![
        chain.rule().is(Selector::Ip6Saddr, Value::bytes(&[0; 16])).verdict(Verdict::goto(NAMELESS)),
        chain.rule().not_in_set(&[Selector::Iifname, Selector::Ip6Saddr], V6).verdict(drop.clone()),
        chain.rule().any_bit(Selector::FragOff, Value::port(0xfff8)).verdict(accept.clone()),
        chain.rule().is(Selector::L4proto, Value::protocol(ICMPV6)).verdict(Verdict::goto(ICMP6)),
        chain.rule().is_not(Selector::L4proto, Value::protocol(UDP)).verdict(accept.clone()),
        chain.rule().is_not(Selector::ThSport, Value::port(547)).verdict(accept),
        chain.rule().verdict(drop),
    ]
}

/// Without an address: asking whether anybody has one's own (RFC 4862; with a nonce, RFC 7527), and reports of
/// groups (RFC 3810).
fn nameless(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let accept = Verdict::Accept;
    let icmp6 = |kind: u8| {
        let rule = chain.rule().is(Selector::L4proto, Value::protocol(ICMPV6));
        rule.is(TYPE, Value::protocol(kind))
    };
    let probe = |length: u16| {
        let rule = icmp6(135).is(IP6_NEXT, Value::protocol(ICMPV6)).is(IP6_LENGTH, Value::port(length));
        rule.in_set(&[Selector::Iifname, ND_TARGET], V6)
    };
    let mut rules: Vec<_> = [131, 132, 143].map(|kind| icmp6(kind).verdict(accept.clone())).into();
    rules.extend([
        probe(24).verdict(accept.clone()),
        probe(32).is(ND_OPTION, Value::bytes(&[14, 1])).verdict(accept),
        chain.rule().verdict(Verdict::Drop),
    ]);
    rules
}

/// Neighbour discovery by its own chains; what only a router says is not said.
fn icmp6(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let kind = |number: u8, verdict: Verdict| chain.rule().is(TYPE, Value::protocol(number)).verdict(verdict);
    // Queries of a multicast router, router advertisement, redirect, multicast router advertisement.
    let mut rules: Vec<_> = [130, 134, 137, 151].map(|number| kind(number, Verdict::Drop)).into();
    rules.extend([
        kind(133, Verdict::goto(ROUTER)),
        kind(135, Verdict::goto(SOLICIT)),
        kind(136, Verdict::goto(ADVERT)),
        // Reading the type is the condition: where the header is cut off, the rule does not apply.
        chain.rule().between(TYPE, Value::protocol(0), Value::protocol(255)).verdict(Verdict::Accept),
        chain.rule().verdict(Verdict::Drop),
    ]);
    rules
}

fn direct(chain: Chain<'static>, length: u16) -> Rule<'static> {
    chain.rule().is(IP6_NEXT, Value::protocol(ICMPV6)).is(IP6_LENGTH, Value::port(length))
}

/// Without options, or with one's own MAC as the source's.
fn solicitation(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let named = direct(chain, 32).is(ND_OPTION, Value::bytes(&[1, 1]));
    vec![
        direct(chain, 24).verdict(Verdict::Accept),
        named.in_set(&[Selector::Iifname, ND_MAC], MACS).verdict(Verdict::Accept),
        chain.rule().verdict(Verdict::Drop),
    ]
}

/// Of one's own address; without options, or with one's own MAC as the target's.
fn advertisement(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let named = direct(chain, 32).is(ND_OPTION, Value::bytes(&[2, 1]));
    vec![
        chain.rule().not_in_set(&[Selector::Iifname, ND_TARGET], V6).verdict(Verdict::Drop),
        direct(chain, 24).verdict(Verdict::Accept),
        named.in_set(&[Selector::Iifname, ND_MAC], MACS).verdict(Verdict::Accept),
        chain.rule().verdict(Verdict::Drop),
    ]
}

/// Without options, or with one's own MAC as the source's.
fn router_solicitation(chain: Chain<'static>) -> Vec<Rule<'static>> {
    let named = direct(chain, 16).is(RS_OPTION, Value::bytes(&[1, 1]));
    vec![
        direct(chain, 8).verdict(Verdict::Accept),
        named.in_set(&[Selector::Iifname, RS_MAC], MACS).verdict(Verdict::Accept),
        chain.rule().verdict(Verdict::Drop),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::TABLES;
    use super::*;

    #[test]
    fn a_table_is_whole_with_all_of_its_rules() {
        for table in TABLES {
            assert_eq!(rules(table).len(), count(table), "{table}");
        }
    }
}
