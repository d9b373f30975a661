//! Each rule beside the one that `nft` sends for the command above it.

use crate::bytes::{INET, address};
use kernel::nft::{
    Chain, Family, Header, NatTo, Per, Reject, Request, Rule, Selector, Table, Value, Verdict, ct_state,
    ct_status, nat_flags,
};
use std::net::IpAddr;

const PUBLISHED: [Selector; 3] = [Selector::IpDaddr, Selector::L4proto, Selector::ThDport];

/// The command and the rule.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, Request)> {
    state_rules().into_iter().chain(match_rules()).chain(raw_rules()).chain(nat_rules())
}

/// What has no word of its own, by its place in the packet.
fn raw_rules() -> Vec<(&'static str, Request)> {
    let network = |offset, length| Selector::raw(Header::Network, offset, length);
    let frames = Table::new(Family::Bridge, "tidewater").chain("prerouting");
    vec![
        prerouting("add rule inet tidewater prerouting frag frag-off != 0 accept", |rule| {
            rule.any_bit(Selector::FragOff, Value::port(0xfff8)).verdict(Verdict::Accept)
        }),
        prerouting("add rule inet tidewater prerouting @nh,48,16 and 0x1fff != 0 accept", |rule| {
            rule.any_bit(network(6, 2), Value::port(0x1fff)).verdict(Verdict::Accept)
        }),
        (
            "add rule bridge tidewater prerouting @nh,0,48 != 0x000108000604 drop",
            frames
                .rule()
                .is_not(network(0, 6), Value::bytes(&[0, 1, 8, 0, 6, 4]))
                .verdict(Verdict::Drop)
                .add(),
        ),
    ]
}

/// Rules of the chain `prerouting`, by the words that follow its name.
fn prerouting(
    words: &'static str,
    build: impl FnOnce(Rule<'static>) -> Rule<'static>,
) -> (&'static str, Request) {
    (words, build(INET.chain("prerouting").rule()).add())
}

fn state_rules() -> Vec<(&'static str, Request)> {
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    let established = ct_state::ESTABLISHED | ct_state::RELATED;
    vec![
        (
            "insert rule inet tidewater subnet counter drop",
            INET.chain("subnet").rule().counter().verdict(drop.clone()).insert(),
        ),
        prerouting("add rule inet tidewater prerouting fib daddr type local counter accept", |rule| {
            rule.is(Selector::FibDaddrType, Value::host(kernel::nft::fib::LOCAL))
                .counter()
                .verdict(accept.clone())
        }),
        prerouting("add rule inet tidewater prerouting ct state established,related accept", |rule| {
            rule.any_of(Selector::CtState, established).verdict(accept.clone())
        }),
        prerouting("add rule inet tidewater prerouting ct status dnat accept", |rule| {
            rule.any_of(Selector::CtStatus, ct_status::DNAT).verdict(accept.clone())
        }),
        prerouting("add rule inet tidewater prerouting meta mark set meta mark or 0x2000", |rule| {
            rule.set_mark_bits(0x2000)
        }),
        prerouting("add rule inet tidewater prerouting meta mark set meta mark and 0xffffdfff", |rule| {
            rule.clear_mark_bits(0x2000)
        }),
        prerouting("add rule inet tidewater prerouting meta mark and 0x2000 == 0x2000 accept", |rule| {
            rule.masked(Selector::Mark, 0x2000, 0x2000).verdict(accept.clone())
        }),
        prerouting("add rule inet tidewater prerouting ct mark set 0x10", |rule| rule.set_ct_mark(0x10)),
        prerouting("add rule inet tidewater prerouting iifname \"veth*\" drop", |rule| {
            rule.is(Selector::Iifname, Value::ifname_prefix("veth")).verdict(drop.clone())
        }),
        prerouting("add rule inet tidewater prerouting oifname != \"lo\" drop", |rule| {
            rule.is_not(Selector::Oifname, Value::ifname("lo")).verdict(drop.clone())
        }),
    ]
}

fn match_rules() -> Vec<(&'static str, Request)> {
    let tcp = |rule: Rule<'static>| rule.is(Selector::L4proto, Value::protocol(6));
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    let recent = [Selector::IpSaddr, Selector::Mark];
    let mac = Value::ether([2, 0, 0, 0, 0, 1]);
    let forward = INET.chain("forward");
    vec![
        prerouting("add rule inet tidewater prerouting tcp dport 10-20 drop", |rule| {
            tcp(rule).between(Selector::ThDport, Value::port(10), Value::port(20)).verdict(drop.clone())
        }),
        prerouting("add rule inet tidewater prerouting tcp dport != 10-20 drop", |rule| {
            tcp(rule).not_between(Selector::ThDport, Value::port(10), Value::port(20)).verdict(drop.clone())
        }),
        prerouting("add rule inet tidewater prerouting ip saddr @blocked drop", |rule| {
            rule.in_set(&[Selector::IpSaddr], "blocked").verdict(drop.clone())
        }),
        prerouting("add rule inet tidewater prerouting ip saddr . meta mark != @recent drop", |rule| {
            rule.not_in_set(&recent, "recent").verdict(drop.clone())
        }),
        prerouting("add rule inet tidewater prerouting ether saddr 02:00:00:00:00:01 drop", |rule| {
            rule.is(Selector::EtherSaddr, mac).verdict(drop.clone())
        }),
        prerouting(
            "add rule inet tidewater prerouting limit rate 10/second burst 5 packets accept",
            |rule| rule.limit(10, Per::Second, 5).verdict(accept.clone()),
        ),
        ("add rule inet tidewater forward reject", forward.rule().reject(Reject::PortUnreachable).add()),
        (
            "add rule inet tidewater forward meta l4proto tcp reject with tcp reset",
            tcp(forward.rule()).reject(Reject::TcpReset).add(),
        ),
    ]
}

fn nat_rules() -> Vec<(&'static str, Request)> {
    let (subnet, postrouting) = (INET.chain("subnet"), INET.chain("postrouting"));
    let tcp = |rule: Rule<'static>| rule.is(Selector::L4proto, Value::protocol(6));
    let net = |text: &str| text.parse().unwrap();
    let all = nat_flags::RANDOM | nat_flags::FULLY_RANDOM | nat_flags::PERSISTENT;
    let map = NatTo::Map { map: "published", key: &PUBLISHED, ip6: false, port: true };
    let fixed = NatTo::Address(IpAddr::V4(address("10.1.2.3")), Some(80));
    let returning = |chain: Chain<'static>, selector, network| {
        chain.rule().within(selector, net(network)).verdict(Verdict::Return)
    };
    vec![
        (
            "add rule inet tidewater subnet ip daddr 10.1.0.0/16 return",
            returning(subnet, Selector::IpDaddr, "10.1.0.0/16").add(),
        ),
        (
            "add rule inet tidewater subnet ip daddr 10.1.2.0/23 return comment \"abc\"",
            returning(subnet, Selector::IpDaddr, "10.1.2.0/23").comment("abc").add(),
        ),
        ("add rule inet tidewater subnet masquerade", subnet.rule().masquerade().add()),
        (
            "add rule inet tidewater postrouting ip6 daddr ff00::/8 return",
            returning(postrouting, Selector::Ip6Daddr, "ff00::/8").add(),
        ),
        (
            "add rule inet tidewater postrouting ip saddr vmap @masquerade4",
            postrouting.rule().vmap(&[Selector::IpSaddr], "masquerade4").add(),
        ),
        (
            "add rule inet tidewater postrouting ip6 saddr vmap @masquerade6",
            postrouting.rule().vmap(&[Selector::Ip6Saddr], "masquerade6").add(),
        ),
        (
            "add rule inet tidewater postrouting ip saddr 10.1.0.5 ip daddr != 10.1.0.0/24 masquerade random,fully-random,persistent",
            postrouting
                .rule()
                .is(Selector::IpSaddr, address("10.1.0.5"))
                .outside(Selector::IpDaddr, net("10.1.0.0/24"))
                .masquerade_with(all)
                .add(),
        ),
        prerouting(
            "add rule inet tidewater prerouting dnat ip to ip daddr . meta l4proto . th dport map @published",
            |rule| rule.dnat(map),
        ),
        prerouting("add rule inet tidewater prerouting meta l4proto tcp dnat ip to 10.1.2.3:80", |rule| {
            tcp(rule).dnat(fixed)
        }),
        prerouting("add rule inet tidewater prerouting tcp dport 80 redirect to :8080", |rule| {
            tcp(rule).is(Selector::ThDport, Value::port(80)).redirect(Some(8080))
        }),
    ]
}
