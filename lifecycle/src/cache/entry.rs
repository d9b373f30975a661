//! One remembered attachment, in the bytes of libcni's cache file (kind "cniCacheV1").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spec::{NetworkList, NetworkName};

use crate::endpoint::Endpoint;
use crate::go_json;

/// The only kind that libcni has defined.
const KIND: &str = "cniCacheV1";

/// What is remembered of an attachment from its ADD to its DEL.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The network it is attached to.
    pub network: NetworkName,
    /// Who is attached, and with which arguments; they have to be the same on DEL.
    pub endpoint: Endpoint,
    /// The list's bytes as they were loaded for ADD.
    pub config: Vec<u8>,
    /// The final result of ADD, in the version that it names.
    pub result: Value,
}

/// What a cache file turned out to hold.
#[derive(Debug)]
pub(super) enum Read {
    /// A file of the only kind there is.
    Whole(Box<Entry>),
    /// A bare result, as libcni wrote it before the kind existed.
    Bare(Value),
}

/// The file's keys in the order in which Go writes them.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    kind: Option<String>,
    container_id: String,
    config: Option<String>,
    if_name: String,
    network_name: String,
    /// Written by libcni from 1.2 on; 1.1 ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cni_args: Option<Vec<(String, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capability_args: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

impl Entry {
    /// The list by which DEL and CHECK are to go: that of ADD, which may have been edited since.
    ///
    /// `today` is the same network as it is configured now. It is taken where it has not changed, for it also knows
    /// the plugins in files beside it, and where nothing can be made of what is remembered.
    #[must_use]
    pub fn list_of_add(&self, today: NetworkList) -> NetworkList {
        if self.config == today.bytes { today } else { self.remembered_list().unwrap_or(today) }
    }

    /// The list of ADD, as far as it was in one file; none if it cannot be used.
    #[must_use]
    pub fn remembered_list(&self) -> Option<NetworkList> {
        let list = NetworkList::parse(self.config.clone()).ok()?;
        Some(list).filter(|list| list.name == self.network && !list.plugins.is_empty())
    }

    /// The file's bytes: Go's field order, compact, the configuration in base64.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let endpoint = &self.endpoint;
        go_json::to_vec(&Wire {
            kind: Some(KIND.into()),
            container_id: endpoint.attachment.container.to_string(),
            config: Some(STANDARD.encode(&self.config)),
            if_name: endpoint.attachment.ifname.to_string(),
            network_name: self.network.to_string(),
            netns: endpoint.netns.clone().filter(|path| !path.is_empty()),
            cni_args: Some(endpoint.args.clone()).filter(|args| !args.is_empty()),
            capability_args: Some(endpoint.capabilities.clone()).filter(|args| !args.is_empty()),
            result: Some(self.result.clone()),
        })
    }
}

/// Reads a cache file of either form; the error says what is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Read, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if value.get("kind").and_then(Value::as_str) != Some(KIND) {
        return Ok(Read::Bare(value));
    }
    let wire = Wire::deserialize(value).map_err(|error| error.to_string())?;
    Ok(Read::Whole(Box::new(entry(wire)?)))
}

fn entry(wire: Wire) -> Result<Entry, String> {
    let config = STANDARD.decode(wire.config.unwrap_or_default());
    Ok(Entry {
        network: wire.network_name.parse().map_err(said)?,
        endpoint: Endpoint {
            attachment: spec::request::Attachment {
                container: wire.container_id.parse().map_err(said)?,
                ifname: wire.if_name.parse().map_err(said)?,
            },
            netns: wire.netns.filter(|path| !path.is_empty()),
            args: wire.cni_args.unwrap_or_default(),
            capabilities: wire.capability_args.unwrap_or_default(),
        },
        config: config.map_err(|error| format!("config: {error}"))?,
        result: wire.result.unwrap_or_default(),
    })
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
