//! Containers on a bridge talk to each other, to the host, and to the outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, answer, command, traffic};

tests::conformance! {
    both: [
        containers_talk_over_ipv4_and_ipv6,
        the_host_and_its_containers_talk,
        the_outside_sees_the_address_of_the_host,
        without_masquerade_the_outside_cannot_answer,
        networks_of_layer_two_leave_addresses_to_others,
        many_adds_at_once_share_one_new_bridge,
        a_hairpin_port_sends_frames_back,
        a_new_container_is_heard_at_once,
        masquerade_by_iptables_works_too,
        masquerade_spares_traffic_between_the_containers,
        a_container_cannot_lie_about_its_mac,
    ]
    ours: [
        a_new_container_is_heard_at_once_over_ipv6,
        isolated_ports_reach_the_host_and_nobody_else,
    ]
}

/// Two containers, each with the addresses that it got.
struct Pair {
    one: (Container, Vec<String>),
    two: (Container, Vec<String>),
}

fn wire(lab: &Lab, conf: &Value) -> Pair {
    let add = |id| {
        let container = lab.container(id);
        let ips = answer::ips(&lab.plugin("bridge").add(&container, conf).ok());
        (container, ips)
    };
    Pair { one: add("c1"), two: add("c2") }
}

fn containers_talk_over_ipv4_and_ipv6(lab: &Lab) {
    let Pair { one: (c1, ips1), two: (c2, ips2) } = wire(lab, &conf::dual_stack("net"));
    assert_eq!(ips2.len(), 2, "one address of each family: {ips2:?}");
    for (from, to) in ips1.iter().zip(&ips2) {
        assert!(traffic::ping(&c1.netns, to), "ping {to}");
        assert_eq!(traffic::tcp(&c1.netns, &c2.netns, to).unwrap().to_string(), *from);
        assert_eq!(traffic::udp(&c1.netns, &c2.netns, to).unwrap().to_string(), *from);
    }
}

fn the_host_and_its_containers_talk(lab: &Lab) {
    let Pair { one: (c1, ips), .. } = wire(lab, &conf::dual_stack("net"));
    for (ip, gateway) in ips.iter().zip(["10.77.0.1", "fd77::1"]) {
        assert!(traffic::ping(&c1.netns, gateway), "ping {gateway} from the container");
        assert_eq!(traffic::tcp(lab.host(), &c1.netns, ip).unwrap().to_string(), gateway);
        assert_eq!(traffic::tcp(&c1.netns, lab.host(), gateway).unwrap().to_string(), *ip);
    }
}

fn the_outside_sees_the_address_of_the_host(lab: &Lab) {
    let outside = traffic::outside(lab);
    let Pair { one: (c1, _), two: (c2, _) } = wire(lab, &conf::dual_stack("net").with("ipMasq", true));
    for (target, host) in traffic::OUTSIDE.iter().zip(traffic::HOST_OUTSIDE) {
        for container in [&c1, &c2] {
            assert_eq!(traffic::tcp(&container.netns, &outside, target).unwrap().to_string(), host);
            assert_eq!(traffic::udp(&container.netns, &outside, target).unwrap().to_string(), host);
        }
    }
}

fn masquerade_by_iptables_works_too(lab: &Lab) {
    let outside = traffic::outside(lab);
    let conf = conf::dual_stack("net").with("ipMasq", true).with("ipMasqBackend", "iptables");
    let Pair { one: (c1, _), .. } = wire(lab, &conf);
    for (target, host) in traffic::OUTSIDE.iter().zip(traffic::HOST_OUTSIDE) {
        assert_eq!(traffic::tcp(&c1.netns, &outside, target).unwrap().to_string(), host);
    }
    let rules = lab.host().sh("iptables -t nat -S");
    assert!(rules.contains("MASQUERADE"), "{rules}");
    lab.plugin("bridge").del(&c1, &conf).quiet();
    let rules = lab.host().sh("iptables -t nat -S");
    assert!(!rules.contains("id: \"c1\""), "{rules}");
}

fn masquerade_spares_traffic_between_the_containers(lab: &Lab) {
    let Pair { one: (c1, ips1), two: (c2, ips2) } = wire(lab, &conf::dual_stack("net").with("ipMasq", true));
    for (from, to) in ips1.iter().zip(&ips2) {
        assert_eq!(traffic::tcp(&c1.netns, &c2.netns, to).unwrap().to_string(), *from);
    }
}

fn without_masquerade_the_outside_cannot_answer(lab: &Lab) {
    let outside = traffic::outside(lab);
    let Pair { one: (c1, ips), .. } = wire(lab, &conf::bridge("net"));
    assert!(traffic::no_ping(&c1.netns, traffic::OUTSIDE[0]));
    outside.sh(&format!("ip route add {}/32 via {}", ips[0], traffic::HOST_OUTSIDE[0]));
    assert!(traffic::ping(&c1.netns, traffic::OUTSIDE[0]), "forwarding works once there is a way back");
}

fn networks_of_layer_two_leave_addresses_to_others(lab: &Lab) {
    let conf = json!({"cniVersion": conf::COMMON, "name": "l2", "type": "bridge", "bridge": "br0"});
    for (id, ip) in [("c1", "192.0.2.1/24"), ("c2", "192.0.2.2/24")] {
        let container = lab.container(id);
        let result = lab.plugin("bridge").add(&container, &conf).ok();
        assert!(result["ips"].as_array().is_none_or(Vec::is_empty), "no address: {result}");
        container.netns.sh(&format!("ip address add {ip} dev eth0"));
    }
    assert!(traffic::ping(&tests::lab::Netns::at("/run/netns/c1"), "192.0.2.2"));
}

fn many_adds_at_once_share_one_new_bridge(lab: &Lab) {
    let conf = conf::dual_stack("net").with("ipMasq", true);
    let containers: Vec<_> = (0..16).map(|n| lab.container(&format!("c{n}"))).collect();
    let calls: Vec<_> = containers.iter().map(|c| lab.plugin("bridge").on("ADD", c, &conf)).collect();
    let results: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = calls.iter().map(|call| scope.spawn(|| call.run().ok())).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut ips: Vec<_> = results.iter().flat_map(answer::ips).collect();
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 32, "16 containers hold 32 different addresses");
    let ports = lab.host().sh("ip -o link show master br0");
    assert_eq!(ports.lines().count(), 16, "{ports}");
    for result in &results {
        assert!(traffic::ping(lab.host(), &answer::ips(result)[0]));
    }
}

fn isolated_ports_reach_the_host_and_nobody_else(lab: &Lab) {
    let Pair { one: (c1, _), two: (_, ips2) } =
        wire(lab, &conf::dual_stack("net").with("portIsolation", true));
    assert!(traffic::ping(&c1.netns, "10.77.0.1"));
    for ip in &ips2 {
        assert!(traffic::no_ping(&c1.netns, ip), "{ip} is behind another isolated port");
    }
}

/// Devices in VEPA mode talk to each other only through a port that sends frames back where they came from.
fn a_hairpin_port_sends_frames_back(lab: &Lab) {
    let talk = |id: &str, subnet: &str, hairpin: bool| {
        let container = lab.container(id);
        lab.plugin("bridge").add(&container, &conf::bridge("net").with("hairpinMode", hairpin)).ok();
        let children = [1, 2].map(|number| {
            let child = lab.container(&format!("{id}-{number}"));
            let ip = format!("{subnet}.{number}/24");
            let link = format!("ip link add link eth0 name eth1 netns {} type macvlan mode vepa", child.id);
            container.netns.sh(&link);
            child.netns.sh(&format!("ip address add {ip} dev eth1"));
            child.netns.sh("ip link set eth1 up");
            child
        });
        !traffic::no_ping(&children[0].netns, &format!("{subnet}.2"))
    };
    assert!(talk("c1", "192.0.2", true), "a hairpin port sends back");
    assert!(!talk("c2", "198.51.100", false), "an ordinary port does not");
}

/// A new container takes over the address of an old one, to which the host has spoken a moment ago.
fn a_new_container_is_heard_at_once(lab: &Lab) {
    take_over(lab, json!([[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.9", "rangeEnd": "10.77.0.9"}]]));
}

fn a_new_container_is_heard_at_once_over_ipv6(lab: &Lab) {
    take_over(lab, json!([[{"subnet": "fd77::/64", "rangeStart": "fd77::9", "rangeEnd": "fd77::9"}]]));
}

fn take_over(lab: &Lab, only_one: Value) {
    let conf = conf::bridge("net").with_at("ipam.ranges", only_one);
    for id in ["c1", "c2", "c3"] {
        let container = lab.container(id);
        let ip = answer::ip(&lab.plugin("bridge").add(&container, &conf).ok());
        let answer = lab.host().run(|| command::try_run(&format!("ping -n -c 1 -W 1 {ip}")));
        assert!(answer.is_ok(), "{id} answers the first ping: {answer:?}");
        lab.plugin("bridge").del(&container, &conf).quiet();
    }
}

fn a_container_cannot_lie_about_its_mac(lab: &Lab) {
    let Pair { one: (c1, _), two: (_, ips2) } = wire(lab, &conf::bridge("net").with("macspoofchk", true));
    assert!(traffic::ping(&c1.netns, &ips2[0]), "with its own MAC");
    c1.netns.sh("ip link set eth0 address 02:00:00:00:be:ef");
    assert!(traffic::no_ping(&c1.netns, &ips2[0]), "with another MAC");
}
