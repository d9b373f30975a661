//! Every ADD that fails leaves both namespaces, the leases and the rules exactly as they were.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, Outcome, Plugins, command, fake};

tests::conformance! {
    both: [
        an_ipam_program_that_is_missing,
        a_vlan_out_of_range,
        a_bridge_name_that_something_else_has,
        an_interface_that_is_already_there,
    ]
    ours: [
        an_mtu_out_of_range,
        a_mac_that_is_none,
        contradictions_in_the_configuration,
        an_ipam_program_that_fails,
        an_ipam_program_that_prints_garbage,
        an_ipam_program_that_hangs,
        an_ipam_program_that_has_no_address,
        an_ipam_program_that_gives_an_impossible_route,
        a_range_that_is_exhausted,
        an_address_that_is_taken,
        a_gateway_that_differs_from_the_one_on_the_bridge,
        the_wall_of_ports,
    ]
}

/// A network that works, with one container on it, and a second container that is to fail.
struct Scene<'a> {
    lab: &'a Lab,
    victim: Container,
}

impl Scene<'_> {
    fn new(lab: &Lab) -> Scene<'_> {
        let first = lab.container("first");
        lab.plugin("bridge").add(&first, &good()).ok();
        Scene { lab, victim: lab.container("victim") }
    }

    /// The ADD has to fail, whatever it does has to be undone, and a good ADD has to work afterwards.
    fn fails(&self, plugins: &Plugins, conf: &Value) -> Outcome {
        self.fails_when(|| plugins.plugin("bridge").add(&self.victim, conf))
    }

    fn fails_when(&self, add: impl FnOnce() -> Outcome) -> Outcome {
        let before = self.lab.state();
        let outcome = add();
        outcome.failure();
        before.assert_same(&self.lab.state(), &outcome.done.stdout);
        self.lab.plugin("bridge").add(&self.victim, &good()).ok();
        self.lab.plugin("bridge").del(&self.victim, &good()).quiet();
        before.assert_same(&self.lab.state(), "a good ADD and DEL afterwards");
        outcome
    }
}

fn good() -> Value {
    conf::dual_stack("net").with("ipMasq", true)
}

fn an_ipam_program_that_is_missing(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    let conf = good().with("ipam", json!({"type": "no-such-ipam"}));
    let failure = lab.plugin("bridge").add(&container, &conf).failure();
    let wanted =
        format!("failed to find plugin \"no-such-ipam\" in path [{}]", lab.plugins().dir().display());
    assert!(failure.text.contains(&wanted), "{}", failure.text);
    if !lab.plugins().are_reference() {
        before.assert_same(&lab.state(), "nothing is touched before the plugin is found");
    }
}

fn a_vlan_out_of_range(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    for vlan in [-1, 4095, 70_000] {
        let failure = lab.plugin("bridge").add(&container, &good().with("vlan", vlan)).failure();
        assert!(failure.text.to_lowercase().contains("vlan id"), "{}", failure.text);
        before.assert_same(&lab.state(), "a VLAN out of range");
    }
}

fn contradictions_in_the_configuration(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    let no_ipam = json!({"cniVersion": conf::COMMON, "name": "l2", "type": "bridge"});
    let cases = [
        (good().with("hairpinMode", true).with("promiscMode", true), "hairpin mode and promiscuous mode"),
        (good().with("ipMasqBackend", "abacus"), "unknown ipmasq backend \"abacus\""),
        (good().with("disableContainerInterface", true), "disableContainerInterface"),
        (no_ipam.clone().with("vlanTrunk", json!([{"minID": 5}])), "minID"),
        (no_ipam.clone().with("vlanTrunk", json!([{"minID": 9, "maxID": 5}])), "minID"),
        (no_ipam.clone().with("vlanTrunk", json!([{"id": 4095}])), "4095"),
        (no_ipam.with("bridge", "sixteen-letters-"), "sixteen-letters-"),
    ];
    for (conf, word) in cases {
        lab.plugin("bridge").add(&container, &conf).fails(7, &[word]);
        before.assert_same(&lab.state(), word);
    }
}

fn an_mtu_out_of_range(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    for mtu in [-1, 20, 67, 70_000, 5_000_000_000_i64] {
        let failure = lab.plugin("bridge").add(&container, &good().with("mtu", mtu)).failure();
        assert!(failure.text.to_lowercase().contains("mtu"), "{}", failure.text);
        before.assert_same(&lab.state(), "an MTU out of range");
    }
}

fn a_mac_that_is_none(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    for mac in ["02:00:00:00:00", "02:00:00:00:00:zz", "not a mac", "02:00:00:00:00:01:02:03"] {
        let conf = good().with("runtimeConfig", json!({"mac": mac}));
        let failure = lab.plugin("bridge").add(&container, &conf).failure();
        assert!(failure.text.contains(mac), "{}", failure.text);
        let call = lab.plugin("bridge").on("ADD", &container, &good()).args(&format!("MAC={mac}"));
        assert!(call.run().failure().text.contains(mac));
        before.assert_same(&lab.state(), mac);
    }
}

fn a_bridge_name_that_something_else_has(lab: &Lab) {
    let scene = Scene::new(lab);
    command::run("ip link add taken type veth peer name other");
    let outcome = scene.fails(lab.plugins(), &good().with("bridge", "taken"));
    assert!(outcome.failure().text.contains("\"taken\" already exists but is not a bridge"), "{outcome}");
}

fn an_interface_that_is_already_there(lab: &Lab) {
    let container = lab.container("c1");
    let bridge = lab.plugin("bridge");
    let result = bridge.add(&container, &good()).ok();
    let before = lab.state();
    let again = bridge.add(&container, &good()).failure();
    assert!(again.text.contains("eth0") || again.text.contains("duplicate allocation"), "{}", again.text);
    before.assert_same(&lab.state(), "ADD twice");
    bridge.check(&container, &good(), &result).quiet();
    let other = good().with("name", "other");
    assert!(bridge.add(&container, &other).failure().text.contains("eth0"), "another network, the same name");
    before.assert_same(&lab.state(), "ADD of another network to the same interface");
}

fn an_ipam_program_that_fails(lab: &Lab) {
    let scene = Scene::new(lab);
    let script = r#"echo '{"code": 42, "msg": "the pool is on holiday", "details": "until Monday"}'; exit 1"#;
    let plugins = fake::delegate(lab, "fake-fails", script);
    let outcome = scene.fails(&plugins, &good().with("ipam", json!({"type": "fake-fails"})));
    outcome.fails(42, &["the pool is on holiday", "until Monday"]);
    for (name, script) in
        [("fake-dies", "kill -9 $$"), ("fake-mute", "exit 3"), ("fake-stderr", "echo woe >&2; exit 1")]
    {
        let plugins = fake::delegate(lab, name, script);
        let outcome = scene.fails(&plugins, &good().with("ipam", json!({"type": name})));
        assert!(outcome.failure().text.contains("netplugin failed"), "{name}: {outcome}");
    }
}

fn an_ipam_program_that_prints_garbage(lab: &Lab) {
    let scene = Scene::new(lab);
    let garbage = [
        "echo hello",
        "echo '{\"ips\": 7}'",
        "echo '[]'",
        "head -c 3000000 /dev/zero",
        "echo '{\"cniVersion\":\"7\"}'",
    ];
    for (number, script) in garbage.iter().enumerate() {
        let name = format!("fake-garbage-{number}");
        let plugins = fake::delegate(lab, &name, script);
        scene.fails(&plugins, &good().with("ipam", json!({"type": name})));
    }
}

fn an_ipam_program_that_hangs(lab: &Lab) {
    let scene = Scene::new(lab);
    let plugins = fake::delegate(lab, "fake-hangs", "[ \"$CNI_COMMAND\" = ADD ] || exit 0; sleep 77 & wait");
    let conf = good().with("ipam", json!({"type": "fake-hangs"}));
    let begin = Instant::now();
    let call =
        plugins.plugin("bridge").on("ADD", &scene.victim, &conf).env("TIDEWATER_DELEGATE_TIMEOUT", "1");
    let outcome = scene.fails_when(|| call.run());
    outcome.fails(11, &["fake-hangs"]);
    assert!(begin.elapsed() < Duration::from_secs(10), "it waited {:?}", begin.elapsed());
    let left = tests::lab::processes::inside(lab.host());
    assert!(left.iter().all(|(_, name)| name != "sleep"), "the whole group was killed: {left:?}");
}

fn an_ipam_program_that_has_no_address(lab: &Lab) {
    let scene = Scene::new(lab);
    let plugins = fake::delegate(
        lab,
        "fake-empty",
        "[ \"$CNI_COMMAND\" = ADD ] && echo '{\"cniVersion\":\"1.0.0\"}'; exit 0",
    );
    let outcome = scene.fails(&plugins, &good().with("ipam", json!({"type": "fake-empty"})));
    assert!(outcome.failure().text.contains("missing IP config"), "{outcome}");
}

fn an_ipam_program_that_gives_an_impossible_route(lab: &Lab) {
    let scene = Scene::new(lab);
    let routes = json!([{"dst": "198.51.100.0/24", "gw": "192.0.2.77"}]);
    let outcome = scene.fails(lab.plugins(), &good().with_at("ipam.routes", routes));
    assert!(outcome.failure().text.contains("198.51.100.0/24"), "the route is named: {outcome}");
}

fn a_range_that_is_exhausted(lab: &Lab) {
    let scene = Scene::new(lab);
    let ranges = json!([[{"subnet": "10.77.0.0/24"}],
        [{"subnet": "fd77::/64", "rangeStart": "fd77::2", "rangeEnd": "fd77::2"}]]);
    let outcome = scene.fails(lab.plugins(), &good().with_at("ipam.ranges", ranges));
    let text = outcome.failure().text;
    assert!(text.contains("no IP addresses available in range set: fd77::2-fd77::2"), "{text}");
}

fn an_address_that_is_taken(lab: &Lab) {
    let scene = Scene::new(lab);
    for (ip, word) in [("10.77.0.2", "not available"), ("10.77.0.1", "gateway"), ("192.0.2.9", "192.0.2.9")] {
        let call =
            lab.plugin("bridge").on("ADD", &scene.victim, &good()).args(&format!("IgnoreUnknown=1;IP={ip}"));
        let outcome = scene.fails_when(|| call.run());
        assert!(outcome.failure().text.contains(word), "{ip}: {outcome}");
    }
}

fn a_gateway_that_differs_from_the_one_on_the_bridge(lab: &Lab) {
    let scene = Scene::new(lab);
    let moved = good().with_at("ipam.ranges", json!([[{"subnet": "10.78.0.0/24"}]]));
    let outcome = scene.fails(lab.plugins(), &moved);
    let text = outcome.failure().text;
    assert!(text.contains("\"br0\" already has an IP address different from 10.78.0.1/24"), "{text}");
}

/// A Linux bridge has 1023 ports.
fn the_wall_of_ports(lab: &Lab) {
    let scene = Scene::new(lab);
    let mut orders = String::new();
    for n in 0..511 {
        orders += &format!("link add p{n} master br0 type veth peer name q{n}\nlink set q{n} master br0\n");
    }
    let mut ip = std::process::Command::new("ip");
    let done = command::finish(ip.args(["-batch", "-"]), orders.as_bytes(), Duration::from_secs(60));
    assert!(done.status.success(), "{}", done.stderr);
    let before = lab.state();
    let outcome = lab.plugin("bridge").add(&scene.victim, &good());
    let failure = outcome.failure();
    assert!(failure.text.contains("1023") && failure.text.contains("br0"), "{}", failure.text);
    before.assert_same(&lab.state(), "a bridge that is full");
}
