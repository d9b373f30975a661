//! `antiSpoof` against a container that has root in its namespace: raw frames, foreign addresses, fragments and
//! extension headers. What gets through is looked at on the neighbour's wire and on the host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "firewall_anti_spoof/cases.rs"]
mod cases;
#[path = "firewall_anti_spoof/frames.rs"]
mod frames;
#[path = "firewall_anti_spoof/wire.rs"]
mod wire;

use frames::{Frame, Mac};
use serde_json::{Value, json};
use tests::lab::chain::Chain;
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, answer, command, traffic};

tests::conformance! {
    both: []
    ours: [
        an_honest_container_notices_nothing,
        an_honest_container_on_a_wire_of_its_own_notices_nothing,
        only_what_is_its_own_leaves_the_port,
        without_the_guard_all_of_it_would_leave,
        addresses_and_macs_added_inside_stay_inside,
        frames_that_a_bridge_does_not_look_at_are_guarded_too,
        a_bridge_learns_no_foreign_mac,
        arp_that_the_host_takes_is_guarded,
        an_isolated_port_takes_in_no_tags,
        a_port_on_no_bridge_is_guarded,
        a_container_without_a_host_end_is_refused,
    ]
}

const OWN: Mac = [2, 0, 0, 0, 0, 5];
const FOREIGN: Mac = [2, 0, 0, 0, 0, 66];
/// The MAC of the second container, which looks at its wire.
const VICTIM: Mac = [2, 0, 0, 0, 0, 7];

fn list(lab: &Lab, mac: Mac, guard: bool) -> Chain {
    let bridge = conf::dual_stack("x").without("name").without("cniVersion");
    let bridge = bridge.with("args", json!({"cni": {"mac": frames::text(mac)}}));
    let mut chain = Chain::new(lab, vec![bridge, json!({"type": "firewall", "antiSpoof": guard})]);
    chain.name = "net".into();
    chain
}

struct Scene {
    hostile: Container,
    victim: Container,
    ips: [Vec<String>; 2],
}

fn scene(lab: &Lab, guard: bool) -> Scene {
    let [hostile, victim] = ["hostile", "victim"].map(|id| lab.container(id));
    let added = list(lab, OWN, guard).add(&hostile);
    let other = list(lab, VICTIM, false).add(&victim);
    let ips = [answer::ips(&added), answer::ips(&other)];
    // Connection tracking would keep single fragments until the others come.
    for family in ["iptables", "ip6tables"] {
        lab.host().run(|| command::try_run(&format!("sysctl -qw net.bridge.bridge-nf-call-{family}=0"))).ok();
    }
    // Everything is learnt, nobody is still asking for neighbours.
    for ip in &ips[1] {
        assert!(traffic::ping(&hostile.netns, ip), "{ip}");
    }
    Scene { hostile, victim, ips }
}

fn an_honest_container_notices_nothing(lab: &Lab) {
    let outside = traffic::outside(lab);
    for (net, via) in [("10.0.0.0/8", traffic::HOST_OUTSIDE[0]), ("fd00::/8", traffic::HOST_OUTSIDE[1])] {
        outside.sh(&format!("ip route add {net} via {via}"));
    }
    let scene = scene(lab, true);
    honest(lab, &scene.hostile, &scene.ips[0]);
    for ip in &scene.ips[1] {
        traffic::tcp(&scene.hostile.netns, &scene.victim.netns, ip).unwrap();
    }
    for ip in &scene.ips[0] {
        traffic::tcp(&scene.victim.netns, &scene.hostile.netns, ip).unwrap();
    }
    // Neighbours are found anew, from both sides.
    scene.hostile.netns.sh("ip neigh flush all");
    scene.victim.netns.sh("ip neigh flush all");
    for ip in &scene.ips[0] {
        assert!(traffic::ping(&scene.victim.netns, ip), "{ip}");
    }
    // With duplicate address detection, which asks without an address.
    let own = format!("{}/64", scene.ips[0][1]);
    let netns = &scene.hostile.netns;
    netns.sh("sysctl -qw net.ipv6.conf.eth0.accept_dad=1");
    netns.sh(&format!("ip addr del {own} dev eth0"));
    netns.sh(&format!("ip addr add {own} dev eth0"));
    assert!(traffic::ping(&scene.victim.netns, &scene.ips[0][1]), "after duplicate address detection");
}

fn honest(lab: &Lab, container: &Container, ips: &[String]) {
    for ip in traffic::OUTSIDE {
        assert!(traffic::ping(&container.netns, ip), "{ip}");
    }
    for ip in ips {
        assert!(traffic::ping(lab.host(), ip), "{ip}");
    }
    for large in ["ping -n -c 1 -w 5 -s 4000 203.0.113.2", "ping -n -c 1 -w 5 -s 4000 2001:db8:ffff::2"] {
        assert!(container.netns.run(|| command::try_run(large)).is_ok(), "{large}");
    }
}

/// Which of the frames arrive at the victim's wire.
fn arrived(scene: &Scene, frames: &[(&'static str, Frame)]) -> Vec<&'static str> {
    let wire = scene.victim.netns.run(|| wire::Wire::open("eth0"));
    scene.hostile.netns.run(|| {
        let out = wire::Wire::open("eth0");
        frames.iter().for_each(|(_, frame)| out.send(frame));
    });
    let seen = wire.everything();
    // The kernel takes the tag off before it shows a frame.
    let same = |frame: &Frame| {
        seen.iter().any(|found| found.starts_with(frame.bytes()) || found.starts_with(&frame.untagged()))
    };
    frames.iter().filter(|(_, frame)| same(frame)).map(|(name, _)| *name).collect()
}

fn only_what_is_its_own_leaves_the_port(lab: &Lab) {
    let scene = scene(lab, true);
    assert_eq!(arrived(&scene, &cases::hostile(&scene.ips)), Vec::<&str>::new(), "this got out");
    let harmless = cases::harmless(&scene.ips);
    let names: Vec<_> = harmless.iter().map(|(name, _)| *name).collect();
    assert_eq!(arrived(&scene, &harmless), names, "all of this may leave");
}

/// The frames above are such as would arrive.
fn without_the_guard_all_of_it_would_leave(lab: &Lab) {
    let scene = scene(lab, false);
    let mut frames = cases::hostile(&scene.ips);
    // A bridge keeps these groups to itself.
    frames.retain(|(name, _)| *name != "LLDP");
    let names: Vec<_> = frames.iter().map(|(name, _)| *name).collect();
    assert_eq!(arrived(&scene, &frames), names);
}

fn addresses_and_macs_added_inside_stay_inside(lab: &Lab) {
    let scene = scene(lab, true);
    let inside = &scene.hostile.netns;
    inside.sh("ip addr add 10.77.0.200/24 dev eth0");
    inside.sh("ip addr add fd77::200/64 dev eth0 nodad");
    for (from, to) in [("10.77.0.200", "10.77.0.1"), ("fd77::200", "fd77::1")] {
        let ping = format!("ping -n -c 2 -i 0.2 -w 1 -I {from} {to}");
        assert!(inside.run(|| command::try_run(&ping)).is_err(), "{from}");
        assert!(traffic::no_ping(&scene.victim.netns, from), "{from} is nowhere");
    }
    inside.sh("ip link set eth0 address 02:00:00:00:00:42");
    assert!(traffic::no_ping(inside, "10.77.0.1"), "another MAC");
    let chain = list(lab, OWN, true);
    let request = chain.plugins[1].clone().with("name", "net").with("cniVersion", conf::COMMON);
    let result = json!({"cniVersion": "1.0.0", "interfaces": [{"name": "br0"}, {"name": lab.host().sh("ip -o link show master br0").split([':', '@']).nth(1).unwrap().trim()},
        {"name": "eth0", "sandbox": inside.path().to_str().unwrap()}], "ips": []});
    let refused = lab.plugin("firewall").check(&scene.hostile, &request, &result).failure();
    assert!(refused.text.contains("02:00:00:00:00:42"), "CHECK sees the other MAC: {}", refused.text);
    inside.sh("ip link set eth0 address 02:00:00:00:00:05");
    assert!(traffic::ping(inside, "10.77.0.1"), "its own again");
}

/// Frames to the groups of IEEE 802.1Q are not bridged: the host takes them from the port, past the bridge's rules.
/// The groups of IEEE 802.1Q: a bridge takes what is sent to them past its own rules.
const LINK_LOCAL: Mac = [1, 0x80, 0xc2, 0, 0, 0x0e];

/// Whoever makes a bridge believe that a neighbour's MAC is his gets what is sent to the neighbour.
fn a_bridge_learns_no_foreign_mac(lab: &Lab) {
    for guard in [false, true] {
        let scene = scene(lab, guard);
        if !guard {
            lab.host().sh("ip link set br0 type bridge no_linklocal_learn 0");
        }
        let stolen = frames::Way { source: FOREIGN, destination: LINK_LOCAL }.other(0x88cc, &[0; 46]);
        scene.hostile.netns.run(|| wire::Wire::open("eth0").send(&stolen));
        let learnt = lab.host().sh("bridge fdb show br br0").contains(&frames::text(FOREIGN));
        assert_eq!(learnt, !guard, "guarded: {guard}");
        [&scene.hostile, &scene.victim].into_iter().zip([OWN, VICTIM]).for_each(|(container, mac)| {
            list(lab, mac, guard).del(container, &Value::Null);
            lab.delete_container(container);
        });
    }
}

/// The host's table of neighbours is for all: nobody fills it with what is not his.
fn arp_that_the_host_takes_is_guarded(lab: &Lab) {
    let (c1, result) = wired(lab);
    let asks = |source: [u8; 4]| {
        let way = frames::Way { source: OWN, destination: [0xff; 6] };
        let frame = way.arp(1, OWN, source.into(), [10, 66, 0, 1].into());
        c1.netns.run(|| wire::Wire::open("eth0").send(&frame));
        let known = lab.host().sh("ip neigh show");
        known.contains(&std::net::Ipv4Addr::from(source).to_string())
    };
    assert!(asks([10, 66, 0, 98]), "without the guard");
    guarded(lab, &c1, &result);
    assert!(!asks([10, 66, 0, 99]), "with it");
    lab.host().sh("ip neigh flush all");
    assert!(traffic::ping(&c1.netns, "10.66.0.1"), "its own are let in");
}

/// What is inside of tags is no business of a closed port.
fn an_isolated_port_takes_in_no_tags(lab: &Lab) {
    let mut chain = list(lab, OWN, false);
    chain.plugins[1] = json!({"type": "firewall", "ingressPolicy": "isolated"});
    let hostile = lab.container("hostile");
    chain.add(&hostile);
    chain.plugins[0]["args"]["cni"]["mac"] = json!(frames::text(VICTIM));
    let victim = lab.container("victim");
    let result = chain.add(&victim);
    let ip: std::net::Ipv4Addr = answer::ips(&result)[0].parse().unwrap();
    let way = frames::Way { source: OWN, destination: VICTIM };
    let plain = way.ip([10, 77, 0, 2].into(), ip, 17, &frames::udp(9, 4242));
    let inside = plain.bytes()[14..].to_vec();
    let tagged = |tags: &[u8]| way.other(0x8100, &[tags, &[0x08, 0x00], &inside].concat());
    let wire = victim.netns.run(|| wire::Wire::open("eth0"));
    wire.everything();
    hostile.netns.run(|| {
        let port = wire::Wire::open("eth0");
        [plain.clone(), tagged(&[0, 0]), tagged(&[0, 0, 0x81, 0, 0, 0])]
            .iter()
            .for_each(|frame| port.send(frame));
    });
    let mark = frames::udp(9, 4242);
    let seen = wire.everything();
    assert!(!seen.iter().any(|frame| frame.windows(mark.len()).any(|part| part == mark)), "{seen:?}");
}

fn frames_that_a_bridge_does_not_look_at_are_guarded_too(lab: &Lab) {
    for guard in [false, true] {
        let scene = scene(lab, guard);
        let listener = lab.host().run(|| std::net::UdpSocket::bind("0.0.0.0:4242").unwrap());
        listener.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        let port = lab.host().sh("ip -o link show master br0");
        for name in port.lines().filter_map(|line| line.split([':', '@']).nth(1)) {
            lab.host().sh(&format!("sysctl -qw net.ipv4.conf.{}.rp_filter=0", name.trim()));
        }
        lab.host().sh("sysctl -qw net.ipv4.conf.all.rp_filter=0");
        let lldp = frames::Way { source: OWN, destination: LINK_LOCAL };
        let frame = lldp.ip([192, 0, 2, 99].into(), [10, 77, 0, 1].into(), 17, &frames::udp(9, 4242));
        scene.hostile.netns.run(|| wire::Wire::open("eth0").send(&frame));
        let heard = listener.recv_from(&mut [0; 64]).ok().map(|(_, from)| from.ip().to_string());
        assert_eq!(heard.as_deref(), (!guard).then_some("192.0.2.99"), "guarded: {guard}");
        [&scene.hostile, &scene.victim].into_iter().zip([OWN, VICTIM]).for_each(|(container, mac)| {
            list(lab, mac, guard).del(container, &Value::Null);
            lab.delete_container(container);
        });
    }
}

/// A veth pair with an address on the host's end, as ptp makes it.
fn wired(lab: &Lab) -> (Container, Value) {
    let c1 = lab.container("c1");
    lab.host().sh("ip link add vethc1 type veth peer name eth0 netns c1");
    c1.netns.sh("ip link set eth0 address 02:00:00:00:00:05");
    for (net, own, theirs) in [("4", "10.66.0.1/32", "10.66.0.2/32"), ("6", "fd66::1/128", "fd66::2/128")] {
        let nodad = if net == "6" { " nodad" } else { "" };
        lab.host().sh(&format!("ip addr add {own} dev vethc1{nodad}"));
        c1.netns.sh(&format!("ip addr add {theirs} dev eth0{nodad}"));
    }
    lab.host().sh("ip link set vethc1 up");
    c1.netns.sh("ip link set eth0 up");
    for route in ["10.66.0.2", "fd66::2"] {
        lab.host().sh(&format!("ip route add {route} dev vethc1"));
    }
    for gateway in ["10.66.0.1", "fd66::1"] {
        c1.netns.sh(&format!("ip route add {gateway} dev eth0"));
        c1.netns.sh(&format!("ip route add default via {gateway} dev eth0"));
    }
    lab.host().sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.vethc1.rp_filter=0");
    let result = json!({"cniVersion": "1.0.0", "interfaces": [{"name": "vethc1"},
        {"name": "eth0", "mac": "02:00:00:00:00:05", "sandbox": c1.netns.path().to_str().unwrap()}],
        "ips": [{"address": "10.66.0.2/32", "interface": 1}, {"address": "fd66::2/128", "interface": 1}]});
    (c1, result)
}

fn guarded(lab: &Lab, container: &Container, result: &Value) {
    let conf = json!({"cniVersion": "1.0.0", "name": "net", "type": "firewall", "antiSpoof": true})
        .with_prev(result);
    lab.plugin("firewall").add(container, &conf).ok();
}

fn an_honest_container_on_a_wire_of_its_own_notices_nothing(lab: &Lab) {
    let outside = traffic::outside(lab);
    for (net, via) in [("10.0.0.0/8", traffic::HOST_OUTSIDE[0]), ("fd00::/8", traffic::HOST_OUTSIDE[1])] {
        outside.sh(&format!("ip route add {net} via {via}"));
    }
    let (c1, result) = wired(lab);
    guarded(lab, &c1, &result);
    honest(lab, &c1, &answer::ips(&result));
}

fn a_port_on_no_bridge_is_guarded(lab: &Lab) {
    let outside = traffic::outside(lab);
    let (c1, result) = wired(lab);
    let link = lab.host().sh("ip -o link show dev vethc1");
    let gateway = frames::parse(link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap());
    let to = frames::Way { source: OWN, destination: gateway };
    let frames = [
        to.ip([192, 0, 2, 99].into(), [203, 0, 113, 2].into(), 17, &frames::udp(9, 4242)),
        to.ip6("fd99::1".parse().unwrap(), traffic::OUTSIDE[1].parse().unwrap(), 17, &frames::udp(9, 4242)),
    ];
    for ip in traffic::OUTSIDE {
        // The neighbours on the way are known.
        lab.host().run(|| command::try_run(&format!("ping -n -c 1 -w 5 {ip}"))).unwrap();
    }
    for guard in [false, true] {
        if guard {
            guarded(lab, &c1, &result);
        }
        let wire = outside.run(|| wire::Wire::open("eth0"));
        c1.netns.run(|| frames.iter().for_each(|frame| wire::Wire::open("eth0").send(frame)));
        let seen = wire.everything();
        let spoofed = seen
            .iter()
            .filter(|frame| {
                frame.windows(4).any(|four| four == [192, 0, 2, 99] || four == [0xfd, 0x99, 0, 0])
            })
            .count();
        assert_eq!(spoofed, if guard { 0 } else { 2 }, "guarded: {guard}");
    }
}

fn a_container_without_a_host_end_is_refused(lab: &Lab) {
    let c1 = lab.container("c1");
    lab.host().sh("ip link add parent type bridge");
    lab.host().sh("ip link add eth0 link parent netns c1 type macvlan mode bridge");
    let result = json!({"cniVersion": "1.0.0", "interfaces": [{"name": "parent"}, {"name": "eth0", "sandbox": c1.netns.path().to_str().unwrap()}],
        "ips": [{"address": "10.66.0.2/24", "interface": 1}]});
    let before = lab.state();
    let conf = json!({"cniVersion": "1.0.0", "name": "net", "type": "firewall", "antiSpoof": true})
        .with_prev(&result);
    lab.plugin("firewall").add(&c1, &conf).fails(7, &["interface eth0", "no end on the host"]);
    before.assert_same(&lab.state(), "a refused ADD");
}
