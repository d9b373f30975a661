//! Port mappings through iptables: the reference plugin's rules to the letter, on today's iptables and on the old one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::netns::eventually;
use tests::lab::traffic::{self, HOST_OUTSIDE, OUTSIDE};
use tests::lab::{Container, Lab, Plugin, Plugins, command};

tests::conformance! {
    both: [
        the_rules_are_these,
        without_snat_and_with_conditions_the_rules_are_these,
        a_repeated_add_changes_nothing,
        del_takes_the_containers_rules_and_leaves_the_shared_ones,
        callers_from_outside_from_the_host_and_from_the_container_itself_are_served,
    ]
    ours: [
        check_finds_the_rules_and_misses_them,
        old_kernel_tables_are_served_all_their_life,
        a_port_that_another_container_has_is_refused,
        one_container_may_have_its_ports_on_two_networks,
        what_the_reference_plugin_made_is_checked_and_removed,
        the_reference_plugin_removes_what_was_made_here,
        what_the_reference_plugin_left_goes_with_our_other_backend,
        gc_keeps_what_is_valid_and_what_is_of_other_networks,
        a_client_that_keeps_sending_is_led_to_the_container_at_once,
        a_container_of_one_family_leaves_the_other_alone,
        del_waits_for_an_iptables_that_outlives_its_add,
        status_says_that_iptables_is_missing,
    ]
}

fn portmap(name: &str, mappings: impl Into<Value>) -> Value {
    json!({
        "cniVersion": conf::COMMON, "name": name, "type": "portmap", "backend": "iptables",
        "runtimeConfig": {"portMappings": mappings.into()}
    })
}

/// Of the version that knows GC and STATUS.
fn newest() -> Value {
    portmap("mynet", json!([])).with("cniVersion", "1.1.0")
}

fn web() -> Value {
    json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8443, "containerPort": 443, "protocol": "tcp"},
        {"hostPort": 5300, "containerPort": 53, "protocol": "udp"},
    ])
}

/// What the interface plugin before it would hand on.
fn wired(addresses: &[&str]) -> Value {
    let ips: Vec<Value> =
        addresses.iter().map(|address| json!({"address": address, "interface": 0})).collect();
    json!({"cniVersion": conf::COMMON, "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": ips})
}

fn both_families() -> Value {
    wired(&["10.77.0.2/24", "fd77::2/64"])
}

fn table(save: &str) -> Vec<String> {
    let text = command::run(&format!("{save} -t nat"));
    text.lines().filter(|line| line.starts_with('-')).map(str::to_owned).collect()
}

fn both_tables() -> Vec<String> {
    ["iptables-save", "ip6tables-save"].iter().flat_map(|save| table(save)).collect()
}

/// Rules of one container: its chain's, and those that lead to it.
fn of_containers(rules: &[String]) -> usize {
    rules.iter().filter(|rule| rule.contains("CNI-DN-")).count()
}

fn the_rules_are_these(lab: &Lab) {
    let container = lab.container("abc123");
    lab.plugin("portmap").add(&container, &portmap("mynet", web()).with_prev(&both_families())).ok();
    let expected = include_str!("../golden/portmap_iptables.txt");
    assert_eq!(both_tables().join("\n") + "\n", expected);
}

fn without_snat_and_with_conditions_the_rules_are_these(lab: &Lab) {
    let container = lab.container("abc123");
    let conditions =
        json!(["!", "-s", "192.0.2.0/24", "-m", "string", "--algo", "bm", "--string", "a \"b\""]);
    let mappings = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "10.9.9.9"}]);
    let conf = portmap("mynet", mappings).with("snat", false).with("conditionsV4", conditions);
    lab.plugin("portmap").add(&container, &conf.with_prev(&wired(&["10.77.0.2/24"]))).ok();
    let expected = [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A CNI-DN-70a29d9dc18bc4d652ea5 -d 10.9.9.9/32 -p tcp -m tcp --dport 8080 \
         -j DNAT --to-destination 10.77.0.2:80",
        r#"-A CNI-HOSTPORT-DNAT ! -s 192.0.2.0/24 -p tcp -m comment --comment "dnat name: \"mynet\" id: \"abc123\"" "#
            .trim_end(),
    ];
    let rules = table("iptables-save");
    assert_eq!(rules.len(), 4, "{rules:#?}");
    for line in expected {
        assert!(rules.iter().any(|rule| rule.starts_with(line)), "{line}\nin {rules:#?}");
    }
    let entry = rules.iter().find(|rule| rule.contains("mynet")).unwrap();
    assert!(entry.contains(r#"--string "a \"b\"""#), "{entry}");
}

fn a_repeated_add_changes_nothing(lab: &Lab) {
    let container = lab.container("abc123");
    let conf = portmap("mynet", web()).with_prev(&both_families());
    lab.plugin("portmap").add(&container, &conf).ok();
    let before = both_tables();
    lab.plugin("portmap").add(&container, &conf).ok();
    assert_eq!(both_tables(), before);
}

fn del_takes_the_containers_rules_and_leaves_the_shared_ones(lab: &Lab) {
    let (one, two) = (lab.container("c1"), lab.container("c2"));
    let mapping = |port: u16| json!([{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]);
    let confs = [8080, 8081].map(|port| portmap("mynet", mapping(port)).with_prev(&both_families()));
    lab.plugin("portmap").add(&one, &confs[0]).ok();
    let first_alone = of_containers(&both_tables());
    lab.plugin("portmap").add(&two, &confs[1]).ok();
    assert_eq!(of_containers(&both_tables()), 2 * first_alone);
    lab.plugin("portmap").del(&one, &confs[0]).quiet();
    assert_eq!(of_containers(&both_tables()), first_alone);
    for _ in 0..2 {
        lab.plugin("portmap").del(&two, &confs[1]).quiet();
        assert_eq!(of_containers(&both_tables()), 0);
    }
}

/// A container on a bridge that is its gateway, with its result.
fn on_a_bridge(lab: &Lab, id: &str) -> (Container, Value) {
    let container = lab.container(id);
    let result = lab.plugin("bridge").add(&container, &conf::bridge("mynet").with("hairpinMode", true)).ok();
    (container, result)
}

fn callers_from_outside_from_the_host_and_from_the_container_itself_are_served(lab: &Lab) {
    let outside = traffic::outside(lab);
    let (c1, result) = on_a_bridge(lab, "c1");
    lab.plugin("portmap").add(&c1, &portmap("mynet", web()).with_prev(&result)).ok();
    let listen = "10.77.0.2:80";
    let asked = |client, to: &str| {
        let to = format!("{to}:8080");
        traffic::tcp_translated(client, &to, &c1.netns, listen)
            .unwrap_or_else(|error| panic!("{to}: {error}"))
    };
    assert_eq!(asked(&outside, HOST_OUTSIDE[0]).to_string(), OUTSIDE[0], "an outsider keeps its address");
    assert_eq!(asked(lab.host(), "127.0.0.1").to_string(), "10.77.0.1", "the loopback is masqueraded");
    assert_eq!(asked(&c1.netns, "10.77.0.1").to_string(), "10.77.0.1", "so is the container itself");
    let (c2, _) = on_a_bridge(lab, "c2");
    assert_eq!(asked(&c2.netns, "10.77.0.1").to_string(), "10.77.0.1", "and its neighbours");
}

fn check_finds_the_rules_and_misses_them(lab: &Lab) {
    let container = lab.container("abc123");
    // The reference plugin 1.1.1 looks for rules of both families in each family's table, and finds none of them.
    let (conf, result) = (portmap("mynet", web()), both_families());
    let portmap = lab.plugin("portmap");
    portmap.add(&container, &conf.clone().with_prev(&result)).ok();
    portmap.check(&container, &conf, &result).quiet();
    command::run("iptables -t nat -D CNI-DN-70a29d9dc18bc4d652ea5 3");
    assert!(!portmap.check(&container, &conf, &result).succeeded());
}

/// Programs named like today's that work on the old kernel tables.
fn old_iptables(lab: &Lab) -> String {
    let dir: PathBuf = lab.dir("old-iptables");
    for (name, old) in [("iptables", "iptables-legacy"), ("ip6tables", "ip6tables-legacy")] {
        for ending in ["", "-restore", "-save"] {
            symlink(format!("/usr/sbin/{old}{ending}"), dir.join(format!("{name}{ending}"))).unwrap();
        }
    }
    format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dir.display())
}

fn old_kernel_tables_are_served_all_their_life(lab: &Lab) {
    let path = old_iptables(lab);
    let (one, two, portmap_of) = (lab.container("c1"), lab.container("c2"), lab.plugin("portmap"));
    let call = |verb: &str, container: &Container, conf: &Value| {
        portmap_of.on(verb, container, conf).env("PATH", &path).run()
    };
    let rules = || {
        table("iptables-legacy-save").into_iter().chain(table("ip6tables-legacy-save")).collect::<Vec<_>>()
    };
    let conf = portmap("mynet", web()).with_prev(&both_families());
    let other = json!([{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}]);
    let other = portmap("mynet", other).with_prev(&both_families());
    call("ADD", &one, &conf).ok();
    let first = rules();
    assert_eq!((first.len(), of_containers(&first)), (29, 19), "{first:#?}");
    assert_eq!(both_tables(), [""; 0], "nothing in today's tables");
    call("ADD", &one, &conf).ok();
    assert_eq!(rules(), first, "nothing is doubled");
    call("ADD", &two, &other).ok();
    call("CHECK", &one, &conf).quiet();
    call("CHECK", &two, &other).quiet();
    call("DEL", &one, &conf).quiet();
    assert!(!call("CHECK", &one, &conf).succeeded());
    call("CHECK", &two, &other).quiet();
    let valid = |list: Value| portmap_of.call("GC").conf(&newest().with("cni.dev/valid-attachments", list));
    valid(json!([{"containerID": "c2", "ifname": "eth0"}])).env("PATH", &path).run().quiet();
    call("CHECK", &two, &other).quiet();
    valid(json!([])).env("PATH", &path).run().quiet();
    assert_eq!(of_containers(&rules()), 0, "{:#?}", rules());
}

fn a_port_that_another_container_has_is_refused(lab: &Lab) {
    let (one, two) = (lab.container("c1"), lab.container("c2"));
    let conf = portmap("mynet", web()).with_prev(&both_families());
    lab.plugin("portmap").add(&one, &conf).ok();
    let before = both_tables();
    lab.plugin("portmap").add(&two, &conf).fails(999, &["8080/tcp", "eth0", "c1", "mynet"]);
    assert_eq!(both_tables(), before);
    lab.plugin("portmap").del(&one, &conf).quiet();
    lab.plugin("portmap").add(&two, &conf).ok();
}

fn one_container_may_have_its_ports_on_two_networks(lab: &Lab) {
    let (container, plugin) = (lab.container("c1"), lab.plugin("portmap"));
    let confs = ["first", "second"].map(|name| portmap(name, web()).with_prev(&both_families()));
    confs.iter().for_each(|conf| drop(plugin.add(&container, conf).ok()));
    plugin.del(&container, &confs[0]).quiet();
    plugin.on("CHECK", &container, &confs[1]).run().quiet();
    plugin.del(&container, &confs[1]).quiet();
    assert_eq!(of_containers(&both_tables()), 0);
}

fn theirs() -> Plugin {
    Plugins::reference().plugin("portmap")
}

fn what_the_reference_plugin_made_is_checked_and_removed(lab: &Lab) {
    let container = lab.container("c1");
    let conf = portmap("mynet", web()).with_prev(&both_families());
    theirs().add(&container, &conf).ok();
    lab.plugin("portmap").on("CHECK", &container, &conf).run().quiet();
    lab.plugin("portmap").del(&container, &conf).quiet();
    assert_eq!(of_containers(&both_tables()), 0);
}

fn the_reference_plugin_removes_what_was_made_here(lab: &Lab) {
    let container = lab.container("c1");
    let conf = portmap("mynet", web()).with_prev(&both_families());
    lab.plugin("portmap").add(&container, &conf).ok();
    theirs().del(&container, &conf).quiet();
    assert_eq!(of_containers(&both_tables()), 0);
}

fn what_the_reference_plugin_left_goes_with_our_other_backend(lab: &Lab) {
    let container = lab.container("c1");
    let conf = portmap("mynet", web()).with_prev(&both_families());
    theirs().add(&container, &conf).ok();
    lab.plugin("portmap").del(&container, &conf.with("backend", "nftables")).quiet();
    assert_eq!(of_containers(&both_tables()), 0);
}

fn gc_keeps_what_is_valid_and_what_is_of_other_networks(lab: &Lab) {
    let plugin = lab.plugin("portmap");
    let mapping = |port: u16| json!([{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]);
    for (network, id, port) in [("mynet", "valid", 81), ("mynet", "gone", 82), ("second", "gone", 83)] {
        plugin
            .add(
                &lab.container(&format!("{network}-{id}")),
                &portmap(network, mapping(port)).with_prev(&both_families()),
            )
            .ok();
    }
    theirs()
        .add(&lab.container("mynet-theirs"), &portmap("mynet", mapping(84)).with_prev(&both_families()))
        .ok();
    plugin.gc(&newest(), &["mynet-valid"]).quiet();
    let rules = table("iptables-save").join("\n");
    for (port, kept) in [(81, true), (82, false), (83, true), (84, false)] {
        assert_eq!(rules.contains(&format!("--dport {port} -j DNAT")), kept, "port {port} in {rules}");
    }
}

fn a_client_that_keeps_sending_is_led_to_the_container_at_once(lab: &Lab) {
    let outside = traffic::outside(lab);
    let (c1, result) = on_a_bridge(lab, "c1");
    // Somebody has connections tracked, and the client's is: it sent before there was a mapping.
    command::run("nft add table ip t");
    command::run("nft add chain ip t prerouting { type filter hook prerouting priority 0 ; }");
    command::run("nft add rule ip t prerouting ct state new counter");
    let client = outside.run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    let say = || outside.run(|| drop(client.send_to(b"x", format!("{}:5300", HOST_OUTSIDE[0]))));
    say();
    let server = c1.netns.run(|| UdpSocket::bind("10.77.0.2:53").unwrap());
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let conf = portmap("mynet", web()).with_prev(&result);
    lab.plugin("portmap").add(&c1, &conf).ok();
    say();
    server.recv_from(&mut [0; 4]).expect("the datagram after the ADD");

    lab.plugin("portmap").del(&c1, &conf).quiet();
    say();
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    server.recv_from(&mut [0; 4]).expect_err("a datagram after the DEL");
}

fn a_container_of_one_family_leaves_the_other_alone(lab: &Lab) {
    let container = lab.container("c1");
    let conf = portmap("mynet", web()).with_prev(&wired(&["10.77.0.2/24"]));
    lab.plugin("portmap").add(&container, &conf).ok();
    lab.plugin("portmap").on("CHECK", &container, &conf).run().quiet();
    assert_eq!(table("ip6tables-save"), [""; 0]);
}

/// A killed ADD leaves a running iptables-restore behind, which has its script.
fn del_waits_for_an_iptables_that_outlives_its_add(lab: &Lab) {
    let dir = lab.dir("slow-iptables");
    let slow = "#!/bin/sh\nscript=$(cat)\ntouch /run/lab/started\nsleep 0.5\nprintf '%s\\n' \"$script\" | exec /usr/sbin/iptables-restore \"$@\"\n";
    std::fs::write(dir.join("iptables-restore"), slow).unwrap();
    command::run(&format!("chmod 755 {}/iptables-restore", dir.display()));
    let container = lab.container("c1");
    let conf = portmap("mynet", web()).with_prev(&wired(&["10.77.0.2/24"]));
    let add = lab
        .plugin("portmap")
        .on("ADD", &container, &conf)
        .env("PATH", &format!("{}:/usr/sbin:/usr/bin:/bin", dir.display()));
    let mut killed = add.command().stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    killed.stdin.take().unwrap().write_all(conf.to_string().as_bytes()).unwrap();
    eventually("iptables-restore has its script", Duration::from_secs(5), || {
        Path::new("/run/lab/started").exists()
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    lab.plugin("portmap").del(&container, &conf).quiet();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(of_containers(&both_tables()), 0, "{:#?}", both_tables());
}

fn status_says_that_iptables_is_missing(lab: &Lab) {
    let plugin = lab.plugin("portmap");
    let conf = newest();
    plugin.status(&conf).quiet();
    let without = plugin.call("STATUS").conf(&conf).env("PATH", "/nowhere").run();
    without.fails(50, &["run iptables", "install iptables"]);
}
