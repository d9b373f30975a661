//! A port of the host belongs to one attachment: the second that asks for it is refused and named whose it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::Change;
use tests::lab::portmap::{Attached, Scene, tcp, udp};
use tests::lab::traffic::{self, Answer};
use tests::lab::{Lab, Outcome};

tests::conformance! {
    both: [
        protocols_do_not_clash,
        different_addresses_do_not_clash,
    ]
    ours: [
        many_at_once_for_different_ports,
        the_second_is_refused_and_told_who_has_the_port,
        whoever_asks_for_several_gets_all_or_none,
        all_addresses_against_one,
        another_family_is_no_clash,
        ranges_against_single_ports,
        ranges_against_ranges,
        neighbouring_ranges,
        a_freed_port_is_free,
        the_same_attachment_asks_again_for_others,
        a_refused_change_keeps_nothing_half,
        many_at_once_for_one_port,
        many_at_once_for_one_address_and_all,
        an_address_whose_former_container_was_never_deleted,
        a_port_whose_former_container_was_never_deleted,
        one_container_on_two_networks,
        one_backend_against_the_other,
        gc_gives_nothing_to_who_is_gone_too,
    ]
}

/// `loser` is refused with the holder's names, and leaves everything as it was.
fn refused(lab: &Lab, loser: &Attached<'_>, port: &str) {
    let before = lab.state();
    let words = [port, "already mapped", "net: net", "if: eth0", "id: holder"];
    loser.add().fails(999, &words);
    before.assert_same(&lab.state(), "a refused ADD");
}

/// Whether the second mapping can be had beside the first, on a host of their own.
fn clash(lab: &Lab, first: &Value, second: &Value, port: &str) {
    let scene = Scene::new(lab);
    for (holder, loser) in [(first, second), (second, first)] {
        let (holder, loser) =
            (scene.publish("holder", &json!([holder])), scene.attach("loser", &json!([loser])));
        refused(lab, &loser, port);
        holder.check().quiet();
        loser.del().quiet();
        holder.check().quiet();
        holder.del().quiet();
        loser.add().ok();
        loser.check().quiet();
        loser.del().quiet();
        for gone in [holder, loser] {
            gone.detach();
        }
    }
}

fn agree(lab: &Lab, first: &Value, second: &Value) {
    let scene = Scene::new(lab);
    let both = [scene.publish("c1", &json!([first])), scene.publish("c2", &json!([second]))];
    both.iter().for_each(|attached| attached.check().quiet());
    for attached in both {
        attached.del().quiet();
        attached.detach();
    }
}

fn the_second_is_refused_and_told_who_has_the_port(lab: &Lab) {
    clash(lab, &tcp(8080, 80), &tcp(8080, 81), "8080/tcp");
    clash(lab, &udp(8080, 80), &udp(8080, 80), "8080/udp");
}

fn whoever_asks_for_several_gets_all_or_none(lab: &Lab) {
    let scene = Scene::new(lab);
    let holder = scene.publish("holder", &json!([tcp(8082, 80)]));
    let loser = scene.attach("loser", &json!([tcp(8080, 80), tcp(8081, 80), tcp(8082, 80), udp(9000, 90)]));
    refused(lab, &loser, "8082/tcp");
    holder.del().quiet();
    loser.add().ok();
    loser.check().quiet();
}

fn protocols_do_not_clash(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (c1, c2) =
        (scene.publish("c1", &json!([tcp(8080, 80)])), scene.publish("c2", &json!([udp(8080, 80)])));
    for (place, address) in ["203.0.113.1:8080", "[2001:db8:ffff::1]:8080"].into_iter().enumerate() {
        traffic::tcp_translated(&outside, address, &c1.container.netns, &c1.at(80)[place]).unwrap();
        traffic::udp_translated(&outside, address, &c2.container.netns, &c2.at(80)[place]).unwrap();
    }
}

fn all_addresses_against_one(lab: &Lab) {
    let at = |ip: &str| tcp(8080, 80).with("hostIP", ip);
    clash(lab, &tcp(8080, 80), &at("10.77.0.1"), "8080/tcp");
    clash(lab, &at("0.0.0.0"), &at("203.0.113.1"), "8080/tcp");
    clash(lab, &at("::"), &at("fd77::1"), "8080/tcp");
    clash(lab, &at("203.0.113.1"), &at("203.0.113.1"), "8080/tcp of 203.0.113.1");
}

fn another_family_is_no_clash(lab: &Lab) {
    let at = |ip: &str| tcp(8080, 80).with("hostIP", ip);
    agree(lab, &at("0.0.0.0"), &at("::"));
}

fn different_addresses_do_not_clash(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::v4_only(lab));
    lab.host().sh("ip address add 203.0.113.9/24 dev uplink");
    let at = |ip: &str| json!([tcp(8080, 80).with("hostIP", ip)]);
    let (c1, c2) = (scene.publish("c1", &at("203.0.113.1")), scene.publish("c2", &at("203.0.113.9")));
    for (attached, address) in [(&c1, "203.0.113.1:8080"), (&c2, "203.0.113.9:8080")] {
        traffic::tcp_translated(&outside, address, &attached.container.netns, &attached.at(80)[0]).unwrap();
    }
}

fn ranges_against_single_ports(lab: &Lab) {
    let long = tcp(7000, 7000).with("range", 100);
    for port in [7000, 7050, 7099] {
        clash(lab, &long, &tcp(port, 80), &format!("{port}/tcp"));
    }
    let offset = tcp(7000, 6000).with("range", 100);
    clash(lab, &offset, &tcp(7050, 80), "7050/tcp");
    clash(lab, &long, &tcp(7050, 80).with("hostIP", "203.0.113.1"), "7050/tcp");
}

fn ranges_against_ranges(lab: &Lab) {
    let long = |first: u16| tcp(first, first).with("range", 100);
    for other in [6901, 6950, 7000, 7050, 7099] {
        clash(lab, &long(7000), &long(other), "/tcp");
    }
    clash(lab, &long(7000), &tcp(7020, 7020).with("range", 20), "/tcp");
    clash(lab, &long(7000), &tcp(7090, 100).with("range", 20), "/tcp");
}

fn neighbouring_ranges(lab: &Lab) {
    let long = |first: u16| tcp(first, first).with("range", 100);
    agree(lab, &long(7000), &long(7100));
    agree(lab, &long(7000), &tcp(7100, 80));
}

fn a_freed_port_is_free(lab: &Lab) {
    let scene = Scene::new(lab);
    for id in ["c1", "c2", "c3"] {
        let attached = scene.publish(id, &json!([tcp(8080, 80), udp(8080, 80)]));
        attached.check().quiet();
        attached.del().quiet();
    }
}

fn the_same_attachment_asks_again_for_others(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let c1 = scene.publish("c1", &json!([tcp(8080, 80), tcp(8081, 80)]));
    let c1 = c1.asking_for(&json!([tcp(8081, 80), tcp(8082, 80)]));
    c1.add().ok();
    c1.check().quiet();
    let knock = |port: u16| {
        traffic::knock(&outside, &format!("203.0.113.1:{port}"), &c1.container.netns, &c1.at(80)[0])
    };
    assert_eq!([8080, 8081, 8082].map(knock), [Answer::Refused, Answer::Opened, Answer::Opened]);
    let other = scene.publish("c2", &json!([tcp(8080, 80)]));
    other.check().quiet();
}

/// An ADD that asks again is a new ADD: when it fails, nothing of the attachment is left.
fn a_refused_change_keeps_nothing_half(lab: &Lab) {
    let scene = Scene::new(lab);
    let _holder = scene.publish("holder", &json!([tcp(8082, 80)]));
    let loser = scene.attach("loser", &json!([tcp(8080, 80), tcp(8081, 80)]));
    let before = lab.state();
    loser.add().ok();
    let loser = loser.asking_for(&json!([tcp(8081, 80), tcp(8082, 80)]));
    loser.add().fails(999, &["8082/tcp", "id: holder"]);
    before.assert_same(&lab.state(), "a refused change");
}

/// All ADDs of these at once.
fn at_once(all: &[Attached<'_>]) -> Vec<Outcome> {
    let calls: Vec<_> = all.iter().map(|attached| attached.call("ADD")).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = calls.iter().map(|call| scope.spawn(|| call.run())).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn many_at_once_for_different_ports(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let all: Vec<_> = (0..8)
        .map(|n| scene.attach(&format!("c{n}"), &json!([tcp(8080 + n, 80), udp(8080 + n, 80)])))
        .collect();
    at_once(&all).iter().for_each(|outcome| assert!(outcome.succeeded(), "{outcome}"));
    for (n, attached) in all.iter().enumerate() {
        let to = format!("203.0.113.1:{}", 8080 + n);
        traffic::tcp_translated(&outside, &to, &attached.container.netns, &attached.at(80)[0]).unwrap();
        traffic::udp_translated(&outside, &to, &attached.container.netns, &attached.at(80)[0]).unwrap();
    }
}

fn many_at_once_for_one_port(lab: &Lab) {
    let scene = Scene::new(lab);
    let all: Vec<_> = (0..8).map(|n| scene.attach(&format!("c{n}"), &json!([tcp(8080, 80)]))).collect();
    one_wins(lab, &all);
}

fn many_at_once_for_one_address_and_all(lab: &Lab) {
    let scene = Scene::new(lab);
    let of = |n| if n % 2 == 0 { tcp(8080, 80) } else { tcp(8080, 80).with("hostIP", "10.77.0.1") };
    let all: Vec<_> = (0..8).map(|n| scene.attach(&format!("c{n}"), &json!([of(n)]))).collect();
    one_wins(lab, &all);
}

fn one_wins(lab: &Lab, all: &[Attached<'_>]) {
    for _ in 0..4 {
        let outcomes = at_once(all);
        let (won, lost): (Vec<_>, Vec<_>) = all.iter().zip(&outcomes).partition(|(_, it)| it.succeeded());
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let holder = format!("id: {}", won[0].0.container.id);
        for (_, outcome) in lost {
            outcome.fails(999, &["8080/tcp", "already mapped", &holder]);
        }
        won[0].0.check().quiet();
        won[0].0.del().quiet();
        assert!(!lab.state().text().contains(".portmap"), "no record stays");
    }
}

/// The node lost it without a DEL, and IPAM gives its address to the next one.
fn an_address_whose_former_container_was_never_deleted(lab: &Lab) {
    let (outside, mut scene) = (traffic::outside(lab), Scene::new(lab));
    let only = |subnet, ip| json!([{"subnet": subnet, "rangeStart": ip, "rangeEnd": ip}]);
    let ranges = json!([only("10.77.0.0/24", "10.77.0.9"), only("fd77::/64", "fd77::9")]);
    scene.bridge = scene.bridge.with_at("ipam.ranges", ranges);
    let lost = scene.publish("lost", &json!([tcp(8080, 80)]));
    lost.detach();
    let next = scene.publish("next", &json!([tcp(8081, 80)]));
    next.check().quiet();
    for (place, to) in ["203.0.113.1:8081", "[2001:db8:ffff::1]:8081"].into_iter().enumerate() {
        traffic::tcp_translated(&outside, to, &next.container.netns, &next.at(80)[place]).unwrap();
    }
    // The old one's DEL comes at last and takes nothing of the new one's.
    lost.del().quiet();
    next.check().quiet();
}

fn a_port_whose_former_container_was_never_deleted(lab: &Lab) {
    let scene = Scene::new(lab);
    let holder = scene.publish("holder", &json!([tcp(8080, 80)]));
    holder.detach();
    let loser = scene.attach("loser", &json!([tcp(8080, 80)]));
    refused(lab, &loser, "8080/tcp");
    lab.plugin("portmap").gc(&scene.portmap, &["loser"]).quiet();
    loser.add().ok();
    loser.check().quiet();
}

/// Runtimes tell the plugins of all networks of a container of all its ports: the first one's stay.
fn one_backend_against_the_other(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let by_iptables = Scene::v4_only(lab).with("backend", "iptables");
    let _first = by_iptables.publish("c1", &json!([tcp(8080, 80)]));
    let second = scene.attach("c2", &json!([tcp(8080, 80)]));
    second.add().fails(999, &["8080/tcp", "container c1"]);
    let _second = scene.publish("c3", &json!([tcp(8081, 80)]));
    by_iptables.attach("c4", &json!([tcp(8081, 80)])).add().fails(999, &["8081/tcp", "container c3"]);
}

fn one_container_on_two_networks(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::v4_only(lab));
    let both = json!([tcp(8080, 80), tcp(7000, 7000).with("range", 50)]);
    let first = scene.publish("c1", &both);
    let mut conf = first.conf.clone().with("name", "other");
    conf["prevResult"]["interfaces"][2]["name"] = json!("eth1");
    conf["prevResult"]["ips"] = json!([{"address": "10.78.0.2/24", "interface": 2}]);
    let second = |verb: &str| lab.plugin("portmap").on(verb, &first.container, &conf).ifname("eth1").run();
    let before = lab.state();
    second("ADD").ok();
    second("CHECK").quiet();
    first.check().quiet();
    traffic::tcp_translated(&outside, "203.0.113.1:8080", &first.container.netns, &first.at(80)[0]).unwrap();
    second("DEL").quiet();
    assert_eq!(before.difference(&lab.state()).lines().filter(|line| line.contains("id: c1")).count(), 0);
    first.check().quiet();
    second("ADD").ok();
    first.del().quiet();
    // What the first had goes to the second, without another ADD.
    second("CHECK").quiet();
    let listed = lab.host().sh("nft list map inet tidewater hostports-v4-all");
    assert!(listed.contains(": 10.78.0.2 . 80"), "{listed}");
    let loser = scene.attach("loser", &both);
    loser.add().fails(999, &["net: other", "if: eth1", "id: c1"]);
    second("DEL").quiet();
    loser.add().ok();
    let left = lab.state().text().to_owned();
    assert!(!left.contains("10.78.0.2") && !left.contains("portmap-heirs"), "{left}");
}

fn gc_gives_nothing_to_who_is_gone_too(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let before = lab.state();
    let first = scene.publish("c1", &json!([tcp(8080, 80)]));
    let mut conf = first.conf.clone();
    conf["prevResult"]["interfaces"][2]["name"] = json!("eth1");
    conf["prevResult"]["ips"] = json!([{"address": "10.77.0.200/24", "interface": 2}]);
    lab.plugin("portmap").on("ADD", &first.container, &conf).ifname("eth1").run().ok();
    lab.plugin("portmap").gc(&first.conf.clone().with("cniVersion", "1.1.0"), &[]).quiet();
    let gone = |text: &str| !text.contains("portmap") && !text.contains("8080");
    assert!(gone(&before.difference(&lab.state())), "{}", before.difference(&lab.state()));
}
