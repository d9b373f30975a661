//! tuning: what it changes on an interface and in the sysctls of a container, and that all of it is taken back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::chain::Chain;
use tests::lab::conf::{self, Change};
use tests::lab::{Call, Container, Lab, Plugin, Plugins, answer, command, traffic};

tests::conformance! {
    both: [
        settings_are_made_and_taken_back,
        the_result_is_the_previous_one_with_the_new_mac,
        a_mac_is_asked_for_in_four_places,
        args_cni_override_the_keys,
        a_previous_result_is_required,
        keys_match_in_any_case,
        sysctls_outside_net_are_refused,
        an_interface_that_is_gone_is_an_error,
        check_notices_what_has_drifted,
        del_bears_everything,
        any_interface_will_do,
        after_either_bridge,
    ]
    ours: [
        a_mac_that_the_port_is_not_bound_to_is_refused,
        the_list_of_allowed_sysctls_is_obeyed,
        the_same_sysctl_twice_is_refused,
        sysctls_are_put_back_unless_they_changed_again,
        an_interface_with_a_dot_in_its_name,
        sysctls_that_a_container_has_not_are_explained,
        a_transmit_queue_length,
        an_interface_that_was_promiscuous_before,
        only_the_containers_own_interface_changes_in_the_result,
        values_that_cannot_be_leave_no_trace,
        a_failing_step_takes_everything_back,
        a_second_add_remembers_the_first_values,
        two_tunings_in_one_list,
        the_reference_takes_back_what_we_did,
        we_take_back_what_the_reference_did,
        a_file_about_another_interface_changes_nothing,
        gc_removes_files_of_its_own_network_only,
        status_asks_for_what_an_add_needs,
        nothing_asked_is_nothing_done,
    ]
}

const MAC: &str = "02:00:00:00:00:77";
const DATA: &str = "/run/cni/tuning";

/// A container with an interface eth0 that no plugin of ours made.
fn wired(lab: &Lab, id: &str) -> Container {
    let container = lab.container(id);
    lab.host().sh(&format!("ip link add host-{id} type veth peer name eth0 netns {id}"));
    container
}

fn tuning(mut keys: Value) -> Value {
    for (key, value) in [("cniVersion", conf::COMMON), ("name", "net"), ("type", "tuning")] {
        keys[key] = json!(value);
    }
    keys
}

/// The configuration with the result of whatever wired the container.
/// The frames of such a container would be dropped, after an ADD that went well.
fn a_mac_that_the_port_is_not_bound_to_is_refused(lab: &Lab) {
    let bridge = conf::bridge("x").without("name").without("cniVersion");
    let c1 = lab.container("c1");
    for (first, by) in [
        (vec![bridge.clone(), json!({"type": "firewall", "antiSpoof": true})], "put tuning before firewall"),
        (vec![bridge.with("macspoofchk", true)], "give the MAC to bridge"),
    ] {
        let mut chain = Chain::new(lab, first);
        chain.name = "net".into();
        let result = chain.add(&c1);
        let before = lab.state();
        let conf =
            json!({"cniVersion": conf::COMMON, "name": "net", "type": "tuning", "mac": "02:00:00:00:00:77"});
        add(lab, &c1, &conf.clone().with_prev(&result))
            .run()
            .fails(7, &["02:00:00:00:00:77", "bound to", by]);
        before.assert_same(&lab.state(), by);
        let own = answer::interface(&result, 2, "mac").to_owned();
        add(lab, &c1, &conf.with("mac", own).with_prev(&result)).run().ok();
        lab.plugin("tuning")
            .del(&c1, &json!({"cniVersion": conf::COMMON, "name": "net", "type": "tuning"}))
            .quiet();
        chain.del(&c1, &result);
    }
}

fn chained(container: &Container, conf: &Value) -> Value {
    let sandbox = container.netns.path().display().to_string();
    let eth0 = json!({"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": sandbox});
    let host = json!({"name": format!("host-{}", container.id), "mac": "02:00:00:00:00:02"});
    let ips = json!([{"address": "10.77.0.2/24", "interface": 1}]);
    conf.clone().with_prev(&json!({"cniVersion": conf["cniVersion"], "interfaces": [host, eth0], "ips": ips}))
}

fn add(lab: &Lab, container: &Container, conf: &Value) -> Call {
    lab.plugin("tuning").on("ADD", container, &chained(container, conf))
}

fn check(lab: &Lab, container: &Container, conf: &Value) -> tests::lab::Outcome {
    lab.plugin("tuning").on("CHECK", container, &chained(container, conf)).run()
}

fn sysctl(container: &Container, path: &str) -> String {
    container.netns.sh(&format!("cat /proc/sys/net/{path}")).trim().to_owned()
}

fn eth0(container: &Container) -> Value {
    let text = container.netns.sh("ip -json -details link show eth0");
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

fn all() -> Value {
    tuning(json!({"mac": MAC, "promisc": true, "mtu": 1300, "allmulti": true}))
}

/// What is set: MAC, MTU, promiscuity, all-multicast mode.
fn settings(container: &Container) -> (String, u64, bool, bool) {
    let link = eth0(container);
    let flag = |flag: &str| link["flags"].as_array().unwrap().iter().any(|set| set == flag);
    (
        link["address"].as_str().unwrap().into(),
        link["mtu"].as_u64().unwrap(),
        flag("PROMISC"),
        flag("ALLMULTI"),
    )
}

fn settings_are_made_and_taken_back(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = (lab.state(), settings(&c1));
    let conf =
        all().with("sysctl", json!({"net.core.somaxconn": "500", "net/ipv4/conf/eth0/arp_filter": "1"}));
    add(lab, &c1, &conf).run().ok();
    assert_eq!(settings(&c1), (MAC.into(), 1300, true, true));
    assert_eq!(
        (sysctl(&c1, "core/somaxconn"), sysctl(&c1, "ipv4/conf/eth0/arp_filter")),
        ("500".into(), "1".into())
    );
    let saved: Value = serde_json::from_str(&lab.host().sh(&format!("cat {DATA}/c1_eth0.json"))).unwrap();
    let (mac, mtu, ..) = &before.1;
    for (key, value) in
        [("mac", json!(mac)), ("mtu", json!(mtu)), ("promisc", json!(false)), ("allmulti", json!(false))]
    {
        assert_eq!(saved[key], value, "{key} of {saved}");
    }
    assert_eq!(lab.host().sh(&format!("stat -c %a {DATA}/c1_eth0.json")), "600\n");
    if !lab.plugins().are_reference() {
        assert_eq!(lab.host().sh(&format!("stat -c %a {DATA}")), "700\n");
        assert_eq!(lab.host().sh("stat -c %a /run/cni"), "755\n");
    }
    check(lab, &c1, &conf).quiet();
    lab.plugin("tuning").del(&c1, &conf).quiet();
    assert_eq!(settings(&c1), before.1);
    before.0.assert_same(&lab.state(), "ADD and DEL");
}

fn the_result_is_the_previous_one_with_the_new_mac(lab: &Lab) {
    let c1 = wired(lab, "c1");
    for version in ["0.3.1", "0.4.0", "1.0.0"] {
        let conf = all().with("cniVersion", version).with("dns", json!({"nameservers": ["10.0.0.1"]}));
        let mut wanted = chained(&c1, &conf)["prevResult"].clone();
        let result = add(lab, &c1, &conf).run().ok();
        wanted["interfaces"][1]["mac"] = json!(MAC);
        if version == "1.0.0" && !lab.plugins().are_reference() {
            wanted["interfaces"][1]["mtu"] = json!(1300);
        }
        for key in ["cniVersion", "interfaces"] {
            assert_eq!(result[key], wanted[key], "{key}, {version}");
        }
        assert_eq!(answer::ips(&result), ["10.77.0.2"]);
        lab.plugin("tuning").del(&c1, &conf).quiet();
    }
}

fn a_mac_is_asked_for_in_four_places(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let mac = |n: u8| format!("02:00:00:00:01:0{n}");
    let runtime = json!({"mac": mac(3)});
    let cni = json!({"cni": {"mac": mac(4)}});
    let key = tuning(json!({"mac": mac(1)}));
    let cases = [
        (key.clone(), String::new(), 1),
        (key.clone(), format!("MAC={}", mac(2)), 2),
        (tuning(json!({})), format!("IgnoreUnknown=1;K8S_POD_NAME=pod;MAC={}", mac(2)), 2),
        (key.clone().with("runtimeConfig", runtime.clone()), format!("MAC={}", mac(2)), 3),
        (key.with("runtimeConfig", runtime).with("args", cni), format!("MAC={}", mac(2)), 4),
    ];
    for (conf, args, wanted) in cases {
        let result = add(lab, &c1, &conf).args(&args).run().ok();
        assert_eq!(answer::interface(&result, 1, "mac"), mac(wanted));
        assert_eq!(settings(&c1).0, mac(wanted));
        lab.plugin("tuning").on("DEL", &c1, &conf).args(&args).run().quiet();
    }
    add(lab, &c1, &all()).args("FOO=BAR").run().fails(999, &["ARGS: unknown args [\"FOO=BAR\"]"]);
}

fn args_cni_override_the_keys(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let args = json!({"cni": {"mtu": 1310, "promisc": false, "allmulti": false,
        "sysctl": {"net.core.somaxconn": "600", "net.ipv4.conf.IFNAME.arp_filter": "1"}}});
    let conf = all().with("sysctl", json!({"net.core.somaxconn": "500"})).with("args", args);
    add(lab, &c1, &conf).run().ok();
    assert_eq!(settings(&c1), (MAC.into(), 1310, false, false));
    assert_eq!(
        (sysctl(&c1, "core/somaxconn"), sysctl(&c1, "ipv4/conf/eth0/arp_filter")),
        ("600".into(), "1".into())
    );
    if !lab.plugins().are_reference() {
        let conf = tuning(json!({"args": {"cni": {"sysctl": {"net.core.somaxconn": "700"}}}}));
        add(lab, &c1, &conf).run().ok();
        assert_eq!(
            sysctl(&c1, "core/somaxconn"),
            "700",
            "without the key itself, where the reference crashes"
        );
    }
}

fn a_previous_result_is_required(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    for verb in ["ADD", "CHECK"] {
        let failure = lab.plugin("tuning").on(verb, &c1, &all()).run().failure();
        assert!(failure.text.contains("Required prevResult missing"), "{}", failure.text);
    }
    before.assert_same(&lab.state(), "without a previous result");
}

fn keys_match_in_any_case(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let conf = tuning(
        json!({"MAC": MAC, "Mtu": 1300, "SysCtl": {"net.core.somaxconn": "500"}, "DataDir": "/run/elsewhere"}),
    );
    add(lab, &c1, &conf).run().ok();
    assert_eq!((settings(&c1).0.as_str(), settings(&c1).1), (MAC, 1300));
    assert_eq!(sysctl(&c1, "core/somaxconn"), "500");
    lab.host().sh("cat /run/elsewhere/c1_eth0.json");
    lab.plugin("tuning").del(&c1, &conf).quiet();
    assert_eq!(lab.host().sh("ls -A /run/elsewhere"), "");
}

fn sysctls_outside_net_are_refused(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    for key in ["kernel.hostname", "net", "vm/swappiness", "fs.file-max", "/../etc/passwd"] {
        let failure = add(lab, &c1, &tuning(json!({"sysctl": {key: "1"}}))).run().failure();
        assert!(failure.text.contains("invalid net sysctl key"), "{key}: {}", failure.text);
        before.assert_same(&lab.state(), key);
    }
    for key in
        ["net.ipv4.no_such_thing", "net.ipv4.conf.eth9.arp_filter", "net.ipv4.conf.eth0.100.forwarding"]
    {
        add(lab, &c1, &tuning(json!({"sysctl": {key: "1"}}))).run().failure();
        before.assert_same(&lab.state(), key);
    }
}

fn the_same_sysctl_twice_is_refused(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let text = chained(&c1, &tuning(json!({}))).to_string();
    let twice = r#","sysctl":{"net.core.somaxconn":"500","net.core.somaxconn":"500"}}"#;
    let text = format!("{}{twice}", &text[..text.len() - 1]);
    for verb in ["ADD", "CHECK"] {
        let failure = lab.plugin("tuning").on(verb, &c1, &Value::Null).stdin(text.clone()).run().failure();
        assert!(failure.text.contains("duplicated sysctl keys are not allowed"), "{}", failure.text);
    }
    let conf = tuning(json!({"sysctl": {"net.core.somaxconn": "500", "net/core/somaxconn": "600"}}));
    add(lab, &c1, &conf).run().fails(7, &["duplicated sysctl keys", "net/core/somaxconn"]);
}

/// A list of allowed sysctls, in a private copy of /etc.
fn allow(lab: &Lab, list: &str) {
    let [upper, work] = ["etc", "work"].map(|name| lab.dir(name));
    if !std::path::Path::new("/run/lab/etc/cni").exists() {
        let dirs = format!("lowerdir=/etc,upperdir={},workdir={}", upper.display(), work.display());
        command::run(&format!("mount -t overlay lab -o {dirs} /etc"));
    }
    std::fs::create_dir_all("/etc/cni/tuning").unwrap();
    std::fs::write("/etc/cni/tuning/allowlist.conf", list).unwrap();
}

fn the_list_of_allowed_sysctls_is_obeyed(lab: &Lab) {
    let c1 = wired(lab, "c1");
    allow(lab, "^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$\n\n  somax  \n");
    let conf =
        tuning(json!({"sysctl": {"net.core.somaxconn": "500", "net.ipv4.conf.IFNAME.arp_filter": "1"}}));
    add(lab, &c1, &conf).run().ok();
    let before = lab.state();
    let failure = add(lab, &c1, &tuning(json!({"sysctl": {"net.ipv4.ip_forward": "1"}}))).run().failure();
    let wanted = "Sysctl net.ipv4.ip_forward is not allowed. Only the following sysctls are allowed: \
                  [^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$ somax]";
    assert_eq!(failure.text, wanted);
    allow(lab, "net.core\n");
    add(lab, &c1, &tuning(json!({"sysctl": {"net.ipv4.ip_forward": "1"}}))).run().failure();
    allow(lab, "[a-\n");
    let failure = add(lab, &c1, &conf).run().failure();
    assert!(failure.text.contains("[a-"), "{}", failure.text);
    before.assert_same(&lab.state(), "what is not allowed");
    add(lab, &c1, &all()).run().ok();
}

fn an_interface_that_is_gone_is_an_error(lab: &Lab) {
    let c1 = lab.container("c1");
    let before = lab.state();
    for verb in ["ADD", "CHECK"] {
        let failure = lab.plugin("tuning").on(verb, &c1, &chained(&c1, &all())).run().failure();
        assert!(failure.text.contains("eth0"), "{}", failure.text);
    }
    before.assert_same(&lab.state(), "no interface");
}

fn check_notices_what_has_drifted(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let conf = all().with("sysctl", json!({"net.core.somaxconn": "500"}));
    add(lab, &c1, &conf).run().ok();
    check(lab, &c1, &conf).quiet();
    for (there, back, word) in [
        (
            "ip link set eth0 address 02:00:00:00:00:99",
            format!("ip link set eth0 address {MAC}"),
            "02:00:00:00:00:99",
        ),
        ("ip link set eth0 mtu 1400", "ip link set eth0 mtu 1300".into(), "1400"),
        ("ip link set eth0 promisc off", "ip link set eth0 promisc on".into(), "promisc"),
        ("ip link set eth0 allmulticast off", "ip link set eth0 allmulticast on".into(), "all-multicast"),
        ("sysctl -q net.core.somaxconn=7", "sysctl -q net.core.somaxconn=500".into(), "somaxconn"),
    ] {
        c1.netns.sh(there);
        let failure = check(lab, &c1, &conf).failure();
        assert!(failure.text.contains(word), "{there}: {}", failure.text);
        c1.netns.sh(&back);
        check(lab, &c1, &conf).quiet();
    }
}

/// What happens to a container before its DEL.
type Damage<'a> = (&'a str, &'a dyn Fn(&Container));

fn del_bears_everything(lab: &Lab) {
    let tuning = lab.plugin("tuning");
    let ours = !lab.plugins().are_reference();
    let empty = |what: &str| {
        let left = command::try_run(&format!("ls -A {DATA}")).unwrap_or_default();
        assert!(left.is_empty() || !ours, "{what}: {left}");
    };
    let damages: [Damage<'_>; 6] = [
        ("nothing", &|_| ()),
        ("the interface is gone", &|c1| drop(c1.netns.sh("ip link del eth0"))),
        ("the file is torn", &|c1| {
            std::fs::write(format!("{DATA}/{}_eth0.json", c1.id), "{\n \"mtu\": 15").unwrap();
        }),
        ("the file is empty", &|c1| std::fs::write(format!("{DATA}/{}_eth0.json", c1.id), "").unwrap()),
        ("the file is gone", &|c1| std::fs::remove_file(format!("{DATA}/{}_eth0.json", c1.id)).unwrap()),
        ("the namespace is gone", &|c1| lab.delete_container(c1)),
    ];
    for (number, (what, damage)) in damages.into_iter().enumerate() {
        let container = wired(lab, &format!("c{number}"));
        add(lab, &container, &all()).run().ok();
        damage(&container);
        for conf in [all(), chained(&container, &all())] {
            tuning.del(&container, &conf).quiet();
        }
        tuning.on("DEL", &container, &all()).env("CNI_NETNS", "").run().quiet();
        empty(what);
    }
    let never = lab.container("never");
    tuning.del(&never, &all()).quiet();
}

fn any_interface_will_do(lab: &Lab) {
    let c1 = lab.container("c1");
    c1.netns.sh("ip link add eth0 type bridge");
    c1.netns.sh("ip link add lower type bridge");
    c1.netns.sh("ip link add mv0 link lower type macvlan");
    c1.netns.sh("ip tuntap add tap0 mode tap");
    let before = lab.state();
    for (name, keys) in [
        ("lo", json!({"mtu": 9000, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}})),
        ("eth0", json!({"mac": MAC, "mtu": 1300, "allmulti": true})),
        ("mv0", json!({"mac": MAC, "promisc": true})),
        ("tap0", json!({"mac": MAC, "mtu": 1300, "promisc": true, "allmulti": true})),
    ] {
        let conf = tuning(keys.clone());
        let was = c1.netns.sh(&format!("ip -o link show {name}"));
        add(lab, &c1, &conf).ifname(name).run().ok();
        let link = c1.netns.sh(&format!("ip -o link show {name}"));
        assert!(link.contains(MAC) == keys["mac"].is_string(), "{link}");
        assert!(keys["mtu"].is_null() || link.contains(&format!("mtu {}", keys["mtu"])), "{link}");
        lab.plugin("tuning").on("DEL", &c1, &conf).ifname(name).run().quiet();
        assert_eq!(c1.netns.sh(&format!("ip -o link show {name}")), was);
    }
    before.assert_same(&lab.state(), "any interface");
}

fn after_either_bridge(lab: &Lab) {
    for bridge in [Plugins::ours(), Plugins::reference()] {
        let first = conf::dual_stack("net").with("bridge", "br0").without("name").without("cniVersion");
        let second = json!({"type": "tuning", "mac": MAC, "mtu": 1300, "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}});
        let mut chain = Chain::new(lab, vec![first, second]);
        let links = lab.dir(if bridge.are_reference() { "theirs" } else { "ours" });
        for (name, from) in [("bridge", &bridge), ("host-local", &bridge), ("tuning", lab.plugins())] {
            std::os::unix::fs::symlink(from.dir().join(name), links.join(name)).unwrap();
        }
        chain.path = vec![links];
        let c1 = lab.container("c1");
        let result = chain.add(&c1);
        assert_eq!(answer::interface(&result, 2, "mac"), MAC);
        assert_eq!((settings(&c1).0.as_str(), settings(&c1).1), (MAC, 1300));
        for gateway in ["10.77.0.1", "fd77::1"] {
            assert!(traffic::ping(&c1.netns, gateway), "{gateway}");
        }
        chain.check(&c1, &result);
        chain.del(&c1, &result);
        lab.delete_container(&c1);
        lab.state().assert_nothing_attached();
    }
}

fn sysctls_are_put_back_unless_they_changed_again(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    let paths =
        ["core/somaxconn", "ipv4/tcp_rmem", "ipv4/ip_local_reserved_ports", "ipv4/conf/eth0/arp_filter"];
    let old = paths.map(|path| sysctl(&c1, path));
    let conf =
        tuning(json!({"sysctl": {"net.core.somaxconn": "500", "net.ipv4.tcp_rmem": "4096 87380 1000000",
        "net.ipv4.ip_local_reserved_ports": "5,7-9", "net.ipv4.conf.IFNAME.arp_filter": "1",
        "net.ipv4.route.flush": "1"}}));
    add(lab, &c1, &conf).run().ok();
    let new = paths.map(|path| sysctl(&c1, path));
    assert_eq!(new, ["500", "4096\t87380\t1000000", "5,7-9", "1"]);
    check(lab, &c1, &conf).quiet();
    c1.netns.sh("sysctl -q net.core.somaxconn=123");
    lab.plugin("tuning").del(&c1, &conf).quiet();
    assert_eq!(paths.map(|path| sysctl(&c1, path)), ["123", &old[1], &old[2], &old[3]]);
    before.assert_same(&lab.state(), "ADD and DEL");
}

fn an_interface_with_a_dot_in_its_name(lab: &Lab) {
    let c1 = wired(lab, "c1");
    c1.netns.sh("ip link set eth0 name eth0.100");
    for key in [
        "net.ipv4.conf.IFNAME.arp_filter",
        "net.ipv4.conf.eth0.100.arp_filter",
        "net/ipv4/conf/eth0.100/arp_filter",
    ] {
        let conf = tuning(json!({"sysctl": {key: "1"}}));
        add(lab, &c1, &conf).ifname("eth0.100").run().ok();
        assert_eq!(sysctl(&c1, "ipv4/conf/eth0.100/arp_filter"), "1", "{key}");
        lab.plugin("tuning").on("DEL", &c1, &conf).ifname("eth0.100").run().quiet();
        assert_eq!(sysctl(&c1, "ipv4/conf/eth0.100/arp_filter"), "0", "{key}");
    }
}

fn sysctls_that_a_container_has_not_are_explained(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    let try_to_set =
        |key: &str, value: &str| add(lab, &c1, &tuning(json!({"mtu": 1300, "sysctl": {key: value}}))).run();
    try_to_set("net.ipv4.no_such_thing", "1")
        .fails(7, &["net.ipv4.no_such_thing", "no /proc/sys/net/ipv4/no_such_thing"]);
    try_to_set("net.ipv4.conf.eth0.100.forwarding", "1")
        .fails(7, &["net/ipv4/conf/eth0.100/forwarding", "IFNAME"]);
    // The host has this one.
    try_to_set("net.ipv4.conf.host-c1.forwarding", "1").fails(7, &["no interface host-c1"]);
    try_to_set("net.core.somaxconn", "many").fails(7, &["somaxconn", "\"many\"", "does not take this value"]);
    before.assert_same(&lab.state(), "sysctls that are refused");
    // The lab's host is itself no first namespace: the whole machine's settings are read-only or missing for it, too.
    let global = ["net.core.rmem_max", "net.netfilter.nf_conntrack_max"];
    let read_only = global.iter().find(|key| {
        let path = key.replace('.', "/");
        let mode = c1.netns.run(|| command::try_run(&format!("stat -c %a /proc/sys/{path}")));
        mode.is_ok_and(|mode| mode.trim() == "444")
    });
    if let Some(key) = read_only {
        try_to_set(key, "77777").fails(7, &["for reading only", "on the host"]);
    } else {
        tests::lab::skip::because("this kernel shows containers no read-only network sysctl");
    }
    // Only the first namespace of the machine has this one.
    let first = ["nsenter", "--net=/proc/1/ns/net"];
    let key = "net.core.netdev_max_backlog";
    if command::try_run(&format!("{} cat /proc/sys/net/core/netdev_max_backlog", first.join(" "))).is_ok() {
        let call = add(lab, &c1, &tuning(json!({"sysctl": {key: "1000"}}))).under(&first);
        call.run().fails(7, &[key, "a setting of the whole machine", "set it on the host"]);
    } else {
        tests::lab::skip::because("the machine's first network namespace cannot be entered");
    }
    before.assert_same(&lab.state(), "sysctls of the whole machine");
}

fn a_transmit_queue_length(lab: &Lab) {
    let c1 = wired(lab, "c1");
    for (conf, wanted) in [
        (tuning(json!({"txQLen": 500})), 500),
        (tuning(json!({"txQLen": 7, "args": {"cni": {"txQLen": 0}}})), 0),
    ] {
        add(lab, &c1, &conf).run().ok();
        assert_eq!(eth0(&c1)["txqlen"].as_u64().unwrap_or(0), wanted);
        check(lab, &c1, &conf).quiet();
        c1.netns.sh("ip link set eth0 txqueuelen 42");
        check(lab, &c1, &conf).fails(999, &["transmit queue length 42"]);
        lab.plugin("tuning").del(&c1, &conf).quiet();
        assert_eq!(eth0(&c1)["txqlen"], 1000);
    }
}

fn an_interface_that_was_promiscuous_before(lab: &Lab) {
    let c1 = wired(lab, "c1");
    c1.netns.sh("ip link set eth0 promisc on");
    for conf in [tuning(json!({"mtu": 1300})), all()] {
        add(lab, &c1, &conf).run().ok();
        check(lab, &c1, &conf).quiet();
        lab.plugin("tuning").del(&c1, &conf).quiet();
        assert!(settings(&c1).2, "it stays promiscuous");
    }
}

fn only_the_containers_own_interface_changes_in_the_result(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let conf = all().with("cniVersion", "1.1.0");
    let sandbox = c1.netns.path().display().to_string();
    let interfaces = json!([{"name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 9000},
        {"name": "eth0", "mac": "02:00:00:00:00:03", "mtu": 1500, "sandbox": sandbox},
        {"name": "eth1", "mac": "02:00:00:00:00:04", "mtu": 1500, "sandbox": sandbox}]);
    let prev = json!({"cniVersion": "1.1.0", "interfaces": interfaces});
    let result = lab.plugin("tuning").add(&c1, &conf.with_prev(&prev)).ok();
    let mut wanted = interfaces.clone();
    wanted[1]["mac"] = json!(MAC);
    wanted[1]["mtu"] = json!(1300);
    assert_eq!(result["interfaces"], wanted);
}

fn values_that_cannot_be_leave_no_trace(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    let cases = [
        (json!({"mtu": -1}), 7, "invalid mtu -1"),
        (json!({"txQLen": -1}), 7, "invalid txQLen -1"),
        (json!({"mtu": "big"}), 6, "mtu"),
        (json!({"sysctl": {"net.core.somaxconn": 5}}), 6, "somaxconn"),
        (json!({"mac": "02:00:00:00:00"}), 7, "02:00:00:00:00"),
        (json!({"mac": "01:00:5e:00:00:01"}), 7, "unicast"),
        (json!({"runtimeConfig": {"mac": "x"}}), 7, "\"x\""),
        (json!({"mtu": 1}), 999, "mtu"),
        (json!({"mtu": 100_000}), 999, "mtu"),
    ];
    for (keys, code, word) in cases {
        let conf = tuning(keys).with_at("args", json!({"cni": {"sysctl": {"net.ipv4.ip_forward": "1"}}}));
        add(lab, &c1, &conf).run().fails(code, &[word]);
        before.assert_same(&lab.state(), word);
    }
    let call = add(lab, &c1, &tuning(json!({}))).env("CNI_NETNS", "/run/lab/missing");
    call.run().fails(8, &["/run/lab/missing"]);
}

fn a_failing_step_takes_everything_back(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    let good = json!({"net.ipv4.ip_forward": "1", "net.ipv4.conf.IFNAME.route_localnet": "1"});
    add(lab, &c1, &all().with("sysctl", good.clone()).with("mtu", 100_000))
        .run()
        .fails(999, &["tune eth0", "mtu"]);
    before.assert_same(&lab.state(), "the link refuses");
    for key in ["net.ipv4.a_first", "net.ipv6.conf.all.forwarding"] {
        // One that is not there is noticed before anything is written, a bad value only then.
        let mut bad = good.clone();
        bad[key] = json!("x");
        add(lab, &c1, &all().with("sysctl", bad)).run().fails(7, &[key, "\"x\""]);
        before.assert_same(&lab.state(), "a sysctl refuses");
    }
    lab.host().sh(&format!("rm -rf {DATA}"));
    std::fs::write("/run/cni/tuning", "a file").unwrap();
    let before = lab.state();
    add(lab, &c1, &all()).run().fails(999, &["/run/cni/tuning"]);
    before.assert_same(&lab.state(), "old values cannot be kept");
    std::fs::remove_file("/run/cni/tuning").unwrap();
    command::run("mount -t tmpfs -o ro lab /run/cni");
    let before = lab.state();
    add(lab, &c1, &all()).run().fails(5, &["/run/cni/tuning"]);
    before.assert_same(&lab.state(), "a read-only file system");
}

fn a_second_add_remembers_the_first_values(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = (lab.state(), settings(&c1));
    let conf = all().with("sysctl", json!({"net.ipv4.ip_forward": "1"}));
    add(lab, &c1, &conf).run().ok();
    let more = tuning(
        json!({"mac": "02:00:00:00:00:78", "mtu": 1280, "txQLen": 5, "sysctl": {"net.ipv6.conf.all.forwarding": "1"}}),
    );
    add(lab, &c1, &more).run().ok();
    add(lab, &c1, &more.clone().with("mtu", 100_000)).run().failure();
    assert_eq!(settings(&c1).1, 1280, "what a failed ADD takes back is its own");
    lab.plugin("tuning").del(&c1, &conf).quiet();
    assert_eq!(settings(&c1), before.1);
    before.0.assert_same(&lab.state(), "one DEL for both");
}

fn two_tunings_in_one_list(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    let [first, second] =
        [json!({"mac": MAC, "mtu": 1400}), json!({"mtu": 1300, "promisc": true})].map(tuning);
    let result = add(lab, &c1, &first).run().ok();
    let tuning = lab.plugin("tuning");
    let result = tuning.add(&c1, &second.clone().with_prev(&result)).ok();
    assert_eq!(answer::interface(&result, 1, "mac"), MAC);
    assert_eq!(settings(&c1), (MAC.into(), 1300, true, false));
    for conf in [&second, &first] {
        tuning.del(&c1, &conf.clone().with_prev(&result)).quiet();
    }
    before.assert_same(&lab.state(), "two of them");
}

fn their_tuning() -> Plugin {
    Plugins::reference().plugin("tuning")
}

fn the_reference_takes_back_what_we_did(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = (lab.state(), settings(&c1));
    add(lab, &c1, &all()).run().ok();
    their_tuning().on("CHECK", &c1, &chained(&c1, &all())).run().quiet();
    their_tuning().del(&c1, &all()).quiet();
    assert_eq!(settings(&c1), before.1);
    before.0.assert_same(&lab.state(), "their DEL");
}

fn we_take_back_what_the_reference_did(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = (lab.state(), settings(&c1));
    their_tuning().add(&c1, &chained(&c1, &all())).ok();
    check(lab, &c1, &all()).quiet();
    lab.plugin("tuning").del(&c1, &all()).quiet();
    assert_eq!(settings(&c1), before.1);
    before.0.assert_same(&lab.state(), "our DEL");
}

fn a_file_about_another_interface_changes_nothing(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let conf = all().with("sysctl", json!({"net.ipv4.ip_forward": "1"}));
    add(lab, &c1, &conf).run().ok();
    c1.netns.sh("ip link del eth0");
    lab.host().sh("ip link add host-c1 type veth peer name eth0 netns c1");
    let new = settings(&c1);
    lab.plugin("tuning").del(&c1, &conf).quiet();
    assert_eq!(settings(&c1), new, "the later interface keeps its own");
    assert_eq!(sysctl(&c1, "ipv4/ip_forward"), "0", "the namespace is the same");
    add(lab, &c1, &conf).run().ok();
    let c2 = wired(lab, "c2");
    c2.netns.sh("sysctl -q net.ipv4.ip_forward=1");
    let before = c2.netns.sh("ip link show eth0");
    lab.plugin("tuning").on("DEL", &c2, &conf).id("c1").run().quiet();
    assert_eq!(c2.netns.sh("ip link show eth0"), before, "the namespace is another");
    assert_eq!(sysctl(&c2, "ipv4/ip_forward"), "1");
}

fn gc_removes_files_of_its_own_network_only(lab: &Lab) {
    let tuning = lab.plugin("tuning");
    let conf = all().with("cniVersion", "1.1.0");
    tuning.gc(&conf, &[]).quiet();
    for id in ["valid", "gone"] {
        add(lab, &wired(lab, id), &conf).run().ok();
    }
    add(lab, &wired(lab, "other"), &conf.clone().with("name", "other")).run().ok();
    let theirs = wired(lab, "theirs");
    their_tuning().add(&theirs, &chained(&theirs, &all())).ok();
    for (name, text) in [("torn_eth0.json", "{\"mtu\":"), (".gone_eth0.json.tmp", "{"), ("note", "")] {
        std::fs::write(format!("{DATA}/{name}"), text).unwrap();
    }
    let left = |valid: &[&str]| {
        tuning.gc(&conf, valid).quiet();
        lab.host().sh(&format!("ls -A {DATA}")).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        left(&["valid"]),
        ["note", "other_eth0.json", "theirs_eth0.json", "torn_eth0.json", "valid_eth0.json"]
    );
    assert_eq!(left(&[]), ["note", "other_eth0.json", "theirs_eth0.json", "torn_eth0.json"]);
}

fn status_asks_for_what_an_add_needs(lab: &Lab) {
    let tuning = lab.plugin("tuning");
    let conf =
        all().with("cniVersion", "1.1.0").with("sysctl", json!({"net.ipv4.conf.IFNAME.arp_filter": "1"}));
    tuning.status(&conf).quiet();
    tuning.status(&conf.clone().with("mac", "x")).fails(7, &["\"x\""]);
    std::fs::write("/run/lab/file", "").unwrap();
    tuning.status(&conf.clone().with("dataDir", "/run/lab/file")).fails(50, &["/run/lab/file"]);
    allow(lab, "nothing\n");
    tuning.status(&conf).fails(7, &["is not allowed"]);
}

/// As podman's own list ends.
fn nothing_asked_is_nothing_done(lab: &Lab) {
    let c1 = wired(lab, "c1");
    let before = lab.state();
    for conf in [tuning(json!({})), tuning(json!({"sysctl": {}, "promisc": false, "mtu": 0, "mac": ""}))] {
        let result = add(lab, &c1, &conf).run().ok();
        assert_eq!(result["interfaces"], chained(&c1, &conf)["prevResult"]["interfaces"]);
        check(lab, &c1, &conf).quiet();
        lab.plugin("tuning").del(&c1, &conf).quiet();
        before.assert_same(&lab.state(), "nothing asked");
    }
}
