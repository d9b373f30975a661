//! Our firewall and the reference's on one host, and ours killed anywhere, behind our bridge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::kill;
use tests::lab::{Container, Lab, Plugin, Plugins, Snapshot, answer, command, skip, traffic};

tests::conformance! {
    both: []
    ours: [
        our_del_removes_what_their_firewall_made,
        their_del_of_ours_does_no_harm,
        both_stand_side_by_side,
        rules_in_the_old_kernel_tables_go_too,
        killed_in_add_then_del,
        killed_in_add_then_gc,
        killed_in_del_then_del,
        killed_in_del_then_gc,
        killed_in_add_of_iptables_then_del,
        killed_in_del_of_iptables_then_del,
        killed_on_a_bare_host,
    ]
}

fn request(backend: &str) -> Value {
    json!({"cniVersion": conf::COMMON, "name": "net", "type": "firewall", "backend": backend,
        "ingressPolicy": "same-bridge"})
}

fn bridged(lab: &Lab, id: &str) -> (Container, Value) {
    let container = lab.container(id);
    let result = lab.plugin("bridge").add(&container, &conf::dual_stack("net")).ok();
    (container, result)
}

fn theirs() -> Plugin {
    Plugins::reference().plugin("firewall")
}

fn our_del_removes_what_their_firewall_made(lab: &Lab) {
    let (c1, result) = bridged(lab, "c1");
    let (c2, other) = bridged(lab, "c2");
    let conf = |result: &Value| request("iptables").with_prev(result);
    theirs().add(&c2, &conf(&other)).ok();
    let before = lab.state();
    for backend in ["iptables", "nftables", ""] {
        theirs().add(&c1, &conf(&result)).ok();
        lab.plugin("firewall").del(&c1, &request(backend).with_prev(&result)).quiet();
        before.assert_same(&lab.state(), backend);
    }
    theirs().check(&c2, &request("iptables"), &other).quiet();
}

fn their_del_of_ours_does_no_harm(lab: &Lab) {
    for backend in ["iptables", "nftables"] {
        let (c1, result) = bridged(lab, "c1");
        let conf = request(backend).with_prev(&result);
        lab.plugin("firewall").add(&c1, &conf).ok();
        if backend == "iptables" {
            theirs().check(&c1, &request("iptables"), &result).quiet();
        }
        theirs().del(&c1, &request("iptables").with_prev(&result)).quiet();
        // A downgraded node leaves elements behind; the next of ours takes them away.
        lab.plugin("firewall").gc(&request(backend).with("cniVersion", "1.1.0"), &[]).quiet();
        let text = lab.state().text().to_owned();
        assert!(!text.contains("/run/tidewater/rules") && !text.contains("10.77.0.2/32"), "{text}");
        lab.plugin("bridge").del(&c1, &conf::dual_stack("net")).quiet();
        lab.delete_container(&c1);
    }
}

fn both_stand_side_by_side(lab: &Lab) {
    lab.host().sh("iptables -P FORWARD DROP");
    let outside = traffic::outside(lab);
    outside.sh(&format!("ip route add 10.77.0.0/24 via {}", traffic::HOST_OUTSIDE[0]));
    let pairs = [theirs(), lab.plugin("firewall"), theirs(), lab.plugin("firewall")];
    let made: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(number, plugin)| {
            let (container, result) = bridged(lab, &format!("c{number}"));
            plugin.add(&container, &request("").with_prev(&result)).ok();
            (container, result)
        })
        .collect();
    for (container, result) in &made {
        assert!(traffic::ping(&container.netns, traffic::OUTSIDE[0]));
        lab.plugin("firewall").check(container, &request(""), result).quiet();
        theirs().check(container, &request(""), result).quiet();
    }
    for ((container, result), plugin) in made.iter().zip(pairs.iter().rev()) {
        plugin.del(container, &request("").with_prev(result)).quiet();
    }
    let rules = lab.host().sh("iptables -S") + &lab.host().sh("ip6tables -S");
    assert!(
        made.iter().flat_map(|(_, result)| answer::ips(result)).all(|ip| !rules.contains(&ip)),
        "{rules}"
    );
}

fn rules_in_the_old_kernel_tables_go_too(lab: &Lab) {
    let (c1, result) = bridged(lab, "c1");
    for rule in [
        "-N CNI-FORWARD",
        "-A CNI-FORWARD -d 10.77.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A CNI-FORWARD -s 10.77.0.2/32 -j ACCEPT",
        "-A CNI-FORWARD -s 10.77.0.3/32 -j ACCEPT",
    ] {
        let made = lab.host().run(|| command::try_run(&format!("iptables-legacy {rule}")));
        if let Err(cause) = made {
            return skip::because(&format!("no old kernel tables here: {cause}"));
        }
    }
    lab.plugin("firewall").del(&c1, &request("nftables").with_prev(&result)).quiet();
    let left = lab.host().sh("iptables-legacy -S CNI-FORWARD");
    assert_eq!(left, "-N CNI-FORWARD\n-A CNI-FORWARD -s 10.77.0.3/32 -j ACCEPT\n");
}

/// One attachment of our bridge, on which the firewall is put and taken away again and again.
struct Scene<'a> {
    lab: &'a Lab,
    plugin: Plugin,
    victim: Container,
    conf: Value,
    before: Snapshot,
    complaints: Vec<String>,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab, backend: &str) -> Scene<'a> {
        let (victim, result) = bridged(lab, "victim");
        let conf = request(backend).with("cniVersion", "1.1.0").with("ingressPolicy", "isolated");
        let conf = conf.with("antiSpoof", true).with_prev(&result);
        let scene = Scene {
            lab,
            plugin: lab.plugin("firewall"),
            victim,
            conf,
            before: lab.state(),
            complaints: vec![],
        };
        scene.whole();
        Scene { before: lab.state(), ..scene }
    }

    fn whole(&self) {
        self.plugin.add(&self.victim, &self.conf).ok();
        self.plugin.on("CHECK", &self.victim, &self.conf).run().quiet();
        self.del();
    }

    /// Without `prevResult`, as after a crash of the runtime too.
    fn del(&self) {
        self.plugin.del(&self.victim, &self.conf.clone().without("prevResult")).quiet();
    }

    fn gc(&self) {
        self.plugin.gc(&self.conf.clone().without("prevResult"), &[]).quiet();
    }

    fn kill(mut self, verb: &str, recover: fn(&Scene<'a>)) {
        let count = |verb| kill::count(&self.plugin.on(verb, &self.victim, &self.conf));
        let counts = [count("ADD"), count("DEL")];
        let points = kill::points(&counts[usize::from(verb == "DEL")], 2);
        let mut killed = 0;
        for point in &points {
            if verb == "DEL" {
                self.plugin.add(&self.victim, &self.conf).ok();
            }
            killed += usize::from(kill::at(&self.plugin.on(verb, &self.victim, &self.conf), point));
            recover(&self);
            self.compare(&format!("{verb}, {point}"));
            self.whole();
            self.compare(&format!("{verb}, {point}, and a whole ADD and DEL"));
        }
        assert!(killed * 10 >= points.len() * 9, "only {killed} of {} calls were killed", points.len());
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
    }

    /// What is left is noted, and is the measure for the points that follow.
    fn compare(&mut self, what: &str) {
        let after = self.lab.state();
        if after != self.before {
            self.complaints.push(format!("{what}:\n{}", self.before.difference(&after)));
            self.before = after;
        }
    }
}

fn killed_in_add_then_del(lab: &Lab) {
    Scene::new(lab, "nftables").kill("ADD", Scene::del);
}

fn killed_in_add_then_gc(lab: &Lab) {
    Scene::new(lab, "nftables").kill("ADD", Scene::gc);
}

fn killed_in_del_then_del(lab: &Lab) {
    Scene::new(lab, "nftables").kill("DEL", Scene::del);
}

fn killed_in_del_then_gc(lab: &Lab) {
    Scene::new(lab, "nftables").kill("DEL", Scene::gc);
}

fn killed_in_add_of_iptables_then_del(lab: &Lab) {
    Scene::new(lab, "iptables").kill("ADD", Scene::del);
}

fn killed_in_del_of_iptables_then_del(lab: &Lab) {
    Scene::new(lab, "iptables").kill("DEL", Scene::del);
}

/// The first ADD on a host makes what all share; killed there, the next ADD and DEL end as on any host.
fn killed_on_a_bare_host(lab: &Lab) {
    let scene = Scene::new(lab, "nftables");
    let wanted = lab.picture();
    let bare = || {
        lab.host().sh("nft flush ruleset");
        lab.host().sh("rm -rf /run/tidewater");
    };
    bare();
    let count = kill::count(&scene.plugin.on("ADD", &scene.victim, &scene.conf));
    scene.del();
    for point in kill::points(&count, 2) {
        bare();
        kill::at(&scene.plugin.on("ADD", &scene.victim, &scene.conf), &point);
        scene.del();
        scene.whole();
        assert_eq!(wanted.difference(&lab.picture()), "", "{point}");
    }
}
