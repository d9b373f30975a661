//! DEL, GC, STATUS and CHECK in the life of an attachment: again, too late, after damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::netns::eventually;
use tests::lab::{Container, Lab, Snapshot, answer, command};

tests::conformance! {
    both: [
        del_twice_is_fine,
        del_of_what_never_was,
        del_without_the_namespace_gives_the_lease_back,
        check_names_what_is_missing,
        an_address_that_drifted_is_put_back,
        a_foreign_address_on_the_bridge_is_replaced_when_forced,
        a_leftover_bridge_is_taken_over,
    ]
    ours: [
        del_without_the_namespace_removes_the_rules,
        del_removes_all_rules_of_an_attachment,
        check_notices_what_the_host_has_lost,
        check_needs_the_result_of_the_add,
        gc_keeps_the_valid_and_removes_the_rest,
        gc_with_an_empty_list_removes_everything,
        status_says_when_the_pool_is_full,
        status_says_when_the_ipam_is_missing,
        a_bridge_without_address_and_port_is_taken_over,
    ]
}

fn network() -> Value {
    conf::dual_stack("net").with("cniVersion", "1.1.0").with("ipMasq", true).with("macspoofchk", true)
}

/// For both: what the reference knows as well.
fn common() -> Value {
    conf::dual_stack("net").with("ipMasq", true)
}

/// The state of a host that has seen the network before: what all containers share is there.
fn warm(lab: &Lab, conf: &Value) -> Snapshot {
    let container = lab.container("warm");
    lab.plugin("bridge").add(&container, conf).ok();
    lab.plugin("bridge").del(&container, conf).quiet();
    lab.delete_container(&container);
    settled(lab)
}

/// Links of a deleted namespace vanish some time after it.
fn settled(lab: &Lab) -> Snapshot {
    eventually("the ports of the bridge go", Duration::from_secs(5), || {
        command::try_run("ip -o link show master br0").is_ok_and(|ports| ports.is_empty())
    });
    lab.state()
}

fn added(lab: &Lab, id: &str, conf: &Value) -> (Container, Value) {
    let container = lab.container(id);
    let result = lab.plugin("bridge").add(&container, conf).ok();
    (container, result)
}

fn del_twice_is_fine(lab: &Lab) {
    warm(lab, &common());
    let c1 = lab.container("c1");
    let before = lab.state();
    let result = lab.plugin("bridge").add(&c1, &common()).ok();
    for conf in [common().with_prev(&result), common(), common().with_prev(&result)] {
        lab.plugin("bridge").del(&c1, &conf).quiet();
        before.assert_same(&lab.state(), "DEL");
    }
}

fn del_of_what_never_was(lab: &Lab) {
    let c1 = lab.container("c1");
    lab.plugin("bridge").del(&c1, &common()).quiet();
    let state = lab.state();
    assert!(!state.text().contains("br0"), "DEL makes nothing: {}", state.text());
}

/// Three ways in which a runtime tells that the namespace is gone.
fn del_too_late(lab: &Lab, conf: &Value, number: usize) -> tests::lab::Outcome {
    let (container, result) = added(lab, &format!("c{number}"), conf);
    lab.delete_container(&container);
    let call = lab.plugin("bridge").on("DEL", &container, conf);
    match number {
        0 => call.env("CNI_NETNS", "").run(),
        1 => call.without_env("CNI_NETNS").conf(&conf.clone().with_prev(&result)).run(),
        _ => call.run(),
    }
}

fn del_without_the_namespace_gives_the_lease_back(lab: &Lab) {
    let conf = conf::dual_stack("net");
    let before = warm(lab, &conf);
    for number in 0..3 {
        del_too_late(lab, &conf, number).quiet();
        before.assert_same(&settled(lab), &format!("way {number}"));
    }
}

fn del_without_the_namespace_removes_the_rules(lab: &Lab) {
    let before = warm(lab, &network());
    for number in 0..3 {
        del_too_late(lab, &network(), number).quiet();
        before.assert_same(&settled(lab), &format!("way {number}"));
    }
}

fn del_removes_all_rules_of_an_attachment(lab: &Lab) {
    for backend in ["nftables", "iptables"] {
        let conf = network().with("ipMasqBackend", backend);
        let before = warm(lab, &conf);
        let (c1, _) = added(lab, "c1", &conf);
        assert!(lab.state().text().contains("masquerade"), "{}", lab.state().text());
        lab.plugin("bridge").del(&c1, &conf).quiet();
        lab.delete_container(&c1);
        before.assert_same(&settled(lab), backend);
    }
}

/// Adds, damages, and returns what CHECK says; then the container goes.
fn sabotaged(lab: &Lab, conf: &Value, number: usize, damage: impl Fn(&Container, &Value)) -> String {
    let (container, result) = added(lab, &format!("c{number}"), conf);
    lab.plugin("bridge").check(&container, conf, &result).quiet();
    damage(&container, &result);
    eprintln!("damage number {number} is done");
    let outcome = lab.plugin("bridge").check(&container, conf, &result);
    let failure = outcome.failure();
    lab.plugin("bridge").del(&container, conf).quiet();
    failure.text
}

fn check_names_what_is_missing(lab: &Lab) {
    let inside: [(&str, &str); 6] = [
        ("ip address flush dev eth0", "10.77.0."),
        ("ip -6 address flush dev eth0 scope global", "fd77::"),
        ("ip route del default", "0.0.0.0/0"),
        ("ip link del eth0", "eth0"),
        ("ip link set eth0 name eth7", "eth0"),
        ("ip link set eth0 address 02:00:00:00:00:99", "02:00:00:00:00:99"),
    ];
    for (number, (line, word)) in inside.into_iter().enumerate() {
        let text = sabotaged(lab, &conf::dual_stack("net"), number, |container, _| {
            container.netns.sh(line);
        });
        // The reference names the missing route as a Go structure; the rest is named by both.
        assert!(
            text.contains(word) || lab.plugins().are_reference(),
            "{line}: {word:?} is missing in: {text}"
        );
    }
    let text = sabotaged(lab, &conf::dual_stack("net"), 9, |_, result| {
        lab.host().sh(&format!("ip link set {} nomaster", answer::host_veth(result)));
    });
    assert!(text.to_lowercase().contains("bridge") || text.contains("br0"), "no master: {text}");
}

fn check_notices_what_the_host_has_lost(lab: &Lab) {
    let damages: [(&str, &str); 4] = [
        ("nft delete table inet tidewater", "masquerade"),
        ("nft delete table bridge tidewater", "spoof"),
        ("ip address del 10.77.0.1/24 dev br0", "10.77.0.1"),
        ("find /var/lib/cni/networks/net -name 10.77.0.* -delete", "10.77.0."),
    ];
    for (number, (line, word)) in damages.into_iter().enumerate() {
        let text = sabotaged(lab, &network(), number, |_, _| {
            lab.host().sh(line);
        });
        assert!(text.to_lowercase().contains(word), "{line}: {word:?} is missing in: {text}");
    }
    let text = sabotaged(lab, &network(), 9, |_, _| {
        lab.host().sh("ip link del br0");
    });
    assert!(text.contains("br0"), "bridge gone: {text}");
}

fn check_needs_the_result_of_the_add(lab: &Lab) {
    let (c1, result) = added(lab, "c1", &network());
    let bridge = lab.plugin("bridge");
    let failure = bridge.on("CHECK", &c1, &network()).run().failure();
    assert!(failure.text.contains("Required prevResult missing"), "{}", failure.text);
    let mut other = result.clone();
    other["interfaces"][2]["sandbox"] = json!("/run/netns/other");
    let failure = bridge.check(&c1, &network(), &other).failure();
    assert!(failure.text.contains("/run/netns/other"), "{}", failure.text);
}

fn gc_keeps_the_valid_and_removes_the_rest(lab: &Lab) {
    let bridge = lab.plugin("bridge");
    let (keep, result) = added(lab, "keep", &network());
    let other = network().with("name", "other").with_at(
        "ipam.ranges",
        json!([[{"subnet": "10.77.0.0/24",
        "rangeStart": "10.77.0.200"}]]),
    );
    let (foreign, of_foreign) = added(lab, "foreign", &other);
    let before = lab.state();
    for id in ["gone", "lost"] {
        let (container, _) = added(lab, id, &network());
        lab.delete_container(&container);
    }
    bridge.gc(&network(), &["keep"]).quiet();
    eventually("only two ports stay", Duration::from_secs(5), || {
        lab.host().sh("ip -o link show master br0").lines().count() == 2
    });
    before.assert_same(&lab.state(), "GC");
    bridge.check(&keep, &network(), &result).quiet();
    bridge.check(&foreign, &other, &of_foreign).quiet();
}

fn gc_with_an_empty_list_removes_everything(lab: &Lab) {
    let before = warm(lab, &network());
    for id in ["c1", "c2"] {
        let (container, _) = added(lab, id, &network());
        lab.delete_container(&container);
    }
    lab.plugin("bridge").gc(&network(), &[]).quiet();
    before.assert_same(&settled(lab), "GC");
}

fn status_says_when_the_pool_is_full(lab: &Lab) {
    let ranges = json!([[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.2", "rangeEnd": "10.77.0.3"}]]);
    let conf = network().with_at("ipam.ranges", ranges);
    let bridge = lab.plugin("bridge");
    bridge.status(&conf).quiet();
    let (c1, _) = added(lab, "c1", &conf);
    bridge.status(&conf).quiet();
    added(lab, "c2", &conf);
    bridge.status(&conf).fails(50, &["10.77.0.2", "2"]);
    bridge.del(&c1, &conf).quiet();
    bridge.status(&conf).quiet();
}

fn status_says_when_the_ipam_is_missing(lab: &Lab) {
    let failure =
        lab.plugin("bridge").status(&network().with("ipam", json!({"type": "no-such-ipam"}))).failure();
    assert!(failure.text.contains("failed to find plugin \"no-such-ipam\""), "{}", failure.text);
}

fn an_address_that_drifted_is_put_back(lab: &Lab) {
    let conf = conf::dual_stack("net");
    let (c1, _) = added(lab, "c1", &conf);
    lab.host().sh("ip address del 10.77.0.1/24 dev br0");
    lab.host().sh("ip address del fd77::1/64 dev br0");
    added(lab, "c2", &conf);
    assert!(tests::lab::traffic::ping(&c1.netns, "10.77.0.1"));
    assert!(tests::lab::traffic::ping(&c1.netns, "fd77::1"));
}

fn a_foreign_address_on_the_bridge_is_replaced_when_forced(lab: &Lab) {
    let conf = conf::dual_stack("net").with("forceAddress", true);
    added(lab, "c1", &conf);
    for line in ["ip address del 10.77.0.1/24 dev br0", "ip address add 10.99.0.1/16 dev br0"] {
        lab.host().sh(line);
    }
    let (c2, _) = added(lab, "c2", &conf);
    let addresses = lab.host().sh("ip -4 -o address show dev br0");
    assert!(addresses.contains("10.77.0.1/24") && !addresses.contains("10.99.0.1"), "{addresses}");
    assert!(tests::lab::traffic::ping(&c2.netns, "10.77.0.1"));
}

fn a_leftover_bridge_is_taken_over(lab: &Lab) {
    lab.host().sh("ip link add br0 type bridge");
    lab.host().sh("ip link set br0 up");
    let (c1, _) = added(lab, "c1", &common());
    assert!(tests::lab::traffic::ping(&c1.netns, "10.77.0.1"));
}

/// As an ADD leaves it that was killed right after it made the bridge.
fn a_bridge_without_address_and_port_is_taken_over(lab: &Lab) {
    lab.host().sh("ip link add br0 type bridge");
    let (c1, result) = added(lab, "c1", &network());
    assert!(tests::lab::traffic::ping(&c1.netns, "10.77.0.1"));
    let (_, second) = added(lab, "c2", &network());
    assert_eq!(
        answer::interface(&result, 0, "mac"),
        answer::interface(&second, 0, "mac"),
        "its MAC is stable"
    );
}
