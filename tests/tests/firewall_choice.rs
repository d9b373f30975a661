//! Who writes the firewall's rules, what is refused, and many or a late one at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::{Value, json};
use tests::lab::chain::Chain;
use tests::lab::conf::Change;
use tests::lab::firewall::{firewall, list, request, run};
use tests::lab::{Lab, answer, command};

tests::conformance! {
    both: []
    ours: [
        eight_at_once_make_everything_once,
        the_host_decides_who_writes,
        what_cannot_be_is_refused_without_a_trace,
        status_says_what_is_missing,
        a_successors_rules_stay,
        a_successor_of_one_whose_del_never_came_keeps_its_rules,
    ]
}

fn eight_at_once_make_everything_once(lab: &Lab) {
    for backend in ["nftables", "iptables"] {
        let keys =
            firewall().with("backend", backend).with("ingressPolicy", "isolated").with("antiSpoof", true);
        let chain = list(lab, keys.clone());
        let bridge = Chain { plugins: chain.plugins[..1].to_vec(), ..chain.clone() };
        let containers: Vec<_> = (0..8).map(|n| lab.container(&format!("c{n}"))).collect();
        let results: Vec<_> = containers.iter().map(|container| bridge.add(container)).collect();
        let at_once = |verb: &str| {
            let calls = containers.iter().zip(&results).map(|(container, result)| {
                lab.plugin("firewall").on(verb, container, &request(&keys, result))
            });
            let calls: Vec<_> = calls.collect();
            let host = lab.host();
            std::thread::scope(|scope| {
                let running: Vec<_> =
                    calls.iter().map(|call| scope.spawn(move || host.run(|| call.run()))).collect();
                running.into_iter().for_each(|thread| drop(thread.join().unwrap().ok()));
            });
        };
        at_once("ADD");
        let listed = lab.host().sh("nft -s list ruleset");
        for once in ["iifname @isolated meta protocol != arp drop", "iifname @guard-ports jump guarded"] {
            let times = listed.matches(once).count();
            assert_eq!(times, if once.contains("guard") { 3 } else { 1 }, "{once}: {listed}");
        }
        if backend == "iptables" {
            let rules = lab.host().sh("iptables -S");
            let mut lines: Vec<_> = rules.lines().collect();
            lines.sort_unstable();
            lines.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "{rules}"));
        } else {
            assert_eq!(listed.matches("jump isolation").count(), 1, "{listed}");
        }
        at_once("CHECK");
        at_once("DEL");
        assert!(!lab.host().sh("nft list ruleset").contains("id: c"));
        for (container, result) in containers.iter().zip(&results) {
            bridge.del(container, result);
            lab.delete_container(container);
        }
    }
}

fn the_host_decides_who_writes(lab: &Lab) {
    let backend_after = |prepare: &[&str], keys: Value| {
        prepare.iter().for_each(|line| drop(lab.host().sh(line)));
        let chain = list(lab, keys);
        let c1 = lab.container("c1");
        let result = chain.add(&c1);
        let by_iptables = lab
            .host()
            .run(|| command::try_run("iptables -S CNI-FORWARD"))
            .is_ok_and(|rules| rules.contains("10.77"));
        chain.check(&c1, &result);
        chain.del(&c1, &result);
        lab.delete_container(&c1);
        lab.host().sh("nft flush ruleset");
        if by_iptables { "iptables" } else { "nftables" }
    };
    assert_eq!(backend_after(&[], firewall()), "nftables");
    assert_eq!(backend_after(&["iptables -A FORWARD -j ACCEPT"], firewall()), "nftables");
    assert_eq!(backend_after(&["iptables -P FORWARD DROP"], firewall()), "iptables");
    assert_eq!(
        backend_after(&["iptables -P FORWARD DROP"], firewall().with("backend", "nftables")),
        "nftables"
    );
    assert_eq!(backend_after(&["ip6tables -A FORWARD -j REJECT"], firewall()), "iptables");
    assert_eq!(backend_after(&["iptables -A FORWARD -j DROP"], firewall().with("backend", "")), "iptables");
    assert_eq!(backend_after(&["iptables -N CNI-ADMIN"], firewall()), "iptables");
    assert_eq!(backend_after(&[], firewall().with("iptablesAdminChainName", "MINE")), "iptables");
}

fn what_cannot_be_is_refused_without_a_trace(lab: &Lab) {
    let chain = list(lab, firewall());
    let bridge = Chain { plugins: chain.plugins[..1].to_vec(), ..chain };
    let c1 = lab.container("c1");
    let result = bridge.add(&c1);
    let before = lab.state();
    let mut outside_only = result.clone();
    outside_only["interfaces"] = json!([]);
    outside_only["ips"] = json!([]);
    for (keys, prev, code, words) in [
        (firewall().with("backend", "pf"), &result, 7, ["pf", "nftables"]),
        (firewall().with("ingressPolicy", "deny"), &result, 7, ["deny", "same-bridge"]),
        (firewall().with("ingressPolicy", "same-bridge"), &outside_only, 7, ["bridge", "first interface"]),
        (firewall().with("iptablesAdminChainName", "a\nb"), &result, 7, ["chain", "letters"]),
        (firewall().with("antiSpoof", true), &outside_only, 7, ["eth0", "prevresult"]),
        (firewall().with("antiSpoof", "yes"), &result, 6, ["antiSpoof", "boolean"]),
    ] {
        run(lab, "ADD", &c1, &request(&keys, prev)).fails(code, &words);
        before.assert_same(&lab.state(), &keys.to_string());
    }
    let nowhere = request(&firewall().with("backend", "firewalld"), &result);
    run(lab, "ADD", &c1, &nowhere).fails(999, &["system bus"]);
    before.assert_same(&lab.state(), "no bus, no trace");
}

fn status_says_what_is_missing(lab: &Lab) {
    let status = |keys: Value| {
        lab.plugin("firewall").status(&request(&keys, &Value::Null).with("cniVersion", "1.1.0"))
    };
    for keys in [firewall(), firewall().with("backend", "iptables"), firewall().with("antiSpoof", true)] {
        status(keys).quiet();
    }
    status(firewall().with("backend", "firewalld")).fails(50, &["system bus"]);
    assert!(!Path::new("/run/tidewater").exists());
}

/// A DEL that comes again, after the address went to another container.
/// A list whose network has one address of each family.
fn with_one_address(lab: &Lab, firewall: Value) -> Chain {
    let mut chain = list(lab, firewall);
    let only = |subnet: &str, ip: &str| json!([{"subnet": subnet, "rangeStart": ip, "rangeEnd": ip}]);
    chain.plugins[0]["ipam"]["ranges"] =
        json!([only("10.77.0.0/24", "10.77.0.9"), only("fd77::/64", "fd77::9")]);
    chain
}

/// The address is free again, and firewall has not heard of it.
fn a_successor_of_one_whose_del_never_came_keeps_its_rules(lab: &Lab) {
    for backend in ["nftables", "iptables"] {
        let keys = firewall().with("backend", backend);
        let chain = with_one_address(lab, keys.clone());
        let [c1, c2] = ["c1", "c2"].map(|id| lab.container(id));
        let first = chain.add(&c1);
        let mut bridge = with_one_address(lab, keys.clone());
        bridge.plugins.truncate(1);
        bridge.del(&c1, &first);
        let second = chain.add(&c2);
        run(lab, "DEL", &c1, &request(&keys, &first)).quiet();
        chain.check(&c2, &second);
        chain.del(&c2, &second);
        let left = lab.host().sh("nft list ruleset");
        assert!(!left.contains("10.77.0.9") && !left.contains("fd77::9"), "{left}");
        [&c1, &c2].into_iter().for_each(|container| lab.delete_container(container));
    }
}

fn a_successors_rules_stay(lab: &Lab) {
    for backend in ["nftables", "iptables"] {
        let keys = firewall().with("backend", backend);
        let chain = with_one_address(lab, keys.clone());
        let [c1, c2] = ["c1", "c2"].map(|id| lab.container(id));
        let first = chain.add(&c1);
        chain.del(&c1, &first);
        let second = chain.add(&c2);
        assert_eq!(answer::ips(&first), answer::ips(&second));
        run(lab, "DEL", &c1, &request(&keys, &first)).quiet();
        chain.check(&c2, &second);
        chain.del(&c2, &second);
        [&c1, &c2].into_iter().for_each(|container| lab.delete_container(container));
    }
}
