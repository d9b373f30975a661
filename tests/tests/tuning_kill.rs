//! tuning behind our bridge, killed at every system call: DEL, or GC with an empty list, then brings back the state
//! before. A sample runs every time; TIDEWATER_NIGHTLY=1 tries them all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::kill::{self, Point};
use tests::lab::{Call, Container, Lab, Plugin, Snapshot, answer};

tests::conformance! {
    both: []
    ours: [
        add_then_del,
        add_then_gc,
        del_then_del,
        a_second_add_over_a_killed_one_then_del,
    ]
}

fn add_then_del(lab: &Lab) {
    let mut scene = Scene::new(lab);
    scene.kill("ADD", |scene, bridged| {
        scene.call("DEL", bridged).run().quiet();
        scene.compare_tuned();
        scene.unbridge();
    });
}

/// What GC cannot put back, in a namespace that it does not know, goes with the interface.
fn add_then_gc(lab: &Lab) {
    let mut scene = Scene::new(lab);
    scene.conf = scene.conf.with("sysctl", json!({"net.ipv4.conf.IFNAME.route_localnet": "1"}));
    scene.kill("ADD", |scene, _| {
        scene.tuning.gc(&scene.conf, &[]).quiet();
        scene.bridge.gc(&scene.network, &[]).quiet();
    });
}

fn del_then_del(lab: &Lab) {
    let mut scene = Scene::new(lab);
    scene.kill("DEL", |scene, bridged| {
        scene.call("DEL", bridged).run().quiet();
        scene.compare_tuned();
        scene.unbridge();
    });
}

fn a_second_add_over_a_killed_one_then_del(lab: &Lab) {
    let mut scene = Scene::new(lab);
    scene.kill("ADD", |scene, bridged| {
        scene.call("ADD", bridged).run().ok();
        scene.call("DEL", bridged).run().quiet();
        scene.compare_tuned();
        scene.unbridge();
    });
}

struct Scene<'a> {
    lab: &'a Lab,
    tuning: Plugin,
    bridge: Plugin,
    conf: Value,
    network: Value,
    victim: Container,
    before: Snapshot,
    /// The result of the bridge, and the link right after it.
    bridged: Value,
    link: String,
    complaints: Vec<String>,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab) -> Scene<'a> {
        let network = conf::bridge("net").with("cniVersion", "1.1.0");
        let keys = json!({"cniVersion": "1.1.0", "name": "net", "type": "tuning", "mac": "02:00:00:00:00:77",
            "mtu": 1300, "promisc": true, "allmulti": true, "txQLen": 500,
            "sysctl": {"net.ipv4.conf.IFNAME.route_localnet": "1", "net.ipv4.ip_forward": "1"}});
        let (tuning, bridge, victim) = (lab.plugin("tuning"), lab.plugin("bridge"), lab.container("victim"));
        // Directories that stay are there before anything is counted.
        let bridged = bridge.add(&victim, &network).ok();
        tuning.add(&victim, &keys.clone().with_prev(&bridged)).ok();
        tuning.del(&victim, &keys).quiet();
        bridge.del(&victim, &network).quiet();
        let before = lab.state();
        let (bridged, link) = (Value::Null, String::new());
        Scene { lab, tuning, bridge, conf: keys, network, victim, before, bridged, link, complaints: vec![] }
    }

    fn kill(&mut self, verb: &str, recover: fn(&mut Scene<'a>, &Value)) {
        let points = self.points(verb);
        let mut killed = 0;
        for point in &points {
            let bridged = self.bridge();
            if verb == "DEL" {
                self.call("ADD", &bridged).run().ok();
            }
            killed += usize::from(kill::at(&self.call(verb, &bridged), point));
            recover(self, &bridged);
            self.compare(point);
        }
        assert!(killed * 10 >= points.len() * 9, "only {killed} of {} calls were killed", points.len());
        assert!(
            self.complaints.is_empty(),
            "{} complaints:\n{}",
            self.complaints.len(),
            self.complaints.join("\n")
        );
    }

    fn points(&mut self, verb: &str) -> Vec<Point> {
        let bridged = self.bridge();
        let counts = ["ADD", "DEL"].map(|verb| kill::count(&self.call(verb, &bridged)));
        self.unbridge();
        kill::points(&counts[usize::from(verb == "DEL")], 2)
    }

    fn bridge(&mut self) -> Value {
        self.bridged = self.bridge.add(&self.victim, &self.network).ok();
        self.link = self.link();
        assert_ne!(answer::interface(&self.bridged, 2, "mac"), "02:00:00:00:00:77");
        self.bridged.clone()
    }

    fn unbridge(&self) {
        self.bridge.del(&self.victim, &self.network).quiet();
    }

    fn call(&self, verb: &str, bridged: &Value) -> Call {
        self.tuning.on(verb, &self.victim, &self.conf.clone().with_prev(bridged))
    }

    /// Everything that tuning changes.
    fn link(&self) -> String {
        let link = self.victim.netns.sh("ip link show eth0");
        let sysctls = ["ipv4/ip_forward", "ipv4/conf/eth0/route_localnet"];
        let values = sysctls.map(|path| self.victim.netns.sh(&format!("cat /proc/sys/net/{path}")));
        format!("{link}{}", values.concat())
    }

    fn compare_tuned(&mut self) {
        let now = self.link();
        if now != self.link {
            self.complaints.push(format!("before\n{}now\n{now}", self.link));
        }
    }

    /// What is left is noted, and is the measure for the points that follow.
    fn compare(&mut self, point: &Point) {
        let after = kill::settled(&self.before, || self.lab.state());
        if after != self.before {
            self.complaints.push(format!("{point}:\n{}", self.before.difference(&after)));
            self.before = after;
        }
    }
}
