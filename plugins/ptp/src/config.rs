//! The ptp plugin's own keys, and the plan made of them: every decision, with nothing touched yet.

use serde::Deserialize;
use spec::config::{Config, Dns};
use spec::error::{Error, Result};
use spec::names::PluginType;
use steps::best_effort;
use steps::masquerade::Backend;
use steps::pair;

/// The keys as they stand in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Keys {
    ip_masq: bool,
    ip_masq_backend: String,
    mtu: i64,
}

/// Every decision of one ADD, CHECK or STATUS.
#[derive(Debug)]
pub(crate) struct Plan {
    /// MTU in bytes of both ends; the kernel's default otherwise.
    pub mtu: Option<u32>,
    /// `None`: the containers' own addresses leave the host.
    pub masquerade: Option<Backend>,
    /// Whoever gives addresses and their gateways.
    pub ipam: PluginType,
    /// Replaces what IPAM says when it is not empty.
    pub dns: Dns,
}

impl Plan {
    /// The plan of a network.
    ///
    /// # Errors
    /// Code 7 for each key whose value cannot be, and when there is no IPAM plugin.
    pub(crate) fn new(config: &Config) -> Result<Plan> {
        let keys: Keys = config.own()?;
        let no_ipam = || Error::invalid_config("no plugin name provided").with_details("ptp needs ipam.type");
        Ok(Plan {
            mtu: pair::mtu(keys.mtu)?,
            masquerade: keys.ip_masq.then(|| Backend::from_key(&keys.ip_masq_backend)).transpose()?,
            ipam: config.ipam.clone().ok_or_else(no_ipam)?,
            dns: config.dns.clone(),
        })
    }
}

/// What DEL needs to know. It reads no other key: a configuration that was made worse after the ADD must not
/// keep a container from being deleted.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Removal {
    /// The attachment's addresses are masqueraded.
    pub ip_masq: bool,
}

impl Removal {
    /// From the keys; where they cannot be read any more, everything may be there.
    pub(crate) fn of(config: &Config) -> Removal {
        best_effort::keys(config, Removal { ip_masq: true })
    }
}
