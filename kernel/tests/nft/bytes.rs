//! Each request beside the one that `nft` sends for the command above it.

use crate::bytes_rules;
use crate::tree::tree;
use kernel::nft::{
    Base, ChainKind, Element, Family, Hook, Key, Policy, Request, Selector, Set, SetSpec, Table, Type, Value,
    Verdict, priority,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

const GOLDEN: &str = include_str!("golden.txt");
pub(crate) const INET: Table<'static> = Table::new(Family::Inet, "tidewater");
const BRIDGE: Table<'static> = Table::new(Family::Bridge, "tidewater");

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
    objects().into_iter().chain(elements()).chain(bytes_rules::all()).chain(bridge()).chain(deletions())
}

pub(crate) fn address(text: &str) -> Ipv4Addr {
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
