//! Lists with the plugin firewall behind a bridge.
use serde_json::{Value, json};

use super::chain::Chain;
use super::conf::{self, Change};
use super::{Container, Lab, Outcome};

/// A bridge of both families, and firewall with these keys.
pub fn list(lab: &Lab, firewall: Value) -> Chain {
    let bridge = conf::dual_stack("x").without("name").without("cniVersion");
    let mut chain = Chain::new(lab, vec![bridge, firewall]);
    chain.name = "net".into();
    chain
}

/// The plugin without keys.
pub fn firewall() -> Value {
    json!({"type": "firewall"})
}

/// The request for the plugin alone.
pub fn request(firewall: &Value, result: &Value) -> Value {
    firewall.clone().with("name", "net").with("cniVersion", conf::COMMON).with_prev(result)
}

/// One call of the plugin alone.
pub fn run(lab: &Lab, verb: &str, container: &Container, request: &Value) -> Outcome {
    lab.plugin("firewall").on(verb, container, request).run()
}
