//! What cannot be: each gets a clear error and leaves nothing.

use serde_json::{Value, json};

use crate::calls::Net;

#[test]
fn impossible_ranges_are_refused() {
    let subnet = |subnet: &str| json!([[{ "subnet": subnet }]]);
    let cases = [
        (json!([]), "no IP ranges specified"),
        (json!([[]]), "invalid range set 0: empty range set"),
        (json!([[{}]]), "invalid range set 0: subnet is missing"),
        (subnet("10.1.0.0/31"), "invalid range set 0: Network 10.1.0.0/31 too small to allocate from"),
        (subnet("fd00::/127"), "invalid range set 0: Network fd00::/127 too small to allocate from"),
        (subnet("10.1.0.0"), "invalid range set 0: subnet \"10.1.0.0\": invalid IP address syntax"),
        (
            subnet("10.1.0.7/24"),
            "invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0",
        ),
        (
            json!([[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]),
            "invalid range set 0: RangeStart 10.2.0.1 not in network 10.1.0.0/24",
        ),
        (
            json!([[{"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"}]]),
            "invalid range set 0: RangeEnd 10.2.0.1 not in network 10.1.0.0/24",
        ),
        (
            json!([[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]),
            "invalid range set 0: mixed address families",
        ),
        (
            json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}, {"subnet": "10.2.0.0/16"}]]),
            "invalid range set 1: subnets 10.2.0.1-10.2.0.254 and 10.2.0.1-10.2.255.254 overlap",
        ),
        (
            json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]),
            "range set 0 overlaps with 2",
        ),
    ];
    for (ranges, text) in cases {
        let net = Net::new(ranges);
        assert_eq!(net.refuse("a"), (7, text.to_owned()));
        assert!(!net.leases_dir().exists());
    }
}

#[test]
fn a_value_of_a_wrong_type_is_named_by_its_path() {
    let (code, text) = Net::new(json!([[{"subnet": 5}]])).refuse("a");
    assert_eq!(code, 6);
    assert!(text.contains("ipam.ranges[0][0].subnet"), "{text}");
}

#[test]
fn a_configuration_without_ipam_is_refused() {
    let mut net = Net::of("10.1.0.0/24");
    net.conf["ipam"] = Value::Null;
    assert_eq!(net.refuse("a"), (7, "IPAM config missing 'ipam' key".into()));
}

#[test]
fn two_addresses_of_a_family_need_a_version_that_can_say_so() {
    let mut net = Net::new(json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]));
    net.conf["cniVersion"] = json!("0.2.0");
    assert_eq!(
        net.refuse("a"),
        (7, "CNI version 0.2.0 does not support more than 1 address per family".into())
    );
    net.conf["cniVersion"] = json!("0.3.0");
    net.add("a").unwrap();
}

#[test]
fn a_full_set_says_so_and_what_to_do_and_nothing_is_kept() {
    let net = Net::new(json!([[{"subnet": "fd00::/64"}], [{"subnet": "10.1.0.0/30"}]]));
    net.add("a").unwrap();
    let before = net.state();
    let (code, text) = net.refuse("b");
    assert_eq!(code, 11);
    let dir = net.leases_dir();
    assert_eq!(
        text,
        format!(
            "failed to allocate for range 1: no IP addresses available in range set: 10.1.0.1-10.1.0.2: 1 of 1 addresses \
             are leased in {}; delete containers, run GC to release what deleted ones left, or give the network a \
             larger range",
            dir.display()
        )
    );
    assert_eq!(net.state(), before);
    net.del("a").unwrap();
    net.add("b").unwrap();
}

#[test]
fn an_address_that_cannot_be_given_is_refused_and_nothing_is_kept() {
    let mut net = Net::new(json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]));
    net.add("a").unwrap();
    let before = net.state();
    let cases = [
        ("10.2.0.1", 7, "failed to allocate for range 1: requested ip 10.2.0.1 is subnet's gateway"),
        (
            "10.2.0.2",
            11,
            "failed to allocate for range 1: requested IP address 10.2.0.2 is not available in range set 10.2.0.1-10.2.0.254",
        ),
        ("10.9.0.1", 7, "failed to allocate all requested IPs: 10.9.0.1"),
        ("10.1.0", 7, "cannot understand ip: \"10.1.0\""),
    ];
    for (ip, code, text) in cases {
        net.args = format!("IP={ip}");
        let (found, message) = net.refuse("b");
        assert!(found == code && message.starts_with(text), "{found} {message}");
        assert_eq!(net.state(), before, "{ip}");
    }
    net.args = "COLOUR=red".into();
    assert_eq!(net.refuse("b"), (999, "ARGS: unknown args [\"COLOUR=red\"]".into()));
}

#[test]
fn a_resolv_conf_that_is_not_there_is_refused_before_anything_is_leased() {
    let mut net = Net::of("10.1.0.0/24");
    net.conf["ipam"]["resolvConf"] = json!("/nowhere/resolv.conf");
    let (code, text) = net.refuse("a");
    assert_eq!(
        (code, &*text),
        (7, "read resolvConf /nowhere/resolv.conf: No such file or directory (os error 2)")
    );
    assert!(!net.leases_dir().exists());
}

#[test]
fn a_data_directory_that_is_a_file_is_named() {
    let mut net = Net::of("10.1.0.0/24");
    let file = net.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    net.conf["ipam"]["dataDir"] = json!(file);
    let (code, text) = net.refuse("a");
    assert_eq!(code, 5);
    assert!(text.contains(file.to_str().unwrap()), "{text}");
}
