//! The scripts, and what they make of a real table.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::ports::lab::{container, host, ports, run};
use crate::ports::{Mark, Source};
use spec::config::Config;

fn label() -> Label {
    of_container("abc123")
}

fn of_container(container: &str) -> Label {
    Label::of(&"mynet".parse().unwrap(), container, "eth0")
}

/// The script for a table that has nothing.
fn first_script(tool: &Tool, ports: &Ports) -> String {
    let rules = Rules::of(tool, &label(), &[ports]);
    rules.script(&Missing { chains: rules.shared_chains.clone(), rules: rules.shared.clone() })
}

/// The lines of the container's own rules.
fn own_lines(ports: &Ports) -> Vec<String> {
    Rules::of(&TOOLS[0], &label(), &[ports]).own.into_iter().map(|rule| rule.words).collect()
}

fn web() -> Ports {
    ports(&[("10.1.0.5/16", &["tcp 8080 80", "udp@192.0.2.1 5300 53", "tcp 8443 443"])])
}

#[test]
fn the_script_is_the_reference_plugins_rules() {
    let expected = r#"*nat
-N CNI-HOSTPORT-SETMARK
-N CNI-HOSTPORT-MASQ
-N CNI-HOSTPORT-DNAT
:CNI-DN-70a29d9dc18bc4d652ea5 - [0:0]
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8080 -s 10.1.0.0/16 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8080 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8080 -j DNAT --to-destination 10.1.0.5:80
-A CNI-DN-70a29d9dc18bc4d652ea5 -p udp --dport 5300 -d 192.0.2.1 -s 10.1.0.0/16 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p udp --dport 5300 -d 192.0.2.1 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p udp --dport 5300 -d 192.0.2.1 -j DNAT --to-destination 10.1.0.5:53
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8443 -s 10.1.0.0/16 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8443 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8443 -j DNAT --to-destination 10.1.0.5:443
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"mynet\" id: \"abc123\"" -m multiport -p tcp --destination-ports 8080,8443 -j CNI-DN-70a29d9dc18bc4d652ea5
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"mynet\" id: \"abc123\"" -m multiport -p udp --destination-ports 5300 -j CNI-DN-70a29d9dc18bc4d652ea5
COMMIT
"#;
    assert_eq!(first_script(&TOOLS[0], &web()), expected);
}

#[test]
fn ipv6_has_no_loopback_to_mark_and_brackets_around_the_address() {
    let expected = r#"*nat
:CNI-DN-70a29d9dc18bc4d652ea5 - [0:0]
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8080 -d 2001:db8::1 -s fd00::/64 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-70a29d9dc18bc4d652ea5 -p tcp --dport 8080 -d 2001:db8::1 -j DNAT --to-destination [fd00::5]:80
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"mynet\" id: \"abc123\"" -m multiport -p tcp --destination-ports 8080 -j CNI-DN-70a29d9dc18bc4d652ea5
COMMIT
"#;
    let ports = ports(&[("fd00::5/64", &["tcp@2001:db8::1 8080 80"])]);
    let rules = Rules::of(&TOOLS[1], &label(), &[&ports]);
    assert_eq!(rules.script(&Missing::default()), expected, "where nothing shared is missing");
    assert_eq!(Rules::of(&TOOLS[0], &label(), &[&ports]).own, [], "nothing of the other family");
}

#[test]
fn without_snat_nothing_is_marked() {
    let mut ports = web();
    ports.source.snat = false;
    let script = first_script(&TOOLS[0], &ports);
    assert!(!script.contains("SETMARK") && !script.contains("MASQ"), "{script}");
    assert_eq!(script.matches("-j DNAT").count(), 3);
}

#[test]
fn all_callers_are_marked_by_one_rule() {
    let mut ports = ports(&[("10.1.0.5/16", &["tcp 8080 80"])]);
    ports.source.masquerade_all = true;
    assert_eq!(own_lines(&ports)[0], "-p tcp --dport 8080 -s 0.0.0.0/0 -j CNI-HOSTPORT-SETMARK");
    assert_eq!(own_lines(&ports)[1], "-p tcp --dport 8080 -j DNAT --to-destination 10.1.0.5:80");
}

#[test]
fn another_chain_marks_and_masquerades_by_itself() {
    let mut ports = web();
    ports.source.mark = Mark::Chain("KUBE-MARK-MASQ".to_owned());
    let script = first_script(&TOOLS[0], &ports);
    assert!(!script.contains("CNI-HOSTPORT-SETMARK") && !script.contains("CNI-HOSTPORT-MASQ"), "{script}");
    assert_eq!(script.matches("-j KUBE-MARK-MASQ").count(), 6);
}

#[test]
fn sixteen_ports_are_two_rules_and_ranges_are_written_out() {
    let ports = ports(&[("10.1.0.5/16", &["tcp 8000-8015 80"])]);
    let lines = own_lines(&ports);
    let last = "-p tcp --dport 8015 -j DNAT --to-destination 10.1.0.5:95";
    assert!(lines.iter().any(|line| line == last), "{lines:?}");
    let [first, second] = &lines[lines.len() - 2..] else { unreachable!() };
    assert!(first.contains("--destination-ports 8000,8001,") && first.contains(",8014 "), "{first}");
    assert!(second.contains("--destination-ports 8015 "), "{second}");
}

#[test]
fn conditions_go_before_the_jump_in_quotes_where_they_need_them() {
    let mut ports = ports(&[("10.1.0.5/16", &["tcp 8080 80"])]);
    ports.sides[0].conditions =
        ["!", "-s", "192.0.2.0/24", "--string", r#"a "b" \c"#].map(str::to_owned).to_vec();
    let line = own_lines(&ports).pop().unwrap();
    let words = r#"--destination-ports 8080 ! -s 192.0.2.0/24 --string "a \"b\" \\c" -j CNI-DN-"#;
    assert!(line.contains(words), "{line}");
}

#[test]
fn a_long_comment_ends_in_dots() {
    let ports = ports(&[("10.1.0.5/16", &["tcp 8080 80"])]);
    let rules = Rules::of(&TOOLS[0], &of_container(&"a".repeat(300)), &[&ports]);
    let line = &rules.own.last().unwrap().words;
    let comment = format!(r#""dnat name: \"mynet\" id: \"{}...""#, "a".repeat(229));
    assert!(line.contains(&comment), "{line}");
}

#[test]
fn ports_clash_where_conditions_and_place_are_the_same() {
    let theirs = |ports: Ports| vec![Found { label: of_container("other"), what: ports }];
    let clash = |theirs: &[Found<Ports>]| {
        clashes(&label(), &web(), theirs).map(|(mapping, _)| mapping.host.first).next()
    };
    assert_eq!(clash(&theirs(ports(&[("10.1.0.6/16", &["tcp 8443 1"])]))), Some(8443));
    for free in ["udp 8443 1", "tcp 8444 1", "udp@192.0.2.2 5300 1"] {
        assert_eq!(clash(&theirs(ports(&[("10.1.0.6/16", &[free])]))), None, "{free}");
    }
    assert_eq!(clash(&theirs(ports(&[("fd00::6/64", &["tcp 8443 1"])]))), None, "the other family's");
    let mut conditional = web();
    conditional.sides[0].conditions = vec!["-i".to_owned(), "eth7".to_owned()];
    assert_eq!(clash(&theirs(conditional)), None, "under other conditions");
    let other_network = Label::of(&"second".parse().unwrap(), "abc123", "eth1");
    assert_eq!(clash(&[Found { label: other_network, what: web() }]), None, "the same container's");
}

/// A host with a link to the containers.
fn with_containers(f: impl FnOnce() + Send + 'static) {
    host(|| {
        container("10.1.0.1/16");
        f();
    });
}

fn add(label: &Label, ports: &Ports) -> Result<()> {
    record::put(label, ports)?;
    ensure(label, ports)
}

fn delete(label: &Label) {
    clear(label).unwrap();
    record::remove::<Ports>(label).unwrap();
}

fn rules_of(program: &str) -> Vec<String> {
    run(&format!("{program} -t nat -S"))
        .lines()
        .filter(|line| !line.starts_with("-P"))
        .map(str::to_owned)
        .collect()
}

#[test]
#[ignore = "needs root"]
fn a_repeated_add_doubles_nothing_and_del_leaves_what_is_shared() {
    with_containers(|| {
        let ports = web();
        add(&label(), &ports).unwrap();
        let first = rules_of("iptables");
        assert_eq!(first.iter().filter(|rule| rule.starts_with("-A")).count(), 16, "{first:#?}");
        assert_eq!(run("ip6tables -t nat -S").lines().filter(|line| !line.starts_with("-P")).count(), 0);
        add(&label(), &ports).unwrap();
        assert_eq!(rules_of("iptables"), first);
        check(&label(), &ports).unwrap();

        delete(&label());
        let left = rules_of("iptables");
        assert_eq!(left.iter().filter(|rule| rule.starts_with("-A")).count(), 5, "{left:#?}");
        assert!(left.iter().all(|rule| !rule.contains("CNI-DN-")), "{left:#?}");
        delete(&label());
        assert_eq!(rules_of("iptables"), left);
    });
}

#[test]
#[ignore = "needs root"]
fn the_shared_rules_stand_once_and_masquerade_before_others() {
    with_containers(|| {
        run("iptables -t nat -A POSTROUTING -s 10.1.0.0/16 -j MASQUERADE");
        add(&label(), &ports(&[("10.1.0.5/16", &["tcp 8080 80"])])).unwrap();
        add(&of_container("other"), &ports(&[("10.1.0.6/16", &["tcp 8081 80"])])).unwrap();
        let rules = rules_of("iptables");
        let of = |chain: &str| -> Vec<&String> {
            rules.iter().filter(|rule| rule.starts_with(&format!("-A {chain} "))).collect()
        };
        for (chain, count) in
            [("PREROUTING", 1), ("OUTPUT", 1), ("CNI-HOSTPORT-SETMARK", 1), ("CNI-HOSTPORT-MASQ", 1)]
        {
            assert_eq!(of(chain).len(), count, "{rules:#?}");
        }
        assert!(of("POSTROUTING")[0].ends_with("-j CNI-HOSTPORT-MASQ"), "{rules:#?}");
        assert_eq!(of("CNI-HOSTPORT-DNAT").len(), 2, "{rules:#?}");

        delete(&label());
        check(&of_container("other"), &ports(&[("10.1.0.6/16", &["tcp 8081 80"])])).unwrap();
    });
}

#[test]
#[ignore = "needs root"]
fn each_mark_bit_has_its_rules_once() {
    with_containers(|| {
        let bit = |bit| Source { snat: true, masquerade_all: false, mark: Mark::Bit(bit) };
        for (container, number, port) in
            [("a", 13, "tcp 80 80"), ("b", 14, "tcp 81 80"), ("c", 14, "tcp 82 80")]
        {
            let ports = Ports { source: bit(number), ..ports(&[("10.1.0.5/16", &[port])]) };
            add(&of_container(container), &ports).unwrap();
            check(&of_container(container), &ports).unwrap();
        }
        let rules = rules_of("iptables");
        for words in [
            "--set-xmark 0x2000/0x2000",
            "--set-xmark 0x4000/0x4000",
            "--mark 0x2000/0x2000",
            "--mark 0x4000/0x4000",
        ] {
            assert_eq!(
                rules.iter().filter(|rule| rule.contains(&format!(" {words}"))).count(),
                1,
                "{rules:#?}"
            );
        }
    });
}

#[test]
#[ignore = "needs root"]
fn check_misses_each_rule() {
    with_containers(|| {
        let ports = ports(&[("10.1.0.5/16", &["tcp 8080 80"]), ("fd00::5/64", &["tcp 8080 80"])]);
        add(&label(), &ports).unwrap();
        check(&label(), &ports).unwrap();
        for (program, restore) in [("iptables", "iptables-restore"), ("ip6tables", "ip6tables-restore")] {
            let whole = run(&format!("{program}-save -t nat"));
            let rules = rules_of(program);
            let rules: Vec<&String> = rules.iter().filter(|rule| rule.starts_with("-A ")).collect();
            assert_eq!(rules.len(), if program == "iptables" { 9 } else { 8 }, "{rules:#?}");
            for (index, rule) in rules.iter().enumerate() {
                let chain = rule.split(' ').nth(1).unwrap();
                let before = rules[..index].iter().filter(|rule| rule.starts_with(&format!("-A {chain} ")));
                run(&format!("{program} -t nat -D {chain} {}", before.count() + 1));
                let error = check(&label(), &ports).unwrap_err().to_string();
                assert!(error.contains("not all rules of CNI-DN-70a29d9dc18bc4d652ea5 stand"), "{error}");
                std::fs::write("/run/whole", &whole).unwrap();
                run(&format!("{restore} /run/whole"));
                check(&label(), &ports).unwrap();
            }
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_taken_port_is_refused_and_what_stood_stands() {
    with_containers(|| {
        add(&label(), &web()).unwrap();
        let before = rules_of("iptables");
        let error = add(&of_container("late"), &web()).unwrap_err();
        assert_eq!(
            error.msg,
            "map host port 8080/tcp: already mapped by another attachment (eth0 of container abc123 on network mynet); \
             use another port, or delete that attachment"
        );
        assert_eq!(rules_of("iptables"), before);
    });
}

#[test]
#[ignore = "needs root"]
fn who_asks_at_the_same_time_and_comes_second_does_not_refuse_the_first() {
    with_containers(|| {
        // Each is on record before it waits for the lock.
        record::put(&of_container("late"), &web()).unwrap();
        add(&label(), &web()).unwrap();
        assert!(ensure(&of_container("late"), &web()).is_err());
    });
}

#[test]
#[ignore = "needs root"]
fn a_second_interface_on_the_network_keeps_the_mappings_of_the_first() {
    with_containers(|| {
        let second = Label::of(&"mynet".parse().unwrap(), "abc123", "eth1");
        let (one, two) =
            (ports(&[("10.1.0.5/16", &["tcp 8080 80"])]), ports(&[("10.1.0.6/16", &["tcp 8081 80"])]));
        add(&label(), &one).unwrap();
        add(&second, &two).unwrap();
        check(&label(), &one).unwrap();
        check(&second, &two).unwrap();
        delete(&second);
        assert!(rules_of("iptables").iter().all(|rule| !rule.contains("CNI-DN-")));
    });
}

#[test]
#[ignore = "needs root"]
fn chains_of_older_plugins_go_with_the_container() {
    host(|| {
        for program in ["iptables", "ip6tables"] {
            run(&format!("{program} -t nat -N CNI-HOSTPORT-SNAT"));
            run(&format!("{program} -t nat -N CNI-SN-70a29d9dc18bc4d652ea5"));
            run(&format!("{program} -t nat -A CNI-HOSTPORT-SNAT -j CNI-SN-70a29d9dc18bc4d652ea5"));
            run(&format!("{program} -t nat -A CNI-SN-70a29d9dc18bc4d652ea5 -p tcp -j MASQUERADE"));
        }
        delete(&label());
        assert_eq!(rules_of("iptables"), ["-N CNI-HOSTPORT-SNAT"]);
        assert_eq!(rules_of("ip6tables"), ["-N CNI-HOSTPORT-SNAT"]);
    });
}

#[test]
#[ignore = "needs root"]
fn gc_removes_chains_of_this_networks_containers_that_are_not_valid() {
    with_containers(|| {
        let other_network = Label::of(&"second".parse().unwrap(), "gone", "eth0");
        for (label, port) in [
            (of_container("valid"), "tcp 80 80"),
            (of_container("gone"), "tcp 81 80"),
            (of_container(&"long".repeat(80)), "tcp 82 80"),
            (other_network.clone(), "tcp 83 80"),
        ] {
            add(&label, &ports(&[("10.1.0.5/16", &[port]), ("fd00::5/64", &[port])])).unwrap();
        }
        let request = r#"{"cniVersion":"1.1.0","name":"mynet","type":"portmap",
            "cni.dev/valid-attachments":[{"containerID":"valid","ifname":"eth0"}]}"#;
        let config = Config::parse(request.as_bytes().to_vec()).unwrap();
        let mut nft = Nft::open().unwrap();
        let deletions = stale_deletions(&mut nft, &Stale::new(&config)).unwrap();
        nft.remove(deletions).unwrap();
        for program in ["iptables", "ip6tables"] {
            let rules = rules_of(program);
            let chains: Vec<&str> = rules.iter().filter_map(|rule| rule.strip_prefix("-N CNI-DN-")).collect();
            let mut kept =
                [of_container("valid"), other_network.clone()].map(|label| chain_of(&label)[7..].to_owned());
            kept.sort();
            assert_eq!(
                {
                    let mut chains = chains;
                    chains.sort_unstable();
                    chains
                },
                kept
            );
        }
    });
}
