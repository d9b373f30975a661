//! What every plugin of ours has in common: VERSION, what a person sees who starts it by hand, and loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Call, Lab, command};

const PLUGINS: [&str; 9] =
    ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "ptp", "static", "tuning"];
const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

tests::conformance! {
    both: [
        somebody_who_starts_it_by_hand_learns_what_it_is,
        loopback_brings_up_lo,
        unknown_keys_are_nobodys_business,
    ]
    ours: [
        version_lists_all_versions,
        version_bears_whatever_runtimes_send,
        nothing_else_is_printed,
    ]
}

/// What a plugin speaks: bandwidth finds its way by the interfaces of a result, which are new in 0.3.0; the
/// reference's firewall begins later too.
fn versions(plugin: &str) -> &'static [&'static str] {
    match plugin {
        "bandwidth" => &VERSIONS[2..],
        "firewall" => &VERSIONS[4..],
        _ => &VERSIONS,
    }
}

fn version(lab: &Lab, plugin: &str, stdin: &str) -> Value {
    probe(lab, plugin).stdin(stdin).run().ok()
}

/// As libcni and podman ask: all variables are there, and mean nothing.
fn probe(lab: &Lab, plugin: &str) -> Call {
    let call = lab.plugin(plugin).call("VERSION").id("dummy").ifname("dummy");
    call.env("CNI_NETNS", "dummy").env("CNI_PATH", "dummy").args("dummy")
}

fn version_lists_all_versions(lab: &Lab) {
    for plugin in PLUGINS {
        let answer = version(lab, plugin, r#"{"cniVersion": "1.1.0"}"#);
        assert_eq!(answer, json!({"cniVersion": "1.1.0", "supportedVersions": versions(plugin)}), "{plugin}");
    }
}

fn version_bears_whatever_runtimes_send(lab: &Lab) {
    for plugin in PLUGINS {
        for stdin in [r#"{"cniVersion": "1.0.0"}"#, r#"{"cniVersion": "0.1.0"}"#, "{}", ""] {
            let answer = version(lab, plugin, stdin);
            assert_eq!(answer["supportedVersions"], json!(versions(plugin)), "{plugin}: {stdin}");
            assert!(answer["cniVersion"].is_string(), "{plugin}: {stdin}: {answer}");
        }
    }
}

fn somebody_who_starts_it_by_hand_learns_what_it_is(lab: &Lab) {
    for plugin in PLUGINS {
        let mut process = lab.plugin(plugin).call("").without_env("CNI_COMMAND").command();
        let done = command::finish(&mut process, b"", Duration::from_secs(10));
        assert_eq!((done.status.code(), done.stdout.as_str()), (Some(0), ""), "{plugin}");
        assert!(
            done.stderr
                .contains(&format!("CNI protocol versions supported: {}", versions(plugin)[..2].join(", "))),
            "{plugin}: {}",
            done.stderr
        );
        assert!(done.stderr.to_lowercase().contains(plugin), "{plugin}: {}", done.stderr);
    }
}

fn loopback_brings_up_lo(lab: &Lab) {
    for version in ["0.3.1", "0.4.0", "1.0.0"] {
        let conf = json!({"cniVersion": version, "name": "cni-loopback", "type": "loopback"});
        let container = lab.container(&format!("c-{version}"));
        let on =
            |verb: &str, conf: &Value| lab.plugin("loopback").on(verb, &container, conf).ifname("lo").run();
        let result = on("ADD", &conf).ok();
        let addresses: Vec<_> = result["ips"].as_array().unwrap().iter().map(|ip| &ip["address"]).collect();
        assert_eq!(addresses, ["127.0.0.1/8", "::1/128"], "{version}");
        assert!(container.netns.sh("ip -o link show dev lo").contains(",UP"), "{version}");
        if version >= "0.4.0" {
            on("CHECK", &conf.clone().with_prev(&result)).quiet();
            container.netns.sh("ip link set lo down");
            on("CHECK", &conf.clone().with_prev(&result)).failure();
        }
        on("DEL", &conf).quiet();
        on("DEL", &conf).quiet();
        assert!(!container.netns.sh("ip -o link show dev lo").contains(",UP"), "{version}");
    }
}

fn unknown_keys_are_nobodys_business(lab: &Lab) {
    let conf = conf::bridge("net").with("cni.dev/whatever", 7).with("unknown", json!({"a": [1]}));
    let conf =
        conf.with("capabilities", json!({"portMappings": true})).with("runtimeConfig", json!({"dns": {}}));
    lab.plugin("bridge").add(&lab.container("c1"), &conf.with_at("ipam.unknown", true)).ok();
}

fn nothing_else_is_printed(lab: &Lab) {
    let conf = conf::dual_stack("net").with("cniVersion", "1.1.0").with("ipMasq", true);
    let (bridge, c1) = (lab.plugin("bridge"), lab.container("c1"));
    let added = bridge.add(&c1, &conf);
    let others = [
        bridge.check(&c1, &conf, &added.ok()),
        bridge.status(&conf),
        bridge.gc(&conf, &["c1"]),
        bridge.del(&c1, &conf),
    ];
    for outcome in others.iter().chain([&added]) {
        assert_eq!(outcome.done.stderr, "", "{outcome}");
    }
    others.iter().for_each(|outcome| assert_eq!(outcome.done.stdout, "", "{outcome}"));
}
