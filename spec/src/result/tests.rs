//! Results of every version, read, written, and turned into one another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Code;

/// A result with everything in it that any version can say.
fn rich() -> Success {
    let route = |dst: &str| Route::new(dst.parse().unwrap(), None);
    Success {
        interfaces: vec![
            Interface { name: "br0".into(), mac: Some("02:00:00:00:00:01".into()), ..Interface::default() },
            Interface {
                name: "eth0".into(),
                mac: Some("02:00:00:00:00:03".into()),
                mtu: Some(1500),
                sandbox: Some("/run/netns/web".into()),
                socket_path: Some("/run/s".into()),
                pci_id: Some("0000:04:00.5".into()),
            },
        ],
        ips: vec![ip("10.1.0.5/16", Some("10.1.0.1")), ip("fd00:1::5/64", None), ip("10.2.0.5/16", None)],
        routes: vec![
            Route {
                gw: "10.1.0.1".parse().ok(),
                table: Some(0),
                scope: Some(0),
                mtu: Some(1400),
                ..route("0.0.0.0/0")
            },
            Route { priority: Some(7), advmss: Some(1360), ..route("fd00:2::/64") },
        ],
        dns: Dns { nameservers: vec!["10.1.0.1".into()], domain: "d".into(), ..Dns::default() },
    }
}

fn ip(address: &str, gateway: Option<&str>) -> Ip {
    Ip { address: address.parse().unwrap(), gateway: gateway.map(|g| g.parse().unwrap()), interface: Some(1) }
}

/// The result after a journey through the wire form of a version.
fn through(result: &Success, version: Version) -> Success {
    Success::from_value(&result.to_value(version).unwrap(), Version::V0_1_0).unwrap()
}

/// What interfaces can say before 1.0.0.
fn without_new_interface_keys(mut result: Success) -> Success {
    for interface in &mut result.interfaces {
        (interface.mtu, interface.socket_path, interface.pci_id) = (None, None, None);
    }
    result
}

#[test]
fn the_newest_form_says_everything() {
    assert_eq!(
        rich().to_value(Version::V1_1_0).unwrap(),
        json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                {"name": "br0", "mac": "02:00:00:00:00:01"},
                {"name": "eth0", "mac": "02:00:00:00:00:03", "mtu": 1500, "sandbox": "/run/netns/web",
                 "socketPath": "/run/s", "pciID": "0000:04:00.5"}
            ],
            "ips": [
                {"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1},
                {"address": "fd00:1::5/64", "interface": 1},
                {"address": "10.2.0.5/16", "interface": 1}
            ],
            "routes": [
                {"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "table": 0, "scope": 0},
                {"dst": "fd00:2::/64", "advmss": 1360, "priority": 7}
            ],
            "dns": {"nameservers": ["10.1.0.1"], "domain": "d"}
        })
    );
}

#[test]
fn the_form_of_0_4_0_tells_families_and_has_small_interfaces() {
    let value = rich().to_value(Version::V0_4_0).unwrap();
    assert_eq!(
        value["ips"][0],
        json!({"version": "4", "interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"})
    );
    assert_eq!(value["ips"][1], json!({"version": "6", "interface": 1, "address": "fd00:1::5/64"}));
    assert_eq!(
        value["interfaces"][1],
        json!({"name": "eth0", "mac": "02:00:00:00:00:03", "sandbox": "/run/netns/web"})
    );
    assert_eq!(
        value["routes"][0],
        json!({"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "table": 0, "scope": 0})
    );
}

#[test]
fn the_form_of_0_2_0_has_one_address_for_each_family_with_its_routes() {
    assert_eq!(
        rich().to_value(Version::V0_2_0).unwrap(),
        json!({
            "cniVersion": "0.2.0",
            "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]},
            "ip6": {"ip": "fd00:1::5/64", "routes": [{"dst": "fd00:2::/64"}]},
            "dns": {"nameservers": ["10.1.0.1"], "domain": "d"}
        })
    );
}

#[test]
fn the_form_of_0_2_0_loses_the_routes_of_a_family_without_address() {
    let mut result = rich();
    result.ips.truncate(1);
    let value = result.to_value(Version::V0_1_0).unwrap();
    assert_eq!((value.get("ip6"), value["ip4"]["routes"].as_array().unwrap().len()), (None, 1));
}

#[test]
fn a_result_without_address_cannot_be_said_in_0_2_0() {
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let error = Success::default().to_value(version).unwrap_err();
        assert_eq!(
            (error.code, error.msg.as_str()),
            (Code::Internal, "cannot convert: no valid IP addresses")
        );
    }
}

#[test]
fn an_empty_result_is_printed_as_the_reference_does_it() {
    let printed = |version| String::from_utf8(Success::default().to_json(version).unwrap()).unwrap();
    assert_eq!(printed(Version::V1_0_0), "{\n    \"cniVersion\": \"1.0.0\"\n}");
    assert_eq!(printed(Version::V0_3_1), "{\n    \"cniVersion\": \"0.3.1\",\n    \"dns\": {}\n}");
}

#[test]
fn members_are_printed_in_the_order_of_the_specification() {
    let text = String::from_utf8(rich().to_json(Version::V1_1_0).unwrap()).unwrap();
    let keys = ["\"cniVersion\"", "\"interfaces\"", "\"ips\"", "\"routes\"", "\"dns\""];
    assert!(keys.map(|key| text.find(&format!("\n    {key}")).unwrap()).is_sorted(), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), rich().to_value(Version::V1_1_0).unwrap());
}

#[test]
fn every_version_is_read_up_into_the_newest_form() {
    for version in [Version::V1_0_0, Version::V1_1_0] {
        assert_eq!(through(&rich(), version), rich());
    }
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        assert_eq!(through(&rich(), version), without_new_interface_keys(rich()));
    }
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let result = through(&rich(), version);
        let bare = |text: &str, gateway| Ip { interface: None, ..ip(text, gateway) };
        assert_eq!(result.ips, [bare("10.1.0.5/16", Some("10.1.0.1")), bare("fd00:1::5/64", None)]);
        assert_eq!(result.routes[0], Route::new("0.0.0.0/0".parse().unwrap(), "10.1.0.1".parse().ok()));
        assert_eq!(result.routes[1], Route::new("fd00:2::/64".parse().unwrap(), None));
        assert_eq!((result.interfaces, result.dns), (vec![], rich().dns));
    }
}

#[test]
fn a_result_without_version_is_of_the_assumed_one_and_null_is_empty() {
    let ip4 = json!({"ip4": {"ip": "10.0.0.2/24"}});
    assert_eq!(Success::from_value(&ip4, Version::V0_2_0).unwrap().ips.len(), 1);
    assert_eq!(Success::from_value(&ip4, Version::V1_1_0).unwrap().ips.len(), 0);
    let empty = json!({"cniVersion": "", "ip4": {"ip": "10.0.0.2/24"}});
    assert_eq!(Success::from_value(&empty, Version::V0_2_0).unwrap().ips.len(), 1);
    assert_eq!(Success::from_value(&Value::Null, Version::V0_2_0).unwrap(), Success::default());
}

#[test]
fn keys_of_any_case_empty_strings_zeros_and_nulls_are_borne() {
    let value = json!({"CNIVersion": "1.0.0", "Interfaces": [{"Name": "eth0", "mac": "", "mtu": 0, "Sandbox": null}],
        "IPs": [{"Address": "10.0.0.2/24", "gateway": "", "Interface": null}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "", "mtu": 0, "priority": null}], "dns": null});
    let result = Success::from_value(&value, Version::V0_1_0).unwrap();
    assert_eq!(result.interfaces, [Interface { name: "eth0".into(), ..Interface::default() }]);
    assert_eq!(result.ips, [Ip { interface: None, ..ip("10.0.0.2/24", None) }]);
    assert_eq!(result.routes, [Route::new("0.0.0.0/0".parse().unwrap(), None)]);
}

#[test]
fn what_is_no_result_is_refused() {
    for (value, code, msg) in [
        (
            json!({"cniVersion": "2.0.0"}),
            Code::IncompatibleVersion,
            "unsupported CNI result version \"2.0.0\"",
        ),
        (
            json!({"cniVersion": 1}),
            Code::Decoding,
            "read CNI result: cniVersion: invalid type, expected a string",
        ),
        (json!("x"), Code::Decoding, "read CNI result: invalid type: string \"x\", expected an object"),
        (json!([]), Code::Decoding, "read CNI result: invalid type: sequence, expected an object"),
        (json!({"ips": [{}]}), Code::Decoding, "read CNI result: ips[0]: missing field `address`"),
        (
            json!({"ips": [{"address": "10.0.0.1/24", "gateway": "x"}]}),
            Code::Decoding,
            "read CNI result: ips[0].gateway: invalid IP address \"x\"",
        ),
        (
            json!({"routes": [{"dst": "0.0.0.0/0", "scope": 256}]}),
            Code::Decoding,
            "read CNI result: routes[0].scope: invalid value: integer `256`, expected u8",
        ),
    ] {
        let error = Success::from_value(&value, Version::NEWEST).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (code, msg));
    }
}

fn any_net() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<std::net::Ipv4Addr>(), 0..=32u8);
    let v6 = (any::<std::net::Ipv6Addr>(), 0..=128u8);
    prop_oneof![
        v4.prop_map(|(ip, length)| IpNet::new(ip.into(), length).unwrap()),
        v6.prop_map(|(ip, length)| IpNet::new(ip.into(), length).unwrap()),
    ]
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-z0-9:/]{1,12}")
}

fn any_interface() -> impl Strategy<Value = Interface> {
    let mtu = proptest::option::of(1..u32::MAX);
    ("[a-z0-9]{0,15}", any_text(), mtu, any_text(), any_text(), any_text()).prop_map(
        |(name, mac, mtu, sandbox, socket_path, pci_id)| Interface {
            name,
            mac,
            mtu,
            sandbox,
            socket_path,
            pci_id,
        },
    )
}

fn any_ip() -> impl Strategy<Value = Ip> {
    (any_net(), any::<Option<IpAddr>>(), any::<Option<u16>>()).prop_map(|(address, gateway, interface)| Ip {
        address,
        gateway,
        interface: interface.map(usize::from),
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    let number = || proptest::option::of(1..u32::MAX);
    (
        any_net(),
        any::<Option<IpAddr>>(),
        number(),
        number(),
        number(),
        any::<Option<u32>>(),
        any::<Option<u8>>(),
    )
        .prop_map(|(dst, gw, mtu, advmss, priority, table, scope)| Route {
            dst,
            gw,
            mtu,
            advmss,
            priority,
            table,
            scope,
        })
}

fn any_dns() -> impl Strategy<Value = Dns> {
    let texts = || proptest::collection::vec("[a-z.]{0,5}", 0..3);
    (texts(), "[a-z]{0,3}", texts(), texts()).prop_map(|(nameservers, domain, search, options)| Dns {
        nameservers,
        domain,
        search,
        options,
    })
}

fn any_result() -> impl Strategy<Value = Success> {
    let interfaces = proptest::collection::vec(any_interface(), 0..4);
    let ips = proptest::collection::vec(any_ip(), 0..4);
    let routes = proptest::collection::vec(any_route(), 0..4);
    (interfaces, ips, routes, any_dns()).prop_map(|(interfaces, ips, routes, dns)| Success {
        interfaces,
        ips,
        routes,
        dns,
    })
}

proptest! {
    #[test]
    fn nothing_is_lost_in_1_x(result in any_result()) {
        prop_assert_eq!(&through(&result, Version::V1_0_0), &result);
        prop_assert_eq!(&through(&result, Version::V1_1_0), &result);
    }

    #[test]
    fn going_down_to_0_4_and_up_again_loses_what_only_new_interfaces_say(result in any_result()) {
        let back = through(&result, Version::V0_4_0);
        prop_assert_eq!(&back, &through(&result, Version::V0_3_0));
        prop_assert_eq!(back, without_new_interface_keys(result));
    }

    #[test]
    fn going_down_to_0_2_keeps_the_first_address_of_each_family(result in any_result()) {
        prop_assume!(!result.ips.is_empty());
        let back = through(&result, Version::V0_2_0);
        let is_v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
        let first = |v4| result.ips.iter().map(|ip| ip.address).find(|net| is_v4(net) == v4);
        let expected: Vec<IpNet> = [first(true), first(false)].into_iter().flatten().collect();
        let found: Vec<IpNet> = back.ips.iter().map(|ip| ip.address).collect();
        prop_assert_eq!(found, expected);
        let has = |v4: bool| first(v4).is_some();
        let kept = result.routes.iter().filter(|route| has(is_v4(&route.dst))).count();
        prop_assert_eq!(back.routes.len(), kept);
        prop_assert_eq!(back.dns, result.dns);
    }
}
