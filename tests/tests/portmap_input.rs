//! What portmap refuses, with which words, and what it takes although it looks odd. What is refused leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::lab::conf::Change;
use tests::lab::portmap::{Attached, Scene, tcp, udp};
use tests::lab::traffic::{self, Answer};

tests::conformance! {
    both: [
        ports_that_cannot_be,
        not_chained,
        nothing_to_map,
    ]
    ours: [
        mappings_that_cannot_be,
        mappings_that_clash_among_themselves,
        keys_that_cannot_be,
        conditions_that_cannot_be,
        a_result_without_an_address,
        null_is_absent,
        spellings_that_runtimes_use,
        the_same_mapping_twice,
        an_address_of_the_other_family,
        only_addresses_of_the_interface_count,
        status_tells_whether_it_can_work,
    ]
}

/// A container that is to get mappings, on a host where portmap has been at work before.
fn ready<'a>(scene: &'a Scene<'a>) -> Attached<'a> {
    let first = scene.publish("first", &json!([tcp(1, 1)]));
    first.del().quiet();
    scene.attach("c1", &json!([]))
}

/// ADD with this configuration fails with this code and all these words, and leaves everything as it was.
fn refused(lab: &Lab, c1: &Attached<'_>, conf: &Value, code: u64, words: &[&str]) {
    let before = lab.state();
    c1.call("ADD").conf(conf).run().fails(code, words);
    before.assert_same(&lab.state(), &format!("a refused ADD of {conf}"));
    c1.call("DEL").conf(conf).run().quiet();
    before.assert_same(&lab.state(), &format!("DEL of {conf}"));
}

fn asking(c1: &Attached<'_>, mappings: &Value) -> Value {
    c1.clone().asking_for(mappings).conf
}

fn ports_that_cannot_be(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.attach("c1", &json!([]));
    for (host, container, word) in [
        (0, 80, "host port number: 0"),
        (8080, 0, "container port number: 0"),
        (-1, 80, "host port number: -1"),
    ] {
        let conf = asking(&c1, &json!([{"hostPort": host, "containerPort": container, "protocol": "tcp"}]));
        let failure = c1.call("ADD").conf(&conf).run().failure();
        assert!(failure.text.contains(&format!("Invalid {word}")), "{}", failure.text);
    }
}

fn mappings_that_cannot_be(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    let port = |key: &str, value: i64| tcp(8080, 80).with(key, value);
    let cases = [
        (port("hostPort", 0), "Invalid host port number: 0"),
        (port("hostPort", -1), "Invalid host port number: -1"),
        (port("hostPort", 65536), "Invalid host port number: 65536"),
        (port("containerPort", 0), "Invalid container port number: 0"),
        (port("containerPort", -1), "Invalid container port number: -1"),
        (port("containerPort", 65536), "Invalid container port number: 65536"),
        (port("range", -1), "range -1"),
        (tcp(65000, 80).with("range", 537), "range 537 of host port 65000 goes beyond port 65535"),
        (tcp(80, 65535).with("range", 2), "range 2 of host port 80 goes beyond port 65535"),
        (port("range", 1 << 40), "goes beyond port 65535"),
        (tcp(8080, 80).with("protocol", "icmp"), "unknown protocol \"icmp\""),
        (tcp(8080, 80).with("protocol", "tcp,udp"), "unknown protocol"),
        (tcp(8080, 80).with("hostIP", "localhost"), "hostIP \"localhost\" of host port 8080"),
        (tcp(8080, 80).with("hostIP", "10.0.0.1/24"), "is not an IP address"),
        (tcp(8080, 80).with("hostIP", "1.2.3"), "is not an IP address"),
    ];
    for (mapping, word) in cases {
        // Beside a good one, which must not stay behind.
        refused(lab, &c1, &asking(&c1, &json!([tcp(7000, 70), mapping])), 7, &[word]);
    }
    for (key, value) in [("protocol", json!(6)), ("hostPort", json!("8080"))] {
        let mapping = tcp(8080, 80).with(key, value);
        refused(lab, &c1, &asking(&c1, &json!([tcp(7000, 70), mapping])), 6, &["portMappings[1]", key]);
    }
    assert!(asking_works(&c1, &json!([tcp(65000, 80).with("range", 536)])), "the last port is a port");
}

fn asking_works(c1: &Attached<'_>, mappings: &Value) -> bool {
    let c1 = c1.clone().asking_for(mappings);
    let works = c1.add().succeeded() && c1.check().succeeded();
    c1.del().quiet();
    works
}

fn mappings_that_clash_among_themselves(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    let at = |ip: &str| tcp(8080, 80).with("hostIP", ip);
    let pairs = [
        (tcp(8080, 80), tcp(8080, 81)),
        (tcp(8080, 80), at("10.77.0.1")),
        (at("10.77.0.1"), at("10.77.0.1").with("containerPort", 81)),
        (at("0.0.0.0"), at("10.77.0.1")),
        (at("::"), at("fd77::1")),
        (tcp(8080, 80), at("0.0.0.0").with("containerPort", 81)),
        (tcp(8000, 8000).with("range", 100), tcp(8080, 80)),
        (tcp(8000, 8000).with("range", 100), tcp(8099, 8099).with("range", 100)),
    ];
    for (one, two) in pairs {
        for both in [json!([one, two]), json!([two, one])] {
            refused(lab, &c1, &asking(&c1, &both), 7, &["want the same port of the host"]);
        }
    }
    for fine in [
        json!([tcp(8080, 80), udp(8080, 80)]),
        json!([at("10.77.0.1"), at("203.0.113.1")]),
        json!([at("0.0.0.0"), at("::")]),
        json!([tcp(8080, 80), tcp(8081, 80)]),
        json!([at("10.77.0.1"), at("::")]),
    ] {
        assert!(asking_works(&c1, &fine), "{fine}");
    }
}

fn keys_that_cannot_be(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    let conf = asking(&c1, &json!([tcp(8080, 80)]));
    let chain = conf.clone().with("externalSetMarkChain", "KUBE-MARK-MASQ");
    let cases = [
        (conf.clone().with("backend", "pf"), "unrecognized backend \"pf\""),
        (conf.clone().with("markMasqBit", 32), "must be between 0 and 31"),
        (conf.clone().with("markMasqBit", -1), "must be between 0 and 31"),
        (chain.clone().with("markMasqBit", 5), "Cannot specify externalSetMarkChain and markMasqBit"),
        (chain.with("backend", "nftables"), "externalSetMarkChain is a chain of iptables"),
    ];
    for (conf, word) in cases {
        refused(lab, &c1, &conf, 7, &[word]);
    }
    refused(lab, &c1, &conf.clone().with("snat", "yes"), 6, &["snat"]);
    refused(lab, &c1, &asking(&c1, &json!({})), 6, &["portMappings"]);
    for bit in [0, 31] {
        let conf = conf.clone().with("markMasqBit", bit);
        c1.call("ADD").conf(&conf).run().ok();
        c1.call("CHECK").conf(&conf).run().quiet();
        c1.call("DEL").conf(&conf).run().quiet();
    }
}

fn conditions_that_cannot_be(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    let conf = asking(&c1, &json!([tcp(8080, 80)]));
    let (nft, iptables) = (json!(["ip", "saddr", "10.0.0.0/8"]), json!(["-s", "10.0.0.0/8"]));
    let with = |key: &str, words: &Value| conf.clone().with(key, words.clone());
    let cases = [
        (with("conditionsV4", &iptables).with("backend", "nftables"), "in the syntax of iptables"),
        (with("conditionsV6", &json!(["!", "-s", "::1"])).with("backend", "nftables"), "syntax of iptables"),
        (with("conditionsV4", &nft).with("backend", "iptables"), "in the syntax of nftables"),
        (with("conditionsV4", &nft).with("conditionsV6", iptables), "in the syntax of"),
        (with("conditionsV4", &json!(["ip", "saddr", "nonsense"])), "nft refuses them"),
        (
            with("conditionsV4", &json!(["ip6", "saddr", "fd00::/8", "ip", "saddr", "1.1.1.1"])),
            "nft refuses them",
        ),
        (with("conditionsV4", &json!(["accept;", "flush", "ruleset"])), "conditionsV4"),
        (with("conditionsV4", &json!(["ip ttl 1\nadd table ip x\n#"])), "has a control character"),
        (with("conditionsV6", &json!(["ip6", "saddr"])), "nft refuses them"),
    ];
    for (conf, word) in cases {
        refused(lab, &c1, &conf, 7, &[word]);
    }
}

fn not_chained(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.attach("c1", &json!([tcp(8080, 80)]));
    let conf = c1.conf.clone().without("prevResult");
    let failure = c1.call("ADD").conf(&conf).run().failure();
    assert!(failure.text.contains("must be called as chained plugin"), "{}", failure.text);
}

fn a_result_without_an_address(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    let conf = asking(&c1, &json!([tcp(8080, 80)]));
    refused(
        lab,
        &c1,
        &conf.clone().with_at("prevResult.ips", json!([])),
        7,
        &["no address of interface eth0"],
    );
    let mut other = conf;
    other["prevResult"]["interfaces"][2]["name"] = json!("eth9");
    refused(lab, &c1, &other, 7, &["no address of interface eth0"]);
}

fn nothing_to_map(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.attach("c1", &json!([]));
    let before = lab.state();
    for conf in [c1.conf.clone(), c1.conf.clone().without("runtimeConfig")] {
        let result = c1.call("ADD").conf(&conf).run().ok();
        assert_eq!(result, conf["prevResult"], "the result is passed on as it came");
        c1.call("CHECK").conf(&conf).run().quiet();
        c1.call("DEL").conf(&conf).run().quiet();
        before.assert_same(&lab.state(), "nothing to map");
    }
}

fn null_is_absent(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    let before = lab.state();
    for conf in [
        c1.conf.clone().with("runtimeConfig", Value::Null),
        c1.conf.clone().with("runtimeConfig", json!({"portMappings": null})),
        c1.conf.clone().with("runtimeConfig", json!({})),
    ] {
        assert_eq!(c1.call("ADD").conf(&conf).run().ok(), conf["prevResult"]);
        before.assert_same(&lab.state(), "nothing to map");
    }
    let nulls = json!({"snat": null, "backend": null, "markMasqBit": null, "conditionsV4": null,
        "conditionsV6": null, "externalSetMarkChain": null, "masqAll": null});
    let mut conf =
        asking(&c1, &json!([tcp(8080, 80).with("hostIP", Value::Null).with("range", Value::Null)]));
    for (key, value) in nulls.as_object().unwrap() {
        conf = conf.with(key, value.clone());
    }
    assert_eq!(c1.call("ADD").conf(&conf).run().ok(), conf["prevResult"]);
    let plain = c1.clone().asking_for(&json!([tcp(8080, 80)]));
    plain.check().quiet();
}

/// containerd sends capitalised keys and an empty hostIP, podman leaves out what is default.
fn spellings_that_runtimes_use(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    for mapping in [
        json!({"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}),
        json!({"hostPort": 8080, "containerPort": 80}),
        json!({"hostPort": 8080, "containerPort": 80, "protocol": "TCP", "hostIP": ""}),
        json!({"hostPort": 8080, "containerPort": 80, "protocol": "", "range": 1}),
        json!({"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "range": 0}),
        json!({"hostPort": 8080, "containerPort": 80, "protocol": "Tcp", "unknown": [1]}),
    ] {
        let asked = c1.clone().asking_for(&json!([mapping]));
        asked.add().ok();
        c1.clone().asking_for(&json!([tcp(8080, 80)])).check().quiet();
        let netns = &c1.container.netns;
        assert_eq!(traffic::knock(lab.host(), "10.77.0.1:8080", netns, &c1.at(80)[0]), Answer::Opened);
        asked.del().quiet();
    }
}

fn the_same_mapping_twice(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = ready(&scene);
    assert!(asking_works(&c1, &json!([tcp(8080, 80), udp(53, 53), tcp(8080, 80)])));
}

fn an_address_of_the_other_family(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let c1 = ready(&scene);
    let mixed = json!([tcp(8080, 80), tcp(8081, 80).with("hostIP", "fd77::1")]);
    assert!(asking_works(&c1, &mixed), "what cannot lead there is left out");
    let before = lab.state();
    let only = c1.clone().asking_for(&json!([tcp(8081, 80).with("hostIP", "fd77::1")]));
    assert_eq!(only.add().ok(), only.conf["prevResult"]);
    before.assert_same(&lab.state(), "nothing can lead there");
}

/// A second interface comes first in the result, and the first has two addresses.
fn only_addresses_of_the_interface_count(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let c1 = ready(&scene);
    let mut conf = asking(&c1, &json!([tcp(8080, 80)]));
    let ip = |address: &str, interface: u64| json!({"address": address, "interface": interface});
    conf["prevResult"]["ips"] = json!([ip("192.0.2.7/24", 0), ip("10.77.0.3/24", 2), ip("10.77.0.99/24", 2)]);
    c1.call("ADD").conf(&conf).run().ok();
    let listed = lab.host().sh("nft list map inet tidewater hostports-v4-all");
    assert!(listed.contains(": 10.77.0.3 . 80") && !listed.contains("192.0.2.7"), "{listed}");
}

fn status_tells_whether_it_can_work(lab: &Lab) {
    let scene = Scene::new(lab);
    lab.plugin("portmap").status(&scene.portmap).quiet();
    lab.plugin("portmap").status(&scene.portmap.clone().with("backend", "pf")).fails(7, &["backend"]);
    lab.plugin("portmap").status(&scene.portmap.with("backend", "iptables")).quiet();
}
