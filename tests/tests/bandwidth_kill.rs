//! The bandwidth plugin, chained after our bridge, is killed at every system call; DEL, or GC of the whole list, then
//! brings back the state before. A sample runs every time; TIDEWATER_NIGHTLY=1 tries them all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::kill::{self, Point};
use tests::lab::{Call, Container, Lab, Plugin, Snapshot};

tests::conformance! {
    both: []
    ours: [
        add_then_del,
        add_then_add,
        add_then_gc,
        del_then_del,
        del_then_gc,
    ]
}

/// The limits go, and the bridge's attachment stays as it was.
fn add_then_del(lab: &Lab) {
    Scene::new(lab).kill("ADD", |scene| scene.call("DEL").run().quiet());
}

/// The runtime tries again, without a DEL between.
fn add_then_add(lab: &Lab) {
    Scene::new(lab).kill("ADD", |scene| {
        scene.once_around();
    });
}

fn del_then_del(lab: &Lab) {
    Scene::new(lab).kill("DEL", |scene| scene.call("DEL").run().quiet());
}

/// GC of the list takes the bridge's attachment too, which is made anew.
fn add_then_gc(lab: &Lab) {
    Scene::new(lab).kill("ADD", Scene::gc);
}

fn del_then_gc(lab: &Lab) {
    Scene::new(lab).kill("DEL", Scene::gc);
}

/// One attachment that is limited and freed again and again, beside one that has to stay limited.
struct Scene<'a> {
    lab: &'a Lab,
    bridge: Plugin,
    shaper: Plugin,
    victim: Container,
    bridged: Value,
    before: Snapshot,
    complaints: Vec<String>,
}

fn network() -> Value {
    let conf = conf::bridge("net").with("cniVersion", "1.1.0");
    // Fixed, so that an attachment that was made anew looks the same.
    let ipam = json!({"type": "static", "addresses": [{"address": "10.77.0.9/24", "gateway": "10.77.0.1"}]});
    conf.without("isDefaultGateway").with("isGateway", true).with("ipam", ipam)
}

fn limits() -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "bandwidth", "ingressRate": 8_000_000,
        "ingressBurst": 800_000, "egressRate": 8_000_000, "egressBurst": 800_000})
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab) -> Scene<'a> {
        let (bridge, shaper) = (lab.plugin("bridge"), lab.plugin("bandwidth"));
        let [bystander, victim] = ["bystander", "victim"].map(|id| lab.container(id));
        let other = network().with_at("ipam.addresses", json!([{"address": "10.77.0.8/24"}]));
        let result = bridge.add(&bystander, &other).ok();
        shaper.add(&bystander, &limits().with_prev(&result)).ok();
        let bridged = bridge.add(&victim, &network()).ok();
        let before = lab.picture();
        Scene { lab, bridge, shaper, victim, bridged, before, complaints: vec![] }
    }

    fn call(&self, verb: &str) -> Call {
        self.shaper.on(verb, &self.victim, &limits().with_prev(&self.bridged))
    }

    fn kill(mut self, verb: &str, recover: fn(&mut Scene<'a>)) {
        let points = kill::points(&self.count(verb), 2);
        let mut killed = 0;
        for point in &points {
            if verb == "DEL" {
                self.call("ADD").run().ok();
            }
            killed += usize::from(kill::at(&self.call(verb), point));
            recover(&mut self);
            self.compare(point, verb);
            self.once_around();
            self.compare(point, "and a whole ADD and DEL");
        }
        assert!(killed * 10 >= points.len() * 9, "only {killed} of {} calls were killed", points.len());
        assert!(
            self.complaints.is_empty(),
            "{} complaints:\n{}",
            self.complaints.len(),
            self.complaints.join("\n")
        );
    }

    fn count(&self, verb: &str) -> std::collections::BTreeMap<String, usize> {
        let counts = [kill::count(&self.call("ADD")), kill::count(&self.call("DEL"))];
        counts[usize::from(verb == "DEL")].clone()
    }

    fn gc(&mut self) {
        self.shaper.gc(&limits(), &["bystander"]).quiet();
        self.bridge.gc(&network(), &["bystander"]).quiet();
        self.bridged = self.bridge.add(&self.victim, &network()).ok();
    }

    fn once_around(&mut self) {
        let result = self.call("ADD").run().ok();
        self.shaper.check(&self.victim, &limits(), &result).quiet();
        self.call("DEL").run().quiet();
    }

    /// What is left is noted, and is the measure for the points that follow.
    fn compare(&mut self, point: &Point, what: &str) {
        let after = kill::settled(&self.before, || self.lab.picture());
        if after != self.before {
            self.complaints.push(format!("{what}, {point}:\n{}", self.before.difference(&after)));
            self.before = after;
        }
    }
}
