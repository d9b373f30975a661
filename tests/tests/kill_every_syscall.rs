//! ADD and DEL are killed at every system call; DEL, or GC with an empty list, then brings back the state before.
//! A sample runs every time; TIDEWATER_NIGHTLY=1 tries them all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::kill::{self, Point};
use tests::lab::{Container, Lab, Plugin, Snapshot, portmap};

tests::conformance! {
    both: []
    ours: [
        bridge_add_then_del,
        bridge_add_then_gc,
        bridge_del_then_del,
        bridge_del_then_gc,
        bridge_add_on_a_bare_host,
        portmap_add_then_del,
        portmap_add_then_gc,
        portmap_del_then_del,
        portmap_del_then_gc,
        portmap_add_after_a_flush,
        ptp_add_then_del,
        ptp_add_then_gc,
        ptp_del_then_del,
        ptp_del_then_gc,
        host_local_add_then_del,
        host_local_add_then_gc,
        host_local_del_then_del,
        portmap_of_iptables_add_then_del,
        portmap_of_iptables_add_then_gc,
        portmap_of_iptables_del_then_del,
        portmap_of_iptables_del_then_gc,
    ]
}

fn bridge_add_then_del(lab: &Lab) {
    Scene::new(lab, "bridge", network()).kill("ADD", Scene::del);
}

fn bridge_add_then_gc(lab: &Lab) {
    Scene::new(lab, "bridge", network()).kill("ADD", Scene::gc);
}

fn bridge_del_then_del(lab: &Lab) {
    Scene::new(lab, "bridge", network()).kill("DEL", Scene::del);
}

fn bridge_del_then_gc(lab: &Lab) {
    Scene::new(lab, "bridge", network()).kill("DEL", Scene::gc);
}

fn ptp_add_then_del(lab: &Lab) {
    Scene::new(lab, "ptp", routed()).kill("ADD", Scene::del);
}

fn ptp_add_then_gc(lab: &Lab) {
    Scene::new(lab, "ptp", routed()).kill("ADD", Scene::gc);
}

fn ptp_del_then_del(lab: &Lab) {
    Scene::new(lab, "ptp", routed()).kill("DEL", Scene::del);
}

fn ptp_del_then_gc(lab: &Lab) {
    Scene::new(lab, "ptp", routed()).kill("DEL", Scene::gc);
}

fn host_local_add_then_del(lab: &Lab) {
    Scene::new(lab, "host-local", lease()).kill("ADD", Scene::del);
}

fn host_local_add_then_gc(lab: &Lab) {
    Scene::new(lab, "host-local", lease()).kill("ADD", Scene::gc);
}

fn host_local_del_then_del(lab: &Lab) {
    Scene::new(lab, "host-local", lease()).kill("DEL", Scene::del);
}

fn portmap_of_iptables_add_then_del(lab: &Lab) {
    Scene::new(lab, "portmap", ports_of_iptables()).kill("ADD", Scene::del);
}

fn portmap_of_iptables_add_then_gc(lab: &Lab) {
    Scene::new(lab, "portmap", ports_of_iptables()).kill("ADD", Scene::gc);
}

fn portmap_of_iptables_del_then_del(lab: &Lab) {
    Scene::new(lab, "portmap", ports_of_iptables()).kill("DEL", Scene::del);
}

fn portmap_of_iptables_del_then_gc(lab: &Lab) {
    Scene::new(lab, "portmap", ports_of_iptables()).kill("DEL", Scene::gc);
}

fn ports_of_iptables() -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "portmap", "backend": "iptables",
        "runtimeConfig": {"portMappings": [
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 5300, "containerPort": 53, "protocol": "udp"},
        ]},
        "prevResult": {
            "cniVersion": "1.1.0",
            "interfaces": [{"name": "eth0", "sandbox": "/run/netns/victim"}],
            "ips": [{"address": "10.77.0.2/24", "interface": 0}, {"address": "fd77::2/64", "interface": 0}],
        },
    })
}

fn portmap_add_then_del(lab: &Lab) {
    Scene::of_ports(lab).kill("ADD", Scene::del);
}

fn portmap_add_then_gc(lab: &Lab) {
    Scene::of_ports(lab).kill("ADD", Scene::gc);
}

fn portmap_del_then_del(lab: &Lab) {
    Scene::of_ports(lab).kill("DEL", Scene::del);
}

fn portmap_del_then_gc(lab: &Lab) {
    Scene::of_ports(lab).kill("DEL", Scene::gc);
}

fn network() -> Value {
    conf::dual_stack("net").with("cniVersion", "1.1.0").with("ipMasq", true).with("macspoofchk", true)
}

fn routed() -> Value {
    conf::ptp("net").with("cniVersion", "1.1.0").with("ipMasq", true)
}

fn lease() -> Value {
    conf::host_local("net", "10.77.0.0/24").with("cniVersion", "1.1.0")
}

/// One attachment that is made and removed again and again, beside one that has to stay untouched.
struct Scene<'a> {
    lab: &'a Lab,
    plugin: Plugin,
    conf: Value,
    victim: Container,
    before: Snapshot,
    complaints: Vec<String>,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab, plugin: &str, conf: Value) -> Scene<'a> {
        let (plugin, victim) = (lab.plugin(plugin), lab.container("victim"));
        plugin.add(&victim, &conf).ok();
        plugin.del(&victim, &conf).quiet();
        Scene { lab, plugin, conf, before: lab.state(), victim, complaints: vec![] }
    }

    /// portmap for a container on a bridge, beside another one with ports.
    fn of_ports(lab: &'a Lab) -> Scene<'a> {
        let network = portmap::Scene::new(lab);
        network.publish("stays", &portmap::mappings(8000)).check().quiet();
        let victim = network.publish("victim", &portmap::mappings(9000));
        victim.del().quiet();
        let (plugin, conf) = (lab.plugin("portmap"), victim.conf.clone());
        Scene { lab, plugin, conf, before: lab.state(), victim: victim.container.clone(), complaints: vec![] }
    }

    fn kill(mut self, verb: &str, recover: fn(&Scene<'a>)) {
        let points = kill::points(&self.count(verb), 2);
        let mut killed = 0;
        for point in &points {
            if verb == "DEL" {
                self.plugin.add(&self.victim, &self.conf).ok();
            }
            killed += usize::from(kill::at(&self.plugin.on(verb, &self.victim, &self.conf), point));
            recover(&self);
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
        let add = self.plugin.on("ADD", &self.victim, &self.conf);
        let del = self.plugin.on("DEL", &self.victim, &self.conf);
        let counts = [kill::count(&add), kill::count(&del)];
        counts[usize::from(verb == "DEL")].clone()
    }

    fn del(&self) {
        self.plugin.del(&self.victim, &self.conf).quiet();
    }

    fn gc(&self) {
        self.plugin.gc(&self.conf, &["stays"]).quiet();
    }

    fn once_around(&self) {
        let result = self.plugin.add(&self.victim, &self.conf).ok();
        self.plugin.check(&self.victim, &self.conf, &result).quiet();
        self.del();
    }

    /// What is left is noted, and is the measure for the points that follow.
    fn compare(&mut self, point: &Point, what: &str) {
        let after = kill::settled(&self.before, || self.lab.state());
        if after != self.before {
            self.complaints.push(format!("{what}, {point}:\n{}", self.before.difference(&after)));
            self.before = after;
        }
    }
}

/// The first ADD on a host makes what all share; killed there, the next ADD and DEL end as on any host.
fn bridge_add_on_a_bare_host(lab: &Lab) {
    let mut scene = Scene::new(lab, "bridge", network());
    let wanted = lab.picture();
    let count = bare_host_count(&scene);
    for point in kill::points(&count, 2) {
        make_bare(lab);
        kill::at(&scene.plugin.on("ADD", &scene.victim, &scene.conf), &point);
        scene.del();
        let left = lab.state();
        if !left.attached().is_empty() {
            scene.complaints.push(format!("{point}: after DEL: {:?}", left.attached()));
        }
        scene.once_around();
        let difference = wanted.difference(&lab.picture());
        if !difference.is_empty() {
            scene.complaints.push(format!("{point}: after the next ADD and DEL:\n{difference}"));
        }
    }
    assert!(scene.complaints.is_empty(), "{}", scene.complaints.join("\n"));
}

/// The ADD that builds maps and rules anew is killed; the next ADD and DEL end as on any host.
fn portmap_add_after_a_flush(lab: &Lab) {
    let mut scene = Scene::of_ports(lab);
    let bare = |lab: &Lab| lab.host().sh("nft flush ruleset");
    scene.once_around();
    bare(lab);
    let count = kill::count(&scene.plugin.on("ADD", &scene.victim, &scene.conf));
    scene.del();
    let wanted = lab.state();
    for point in kill::points(&count, 2) {
        bare(lab);
        kill::at(&scene.plugin.on("ADD", &scene.victim, &scene.conf), &point);
        scene.del();
        scene.once_around();
        let difference = wanted.difference(&kill::settled(&wanted, || lab.state()));
        if !difference.is_empty() {
            scene.complaints.push(format!("{point}: after the next ADD and DEL:\n{difference}"));
        }
    }
    assert!(scene.complaints.is_empty(), "{}", scene.complaints.join("\n"));
}

fn bare_host_count(scene: &Scene<'_>) -> std::collections::BTreeMap<String, usize> {
    make_bare(scene.lab);
    let count = kill::count(&scene.plugin.on("ADD", &scene.victim, &scene.conf));
    scene.del();
    count
}

fn make_bare(lab: &Lab) {
    let host = lab.host();
    host.run(|| tests::lab::command::try_run("ip link del br0")).ok();
    host.sh("nft flush ruleset");
    host.sh("rm -rf /var/lib/cni /run/cni /run/tidewater");
    for path in ["ipv4.ip_forward", "ipv6.conf.all.forwarding"] {
        host.sh(&format!("sysctl -q net.{path}=0"));
    }
}
