//! The plugin firewall: which rules stand, what CHECK sees, what goes with DEL and GC, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::chain::Chain;
use tests::lab::conf::Change;
use tests::lab::firewall::{firewall, list, request, run};
use tests::lab::{Container, Lab};

tests::conformance! {
    both: [
        the_rules_of_iptables_stand_once,
        the_result_is_the_one_before,
        del_without_a_result_is_fine,
        the_first_of_a_list_is_refused,
        versions_begin_with_0_4_0,
    ]
    ours: [
        the_elements_stand_in_their_sets,
        the_rules_of_isolated_bridges_stand_once,
        what_was_flushed_is_seen_and_put_back,
        del_needs_nothing_but_its_records,
        del_without_a_record_goes_by_the_marks,
        del_bears_keys_of_the_wrong_type,
        gc_removes_what_is_gone_and_nothing_else,
    ]
}

fn the_elements_stand_in_their_sets(lab: &Lab) {
    let mut chain = list(lab, firewall().with("ingressPolicy", "isolated").with("antiSpoof", true));
    // The link-local address comes of the MAC.
    chain.plugins[0]["args"] = json!({"cni": {"mac": "02:00:00:00:00:05"}});
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    chain.check(&c1, &result);
    lab.picture().assert_golden("firewall_nftables");
    chain.del(&c1, &result);
    lab.state().assert_nothing_attached();
    assert!(lab.state().text().contains("elements = {\n\t\t\t\"br0\"\n"), "what bridges share stays");
}

fn the_rules_of_iptables_stand_once(lab: &Lab) {
    rules_of_iptables(lab, "same-bridge");
}

/// Debian's reference plugin does not know this policy; its newest source writes these rules.
fn the_rules_of_isolated_bridges_stand_once(lab: &Lab) {
    rules_of_iptables(lab, "isolated");
}

fn rules_of_iptables(lab: &Lab, policy: &str) {
    let keys = json!({"type": "firewall", "backend": "iptables", "ingressPolicy": policy,
        "iptablesAdminChainName": "MY-ADMIN"});
    let chain = list(lab, keys.clone());
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    run(lab, "ADD", &c1, &request(&keys, &result)).ok();
    chain.check(&c1, &result);
    let rules = |program: &str| {
        let all = lab.host().sh(&format!("{program} -S"));
        all.lines()
            .filter(|line| line.contains("CNI-") || line.contains("MY-"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let expected = |ip: &str| {
        let both = "-m comment --comment \"CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)\"";
        let one = format!("-m comment --comment \"CNI firewall plugin rules (ingressPolicy: {policy})\"");
        let drop = match policy {
            "isolated" => format!("-A CNI-ISOLATION-STAGE-1 -i br0 -o br0 {one} -j DROP\n"),
            _ => String::new(),
        };
        format!(
            "-N CNI-FORWARD\n-N CNI-ISOLATION-STAGE-1\n-N CNI-ISOLATION-STAGE-2\n-N MY-ADMIN\n\
             -A FORWARD {both} -j CNI-ISOLATION-STAGE-1\n\
             -A FORWARD -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD\n\
             -A CNI-FORWARD -m comment --comment \"CNI firewall plugin admin overrides\" -j MY-ADMIN\n\
             -A CNI-FORWARD -d {ip} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A CNI-FORWARD -s {ip} -j ACCEPT\n\
             {drop}-A CNI-ISOLATION-STAGE-1 -i br0 ! -o br0 {one} -j CNI-ISOLATION-STAGE-2\n\
             -A CNI-ISOLATION-STAGE-1 {both} -j RETURN\n\
             -A CNI-ISOLATION-STAGE-2 -o br0 {both} -j DROP\n\
             -A CNI-ISOLATION-STAGE-2 {both} -j RETURN\n"
        )
    };
    // Debian's version knew one policy only, and its comments say so.
    let either = |text: String| text.replace("same-bridge|isolated", "same-bridge");
    for (program, ip) in [("iptables", "10.77.0.2/32"), ("ip6tables", "fd77::2/128")] {
        match lab.plugins().are_reference() {
            true => assert_eq!(either(rules(program)), either(expected(ip))),
            false => assert_eq!(rules(program), expected(ip)),
        }
    }
    chain.del(&c1, &result);
    let left = rules("iptables") + &rules("ip6tables");
    assert!(!left.contains("77"), "{left}");
    assert!(left.contains("MY-ADMIN") && left.contains("STAGE-2"), "what all share stays: {left}");
    run(lab, "DEL", &c1, &request(&keys, &result)).quiet();
}

fn the_result_is_the_one_before(lab: &Lab) {
    let mut chain = list(lab, firewall());
    let c1 = lab.container("c1");
    let bridge = Chain { plugins: vec![chain.plugins.remove(0)], ..chain.clone() };
    let before = bridge.add(&c1);
    assert_eq!(run(lab, "ADD", &c1, &request(&firewall(), &before)).ok(), before);
}

fn del_without_a_result_is_fine(lab: &Lab) {
    let c1 = lab.container("c1");
    run(lab, "DEL", &c1, &request(&firewall(), &Value::Null)).quiet();
}

fn the_first_of_a_list_is_refused(lab: &Lab) {
    let c1 = lab.container("c1");
    for verb in ["ADD", "CHECK"] {
        let refused = run(lab, verb, &c1, &request(&firewall(), &Value::Null)).failure();
        assert!(refused.text.to_lowercase().contains("prevresult"), "{}", refused.text);
    }
}

fn versions_begin_with_0_4_0(lab: &Lab) {
    let versions = lab.plugin("firewall").call("VERSION").conf(&json!({"cniVersion": "1.0.0"})).run().ok();
    assert_eq!(versions["supportedVersions"][0], "0.4.0");
    let old = request(&firewall(), &Value::Null).with("cniVersion", "0.3.1");
    let refused = run(lab, "ADD", &lab.container("c1"), &old).failure();
    assert_eq!(refused.code, 1, "{}", refused.text);
}

fn what_was_flushed_is_seen_and_put_back(lab: &Lab) {
    let keys = firewall().with("ingressPolicy", "same-bridge").with("antiSpoof", true);
    let chain = list(lab, keys.clone());
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    let whole = lab.picture();
    for harm in [
        "nft flush ruleset",
        "nft flush chain inet tidewater forward",
        "nft flush chain inet tidewater isolation",
        "nft flush set inet tidewater accept-v4",
        "nft flush set inet tidewater segregated",
        "nft flush set bridge tidewater guard-macs",
        "nft flush set inet tidewater guard-v6",
        "nft flush chain bridge tidewater guarded-icmp6",
        "nft flush table bridge tidewater",
    ] {
        lab.host().sh(harm);
        let broken = lab.state();
        run(lab, "CHECK", &c1, &request(&keys, &result)).failure();
        broken.assert_same(&lab.state(), "CHECK changes nothing");
        run(lab, "ADD", &c1, &request(&keys, &result)).ok();
        if !harm.ends_with("icmp6") {
            assert_eq!(whole.difference(&lab.picture()), "", "{harm}");
            chain.check(&c1, &result);
        } else {
            lab.host().sh("nft flush table bridge tidewater");
            run(lab, "ADD", &c1, &request(&keys, &result)).ok();
        }
    }
}

fn del_needs_nothing_but_its_records(lab: &Lab) {
    for backend in ["nftables", "iptables"] {
        let keys =
            firewall().with("backend", backend).with("ingressPolicy", "isolated").with("antiSpoof", true);
        let chain = list(lab, keys);
        let c1 = lab.container("c1");
        let warm = chain.add(&c1);
        chain.del(&c1, &warm);
        let before = lab.state();
        chain.add(&c1);
        lab.delete_container(&c1);
        let bare = request(&json!({"type": "firewall", "backend": "typo"}), &Value::Null);
        lab.plugin("firewall").on("DEL", &c1, &bare).env("CNI_NETNS", "").run().quiet();
        lab.plugin("firewall").on("DEL", &c1, &bare).env("CNI_NETNS", "").run().quiet();
        Chain { plugins: chain.plugins[..1].to_vec(), ..chain.clone() }.del(&c1, &Value::Null);
        let c1 = lab.container("c1");
        before.assert_same(&lab.state(), backend);
        lab.delete_container(&c1);
    }
}

fn del_without_a_record_goes_by_the_marks(lab: &Lab) {
    let keys = firewall().with("ingressPolicy", "isolated").with("antiSpoof", true);
    let chain = list(lab, keys.clone());
    let [c1, c2] = ["c1", "c2"].map(|id| lab.container(id));
    chain.add(&c1);
    let other = chain.add(&c2);
    lab.host().sh("rm -r /run/tidewater/rules");
    run(lab, "DEL", &c1, &request(&keys, &Value::Null)).quiet();
    let left = lab.host().sh("nft list ruleset");
    assert!(!left.contains("id: c1") && left.contains("id: c2"), "{left}");
    run(lab, "DEL", &c2, &request(&keys, &other)).quiet();
    assert!(!lab.host().sh("nft list ruleset").contains("id: c2"));
}

/// A runtime calls DEL after an ADD that such keys let fail; one that fails too would keep the container for ever.
fn del_bears_keys_of_the_wrong_type(lab: &Lab) {
    let wrong =
        json!({"antiSpoof": "true", "backend": 7, "ingressPolicy": [], "ipMasq": "yes", "bridge": {}});
    let chain = list(lab, firewall().with("antiSpoof", true));
    let c1 = lab.container("c1");
    let result = chain.add(&c1);
    for plugin in ["firewall", "portmap", "bandwidth", "tuning", "bridge"] {
        let mut conf = request(&json!({"type": plugin}), &result);
        wrong.as_object().unwrap().iter().for_each(|(key, value)| conf[key] = value.clone());
        if plugin == "bridge" {
            conf["ipam"] = chain.plugins[0]["ipam"].clone();
        }
        let before = lab.state();
        for id in ["c9", "c1"] {
            let other = Container { id: id.into(), ..c1.clone() };
            let done = lab.plugin(plugin).on("DEL", &other, &conf).run();
            assert!(done.succeeded(), "{plugin}: {done}");
            if id == "c9" {
                before.assert_same(&lab.state(), "a DEL of somebody else");
            }
        }
    }
    lab.state().assert_nothing_attached();
}

fn gc_removes_what_is_gone_and_nothing_else(lab: &Lab) {
    for backend in ["nftables", "iptables"] {
        let keys =
            firewall().with("backend", backend).with("ingressPolicy", "isolated").with("antiSpoof", true);
        let chain = list(lab, keys.clone());
        let mut elsewhere = chain.clone();
        elsewhere.name = "elsewhere".into();
        elsewhere.plugins[0]["ipam"]["ranges"] = json!([[{"subnet": "10.79.0.0/24"}]]);
        elsewhere.plugins[0]["bridge"] = json!("br9");
        let [c1, c2, c3] = ["c1", "c2", "c3"].map(|id| lab.container(id));
        let results = [chain.add(&c1), chain.add(&c2), elsewhere.add(&c3)];
        let conf = request(&keys, &Value::Null).with("cniVersion", "1.1.0");
        lab.plugin("firewall").gc(&conf, &["c2"]).quiet();
        run(lab, "CHECK", &c1, &request(&keys, &results[0])).failure();
        chain.check(&c2, &results[1]);
        elsewhere.check(&c3, &results[2]);
        assert_eq!(std::fs::read_dir("/run/tidewater/rules").unwrap().count(), 4, "{backend}");
        chain.del(&c1, &results[0]);
        chain.del(&c2, &results[1]);
        elsewhere.del(&c3, &results[2]);
        [&c1, &c2, &c3].into_iter().for_each(|container| lab.delete_container(container));
    }
}
