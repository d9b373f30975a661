//! containerd's CRI runs pods on our plugins: they talk, stop again and again, survive a restart, and fail cleanly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::json;
use tests::lab::containerd::{Containerd, Pod};
use tests::lab::netns::eventually;
use tests::lab::{Lab, fake, runtimes, traffic};

tests::conformance! {
    both: [
        two_pods_talk_and_go,
        pods_survive_a_restart_of_the_daemon,
        a_failing_add_leaves_nothing,
    ]
    ours: []
}

fn talk(one: &Pod, two: &Pod) {
    let netns = [one, two].map(|pod| runtimes::namespace_with(&pod.ips[0]));
    assert_eq!(two.ips.len(), 2, "one address of each family: {:?}", two.ips);
    for (from, to) in one.ips.iter().zip(&two.ips) {
        assert!(traffic::ping(&netns[0], to), "ping {to}");
        assert_eq!(traffic::tcp(&netns[0], &netns[1], to).unwrap().to_string(), *from);
    }
}

fn two_pods_talk_and_go(lab: &Lab) {
    let Some(containerd) = Containerd::new(lab) else { return };
    let pods = ["pod1", "pod2"].map(|name| containerd.pod(name));
    talk(&pods[0], &pods[1]);
    assert!(traffic::ping(lab.host(), &pods[0].ips[0]));
    pods.iter().for_each(|pod| containerd.remove(pod));
    lab.state().assert_nothing_attached();
    assert_eq!(containerd.cri(&["list"]), "");
    if !lab.plugins().are_reference() {
        assert_eq!((runtimes::recorded("bridge ADD eth0"), runtimes::recorded("loopback ADD lo")), (2, 2));
        assert!(runtimes::recorded("bridge DEL eth0") >= 6, "DEL is called again and again");
    }
}

fn pods_survive_a_restart_of_the_daemon(lab: &Lab) {
    let Some(mut containerd) = Containerd::new(lab) else { return };
    let pods = ["pod1", "pod2"].map(|name| containerd.pod(name));
    containerd.daemon = None;
    talk(&pods[0], &pods[1]);
    containerd.start();
    talk(&pods[1], &pods[0]);
    let list = containerd.cri(&["list"]);
    assert_eq!(list.lines().filter(|line| line.ends_with(" ready")).count(), 2, "{list}");
    pods.iter().for_each(|pod| containerd.remove(pod));
    lab.state().assert_nothing_attached();
}

fn a_failing_add_leaves_nothing(lab: &Lab) {
    let Some(containerd) = Containerd::new(lab) else { return };
    let script = r#"[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion": "1.0.0", "code": 11, "msg": "the weather is bad"}'; exit 1"#;
    fake::program(lab, "fake-fails", script);
    containerd.network(&json!([{"type": "fake-fails"}]));
    let mut refusal = String::new();
    eventually("the changed network is used", Duration::from_secs(10), || {
        match containerd.try_cri(&["run", "pod1", &containerd.cgroup]) {
            Ok(id) => {
                containerd.remove(&Pod { id, ips: vec![] });
                false
            }
            Err(text) => {
                refusal = text;
                true
            }
        }
    });
    assert!(refusal.contains("the weather is bad"), "{refusal}");
    lab.state().assert_nothing_attached();
    containerd.network(&json!([]));
    eventually("pods run again", Duration::from_secs(10), || {
        let pod = containerd.try_cri(&["run", "pod1", &containerd.cgroup]);
        pod.is_ok_and(|id| containerd.try_cri(&["remove", &id]).is_ok())
    });
    lab.state().assert_nothing_attached();
}
