//! ptp: a container and the host, point to point; the host routes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, Outcome, Plugins, Snapshot, answer, command, fake, traffic};

tests::conformance! {
    both: [
        containers_talk_to_the_host_and_to_each_other,
        what_leaves_the_host_is_masqueraded,
        without_masquerade_the_outside_sees_the_container,
        the_result_names_both_ends,
        dns_of_the_configuration_wins,
        an_mtu_is_given_to_both_ends,
        del_in_every_way_leaves_nothing,
        check_notices_what_the_container_has_lost,
        ipam_is_required,
    ]
    ours: [
        one_address_alone,
        a_picture,
        check_notices_what_the_host_has_lost,
        del_without_the_namespace_removes_everything,
        del_leaves_interfaces_of_others_alone,
        gc_keeps_the_valid_and_removes_the_rest,
        status_says_what_is_missing,
        values_that_cannot_be_leave_no_trace,
        a_gateway_is_required,
        an_add_that_fails_leaves_nothing,
        an_interface_that_is_already_there,
        our_del_removes_what_the_reference_made,
        the_reference_removes_what_we_made,
        beside_a_bridge,
        the_name_is_free_right_after_del,
    ]
}

fn network() -> Value {
    conf::ptp("net").with("ipMasq", true)
}

fn newest() -> Value {
    network().with("cniVersion", "1.1.0")
}

fn added(lab: &Lab, id: &str, conf: &Value) -> (Container, Value) {
    let container = lab.container(id);
    let result = lab.plugin("ptp").add(&container, conf).ok();
    (container, result)
}

/// The state of a host that has seen the network before.
fn warm(lab: &Lab, conf: &Value) -> Snapshot {
    let (container, _) = added(lab, "warm", conf);
    lab.plugin("ptp").del(&container, conf).quiet();
    lab.delete_container(&container);
    lab.state()
}

fn containers_talk_to_the_host_and_to_each_other(lab: &Lab) {
    let [(c1, one), (c2, two)] = ["c1", "c2"].map(|id| added(lab, id, &network()));
    for (container, gateway) in [(&c1, "10.77.0.1"), (&c2, "10.77.0.1"), (&c1, "fd77::1"), (&c2, "fd77::1")] {
        assert!(traffic::ping(&container.netns, gateway), "{} to {gateway}", container.id);
    }
    for (from, to, there) in [(&c1, &c2, &two), (&c2, &c1, &one)] {
        for ip in answer::ips(there) {
            assert!(traffic::ping(lab.host(), &ip), "host to {ip}");
            let own: Vec<_> = answer::ips(if there == &two { &one } else { &two });
            let seen = traffic::tcp(&from.netns, &to.netns, &ip).unwrap_or_else(|e| panic!("to {ip}: {e}"));
            assert!(own.contains(&seen.to_string()), "{ip} sees {seen}, not the container's own");
        }
    }
}

fn what_leaves_the_host_is_masqueraded(lab: &Lab) {
    let outside = traffic::outside(lab);
    let (c1, _) = added(lab, "c1", &network());
    for place in 0..2 {
        let to = traffic::OUTSIDE[place];
        let seen = traffic::tcp(&c1.netns, &outside, to).unwrap_or_else(|e| panic!("to {to}: {e}"));
        assert_eq!(seen.to_string(), traffic::HOST_OUTSIDE[place]);
    }
}

fn without_masquerade_the_outside_sees_the_container(lab: &Lab) {
    let outside = traffic::outside(lab);
    let (c1, result) = added(lab, "c1", &network().with("ipMasq", false));
    outside.sh(&format!("ip route add 10.77.0.0/24 via {}", traffic::HOST_OUTSIDE[0]));
    outside.sh(&format!("ip route add fd77::/64 via {}", traffic::HOST_OUTSIDE[1]));
    for (place, own) in answer::ips(&result).iter().enumerate() {
        let seen = traffic::tcp(&c1.netns, &outside, traffic::OUTSIDE[place]).unwrap();
        assert_eq!(&seen.to_string(), own);
        assert!(traffic::ping(&outside, own), "the outside to {own}");
    }
}

fn the_result_names_both_ends(lab: &Lab) {
    for version in ["0.2.0", "0.3.1", "0.4.0", "1.0.0"] {
        let conf = network().with("cniVersion", version);
        let (c1, result) = added(lab, &format!("c-{version}"), &conf);
        assert_eq!(result["cniVersion"], version);
        if version == "0.2.0" {
            assert!(result["ip4"]["ip"].as_str().unwrap().starts_with("10.77.0."), "{result}");
        } else {
            let host = answer::interface(&result, 0, "name");
            let link = lab.host().sh(&format!("ip -o link show {host}"));
            assert!(link.contains(&answer::interface(&result, 0, "mac")), "{link}");
            assert_eq!(answer::interface(&result, 1, "name"), "eth0");
            assert_eq!(answer::interface(&result, 1, "sandbox"), c1.netns.path().display().to_string());
            assert!(c1.netns.sh("ip -o link show eth0").contains(&answer::interface(&result, 1, "mac")));
            let places: Vec<_> =
                result["ips"].as_array().unwrap().iter().map(|ip| &ip["interface"]).collect();
            assert_eq!(places, [1, 1]);
        }
        lab.plugin("ptp").del(&c1, &conf).quiet();
    }
}

fn dns_of_the_configuration_wins(lab: &Lab) {
    let own = json!({"nameservers": ["10.0.0.53"], "search": ["example.org"]});
    let (_, result) = added(lab, "c1", &network().with("dns", own.clone()));
    assert_eq!(result["dns"], own);
    let resolv = lab.dir("dns").join("resolv.conf");
    std::fs::write(&resolv, "nameserver 10.0.0.54\n").unwrap();
    let (_, result) = added(lab, "c2", &network().with_at("ipam.resolvConf", resolv.to_str().unwrap()));
    assert_eq!(result["dns"]["nameservers"], json!(["10.0.0.54"]));
}

fn an_mtu_is_given_to_both_ends(lab: &Lab) {
    let (c1, result) = added(lab, "c1", &network().with("mtu", 1400));
    let host = answer::interface(&result, 0, "name");
    for link in [c1.netns.sh("ip -o link show eth0"), lab.host().sh(&format!("ip -o link show {host}"))] {
        assert!(link.contains("mtu 1400"), "{link}");
    }
}

fn del_in_every_way_leaves_nothing(lab: &Lab) {
    let before = warm(lab, &network());
    for again in [false, true] {
        let (c1, result) = added(lab, "c1", &network());
        lab.plugin("ptp").del(&c1, &network().with_prev(&result)).quiet();
        if again {
            lab.plugin("ptp").del(&c1, &network()).quiet();
        }
        lab.delete_container(&c1);
        before.assert_same(&lab.state(), "ADD and DEL");
    }
    let never = lab.container("never");
    lab.plugin("ptp").del(&never, &network()).quiet();
}

fn sabotaged(lab: &Lab, number: usize, damage: impl Fn(&Container, &Value)) -> String {
    let (container, result) = added(lab, &format!("c{number}"), &network());
    lab.plugin("ptp").check(&container, &network(), &result).quiet();
    damage(&container, &result);
    let text = lab.plugin("ptp").check(&container, &network(), &result).failure().text;
    lab.plugin("ptp").del(&container, &network()).quiet();
    text
}

fn check_notices_what_the_container_has_lost(lab: &Lab) {
    for (number, (line, word)) in [
        ("ip address flush dev eth0", "10.77.0."),
        ("ip route del default", "0.0.0.0/0"),
        ("ip route del 10.77.0.0/24", "10.77.0.0/24"),
        ("ip link set eth0 address 02:00:00:00:00:99", "02:00:00:00:00:99"),
        ("ip link del eth0", "eth0"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = sabotaged(lab, number, |container, _| drop(container.netns.sh(line)));
        // The reference names routes and addresses as Go structures.
        assert!(
            text.contains(word) || lab.plugins().are_reference(),
            "{line}: {word:?} is missing in: {text}"
        );
    }
}

fn check_notices_what_the_host_has_lost(lab: &Lab) {
    type Damage = fn(&Lab, &Container, &Value);
    let damages: [(&str, Damage); 6] = [
        ("10.77.0.1", |lab, _, result| {
            lab.host()
                .sh(&format!("ip address del 10.77.0.1/32 dev {}", answer::interface(result, 0, "name")));
        }),
        ("fd77::", |lab, _, result| {
            lab.host().sh(&format!("ip route del {}/128", answer::ips(result)[1]));
        }),
        ("10.77.0.", |lab, _, result| {
            lab.host().sh(&format!("ip route del {}", answer::ips(result)[0]));
        }),
        ("is down", |lab, _, result| {
            lab.host().sh(&format!("ip link set {} down", answer::interface(result, 0, "name")));
        }),
        ("masquerade", |lab, _, _| drop(lab.host().sh("nft delete table inet tidewater"))),
        ("10.77.0.1", |_, c, _| drop(c.netns.sh("ip route del 10.77.0.1"))),
    ];
    for (number, (word, damage)) in damages.into_iter().enumerate() {
        let text = sabotaged(lab, number, |container, result| damage(lab, container, result));
        assert!(text.contains(word), "{number}: {word:?} is missing in: {text}");
    }
}

fn ipam_is_required(lab: &Lab) {
    let c1 = lab.container("c1");
    let before = lab.state();
    for ipam in [json!(null), json!({}), json!({"type": ""})] {
        let conf = network().with("ipam", ipam);
        let failure = lab.plugin("ptp").add(&c1, &conf).failure();
        assert!(failure.text.contains("no plugin name provided"), "{}", failure.text);
        before.assert_same(&lab.state(), "no IPAM");
    }
}

fn one_address_alone(lab: &Lab) {
    let ipam = json!({"type": "static", "addresses": [{"address": "10.88.0.9/32", "gateway": "192.0.2.1"}],
        "routes": [{"dst": "0.0.0.0/0"}]});
    let conf = network().with("ipam", ipam);
    let (c1, result) = added(lab, "c1", &conf);
    assert!(traffic::ping(&c1.netns, "192.0.2.1") && traffic::ping(lab.host(), "10.88.0.9"));
    lab.plugin("ptp").check(&c1, &conf, &result).quiet();
    lab.plugin("ptp").del(&c1, &conf).quiet();
}

fn a_picture(lab: &Lab) {
    added(lab, "c1", &network());
    lab.picture().assert_golden("ptp_dual_stack");
}

/// Addresses and routes of both sides, without the flags that say how they came to be.
fn wiring(lab: &Lab) -> Vec<String> {
    added(
        lab,
        "c1",
        &network().with("ipMasq", false).with_at(
            "ipam.routes",
            json!([{"dst": "0.0.0.0/0"},
        {"dst": "192.0.2.0/24", "gw": "10.77.0.9"}, {"dst": "::/0"}]),
        ),
    );
    let picture = lab.picture();
    let lines = picture.text().lines().map(str::trim);
    let sections = lines
        .filter(|line| ["==", "addr ", "route ", "sysctl ipv"].iter().any(|sign| line.starts_with(sign)));
    // Set by us, or by the reference since Debian's version.
    let of_links = ["accept_dad", "ndisc_notify", "arp_notify", "keep_addr_on_down"];
    let shown = sections.filter(|line| !of_links.iter().any(|of_link| line.contains(of_link)));
    shown
        .map(|line| line.replace(" nodad", "").replace(" noprefixroute", ""))
        .take_while(|line| line != "== files")
        .collect()
}

#[test]
#[ignore = "needs root"]
fn the_wiring_is_the_reference_s() {
    let [ours, theirs] = [Plugins::ours(), Plugins::reference()].map(|plugins| wiring(&Lab::new(plugins)));
    assert!(ours.len() > 12, "{ours:?}");
    assert_eq!(ours, theirs);
}

fn del_without_the_namespace_removes_everything(lab: &Lab) {
    let before = warm(lab, &network());
    for number in 0..3 {
        let (container, result) = added(lab, &format!("c{number}"), &network());
        lab.delete_container(&container);
        let call = lab.plugin("ptp").on("DEL", &container, &network());
        match number {
            0 => call.env("CNI_NETNS", ""),
            1 => call.without_env("CNI_NETNS").conf(&network().with_prev(&result)),
            _ => call,
        }
        .run()
        .quiet();
        before.assert_same(&lab.state(), &format!("way {number}"));
    }
}

fn del_leaves_interfaces_of_others_alone(lab: &Lab) {
    let (c1, _) = added(lab, "c1", &network());
    let by_hand = lab.container("by-hand");
    lab.host().sh("ip link add stranger type veth peer name eth0 netns by-hand");
    let of_bridge = lab.container("of-bridge");
    Plugins::reference()
        .plugin("bridge")
        .add(&of_bridge, &conf::bridge("br").with_at("ipam.ranges", json!([[{"subnet": "10.78.0.0/24"}]])))
        .ok();
    let before = lab.state();
    let other = network().with("name", "other").with_at("ipam.ranges", json!([[{"subnet": "10.79.0.0/24"}]]));
    for container in [&c1, &by_hand, &of_bridge] {
        lab.plugin("ptp").del(container, &other).quiet();
        before.assert_same(&lab.state(), &container.id);
    }
}

fn gc_keeps_the_valid_and_removes_the_rest(lab: &Lab) {
    let before = warm(lab, &newest());
    let (valid, _) = added(lab, "valid", &newest());
    let kept = lab.state();
    let (gone, _) = added(lab, "gone", &newest());
    let ptp = lab.plugin("ptp");
    lab.delete_container(&gone);
    ptp.gc(&newest(), &["valid"]).quiet();
    kept.assert_same(&lab.state(), "the valid one stays");
    ptp.gc(&newest(), &[]).quiet();
    lab.delete_container(&valid);
    before.assert_same(&lab.state(), "an empty list");
}

fn status_says_what_is_missing(lab: &Lab) {
    let ptp = lab.plugin("ptp");
    ptp.status(&newest()).quiet();
    ptp.status(&newest().without("ipam")).fails(7, &["no plugin name provided"]);
    ptp.status(&newest().with_at("ipam.type", "no-such-ipam")).fails(50, &["no-such-ipam"]);
}

fn values_that_cannot_be_leave_no_trace(lab: &Lab) {
    let c1 = lab.container("c1");
    let before = lab.state();
    for (key, value, code, word) in [
        ("mtu", json!(-1), 7, "invalid MTU -1"),
        ("mtu", json!(67), 7, "invalid MTU 67"),
        ("mtu", json!(65536), 7, "invalid MTU 65536"),
        ("mtu", json!("big"), 6, "mtu"),
        ("ipMasqBackend", json!("abacus"), 7, "unknown ipmasq backend \"abacus\""),
    ] {
        lab.plugin("ptp").add(&c1, &network().with(key, value)).fails(code, &[word]);
        before.assert_same(&lab.state(), word);
    }
}

fn a_gateway_is_required(lab: &Lab) {
    let ipam = json!({"type": "static", "addresses": [{"address": "10.88.0.9/24"}]});
    failing(lab, lab.plugins(), &network().with("ipam", ipam), &["10.88.0.9/24", "gateway"]);
}

/// The ADD fails, leaves nothing, and a good one works afterwards.
fn failing(lab: &Lab, plugins: &Plugins, conf: &Value, words: &[&str]) -> Outcome {
    warm(lab, &network());
    let victim = lab.container("victim");
    let before = lab.state();
    let outcome = plugins.plugin("ptp").add(&victim, conf);
    let failure = outcome.failure();
    words
        .iter()
        .for_each(|word| assert!(failure.text.contains(word), "{word:?} is missing in: {}", failure.text));
    before.assert_same(&lab.state(), &failure.text);
    lab.plugin("ptp").add(&victim, &network()).ok();
    lab.plugin("ptp").del(&victim, &network()).quiet();
    before.assert_same(&lab.state(), "a good ADD and DEL afterwards");
    lab.delete_container(&victim);
    outcome
}

fn an_add_that_fails_leaves_nothing(lab: &Lab) {
    let with = |ips: &str| format!("cat > /dev/null; echo '{{\"cniVersion\": \"1.0.0\", {ips}}}'");
    let ip = r#""ips": [{"address": "10.77.0.200/24", "gateway": "10.77.0.1"}]"#;
    let cases = [
        (with(r#""ips": []"#), "missing IP config"),
        (
            with(&format!(r#"{ip}, "routes": [{{"dst": "192.0.2.0/24", "gw": "198.51.100.1"}}]"#)),
            "192.0.2.0/24",
        ),
        ("echo oh; exit 1".to_owned(), "netplugin failed"),
    ];
    for (script, word) in cases {
        let plugins = fake::delegate(lab, "fake-ipam", &script);
        failing(lab, &plugins, &network().with("ipam", json!({"type": "fake-ipam"})), &[word]);
    }
    let missing = network().with_at("ipam.type", "no-such-ipam");
    failing(lab, lab.plugins(), &missing, &["failed to find plugin \"no-such-ipam\" in path"]);
}

fn an_interface_that_is_already_there(lab: &Lab) {
    let (c1, _) = added(lab, "c1", &network());
    let before = lab.state();
    lab.plugin("ptp").add(&c1, &network().with("name", "other")).fails(999, &["eth0", "already has"]);
    before.assert_same(&lab.state(), "already there");
}

fn theirs() -> Plugins {
    Plugins::reference()
}

fn our_del_removes_what_the_reference_made(lab: &Lab) {
    // What all share: their tables of iptables and ours.
    for plugins in [theirs(), lab.plugins().clone()] {
        let warm = lab.container("warm");
        plugins.plugin("ptp").add(&warm, &network()).ok();
        plugins.plugin("ptp").del(&warm, &network()).quiet();
        lab.delete_container(&warm);
    }
    let before = lab.state();
    let c1 = lab.container("c1");
    let result = theirs().plugin("ptp").add(&c1, &network()).ok();
    lab.plugin("ptp").del(&c1, &network().with_prev(&result)).quiet();
    lab.delete_container(&c1);
    before.assert_same(&lab.state(), "our DEL of theirs");
}

fn the_reference_removes_what_we_made(lab: &Lab) {
    let conf = network().with("ipMasq", false);
    let before = warm(lab, &conf);
    let (c1, result) = added(lab, "c1", &conf);
    theirs().plugin("ptp").check(&c1, &conf, &result).quiet();
    theirs().plugin("ptp").del(&c1, &conf.with_prev(&result)).quiet();
    lab.delete_container(&c1);
    // Which lease is whose is a hint of ours, which the reference leaves behind.
    lab.plugin("ptp").gc(&newest(), &[]).quiet();
    before.assert_same(&lab.state(), "their DEL of ours");
}

fn beside_a_bridge(lab: &Lab) {
    let bridged = lab.container("bridged");
    let bridge = conf::bridge("br").with_at("ipam.ranges", json!([[{"subnet": "10.78.0.0/24"}]]));
    let theirs = lab.plugin("bridge").add(&bridged, &bridge).ok();
    let (c1, result) = added(lab, "c1", &network());
    assert!(traffic::ping(&c1.netns, &answer::ip(&theirs)), "over the host to the bridge");
    assert!(traffic::ping(&bridged.netns, &answer::ips(&result)[0]), "and back");
    lab.plugin("ptp").del(&c1, &network()).quiet();
    lab.plugin("bridge").del(&bridged, &bridge).quiet();
    lab.state().assert_nothing_attached();
    assert!(command::try_run("ip route get 10.77.0.2").is_err(), "no route is left");
}

fn the_name_is_free_right_after_del(lab: &Lab) {
    let (c1, ptp) = (lab.container("c1"), lab.plugin("ptp"));
    let before = warm(lab, &network());
    for _ in 0..20 {
        let result = ptp.add(&c1, &network()).ok();
        ptp.check(&c1, &network(), &result).quiet();
        ptp.del(&c1, &network()).quiet();
        assert!(command::try_run("ip route get 10.77.0.2").is_err(), "the host's route is gone, too");
    }
    before.assert_same(&lab.state(), "twenty lives");
}
