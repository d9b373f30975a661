//! Containers on a bridge, with ports of the host that lead to them.
use serde_json::{Value, json};

use super::conf::{self, Change};
use super::{Call, Container, Lab, Outcome, answer};

/// A bridge network whose containers may have ports of the host.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// Where it is.
    pub lab: &'a Lab,
    /// The bridge's configuration.
    pub bridge: Value,
    /// portmap's configuration, without what is of one container.
    pub portmap: Value,
}

/// A container on the bridge.
#[derive(Debug, Clone)]
pub struct Attached<'a> {
    scene: &'a Scene<'a>,
    /// The container.
    pub container: Container,
    /// Its address of each family that the network has.
    pub ips: Vec<String>,
    /// portmap's configuration as the runtime sends it for this container.
    pub conf: Value,
}

impl<'a> Scene<'a> {
    /// A network of both families.
    pub fn new(lab: &'a Lab) -> Scene<'a> {
        Scene::of(lab, conf::dual_stack("net"))
    }

    /// A network of IPv4 only.
    pub fn v4_only(lab: &'a Lab) -> Scene<'a> {
        Scene::of(lab, conf::bridge("net"))
    }

    fn of(lab: &'a Lab, bridge: Value) -> Scene<'a> {
        let version = if lab.plugins().are_reference() { conf::COMMON } else { "1.1.0" };
        let bridge = bridge.with("cniVersion", version).with("hairpinMode", true).with("ipMasq", true);
        let portmap = json!({"cniVersion": version, "name": "net", "type": "portmap",
            "capabilities": {"portMappings": true}});
        Scene { lab, bridge, portmap }
    }

    /// The same with one more key of portmap.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Scene<'a> {
        self.portmap = self.portmap.with(key, value);
        self
    }

    /// A new container on the bridge; portmap has not been called yet.
    pub fn attach(&self, id: &str, mappings: &Value) -> Attached<'_> {
        let container = self.lab.container(id);
        let result = self.lab.plugin("bridge").add(&container, &self.bridge).ok();
        let ips = answer::ips(&result);
        let conf = self.portmap.clone().with_prev(&result);
        Attached { scene: self, container, ips, conf }.asking_for(mappings)
    }

    /// A new container on the bridge with these mappings.
    pub fn publish(&self, id: &str, mappings: &Value) -> Attached<'_> {
        let attached = self.attach(id, mappings);
        attached.add().ok();
        attached
    }
}

impl Attached<'_> {
    /// The same container with other mappings.
    pub fn asking_for(mut self, mappings: &Value) -> Self {
        self.conf["runtimeConfig"] = json!({"portMappings": mappings});
        self
    }

    /// ADD of portmap.
    pub fn add(&self) -> Outcome {
        self.call("ADD").run()
    }

    /// DEL of portmap.
    pub fn del(&self) -> Outcome {
        self.call("DEL").run()
    }

    /// CHECK of portmap.
    pub fn check(&self) -> Outcome {
        self.call("CHECK").run()
    }

    /// A call of portmap.
    pub fn call(&self, verb: &str) -> Call {
        self.scene.lab.plugin("portmap").on(verb, &self.container, &self.conf)
    }

    /// The container goes, without a DEL of portmap.
    pub fn detach(&self) {
        self.scene.lab.plugin("bridge").del(&self.container, &self.scene.bridge).quiet();
        self.scene.lab.delete_container(&self.container);
    }

    /// `10.77.0.2:80`, for each family that it has an address of.
    pub fn at(&self, port: u16) -> Vec<String> {
        self.ips.iter().map(|ip| socket(ip, port)).collect()
    }
}

/// One mapping of TCP.
pub fn tcp(host: u16, container: u16) -> Value {
    json!({"hostPort": host, "containerPort": container, "protocol": "tcp"})
}

/// One mapping of UDP.
pub fn udp(host: u16, container: u16) -> Value {
    tcp(host, container).with("protocol", "udp")
}

/// Every kind of mapping: single, at one address, a range; both protocols. From port `first` on to `first + 149`.
pub fn mappings(first: u16) -> Value {
    json!([
        tcp(first, 80),
        udp(first, 53),
        tcp(first + 1, 80).with("hostIP", "203.0.113.1"),
        tcp(first + 1, 80).with("hostIP", "2001:db8:ffff::1"),
        tcp(first + 100, first + 100).with("range", 50),
    ])
}

/// An address with a port, as sockets are written: `[fd77::2]:80`.
pub fn socket(ip: &str, port: u16) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}
