//! Somebody flushes the ruleset: what ADD makes of that, and `net-ctl firewall reload`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::Change;
use tests::lab::portmap::{Attached, Scene, mappings, tcp, udp};
use tests::lab::traffic::{self, Answer, HOST_OUTSIDE, OUTSIDE};
use tests::lab::{Lab, Netns, command};

tests::conformance! {
    both: []
    ours: [
        the_next_container_works_after_a_flush,
        reload_puts_everything_back,
        reload_puts_back_conditions,
        reload_with_nothing_on_record,
        reload_of_what_is_in_place_changes_nothing,
        reload_leaves_out_what_was_deleted_meanwhile,
        reload_passes_over_garbage,
        rules_of_an_admin_stay,
        a_policy_that_an_admin_gave_our_chain_stays,
    ]
}

/// What loses our rules, and what it leaves behind.
const LOSSES: [&str; 3] = ["flush ruleset", "delete table inet tidewater", "flush table inet tidewater"];

fn reload(lab: &Lab) -> Value {
    let program = lab.plugins().net_ctl().display().to_string();
    serde_json::from_str(&lab.host().sh(&format!("{program} firewall reload --json"))).unwrap()
}

fn nft(lab: &Lab, order: &str) {
    lab.host().sh(&format!("nft {order}"));
}

fn works(outside: &Netns, attached: &Attached<'_>, port: u16) {
    for (place, (host, seen)) in HOST_OUTSIDE.iter().zip(OUTSIDE).enumerate() {
        let to = tests::lab::portmap::socket(host, port);
        let listen = &attached.at(80)[place];
        let answer = traffic::tcp_translated(outside, &to, &attached.container.netns, listen).unwrap();
        assert_eq!(answer.to_string(), seen);
        let masqueraded = traffic::tcp(&attached.container.netns, outside, seen).unwrap();
        assert_eq!(masqueraded.to_string(), *host, "ipMasq");
    }
}

fn the_next_container_works_after_a_flush(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let first = scene.publish("c", &mappings(8000));
    for (port, loss) in [9001, 9002, 9003].into_iter().zip(LOSSES) {
        nft(lab, loss);
        let next = scene.publish(&format!("c{port}"), &json!([tcp(port, 80)]));
        next.check().quiet();
        works(&outside, &next, port);
        assert!(!first.check().succeeded(), "after {loss} the first has lost its ports");
    }
}

fn reload_puts_everything_back(lab: &Lab) {
    let (outside, mut scene) = (traffic::outside(lab), Scene::new(lab));
    scene.bridge = scene.bridge.with("macspoofchk", true);
    let (c1, c2) = (scene.publish("c1", &mappings(8000)), scene.publish("c2", &mappings(9000)));
    let before = lab.state();
    for loss in LOSSES {
        nft(lab, loss);
        assert_ne!(before.difference(&lab.state()), "", "{loss} loses something");
        let done = reload(lab);
        for (place, kind) in ["masquerade", "macspoofchk", "portmap"].iter().enumerate() {
            assert_eq!(done["reloaded"][place], json!({"kind": kind, "attachments": 2}), "{done}");
        }
        before.assert_same_lines(&lab.state(), &format!("{loss}, then a reload"));
        for (attached, port) in [(&c1, 8000), (&c2, 9000)] {
            attached.check().quiet();
            works(&outside, attached, port);
        }
    }
    c1.container.netns.sh("ip link set eth0 address 02:00:00:00:be:ef");
    assert!(traffic::no_ping(&c1.container.netns, "10.77.0.1"), "macspoofchk holds");
    c2.del().quiet();
    c1.check().quiet();
}

fn reload_puts_back_conditions(lab: &Lab) {
    let scene = Scene::new(lab).with("conditionsV4", json!(["ip", "saddr", "203.0.113.0/24"]));
    let c1 = scene.publish("c1", &mappings(8000));
    let before = lab.state();
    nft(lab, "flush ruleset");
    reload(lab);
    before.assert_same_lines(&lab.state(), "a flush, then a reload");
    c1.check().quiet();
}

fn reload_with_nothing_on_record(lab: &Lab) {
    let before = lab.state();
    reload(lab);
    before.assert_same(&lab.state(), "reload on a bare host");
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &mappings(8000));
    c1.del().quiet();
    c1.detach();
    nft(lab, "flush ruleset");
    let before = lab.state();
    reload(lab);
    before.assert_same(&lab.state(), "reload when all are gone");
}

fn reload_of_what_is_in_place_changes_nothing(lab: &Lab) {
    let scene = Scene::new(lab);
    let _c1 = scene.publish("c1", &mappings(8000));
    let before = lab.state();
    for what in ["reload", "reload again"] {
        reload(lab);
        before.assert_same(&lab.state(), what);
    }
}

fn reload_leaves_out_what_was_deleted_meanwhile(lab: &Lab) {
    let (outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (c1, c2) = (scene.publish("c1", &mappings(8000)), scene.publish("c2", &mappings(9000)));
    nft(lab, "flush ruleset");
    c1.del().quiet();
    reload(lab);
    c2.check().quiet();
    works(&outside, &c2, 9000);
    let answer = traffic::knock(&outside, "203.0.113.1:8000", &c1.container.netns, &c1.at(80)[0]);
    assert_eq!(answer, Answer::Refused);
}

fn reload_passes_over_garbage(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &mappings(8000));
    for (name, text) in [("x.portmap", "garbage"), ("y.portmap", ""), ("z.masquerade", "{}")] {
        std::fs::write(format!("/run/tidewater/rules/{name}"), text).unwrap();
    }
    nft(lab, "flush ruleset");
    reload(lab);
    c1.check().quiet();
}

/// The same names as ours, in a table of his own; and a rule in front of ours.
const ADMINS: &str = "table inet admin {\n\tmap hostports-v4-all {\n\t\ttype inet_service : ipv4_addr\n\t\t\
    elements = { 8080 : 10.77.0.2 }\n\t}\n\n\tchain prerouting {\n\t\ttype nat hook prerouting priority -110; \
    policy accept;\n\t\ttcp dport 4444 redirect to :22 comment \"of the admin\"\n\t}\n}\n";

fn rules_of_an_admin_stay(lab: &Lab) {
    let file = lab.dir("nft").join("admin");
    std::fs::write(&file, ADMINS).unwrap();
    nft(lab, &format!("-f {}", file.display()));
    let theirs = || lab.host().sh("nft -a list table inet admin");
    let before = theirs();
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &json!([tcp(8080, 80), udp(4444, 44)]));
    reload(lab);
    nft(lab, "delete table inet tidewater");
    reload(lab);
    c1.check().quiet();
    c1.del().quiet();
    lab.plugin("portmap").gc(&scene.portmap, &[]).quiet();
    assert_eq!(theirs(), before);
}

fn a_policy_that_an_admin_gave_our_chain_stays(lab: &Lab) {
    let scene = Scene::new(lab);
    let _c1 = scene.publish("c1", &mappings(8000));
    lab.host().run(|| {
        command::run("nft flush table inet tidewater");
        command::run("nft chain inet tidewater input { policy drop ; }");
    });
    reload(lab);
    let _c2 = scene.publish("c2", &mappings(9000));
    let listed = lab.host().sh("nft list chain inet tidewater input");
    assert!(listed.contains("policy drop") && listed.contains("loopback addresses"), "{listed}");
}
