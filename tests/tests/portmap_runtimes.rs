//! Ports that people publish by their runtimes: `podman run -p`, a pod's host port through containerd's CRI; chained
//! with firewall and tuning, as those runtimes chain them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::containerd::Containerd;
use tests::lab::podman::Podman;
use tests::lab::{Lab, Netns, runtimes, skip, traffic};

tests::conformance! {
    both: [
        podman_publishes_ports,
        a_pod_has_its_host_ports,
    ]
    ours: [
        podman_publishes_on_two_networks,
    ]
}

/// What podman writes behind the bridge in its own lists.
fn after_the_bridge() -> Value {
    json!([
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "firewall", "backend": ""},
        {"type": "tuning"},
    ])
}

/// Whether the container's web server answers there.
fn says_hello(client: &Netns, to: &str) -> bool {
    traffic::http(client, to).contains("hello from the container")
}

fn podman_publishes_ports(lab: &Lab) {
    if skip::without_real_root() {
        return;
    }
    let outside = traffic::outside(lab);
    let podman = Podman::with(lab, &after_the_bridge());
    podman.start("web", &["-p", "8081:80", "-p", "127.0.0.1:8082:80"]);
    podman.start("other", &[]);
    podman.start("more", &["-p", "9000-9020:9000-9020/tcp", "-p", "5353:53/udp"]);
    assert_eq!(podman.fetch("other", "10.77.0.1:8081"), "hello from the container");
    assert_eq!(podman.fetch("web", "10.77.0.1:8081"), "hello from the container", "by its own port");
    for to in ["127.0.0.1:8081", "127.0.0.1:8082", "10.77.0.1:8081"] {
        assert!(says_hello(lab.host(), to), "{to}");
    }
    assert!(says_hello(&outside, "203.0.113.1:8081"));
    assert!(!says_hello(&outside, "203.0.113.1:8082"), "published on the loopback only");
    let more = runtimes::namespace_with(&podman.ip("more"));
    let at = |port: u16| format!("{}:{port}", podman.ip("more"));
    for port in [9000, 9020] {
        let to = format!("203.0.113.1:{port}");
        let seen = traffic::tcp_translated(&outside, &to, &more, &at(port)).unwrap();
        assert_eq!(seen.to_string(), traffic::OUTSIDE[0], "callers from outside keep their address");
    }
    traffic::udp_translated(&outside, "203.0.113.1:5353", &more, &at(53)).unwrap();
    podman.run(&["restart", "-t", "0", "web"]);
    assert!(says_hello(&outside, "203.0.113.1:8081"), "after a restart");
    podman.run(&["rm", "-f", "-t", "0", "web", "other", "more"]);
    assert!(!says_hello(lab.host(), "127.0.0.1:8081"));
    lab.state().assert_nothing_attached();
}

/// podman tells the plugins of every network of all ports: the first has them, then the next.
fn podman_publishes_on_two_networks(lab: &Lab) {
    if skip::without_real_root() {
        return;
    }
    let outside = traffic::outside(lab);
    let podman = Podman::with(lab, &after_the_bridge());
    podman.network("second", "10.78.0.0/24", &after_the_bridge());
    podman.start("web", &["--network", "second", "-p", "8081:80"]);
    assert!(says_hello(&outside, "203.0.113.1:8081"));
    for network in ["net", "second"] {
        podman.run(&["network", "disconnect", network, "web"]);
        podman.run(&["network", "connect", network, "web"]);
        assert!(says_hello(&outside, "203.0.113.1:8081"), "after it left {network} and came back");
    }
    podman.run(&["rm", "-f", "-t", "0", "web"]);
    lab.state().assert_nothing_attached();
}

fn a_pod_has_its_host_ports(lab: &Lab) {
    let Some(containerd) = Containerd::with(lab, &after_the_bridge()) else { return };
    let outside = traffic::outside(lab);
    let pod = containerd.annotated("pod1", &["port=tcp:8080:80", "port=udp:5353:53"]);
    let netns = runtimes::namespace_with(&pod.ips[0]);
    let at = |port: u16| format!("{}:{port}", pod.ips[0]);
    for (client, host) in [(&outside, "203.0.113.1"), (lab.host(), "127.0.0.1"), (lab.host(), "10.77.0.1")] {
        traffic::tcp_translated(client, &format!("{host}:8080"), &netns, &at(80)).unwrap();
    }
    traffic::udp_translated(&outside, "203.0.113.1:5353", &netns, &at(53)).unwrap();
    let v6 = format!("[{}]:80", pod.ips[1]);
    traffic::tcp_translated(&outside, "[2001:db8:ffff::1]:8080", &netns, &v6).unwrap();
    containerd.remove(&pod);
    lab.state().assert_nothing_attached();
}
