//! podman with its CNI back end runs containers on our plugins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tests::lab::podman::Podman;
use tests::lab::{Lab, runtimes, skip, traffic};

tests::conformance! {
    both: [
        two_containers_talk_restart_and_go,
    ]
    ours: []
}

fn two_containers_talk_restart_and_go(lab: &Lab) {
    if skip::without_real_root() {
        return;
    }
    // podman ends its own lists with tuning.
    let tuning = json!({"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}});
    let podman = Podman::with(lab, &json!([tuning]));
    podman.start("one", &[]);
    podman.start("two", &[]);
    if !lab.plugins().are_reference() {
        assert!(runtimes::recorded("bridge VERSION dummy") > 0, "podman asks for the versions first");
    }
    let two = podman.ip("two");
    assert_eq!(podman.fetch("one", &two), "hello from the container");
    assert!(traffic::ping(lab.host(), &two));
    assert_eq!(podman.run(&["exec", "two", "/bin/cat", "/proc/sys/net/core/somaxconn"]), "500");
    podman.run(&["restart", "-t", "0", "two"]);
    assert_eq!(podman.fetch("one", &podman.ip("two")), "hello from the container");
    podman.run(&["rm", "-f", "-t", "0", "one", "two"]);
    lab.state().assert_nothing_attached();
}
