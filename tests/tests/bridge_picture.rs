//! What an ADD makes of host and container, as a picture in text: tests/golden/bridge_*.txt.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::lab::conf::{self, Change};

tests::conformance! {
    both: []
    ours: [
        dual_stack_with_masquerade,
        iptables_where_a_host_needs_it,
        layer_two,
        options_of_the_port,
        afterwards,
    ]
}

fn picture(lab: &Lab, conf: &Value, name: &str) {
    lab.plugin("bridge").add(&lab.container("c1"), conf).ok();
    lab.picture().assert_golden(name);
}

fn dual_stack_with_masquerade(lab: &Lab) {
    picture(lab, &conf::dual_stack("net").with("ipMasq", true), "bridge_dual_stack");
}

fn iptables_where_a_host_needs_it(lab: &Lab) {
    let conf = conf::bridge("net").with("ipMasq", true).with("ipMasqBackend", "iptables");
    picture(lab, &conf, "bridge_iptables");
}

fn layer_two(lab: &Lab) {
    let conf = json!({"cniVersion": conf::COMMON, "name": "net", "type": "bridge", "bridge": "br0"});
    picture(lab, &conf, "bridge_layer_two");
}

fn options_of_the_port(lab: &Lab) {
    let options = [
        ("hairpinMode", json!(true)),
        ("portIsolation", json!(true)),
        ("macspoofchk", json!(true)),
        ("mtu", json!(1400)),
        ("enabledad", json!(true)),
    ];
    let conf = options.into_iter().fold(conf::bridge("net"), |conf, (key, value)| conf.with(key, value));
    picture(lab, &conf, "bridge_options");
}

fn afterwards(lab: &Lab) {
    let conf = conf::dual_stack("net").with("ipMasq", true).with("macspoofchk", true);
    let container = lab.container("c1");
    lab.plugin("bridge").add(&container, &conf).ok();
    lab.plugin("bridge").del(&container, &conf).quiet();
    lab.picture().assert_golden("bridge_afterwards");
}
