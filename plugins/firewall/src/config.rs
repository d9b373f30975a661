//! The firewall plugin's own keys, and the plan made of them: every decision that needs nothing but the keys.

use serde::Deserialize;
use spec::config::Config;
use spec::error::{Error, Result};
use steps::best_effort;
use steps::forward::{ADMIN_CHAIN, Backend, Wish, ZONE};
use steps::iptables::chain_name;

/// The keys as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    backend: String,
    iptables_admin_chain_name: String,
    firewalld_zone: String,
    ingress_policy: String,
    anti_spoof: bool,
}

/// What may come to a container from other containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Everything.
    Open,
    /// What comes from another bridge with a policy does not.
    SameBridge,
    /// What comes from its own bridge does not either.
    Isolated,
}

/// Every decision of one ADD or CHECK.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Who writes the rules.
    pub backend: Wish,
    /// The administrator's chain of iptables.
    pub admin_chain: String,
    /// The zone of firewalld.
    pub zone: String,
    /// What may come in.
    pub policy: Policy,
    /// The port is bound to its MAC and addresses.
    pub anti_spoof: bool,
}

impl Plan {
    /// The plan of these keys.
    ///
    /// # Errors
    /// Code 7 for each key whose value cannot be.
    pub(crate) fn new(config: &Config) -> Result<Plan> {
        let keys: Keys = config.own()?;
        let admin_chain = Some(keys.iptables_admin_chain_name).filter(|name| !name.is_empty());
        if let Some(name) = &admin_chain {
            chain_name("iptablesAdminChainName", name)?;
        }
        Ok(Plan {
            backend: backend(&keys.backend, admin_chain.as_deref())?,
            admin_chain: admin_chain.unwrap_or_else(|| ADMIN_CHAIN.to_owned()),
            zone: or_else(&keys.firewalld_zone, ZONE),
            policy: policy(&keys.ingress_policy)?,
            anti_spoof: keys.anti_spoof,
        })
    }
}

/// What DEL needs to know. It takes any value: a configuration that was made worse after the ADD must not keep a
/// container from being deleted.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Removal {
    backend: String,
    firewalld_zone: String,
    /// The port may be bound.
    pub(crate) anti_spoof: bool,
}

impl Removal {
    /// From the keys; where they cannot be read any more, everything may be there.
    pub(crate) fn of(config: &Config) -> Removal {
        best_effort::keys(config, Removal { anti_spoof: true, ..Removal::default() })
    }

    /// The zone where the reference plugin would have put the addresses, if it chose firewalld.
    pub(crate) fn zone(&self) -> Option<String> {
        let firewalld = match self.backend.as_str() {
            "firewalld" => true,
            "iptables" | "nftables" => false,
            _ => steps::forward::firewalld_is_likely(),
        };
        firewalld.then(|| or_else(&self.firewalld_zone, ZONE))
    }
}

fn or_else(text: &str, default: &str) -> String {
    if text.is_empty() { default } else { text }.to_owned()
}

fn backend(key: &str, admin_chain: Option<&str>) -> Result<Wish> {
    match key {
        "" => Ok(Wish::Automatic { admin_chain: admin_chain.map(str::to_owned) }),
        "nftables" => Ok(Wish::Named(Backend::Nftables)),
        "iptables" => Ok(Wish::Named(Backend::Iptables)),
        "firewalld" => Ok(Wish::Named(Backend::Firewalld)),
        _ => Err(Error::invalid_config(format!(
            "unknown firewall backend {key:?}: want \"nftables\", \"iptables\", \"firewalld\", or none of them to let the plugin choose"
        ))),
    }
}

fn policy(key: &str) -> Result<Policy> {
    match key {
        "" | "open" => Ok(Policy::Open),
        "same-bridge" => Ok(Policy::SameBridge),
        "isolated" => Ok(Policy::Isolated),
        _ => Err(Error::invalid_config(format!(
            "unknown ingress policy: {key:?}: want \"open\", \"same-bridge\" or \"isolated\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn plan(keys: &str) -> Result<Plan> {
        Plan::new(&Config::parse(format!(r#"{{"name":"n",{keys}}}"#).into_bytes()).unwrap())
    }

    #[test]
    fn empty_keys_are_the_defaults() {
        for keys in [
            r#""x":1"#,
            r#""backend":"","ingressPolicy":"","firewalldZone":null,"iptablesAdminChainName":"""#,
        ] {
            let plan = plan(keys).unwrap();
            assert_eq!(plan.backend, Wish::Automatic { admin_chain: None });
            assert_eq!((plan.admin_chain.as_str(), plan.zone.as_str()), ("CNI-ADMIN", "trusted"));
            assert_eq!((plan.policy, plan.anti_spoof), (Policy::Open, false));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_choices() {
        for (keys, word) in [
            (r#""backend":"ufw""#, "nftables"),
            (r#""ingressPolicy":"closed""#, "same-bridge"),
            (r#""iptablesAdminChainName":"A B""#, "no name"),
            (r#""iptablesAdminChainName":"-A""#, "no name"),
            (r#""iptablesAdminChainName":"CNI-ADMIN-OF-A-VERY-LONG-NAME""#, "no name"),
        ] {
            let error = plan(keys).unwrap_err();
            assert_eq!(error.code.number(), 7, "{keys}");
            assert!(error.msg.contains(word), "{}", error.msg);
        }
    }
}
