//! What iptables wrote is read back: which addresses and links a rule asks for, and which extensions it uses; and
//! elements put together.

use crate::lab;
use kernel::nft::{Element, Family, Nft, Selector, SetSpec, Table, Transaction, Type, Value, Verdict};
use std::net::{Ipv4Addr, Ipv6Addr};

#[test]
#[ignore = "needs root"]
fn rules_of_iptables_tell_what_they_compare() {
    lab::alone("found::rules_of_iptables_tell_what_they_compare", || {
        for line in [
            "iptables -A FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "iptables -A FORWARD -s 10.1.0.0/16 -j ACCEPT",
            "iptables -A FORWARD -i br0 ! -o br0 -j DROP",
            "iptables -A FORWARD -i br+ -j REJECT",
            "ip6tables -A FORWARD -s fd00::5/128 -j ACCEPT",
        ] {
            lab::run(line);
        }
        let mut nft = Nft::open().unwrap();
        let rules = nft.rules(Table::new(Family::Ip, "filter").chain("FORWARD")).unwrap();
        let address = Ipv4Addr::new(10, 1, 0, 5);
        assert!(rules[0].compares(Selector::IpDaddr, true, address));
        assert!(!rules[0].compares(Selector::IpSaddr, true, address), "another end");
        assert!(!rules[0].compares(Selector::IpDaddr, false, address), "not: is not");
        assert!(rules[0].extends_by("conntrack"));
        let subnet = Ipv4Addr::new(10, 1, 0, 0);
        assert!(!rules[1].compares(Selector::IpSaddr, true, subnet), "a prefix is no address");
        assert!(rules[2].compares(Selector::Iifname, true, Value::ifname("br0")));
        assert!(rules[2].compares(Selector::Oifname, false, Value::ifname("br0")));
        assert_eq!(rules[2].verdicts, [Verdict::Drop]);
        assert!(!rules[3].compares(Selector::Iifname, true, Value::ifname("br")), "the beginning of names");
        assert!(rules[3].extends_by("REJECT"));
        let rules = nft.rules(Table::new(Family::Ip6, "filter").chain("FORWARD")).unwrap();
        let address: Ipv6Addr = "fd00::5".parse().unwrap();
        assert!(rules[0].compares(Selector::Ip6Saddr, true, address));
    });
}

#[test]
#[ignore = "needs root"]
fn several_elements_are_put_by_one_transaction() {
    lab::alone("found::several_elements_are_put_by_one_transaction", || {
        let table = Table::new(Family::Inet, "several");
        let (one, two) = (table.set("one"), table.set("two"));
        let spec = SetSpec::set(&[Type::Ipv4Addr]);
        let build = |_: &mut Nft| {
            Ok([table.add(), one.add(&spec), two.add(&spec)].into_iter().collect::<Transaction>())
        };
        let [five, six] = [5, 6].map(|last| Ipv4Addr::new(10, 1, 0, last));
        let mut nft = Nft::open().unwrap();
        nft.put_element(two, &Element::new(six).comment("old"), build).unwrap();
        let elements = [(one, Element::new(five).comment("new")), (two, Element::new(six).comment("new"))];
        for _ in 0..2 {
            nft.put_elements(&elements, build).unwrap();
            let listed = lab::run("nft list ruleset");
            for address in [five, six] {
                assert!(listed.contains(&format!("{address} comment \"new\"")), "{listed}");
            }
            assert!(!listed.contains("old"), "{listed}");
        }
    });
}
