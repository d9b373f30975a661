//! Results of 1.0.0 and 1.1.0. As the reference does, 1.1's additions are written under 1.0.0 too.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Dns, Success};
use crate::version::Version;

/// The result on the wire.
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
    #[serde(default, skip_serializing_if = "Dns::is_empty")]
    dns: Dns,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    #[serde(default)]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mac: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    mtu: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sandbox: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    socket_path: String,
    #[serde(rename = "pciID", default, skip_serializing_if = "String::is_empty")]
    pci_id: String,
}

#[derive(Deserialize, Serialize)]
struct Ip {
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<usize>,
    address: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "address_or_empty")]
    gateway: Option<IpAddr>,
}

/// A route; its extras are passed through by every version since 0.3.0.
#[derive(Deserialize, Serialize)]
pub(super) struct Route {
    dst: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "address_or_empty")]
    gw: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "is_zero")]
    mtu: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    advmss: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    priority: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u8>,
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
            mtu: interface.mtu.unwrap_or_default(),
            sandbox: interface.sandbox.clone().unwrap_or_default(),
            socket_path: interface.socket_path.clone().unwrap_or_default(),
            pci_id: interface.pci_id.clone().unwrap_or_default(),
        }
    }
}

impl From<Interface> for super::Interface {
    fn from(wire: Interface) -> super::Interface {
        super::Interface {
            name: wire.name,
            mac: not_empty(wire.mac),
            mtu: not_zero(wire.mtu),
            sandbox: not_empty(wire.sandbox),
            socket_path: not_empty(wire.socket_path),
            pci_id: not_empty(wire.pci_id),
        }
    }
}

impl From<&super::Ip> for Ip {
    fn from(ip: &super::Ip) -> Ip {
        Ip { interface: ip.interface, address: ip.address, gateway: ip.gateway }
    }
}

impl From<Ip> for super::Ip {
    fn from(wire: Ip) -> super::Ip {
        super::Ip { address: wire.address, gateway: wire.gateway, interface: wire.interface }
    }
}

impl From<&super::Route> for Route {
    fn from(route: &super::Route) -> Route {
        Route {
            dst: route.dst,
            gw: route.gw,
            mtu: route.mtu.unwrap_or_default(),
            advmss: route.advmss.unwrap_or_default(),
            priority: route.priority.unwrap_or_default(),
            table: route.table,
            scope: route.scope,
        }
    }
}

impl From<Route> for super::Route {
    fn from(wire: Route) -> super::Route {
        super::Route {
            dst: wire.dst,
            gw: wire.gw,
            mtu: not_zero(wire.mtu),
            advmss: not_zero(wire.advmss),
            priority: not_zero(wire.priority),
            table: wire.table,
            scope: wire.scope,
        }
    }
}

/// An address; the empty string is none, as it is for Go's net.IP.
pub(super) fn address_or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    match Option::<String>::deserialize(from)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| serde::de::Error::custom(format_args!("invalid IP address {text:?}"))),
    }
}

/// Absent texts are empty on the wire's side.
pub(super) fn not_empty(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

fn not_zero(number: u32) -> Option<u32> {
    if number == 0 { None } else { Some(number) }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
