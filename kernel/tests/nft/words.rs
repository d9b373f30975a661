//! Each word of a rule, as `nft` shows what the builder made of it.

use crate::lab;
use kernel::nft::{
    Base, ChainKind, Family, Header, Hook, NatTo, Nft, Per, Policy, Reject, Rule, Selector, SetSpec, Table,
    Type, Value, Verdict, ct_state, ct_status, fib, nat_flags, priority,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const TABLE: Table<'static> = Table::new(Family::Inet, "shown");
const PORTS: [Type; 3] = [Type::Ipv4Addr, Type::InetProto, Type::InetService];

#[test]
#[ignore = "needs root"]
fn nft_lists_each_word_of_a_rule_as_one_would_write_it() {
    lab::alone("words::nft_lists_each_word_of_a_rule_as_one_would_write_it", || {
        let mut nft = Nft::open().unwrap();
        let nat = base(ChainKind::Nat, Hook::Prerouting, priority::DSTNAT);
        let postrouting = base(ChainKind::Nat, Hook::Postrouting, priority::SRCNAT);
        let input = base(ChainKind::Filter, Hook::Input, priority::FILTER);
        let spec = SetSpec::map(&PORTS, &[Type::Ipv4Addr, Type::InetService]);
        let names = SetSpec::set(&[Type::Ifname, Type::Ipv4Addr]);
        nft.apply([
            TABLE.add(),
            TABLE.set("published").add(&spec),
            TABLE.set("names").add(&names),
            TABLE.chain("elsewhere").add(),
            TABLE.chain("nat").add_base(&nat),
            TABLE.chain("leave").add_base(&postrouting),
            TABLE.chain("filter").add_base(&input),
        ])
        .unwrap();
        for (text, rule) in packet_rules().into_iter().chain(state_rules()).chain(nat_rules()) {
            nft.apply([rule.add()]).unwrap();
            let listed = lab::run("nft list table inet shown");
            assert!(listed.lines().any(|line| line.trim() == text), "{text}\nnot in\n{listed}");
        }
    });
}

fn base(kind: ChainKind, hook: Hook, priority: i32) -> Base {
    Base { kind, hook, priority, policy: Policy::Accept }
}

fn packet_rules() -> Vec<(&'static str, Rule<'static>)> {
    let rule = || TABLE.chain("filter").rule();
    let tcp = || rule().is(Selector::L4proto, Value::protocol(6));
    let v4 = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    vec![
        (
            "ip saddr 10.1.0.5 counter packets 0 bytes 0 accept",
            rule().is(Selector::IpSaddr, v4("10.1.0.5")).counter().verdict(accept.clone()),
        ),
        (
            "ip daddr 10.1.2.0/23 return comment \"net a\"",
            rule()
                .within(Selector::IpDaddr, "10.1.2.9/23".parse().unwrap())
                .verdict(Verdict::Return)
                .comment("net a"),
        ),
        (
            "ip6 saddr != fd00::/64 jump elsewhere",
            rule()
                .outside(Selector::Ip6Saddr, "fd00::/64".parse().unwrap())
                .verdict(Verdict::jump("elsewhere")),
        ),
        (
            "ip6 daddr fd00::5 goto elsewhere",
            rule()
                .is(Selector::Ip6Daddr, "fd00::5".parse::<Ipv6Addr>().unwrap())
                .verdict(Verdict::goto("elsewhere")),
        ),
        (
            "iifname \"veth*\" oifname != \"lo\" drop",
            rule()
                .is(Selector::Iifname, Value::ifname_prefix("veth"))
                .is_not(Selector::Oifname, Value::ifname("lo"))
                .verdict(drop.clone()),
        ),
        (
            "tcp dport 80-90 accept",
            tcp().between(Selector::ThDport, Value::port(80), Value::port(90)).verdict(accept.clone()),
        ),
        (
            "tcp sport != 80-90 accept",
            tcp().not_between(Selector::ThSport, Value::port(80), Value::port(90)).verdict(accept.clone()),
        ),
    ]
}

fn state_rules() -> Vec<(&'static str, Rule<'static>)> {
    let rule = || TABLE.chain("filter").rule();
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    let new = ct_state::NEW | ct_state::INVALID;
    let tcp = rule().is(Selector::L4proto, Value::protocol(6));
    vec![
        ("ct state invalid,new drop", rule().any_of(Selector::CtState, new).verdict(drop.clone())),
        ("ct status dnat accept", rule().any_of(Selector::CtStatus, ct_status::DNAT).verdict(accept.clone())),
        (
            "meta mark & 0x00002000 == 0x00002000 continue",
            rule().masked(Selector::Mark, 0x2000, 0x2000).verdict(Verdict::Continue),
        ),
        ("meta mark set 0x00000007", rule().set_mark(7)),
        ("meta mark set meta mark | 0x00002000", rule().set_mark_bits(0x2000)),
        ("ct mark set 0x00000007", rule().set_ct_mark(7)),
        (
            "frag frag-off != 0 accept",
            rule().any_bit(Selector::FragOff, Value::port(0xfff8)).verdict(accept.clone()),
        ),
        (
            "@nh,64,48 0x20000000001 drop",
            rule()
                .is(Selector::raw(Header::Network, 8, 6), Value::ether([2, 0, 0, 0, 0, 1]))
                .verdict(drop.clone()),
        ),
        (
            "iifname . ip saddr @names accept",
            rule().in_set(&[Selector::Iifname, Selector::IpSaddr], "names").verdict(accept.clone()),
        ),
        (
            "oifname . ip daddr != @names drop",
            rule().not_in_set(&[Selector::Oifname, Selector::IpDaddr], "names").verdict(drop.clone()),
        ),
        (
            "fib daddr type local accept",
            rule().is(Selector::FibDaddrType, Value::host(fib::LOCAL)).verdict(accept.clone()),
        ),
        ("limit rate 10/minute burst 3 packets accept", rule().limit(10, Per::Minute, 3).verdict(accept)),
        (
            "ether daddr 02:00:00:00:00:01 drop",
            rule().is(Selector::EtherDaddr, Value::ether([2, 0, 0, 0, 0, 1])).verdict(drop),
        ),
        (
            "meta l4proto udp reject with icmpx admin-prohibited",
            rule().is(Selector::L4proto, Value::protocol(17)).reject(Reject::AdminProhibited),
        ),
        ("meta l4proto tcp reject with tcp reset", tcp.reject(Reject::TcpReset)),
        ("reject", rule().reject(Reject::PortUnreachable)),
    ]
}

fn nat_rules() -> Vec<(&'static str, Rule<'static>)> {
    let rule = || TABLE.chain("nat").rule();
    let leave = || TABLE.chain("leave").rule();
    let tcp = || rule().is(Selector::L4proto, Value::protocol(6));
    let key: &[Selector] = &[Selector::IpDaddr, Selector::L4proto, Selector::ThDport];
    let map = NatTo::Map { map: "published", key, ip6: false, port: true };
    let v4 = |text: &str| IpAddr::V4(text.parse().unwrap());
    let v6 = IpAddr::V6("fd00::5".parse().unwrap());
    vec![
        (
            "fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @published",
            rule().is(Selector::FibDaddrType, Value::host(fib::LOCAL)).dnat(map),
        ),
        ("dnat ip to 10.1.2.3", rule().dnat(NatTo::Address(v4("10.1.2.3"), None))),
        ("meta l4proto tcp dnat ip to 10.1.2.3:80", tcp().dnat(NatTo::Address(v4("10.1.2.3"), Some(80)))),
        ("meta l4proto tcp dnat ip6 to [fd00::5]:80", tcp().dnat(NatTo::Address(v6, Some(80)))),
        ("tcp dport 80 redirect to :8080", tcp().is(Selector::ThDport, Value::port(80)).redirect(Some(8080))),
        ("redirect", rule().redirect(None)),
        ("snat ip to 10.1.2.3", leave().snat(NatTo::Address(v4("10.1.2.3"), None))),
        (
            "masquerade fully-random,persistent",
            leave().masquerade_with(nat_flags::FULLY_RANDOM | nat_flags::PERSISTENT),
        ),
        ("masquerade", leave().masquerade()),
    ]
}
