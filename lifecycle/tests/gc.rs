//! GC over recording plugins: who is deleted, with what, and who is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod recorder;

use std::time::Duration;

use lifecycle::{Error, Runtime};
use recorder::{Lab, attachment, endpoint, front, list, result};
use serde_json::json;

/// Three containers on `front`, one on `back`.
fn populated(version: &str) -> Lab {
    let lab = Lab::with(&["one", "two"]);
    for plugin in ["one", "two"] {
        lab.answers(plugin, "ADD", &result("1.0.0", "10.1.0.2/24"));
    }
    for container in ["a", "b", "c"] {
        lab.runtime.add(&front(version, &["one", "two"]), &endpoint(container)).unwrap();
    }
    let back = list(&json!({"cniVersion": version, "name": "back", "plugins": [{"type": "one"}]}));
    lab.runtime.add(&back, &endpoint("d")).unwrap();
    lab.calls();
    lab
}

#[test]
fn stale_attachments_get_a_full_del_and_then_every_plugin_the_valid_list() {
    let lab = populated("1.1.0");
    let valid = [attachment("b", "eth0")];
    let collected = lab.runtime.gc(&front("1.1.0", &["one", "two"]), &valid).unwrap();
    assert_eq!(collected.deleted, [attachment("a", "eth0"), attachment("c", "eth0")]);
    let calls = lab.calls();
    let names: Vec<_> =
        calls.iter().map(|call| format!("{} {} {}", call["verb"], call["plugin"], call["id"])).collect();
    assert_eq!(
        names.join("; ").replace('"', ""),
        "DEL two a; DEL one a; DEL two c; DEL one c; GC one ; GC two "
    );
    assert_eq!(
        calls[4]["stdin"],
        json!({
            "cniVersion": "1.1.0", "name": "front", "type": "one",
            "cni.dev/attachments": [{"containerID": "b", "ifname": "eth0"}],
            "cni.dev/valid-attachments": [{"containerID": "b", "ifname": "eth0"}],
        })
    );
    assert_eq!(lab.runtime.cache().entries().unwrap().len(), 2);
}

#[test]
fn a_stale_attachment_is_deleted_with_the_arguments_of_its_add() {
    let lab = Lab::with(&["one"]);
    let network = list(&json!({"cniVersion": "1.0.0", "name": "front",
        "plugins": [{"type": "one", "capabilities": {"mac": true}}]}));
    let mut web = endpoint("web");
    web.args = vec![("IP".into(), "10.1.0.2".into())];
    web.capabilities.insert("mac".into(), json!("c2:11:22:33:44:55"));
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.add(&network, &web).unwrap();
    let add = lab.calls().remove(0);
    lab.runtime.gc(&network, &[]).unwrap();
    let del = lab.calls().remove(0);
    assert_eq!(del["verb"], "DEL");
    for same in ["netns", "args", "ifname", "path"] {
        assert_eq!(add[same], del[same]);
    }
    assert_eq!(del["stdin"]["runtimeConfig"], json!({"mac": "c2:11:22:33:44:55"}));
    assert_eq!(del["stdin"]["prevResult"]["ips"][0]["address"], "10.1.0.2/24");
}

#[test]
fn a_stale_attachment_is_deleted_by_the_list_of_its_add() {
    let lab = populated("1.0.0");
    lab.runtime.gc(&front("1.0.0", &["two"]), &[attachment("a", "eth0"), attachment("b", "eth0")]).unwrap();
    assert_eq!(lab.call_names(), ["DEL two", "DEL one"]);
}

#[test]
fn below_1_1_the_verb_is_not_sent_but_stale_attachments_go() {
    let lab = populated("1.0.0");
    lab.runtime
        .gc(&front("1.0.0", &["one", "two"]), &[attachment("a", "eth0"), attachment("b", "eth0")])
        .unwrap();
    assert_eq!(lab.call_names(), ["DEL two", "DEL one"]);
}

#[test]
fn nothing_happens_when_the_network_disables_gc() {
    let lab = populated("1.1.0");
    let network = list(
        &json!({"cniVersion": "1.1.0", "name": "front", "disableGC": true, "plugins": [{"type": "one"}]}),
    );
    let collected = lab.runtime.gc(&network, &[]).unwrap();
    assert!(collected.deleted.is_empty() && collected.errors.is_empty());
    assert_eq!(lab.call_names(), Vec::<String>::new());
}

#[test]
fn one_that_fails_does_not_keep_the_others() {
    let lab = populated("1.1.0");
    lab.fails("one", "DEL", 11, "later");
    lab.fails("one", "GC", 11, "not now");
    let collected = lab.runtime.gc(&front("1.1.0", &["one", "two"]), &[]).unwrap();
    let errors: Vec<_> = collected.errors.iter().map(ToString::to_string).collect();
    let later = r#"plugin type="one" failed (delete): later"#;
    assert_eq!(errors, [later, later, later, r#"plugin type="one" failed (gc): not now"#]);
    assert_eq!(lab.call_names().iter().filter(|call| *call == "GC two").count(), 1);
}

#[test]
fn gc_waits_for_an_add_and_an_add_for_gc() {
    let lab = Lab::with(&[]);
    let slow = lab.path("slow");
    std::fs::write(&slow, "#!/bin/sh\ncat >/dev/null\ntouch \"$0.begun\"\nsleep 0.6\necho '{}'\n").unwrap();
    std::fs::set_permissions(&slow, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let network = front("1.0.0", &["slow"]);
    let impatient: Runtime = lab.runtime.clone().with_patience(Duration::from_millis(50));
    std::thread::scope(|scope| {
        let add = scope.spawn(|| lab.runtime.add(&network, &endpoint("web")));
        while !lab.path("slow.begun").exists() {
            assert!(!add.is_finished());
            std::thread::sleep(Duration::from_millis(2));
        }
        let busy = impatient.gc(&network, &[]).unwrap_err();
        assert!(matches!(busy, Error::Busy { ref what, .. } if what == "network front"), "{busy}");
        let busy = impatient.del(&network, &endpoint("web")).unwrap_err();
        assert!(matches!(busy, Error::Busy { ref what, .. } if what == "container web"), "{busy}");
        add.join().unwrap().unwrap();
    });
    assert_eq!(lab.runtime.gc(&network, &[]).unwrap().deleted, [attachment("web", "eth0")]);
}

#[test]
fn a_network_of_which_nothing_is_remembered_is_left_to_those_who_remember() {
    let lab = Lab::with(&["one"]);
    let network = front("1.1.0", &["one"]);
    let collected = lab.runtime.gc_remembered(&network, &[], |_| true).unwrap();
    assert_eq!((collected.asked, lab.call_names().len()), (false, 0));
    lab.answers("one", "ADD", &result("1.0.0", "10.1.0.2/24"));
    lab.runtime.add(&network, &endpoint("web")).unwrap();
    lab.calls();
    assert!(lab.runtime.gc_remembered(&network, &[], |_| false).unwrap().asked);
    assert_eq!(lab.call_names(), ["DEL one", "GC one"]);
    assert!(lab.runtime.gc(&network, &[]).unwrap().asked);
}
