//! What GC may remove: the network's own, less what belongs to attachments that are still valid.

use crate::label::{self, Label};
use spec::config::Config;
use spec::names::NetworkName;
use std::collections::BTreeSet;

/// Tells the marks of attachments that are gone from all others.
#[derive(Debug)]
pub struct Stale<'a> {
    network: &'a NetworkName,
    valid_keys: BTreeSet<String>,
    valid_chains: BTreeSet<String>,
    valid: Vec<Label>,
}

impl<'a> Stale<'a> {
    /// From the request's list of valid attachments. No list means an empty one, spec §2 "GC".
    pub fn new(config: &'a Config) -> Stale<'a> {
        let mut stale = Stale {
            network: &config.name,
            valid_keys: BTreeSet::new(),
            valid_chains: BTreeSet::new(),
            valid: Vec::new(),
        };
        for valid in config.valid_attachments.iter().flatten() {
            let label = Label::of(&config.name, &valid.container_id, &valid.ifname);
            stale.valid_keys.insert(label.key());
            stale.valid_chains.insert(label.iptables_chain());
            stale.valid.push(label);
        }
        stale
    }

    /// The network that is cleaned.
    pub fn network(&self) -> &NetworkName {
        self.network
    }

    /// The attachments that are still valid.
    pub fn valid(&self) -> &[Label] {
        &self.valid
    }

    /// Whether a comment or alias marks something of this network whose attachment is gone.
    pub fn is(&self, mark: &str) -> bool {
        let key = mark.split(',').next().unwrap_or_default();
        label::of_network(self.network, mark) && !self.valid_keys.contains(key)
    }

    /// Whether an iptables chain of this network belongs to no valid container.
    pub fn is_chain(&self, chain: &str) -> bool {
        !self.valid_chains.contains(chain)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_this_networks_unlisted_attachments_are_stale() {
        let request = r#"{"cniVersion":"1.1.0","name":"mynet","type":"bridge",
            "cni.dev/valid-attachments":[{"containerID":"abc123","ifname":"eth0"}]}"#;
        let config = Config::parse(request.as_bytes().to_vec()).unwrap();
        let stale = Stale::new(&config);
        let mark =
            |network: &str, id: &str, ifname: &str| Label::of(&network.parse().unwrap(), id, ifname).alias();
        assert!(!stale.is(&mark("mynet", "abc123", "eth0")));
        assert!(stale.is(&mark("mynet", "abc123", "eth1")));
        assert!(stale.is(&mark("mynet", "gone", "eth0")));
        assert!(!stale.is(&mark("other", "gone", "eth0")));
        assert!(!stale.is("somebody's own alias"));
    }
}
