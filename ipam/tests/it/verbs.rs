//! Each verb, as the contract has it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::calls::Net;

#[test]
fn files_are_those_of_the_reference() {
    let net = Net::new(json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]));
    net.add("abc123").unwrap();
    let mode = |name: &str| {
        let path = net.leases_dir().join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    };
    let text = |name: &str| std::fs::read_to_string(net.leases_dir().join(name)).unwrap();
    assert_eq!(text("10.1.0.2"), "abc123\r\neth0");
    assert_eq!(text("fd00:1::2"), "abc123\r\neth0");
    assert_eq!(text("last_reserved_ip.0"), "10.1.0.2");
    assert_eq!(text("last_reserved_ip.1"), "fd00:1::2");
    assert_eq!(text("lock"), "");
    let modes = ["10.1.0.2", "last_reserved_ip.0", "lock", "."].map(mode);
    assert_eq!(modes, [0o600, 0o600, 0o750, 0o755]);
    assert_eq!(std::fs::read_dir(net.leases_dir()).unwrap().count(), 5);
}

#[test]
fn an_add_gives_one_address_of_each_set_with_gateway_routes_and_dns() {
    let mut net =
        Net::new(json!([[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}], [{"subnet": "fd00:1::/64"}]]));
    let resolv = net.dir.path().join("resolv.conf");
    std::fs::write(
        &resolv,
        "# remark\nnameserver 10.9.9.9 x\nsearch a b\n;\ndomain d\noptions ndots:2\nsearch c\nnameserver\n",
    )
    .unwrap();
    net.conf["ipam"]["resolvConf"] = json!(resolv);
    net.conf["ipam"]["routes"] =
        json!([{"dst": "0.0.0.0/0"}, {"dst": "10.7.0.0/16", "gw": "10.1.0.3", "mtu": 1400}]);
    let result = net.add("a").unwrap().to_value("1.0.0".parse().unwrap()).unwrap();
    let expected = json!({
        "cniVersion": "1.0.0",
        "ips": [
            {"address": "10.1.0.1/24", "gateway": "10.1.0.254"},
            {"address": "fd00:1::2/64", "gateway": "fd00:1::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.7.0.0/16", "gw": "10.1.0.3", "mtu": 1400}],
        "dns": {"nameservers": ["10.9.9.9"], "domain": "d", "search": ["a", "b", "c"], "options": ["ndots:2"]},
    });
    assert_eq!(result, expected);
}

#[test]
fn del_twice_is_fine_and_so_is_del_before_everything() {
    let net = Net::of("10.1.0.0/24");
    net.del("a").unwrap();
    assert!(!net.leases_dir().exists(), "DEL makes nothing");
    net.add("a").unwrap();
    net.del("a").unwrap();
    net.del("a").unwrap();
    assert_eq!(net.state().len(), 0);
}

#[test]
fn del_needs_no_valid_ranges() {
    let mut net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    net.conf["ipam"]["ranges"] = json!([[{"subnet": "10.1.0.7/24"}]]);
    net.del("a").unwrap();
    assert_eq!(net.state().len(), 0);
}

#[test]
fn held_and_released_addresses_are_told() {
    let net = Net::new(json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]));
    net.add("a").unwrap();
    net.add("b").unwrap();
    let ips: [std::net::IpAddr; 2] = ["10.1.0.2".parse().unwrap(), "fd00:1::2".parse().unwrap()];
    let call = net.del_call("a", "eth0");
    assert_eq!(ipam::host_local::held(&call).unwrap(), ips);
    assert_eq!(ipam::host_local::release(&call).unwrap(), ips);
    assert_eq!(ipam::host_local::held(&call).unwrap(), [] as [std::net::IpAddr; 0]);
    assert_eq!(net.leases().len(), 2);
}

#[test]
fn interfaces_of_one_container_are_kept_apart() {
    let net = Net::of("10.1.0.0/24");
    net.add_if("a", "eth0").unwrap();
    net.add_if("a", "eth1").unwrap();
    net.del("a").unwrap();
    assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["a\r\neth1"]);
}

#[test]
fn a_second_add_without_del_is_refused_and_the_first_lease_stays() {
    let net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    let before = net.state();
    let text = "failed to allocate for range 0: 10.1.0.2 has been allocated to a, duplicate allocation is not allowed";
    assert_eq!(net.refuse("a"), (999, text.into()));
    assert_eq!(net.state(), before);
}

#[test]
fn check_finds_the_lease_or_fails() {
    let mut net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    net.check("a").unwrap();
    let missing = "host-local: Failed to find address added by container b";
    assert_eq!(net.check("b").unwrap_err().msg, missing);
    net.conf["prevResult"] =
        json!({"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}, {"address": "10.9.0.2/24"}]});
    net.check("a").unwrap();
    net.conf["prevResult"]["ips"][0]["address"] = json!("10.1.0.3/24");
    assert_eq!(net.check("a").unwrap_err().msg, "host-local: 10.1.0.3 of prevResult is not leased to a");
    net.del("a").unwrap();
    assert_eq!(net.check("a").unwrap_err().code.number(), 999);
}

#[test]
fn a_lease_of_an_old_version_stands_for_any_interface() {
    let net = Net::of("10.1.0.0/24");
    net.put("10.1.0.9", "old\n");
    net.check("old").unwrap();
    assert_eq!(net.refuse("old").0, 999);
    net.gc(&[("old", "eth7")]).unwrap();
    assert_eq!(net.leases().len(), 1);
    net.del("old").unwrap();
    assert_eq!(net.state().len(), 0);
}

#[test]
fn an_own_lease_goes_before_one_of_an_old_version() {
    let net = Net::of("10.1.0.0/24");
    net.put("10.1.0.9", "x");
    net.put("10.1.0.10", "x\r\neth0");
    net.del("x").unwrap();
    assert_eq!(net.leases().into_keys().collect::<Vec<_>>(), ["10.1.0.9"]);
    net.del("x").unwrap();
    assert_eq!(net.leases().len(), 0);
}

#[test]
fn gc_releases_what_is_not_valid_and_nothing_else() {
    let net = Net::of("10.1.0.0/24");
    for id in ["a", "b", "c"] {
        net.add_if(id, "eth0").unwrap();
        net.add_if(id, "eth1").unwrap();
    }
    net.put("10.1.0.200", "foreign\r\neth0");
    net.put("10.1.0.201", "no id of ours/at all");
    net.put("notes", "a\r\neth0");
    net.gc(&[("a", "eth0"), ("b", "eth1"), ("b", "eth2")]).unwrap();
    assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["a\r\neth0", "b\r\neth1"]);
    assert_eq!(net.owners(), ["a:eth0", "b:eth1"]);
    net.gc(&[]).unwrap();
    assert_eq!(net.state().into_keys().collect::<Vec<_>>(), ["notes"]);
}

#[test]
fn gc_without_a_list_means_that_nobody_lives() {
    let net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    let config = spec::Config::parse(net.conf.to_string().into_bytes()).unwrap();
    let call = spec::Gc { caller: spec::Caller::default(), config };
    <ipam::host_local::HostLocal as spec::Plugin>::gc(&call).unwrap();
    assert_eq!(net.state().len(), 0);
}

#[test]
fn status_tells_of_a_full_set_with_counts() {
    let net = Net::new(json!([[{"subnet": "10.1.0.0/29"}], [{"subnet": "fd00:1::/64"}]]));
    net.status().unwrap();
    assert!(!net.leases_dir().exists(), "STATUS makes nothing");
    for i in 0..5 {
        net.status().unwrap();
        net.add(&format!("c{i}")).unwrap();
    }
    let error = net.status().unwrap_err();
    assert_eq!(error.code.number(), 50);
    assert!(
        error.msg.starts_with("no IP addresses available in range set: 10.1.0.1-10.1.0.6: 5 of 5 "),
        "{}",
        error.msg
    );
    assert_eq!(
        error.details,
        "range set 0 (10.1.0.1-10.1.0.6): 5 used, 0 free; range set 1 (fd00:1::1-fd00:1::ffff:ffff:ffff:ffff): \
         5 used, 18446744073709551609 free"
    );
    std::fs::remove_file(net.leases_dir().join("10.1.0.4")).unwrap();
    net.status().unwrap();
}

#[test]
fn status_without_ranges_waits_for_those_of_the_runtime() {
    Net::new(json!([])).status().unwrap();
    let wrong = Net::of("10.1.0.1/24").status().unwrap_err();
    assert_eq!(wrong.code.number(), 7);
}

#[test]
fn addresses_that_are_asked_for_are_given() {
    let mut net = Net::new(
        json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}], [{"subnet": "fd00::/64"}]]),
    );
    net.args = "IgnoreUnknown=1;IP=10.1.0.77/24;X=Y".into();
    net.conf["args"] = json!({"cni": {"ips": ["fd00::77"]}});
    net.conf["runtimeConfig"] = json!({"ips": ["10.2.0.77/16", "10.2.0.77"]});
    let ips: Vec<String> = net.add("a").unwrap().ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(ips, ["10.1.0.77/24", "10.2.0.77/24", "fd00::77/64"]);
    assert_eq!(std::fs::read_to_string(net.leases_dir().join("last_reserved_ip.0")).unwrap(), "10.1.0.77");
}

#[test]
fn ranges_of_the_runtime_come_first_in_either_shape() {
    let mut net = Net::of("10.1.0.0/24");
    net.conf["ipam"]["subnet"] = json!("10.2.0.0/24");
    let ips = |net: &Net, id| -> Vec<String> {
        net.add(id).unwrap().ips.iter().map(|ip| ip.address.addr().to_string()).collect()
    };
    net.conf["runtimeConfig"] = json!({"ipRanges": [[{"subnet": "10.3.0.0/24"}, {"subnet": "10.4.0.0/24"}]]});
    assert_eq!(ips(&net, "a"), ["10.3.0.2", "10.2.0.2", "10.1.0.2"]);
    net.conf["runtimeConfig"] = json!({"IPRanges": [
        {"Subnet": "10.5.0.0/24", "RangeStart": "10.5.0.9", "RangeEnd": "", "Gateway": "10.5.0.3"},
        {"Subnet": "fd00::/64", "RangeStart": "", "RangeEnd": "", "Gateway": ""}
    ]});
    assert_eq!(ips(&net, "b"), ["10.5.0.9", "fd00::2", "10.2.0.3", "10.1.0.3"]);
}
