//! Results of 0.3.0, 0.3.1 and 0.4.0: each address tells its family, interfaces have neither MTU nor the
//! rest.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::v1_0::{Route, address_or_empty, not_empty};
use super::{Dns, Success};
use crate::version::Version;

/// The result on the wire; an empty `dns` is written as `{}`.
#[derive(Deserialize, Serialize)]
#[serde(expecting = "an object")]
pub(super) struct Wire {
    #[serde(rename = "cniVersion", skip_deserializing)]
    version: &'static str,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<Interface>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ips: Vec<Ip>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
    #[serde(default)]
    dns: Dns,
}

#[derive(Deserialize, Serialize)]
struct Interface {
    #[serde(default)]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mac: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sandbox: String,
}

#[derive(Deserialize, Serialize)]
struct Ip {
    /// "4" or "6"; the address says the same, so it is not read.
    #[serde(rename = "version", skip_deserializing)]
    family: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<usize>,
    address: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "address_or_empty")]
    gateway: Option<IpAddr>,
}

impl Wire {
    pub(super) fn new(result: &Success, version: Version) -> Wire {
        Wire {
            version: version.as_str(),
            interfaces: result.interfaces.iter().map(Interface::from).collect(),
            ips: result.ips.iter().map(Ip::from).collect(),
            routes: result.routes.iter().map(Route::from).collect(),
            dns: result.dns.clone(),
        }
    }
}

impl From<Wire> for Success {
    fn from(wire: Wire) -> Success {
        Success {
            interfaces: wire.interfaces.into_iter().map(Into::into).collect(),
            ips: wire.ips.into_iter().map(Into::into).collect(),
            routes: wire.routes.into_iter().map(Into::into).collect(),
            dns: wire.dns,
        }
    }
}

impl From<&super::Interface> for Interface {
    fn from(interface: &super::Interface) -> Interface {
        Interface {
            name: interface.name.clone(),
            mac: interface.mac.clone().unwrap_or_default(),
            sandbox: interface.sandbox.clone().unwrap_or_default(),
        }
    }
}

impl From<Interface> for super::Interface {
    fn from(wire: Interface) -> super::Interface {
        super::Interface {
            name: wire.name,
            mac: not_empty(wire.mac),
            sandbox: not_empty(wire.sandbox),
            ..Default::default()
        }
    }
}

impl From<&super::Ip> for Ip {
    fn from(ip: &super::Ip) -> Ip {
        let family = match ip.address {
            IpNet::V4(_) => "4",
            IpNet::V6(_) => "6",
        };
        Ip { family, interface: ip.interface, address: ip.address, gateway: ip.gateway }
    }
}

impl From<Ip> for super::Ip {
    fn from(wire: Ip) -> super::Ip {
        super::Ip { address: wire.address, gateway: wire.gateway, interface: wire.interface }
    }
}
