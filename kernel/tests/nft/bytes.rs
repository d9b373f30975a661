//! Each request beside the one that `nft` sends for the command above it.

use crate::tree::tree;
use kernel::nft::{
    Base, Chain, ChainKind, Element, Family, Hook, Key, NatTo, Per, Policy, Reject, Request, Rule, Selector,
    Set, SetSpec, Table, Type, Value, Verdict, ct_state, ct_status, nat_flags, priority,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const GOLDEN: &str = include_str!("golden.txt");
const INET: Table<'static> = Table::new(Family::Inet, "tidewater");
const BRIDGE: Table<'static> = Table::new(Family::Bridge, "tidewater");
const PUBLISHED: [Selector; 3] = [Selector::IpDaddr, Selector::L4proto, Selector::ThDport];

#[test]
fn every_request_is_the_one_that_nft_sends() {
    let golden: BTreeMap<&str, &str> = sections().collect();
    for (command, request) in cases() {
        let expected = golden.get(command).unwrap_or_else(|| panic!("no golden text for {command}"));
        assert_eq!(tree(request.as_bytes()), *expected, "nft {command}");
    }
}

#[test]
fn no_golden_text_is_without_its_case() {
    let cases: Vec<_> = cases().map(|(command, _)| command).collect();
    for (command, _) in sections() {
        assert!(cases.contains(&command), "{command}");
    }
}

fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = GOLDEN.split("\n\n").filter_map(|section| section.trim().strip_prefix("> nft "));
    sections.map(|section| section.split_once('\n').unwrap())
}

fn cases() -> impl Iterator<Item = (&'static str, Request)> {
    objects()
        .into_iter()
        .chain(elements())
        .chain(rules())
        .chain(nat_rules())
        .chain(bridge())
        .chain(deletions())
}

fn address(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn base(kind: ChainKind, hook: Hook, priority: i32, policy: Policy) -> Base {
    Base { kind, hook, priority, policy }
}

fn objects() -> Vec<(&'static str, Request)> {
    let (nat, filter) = (ChainKind::Nat, ChainKind::Filter);
    let postrouting = base(nat, Hook::Postrouting, priority::SRCNAT, Policy::Accept);
    let prerouting = base(nat, Hook::Prerouting, priority::DSTNAT, Policy::Accept);
    let forward = base(filter, Hook::Forward, priority::FILTER, Policy::Drop);
    let published = [Type::Ipv4Addr, Type::InetProto, Type::InetService];
    let spec = SetSpec::map(&published, &[Type::Ipv4Addr, Type::InetService]);
    let ranges = SetSpec::map(&[Type::Ipv4Addr, Type::InetService], &[Type::Ipv4Addr]).interval();
    let recent = SetSpec::set(&[Type::Ipv4Addr, Type::Mark]).timeout(Duration::from_secs(10));
    vec![
        ("add table inet tidewater", INET.add()),
        (
            "add table inet noted { comment \"hi\"; }",
            Table::new(Family::Inet, "noted").add_with_comment("hi"),
        ),
        (
            "add map inet tidewater masquerade4 { type ipv4_addr : verdict; }",
            INET.set("masquerade4").add(&SetSpec::verdict_map(&[Type::Ipv4Addr])),
        ),
        (
            "add map inet tidewater masquerade6 { type ipv6_addr : verdict; comment \"six\"; }",
            INET.set("masquerade6").add(&SetSpec::verdict_map(&[Type::Ipv6Addr]).comment("six")),
        ),
        (
            "add set inet tidewater blocked { type ipv4_addr; flags interval; size 4096; }",
            INET.set("blocked").add(&SetSpec::set(&[Type::Ipv4Addr]).interval().size(4096)),
        ),
        (
            "add set inet tidewater recent { type ipv4_addr . mark; flags timeout; timeout 10s; }",
            INET.set("recent").add(&recent),
        ),
        (
            "add map inet tidewater published { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }",
            INET.set("published").add(&spec),
        ),
        (
            "add map inet tidewater ranges { type ipv4_addr . inet_service : ipv4_addr; flags interval; }",
            INET.set("ranges").add(&ranges),
        ),
        ("add chain inet tidewater subnet", INET.chain("subnet").add()),
        ("add chain inet tidewater noted { comment \"c\"; }", INET.chain("noted").add_with_comment("c")),
        (
            "add chain inet tidewater postrouting { type nat hook postrouting priority srcnat; policy accept; }",
            INET.chain("postrouting").add_base(&postrouting),
        ),
        (
            "add chain inet tidewater prerouting { type nat hook prerouting priority dstnat; policy accept; }",
            INET.chain("prerouting").add_base(&prerouting),
        ),
        ("create chain inet tidewater fresh", INET.chain("fresh").create()),
        (
            "add chain inet tidewater forward { type filter hook forward priority filter; policy drop; }",
            INET.chain("forward").add_base(&forward),
        ),
    ]
}

fn add(set: Set<'_>, element: Element<'_>) -> Request {
    set.add_elements(&[element]).remove(0)
}

fn elements() -> Vec<(&'static str, Request)> {
    let masquerade = INET.set("masquerade4");
    let goto = Element::new(address("10.1.0.5")).to(Verdict::goto("subnet")).comment("x");
    let accept = Element::new(address("10.1.0.6")).to(Verdict::Accept);
    let range = Element::range(address("0.0.0.0"), address("10.0.2.7")).comment("net");
    let published = [address("1.2.3.4").into(), Value::protocol(6), Value::port(80)];
    let published = Element::new(Key::concat(&published))
        .to(Key::concat(&[address("10.1.0.5").into(), Value::port(8080)]));
    let fields =
        [(address("10.0.0.0").into(), address("10.0.0.255").into()), (Value::port(80), Value::port(90))];
    let ranges = Element::ranges(&fields).to(Key::from(address("1.2.3.4")));
    let recent = Key::concat(&[address("10.0.0.1").into(), Value::host(0x10)]);
    let recent = Element::new(recent).timeout(Duration::from_secs(5));
    vec![
        (
            "add element inet tidewater masquerade4 { 10.1.0.5 comment \"x\" : goto subnet }",
            add(masquerade, goto),
        ),
        (
            "create element inet tidewater masquerade4 { 10.1.0.6 : accept }",
            masquerade.create_elements(std::slice::from_ref(&accept)).remove(0),
        ),
        (
            "delete element inet tidewater masquerade4 { 10.1.0.6 }",
            masquerade.delete_elements(std::slice::from_ref(&accept)).remove(0),
        ),
        (
            "add element inet tidewater blocked { 0.0.0.0-10.0.2.7 comment \"net\" }",
            add(INET.set("blocked"), range),
        ),
        (
            "add element inet tidewater published { 1.2.3.4 . tcp . 80 : 10.1.0.5 . 8080 }",
            add(INET.set("published"), published),
        ),
        (
            "add element inet tidewater ranges { 10.0.0.0/24 . 80-90 : 1.2.3.4 }",
            add(INET.set("ranges"), ranges),
        ),
        ("add element inet tidewater recent { 10.0.0.1 . 0x10 timeout 5s }", add(INET.set("recent"), recent)),
    ]
}

/// Rules of the chain `prerouting`, by the words that follow its name.
fn prerouting(
    words: &'static str,
    build: impl FnOnce(Rule<'static>) -> Rule<'static>,
) -> (&'static str, Request) {
    (words, build(INET.chain("prerouting").rule()).add())
}

fn rules() -> Vec<(&'static str, Request)> {
    let tcp = |rule: Rule<'static>| rule.is(Selector::L4proto, Value::protocol(6));
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    let established = ct_state::ESTABLISHED | ct_state::RELATED;
    let recent = [Selector::IpSaddr, Selector::Mark];
    let mac = Value::ether([2, 0, 0, 0, 0, 1]);
    let forward: Chain<'_> = INET.chain("forward");
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

fn bridge() -> Vec<(&'static str, Request)> {
    let (guarded, bound, chain) = (BRIDGE.set("guarded"), BRIDGE.set("bound"), BRIDGE.chain("prerouting"));
    let early = base(ChainKind::Filter, Hook::Prerouting, priority::BRIDGE_DSTNAT, Policy::Accept);
    let pair = [Value::ifname("vetha"), Value::ether([2, 0, 0, 0, 0, 1])];
    vec![
        ("add table bridge tidewater", BRIDGE.add()),
        ("add set bridge tidewater guarded { type ifname; }", guarded.add(&SetSpec::set(&[Type::Ifname]))),
        (
            "add set bridge tidewater bound { type ifname . ether_addr; }",
            bound.add(&SetSpec::set(&[Type::Ifname, Type::EtherAddr])),
        ),
        (
            "add chain bridge tidewater prerouting { type filter hook prerouting priority -300; policy accept; }",
            chain.add_base(&early),
        ),
        (
            "add rule bridge tidewater prerouting iifname @guarded iifname . ether saddr != @bound drop",
            chain
                .rule()
                .in_set(&[Selector::Iifname], "guarded")
                .not_in_set(&[Selector::Iifname, Selector::EtherSaddr], "bound")
                .verdict(Verdict::Drop)
                .add(),
        ),
        (
            "add rule bridge tidewater prerouting ip saddr 10.0.0.1 drop",
            chain.rule().is(Selector::IpSaddr, address("10.0.0.1")).verdict(Verdict::Drop).add(),
        ),
        (
            "add element bridge tidewater guarded { \"vetha\" }",
            add(guarded, Element::new(Value::ifname("vetha"))),
        ),
        (
            "add element bridge tidewater bound { \"vetha\" . 02:00:00:00:00:01 }",
            add(bound, Element::new(Key::concat(&pair))),
        ),
    ]
}

fn deletions() -> Vec<(&'static str, Request)> {
    vec![
        ("flush chain inet tidewater subnet", INET.chain("subnet").flush()),
        ("flush set bridge tidewater guarded", BRIDGE.set("guarded").flush()),
        ("delete rule inet tidewater forward handle 38", INET.chain("forward").delete_rule(38)),
        ("delete chain inet tidewater fresh", INET.chain("fresh").delete()),
        ("delete set inet tidewater ranges", INET.set("ranges").delete()),
        ("delete table inet noted", Table::new(Family::Inet, "noted").delete()),
    ]
}
