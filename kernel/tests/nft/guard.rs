//! Frames from a guarded port pass only with the hardware address that the port is bound to.

use crate::lab;
use kernel::nft::{
    Base, ChainKind, Element, Family, Hook, Key, Nft, Policy, Request, Selector, SetSpec, Table, Type, Value,
    Verdict, priority,
};

const TABLE: Table<'static> = Table::new(Family::Bridge, "tidewater");

fn guard() -> Vec<Request> {
    let (guarded, bound, chain) = (TABLE.set("guarded"), TABLE.set("bound"), TABLE.chain("prerouting"));
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Prerouting,
        priority: priority::BRIDGE_DSTNAT,
        policy: Policy::Accept,
    };
    let rule = chain
        .rule()
        .in_set(&[Selector::Iifname], guarded.name)
        .not_in_set(&[Selector::Iifname, Selector::EtherSaddr], bound.name)
        .verdict(Verdict::Drop);
    let pair = [Value::ifname("va"), Value::ether([2, 0, 0, 0, 0, 0xa])];
    let mut requests = vec![
        TABLE.add(),
        guarded.add(&SetSpec::set(&[Type::Ifname])),
        bound.add(&SetSpec::set(&[Type::Ifname, Type::EtherAddr])),
        chain.add_base(&base),
        chain.flush(),
        rule.add(),
    ];
    requests.extend(guarded.create_elements(&[Element::new(Value::ifname("va"))]));
    requests.extend(bound.create_elements(&[Element::new(Key::concat(&pair))]));
    requests
}

#[test]
#[ignore = "needs root"]
fn it_is_listed_as_one_would_write_it() {
    lab::alone("guard::it_is_listed_as_one_would_write_it", || {
        Nft::open().unwrap().apply(guard()).unwrap();
        let expected = "\
table bridge tidewater {
	set guarded {
		type ifname
		elements = { \"va\" }
	}

	set bound {
		type ifname . ether_addr
		elements = { \"va\" . 02:00:00:00:00:0a }
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy accept;
		iifname @guarded iifname . ether saddr != @bound drop
	}
}
";
        assert_eq!(lab::run("nft list ruleset"), expected);
    });
}

#[test]
#[ignore = "needs root"]
fn a_frame_with_another_source_address_is_dropped() {
    lab::alone("guard::a_frame_with_another_source_address_is_dropped", || {
        lab::run("ip link add br0 type bridge");
        lab::run("ip link set br0 up");
        for (name, address, mac) in
            [("a", "10.1.0.5/16", "02:00:00:00:00:0a"), ("b", "10.1.0.6/16", "02:00:00:00:00:0b")]
        {
            lab::run(&format!("ip netns add {name}"));
            lab::run(&format!(
                "ip link add v{name} master br0 up type veth peer name eth0 address {mac} netns {name}"
            ));
            lab::run(&format!("ip -n {name} addr add {address} dev eth0"));
            lab::run(&format!("ip -n {name} link set eth0 up"));
        }
        let ping =
            |from: &str, to: &str| lab::attempt(&format!("ip netns exec {from} ping -c1 -W1 {to}")).is_ok();
        Nft::open().unwrap().apply(guard()).unwrap();
        assert!(ping("a", "10.1.0.6"), "bound address passes");
        lab::run("ip -n a link set eth0 address 02:00:00:00:00:0c");
        assert!(!ping("a", "10.1.0.6"), "another is dropped");
        lab::run("ip -n b link set eth0 address 02:00:00:00:00:0d");
        lab::run("ip -n a link set eth0 address 02:00:00:00:00:0a");
        assert!(ping("b", "10.1.0.5"), "a port that is not guarded may change its address");
    });
}
