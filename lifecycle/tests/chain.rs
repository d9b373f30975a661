//! Chains over recording plugins: order, previous results, capabilities, what stops what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod recorder;

use std::fs;

use lifecycle::{Error, Verb};
use recorder::{Lab, attachment, endpoint, front, list, result};
use serde_json::{Value, json};

#[test]
fn add_goes_forward_and_hands_each_result_to_the_next_plugin() {
    let lab = Lab::with(&["one", "two"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.answers("two", "ADD", &result("1.0.0", "10.1.0.3/24"));
    let success = lab.runtime.add(&front("1.0.0", &["one", "two"]), &endpoint("web")).unwrap();
    assert_eq!(success.ips[0].address.to_string(), "10.1.0.3/24");
    let calls = lab.calls();
    let stdin: Vec<_> = calls.iter().map(|call| call["stdin"].clone()).collect();
    assert_eq!(
        stdin,
        [
            json!({"cniVersion": "1.0.0", "name": "front", "type": "one"}),
            json!({"cniVersion": "1.0.0", "name": "front", "type": "two", "prevResult": result("1.0.0", "10.1.0.2/24")}),
        ]
    );
}

#[test]
fn a_plugin_gets_all_six_variables() {
    let lab = Lab::with(&["one"]);
    let mut web = endpoint("web");
    web.args = vec![("IgnoreUnknown".into(), "1".into()), ("IP".into(), "10.1.0.9".into())];
    lab.runtime.del(&front("1.0.0", &["one"]), &web).unwrap();
    let mut call = lab.calls().remove(0);
    call["stdin"].take();
    let plugins = lab.path("").to_string_lossy().trim_end_matches('/').to_owned();
    assert_eq!(
        call,
        json!({
            "verb": "DEL", "plugin": "one", "id": "web", "ifname": "eth0", "netns": "/run/netns/web",
            "args": "IgnoreUnknown=1;IP=10.1.0.9", "path": plugins, "stdin": null,
        })
    );
}

#[test]
fn only_capabilities_that_are_declared_and_supplied_reach_a_plugin() {
    let lab = Lab::with(&["one", "two"]);
    let network = list(&json!({"cniVersion": "1.0.0", "name": "front", "plugins": [
        {"type": "one", "capabilities": {"mac": true, "portMappings": false}},
        {"type": "two", "capabilities": {"ips": true}},
    ]}));
    let mut web = endpoint("web");
    web.capabilities = json!({"mac": "c2:11:22:33:44:55", "portMappings": []}).as_object().unwrap().clone();
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.answers("two", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.add(&network, &web).unwrap();
    lab.runtime.del(&network, &web).unwrap();
    for call in lab.calls() {
        let expected = match call["plugin"].as_str().unwrap() {
            "one" => Some(json!({"mac": "c2:11:22:33:44:55"})),
            _ => None,
        };
        assert_eq!(call["stdin"].get("runtimeConfig"), expected.as_ref(), "{call}");
    }
}

#[test]
fn del_goes_backward_with_the_final_result_and_forgets() {
    let lab = Lab::with(&["one", "two"]);
    let network = front("0.4.0", &["one", "two"]);
    let last = json!({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.3/24"}], "dns": {}});
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.answers("two", "ADD", &last);
    lab.runtime.add(&network, &endpoint("web")).unwrap();
    lab.calls();
    lab.runtime.del(&network, &endpoint("web")).unwrap();
    let calls = lab.calls();
    assert_eq!(calls.iter().map(|call| &call["plugin"]).collect::<Vec<_>>(), ["two", "one"]);
    assert!(calls.iter().all(|call| call["stdin"]["prevResult"] == last), "{calls:?}");
    assert_eq!(lab.runtime.cache().entries().unwrap(), []);
}

#[test]
fn a_result_of_another_version_is_converted_for_the_next_plugin() {
    let lab = Lab::with(&["one", "two"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.answers("two", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.add(&front("0.3.1", &["one", "two"]), &endpoint("web")).unwrap();
    let previous = lab.calls()[1]["stdin"]["prevResult"].clone();
    assert_eq!((&previous["cniVersion"], &previous["ips"][0]["version"]), (&json!("0.3.1"), &json!("4")));
}

#[test]
fn del_below_0_4_gets_no_previous_result() {
    let lab = Lab::with(&["one"]);
    let network = front("0.3.1", &["one"]);
    lab.answers("one", "ADD", &result("0.3.1", "10.1.0.2/24"));
    lab.runtime.add(&network, &endpoint("web")).unwrap();
    lab.runtime.del(&network, &endpoint("web")).unwrap();
    assert_eq!(lab.calls()[1]["stdin"], json!({"cniVersion": "0.3.1", "name": "front", "type": "one"}));
}

#[test]
fn a_failed_add_says_which_plugin_and_remembers_nothing() {
    let lab = Lab::with(&["one", "two", "three"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.fails("two", "ADD", 11, "pool is being moved");
    let error = lab.runtime.add(&front("1.0.0", &["one", "two", "three"]), &endpoint("web")).unwrap_err();
    assert_eq!(error.to_string(), r#"plugin type="two" failed (add): pool is being moved"#);
    assert_eq!(error.reported().unwrap().code.number(), 11);
    assert_eq!(lab.call_names(), ["ADD one", "ADD two"]);
    assert_eq!(lab.runtime.cache().entries().unwrap(), []);
}

#[test]
fn attach_deletes_what_a_failed_add_has_made_and_leaves_those_alone_that_were_not_started() {
    let lab = Lab::with(&["one", "two", "three"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.fails("two", "ADD", 7, "no");
    let network = front("1.0.0", &["one", "two", "three"]);
    let error = lab.runtime.attach(&network, &endpoint("web")).unwrap_err();
    assert_eq!(error.to_string(), r#"plugin type="two" failed (add): no"#);
    assert_eq!(lab.call_names(), ["ADD one", "ADD two", "DEL two", "DEL one"]);

    lab.fails("one", "DEL", 7, "busy");
    let error = lab.runtime.attach(&network, &endpoint("web")).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"plugin type="two" failed (add): no; and what it had made could not be deleted: plugin type="one" failed (delete): busy"#
    );
}

#[test]
fn a_second_attach_is_refused_and_does_not_harm_the_first() {
    let lab = Lab::with(&["one"]);
    let network = front("1.0.0", &["one"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.attach(&network, &endpoint("web")).unwrap();
    let error = lab.runtime.attach(&network, &endpoint("web")).unwrap_err();
    assert_eq!(error.to_string(), "container web is attached to network front as eth0 already");
    assert_eq!(lab.call_names(), ["ADD one"]);
    assert_eq!(lab.runtime.cache().entries().unwrap().len(), 1);
}

#[test]
fn a_container_has_an_interface_on_one_network_only() {
    let lab = Lab::with(&["one"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.attach(&front("1.0.0", &["one"]), &endpoint("web")).unwrap();
    let back = list(&json!({"cniVersion": "1.0.0", "name": "back", "plugins": [{"type": "one"}]}));
    for error in [
        lab.runtime.attach(&back, &endpoint("web")).unwrap_err(),
        lab.runtime.add(&back, &endpoint("web")).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "container web is attached to network front as eth0 already");
    }
    assert_eq!(lab.call_names(), ["ADD one"]);
    // Its file's name ends alike.
    lab.runtime.attach(&back, &endpoint("b-web")).unwrap();
    let mut second = endpoint("web");
    second.attachment = attachment("web", "eth1");
    lab.runtime.attach(&back, &second).unwrap();
    lab.runtime
        .attach(
            &list(&json!({"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "one"}]})),
            &endpoint("b"),
        )
        .unwrap();
}

#[test]
fn del_goes_on_after_a_plugin_that_fails_and_tells_all_errors() {
    let lab = Lab::with(&["one", "two", "three"]);
    let network = front("1.0.0", &["one", "two", "three"]);
    for plugin in ["one", "two", "three"] {
        lab.answers(plugin, "ADD", &result("1.0.0", "10.1.0.2/24"));
    }
    lab.runtime.attach(&network, &endpoint("web")).unwrap();
    lab.calls();
    lab.fails("three", "DEL", 11, "later");
    lab.fails("one", "DEL", 999, "busy");
    let error = lab.runtime.del(&network, &endpoint("web")).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"plugin type="three" failed (delete): later; plugin type="one" failed (delete): busy"#
    );
    assert_eq!(error.reported().unwrap().code.number(), 11);
    assert_eq!(lab.call_names(), ["DEL three", "DEL two", "DEL one"]);
    assert_eq!(lab.runtime.cache().entries().unwrap().len(), 1);
    fs::remove_file(lab.path("two")).unwrap();
    lab.works_again("three", "DEL");
    lab.works_again("one", "DEL");
    let error = lab.runtime.del(&network, &endpoint("web")).unwrap_err();
    assert!(matches!(error, Error::MissingPlugin { verb: Verb::Del, .. }), "{error}");
    assert_eq!(lab.call_names(), ["DEL three", "DEL one"]);
}

#[test]
fn clean_up_after_a_failed_add_goes_on_after_a_plugin_that_fails() {
    let lab = Lab::with(&["one", "two"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.fails("two", "ADD", 7, "no");
    lab.fails("two", "DEL", 7, "no");
    let error = lab.runtime.attach(&front("1.0.0", &["one", "two"]), &endpoint("web")).unwrap_err();
    assert!(matches!(error, Error::Cleanup { .. }), "{error}");
    assert_eq!(lab.call_names(), ["ADD one", "ADD two", "DEL two", "DEL one"]);
}

#[test]
fn a_first_plugin_that_refuses_its_configuration_has_made_nothing_to_speak_of() {
    let lab = Lab::with(&["one", "two"]);
    lab.fails("one", "DEL", 999, "busy");
    let attach = || lab.runtime.attach(&front("1.0.0", &["one", "two"]), &endpoint("web")).unwrap_err();
    for code in [4, 6, 7] {
        lab.fails("one", "ADD", code, "no subnet");
        let error = attach();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert_eq!(error.to_string(), r#"plugin type="one" failed (add): no subnet"#);
        assert_eq!(lab.call_names(), ["ADD one", "DEL one"]);
    }
    // Here it ran to its end, and what it says is no result.
    lab.works_again("one", "ADD");
    let error = attach();
    assert!(matches!(error, Error::Cleanup { .. }), "{error}");
    lab.calls();
    fs::write(lab.path("one"), "no program").unwrap();
    let error = attach();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

#[test]
fn a_missing_binary_stops_add_before_anything_is_made() {
    let lab = Lab::with(&["one"]);
    let error = lab.runtime.attach(&front("1.0.0", &["one", "ghost"]), &endpoint("web")).unwrap_err();
    let plugins = lab.path("").to_string_lossy().trim_end_matches('/').to_owned();
    assert_eq!(
        error.to_string(),
        format!(r#"plugin type="ghost" failed (add): failed to find plugin "ghost" in path [{plugins}]"#)
    );
    assert!(matches!(error, Error::MissingPlugin { verb: Verb::Add, .. }));
    assert_eq!(lab.call_names(), Vec::<String>::new());
}

#[test]
fn a_plugin_that_prints_no_result_is_an_error() {
    let lab = Lab::with(&["one"]);
    let error = lab.runtime.add(&front("1.0.0", &["one"]), &endpoint("web")).unwrap_err();
    assert!(error.to_string().starts_with(r#"plugin type="one" failed (add): read its result: "#), "{error}");
}

#[test]
fn check_goes_forward_with_the_final_result_and_stops_at_the_first_error() {
    let lab = Lab::with(&["one", "two", "three"]);
    let network = front("1.0.0", &["one", "two", "three"]);
    for plugin in ["one", "two", "three"] {
        lab.answers(plugin, "ADD", &json!({"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.3/24"}]}));
    }
    lab.runtime.add(&network, &endpoint("web")).unwrap();
    lab.calls();
    lab.fails("two", "CHECK", 100, "address is gone");
    let error = lab.runtime.check(&network, &endpoint("web")).unwrap_err();
    assert_eq!(error.to_string(), r#"plugin type="two" failed (check): address is gone"#);
    let calls = lab.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["stdin"]["prevResult"]["ips"][0]["address"], "10.1.0.3/24");
    lab.works_again("two", "CHECK");
    lab.runtime.check(&network, &endpoint("web")).unwrap();
    assert_eq!(lab.call_names(), ["CHECK one", "CHECK two", "CHECK three"]);
}

#[test]
fn check_asks_nobody_when_the_network_disables_it() {
    let lab = Lab::with(&["one"]);
    let network = list(
        &json!({"cniVersion": "1.0.0", "name": "front", "disableCheck": true, "plugins": [{"type": "one"}]}),
    );
    lab.runtime.check(&network, &endpoint("web")).unwrap();
    let error = lab.runtime.check(&front("0.3.1", &["one"]), &endpoint("web")).unwrap_err();
    assert_eq!(error.to_string(), r#"configuration version "0.3.1" does not support the CHECK command"#);
    assert_eq!(lab.calls(), Vec::<Value>::new());
}

#[test]
fn status_keeps_the_first_code() {
    let lab = Lab::with(&["one", "two"]);
    lab.runtime.status(&front("1.1.0", &["one", "two"])).unwrap();
    lab.fails("one", "STATUS", 50, "daemon is not running");
    let error = lab.runtime.status(&front("1.1.0", &["one", "two"])).unwrap_err();
    assert_eq!(error.reported().unwrap().code.number(), 50);
    assert_eq!(lab.call_names(), ["STATUS one", "STATUS two", "STATUS one"]);
    lab.runtime.status(&front("1.0.0", &["one"])).unwrap();
    let missing = lab.runtime.status(&front("1.0.0", &["one", "ghost"])).unwrap_err();
    assert!(matches!(missing, Error::MissingPlugin { .. }), "{missing}");
    assert_eq!(lab.call_names(), Vec::<String>::new());
}

#[test]
fn del_that_fails_keeps_what_is_remembered_and_can_be_repeated() {
    let lab = Lab::with(&["one"]);
    let network = front("1.0.0", &["one"]);
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.add(&network, &endpoint("web")).unwrap();
    lab.fails("one", "DEL", 11, "later");
    let error = lab.runtime.del(&network, &endpoint("web")).unwrap_err();
    assert_eq!(error.to_string(), r#"plugin type="one" failed (delete): later"#);
    assert!(lab.runtime.cache().file(&network.name, &attachment("web", "eth0")).exists());
    lab.works_again("one", "DEL");
    for _ in 0..2 {
        lab.runtime.del(&network, &endpoint("web")).unwrap();
    }
    assert_eq!(fs::read_dir(lab.path("cache/results")).unwrap().count(), 0);
}
