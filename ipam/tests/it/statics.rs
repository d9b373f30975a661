//! static: what the configuration and the runtime name, and nothing else.

use ipam::static_addresses::Static;
use serde_json::{Value, json};
use spec::{Add, Attachment, Caller, Check, Config, Plugin, Result};

#[test]
fn the_configuration_s_addresses_are_given_with_routes_and_dns() {
    let ipam = json!({
        "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.9"}],
        "dns": {"nameservers": ["10.9.9.9"], "domain": "d"},
    });
    let expected = json!({
        "cniVersion": "1.1.0",
        "ips": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.9"}],
        "dns": {"nameservers": ["10.9.9.9"], "domain": "d"},
    });
    assert_eq!(add(&json!({ "ipam": ipam }), "").unwrap(), expected);
}

#[test]
fn arguments_add_addresses_and_set_gateways() {
    let conf = json!({"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}]}});
    let args = "IP=10.2.0.5/24, fd00::5/64;GATEWAY=10.2.0.1,fd00::1,10.1.0.254";
    assert_eq!(
        ips(&conf, args),
        "10.1.0.5/24 via 10.1.0.254, 10.2.0.5/24 via 10.2.0.1, fd00::5/64 via fd00::1"
    );
}

#[test]
fn the_runtime_s_addresses_replace_all_others() {
    let mut conf = json!({"ipam": {"addresses": [{"address": "10.1.0.5/24"}]}, "args": {"cni": {"ips": ["10.3.0.5/24"]}}});
    assert_eq!(ips(&conf, "IP=10.2.0.5/24"), "10.3.0.5/24");
    conf["runtimeConfig"] = json!({"ips": ["10.4.0.5/24"]});
    assert_eq!(ips(&conf, "IP=10.2.0.5/24"), "10.4.0.5/24");
}

#[test]
fn no_addresses_at_all_is_an_empty_result() {
    assert_eq!(ips(&json!({"ipam": {}}), ""), "");
}

#[test]
fn what_is_no_address_is_refused() {
    let none = json!({"ipam": {}});
    let address = |text: &str| json!({"ipam": {"addresses": [{ "address": text }]}});
    let cases = [
        (address("10.1.0.5"), "", "the 'address' field is expected to be in CIDR notation, got: '10.1.0.5'"),
        (address(""), "", "the 'address' field is expected to be in CIDR notation, got: ''"),
        (none.clone(), "IP=10.1.0.5", "the 'ip' field is expected to be in CIDR notation, got: '10.1.0.5'"),
        (none.clone(), "GATEWAY=x", "invalid gateway address: \"x\""),
        (none.clone(), "COLOUR=red", "ARGS: unknown args [\"COLOUR=red\"]"),
        (
            json!({"ipam": {}, "runtimeConfig": {"ips": ["10.1.0.5"]}}),
            "",
            "an entry in the 'ips' field is expected to be in CIDR notation, got: '10.1.0.5'",
        ),
        (
            json!({"cniVersion": "0.2.0", "ipam": {"addresses": [{"address": "10.1.0.5/24"}, {"address": "10.1.0.6/24"}]}}),
            "",
            "CNI version 0.2.0 does not support more than 1 address per family",
        ),
    ];
    for (conf, args, text) in cases {
        assert_eq!(add(&conf, args).unwrap_err().msg, text);
    }
}

#[test]
fn check_wants_each_address_with_its_gateway() {
    let mut conf = json!({"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}]}});
    let mut check = |ips: Value| {
        conf["prevResult"] = json!({"cniVersion": "1.1.0", "ips": ips});
        Static::check(&Check {
            attachment: attachment(),
            netns: "/n".into(),
            caller: caller(""),
            config: config(&conf),
        })
    };
    check(json!([{"address": "10.9.0.5/24"}, {"address": "10.1.0.5/24", "gateway": "10.1.0.1"}])).unwrap();
    let text = "static: Failed to match addr 10.1.0.5 on interface eth0";
    assert_eq!(check(json!([{"address": "10.1.0.5/24", "gateway": "10.1.0.2"}])).unwrap_err().msg, text);
    assert_eq!(check(json!([])).unwrap_err().msg, text);
}

fn ips(conf: &Value, args: &str) -> String {
    let result = add(conf, args).unwrap();
    let ips = result["ips"].as_array().cloned().unwrap_or_default();
    let texts = ips.iter().map(|ip| match &ip["gateway"] {
        Value::String(gateway) => format!("{} via {gateway}", ip["address"].as_str().unwrap()),
        _ => ip["address"].as_str().unwrap().to_owned(),
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn add(conf: &Value, args: &str) -> Result<Value> {
    let call =
        Add { attachment: attachment(), netns: "/n".into(), caller: caller(args), config: config(conf) };
    Static::add(&call)?.to_value("1.1.0".parse().unwrap())
}

fn attachment() -> Attachment {
    Attachment { container: "a".parse().unwrap(), ifname: "eth0".parse().unwrap() }
}

fn caller(args: &str) -> Caller {
    Caller { args: args.into(), ..Caller::default() }
}

fn config(conf: &Value) -> Config {
    let mut conf = conf.clone();
    conf["name"] = json!("net");
    if conf["cniVersion"].is_null() {
        conf["cniVersion"] = json!("1.1.0");
    }
    Config::parse(conf.to_string().into_bytes()).unwrap()
}
