//! Who reaches whom through the firewall: every ingress policy beside every other, on our plugin and on the
//! reference's, and hosts that drop what nobody lets through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::chain::Chain;
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, Netns, answer, command, traffic};

tests::conformance! {
    both: [
        open_beside_open,
        open_beside_same_bridge,
        same_bridge_beside_same_bridge,
        a_host_that_drops_lets_the_containers_traffic_through,
    ]
    ours: [
        an_attachment_without_addresses_is_passed_on,
        same_bridge_beside_isolated,
        isolated_beside_open,
        isolated_beside_isolated,
        isolated_ports_need_no_packet_filter_on_the_bridge,
        the_iptables_backend_isolates_too,
        a_chain_of_ours_that_drops_lets_traffic_and_mapped_ports_through,
        the_administrators_chain_comes_first,
        the_stricter_policy_of_a_bridge_wins,
    ]
}

/// Two networks, of which each has a bridge: `br0` with 10.80.0.0/24 and fd80::/64, `br1` with 10.81 and fd81.
fn network(lab: &Lab, number: u8, firewall: &Value) -> Chain {
    let ranges =
        json!([[{"subnet": format!("10.8{number}.0.0/24")}], [{"subnet": format!("fd8{number}::/64")}]]);
    let bridge = conf::bridge("x").with("bridge", format!("br{number}")).with_at("ipam.ranges", ranges);
    let mut chain = Chain::new(lab, vec![bridge.without("name").without("cniVersion"), firewall.clone()]);
    chain.name = format!("net{number}");
    chain
}

fn policy(policy: &str) -> Value {
    json!({"type": "firewall", "ingressPolicy": policy})
}

/// Each address answers a ping, or none does within a second.
fn reaches(from: &Netns, addresses: &[String], wanted: bool, what: &str) {
    for ip in addresses {
        let answers = if wanted { traffic::ping(from, ip) } else { !traffic::no_ping(from, ip) };
        assert_eq!(answers, wanted, "{what}: {ip}");
    }
}

fn world() -> [String; 2] {
    traffic::OUTSIDE.map(str::to_owned)
}

struct Place {
    first: Container,
    addresses: [Vec<String>; 2],
}

fn place(lab: &Lab, number: u8, firewall: &Value) -> Place {
    let chain = network(lab, number, firewall);
    let [first, second] = ["a", "b"].map(|name| lab.container(&format!("{name}{number}")));
    let addresses = [&first, &second].map(|container| {
        let result = chain.add(container);
        chain.check(container, &result);
        // A new bridge cannot ask for neighbours before it knows that nobody has its own address.
        let gateways = [format!("10.8{number}.0.1"), format!("fd8{number}::1")];
        reaches(&container.netns, &gateways, true, "the gateway");
        answer::ips(&result)
    });
    Place { first, addresses }
}

fn outside(lab: &Lab) -> Netns {
    let outside = traffic::outside(lab);
    for (net, via) in [("10.0.0.0/8", traffic::HOST_OUTSIDE[0]), ("fd00::/8", traffic::HOST_OUTSIDE[1])] {
        outside.sh(&format!("ip route add {net} via {via}"));
    }
    outside
}

/// What the reference's rules mean: packets between two bridges that both have a policy are dropped, packets within
/// an isolated bridge too; all else passes.
fn matrix(lab: &Lab, policies: [&str; 2], firewall: fn(&str) -> Value) {
    let outside = outside(lab);
    let [left, right] = [0, 1].map(|number| place(lab, number, &firewall(policies[usize::from(number)])));
    let between = policies.contains(&"open");
    reaches(&left.first.netns, &right.addresses[0], between, &format!("from {policies:?}"));
    reaches(&right.first.netns, &left.addresses[0], between, &format!("back of {policies:?}"));
    for (place, policy) in [(&left, policies[0]), (&right, policies[1])] {
        let within = policy != "isolated";
        reaches(&place.first.netns, &place.addresses[1], within, &format!("within {policy}"));
        reaches(&place.first.netns, &world(), true, &format!("out of {policy}"));
        reaches(&outside, &place.addresses[0], true, &format!("into {policy}"));
    }
}

fn open_beside_open(lab: &Lab) {
    matrix(lab, ["open", "open"], policy);
}

fn open_beside_same_bridge(lab: &Lab) {
    matrix(lab, ["open", "same-bridge"], policy);
}

fn same_bridge_beside_same_bridge(lab: &Lab) {
    matrix(lab, ["same-bridge", "same-bridge"], policy);
}

fn same_bridge_beside_isolated(lab: &Lab) {
    matrix(lab, ["same-bridge", "isolated"], policy);
}

fn isolated_beside_open(lab: &Lab) {
    matrix(lab, ["isolated", "open"], policy);
}

fn isolated_beside_isolated(lab: &Lab) {
    matrix(lab, ["isolated", "isolated"], policy);
}

fn the_iptables_backend_isolates_too(lab: &Lab) {
    matrix(lab, ["same-bridge", "isolated"], |name| policy(name).with("backend", "iptables"));
}

fn isolated_ports_need_no_packet_filter_on_the_bridge(lab: &Lab) {
    for family in ["iptables", "ip6tables"] {
        // Absent where the kernel has no such filter at all.
        lab.host().run(|| command::try_run(&format!("sysctl -qw net.bridge.bridge-nf-call-{family}=0"))).ok();
    }
    for backend in ["nftables", "iptables"] {
        let number = u8::from(backend == "iptables");
        let place = place(lab, number, &policy("isolated").with("backend", backend));
        reaches(&place.first.netns, &place.addresses[1], false, backend);
        network(lab, number, &policy("isolated")).del(&place.first, &Value::Null);
        assert!(!lab.state().text().contains("id: a"), "{}", lab.state().text());
    }
}

fn the_stricter_policy_of_a_bridge_wins(lab: &Lab) {
    let first = place(lab, 0, &policy("same-bridge"));
    reaches(&first.first.netns, &first.addresses[1], true, "same-bridge");
    let isolated = network(lab, 0, &policy("isolated"));
    let third = lab.container("third");
    let added = isolated.add(&third);
    reaches(&third.netns, &first.addresses[1], false, "from the isolated one");
    reaches(&first.first.netns, &answer::ips(&added), false, "to the isolated one");
}

fn drop_by_default(lab: &Lab) {
    lab.host().sh("iptables -P FORWARD DROP");
    lab.host().sh("ip6tables -P FORWARD DROP");
}

fn a_host_that_drops_lets_the_containers_traffic_through(lab: &Lab) {
    drop_by_default(lab);
    let outside = outside(lab);
    let chain = network(lab, 0, &json!({"type": "firewall", "backend": ""}));
    let c1 = lab.container("c1");
    let bridge = Chain { plugins: chain.plugins[..1].to_vec(), ..chain.clone() };
    let alone = bridge.add(&c1);
    reaches(&c1.netns, &["10.80.0.1".to_owned(), "fd80::1".to_owned()], true, "the gateway");
    reaches(&c1.netns, &world(), false, "nobody lets it through");
    bridge.del(&c1, &alone);
    let result = chain.add(&c1);
    reaches(&c1.netns, &world(), true, "out and back");
    reaches(&outside, &answer::ips(&result), false, "nothing new comes in");
    chain.check(&c1, &result);
    chain.del(&c1, &result);
    let rules = lab.host().sh("iptables -S") + &lab.host().sh("ip6tables -S");
    for ip in answer::ips(&result) {
        assert!(!rules.contains(&ip), "{rules}");
    }
}

fn an_attachment_without_addresses_is_passed_on(lab: &Lab) {
    let bridge = json!({"type": "bridge", "bridge": "br0"});
    let chain = Chain::new(lab, vec![bridge, json!({"type": "firewall"})]);
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    assert_eq!(answer::interface(&result, 2, "name"), "eth0");
    chain.check(&c1, &result);
    chain.del(&c1, &result);
}

fn a_chain_of_ours_that_drops_lets_traffic_and_mapped_ports_through(lab: &Lab) {
    let outside = outside(lab);
    let chain = network(lab, 0, &json!({"type": "firewall"}));
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    lab.host().sh("nft add chain inet tidewater forward { policy drop; }");
    reaches(&c1.netns, &world(), true, "out and back");
    reaches(&outside, &answer::ips(&result), false, "nothing new comes in");
    let ip = answer::ips(&result)[0].clone();
    for line in [
        "add table ip mapped".to_owned(),
        "add chain ip mapped pre { type nat hook prerouting priority dstnat; }".to_owned(),
        format!("add rule ip mapped pre tcp dport 8080 dnat to {ip}:80"),
    ] {
        lab.host().sh(&format!("nft {line}"));
    }
    let published = format!("{}:8080", traffic::HOST_OUTSIDE[0]);
    traffic::tcp_translated(&outside, &published, &c1.netns, &format!("{ip}:80")).unwrap();
    let c2 = lab.container("c2");
    chain.add(&c2);
    reaches(&outside, &answer::ips(&result), false, "another ADD leaves the policy as it is");
}

fn the_administrators_chain_comes_first(lab: &Lab) {
    let (outside, chain) = (outside(lab), network(lab, 0, &json!({"type": "firewall"})));
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    let ip = answer::ips(&result)[0].clone();
    lab.host().sh("nft add rule inet tidewater admin ip saddr 203.0.113.2 drop");
    assert!(!traffic::ping(&outside, &ip) && !traffic::ping(&c1.netns, traffic::OUTSIDE[0]));
    let c2 = lab.container("c2");
    let other = chain.add(&c2);
    for (container, result) in [(&c1, &result), (&c2, &other)] {
        chain.del(container, result);
    }
    lab.plugin("firewall")
        .gc(&json!({"cniVersion": "1.1.0", "name": "net0", "type": "firewall"}), &[])
        .quiet();
    assert!(lab.host().sh("nft list chain inet tidewater admin").contains("203.0.113.2 drop"));
}
