//! Pods that ask for bandwidth by Kubernetes' annotations get it through containerd, and nothing of it stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::containerd::{Containerd, Pod};
use tests::lab::rate::{self, Receiver};
use tests::lab::{Lab, command, runtimes};

tests::conformance! {
    both: [
        annotations_become_limits_and_go_with_the_pod,
    ]
    ours: [
        the_limit_holds_from_the_first_second,
        a_pod_without_annotations_is_not_limited,
    ]
}

const ANNOTATIONS: [&str; 2] = ["kubernetes.io/ingress-bandwidth=10M", "kubernetes.io/egress-bandwidth=20M"];

fn after_the_bridge() -> Value {
    json!([{"type": "bandwidth", "capabilities": {"bandwidth": true}}])
}

fn qdiscs() -> String {
    command::run("tc qdisc show")
}

fn annotations_become_limits_and_go_with_the_pod(lab: &Lab) {
    let Some(containerd) = Containerd::with(lab, &after_the_bridge()) else { return };
    let pod = containerd.annotated("pod1", &ANNOTATIONS);
    let shown = qdiscs();
    let limited = |dev: &str, rate: &str| {
        shown.lines().any(|line| {
            line.starts_with(&format!("qdisc tbf 1: dev {dev}")) && line.contains(&format!("rate {rate} "))
        })
    };
    assert!(limited("veth", "10Mbit") && limited("bwp", "20Mbit"), "{shown}");
    containerd.remove(&pod);
    assert!(!qdiscs().contains("tbf"), "{}", qdiscs());
    assert_eq!(command::run("ip -o link show type ifb"), "");
    lab.state().assert_nothing_attached();
}

fn the_limit_holds_from_the_first_second(lab: &Lab) {
    let Some(containerd) = Containerd::with(lab, &after_the_bridge()) else { return };
    let pod = containerd.annotated("pod1", &ANNOTATIONS);
    let netns = runtimes::namespace_with(&pod.ips[0]);
    let inside = Receiver { netns: &netns, address: &pod.ips[0], interface: "eth0" };
    let outside = Receiver { netns: lab.host(), address: "10.77.0.1", interface: "br0" };
    let seen = [(rate::tcp(lab.host(), inside, 3), 10_000_000), (rate::tcp(&netns, outside, 3), 20_000_000)];
    for (bits, rate) in seen {
        assert!(bits.iter().all(|bits| *bits <= rate * 11 / 10), "{bits:?} of {rate} bits");
        assert!(bits.iter().sum::<u64>() >= rate * 3 * 9 / 10, "{bits:?} of {rate} bits");
    }
    containerd.remove(&pod);
    lab.state().assert_nothing_attached();
}

fn a_pod_without_annotations_is_not_limited(lab: &Lab) {
    let Some(containerd) = Containerd::with(lab, &after_the_bridge()) else { return };
    let pods: Vec<Pod> = ["pod1", "pod2"].iter().map(|name| containerd.pod(name)).collect();
    assert!(!qdiscs().contains("tbf"), "{}", qdiscs());
    pods.iter().for_each(|pod| containerd.remove(pod));
    lab.state().assert_nothing_attached();
}
