//! Our plugins and the reference's on one host: as delegates of each other, in one chain, before and after an upgrade.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::chain::Chain;
use tests::lab::conf::{self, Change};
use tests::lab::netns::eventually;
use tests::lab::{Container, Lab, Plugins, Snapshot, answer, command, traffic};

tests::conformance! {
    both: []
    ours: [
        our_bridge_with_their_host_local,
        their_bridge_with_our_host_local,
        our_bridge_with_their_static,
        their_tuning_after_our_bridge,
        their_portmap_after_our_bridge,
        every_other_plugin_of_a_list_is_theirs,
        our_del_removes_what_their_bridge_made,
        our_del_removes_their_rules_without_the_namespace,
        our_del_removes_rules_of_their_nftables_backend,
        our_gc_removes_what_their_bridge_made,
        an_upgraded_node_goes_on,
        a_downgraded_node_goes_on,
        both_write_leases_at_once_and_never_the_same,
    ]
}

fn network() -> Value {
    conf::dual_stack("net").with("ipMasq", true)
}

fn theirs() -> Plugins {
    Plugins::reference()
}

/// A whole life of two containers, whose last state has to be the one before.
fn whole_life(lab: &Lab, plugins: &Plugins) {
    let bridge = plugins.plugin("bridge");
    let containers = [lab.container("c1"), lab.container("c2")];
    bridge.add(&containers[0], &network()).ok();
    bridge.del(&containers[0], &network()).quiet();
    let before = lab.state();
    let results = containers.each_ref().map(|container| {
        let result = bridge.add(container, &network()).ok();
        bridge.check(container, &network(), &result).quiet();
        result
    });
    for ip in answer::ips(&results[1]) {
        assert!(traffic::ping(&containers[0].netns, &ip), "ping {ip}");
    }
    containers.iter().for_each(|container| bridge.del(container, &network()).quiet());
    before.assert_same(&lab.state(), "a whole life");
}

fn our_bridge_with_their_host_local(lab: &Lab) {
    whole_life(lab, &lab.plugins().clone().delegating_to(&[theirs().dir().into()]));
}

fn their_bridge_with_our_host_local(lab: &Lab) {
    whole_life(lab, &theirs().delegating_to(&[lab.plugins().dir().into()]));
}

fn our_bridge_with_their_static(lab: &Lab) {
    let plugins = lab.plugins().clone().delegating_to(&[theirs().dir().into()]);
    let ipam = json!({"type": "static", "addresses": [{"address": "10.77.0.9/24", "gateway": "10.77.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}]});
    let conf = conf::bridge("net").without("isDefaultGateway").with("isGateway", true).with("ipam", ipam);
    let c1 = lab.container("c1");
    let result = plugins.plugin("bridge").add(&c1, &conf).ok();
    assert_eq!(answer::ip(&result), "10.77.0.9");
    assert!(traffic::ping(&c1.netns, "10.77.0.1"));
    plugins.plugin("bridge").check(&c1, &conf, &result).quiet();
    plugins.plugin("bridge").del(&c1, &conf).quiet();
}

/// Our bridge, without the keys that the list supplies, before one more plugin.
fn chain(lab: &Lab, next: Value) -> Chain {
    Chain::new(lab, vec![network().without("name").without("cniVersion"), next])
}

fn their_tuning_after_our_bridge(lab: &Lab) {
    let tuning = json!({"type": "tuning", "mac": "02:00:00:00:00:77", "mtu": 1300,
        "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}});
    let chain = chain(lab, tuning).with_theirs(&["tuning"]);
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    assert_eq!(answer::interface(&result, 2, "mac"), "02:00:00:00:00:77");
    assert!(traffic::ping(&c1.netns, "10.77.0.1"));
    chain.check(&c1, &result);
    chain.del(&c1, &result);
    assert!(!lab.state().text().contains("link veth"), "{}", lab.state().text());
}

fn their_portmap_after_our_bridge(lab: &Lab) {
    let outside = traffic::outside(lab);
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let mut chain = chain(lab, portmap).with_theirs(&["portmap"]);
    chain.runtime_config =
        json!({"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]});
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    let published = format!("{}:8080", traffic::HOST_OUTSIDE[0]);
    let listen = format!("{}:80", answer::ips(&result)[0]);
    let seen = traffic::tcp_translated(&outside, &published, &c1.netns, &listen).unwrap();
    assert_eq!(seen.to_string(), traffic::OUTSIDE[0], "the container sees who called");
    chain.del(&c1, &result);
    let rules = lab.host().sh("iptables -t nat -S");
    assert!(!rules.contains("c1"), "{rules}");
}

fn every_other_plugin_of_a_list_is_theirs(lab: &Lab) {
    let outside = traffic::outside(lab);
    let list = vec![
        network().without("name").without("cniVersion"),
        json!({"type": "portmap", "capabilities": {"portMappings": true}}),
        json!({"type": "firewall"}),
        json!({"type": "bandwidth", "ingressRate": 100_000_000, "ingressBurst": 10_000_000,
            "egressRate": 100_000_000, "egressBurst": 10_000_000}),
        json!({"type": "tuning", "mtu": 1400}),
    ];
    let mut chain = Chain::new(lab, list);
    chain.runtime_config =
        json!({"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]});
    for theirs in [&["bridge", "firewall", "tuning"][..], &["portmap", "bandwidth"]] {
        let chain = chain.clone().with_theirs(theirs);
        let warm = lab.container("warm");
        let result = chain.add(&warm);
        chain.del(&warm, &result);
        lab.delete_container(&warm);
        let before = without_ports(lab);
        let c1 = lab.container("c1");
        let result = chain.add(&c1);
        let published = format!("{}:8080", traffic::HOST_OUTSIDE[0]);
        let listen = format!("{}:80", answer::ips(&result)[0]);
        let seen = traffic::tcp_translated(&outside, &published, &c1.netns, &listen).unwrap();
        assert_eq!(seen.to_string(), traffic::OUTSIDE[0], "theirs: {theirs:?}");
        chain.del(&c1, &result);
        lab.delete_container(&c1);
        let left = before.difference(&without_ports(lab));
        assert!(!left.lines().any(|line| line.starts_with('+')), "theirs: {theirs:?}:\n{left}");
    }
}

/// The state after a container of the reference's has come and gone: what it leaves for all stays.
fn warm(lab: &Lab) -> Snapshot {
    let c0 = lab.container("c0");
    for plugins in [theirs(), lab.plugins().clone()] {
        plugins.plugin("bridge").add(&c0, &network()).ok();
        plugins.plugin("bridge").del(&c0, &network()).quiet();
    }
    lab.delete_container(&c0);
    without_ports(lab)
}

fn without_ports(lab: &Lab) -> Snapshot {
    eventually("the ports of the bridge go", Duration::from_secs(5), || {
        command::try_run("ip -o link show master br0").is_ok_and(|ports| ports.is_empty())
    });
    lab.state()
}

fn their_container(lab: &Lab) -> (Container, Value) {
    let c1 = lab.container("c1");
    let result = theirs().plugin("bridge").add(&c1, &network()).ok();
    assert!(lab.state().text().contains("id: \\\"c1\\\"") || lab.state().text().contains("CNI-"));
    (c1, result)
}

fn our_del_removes_what_their_bridge_made(lab: &Lab) {
    let before = warm(lab);
    let (c1, result) = their_container(lab);
    lab.plugin("bridge").del(&c1, &network().with_prev(&result)).quiet();
    lab.delete_container(&c1);
    before.assert_same(&without_ports(lab), "our DEL of their container");
}

fn our_del_removes_their_rules_without_the_namespace(lab: &Lab) {
    let before = warm(lab);
    let (c1, _) = their_container(lab);
    lab.delete_container(&c1);
    lab.plugin("bridge").on("DEL", &c1, &network()).env("CNI_NETNS", "").run().quiet();
    before.assert_same(&without_ports(lab), "our DEL without the namespace");
}

fn our_gc_removes_what_their_bridge_made(lab: &Lab) {
    let before = warm(lab);
    let (c1, _) = their_container(lab);
    lab.delete_container(&c1);
    lab.plugin("bridge").gc(&network().with("cniVersion", "1.1.0"), &[]).quiet();
    before.assert_same(&without_ports(lab), "our GC");
}

/// What versions of the reference newer than Debian's leave with `ipMasqBackend: nftables` and `macspoofchk`, for
/// container `abc123`, interface `eth0`, network `mynet`; the comment begins with two hashes of these names.
const THEIR_NFTABLES: &str = r#"
table inet cni_plugins_masquerade {
  chain masq_checks {
    ip saddr 10.77.0.2 ip daddr != 10.77.0.0/24 masquerade comment "d23676b4f2d9fe04-ebce0e3dd4dafae3, net: mynet, if: eth0, id: abc123"
    ip saddr 10.77.0.3 ip daddr != 10.77.0.0/24 masquerade comment "d23676b4f2d9fe04-0000000000000000, net: mynet, if: eth0, id: other"
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip daddr 224.0.0.0/4 return
    goto masq_checks
  }
}
table bridge nat {
  chain cni-br-iface-abc123-eth0-mac {
    ether saddr 02:00:00:00:00:02 return comment "macspoofchk-abc123-eth0"
    drop comment "macspoofchk-abc123-eth0"
  }
  chain cni-br-iface-abc123-eth0 {
    jump cni-br-iface-abc123-eth0-mac comment "macspoofchk-abc123-eth0"
  }
  chain PREROUTING {
    type filter hook prerouting priority -300; policy accept;
    iifname "veth01020304" jump cni-br-iface-abc123-eth0 comment "macspoofchk-abc123-eth0"
  }
}
"#;

fn our_del_removes_rules_of_their_nftables_backend(lab: &Lab) {
    let conf = network().with("name", "mynet").with("macspoofchk", true);
    for gone in [false, true] {
        let rules = lab.dir("nft").join("theirs");
        std::fs::write(&rules, format!("flush ruleset\n{THEIR_NFTABLES}")).unwrap();
        lab.host().sh(&format!("nft -f {}", rules.display()));
        let container = lab.container("abc123");
        let call = lab.plugin("bridge").on("DEL", &container, &conf);
        lab.delete_container(&container);
        if gone { call } else { call.env("CNI_NETNS", "") }.run().quiet();
        let left = lab.host().sh("nft list ruleset");
        assert!(!left.contains("abc123"), "{left}");
        assert!(left.contains("id: other"), "the rule of another container stays: {left}");
    }
}

fn an_upgraded_node_goes_on(lab: &Lab) {
    let before = warm(lab);
    let (c1, old) = their_container(lab);
    let bridge = lab.plugin("bridge");
    bridge.check(&c1, &network().without("ipMasq"), &old).quiet();
    let c2 = lab.container("c2");
    let new = bridge.add(&c2, &network()).ok();
    assert_ne!(answer::ips(&old), answer::ips(&new));
    for ip in answer::ips(&new) {
        assert!(traffic::ping(&c1.netns, &ip), "old and new talk: {ip}");
    }
    for (container, result) in [(&c1, old), (&c2, new)] {
        bridge.del(container, &network().with_prev(&result)).quiet();
        lab.delete_container(container);
    }
    before.assert_same(&without_ports(lab), "an upgraded node");
}

fn a_downgraded_node_goes_on(lab: &Lab) {
    let before = warm(lab);
    let c1 = lab.container("c1");
    let new = lab.plugin("bridge").add(&c1, &network()).ok();
    let bridge = theirs().plugin("bridge");
    bridge.check(&c1, &network(), &new).quiet();
    let c2 = lab.container("c2");
    let old = bridge.add(&c2, &network()).ok();
    for ip in answer::ips(&old) {
        assert!(traffic::ping(&c1.netns, &ip), "old and new talk: {ip}");
    }
    for (container, result) in [(&c1, new), (&c2, old)] {
        // Debian's version stumbles over an iptables chain that is not there, after it has done the rest; runtimes repeat.
        bridge.del(container, &network().with_prev(&result));
        bridge.del(container, &network().with_prev(&result)).quiet();
        lab.delete_container(container);
    }
    lab.plugin("bridge").gc(&network().with("cniVersion", "1.1.0"), &[]).quiet();
    before.assert_same(&without_ports(lab), "a downgraded node, after the garbage of our rules is collected");
}

fn both_write_leases_at_once_and_never_the_same(lab: &Lab) {
    let conf = conf::host_local("net", "10.77.0.0/26");
    let container = lab.container("c");
    let calls: Vec<_> = (0..40)
        .map(|n| {
            let plugins = if n % 2 == 0 { theirs() } else { lab.plugins().clone() };
            plugins.plugin("host-local").on("ADD", &container, &conf).id(&format!("c{n}"))
        })
        .collect();
    let mut ips: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = calls.iter().map(|call| scope.spawn(|| answer::ip(&call.run().ok()))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 40, "{ips:?}");
}
