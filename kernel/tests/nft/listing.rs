//! What is made here, `nft` shows in its own words, and the readers here find.

use crate::lab;
use kernel::nft::{
    Base, ChainKind, Data, Element, Family, Hook, Key, Nft, Policy, Request, Selector, SetSpec, Table,
    Transaction, Type, Value, Verdict,
};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
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

fn base(kind: ChainKind, hook: Hook, priority: i32) -> Base {
    Base { kind, hook, priority, policy: Policy::Accept }
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

#[test]
#[ignore = "needs root"]
fn a_list_taken_while_the_kernel_enlarges_the_set_is_whole() {
    lab::alone("listing::a_list_taken_while_the_kernel_enlarges_the_set_is_whole", || {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Busy processors make the enlarging come in the middle of a list.
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let wrong = (0..40).find(|round| !is_whole_after_growing_to(3000 + round * 100));
            done.store(true, Ordering::Relaxed);
            assert_eq!(wrong, None);
        });
    });
}

fn is_whole_after_growing_to(size: u32) -> bool {
    let (mut nft, set) = (Nft::open().unwrap(), TABLE.set("growing"));
    let elements: Vec<_> =
        (0..size).map(|n| Element::new(Ipv4Addr::from(n)).comment("net a, id b, if eth0")).collect();
    nft.remove_table(TABLE).unwrap();
    nft.apply([TABLE.add(), set.add(&SetSpec::set(&[Type::Ipv4Addr]))]).unwrap();
    nft.apply(set.create_elements(&elements)).unwrap();
    let found = nft.elements(set).unwrap();
    let keys: BTreeSet<_> = found.iter().map(|element| &element.key).collect();
    found.len() == elements.len() && keys.len() == elements.len()
}

#[test]
#[ignore = "needs root"]
fn an_interval_goes_by_its_ends() {
    lab::alone("listing::an_interval_goes_by_its_ends", || {
        let mut nft = Nft::open().unwrap();
        nft.apply(sets()).unwrap();
        let address = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let to_the_end = Element::range(address("240.0.0.0"), Ipv4Addr::BROADCAST);
        nft.apply(TABLE.set("blocked").add_elements(std::slice::from_ref(&to_the_end))).unwrap();
        let net = Element::range(address("10.0.2.0"), address("10.0.2.255"));
        let missing = Element::range(address("10.0.9.0"), address("10.0.9.255"));
        assert_eq!(nft.remove_elements(TABLE.set("blocked"), &[net, missing, to_the_end]).unwrap(), 2);
        let left = lab::run("nft list set inet shown blocked");
        assert!(left.contains("elements = { 10.0.3.1-10.0.3.7 }"), "{left}");
        let fields =
            [(address("10.0.0.0").into(), address("10.0.0.255").into()), (Value::port(80), Value::port(90))];
        assert_eq!(nft.remove_elements(TABLE.set("ranges"), &[Element::ranges(&fields)]).unwrap(), 1);
        assert_eq!(nft.elements(TABLE.set("ranges")).unwrap(), []);
    });
}
