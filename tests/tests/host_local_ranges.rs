//! Ranges of addresses that make no sense are refused, and the error says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Lab, answer};

const LEASES: &str = "/var/lib/cni/networks/net";

tests::conformance! {
    both: [
        ranges_that_make_no_sense,
        too_many_addresses_for_an_old_version,
        requested_addresses_that_cannot_be,
        the_order_of_sets_is_the_order_of_addresses,
        leases_are_written_in_the_common_form,
    ]
    ours: [
        leases_are_readable_by_their_owner_only,
    ]
}

fn refused(lab: &Lab, ipam: &Value, words: &[&str]) {
    let container = lab.container("c1");
    let before = lab.state();
    let conf = conf::host_local("net", "10.77.0.0/24").with("ipam", ipam.clone());
    let failure = lab.plugin("host-local").add(&container, &conf).failure();
    let text = failure.text.to_lowercase();
    for word in words {
        assert!(text.contains(&word.to_lowercase()), "{ipam}: {word:?} is missing in: {}", failure.text);
    }
    if !lab.plugins().are_reference() {
        before.assert_same(&lab.state(), &ipam.to_string());
    }
    lab.delete_container(&container);
}

fn ranges_that_make_no_sense(lab: &Lab) {
    let v4 = "10.77.0.0/24";
    for (ranges, words) in [
        (json!([]), ["no IP ranges specified", ""]),
        (json!([[]]), ["empty", ""]),
        (json!([[{"subnet": "10.77.0.0/31"}]]), ["10.77.0.0/31", "too small"]),
        (json!([[{"subnet": "fd77::/127"}]]), ["fd77::/127", "too small"]),
        (json!([[{"subnet": "10.77.0.5/24"}]]), ["host bits set", "10.77.0.0"]),
        (json!([[{"subnet": v4, "rangeStart": "10.78.0.5"}]]), ["RangeStart 10.78.0.5", "not in network"]),
        (json!([[{"subnet": v4, "rangeEnd": "10.78.0.5"}]]), ["RangeEnd 10.78.0.5", "not in network"]),
        (json!([[{"subnet": v4}, {"subnet": "fd77::/64"}]]), ["mixed address families", ""]),
        (json!([[{"subnet": v4}, {"subnet": "10.77.0.0/16"}]]), ["overlap", "10.77"]),
        (json!([[{"subnet": v4}], [{"subnet": v4}]]), ["overlap", ""]),
    ] {
        refused(lab, &json!({"type": "host-local", "ranges": ranges}), &words);
    }
    refused(lab, &json!({"type": "host-local"}), &["no IP ranges specified"]);
}

fn too_many_addresses_for_an_old_version(lab: &Lab) {
    let ranges = json!([[{"subnet": "10.77.0.0/24"}], [{"subnet": "10.78.0.0/24"}]]);
    let conf =
        conf::host_local("net", "10.77.0.0/24").with_at("ipam.ranges", ranges).with("cniVersion", "0.2.0");
    let failure = lab.plugin("host-local").add(&lab.container("c1"), &conf).failure();
    assert!(failure.text.contains("does not support more than 1 address per family"), "{}", failure.text);
}

fn requested_addresses_that_cannot_be(lab: &Lab) {
    let conf = conf::host_local("net", "10.77.0.0/24");
    lab.plugin("host-local").add(&lab.container("holder"), &conf).ok();
    let before = lab.state();
    for (ip, words) in [
        ("10.77.0.1", ["gateway", "10.77.0.1"]),
        ("10.77.0.2", ["not available", "10.77.0.2"]),
        ("10.78.0.2", ["10.78.0.2", ""]),
        ("banana", ["banana", ""]),
    ] {
        let container = lab.container("c1");
        let call = lab.plugin("host-local").on("ADD", &container, &conf);
        let failure = call.args(&format!("IP={ip}")).run().failure();
        words.iter().for_each(|word| assert!(failure.text.contains(word), "{ip}: {}", failure.text));
        lab.delete_container(&container);
        before.assert_same(&lab.state(), ip);
    }
}

fn the_order_of_sets_is_the_order_of_addresses(lab: &Lab) {
    let sets = json!([[{"subnet": "fd77::/64"}], [{"subnet": "10.77.0.0/24"}]]);
    let conf = conf::host_local("net", "10.99.0.0/24")
        .with_at("ipam.ranges", sets)
        .with_at("ipam.subnet", "10.78.0.0/24");
    let conf = conf.with("runtimeConfig", json!({"ipRanges": [[{"subnet": "10.79.0.0/24"}]]}));
    let result = lab.plugin("host-local").add(&lab.container("c1"), &conf).ok();
    let ips = answer::ips(&result);
    let networks = ["10.79.0.", "10.78.0.", "fd77::", "10.77.0."];
    let match_up = ips.len() == 4 && ips.iter().zip(networks).all(|(ip, network)| ip.starts_with(network));
    assert!(match_up, "ipRanges, then the single range, then ranges: {ips:?}");
}

fn leases_are_written_in_the_common_form(lab: &Lab) {
    let conf = conf::host_local("net", "10.77.0.0/24");
    let c1 = lab.container("c1");
    let ip = answer::ip(&lab.plugin("host-local").add(&c1, &conf).ok());
    assert_eq!(std::fs::read_to_string(format!("{LEASES}/{ip}")).unwrap(), "c1\r\neth0");
    assert_eq!(std::fs::read_to_string(format!("{LEASES}/last_reserved_ip.0")).unwrap(), ip);
    lab.plugin("host-local").del(&c1, &conf).quiet();
    assert!(!std::path::Path::new(LEASES).join(ip).exists());
}

fn leases_are_readable_by_their_owner_only(lab: &Lab) {
    let conf = conf::host_local("net", "10.77.0.0/24");
    let ip = answer::ip(&lab.plugin("host-local").add(&lab.container("c1"), &conf).ok());
    for (file, mode) in [(ip.as_str(), "600"), ("last_reserved_ip.0", "600"), ("lock", "750"), ("", "755")] {
        assert_eq!(lab.host().sh(&format!("stat -c %a {LEASES}/{file}")).trim(), mode, "{file:?}");
    }
}
