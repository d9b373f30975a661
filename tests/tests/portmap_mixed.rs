//! Our portmap and the reference's on one host: what either left goes with our DEL, before and after an upgrade.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::portmap::{Attached, Scene, socket, tcp, udp};
use tests::lab::traffic::{self, HOST_OUTSIDE};
use tests::lab::{Lab, Outcome, Plugins};

tests::conformance! {
    both: []
    ours: [
        our_del_removes_what_theirs_made,
        our_del_removes_what_theirs_made_whatever_it_knows,
        our_gc_removes_what_theirs_made,
        our_del_removes_what_their_nftables_backend_made,
        our_add_after_theirs_takes_over,
        their_del_of_ours_is_harmless,
        both_at_once_for_different_containers,
    ]
}

fn mappings() -> Value {
    json!([tcp(8080, 80), udp(5353, 53), tcp(9090, 90).with("hostIP", "203.0.113.1")])
}

/// The reference plugin's turn, in the version of the specification that it knows.
fn theirs(verb: &str, attached: &Attached<'_>) -> Outcome {
    let conf = attached.conf.clone().with("cniVersion", conf::COMMON);
    let conf = conf.with_at("prevResult.cniVersion", conf::COMMON);
    Plugins::reference().plugin("portmap").on(verb, &attached.container, &conf).run()
}

/// Lines of the packet filter and of records that name the container.
fn of_container(lab: &Lab, id: &str) -> Vec<String> {
    let rules =
        ["iptables-save", "ip6tables-save", "nft list ruleset"].map(|tool| lab.host().sh(tool)).concat();
    let state = lab.state();
    let records = state.text().lines().filter(|line| line.contains(".portmap "));
    let named = rules.lines().chain(records).filter(|line| line.contains(id));
    // The bridge's masquerade is not portmap's.
    let named = named.filter(|line| !line.contains("masquerade-") && !line.trim().starts_with("10.77.0."));
    let named =
        named.filter(|line| !line.trim().starts_with("fd77::") && !line.contains("elements = { 10.77."));
    named.filter(|line| !line.contains("elements = { fd77:")).map(str::to_owned).collect()
}

/// Chains of one container of the reference plugin.
fn their_chains(lab: &Lab) -> usize {
    let rules = ["iptables-save -t nat", "ip6tables-save -t nat"].map(|tool| lab.host().sh(tool)).concat();
    rules.lines().filter(|line| line.starts_with(":CNI-DN-")).count()
}

fn reached(lab: &Lab, attached: &Attached<'_>, port: u16, inside: u16) {
    for (place, address) in HOST_OUTSIDE.iter().enumerate() {
        let listen = &attached.at(inside)[place];
        let to = socket(address, port);
        traffic::tcp_translated(lab.host(), &to, &attached.container.netns, listen)
            .unwrap_or_else(|e| panic!("{to}: {e}"));
    }
}

/// A container with mappings of the reference plugin's, and one that is to get some.
fn two<'a>(scene: &'a Scene<'a>) -> (Attached<'a>, Attached<'a>) {
    // What our plugin makes once for all is there already.
    scene.publish("warm", &json!([tcp(1, 1)])).del().quiet();
    let (stays, goes) = (scene.attach("stays", &json!([tcp(8081, 80)])), scene.attach("goes", &mappings()));
    theirs("ADD", &stays).ok();
    (stays, goes)
}

fn our_del_removes_what_theirs_made(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (stays, goes) = two(&scene);
    let before = lab.state();
    theirs("ADD", &goes).ok();
    assert_eq!(their_chains(lab), 4, "a chain of each family for each container");
    goes.del().quiet();
    before.assert_same(&lab.state(), "our DEL of their mappings");
    reached(lab, &stays, 8081, 80);
    goes.del().quiet();
    before.assert_same(&lab.state(), "our DEL of their mappings, again");
}

fn our_del_removes_what_theirs_made_whatever_it_knows(lab: &Lab) {
    let scene = Scene::new(lab);
    let (_stays, goes) = two(&scene);
    let before = lab.state();
    for call in [
        goes.call("DEL").env("CNI_NETNS", ""),
        goes.call("DEL").conf(&goes.conf.clone().without("prevResult")),
        goes.call("DEL").conf(&goes.conf.clone().without("prevResult").with("backend", "iptables")),
        goes.call("DEL").conf(&goes.clone().asking_for(&json!([tcp(1, 1)])).conf),
    ] {
        theirs("ADD", &goes).ok();
        call.run().quiet();
        before.assert_same(&lab.state(), "our DEL");
    }
}

fn our_gc_removes_what_theirs_made(lab: &Lab) {
    let scene = Scene::new(lab);
    let (_stays, goes) = two(&scene);
    let before = lab.state();
    theirs("ADD", &goes).ok();
    lab.plugin("portmap").gc(&scene.portmap, &["stays"]).quiet();
    before.assert_same(&lab.state(), "our GC of their mappings");
}

/// What versions of the reference newer than Debian's leave with `backend: nftables`: the comment is the container's id.
const THEIR_NFTABLES: &str = r#"
table ip cni_hostport {
  comment "CNI portmap plugin"
  chain hostports {
    tcp dport 8080 dnat to 10.77.0.2:80 comment "goes"
    tcp dport 8081 dnat to 10.77.0.3:80 comment "stays"
  }
  chain hostports_all { jump hostports; }
  chain prerouting { type nat hook prerouting priority -100; fib daddr type local jump hostports_all; }
  chain masquerading {
    type nat hook postrouting priority 100;
    ip saddr 10.77.0.2 ip daddr 10.77.0.2 masquerade comment "goes"
    ip saddr 10.77.0.3 ip daddr 10.77.0.3 masquerade comment "stays"
  }
}
table ip6 cni_hostport {
  comment "CNI portmap plugin"
  chain hostports { tcp dport 8080 dnat to [fd77::2]:80 comment "goes"; }
  chain masquerading {
    type nat hook postrouting priority 100;
    ip6 saddr fd77::2 ip6 daddr fd77::2 masquerade comment "goes"
  }
}
"#;

fn our_del_removes_what_their_nftables_backend_made(lab: &Lab) {
    let file = lab.dir("nft").join("theirs");
    std::fs::write(&file, THEIR_NFTABLES).unwrap();
    let scene = Scene::new(lab);
    let goes = scene.attach("goes", &mappings());
    lab.host().sh(&format!("nft -f {}", file.display()));
    goes.del().quiet();
    assert_eq!(of_container(lab, "\"goes\""), [""; 0]);
    assert_eq!(of_container(lab, "\"stays\"").len(), 2);
}

/// After an upgrade of the plugins, a runtime may repeat the ADD: one DEL removes both.
fn our_add_after_theirs_takes_over(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let warm = scene.attach("warm", &mappings());
    theirs("ADD", &warm).ok();
    warm.add().ok();
    warm.del().quiet();
    let goes = scene.attach("goes", &mappings());
    let before = lab.state();
    theirs("ADD", &goes).ok();
    goes.add().ok();
    goes.check().quiet();
    reached(lab, &goes, 8080, 80);
    goes.del().quiet();
    before.assert_same(&lab.state(), "our DEL of both");
}

/// A downgrade in between: their DEL finds nothing of its own and fails at nothing of ours.
fn their_del_of_ours_is_harmless(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (stays, goes) = (scene.publish("stays", &json!([tcp(8081, 80)])), scene.attach("goes", &mappings()));
    theirs("DEL", &goes).quiet();
    let before = lab.state();
    goes.add().ok();
    let with = lab.state();
    theirs("DEL", &goes).quiet();
    with.assert_same(&lab.state(), "their DEL");
    goes.check().quiet();
    goes.del().quiet();
    before.assert_same(&lab.state(), "our DEL after theirs");
    reached(lab, &stays, 8081, 80);
}

fn both_at_once_for_different_containers(lab: &Lab) {
    let (_outside, scene) = (traffic::outside(lab), Scene::new(lab));
    let (old, new) =
        (scene.attach("old", &json!([tcp(8080, 80)])), scene.publish("new", &json!([tcp(8081, 80)])));
    theirs("ADD", &old).ok();
    reached(lab, &old, 8080, 80);
    reached(lab, &new, 8081, 80);
    new.del().quiet();
    reached(lab, &old, 8080, 80);
    old.del().quiet();
    assert_eq!(their_chains(lab), 0);
}
