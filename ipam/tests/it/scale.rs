//! The work of a request does not grow with the number of leases.

use std::net::Ipv6Addr;
use std::process::Command;

use serde_json::json;

use crate::calls::{Net, OURS};

#[test]
#[ignore = "needs strace"]
fn a_request_makes_as_many_system_calls_with_3000_leases_as_with_3() {
    let [few, many] = [3, 3000].map(|leases| {
        let net = Net::of("10.0.0.0/8");
        (0..leases)
            .for_each(|i| net.put(&format!("10.0.{}.{}", i / 250, i % 250 + 2), &format!("c{i}\r\neth0")));
        net.put("last_reserved_ip.0", "10.0.0.4");
        net.check("c0").unwrap();
        ["ADD", "CHECK", "DEL"].map(|verb| calls(&net, verb))
    });
    assert_eq!(few, many);
}

#[test]
fn a_dense_network_of_60000_leases_gives_the_addresses_that_are_left() {
    let net = Net::new(json!([[{"subnet": "10.0.0.0/16"}]]));
    let free = [7, 300, 32_767, 32_768, 59_999];
    std::fs::create_dir_all(net.leases_dir()).unwrap();
    for i in (2..60_000_u32).filter(|i| !free.contains(i)) {
        std::fs::write(net.leases_dir().join(ip(i)), "c\r\neth0").unwrap();
    }
    let given = free.map(|i| net.add_ip(&format!("n{i}")));
    assert_eq!(given, free.map(ip));
    assert_eq!(net.add_ip("after"), ip(60_000));
    net.del("n300").unwrap();
    net.put("last_reserved_ip.0", &ip(5));
    assert_eq!(net.add_ip("again"), ip(300));
    net.gc(&[("n7", "eth0")]).unwrap();
    assert_eq!(net.leases().into_keys().collect::<Vec<_>>(), [ip(7)]);
}

#[test]
fn leases_too_far_apart_for_the_index_are_respected() {
    let net = Net::new(json!([[{"subnet": "fd00::/64"}]]));
    let first: Ipv6Addr = "fd00::".parse().unwrap();
    let far =
        |block: u128, place: u128| Ipv6Addr::from_bits(first.to_bits() | block << 15 | place).to_string();
    for block in 1..=130 {
        net.put(&far(block, 5), &format!("c{block}\r\neth0"));
    }
    for (i, block) in [1, 60, 129, 130, 131, 200].into_iter().enumerate() {
        net.put("last_reserved_ip.0", &far(block, 4));
        let expected = far(block, if block <= 130 { 6 } else { 5 });
        assert_eq!(net.add_ip(&format!("n{i}")), expected);
        net.check(&format!("n{i}")).unwrap();
    }
}

#[test]
fn room_in_the_index_is_used_again() {
    let net = Net::new(json!([[{"subnet": "fd00::/64"}]]));
    for block in 1..=500 {
        net.put("last_reserved_ip.0", &format!("fd00::{block:x}:4"));
        assert_eq!(net.add_ip("a"), format!("fd00::{block:x}:5"));
        assert_eq!(net.add_ip("b"), format!("fd00::{block:x}:6"));
        net.del("a").unwrap();
        net.put("last_reserved_ip.0", &format!("fd00::{block:x}:4"));
        assert_eq!(net.add_ip("c"), format!("fd00::{block:x}:5"));
        assert_eq!(net.add_ip("d"), format!("fd00::{block:x}:7"));
        ["b", "c", "d"].iter().for_each(|id| net.del(id).unwrap());
    }
}

fn ip(number: u32) -> String {
    format!("10.0.{}.{}", number / 256, number % 256)
}

/// How many system calls a verb of "x" makes.
fn calls(net: &Net, verb: &str) -> usize {
    let trace = net.dir.path().join("trace");
    let request = net.command(OURS, verb, "x");
    let mut strace = Command::new("strace");
    strace.arg("-o").arg(&trace).arg(OURS).env_clear().env("PATH", "/usr/bin:/bin");
    strace.envs(request.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = net.feed(strace);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    std::fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains('(')).count()
}
