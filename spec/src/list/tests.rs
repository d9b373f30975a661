//! Lists in memory and on disk, and the requests made of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Code;

fn parse(text: &str) -> Result<NetworkList> {
    NetworkList::parse(text.as_bytes().to_vec())
}

/// A list with one plugin and the given other members.
fn list(members: &str) -> Result<NetworkList> {
    parse(&format!(r#"{{"name":"front","plugins":[{{"type":"bridge"}}],{members}}}"#))
}

fn types(list: &NetworkList) -> Vec<&str> {
    list.plugins.iter().map(|plugin| plugin.plugin.as_str()).collect()
}

fn request(list: &NetworkList, index: usize, extra: &Extra<'_>) -> Value {
    serde_json::from_slice(&list.request(index, extra).unwrap()).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

#[test]
fn the_highest_version_that_both_know_is_taken() {
    for (members, version) in [
        (r#""x":0"#, Version::V0_1_0),
        (r#""cniVersion":"""#, Version::V0_1_0),
        (r#""cniVersion":"0.4.0""#, Version::V0_4_0),
        (r#""cniVersion":"1""#, Version::V1_0_0),
        (r#""cniVersions":["0.3.1","1.0.0","0.4.0"]"#, Version::V1_0_0),
        (r#""cniVersion":"1.1.0","cniVersions":["0.3.1"]"#, Version::V1_1_0),
        (r#""cniVersion":"0.3.1","cniVersions":["1.0.0","1.2.0","10.0.0"]"#, Version::V1_0_0),
        (r#""cniVersions":[]"#, Version::V0_1_0),
    ] {
        assert_eq!(list(members).unwrap().version, version, "{members}");
    }
}

#[test]
fn a_list_of_versions_that_nobody_speaks_is_refused() {
    let error = list(r#""cniVersions":["1.2.0","2.0.0"]"#).unwrap_err();
    assert_eq!(error.code, Code::IncompatibleVersion);
    assert!(error.details.starts_with("list is 1.2.0, 2.0.0, spoken here are 0.1.0,"), "{error}");
    for members in [r#""cniVersion":"1.x""#, r#""cniVersions":["1.2.3.4"]"#] {
        assert!(list(members).unwrap_err().msg.contains("invalid cniVersion"), "{members}");
    }
}

#[test]
fn the_switches_are_booleans_or_strings() {
    for (text, flag) in
        [("true", true), ("false", false), (r#""TRUE""#, true), (r#""False""#, false), ("null", false)]
    {
        let list = list(&format!(r#""disableCheck":{text},"disableGC":{text}"#)).unwrap();
        assert_eq!((list.disable_check, list.disable_gc), (flag, flag), "{text}");
    }
    for text in ["1", r#""yes""#, "[]"] {
        assert_eq!(list(&format!(r#""disableCheck":{text}"#)).unwrap_err().code, Code::Decoding, "{text}");
    }
}

#[test]
fn what_is_no_list_is_refused_with_the_reason() {
    for (text, code, reason) in [
        ("", Code::Decoding, "EOF while parsing"),
        ("[]", Code::Decoding, "invalid type: sequence"),
        (r#"{"plugins":[{"type":"x"}]}"#, Code::InvalidConfig, "no name"),
        (r#"{"name":1}"#, Code::Decoding, "name: invalid type, expected a string, found 1"),
        (r#"{"name":"../x"}"#, Code::InvalidConfig, "invalid characters found in network name"),
        (r#"{"name":"n","plugins":[]}"#, Code::InvalidConfig, "no plugins in list"),
        (
            r#"{"name":"n","plugins":{}}"#,
            Code::Decoding,
            "plugins: invalid type, expected an array, found {}",
        ),
        (r#"{"name":"n","plugins":[{"type":"x"},5]}"#, Code::Decoding, "plugins[1]: plugin: invalid type"),
        (r#"{"name":"n","plugins":[{}]}"#, Code::InvalidConfig, "plugins[0]: missing 'type'"),
        (
            r#"{"name":"n","plugins":[{"type":"/bin/sh"}]}"#,
            Code::InvalidConfig,
            "plugins[0]: invalid plugin name, must not contain a path: \"/bin/sh\"",
        ),
        (
            r#"{"name":"n","loadOnlyInlinedPlugins":true}"#,
            Code::InvalidConfig,
            "`loadOnlyInlinedPlugins` is true, and no 'plugins' key",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.code, code, "{text}");
        assert!(error.msg.starts_with("parse configuration list: ") && error.msg.contains(reason), "{error}");
    }
}

#[test]
fn a_request_is_the_plugins_object_with_the_lists_name_and_version() {
    let text = r#"{"cniVersion":"1.0.0","name":"front","plugins":[{"type":"bridge","cniVersion":"0.1.0","name":"x",
        "zebra":[1,null],"capabilities":{"mac":true},"cni.dev/attachments":[],"cni.dev/other":1}]}"#;
    let list = parse(text).unwrap();
    assert_eq!(list.bytes, text.as_bytes());
    assert_eq!(
        String::from_utf8(list.request(0, &Extra::default()).unwrap()).unwrap(),
        r#"{"cniVersion":"1.0.0","name":"front","type":"bridge","zebra":[1,null]}"#
    );
    assert_eq!(list.request(1, &Extra::default()).unwrap_err().code, Code::Internal);
}

#[test]
fn a_plugin_gets_of_the_offered_what_it_declares() {
    let list =
        parse(r#"{"name":"n","plugins":[{"type":"p","capabilities":{"mac":true,"ips":false,"dns":true}}]}"#);
    let offered = json!({"mac": "02:00:00:00:00:01", "ips": ["10.0.0.2"], "portMappings": []});
    let extra = Extra { capabilities: Some(object(&offered)), ..Extra::default() };
    let request = request(&list.unwrap(), 0, &extra);
    assert_eq!(request["runtimeConfig"], json!({"mac": "02:00:00:00:00:01"}));
}

#[test]
fn an_empty_runtime_config_is_left_out() {
    let offered = json!({"mac": "02:00:00:00:00:01"});
    let extra = Extra { capabilities: Some(object(&offered)), ..Extra::default() };
    assert_eq!(request(&list(r#""x":0"#).unwrap(), 0, &extra).get("runtimeConfig"), None);
}

#[test]
fn previous_result_and_living_attachments_are_put_in() {
    let result = json!({"cniVersion": "1.1.0"});
    let living = [ValidAttachment { container_id: "a".into(), ifname: "eth0".into() }];
    let extra = Extra { prev_result: Some(&result), valid_attachments: Some(&living), ..Extra::default() };
    let request = request(&list(r#""cniVersion":"1.1.0""#).unwrap(), 0, &extra);
    assert_eq!(request["prevResult"], result);
    assert_eq!(request["cni.dev/valid-attachments"], json!([{"containerID": "a", "ifname": "eth0"}]));
    assert_eq!(request["cni.dev/attachments"], request["cni.dev/valid-attachments"]);
    let config = crate::Config::parse(serde_json::to_vec(&request).unwrap()).unwrap();
    assert_eq!(config.valid_attachments.unwrap(), living);
}

#[test]
fn a_single_plugin_becomes_a_list_of_one() {
    let text = r#"{"cniVersion":"0.3.1","name":"old","type":"bridge","disableCheck":true,"mtu":9000}"#;
    let list = NetworkList::parse_single(text.as_bytes()).unwrap();
    assert_eq!((list.name.as_str(), list.version, list.disable_check), ("old", Version::V0_3_1, false));
    assert_eq!(request(&list, 0, &Extra::default())["mtu"], 9000);
    let again = NetworkList::parse(list.bytes.clone()).unwrap();
    assert_eq!((again.name, again.version, again.plugins), (list.name, list.version, list.plugins));
    assert!(NetworkList::parse_single(br#"{"name":"n"}"#).unwrap_err().msg.contains("missing 'type'"));
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn load(directory: &Path, name: &str) -> Result<NetworkList> {
    NetworkList::load_file(&directory.join(name))
}

#[test]
fn plugins_beside_the_list_follow_the_inlined_ones_in_order() {
    let inlined = r#"{"name":"n","plugins":[{"type":"a"}]}"#;
    let sibling = directory(&[
        ("l.conflist", inlined),
        ("bare.conflist", r#"{"name":"n"}"#),
        ("n/20.conf", r#"{"type":"c"}"#),
        ("n/10.conf", r#"{"type":"b"}"#),
        ("n/30.json", r#"{"type":"no"}"#),
        ("n/dir.conf/x", ""),
    ]);
    assert_eq!(types(&load(sibling.path(), "l.conflist").unwrap()), ["a", "b", "c"]);
    assert_eq!(types(&load(sibling.path(), "bare.conflist").unwrap()), ["b", "c"]);
    assert_eq!(types(&parse(inlined).unwrap()), ["a"]);
}

#[test]
fn plugins_beside_the_list_can_be_ruled_out() {
    let text = r#"{"name":"n","loadOnlyInlinedPlugins":"true","plugins":[{"type":"a"}]}"#;
    let sibling = directory(&[("l.conflist", text), ("n/10.conf", r#"{"type":"b"}"#)]);
    assert_eq!(types(&load(sibling.path(), "l.conflist").unwrap()), ["a"]);
}

#[test]
fn a_list_that_finds_no_plugin_or_a_broken_one_is_refused() {
    let sibling = directory(&[
        ("none.conflist", r#"{"name":"none"}"#),
        ("broken.conflist", r#"{"name":"broken"}"#),
        ("broken/10.conf", "{"),
    ]);
    let complaint = |name| load(sibling.path(), name).unwrap_err().msg;
    assert!(complaint("none.conflist").ends_with("none.conflist: no plugin configs found"));
    assert!(complaint("broken.conflist").contains("broken/10.conf: parse configuration: EOF"));
    assert_eq!(load(sibling.path(), "absent.conflist").unwrap_err().code, Code::Io);
}

#[test]
fn a_network_is_found_by_name_lists_first() {
    let single = |name: &str, plugin: &str| format!(r#"{{"name":"{name}","type":"{plugin}"}}"#);
    let nets = directory(&[
        ("00.conf", &single("twice", "single")),
        ("99.conflist", r#"{"name":"twice","plugins":[{"type":"list"}]}"#),
        ("50.json", &single("json", "j")),
        ("40.json", r#"{"name":"list-in-json","plugins":[{"type":"l"}]}"#),
        ("README", "not a network"),
    ]);
    let found = |name| NetworkList::load_by_name(nets.path(), name).map(|list| types(&list).join(","));
    assert_eq!(found("twice").unwrap(), "list");
    assert_eq!(found("json").unwrap(), "j");
    assert_eq!(found("list-in-json").unwrap(), "l");
    let expected = format!("no net configuration with name \"absent\" in {}", nets.path().display());
    assert_eq!(found("absent").unwrap_err().msg, expected);
}

#[test]
fn a_broken_file_before_the_right_one_is_an_error_and_after_it_is_not() {
    let good = r#"{"name":"good","plugins":[{"type":"a"}]}"#;
    let before = directory(&[("00.conflist", "{"), ("10.conflist", good)]);
    assert_eq!(NetworkList::load_by_name(before.path(), "good").unwrap_err().code, Code::Decoding);
    let after = directory(&[("20.conflist", "{"), ("10.conflist", good)]);
    assert!(NetworkList::load_by_name(after.path(), "good").is_ok());
}

#[test]
fn a_directory_without_networks_or_no_directory_says_so() {
    let empty = directory(&[]);
    let complaint = |path: &Path| NetworkList::load_by_name(path, "n").unwrap_err().msg;
    let expected = format!("no net configurations found in {}", empty.path().display());
    assert_eq!(complaint(empty.path()), expected);
    assert!(complaint(&empty.path().join("absent")).starts_with("no net configurations found in"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        let _ = parse(&text);
        let _ = NetworkList::parse_single(text.as_bytes());
    }
}
