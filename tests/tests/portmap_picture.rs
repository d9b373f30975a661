//! What mappings are in the packet filter, as a picture in text: tests/golden/portmap_*.txt; and how few elements they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::Change;
use tests::lab::portmap::{Scene, tcp, udp};
use tests::lab::{Lab, skip, traffic};

tests::conformance! {
    both: []
    ours: [
        one_family,
        both_families,
        every_option,
        sctp_has_elements_of_its_own,
        many_single_ports_in_a_row_are_one_element,
        a_range_of_podman_is_one_element,
        ranges_that_change_the_number_are_single_elements,
        short_ranges_are_single_elements,
    ]
}

fn one_family(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let _c1 = scene.publish("c1", &json!([tcp(8080, 80)]));
    lab.picture().of_filter().assert_golden("portmap_v4");
}

fn both_families(lab: &Lab) {
    let scene = Scene::new(lab);
    let _c1 = scene.publish("c1", &json!([tcp(8080, 80), udp(5353, 53)]));
    lab.picture().of_filter().assert_golden("portmap_dual_stack");
}

fn every_option(lab: &Lab) {
    let options = [
        ("masqAll", json!(true)),
        ("markMasqBit", json!(5)),
        ("conditionsV4", json!(["ip", "saddr", "203.0.113.0/24"])),
    ];
    let scene = options.into_iter().fold(Scene::new(lab), |scene, (key, value)| scene.with(key, value));
    let at = |ip: &str| tcp(8080, 80).with("hostIP", ip);
    let range = udp(6000, 6000).with("range", 100);
    let _c1 = scene.publish("c1", &json!([at("203.0.113.1"), at("2001:db8::1"), range]));
    lab.picture().of_filter().assert_golden("portmap_options");
}

/// The elements of one map of the table, each on one line without its comment.
fn elements(lab: &Lab, map: &str) -> Vec<String> {
    let listed = lab.host().sh(&format!("nft -j list map inet tidewater {map}"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let found = listed["nftables"].as_array().unwrap().iter().find(|object| !object["map"].is_null());
    let elements = found.unwrap()["map"]["elem"].as_array().cloned().unwrap_or_default();
    elements.iter().map(|element| element[0]["elem"]["val"]["concat"].to_string()).collect()
}

fn published(lab: &Lab, mappings: &Value) {
    Scene::v4_only(lab).publish("c1", mappings);
}

fn sctp_has_elements_of_its_own(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &json!([tcp(8080, 80), tcp(8080, 81).with("protocol", "sctp")]));
    c1.check().quiet();
    for family in ["v4", "v6"] {
        let found = elements(lab, &format!("hostports-{family}-all"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.contains(&"[\"sctp\",8080]".to_owned()), "{found:?}");
    }
    let netns = &c1.container.netns;
    match traffic::sctp_translated(lab.host(), "10.77.0.1:8080", netns, &c1.at(81)[0]).unwrap() {
        Some(seen) => assert_eq!(seen.to_string(), "10.77.0.1"),
        None => skip::because("no SCTP traffic: this kernel has no SCTP sockets; the elements were compared"),
    }
}

fn many_single_ports_in_a_row_are_one_element(lab: &Lab) {
    let ports: Vec<Value> = (7000..7101).map(|port| tcp(port, port)).collect();
    published(lab, &json!(ports));
    assert_eq!(elements(lab, "hostports-v4-ranges"), ["[\"tcp\",{\"range\":[7000,7100]}]"]);
    assert_eq!(elements(lab, "hostports-v4-all"), [""; 0]);
}

fn a_range_of_podman_is_one_element(lab: &Lab) {
    published(lab, &json!([udp(7000, 7000).with("range", 101)]));
    assert_eq!(elements(lab, "hostports-v4-ranges"), ["[\"udp\",{\"range\":[7000,7100]}]"]);
}

fn ranges_that_change_the_number_are_single_elements(lab: &Lab) {
    published(lab, &json!([tcp(7000, 6000).with("range", 101)]));
    assert_eq!(elements(lab, "hostports-v4-ranges"), [""; 0]);
    let single = elements(lab, "hostports-v4-all");
    assert_eq!(single.len(), 101, "{single:?}");
    assert!(lab.host().sh("nft list map inet tidewater hostports-v4-all").contains("tcp . 7100 comment"));
    assert!(lab.host().sh("nft list map inet tidewater hostports-v4-all").contains("10.77.0.2 . 6100"));
}

/// The kernel copies an interval map whenever an element is added.
fn short_ranges_are_single_elements(lab: &Lab) {
    published(lab, &json!([tcp(7000, 7000).with("range", 3)]));
    assert_eq!(elements(lab, "hostports-v4-ranges"), [""; 0]);
    assert_eq!(elements(lab, "hostports-v4-all").len(), 3);
}
