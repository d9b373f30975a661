//! What is made here, `nft` shows in its own words, and the readers here find.

use crate::lab;
use kernel::nft::{
    Base, ChainKind, Data, Element, Family, Hook, Key, NatTo, Nft, Per, Policy, Reject, Request, Rule,
    Selector, SetSpec, Table, Transaction, Type, Value, Verdict, ct_state, ct_status, fib, nat_flags,
    priority,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const TABLE: Table<'static> = Table::new(Family::Inet, "shown");
const PORTS: [Type; 3] = [Type::Ipv4Addr, Type::InetProto, Type::InetService];

#[test]
#[ignore = "needs root"]
fn nft_lists_sets_and_maps_as_one_would_write_them() {
    lab::alone("listing::nft_lists_sets_and_maps_as_one_would_write_them", || {
        let mut nft = Nft::open().unwrap();
        nft.apply(sets()).unwrap();
        let expected = "\
table inet shown {
	comment \"whose\"
	map verdicts {
		type ipv4_addr : verdict
		comment \"noted\"
		elements = { 10.1.0.5 comment \"net a, id b\" : goto subnet }
	}

	map verdicts6 {
		type ipv6_addr : verdict
		elements = { fd00::5 : drop }
	}

	map published {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
		elements = { 1.2.3.4 . tcp . 80 : 10.1.0.5 . 8080 }
	}

	set ranges {
		type ipv4_addr . inet_service
		flags interval
		elements = { 10.0.0.0/24 . 80-90 }
	}

	set blocked {
		type ipv4_addr
		size 4096
		flags interval
		elements = { 10.0.2.0/24 comment \"net\", 10.0.3.1-10.0.3.7 }
	}

	set marks {
		type ifname . mark . ether_addr
		timeout 1d
	}

	set fixed {
		type inet_service
		flags constant
		elements = { 80 }
	}

	chain subnet {
		comment \"of a subnet\"
	}
}
";
        assert_eq!(lab::run("nft list ruleset"), expected);
    });
}

fn sets() -> Vec<Request> {
    let address = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let subnet = TABLE.chain("subnet");
    let set = |name| TABLE.set(name);
    let mut requests = vec![TABLE.add_with_comment("whose"), subnet.add_with_comment("of a subnet")];
    let mut define = |name, spec: SetSpec<'_>, element: &[Element<'_>]| {
        requests.push(set(name).create(&spec));
        requests.extend(set(name).add_elements(element));
    };
    let goto = Element::new(address("10.1.0.5")).to(Verdict::goto("subnet")).comment("net a, id b");
    define("verdicts", SetSpec::verdict_map(&[Type::Ipv4Addr]).comment("noted"), &[goto]);
    let v6 = Element::new("fd00::5".parse::<Ipv6Addr>().unwrap()).to(Verdict::Drop);
    define("verdicts6", SetSpec::verdict_map(&[Type::Ipv6Addr]), &[v6]);
    let key = Key::concat(&[address("1.2.3.4").into(), Value::protocol(6), Value::port(80)]);
    let target = Key::concat(&[address("10.1.0.5").into(), Value::port(8080)]);
    let spec = SetSpec::map(&PORTS, &[Type::Ipv4Addr, Type::InetService]);
    define("published", spec, &[Element::new(key).to(target)]);
    let net = (address("10.0.0.0").into(), address("10.0.0.255").into());
    let spec = SetSpec::set(&[Type::Ipv4Addr, Type::InetService]).interval();
    define("ranges", spec, &[Element::ranges(&[net, (Value::port(80), Value::port(90))])]);
    let blocked = [
        Element::range(address("10.0.2.0"), address("10.0.2.255")).comment("net"),
        Element::range(address("10.0.3.1"), address("10.0.3.7")),
    ];
    define("blocked", SetSpec::set(&[Type::Ipv4Addr]).interval().size(4096), &blocked);
    let spec = SetSpec::set(&[Type::Ifname, Type::Mark, Type::EtherAddr]).timeout(Duration::from_secs(86400));
    define("marks", spec, &[]);
    define("fixed", SetSpec::set(&[Type::InetService]).constant(), &[Element::new(Value::port(80))]);
    requests
}

#[test]
#[ignore = "needs root"]
fn nft_lists_a_concatenation_with_a_mark_in_the_right_byte_order() {
    lab::alone("listing::nft_lists_a_concatenation_with_a_mark_in_the_right_byte_order", || {
        let set = TABLE.set("marks");
        let key =
            Key::concat(&[Value::ifname("eth0"), Value::host(0x2000), Value::ether([2, 0, 0, 0, 0, 1])]);
        let mut nft = Nft::open().unwrap();
        nft.apply([TABLE.add(), set.add(&SetSpec::set(&[Type::Ifname, Type::Mark, Type::EtherAddr]))])
            .unwrap();
        nft.apply(set.add_elements(&[Element::new(key)])).unwrap();
        let text = lab::run("nft list set inet shown marks");
        assert!(text.contains("elements = { \"eth0\" . 0x00002000 . 02:00:00:00:00:01 }"), "{text}");
    });
}

#[test]
#[ignore = "needs root"]
fn nft_lists_each_word_of_a_rule_as_one_would_write_it() {
    lab::alone("listing::nft_lists_each_word_of_a_rule_as_one_would_write_it", || {
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
        for (text, rule) in filter_rules().into_iter().chain(nat_rules()) {
            nft.apply([rule.add()]).unwrap();
            let listed = lab::run("nft list table inet shown");
            assert!(listed.lines().any(|line| line.trim() == text), "{text}\nnot in\n{listed}");
        }
    });
}

fn base(kind: ChainKind, hook: Hook, priority: i32) -> Base {
    Base { kind, hook, priority, policy: Policy::Accept }
}

fn filter_rules() -> Vec<(&'static str, Rule<'static>)> {
    let rule = || TABLE.chain("filter").rule();
    let tcp = || rule().is(Selector::L4proto, Value::protocol(6));
    let v4 = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    let new = ct_state::NEW | ct_state::INVALID;
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
        ("meta l4proto tcp reject with tcp reset", tcp().reject(Reject::TcpReset)),
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

#[test]
#[ignore = "needs root"]
fn what_was_made_is_found_again() {
    lab::alone("listing::what_was_made_is_found_again", || {
        let mut nft = Nft::open().unwrap();
        nft.apply(sets()).unwrap();
        let forward = base(ChainKind::Filter, Hook::Forward, -7);
        let chain = TABLE.chain("forward");
        let jump = chain
            .rule()
            .in_set(&[Selector::IpSaddr], "blocked")
            .verdict(Verdict::jump("subnet"))
            .comment("who");
        nft.apply([chain.add_base(&forward), chain.rule().counter().add(), jump.insert()]).unwrap();

        assert!(nft.has_table(TABLE).unwrap());
        assert!(nft.has_set(TABLE.set("blocked")).unwrap());
        assert_eq!(
            nft.tables().unwrap().iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
            ["shown"]
        );
        assert_eq!(nft.chain(chain).unwrap().unwrap().base, Some(forward));
        let chains = nft.chains(TABLE).unwrap();
        assert_eq!(chains.iter().map(|chain| chain.name.as_str()).collect::<Vec<_>>(), ["subnet", "forward"]);
        let rules = nft.rules(chain).unwrap();
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].comment.as_deref(), Some("who"));
        assert!(rules[0].leads_to("subnet") && !rules[1].leads_to("subnet"));
        assert_eq!(rules[0].sets, ["blocked"]);
        assert_eq!(rules[1].expressions, ["counter"]);

        let key = Ipv4Addr::new(10, 1, 0, 5);
        let found = nft.element(TABLE.set("verdicts"), key).unwrap().unwrap();
        assert_eq!(found.key.as_ip(), Some(key.into()));
        assert_eq!(found.data, Some(Data::Verdict(Verdict::goto("subnet"))));
        assert_eq!(found.comment.as_deref(), Some("net a, id b"));
        let published = nft.elements(TABLE.set("published")).unwrap();
        let values = published[0].key.split(&PORTS).unwrap();
        assert_eq!(values, [Ipv4Addr::new(1, 2, 3, 4).into(), Value::protocol(6), Value::port(80)]);
        let within = Key::concat(&[Ipv4Addr::new(10, 0, 0, 77).into(), Value::port(85)]);
        assert!(nft.element(TABLE.set("ranges"), within).unwrap().unwrap().last.is_some());
    });
}

#[test]
#[ignore = "needs root"]
fn what_is_not_there_is_none_or_empty() {
    lab::alone("listing::what_is_not_there_is_none_or_empty", || {
        let mut nft = Nft::open().unwrap();
        let nothing = |nft: &mut Nft| {
            assert!(!nft.has_set(TABLE.set("s")).unwrap());
            assert_eq!(nft.chain(TABLE.chain("c")).unwrap(), None);
            assert_eq!(nft.element(TABLE.set("s"), Ipv4Addr::LOCALHOST).unwrap(), None);
            assert_eq!(nft.elements(TABLE.set("s")).unwrap(), []);
            assert_eq!(nft.rules(TABLE.chain("c")).unwrap(), []);
            assert_eq!(nft.rules_of_table(TABLE).unwrap(), []);
            assert_eq!(nft.chains(TABLE).unwrap(), []);
        };
        assert!(!nft.has_table(TABLE).unwrap());
        assert_eq!(nft.tables().unwrap(), []);
        nothing(&mut nft);
        nft.apply([TABLE.add()]).unwrap();
        nothing(&mut nft);
        nft.apply([TABLE.set("s").add(&SetSpec::set(&[Type::Ipv4Addr])), TABLE.chain("c").add()]).unwrap();
        assert_eq!(nft.element(TABLE.set("s"), Ipv4Addr::LOCALHOST).unwrap(), None);
        assert_eq!(nft.elements(TABLE.set("s")).unwrap(), []);
        assert_eq!(nft.rules(TABLE.chain("c")).unwrap(), []);
    });
}

#[test]
#[ignore = "needs root"]
fn ten_thousand_elements_go_in_come_back_and_go_by_one_transaction_each() {
    lab::alone("listing::ten_thousand_elements_go_in_come_back_and_go_by_one_transaction_each", || {
        let set = TABLE.set("many");
        let comments: Vec<_> = (0..10_000).map(|n| format!("{n:0>64}")).collect();
        let address = |n: usize| Ipv4Addr::from(0x0a00_0000 + u32::try_from(n).unwrap());
        let element = |(n, comment): (usize, &'static str)| Element::new(address(n)).comment(comment);
        let comments: Vec<&'static str> = comments.into_iter().map(|comment| &*comment.leak()).collect();
        let elements: Vec<_> = comments.iter().copied().enumerate().map(element).collect();
        let mut nft = Nft::open().unwrap();
        let mut transaction: Transaction =
            [TABLE.add(), set.add(&SetSpec::set(&[Type::Ipv4Addr]))].into_iter().collect();
        transaction.extend(set.create_elements(&elements));
        nft.commit(&transaction).unwrap();

        let mut found = nft.elements(set).unwrap();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(found.len(), elements.len());
        for (n, found) in found.iter().enumerate() {
            assert_eq!(found.key.as_ip(), Some(address(n).into()));
            assert_eq!(found.comment.as_deref(), Some(comments[n]));
        }
        let singly: Transaction =
            elements.iter().flat_map(|element| set.delete_elements(std::slice::from_ref(element))).collect();
        nft.commit(&singly).unwrap();
        assert_eq!(nft.elements(set).unwrap(), []);
    });
}
