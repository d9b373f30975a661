//! One network namespace as text: links, qdiscs, addresses, routes, policy rules, sysctls, nf_tables.
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::super::command;

/// Devices that some kernels put into every new namespace.
const BORN_WITH_THE_NAMESPACE: [&str; 8] =
    ["sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0"];
/// What plugins set for one interface.
const LINK_SYSCTLS: [&str; 7] = [
    "ipv4/conf/@/arp_notify",
    "ipv4/conf/@/route_localnet",
    "ipv6/conf/@/accept_dad",
    "ipv6/conf/@/accept_ra",
    "ipv6/conf/@/disable_ipv6",
    "ipv6/conf/@/enhanced_dad",
    "ipv6/conf/@/keep_addr_on_down",
];
/// What plugins set for the namespace.
const SYSCTLS: [&str; 2] = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"];

/// The namespace of the calling thread.
pub(super) fn describe() -> String {
    let [links, routes, rules] = dump();
    let mut text = String::new();
    links.as_array().into_iter().flatten().for_each(|one| link(one, &mut text));
    let mut lines: Vec<_> = routes.as_array().into_iter().flatten().filter_map(route).collect();
    lines.extend(rules.as_array().into_iter().flatten().filter_map(rule));
    lines.extend(qdiscs());
    lines.extend(SYSCTLS.iter().map(|path| format!("sysctl {path}={}\n", sysctl(path))));
    lines.sort();
    text + &lines.concat() + &super::ruleset::describe()
}

/// One run of ip(8) for all three dumps.
fn dump() -> [Value; 3] {
    let mut ip = Command::new("ip");
    ip.args(["-json", "-details", "-batch", "-"]);
    let orders = b"address show\nroute show table all\nrule show\n";
    let done = command::finish(&mut ip, orders, Duration::from_secs(20));
    assert!(done.status.success(), "ip -batch: {}", done.stderr);
    let mut dumps = serde_json::Deserializer::from_str(&done.stdout).into_iter();
    std::array::from_fn(|_| {
        dumps.next().and_then(Result::ok).unwrap_or_else(|| panic!("ip printed {}", done.stdout))
    })
}

fn link(link: &Value, text: &mut String) {
    let name = word(link, "ifname");
    if BORN_WITH_THE_NAMESPACE.contains(&name) {
        return;
    }
    let kind = link.pointer("/linkinfo/info_kind").and_then(Value::as_str).unwrap_or("");
    write!(text, "link {name} {kind} {} mtu {}", word(link, "address"), link["mtu"]).ok();
    for flag in ["UP", "PROMISC", "ALLMULTI", "NOARP"] {
        let set = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|set| set == flag));
        text.push_str(&if set { format!(" {}", flag.to_lowercase()) } else { String::new() });
    }
    attributes(link, text);
    addresses(link, text);
    if name != "lo" {
        link_sysctls(name, text);
    }
}

fn attributes(link: &Value, text: &mut String) {
    for (label, key) in [("master", "master"), ("peer", "link"), ("alias", "ifalias")] {
        if let Some(value) = link[key].as_str() {
            write!(text, " {label} {value}").ok();
        }
    }
    let known = [
        ("/linkinfo/info_slave_data/hairpin", "hairpin"),
        ("/linkinfo/info_slave_data/isolated", "isolated"),
    ];
    for (_, label) in known.iter().filter(|(path, _)| link.pointer(path) == Some(&Value::Bool(true))) {
        write!(text, " {label}").ok();
    }
    let filtering = link.pointer("/linkinfo/info_data/vlan_filtering").and_then(Value::as_u64);
    text.push_str(if filtering == Some(1) { " vlan_filtering\n" } else { "\n" });
}

/// Link-local addresses come from the kernel, some time after the link is up, and are left out.
fn addresses(link: &Value, text: &mut String) {
    let all = link["addr_info"].as_array().into_iter().flatten();
    let chosen = all.filter(|one| one["family"] == "inet" || one["scope"] != "link");
    let mut lines: Vec<_> = chosen.map(address).collect();
    lines.sort();
    text.push_str(&lines.concat());
}

fn address(one: &Value) -> String {
    let flags = ["nodad", "noprefixroute", "dadfailed"].map(|flag| match one[flag] == true {
        true => format!(" {flag}"),
        false => String::new(),
    });
    format!("    addr {}/{}{}\n", word(one, "local"), one["prefixlen"], flags.concat())
}

fn link_sysctls(name: &str, text: &mut String) {
    for path in LINK_SYSCTLS {
        let value = sysctl(&path.replace('@', name));
        if value != sysctl(&path.replace('@', "default")) {
            writeln!(text, "    sysctl {}={value}", path.replace("/conf/@", "")).ok();
        }
    }
}

/// Routes that the kernel derives from addresses (table local, link-local, multicast) are left out.
fn route(route: &Value) -> Option<String> {
    let derived = ["local", "anycast", "broadcast", "multicast"].contains(&word(route, "type"));
    if derived || word(route, "dst").starts_with("fe80:") || word(route, "table") == "local" {
        return None;
    }
    let keys = ["dst", "gateway", "dev", "table", "protocol", "scope", "prefsrc", "metric", "mtu", "advmss"];
    let shown = keys.iter().filter(|key| !route[**key].is_null());
    let words: Vec<_> = shown.map(|key| format!("{key} {}", plain(&route[*key]))).collect();
    Some(format!("route {}\n", words.join(" ")))
}

/// The three rules that every namespace has are left out.
fn rule(rule: &Value) -> Option<String> {
    if rule["protocol"] == "kernel" && rule["src"] == "all" {
        return None;
    }
    let pairs = rule.as_object().into_iter().flatten().map(|(key, value)| format!("{key} {}", plain(value)));
    Some(format!("rule {}\n", pairs.collect::<Vec<_>>().join(" ")))
}

/// Qdiscs that somebody has put on a link; those that the kernel put there have no number.
fn qdiscs() -> Vec<String> {
    let all = command::run("tc qdisc show");
    let set = |line: &&str| line.split(' ').nth(2).is_some_and(|handle| handle != "0:");
    // What htb counts is no state.
    let state = |line: &str| line.split(" direct_packets_stat").next().unwrap_or_default().trim().to_owned();
    all.lines().filter(set).map(|line| state(line) + "\n").collect()
}

fn sysctl(path: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap_or_default().trim().into()
}

fn word<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or("")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
