//! A configuration list run by hand, as the specification tells runtimes to.
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Container, Lab, Outcome, Plugins};

/// A list of plugins, each looked for in the directories of `path`.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Where plugins are, best first.
    pub path: Vec<PathBuf>,
    /// Name of the network.
    pub name: String,
    /// Version of the list.
    pub version: String,
    /// The plugin objects.
    pub plugins: Vec<Value>,
    /// What the runtime offers to plugins that declare the capability.
    pub runtime_config: Value,
    /// The types of plugins that are the reference's, whether or not the others have them.
    pub theirs: Vec<String>,
}

impl Chain {
    /// A list of these plugin objects; ours are preferred to the reference's.
    pub fn new(lab: &Lab, plugins: Vec<Value>) -> Chain {
        let path = vec![lab.plugins().dir().into(), Plugins::reference().dir().into()];
        let version = super::conf::COMMON.into();
        Chain { path, name: "list".into(), version, plugins, runtime_config: json!({}), theirs: Vec::new() }
    }

    /// The same with the reference's plugins of these types.
    pub fn with_theirs(mut self, types: &[&str]) -> Chain {
        self.theirs = types.iter().map(|&kind| kind.to_owned()).collect();
        self
    }

    /// ADD of all in order; the final result.
    pub fn add(&self, container: &Container) -> Value {
        let mut result = Value::Null;
        for plugin in &self.plugins {
            result = self.run("ADD", container, plugin, &result).ok();
        }
        result
    }

    /// CHECK of all in order.
    pub fn check(&self, container: &Container, result: &Value) {
        self.plugins.iter().for_each(|plugin| self.run("CHECK", container, plugin, result).quiet());
    }

    /// DEL of all in reverse order.
    pub fn del(&self, container: &Container, result: &Value) {
        self.plugins.iter().rev().for_each(|plugin| self.run("DEL", container, plugin, result).quiet());
    }

    fn run(&self, verb: &str, container: &Container, plugin: &Value, prev: &Value) -> Outcome {
        let kind = plugin["type"].as_str().expect("a plugin object has a type");
        let reference: PathBuf = Plugins::reference().dir().into();
        let found = self.path.iter().find(|dir| dir.join(kind).exists());
        let dir = match self.theirs.iter().any(|theirs| theirs == kind) {
            true => &reference,
            false => found.unwrap_or_else(|| panic!("no plugin {kind}")),
        };
        let plugins = Plugins::at(dir).delegating_to(&self.path);
        plugins.plugin(kind).on(verb, container, &self.request(plugin, prev)).run()
    }

    fn request(&self, plugin: &Value, prev: &Value) -> Value {
        let mut conf = plugin.clone();
        conf["cniVersion"] = json!(self.version);
        conf["name"] = json!(self.name);
        if !prev.is_null() {
            conf["prevResult"] = prev.clone();
        }
        for (name, value) in self.runtime_config.as_object().into_iter().flatten() {
            if plugin["capabilities"][name] == true {
                conf["runtimeConfig"][name] = value.clone();
            }
        }
        conf
    }
}
