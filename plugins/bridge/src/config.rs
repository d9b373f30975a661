//! The bridge plugin's own keys, and the plan made of them: every decision, with nothing touched yet.

use crate::vlan::{TrunkKey, Vlans};
use kernel::link::Mac;
use serde::Deserialize;
use spec::config::{Config, Dns};
use spec::error::{Error, Result};
use spec::names::{IfName, PluginType};
use spec::request::{Add, Caller};
use steps::apply::DuplicateDetection;
use steps::best_effort;
use steps::mac::{self, MacKeys};
use steps::masquerade::Backend;
use steps::pair;

/// The bridge of a configuration that names none.
const DEFAULT_BRIDGE: &str = "cni0";

/// The keys as they stand in the configuration.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Keys {
    bridge: String,
    is_gateway: bool,
    is_default_gateway: bool,
    force_address: bool,
    ip_masq: bool,
    ip_masq_backend: String,
    mtu: i64,
    hairpin_mode: bool,
    promisc_mode: bool,
    vlan: i64,
    vlan_trunk: Option<Vec<TrunkKey>>,
    preserve_default_vlan: bool,
    macspoofchk: bool,
    enabledad: bool,
    disable_container_interface: bool,
    port_isolation: bool,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            bridge: DEFAULT_BRIDGE.to_owned(),
            is_gateway: false,
            is_default_gateway: false,
            force_address: false,
            ip_masq: false,
            ip_masq_backend: String::new(),
            mtu: 0,
            hairpin_mode: false,
            promisc_mode: false,
            vlan: 0,
            vlan_trunk: None,
            preserve_default_vlan: false,
            macspoofchk: false,
            enabledad: false,
            disable_container_interface: false,
            port_isolation: false,
        }
    }
}

/// The bridge as the configuration wants it.
#[derive(Debug)]
pub(crate) struct BridgeWish {
    /// Its name.
    pub name: IfName,
    /// MTU in bytes when it has to be created; the kernel's default otherwise.
    pub mtu: Option<u32>,
    /// Promiscuous mode, which some use instead of hairpin ports.
    pub promisc: bool,
    /// Whether the bridge keeps VLANs apart.
    pub vlan_filtering: bool,
}

/// The port that the attachment becomes.
#[derive(Debug)]
pub(crate) struct PortWish {
    /// Frames may leave by the port on which they came.
    pub hairpin: bool,
    /// No traffic to other isolated ports.
    pub isolated: bool,
    /// VLANs of the port; `None` leaves them as the kernel made them.
    pub vlans: Option<Vlans>,
    /// Only frames with the container's own MAC may enter.
    pub spoof_check: bool,
}

/// The interface inside the container.
#[derive(Debug)]
pub(crate) struct ContainerWish {
    /// The MAC that somebody asked for.
    pub mac: Option<Mac>,
    /// MTU in bytes of both ends; the kernel's default otherwise.
    pub mtu: Option<u32>,
    /// What happens to IPv6 addresses.
    pub detection: DuplicateDetection,
    /// Whether the interface is brought up.
    pub up: bool,
}

/// The bridge's role as the containers' gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GatewayWish {
    /// Containers get a default route through it.
    pub default_route: bool,
    /// A conflicting address on the bridge is replaced rather than refused.
    pub replace_address: bool,
}

/// Every decision of one ADD or CHECK.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The bridge.
    pub bridge: BridgeWish,
    /// The port on it.
    pub port: PortWish,
    /// The container's end.
    pub container: ContainerWish,
    /// `None`: the bridge has no address for these containers.
    pub gateway: Option<GatewayWish>,
    /// `None`: the containers' own addresses leave the host.
    pub masquerade: Option<Backend>,
    /// `None`: layer 2 only.
    pub ipam: Option<PluginType>,
    /// Replaces what IPAM says when it is not empty.
    pub dns: Dns,
}

impl Plan {
    /// The plan of an ADD (a CHECK has the same keys).
    ///
    /// # Errors
    /// Code 7 for each key whose value cannot be, code 4 for `CNI_ARGS` that cannot be read.
    pub(crate) fn new(call: &Add) -> Result<Plan> {
        let mac = requested_mac(&call.config, &call.caller)?;
        Plan::from_keys(&call.config.own()?, mac, &call.config)
    }

    /// The plan from its keys alone, without what a single caller may ask for.
    ///
    /// # Errors
    /// Code 7 for each key whose value cannot be.
    pub(crate) fn of_network(config: &Config) -> Result<Plan> {
        Plan::from_keys(&config.own()?, None, config)
    }

    fn from_keys(keys: &Keys, mac: Option<Mac>, config: &Config) -> Result<Plan> {
        refuse_contradictions(keys, config)?;
        let mtu = pair::mtu(keys.mtu)?;
        let vlans = Vlans::new(keys.vlan, keys.vlan_trunk.as_deref(), keys.preserve_default_vlan)?;
        let name = interface_name(&keys.bridge)?;
        if keys.vlan != 0 && (keys.is_gateway || keys.is_default_gateway) {
            interface_name(&format!("{name}.{}", keys.vlan))?;
        }
        Ok(Plan {
            bridge: BridgeWish { name, mtu, promisc: keys.promisc_mode, vlan_filtering: vlans.is_some() },
            port: PortWish {
                hairpin: keys.hairpin_mode,
                isolated: keys.port_isolation,
                vlans,
                spoof_check: keys.macspoofchk,
            },
            container: ContainerWish {
                mac,
                mtu,
                detection: if keys.enabledad { DuplicateDetection::Wait } else { DuplicateDetection::Off },
                up: !keys.disable_container_interface,
            },
            gateway: (keys.is_gateway || keys.is_default_gateway).then_some(GatewayWish {
                default_route: keys.is_default_gateway,
                replace_address: keys.force_address,
            }),
            masquerade: keys.ip_masq.then(|| Backend::from_key(&keys.ip_masq_backend)).transpose()?,
            ipam: config.ipam.clone(),
            dns: config.dns.clone(),
        })
    }
}

/// What DEL needs to know. It reads no other key: a configuration that was made worse after the ADD must not
/// keep a container from being deleted.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Removal {
    /// Name of the bridge.
    pub(crate) bridge: String,
    /// The attachment's addresses are masqueraded.
    pub(crate) ip_masq: bool,
    /// The port's frames are checked.
    pub(crate) macspoofchk: bool,
}

impl Default for Removal {
    fn default() -> Removal {
        Removal { bridge: DEFAULT_BRIDGE.to_owned(), ip_masq: false, macspoofchk: false }
    }
}

impl Removal {
    /// From the keys; where they cannot be read any more, everything may be there, on no bridge that is known.
    pub(crate) fn of(config: &Config) -> Removal {
        best_effort::keys(config, Removal { bridge: String::new(), ip_masq: true, macspoofchk: true })
    }
}

fn requested_mac(config: &Config, caller: &Caller) -> Result<Option<Mac>> {
    let keys: MacKeys = config.own()?;
    mac::requested(&keys, &caller.args(&["MAC"])?)
}

fn refuse_contradictions(keys: &Keys, config: &Config) -> Result<()> {
    if keys.hairpin_mode && keys.promisc_mode {
        return Err(Error::invalid_config("cannot set hairpin mode and promiscuous mode at the same time"));
    }
    if keys.disable_container_interface && config.ipam.is_some() {
        return Err(Error::invalid_config("cannot use IPAM when disableContainerInterface is set"));
    }
    Ok(())
}

fn interface_name(name: &str) -> Result<IfName> {
    name.parse().map_err(|error| Error::invalid_config(format!("bridge {name:?}: {error}")))
}
