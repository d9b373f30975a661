//! What is not the attachment's own stays: links of strangers, of other networks, and made by hand; and what cannot be
//! kept is not left half-made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use tests::lab::conf::{self, Change};
use tests::lab::{Lab, command};

tests::conformance! {
    both: [
        a_bridge_with_stp_takes_containers,
    ]
    ours: [
        a_strangers_link_at_our_name_stays,
        what_a_killed_add_left_at_our_name_goes,
        del_leaves_another_networks_interface,
        the_del_after_a_refused_add_leaves_the_first_attachment,
        an_interface_made_by_hand_stays,
        a_result_that_cannot_be_said_leaves_nothing,
        del_bears_a_configuration_that_went_bad,
        a_flushed_chain_is_written_again,
        a_percent_sign_is_no_part_of_a_name,
        a_renamed_host_end_is_still_ours,
        a_host_end_that_was_moved_away_is_still_ours,
        a_flushed_spoof_check_is_noticed_and_written_again,
        elements_are_removed_though_their_rule_is_gone,
    ]
}

fn network() -> Value {
    conf::bridge("net").with("ipMasq", true)
}

/// Another network, on a bridge and with addresses of its own.
fn other() -> Value {
    conf::bridge("other").with("bridge", "br1").with_at("/ipam/ranges/0/0/subnet", "10.78.0.0/24")
}

fn host_end(result: &Value) -> String {
    result["interfaces"][1]["name"].as_str().unwrap().to_owned()
}

/// The name that the host's end of c1 has: it is the same for each ADD.
fn name_of_c1(lab: &Lab) -> String {
    let c1 = lab.container("c1");
    let name = host_end(&lab.plugin("bridge").add(&c1, &network()).ok());
    lab.plugin("bridge").del(&c1, &network()).quiet();
    lab.delete_container(&c1);
    name
}

fn a_strangers_link_at_our_name_stays(lab: &Lab) {
    let name = name_of_c1(lab);
    command::run(&format!("ip link add {name} type bridge"));
    command::run(&format!("ip link set {name} alias mine"));
    let c1 = lab.container("c1");
    let result = lab.plugin("bridge").add(&c1, &network()).ok();
    assert_ne!(host_end(&result), name);
    lab.plugin("bridge").del(&c1, &network()).quiet();
    let stranger = command::run(&format!("ip -d link show {name}"));
    assert!(stranger.contains("alias mine") && stranger.contains("bridge "), "{stranger}");
    assert!(command::try_run(&format!("ip link show {}", host_end(&result))).is_err());
}

fn what_a_killed_add_left_at_our_name_goes(lab: &Lab) {
    let c1 = lab.container("c1");
    let first = lab.plugin("bridge").add(&c1, &network()).ok();
    // A pair whose container end is elsewhere by now, as when the container's namespace was made anew.
    c1.netns.sh("ip link set eth0 name gone0");
    std::fs::remove_dir_all("/var/lib/cni/networks").unwrap();
    let second = lab.plugin("bridge").add(&c1, &network()).ok();
    assert_eq!(host_end(&first), host_end(&second));
    assert!(!c1.netns.sh("ip -o link").contains("gone0"));
}

fn del_leaves_another_networks_interface(lab: &Lab) {
    let c1 = lab.container("c1");
    let result = lab.plugin("bridge").add(&c1, &network()).ok();
    let before = lab.state();
    lab.plugin("bridge").del(&c1, &other()).run_quietly();
    before.assert_same(&lab.state(), "DEL of another network");
    lab.plugin("bridge").check(&c1, &network(), &result).quiet();
}

fn the_del_after_a_refused_add_leaves_the_first_attachment(lab: &Lab) {
    let c1 = lab.container("c1");
    let result = lab.plugin("bridge").add(&c1, &network()).ok();
    let before = lab.state();
    lab.plugin("bridge").add(&c1, &other()).fails(999, &["eth0", "already has an interface"]);
    lab.plugin("bridge").del(&c1, &other()).run_quietly();
    before.assert_same(&lab.state(), "ADD and DEL of another network");
    lab.plugin("bridge").check(&c1, &network(), &result).quiet();
}

fn an_interface_made_by_hand_stays(lab: &Lab) {
    let c1 = lab.container("c1");
    c1.netns.sh("ip link add eth0 type veth peer name other0");
    let before = lab.state();
    lab.plugin("bridge").add(&c1, &network()).fails(999, &["eth0", "already has an interface"]);
    lab.plugin("bridge").del(&c1, &network()).run_quietly();
    before.assert_same(&lab.state(), "ADD and DEL");
}

fn a_result_that_cannot_be_said_leaves_nothing(lab: &Lab) {
    name_of_c1(lab);
    let c1 = lab.container("c1");
    let layer_two = conf::bridge("net").without("ipam").with("cniVersion", "0.2.0");
    let before = lab.state();
    lab.plugin("bridge").add(&c1, &layer_two).fails(999, &["cannot convert"]);
    before.assert_same(&lab.state(), "ADD");
}

fn del_bears_a_configuration_that_went_bad(lab: &Lab) {
    name_of_c1(lab);
    let c1 = lab.container("c1");
    let before = lab.state();
    for (key, value) in
        [("mtu", Value::from("1500")), ("vlan", Value::from(-5)), ("hairpinMode", Value::from(7))]
    {
        lab.plugin("bridge").add(&c1, &network()).ok();
        lab.plugin("bridge").del(&c1, &network().with(key, value)).quiet();
        before.assert_same(&lab.state(), key);
    }
}

fn a_flushed_chain_is_written_again(lab: &Lab) {
    name_of_c1(lab);
    let whole = command::run("nft list ruleset");
    for flush in ["nft flush chain inet tidewater postrouting", "nft flush ruleset"] {
        command::run(flush);
        name_of_c1(lab);
        let rule = "ip saddr @masquerade-10.77.0.0-24 ip daddr != 10.77.0.0/24 masquerade";
        let now = command::run("nft list ruleset");
        assert!(whole.contains(rule) && now.contains(rule), "after {flush}: {now}");
    }
}

fn a_percent_sign_is_no_part_of_a_name(lab: &Lab) {
    let c1 = lab.container("c1");
    let before = lab.state();
    lab.plugin("bridge").add(&c1, &network().with("bridge", "br%d")).fails(7, &["br%d", "%"]);
    before.assert_same(&lab.state(), "ADD");
}

fn a_renamed_host_end_is_still_ours(lab: &Lab) {
    name_of_c1(lab);
    let c1 = lab.container("c1");
    let before = lab.state();
    let name = host_end(&lab.plugin("bridge").add(&c1, &network()).ok());
    command::run(&format!("ip link set {name} down"));
    command::run(&format!("ip link set {name} name foo0 up"));
    lab.plugin("bridge").del(&c1, &network()).quiet();
    before.assert_same(&lab.state(), "DEL");
}

fn a_host_end_that_was_moved_away_is_still_ours(lab: &Lab) {
    name_of_c1(lab);
    let (c1, elsewhere) = (lab.container("c1"), lab.container("elsewhere"));
    let before = lab.state();
    let name = host_end(&lab.plugin("bridge").add(&c1, &network()).ok());
    command::run(&format!("ip link set {name} netns {}", elsewhere.id));
    lab.plugin("bridge").del(&c1, &network()).quiet();
    before.assert_same(&lab.state(), "DEL");
}

fn a_flushed_spoof_check_is_noticed_and_written_again(lab: &Lab) {
    let guarded = network().with("macspoofchk", true);
    let (c1, c2) = (lab.container("c1"), lab.container("c2"));
    let result = lab.plugin("bridge").add(&c1, &guarded).ok();
    command::run("nft flush chain bridge tidewater prerouting");
    lab.plugin("bridge").check(&c1, &guarded, &result).fails(999, &["prerouting", "no rule"]);
    lab.plugin("bridge").add(&c2, &guarded).ok();
    assert!(command::run("nft list chain bridge tidewater prerouting").contains("@bound drop"));
    lab.plugin("bridge").check(&c1, &guarded, &result).quiet();
}

fn elements_are_removed_though_their_rule_is_gone(lab: &Lab) {
    let c1 = lab.container("c1");
    lab.plugin("bridge").add(&c1, &network()).ok();
    command::run("nft flush chain inet tidewater postrouting");
    lab.plugin("bridge").del(&c1, &network()).quiet();
    assert!(!command::run("nft list ruleset").contains("elements"));
}

fn a_bridge_with_stp_takes_containers(lab: &Lab) {
    command::run("ip link add br0 up type bridge stp_state 1");
    let c1 = lab.container("c1");
    lab.plugin("bridge").add(&c1, &network()).ok();
}

/// DEL may say on stderr what it left alone.
trait Quietly {
    fn run_quietly(&self);
}

impl Quietly for tests::lab::plugin::Outcome {
    fn run_quietly(&self) {
        assert!(self.succeeded(), "{self:?}");
    }
}
