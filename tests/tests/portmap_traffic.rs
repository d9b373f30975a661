//! What arrives at a port of the host reaches the container, and what address the container sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::Change;
use tests::lab::portmap::{Attached, Scene, socket, tcp, udp};
use tests::lab::traffic::{self, Answer, HOST_OUTSIDE, OUTSIDE};
use tests::lab::{Lab, Netns};

tests::conformance! {
    both: [
        the_host_by_its_own_address,
        the_outside_keeps_its_address,
        another_container_by_the_port_of_the_host,
        the_container_itself,
        the_loopback_address_of_ipv4,
        without_snat_callers_keep_their_addresses,
        one_address_of_the_host,
        all_addresses_of_one_family,
        two_ports_of_the_host_lead_to_one,
        traffic_through_the_host_passes,
        direct_callers_keep_their_addresses,
        a_container_without_mappings_is_not_reached,
    ]
    ours: [
        callers_that_conditions_allow,
        everybody_is_masqueraded_on_request,
        the_loopback_address_of_ipv6_is_refused_at_once,
        ports_in_between_of_a_range,
        loopback_services_of_the_host_stay_private,
        ports_of_the_loopback_stay_private,
    ]
}

const GATEWAY: [&str; 2] = ["10.77.0.1", "fd77::1"];

fn web() -> Value {
    json!([tcp(8080, 80), udp(5353, 53)])
}

/// Port 8080/tcp and 5353/udp of both addresses lead to the container, which sees these callers.
fn reaches(client: &Netns, addresses: &[&str], server: &Attached<'_>, seen: &[&str]) {
    for (place, (address, seen)) in addresses.iter().zip(seen).enumerate() {
        let (web, dns) = (&server.at(80)[place], &server.at(53)[place]);
        let to = socket(address, 8080);
        let by_tcp = traffic::tcp_translated(client, &to, &server.container.netns, web);
        assert_eq!(by_tcp.unwrap_or_else(|e| panic!("{to}: {e}")).to_string(), *seen, "{to}/tcp");
        let to = socket(address, 5353);
        let by_udp = traffic::udp_translated(client, &to, &server.container.netns, dns);
        assert_eq!(by_udp.unwrap_or_else(|e| panic!("{to}: {e}")).to_string(), *seen, "{to}/udp");
    }
}

/// What becomes of a connection to a port of the host while the container would accept it, in its first family.
fn knock(client: &Netns, to: &str, server: &Attached<'_>) -> Answer {
    let place = usize::from(to.starts_with('['));
    traffic::knock(client, to, &server.container.netns, &server.at(80)[place])
}

fn the_host_by_its_own_address(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &web());
    reaches(lab.host(), &HOST_OUTSIDE, &c1, &HOST_OUTSIDE);
    reaches(lab.host(), &GATEWAY, &c1, &GATEWAY);
}

fn the_outside_keeps_its_address(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &web());
    reaches(&outside, &HOST_OUTSIDE, &c1, &OUTSIDE);
}

fn everybody_is_masqueraded_on_request(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab).with("masqAll", true));
    let (c1, c2) = (scene.publish("c1", &web()), scene.attach("c2", &json!([])));
    reaches(&outside, &HOST_OUTSIDE, &c1, &GATEWAY);
    reaches(&c2.container.netns, &HOST_OUTSIDE, &c1, &GATEWAY);
    reaches(lab.host(), &["127.0.0.1"], &c1, &GATEWAY);
}

fn another_container_by_the_port_of_the_host(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (c1, c2) = (scene.publish("c1", &web()), scene.attach("c2", &json!([])));
    reaches(&c2.container.netns, &HOST_OUTSIDE, &c1, &GATEWAY);
    reaches(&c2.container.netns, &GATEWAY, &c1, &GATEWAY);
}

fn the_container_itself(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &web());
    reaches(&c1.container.netns, &HOST_OUTSIDE, &c1, &GATEWAY);
}

fn the_loopback_address_of_ipv4(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &web());
    reaches(lab.host(), &["127.0.0.1"], &c1, &GATEWAY);
}

/// The kernel drops answers to `::1` from outside. Refused, a caller goes on with 127.0.0.1 at once.
fn the_loopback_address_of_ipv6_is_refused_at_once(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &web());
    assert_eq!(knock(lab.host(), "[::1]:8080", &c1), Answer::Refused);
}

fn without_snat_callers_keep_their_addresses(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab).with("snat", false));
    let (c1, c2) = (scene.publish("c1", &web()), scene.attach("c2", &json!([])));
    reaches(&outside, &HOST_OUTSIDE, &c1, &OUTSIDE);
    reaches(lab.host(), &HOST_OUTSIDE, &c1, &HOST_OUTSIDE);
    pass_frames_of_the_bridge(lab);
    assert_ne!(knock(&c2.container.netns, "203.0.113.1:8080", &c1), Answer::Opened, "c1 answers c2 directly");
}

/// With br_netfilter, frames between containers are translated as well.
fn pass_frames_of_the_bridge(lab: &Lab) {
    for family in ["iptables", "ip6tables"] {
        lab.host().run(|| std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0")).ok();
    }
}

fn one_address_of_the_host(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let at = |mapping: Value| HOST_OUTSIDE.map(|ip| mapping.clone().with("hostIP", ip));
    let c1 = scene.publish("c1", &json!([at(tcp(8080, 80)), at(udp(5353, 53))].concat()));
    reaches(&outside, &HOST_OUTSIDE, &c1, &OUTSIDE);
    reaches(lab.host(), &HOST_OUTSIDE, &c1, &HOST_OUTSIDE);
    for other in ["10.77.0.1:8080", "[fd77::1]:8080", "127.0.0.1:8080"] {
        assert_eq!(knock(lab.host(), other, &c1), Answer::Refused, "{other}");
    }
}

fn all_addresses_of_one_family(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let v4 = scene.publish("v4", &json!([tcp(8080, 80).with("hostIP", "0.0.0.0")]));
    assert_eq!(knock(&outside, "203.0.113.1:8080", &v4), Answer::Opened);
    assert_eq!(knock(lab.host(), "127.0.0.1:8080", &v4), Answer::Opened);
    assert_eq!(knock(&outside, "[2001:db8:ffff::1]:8080", &v4), Answer::Refused);
    let v6 = scene.publish("v6", &json!([tcp(8081, 80).with("hostIP", "::")]));
    assert_eq!(knock(&outside, "[2001:db8:ffff::1]:8081", &v6), Answer::Opened);
    assert_eq!(knock(&outside, "203.0.113.1:8081", &v6), Answer::Refused);
}

fn two_ports_of_the_host_lead_to_one(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &json!([tcp(8080, 80), tcp(8081, 80)]));
    for to in HOST_OUTSIDE.iter().flat_map(|ip| [socket(ip, 8080), socket(ip, 8081)]) {
        assert_eq!(knock(&outside, &to, &c1), Answer::Opened, "{to}");
    }
    assert_eq!(knock(&outside, "203.0.113.1:8082", &c1), Answer::Refused);
}

/// Only what is sent to the host itself is mapped.
fn traffic_through_the_host_passes(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (_c1, c2) = (scene.publish("c1", &web()), scene.attach("c2", &json!([])));
    for (target, host) in OUTSIDE.iter().zip(HOST_OUTSIDE) {
        let there = socket(target, 8080);
        let seen = traffic::tcp_translated(&c2.container.netns, &there, &outside, &there);
        assert_eq!(seen.unwrap().to_string(), host);
        let seen = traffic::tcp_translated(lab.host(), &there, &outside, &there);
        assert_eq!(seen.unwrap().to_string(), host);
    }
}

/// Even where the way leads through the host's packet filter, as it does with br_netfilter.
fn direct_callers_keep_their_addresses(lab: &Lab) {
    let scene = Scene::new(lab);
    let (c1, c2) = (scene.publish("c1", &web()), scene.attach("c2", &json!([])));
    lab.host().sh("sysctl -q net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0");
    for (to, gateway) in c1.ips.iter().zip(GATEWAY) {
        let prefix = if to.contains(':') { 128 } else { 32 };
        c2.container.netns.sh(&format!("ip route add {to}/{prefix} via {gateway}"));
    }
    for (place, seen) in c2.ips.iter().enumerate() {
        let (web, dns) = (&c1.at(80)[place], &c1.at(53)[place]);
        let (from, to) = (&c2.container.netns, &c1.container.netns);
        assert_eq!(traffic::tcp_translated(from, web, to, web).unwrap().to_string(), *seen);
        assert_eq!(traffic::udp_translated(from, dns, to, dns).unwrap().to_string(), *seen);
    }
}

fn a_container_without_mappings_is_not_reached(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &json!([]));
    assert_eq!(knock(&outside, "203.0.113.1:80", &c1), Answer::Refused);
}

fn callers_that_conditions_allow(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let scene = scene.with("conditionsV4", json!(["ip", "saddr", "203.0.113.2"])).with("backend", "nftables");
    let c1 = scene.publish("c1", &web());
    assert_eq!(knock(&outside, "203.0.113.1:8080", &c1), Answer::Opened);
    outside.sh("ip address add 203.0.113.3/24 dev eth0");
    outside.sh("ip route add 203.0.113.1/32 dev eth0 src 203.0.113.3");
    assert_eq!(knock(&outside, "203.0.113.1:8080", &c1), Answer::Refused);
    assert_eq!(knock(&outside, "[2001:db8:ffff::1]:8080", &c1), Answer::Opened, "no condition for IPv6");
}

fn ports_in_between_of_a_range(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &json!([tcp(80, 80).with("range", 100), tcp(7070, 70).with("range", 20)]));
    for port in [80, 7080] {
        for to in HOST_OUTSIDE.map(|ip| socket(ip, port)) {
            assert_eq!(knock(&outside, &to, &c1), Answer::Opened, "{to}");
        }
    }
    let at = |port| c1.at(port)[0].clone();
    let netns = &c1.container.netns;
    assert_eq!(traffic::knock(&outside, "203.0.113.1:179", netns, &at(179)), Answer::Opened);
    assert_eq!(traffic::knock(&outside, "203.0.113.1:180", netns, &at(180)), Answer::Refused);
}

/// `route_localnet` lets packets to 127.0.0.0/8 in from the bridge: what maps ports keeps them out again.
fn loopback_services_of_the_host_stay_private(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &web());
    let inside = &c1.container.netns;
    inside.sh("sysctl -q net.ipv4.conf.all.route_localnet=1");
    inside.sh("ip route add 127.0.0.0/8 via 10.77.0.1");
    let secret = || traffic::knock(inside, "127.0.0.1:9000", lab.host(), "127.0.0.1:9000");
    assert_eq!(secret(), Answer::Silence);
    lab.host().sh("nft flush chain inet tidewater input");
    assert_eq!(secret(), Answer::Opened, "it is this chain that keeps it private");
}

/// What is published on the loopback is for the host alone, whatever a neighbour puts into its routes.
fn ports_of_the_loopback_stay_private(lab: &Lab) {
    let (outside, plain) = (traffic::outside(lab), Scene::new(lab));
    let conditional = plain.clone().with("conditionsV4", json!(["tcp", "dport", "1-65535"]));
    let ports = |one, two| json!([tcp(one, 80).with("hostIP", "127.0.0.1"), tcp(two, 80)]);
    let c1 = [plain.publish("c1", &ports(8080, 9090)), conditional.publish("c3", &ports(8081, 9091))];
    let c2 = plain.publish("c2", &json!([]));
    for (neighbour, gateway) in [(&outside, HOST_OUTSIDE[0]), (&c2.container.netns, "10.77.0.1")] {
        neighbour.sh("sysctl -q net.ipv4.conf.all.route_localnet=1");
        neighbour.sh(&format!("ip route add 127.0.0.0/8 via {gateway}"));
        for (container, ports) in c1.iter().zip([[8080, 9090], [8081, 9091]]) {
            for to in ports.map(|port| format!("127.0.0.1:{port}")) {
                assert_eq!(knock(neighbour, &to, container), Answer::Silence, "{to} by {gateway}");
            }
        }
    }
    for (container, to) in c1.iter().zip(["127.0.0.1:8080", "127.0.0.1:8081"]) {
        assert_eq!(knock(lab.host(), to, container), Answer::Opened);
    }
}
