//! Network configurations as the tests write them.
use serde_json::{Value, json};

/// The newest version that the reference plugins of Debian 12 know, and that today's runtimes accept.
pub const COMMON: &str = "1.0.0";

/// A bridge network that is its containers' gateway: one IPv4 range.
pub fn bridge(name: &str) -> Value {
    json!({
        "cniVersion": COMMON, "name": name, "type": "bridge", "bridge": "br0",
        "isDefaultGateway": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]]}
    })
}

/// The same with an IPv6 range set beside it.
pub fn dual_stack(name: &str) -> Value {
    let both = json!([[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]);
    bridge(name).with("ipam", json!({"type": "host-local", "ranges": both}))
}

/// Point to point with the host, both families, default routes by it.
pub fn ptp(name: &str) -> Value {
    let ranges = json!([[{"subnet": "10.77.0.0/24"}], [{"subnet": "fd77::/64"}]]);
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    json!({
        "cniVersion": COMMON, "name": name, "type": "ptp",
        "ipam": {"type": "host-local", "ranges": ranges, "routes": routes}
    })
}

/// host-local alone, as a plugin of its own.
pub fn host_local(name: &str, subnet: &str) -> Value {
    json!({
        "cniVersion": COMMON, "name": name, "type": "host-local",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]]}
    })
}

/// Small changes to a configuration, written as a sentence.
pub trait Change {
    /// Sets one key.
    fn with(self, key: &str, value: impl Into<Value>) -> Value;
    /// Takes one key away.
    fn without(self, key: &str) -> Value;
    /// Sets the key at a path of object keys such as `ipam.dataDir`; the objects on the way must exist.
    fn with_at(self, path: &str, value: impl Into<Value>) -> Value;
    /// Adds the result that an ADD printed.
    fn with_prev(self, result: &Value) -> Value;
}

impl Change for Value {
    fn with(mut self, key: &str, value: impl Into<Value>) -> Value {
        self[key] = value.into();
        self
    }

    fn without(mut self, key: &str) -> Value {
        self.as_object_mut().expect("a configuration is an object").remove(key);
        self
    }

    fn with_at(mut self, path: &str, value: impl Into<Value>) -> Value {
        let place = path.split('.').fold(&mut self, |inside, key| &mut inside[key]);
        *place = value.into();
        self
    }

    fn with_prev(self, result: &Value) -> Value {
        self.with("prevResult", result.clone())
    }
}
