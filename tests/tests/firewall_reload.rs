//! What the plugin firewall made comes back by `net-ctl firewall reload`, whoever flushed it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::lab::chain::Chain;
use tests::lab::conf::{self, Change};

tests::conformance! {
    both: []
    ours: [
        elements_come_back,
        rules_of_iptables_come_back,
        the_administrators_chain_is_not_touched,
        reload_leaves_nothing_of_those_that_go_meanwhile,
    ]
}

/// Bridge, port mapping and firewall, as a node chains them.
fn list(lab: &Lab, firewall: Value) -> Chain {
    let bridge = conf::dual_stack("x").with("ipMasq", true).without("name").without("cniVersion");
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let mut chain = Chain::new(lab, vec![bridge, portmap, firewall]);
    chain.runtime_config = json!({"portMappings": [{"hostPort": 8080, "containerPort": 80}]});
    chain
}

fn reload(lab: &Lab) -> Value {
    let program = lab.plugins().net_ctl().display().to_string();
    serde_json::from_str(&lab.host().sh(&format!("{program} firewall reload --json"))).unwrap()
}

fn elements_come_back(lab: &Lab) {
    let keys = json!({"type": "firewall", "ingressPolicy": "isolated", "antiSpoof": true});
    let chain = list(lab, keys);
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    let before = lab.state();
    for loss in ["flush ruleset", "delete table inet tidewater", "delete table bridge tidewater"] {
        lab.host().sh(&format!("nft {loss}"));
        assert_ne!(before.difference(&lab.state()), "", "{loss} loses something");
        let done = reload(lab);
        for kind in done["reloaded"].as_array().unwrap() {
            assert_eq!(kind["attachments"], i32::from(kind["kind"] != "macspoofchk"), "{kind}");
        }
        before.assert_same_lines(&lab.state(), &format!("{loss}, then a reload"));
        chain.check(&c1, &result);
    }
    chain.del(&c1, &result);
    lab.state().assert_nothing_attached();
}

fn reload_leaves_nothing_of_those_that_go_meanwhile(lab: &Lab) {
    let chain = list(lab, json!({"type": "firewall", "antiSpoof": true}));
    let containers: Vec<_> = (0..24).map(|n| lab.container(&format!("c{n}"))).collect();
    let results: Vec<_> = containers
        .iter()
        .zip(8080..)
        .map(|(container, port)| {
            let mut chain = chain.clone();
            chain.runtime_config = json!({"portMappings": [{"hostPort": port, "containerPort": 80}]});
            chain.add(container)
        })
        .collect();
    let program = lab.plugins().net_ctl();
    std::thread::scope(|scope| {
        let host = lab.host().clone();
        let reloads = scope.spawn(move || {
            host.run(|| {
                for _ in 0..40 {
                    std::process::Command::new(&program)
                        .args(["firewall", "reload", "--json"])
                        .output()
                        .unwrap();
                }
            });
        });
        containers.iter().zip(&results).for_each(|(container, result)| chain.del(container, result));
        reloads.join().unwrap();
    });
    lab.state().assert_nothing_attached();
    let left = lab.state().text().to_owned();
    assert!(!left.contains("id: c") && !left.contains("/run/tidewater/rules"), "{left}");
}

fn rules_of_iptables_come_back(lab: &Lab) {
    let keys = json!({"type": "firewall", "backend": "iptables", "ingressPolicy": "same-bridge"});
    let mut chain = list(lab, keys);
    chain.plugins[1]["backend"] = json!("iptables");
    chain.plugins[0]["ipMasqBackend"] = json!("iptables");
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    let rules = || lab.host().sh("iptables-save") + &lab.host().sh("ip6tables-save");
    let shown = |text: String| -> Vec<String> {
        let mut lines: Vec<String> =
            text.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = shown(rules());
    assert!(before.len() > 10, "{before:?}");
    lab.host().sh("nft flush ruleset");
    reload(lab);
    assert_eq!(shown(rules()), before);
    reload(lab);
    assert_eq!(shown(rules()), before, "a second reload doubles nothing");
    chain.del(&c1, &result);
    assert!(!rules().contains("10.77.0.2"), "{}", rules());
}

fn the_administrators_chain_is_not_touched(lab: &Lab) {
    let chain = list(lab, json!({"type": "firewall"}));
    let [c1, c2] = ["c1", "c2"].map(|id| lab.container(id));
    let first = chain.add(&c1);
    lab.host().sh("nft add rule inet tidewater admin ip saddr 192.0.2.7 counter drop");
    let admins = || lab.host().sh("nft list chain inet tidewater admin");
    let before = admins();
    let mut other = chain.clone();
    other.runtime_config = json!({"portMappings": [{"hostPort": 9090, "containerPort": 80}]});
    let second = other.add(&c2);
    lab.host().sh("nft flush chain inet tidewater forward");
    reload(lab);
    chain.del(&c1, &first);
    other.del(&c2, &second);
    assert_eq!(admins(), before);
    let forward = lab.host().sh("nft list chain inet tidewater forward");
    let jump = forward.lines().find(|line| line.contains("jump")).unwrap();
    assert_eq!(jump.trim(), "jump admin", "it is asked first: {forward}");
}
