//! Configuration lists (.conflist), as a runtime reads them, and the request it makes of each for a plugin.

mod files;

use serde_json::{Map, Value};

use crate::config::{ATTACHMENTS, VALID_ATTACHMENTS, ValidAttachment};
use crate::error::{Error, Result};
use crate::fold;
use crate::names::{NetworkName, PluginType};
use crate::version::{Number, Version};

/// A network: its plugins in the order of the chain (specification, section 1).
#[derive(Clone, Debug)]
pub struct NetworkList {
    /// The highest version of `cniVersion` and `cniVersions` that is spoken here.
    pub version: Version,
    /// The network's name, unique on the host.
    pub name: NetworkName,
    /// CHECK must not be called: a check reports success.
    pub disable_check: bool,
    /// GC must not be called: the network belongs to several runtimes.
    pub disable_gc: bool,
    /// The plugins; may be empty only when parsed from bytes.
    pub plugins: Vec<PluginConf>,
    /// The list as it was read, for the result cache. A single plugin's was made a list of one.
    pub bytes: Vec<u8>,
    /// Plugins come from the list alone.
    only_inlined: bool,
}

/// One plugin of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConf {
    /// The file name of its executable.
    pub plugin: PluginType,
    object: Map<String, Value>,
}

/// What the runtime adds to a plugin's configuration for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// ADD, CHECK, DEL: what the runtime offers; a plugin gets of it what it declares in `capabilities`.
    pub capabilities: Option<&'a Map<String, Value>>,
    /// ADD: the result of the plugin before. CHECK, DEL: the final result of ADD.
    pub prev_result: Option<&'a Value>,
    /// GC: the attachments that live.
    pub valid_attachments: Option<&'a [ValidAttachment]>,
}

impl NetworkList {
    /// Reads a list from memory; plugins beside its file are not looked for.
    ///
    /// # Errors
    /// Code 6 for what is no JSON object or has members of wrong types, 7 for a missing name, `no plugins in
    /// list`, or a plugin without type; 1 when none of its versions is spoken here.
    pub fn parse(bytes: Vec<u8>) -> Result<NetworkList> {
        let list: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|cause| Error::decoding(format!("parse configuration list: {cause}")))?;
        NetworkList::from_object(&list, bytes).map_err(|error| error.context("parse configuration list"))
    }

    /// Reads the configuration of a single plugin, as it was common before 1.0.0, into a list of one. The
    /// `disable…` keys of lists mean nothing in it.
    ///
    /// # Errors
    /// As [`NetworkList::parse`].
    pub fn parse_single(bytes: &[u8]) -> Result<NetworkList> {
        let plugin: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|cause| Error::decoding(format!("parse configuration: {cause}")))?;
        let mut list = Map::new();
        for key in ["name", "cniVersion"] {
            list.extend(fold::member(&plugin, key).map(|value| (key.to_owned(), value.clone())));
        }
        list.insert("plugins".to_owned(), Value::Array(vec![Value::Object(plugin)]));
        let bytes = serde_json::to_vec(&list)?;
        NetworkList::from_object(&list, bytes).map_err(|error| error.context("parse configuration"))
    }

    fn from_object(list: &Map<String, Value>, bytes: Vec<u8>) -> Result<NetworkList> {
        let only_inlined = flag(list, "loadOnlyInlinedPlugins")?;
        Ok(NetworkList {
            version: version(list)?,
            name: name(list)?,
            disable_check: flag(list, "disableCheck")?,
            disable_gc: flag(list, "disableGC")?,
            plugins: plugins(list, only_inlined)?,
            bytes,
            only_inlined,
        })
    }

    /// The request for the plugin at `index`, as it goes to its stdin; keys are sorted.
    ///
    /// # Errors
    /// Code 999 when there is no such plugin.
    pub fn request(&self, index: usize, extra: &Extra<'_>) -> Result<Vec<u8>> {
        let plugin = self.plugins.get(index);
        let plugin = plugin.ok_or_else(|| Error::internal(format!("no plugin {index} in {}", self.name)))?;
        Ok(serde_json::to_vec(&plugin.with(self, extra))?)
    }
}

impl PluginConf {
    fn new(object: Map<String, Value>) -> Result<PluginConf> {
        let plugin = match fold::member(&object, "type") {
            None => return Err(Error::invalid_config("missing 'type'")),
            Some(Value::String(plugin)) => plugin.parse(),
            Some(other) => return Err(wrong_type("type", "a string", other)),
        };
        let plugin = plugin.map_err(|error: crate::NameError| Error::invalid_config(error.to_string()))?;
        Ok(PluginConf { plugin, object })
    }

    /// The plugin's configuration as it stands in the list.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// Whether the plugin declares a capability.
    pub fn is_capable_of(&self, capability: &str) -> bool {
        let declared = fold::member(&self.object, "capabilities").and_then(Value::as_object);
        declared.and_then(|declared| declared.get(capability)) == Some(&Value::Bool(true))
    }

    /// The object as the plugin gets it (specification, "Deriving request configuration from plugin
    /// configuration").
    fn with(&self, list: &NetworkList, extra: &Extra<'_>) -> Map<String, Value> {
        let mut request = self.object.clone();
        request.retain(|key, _| key != "capabilities" && !key.starts_with("cni.dev/"));
        request.insert("cniVersion".to_owned(), list.version.as_str().into());
        request.insert("name".to_owned(), list.name.as_str().into());
        let capabilities = self.wanted(extra.capabilities);
        if !capabilities.is_empty() {
            request.insert("runtimeConfig".to_owned(), capabilities.into());
        }
        if let Some(result) = extra.prev_result {
            request.insert("prevResult".to_owned(), result.clone());
        }
        if let Some(attachments) = extra.valid_attachments {
            let attachments: Value = attachments.iter().map(valid_attachment).collect();
            request.insert(VALID_ATTACHMENTS.to_owned(), attachments.clone());
            request.insert(ATTACHMENTS.to_owned(), attachments);
        }
        request
    }

    /// What is offered as well as declared.
    fn wanted(&self, offered: Option<&Map<String, Value>>) -> Map<String, Value> {
        let offered = offered.into_iter().flatten();
        let wanted = offered.filter(|(capability, _)| self.is_capable_of(capability));
        wanted.map(|(capability, value)| (capability.clone(), value.clone())).collect()
    }
}

fn valid_attachment(attachment: &ValidAttachment) -> Value {
    serde_json::json!({ "containerID": attachment.container_id, "ifname": attachment.ifname })
}

fn name(list: &Map<String, Value>) -> Result<NetworkName> {
    match fold::member(list, "name") {
        None => Err(Error::invalid_config("no name")),
        Some(Value::String(name)) => name
            .parse()
            .map_err(|error: crate::NameError| Error::invalid_config(error.reason).with_details(error.name)),
        Some(other) => Err(wrong_type("name", "a string", other)),
    }
}

/// The highest version that list and we know; without `cniVersions` that is `cniVersion`, or nothing.
fn version(list: &Map<String, Value>) -> Result<Version> {
    let mut offered = Vec::new();
    match fold::member(list, "cniVersions") {
        None => {}
        Some(Value::Array(versions)) => offered.extend(versions),
        Some(other) => return Err(wrong_type("cniVersions", "an array", other)),
    }
    offered.extend(fold::member(list, "cniVersion"));
    let offered = offered.into_iter().map(version_text).collect::<Result<Vec<&str>>>()?;
    // A list that says nothing, in either key, is one of 0.1.0.
    if offered.iter().all(|text| text.is_empty()) {
        return Ok(Version::V0_1_0);
    }
    let numbers = offered.iter().filter(|text| !text.is_empty()).map(|text| number(text));
    let spoken = numbers.collect::<Result<Vec<Number>>>()?.into_iter().filter_map(Number::released).max();
    spoken.ok_or_else(|| {
        let known = Version::ALL.map(Version::as_str).join(", ");
        Error::incompatible_version("incompatible CNI versions")
            .with_details(format!("list is {}, spoken here are {known}", offered.join(", ")))
    })
}

fn version_text(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| wrong_type("cniVersion", "a string", value))
}

fn number(text: &str) -> Result<Number> {
    Number::parse(text).ok_or_else(|| Error::invalid_config(format!("invalid cniVersion {text:?}")))
}

/// A boolean, or the same as a string of any case.
fn flag(list: &Map<String, Value>, key: &str) -> Result<bool> {
    match fold::member(list, key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Error::decoding(format!("invalid value {text:?} for {key}, expected true or false"))),
        },
        Some(other) => Err(wrong_type(key, "a boolean", other)),
    }
}

fn plugins(list: &Map<String, Value>, only_inlined: bool) -> Result<Vec<PluginConf>> {
    match fold::member(list, "plugins") {
        None if only_inlined => {
            Err(Error::invalid_config("`loadOnlyInlinedPlugins` is true, and no 'plugins' key"))
        }
        None => Ok(Vec::new()),
        Some(Value::Array(plugins)) if plugins.is_empty() => Err(Error::invalid_config("no plugins in list")),
        Some(Value::Array(plugins)) => plugins.iter().enumerate().map(inlined).collect(),
        Some(other) => Err(wrong_type("plugins", "an array", other)),
    }
}

fn inlined((index, plugin): (usize, &Value)) -> Result<PluginConf> {
    let context = |error: Error| error.context(format_args!("plugins[{index}]"));
    let object = plugin.as_object().ok_or_else(|| context(wrong_type("plugin", "an object", plugin)))?;
    PluginConf::new(object.clone()).map_err(context)
}

fn wrong_type(key: &str, expected: &str, found: &Value) -> Error {
    Error::decoding(format!("{key}: invalid type, expected {expected}, found {found}"))
}

#[cfg(test)]
mod tests;
