//! What each key of a bridge configuration does to the links, and which version of the result comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, answer};

tests::conformance! {
    both: [
        the_result_names_bridge_veth_and_container_interface,
        mtu_holds_for_bridge_and_both_ends,
        mac_comes_from_the_most_specific_source,
        promiscuous_mode_is_set_on_the_bridge,
        the_default_gateway_becomes_a_route,
        a_route_of_the_ipam_comes_before_the_default_gateway,
        force_address_replaces_another_gateway,
        the_gateway_turns_on_forwarding,
        versions_without_lists_of_addresses_get_one_of_each_family,
        every_version_gets_a_result_of_its_own_form,
        names_and_macs_in_the_result_are_those_of_the_kernel,
        a_second_interface_of_a_container_is_another_attachment,
        nobody_takes_router_advertisements,
        keys_in_any_case_are_understood,
        ipv6_alone_is_enough,
    ]
    ours: [
        the_interface_can_stay_down,
        duplicate_address_detection_runs_when_wanted,
        check_of_layer_two_needs_no_ipam,
        a_new_bridge_keeps_its_mac,
        the_newest_version_is_spoken,
        dns_of_the_network_comes_before_dns_of_the_ipam,
        the_override_allows_the_namespace_of_the_host,
    ]
}

fn add(lab: &Lab, conf: &Value) -> (Container, Value) {
    let container = lab.container("c1");
    let result = lab.plugin("bridge").add(&container, conf).ok();
    (container, result)
}

fn the_result_names_bridge_veth_and_container_interface(lab: &Lab) {
    let (c1, result) = add(lab, &conf::dual_stack("net"));
    assert_eq!(answer::interface(&result, 0, "name"), "br0");
    assert!(answer::host_veth(&result).starts_with("veth"));
    assert_eq!(answer::interface(&result, 2, "name"), "eth0");
    assert_eq!(answer::interface(&result, 2, "sandbox"), c1.netns.path().to_str().unwrap());
    let want = json!([
        {"address": "10.77.0.2/24", "gateway": "10.77.0.1", "interface": 2},
        {"address": "fd77::2/64", "gateway": "fd77::1", "interface": 2}
    ]);
    assert_eq!(result["ips"], want);
}

fn names_and_macs_in_the_result_are_those_of_the_kernel(lab: &Lab) {
    let (c1, result) = add(lab, &conf::bridge("net"));
    for (place, netns) in [(0, lab.host()), (1, lab.host()), (2, &c1.netns)] {
        let name = answer::interface(&result, place, "name");
        let mac = answer::interface(&result, place, "mac");
        let link = netns.sh(&format!("ip -o link show dev {name}"));
        assert!(link.contains(&mac), "interface {place}: {mac} in {link}");
    }
}

fn mtu_holds_for_bridge_and_both_ends(lab: &Lab) {
    let (c1, result) = add(lab, &conf::bridge("net").with("mtu", 1400));
    for (name, netns) in [("br0", lab.host()), (&answer::host_veth(&result), lab.host()), ("eth0", &c1.netns)]
    {
        let link = netns.sh(&format!("ip -o link show dev {name}"));
        assert!(link.contains("mtu 1400"), "{link}");
    }
}

fn mac_comes_from_the_most_specific_source(lab: &Lab) {
    let mut conf = conf::bridge("net");
    let mut mac_with = |id: &str, key: &str, value: Value| {
        conf[key] = value;
        let container = lab.container(id);
        let call = lab.plugin("bridge").on("ADD", &container, &conf);
        call.args("IgnoreUnknown=1;MAC=02:00:00:00:00:01").run().ok();
        container.netns.sh("ip -o link show dev eth0")
    };
    let link = mac_with("c1", "capabilities", json!({"mac": true}));
    assert!(link.contains("02:00:00:00:00:01"), "CNI_ARGS: {link}");
    let link = mac_with("c2", "args", json!({"cni": {"mac": "02:00:00:00:00:02"}}));
    assert!(link.contains("02:00:00:00:00:02"), "args.cni before CNI_ARGS: {link}");
    let link = mac_with("c3", "runtimeConfig", json!({"mac": "02:00:00:00:00:03"}));
    assert!(link.contains("02:00:00:00:00:03"), "runtimeConfig before all: {link}");
}

fn promiscuous_mode_is_set_on_the_bridge(lab: &Lab) {
    add(lab, &conf::bridge("net").with("promiscMode", true));
    let link = lab.host().sh("ip -o link show dev br0");
    assert!(link.contains("PROMISC"), "{link}");
}

fn the_default_gateway_becomes_a_route(lab: &Lab) {
    let (c1, _) = add(lab, &conf::dual_stack("net"));
    let routes = c1.netns.sh("ip route show default") + &c1.netns.sh("ip -6 route show default");
    assert!(routes.contains("default via 10.77.0.1 dev eth0"), "{routes}");
    assert!(routes.contains("default via fd77::1 dev eth0"), "{routes}");
}

fn a_route_of_the_ipam_comes_before_the_default_gateway(lab: &Lab) {
    let routes = json!([{"dst": "0.0.0.0/0", "gw": "10.77.0.99"}, {"dst": "198.51.100.0/24"}]);
    let (c1, _) = add(lab, &conf::bridge("net").with_at("ipam.routes", routes));
    let routes = c1.netns.sh("ip route show");
    assert!(routes.contains("default via 10.77.0.99 dev eth0"), "{routes}");
    assert!(!routes.contains("default via 10.77.0.1 "), "{routes}");
    assert!(routes.contains("198.51.100.0/24 via 10.77.0.1 dev eth0"), "{routes}");
}

fn force_address_replaces_another_gateway(lab: &Lab) {
    add(lab, &conf::bridge("old"));
    let moved = conf::bridge("new").with_at("ipam.ranges", json!([[{"subnet": "10.78.0.0/24"}]]));
    let c2 = lab.container("c2");
    let refused = lab.plugin("bridge").add(&c2, &moved).failure();
    assert!(
        refused.text.contains("already has an IP address different from 10.78.0.1/24"),
        "{}",
        refused.text
    );
    lab.plugin("bridge").del(&c2, &moved).quiet();
    lab.plugin("bridge").add(&c2, &moved.with("forceAddress", true)).ok();
    let addresses = lab.host().sh("ip -4 -o address show dev br0");
    assert!(addresses.contains("10.78.0.1/24") && !addresses.contains("10.77.0.1"), "{addresses}");
}

fn dns_of_the_network_comes_before_dns_of_the_ipam(lab: &Lab) {
    let file = lab.dir("etc").join("resolv.conf");
    std::fs::write(&file, "nameserver 192.0.2.53\nsearch ipam.example\n").unwrap();
    let conf = conf::bridge("net").with_at("ipam.resolvConf", file.to_str().unwrap());
    let (c1, result) = add(lab, &conf);
    assert_eq!(result["dns"], json!({"nameservers": ["192.0.2.53"], "search": ["ipam.example"]}));
    lab.plugin("bridge").del(&c1, &conf).quiet();
    let own = json!({"nameservers": ["192.0.2.1"], "domain": "net.example"});
    let result = lab.plugin("bridge").add(&c1, &conf.with("dns", own.clone())).ok();
    assert_eq!(result["dns"], own);
}

fn the_gateway_turns_on_forwarding(lab: &Lab) {
    add(lab, &conf::bridge("net"));
    assert_eq!(lab.host().sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
    assert_eq!(lab.host().sh("cat /proc/sys/net/ipv6/conf/all/forwarding").trim(), "0", "no IPv6 here");
}

fn every_version_gets_a_result_of_its_own_form(lab: &Lab) {
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
        let conf = conf::bridge("net").with("cniVersion", version);
        let container = lab.container(&format!("c-{version}"));
        let result = lab.plugin("bridge").add(&container, &conf).ok();
        assert_eq!(result["cniVersion"], version);
        let old = version.starts_with("0.");
        assert_eq!(result["ips"][0]["version"], if old { json!("4") } else { Value::Null }, "{version}");
        if version >= "0.4.0" {
            lab.plugin("bridge").check(&container, &conf, &result).quiet();
        }
        lab.plugin("bridge").del(&container, &conf.with_prev(&result)).quiet();
    }
}

fn versions_without_lists_of_addresses_get_one_of_each_family(lab: &Lab) {
    let sets = json!([[{"subnet": "10.77.0.0/24"}], [{"subnet": "10.78.0.0/24"}]]);
    for version in ["0.1.0", "0.2.0"] {
        let conf = conf::dual_stack("net").with("cniVersion", version);
        let container = lab.container(&format!("c-{version}"));
        let result = lab.plugin("bridge").add(&container, &conf).ok();
        assert!(result["ip6"]["ip"].as_str().unwrap().starts_with("fd77::"), "{result}");
        lab.plugin("bridge").del(&container, &conf).quiet();
        let refused =
            lab.plugin("bridge").add(&container, &conf.with_at("ipam.ranges", sets.clone())).failure();
        assert!(refused.text.contains("does not support more than 1 address per family"), "{}", refused.text);
        lab.plugin("bridge").del(&container, &conf::dual_stack("net")).quiet();
    }
    let conf = conf::bridge("net").with("cniVersion", "0.2.0");
    let (c1, result) = add(lab, &conf);
    assert_eq!(result["cniVersion"], "0.2.0");
    assert_eq!(result["ip4"]["ip"].as_str().unwrap().split_once('/').unwrap().1, "24");
    assert_eq!(result["ip4"]["gateway"], "10.77.0.1");
    assert_eq!(result["ip4"]["routes"][0]["dst"], "0.0.0.0/0");
    assert!(result.get("interfaces").is_none(), "{result}");
    lab.plugin("bridge").del(&c1, &conf).quiet();
}

fn a_second_interface_of_a_container_is_another_attachment(lab: &Lab) {
    let conf = conf::bridge("net").without("isDefaultGateway").with("isGateway", true);
    let (c1, first) = add(lab, &conf);
    let bridge = lab.plugin("bridge");
    let second = bridge.on("ADD", &c1, &conf).ifname("eth1").run().ok();
    assert_ne!(answer::ip(&first), answer::ip(&second));
    bridge.on("DEL", &c1, &conf).ifname("eth1").run().quiet();
    let links = c1.netns.sh("ip -o link show");
    assert!(links.contains("eth0") && !links.contains("eth1"), "{links}");
    assert_eq!(lab.host().sh("ip -o link show master br0").lines().count(), 1);
}

fn the_newest_version_is_spoken(lab: &Lab) {
    let conf = conf::dual_stack("net").with("cniVersion", "1.1.0");
    let (c1, result) = add(lab, &conf);
    assert_eq!(result["cniVersion"], "1.1.0");
    let bridge = lab.plugin("bridge");
    bridge.check(&c1, &conf, &result).quiet();
    bridge.status(&conf).quiet();
    bridge.gc(&conf, &["c1"]).quiet();
    bridge.check(&c1, &conf, &result).quiet();
    bridge.del(&c1, &conf.with_prev(&result)).quiet();
}

fn the_interface_can_stay_down(lab: &Lab) {
    let conf = json!({"cniVersion": conf::COMMON, "name": "l2", "type": "bridge", "bridge": "br0",
        "disableContainerInterface": true});
    let (c1, _) = add(lab, &conf);
    let link = c1.netns.sh("ip -o link show dev eth0");
    assert!(!link.contains(",UP"), "{link}");
    let c2 = lab.container("c2");
    lab.plugin("bridge").add(&c2, &conf::bridge("net").with("disableContainerInterface", true)).failure();
}

fn duplicate_address_detection_runs_when_wanted(lab: &Lab) {
    let conf = conf::dual_stack("net").with("enabledad", true);
    let (c1, _) = add(lab, &conf);
    assert_eq!(c1.netns.sh("cat /proc/sys/net/ipv6/conf/eth0/accept_dad").trim(), "1");
    let addresses = c1.netns.sh("ip -6 -o address show dev eth0");
    assert!(!addresses.contains("fd77::2/64 scope global tentative"), "ADD waits for it: {addresses}");
    // The same address a second time: the lease is given back behind IPAM's back.
    lab.host().sh("rm /var/lib/cni/networks/net/fd77::2 /var/lib/cni/networks/net/last_reserved_ip.1");
    let before = lab.state();
    let refused = lab.plugin("bridge").add(&lab.container("c2"), &conf).failure();
    assert!(refused.text.contains("fd77::2"), "the address in use is named: {}", refused.text);
    assert!(!lab.state().text().contains("c2\\r\\n"), "{}", before.difference(&lab.state()));
}

fn nobody_takes_router_advertisements(lab: &Lab) {
    let (_, result) = add(lab, &conf::dual_stack("net"));
    for name in ["br0", &answer::host_veth(&result)] {
        let accept = lab.host().sh(&format!("cat /proc/sys/net/ipv6/conf/{name}/accept_ra"));
        assert_eq!(accept.trim(), "0", "{name}");
    }
}

fn check_of_layer_two_needs_no_ipam(lab: &Lab) {
    let conf = json!({"cniVersion": conf::COMMON, "name": "l2", "type": "bridge", "bridge": "br0"});
    let (c1, result) = add(lab, &conf);
    lab.plugin("bridge").check(&c1, &conf, &result).quiet();
    lab.plugin("bridge").del(&c1, &conf).quiet();
}

fn a_new_bridge_keeps_its_mac(lab: &Lab) {
    let mac = |result: &Value| answer::interface(result, 0, "mac");
    let (c1, first) = add(lab, &conf::bridge("net"));
    let second = lab.plugin("bridge").add(&lab.container("c2"), &conf::bridge("net")).ok();
    assert_eq!(mac(&first), mac(&second));
    lab.plugin("bridge").del(&c1, &conf::bridge("net")).quiet();
    let link = lab.host().sh("ip -o link show dev br0");
    assert!(link.contains(&mac(&first)), "{link}");
}

/// containerd sends what a runtime gives with capital letters.
fn keys_in_any_case_are_understood(lab: &Lab) {
    let conf =
        conf::bridge("net").without("isDefaultGateway").with("isdefaultgateway", true).with("MTU", 1400);
    let conf = conf.with("runtimeConfig", json!({"Mac": "02:00:00:00:00:03"}));
    let (c1, _) = add(lab, &conf);
    let link = c1.netns.sh("ip -o link show dev eth0");
    assert!(link.contains("mtu 1400") && link.contains("02:00:00:00:00:03"), "{link}");
    assert!(c1.netns.sh("ip route show default").contains("via 10.77.0.1"));
}

fn ipv6_alone_is_enough(lab: &Lab) {
    let conf = conf::bridge("net").with_at("ipam.ranges", json!([[{"subnet": "fd77::/64"}]]));
    let (c1, result) = add(lab, &conf);
    assert_eq!(answer::ip(&result), "fd77::2");
    assert!(tests::lab::traffic::ping(&c1.netns, "fd77::1"));
    assert_eq!(lab.host().sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "0", "no IPv4 here");
    lab.plugin("bridge").check(&c1, &conf, &result).quiet();
    lab.plugin("bridge").del(&c1, &conf).quiet();
}

fn the_override_allows_the_namespace_of_the_host(lab: &Lab) {
    let conf = conf::bridge("net");
    let bridge = lab.plugin("bridge");
    let call = |verb: &str| {
        let call = bridge.call(verb).id("c1").netns(lab.host()).ifname("eth0").conf(&conf);
        call.env("CNI_NETNS_OVERRIDE", "true").run()
    };
    let result = call("ADD").ok();
    let link = lab.host().sh("ip -o -4 address show dev eth0");
    assert!(link.contains(&answer::ip(&result)), "{link}");
    call("DEL").quiet();
    lab.state().assert_nothing_attached();
}
