//! What a runtime says about one attachment: who, where, and with which arguments.

use serde_json::{Map, Value};
use spec::request::Attachment;

/// One attachment together with what plugins are told about it; libcni calls it RuntimeConf.
///
/// CHECK and DEL have to be given what ADD was given (specification, "Deriving execution
/// configuration"): take it from the cache where the caller does not remember it.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Container and interface: the pair that identifies the attachment in its network.
    pub attachment: Attachment,
    /// Path of the network namespace, CNI_NETNS; none once it is gone.
    pub netns: Option<String>,
    /// CNI_ARGS, in the order in which they are passed.
    pub args: Vec<(String, String)>,
    /// Capability arguments; a plugin gets those that its configuration declares.
    pub capabilities: Map<String, Value>,
}

impl Endpoint {
    /// An attachment in a namespace, without arguments.
    #[must_use]
    pub fn new(attachment: Attachment, netns: Option<String>) -> Self {
        Self { attachment, netns, args: Vec::new(), capabilities: Map::new() }
    }

    /// CNI_ARGS as one string: `K=V;K2=V2`.
    pub(crate) fn args_text(&self) -> String {
        let pairs: Vec<_> = self.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(";")
    }
}
