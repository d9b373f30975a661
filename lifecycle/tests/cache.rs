//! The cache as files: bytes, modes, old and broken ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod recorder;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lifecycle::cache::Remembered;
use recorder::{Lab, attachment, endpoint, front, list, result};
use serde_json::json;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_attachment_is_remembered_in_libcnis_bytes() {
    let lab = Lab::with(&["one"]);
    let network = list(&json!({"name": "front", "cniVersion": "1.0.0", "plugins": [{"type": "one"}]}));
    let mut web = endpoint("web");
    web.args = vec![("K".into(), "<v>".into())];
    web.capabilities.insert("mac".into(), json!("c2:11:22:33:44:55"));
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.add(&network, &web).unwrap();

    let file = lab.path("cache/results/front-web-eth0");
    // base64 of {"cniVersion":"1.0.0","name":"front","plugins":[{"type":"one"}]}
    let config = "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoiZnJvbnQiLCJwbHVnaW5zIjpbeyJ0eXBlIjoib25lIn1dfQ==";
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        [
            r#"{"kind":"cniCacheV1","containerId":"web","config":""#,
            config,
            r#"","ifName":"eth0","networkName":"front","netns":"/run/netns/web","cniArgs":[["K","\u003cv\u003e"]],"#,
            r#""capabilityArgs":{"mac":"c2:11:22:33:44:55"},"#,
            r#""result":{"cniVersion":"1.0.0","dns":{},"ips":[{"address":"10.1.0.2/24"}]}}"#,
        ]
        .concat()
    );
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert_eq!(fs::read_dir(lab.path("cache/drafts")).unwrap().count(), 0);
    let entries = lab.runtime.cache().entries().unwrap();
    assert_eq!((entries.len(), &entries[0].endpoint, &entries[0].config), (1, &web, &network.bytes));
}

#[test]
fn a_bare_result_of_early_libcni_is_the_previous_result() {
    let lab = Lab::with(&["one"]);
    let network = front("1.0.0", &["one"]);
    let bare = json!({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.2/24"}], "dns": {}});
    fs::create_dir_all(lab.path("cache/results")).unwrap();
    fs::write(lab.path("cache/results/front-web-eth0"), bare.to_string()).unwrap();
    lab.runtime.check(&network, &endpoint("web")).unwrap();
    lab.runtime.del(&network, &endpoint("web")).unwrap();
    for call in lab.calls() {
        let expected = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]});
        assert_eq!(call["stdin"]["prevResult"], expected);
    }
    assert!(!lab.path("cache/results/front-web-eth0").exists());
}

#[test]
fn a_broken_file_stops_check_but_not_del() {
    for broken in ["", "{", r#"{"kind":"cniCacheV1","containerId":"-"}"#, r#"{"cniVersion":"9.9.9"}"#, "[1]"]
    {
        let lab = Lab::with(&["one"]);
        let network = front("1.0.0", &["one"]);
        let file = lab.path("cache/results/front-web-eth0");
        fs::create_dir_all(lab.path("cache/results")).unwrap();
        fs::write(&file, broken).unwrap();
        let error = lab.runtime.check(&network, &endpoint("web")).unwrap_err();
        assert!(error.to_string().starts_with(&format!("use {}: ", file.display())), "{error}");
        lab.runtime.del(&network, &endpoint("web")).unwrap();
        let calls = lab.calls();
        assert_eq!((calls.len(), calls[0]["stdin"].get("prevResult")), (1, None), "{broken}");
        assert!(!file.exists());
    }
}

#[test]
fn a_broken_file_is_dropped_even_when_del_then_fails() {
    let lab = Lab::with(&["one"]);
    let file = lab.path("cache/results/front-web-eth0");
    fs::create_dir_all(lab.path("cache/results")).unwrap();
    fs::write(&file, "{").unwrap();
    lab.fails("one", "DEL", 11, "later");
    lab.runtime.del(&front("1.0.0", &["one"]), &endpoint("web")).unwrap_err();
    assert!(!file.exists());
}

#[test]
fn an_attachment_whose_file_name_would_be_too_long_is_refused_before_it_is_made() {
    let lab = Lab::with(&["one"]);
    let long = "x".repeat(250);
    let error = lab.runtime.attach(&front("1.0.0", &["one"]), &endpoint(&long)).unwrap_err();
    assert!(error.to_string().contains("File name too long"), "{error}");
    assert!(lab.calls().is_empty());
}

#[test]
fn names_with_hyphens_are_told_apart_by_what_is_inside() {
    let lab = Lab::with(&["one"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    let network = list(&json!({"cniVersion": "1.0.0", "name": "a-b", "plugins": [{"type": "one"}]}));
    lab.runtime.add(&network, &endpoint("c-d")).unwrap();
    fs::write(lab.path("cache/results/strange"), "no JSON").unwrap();
    let entries = lab.runtime.cache().entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].endpoint.attachment, attachment("c-d", "eth0"));
    assert_eq!(entries[0].network.as_str(), "a-b");
    let known = lab.runtime.cache().read(&network.name, &attachment("c-d", "eth0")).unwrap();
    assert!(matches!(known, Remembered::Entry(_)));
}
