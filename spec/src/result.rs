//! What ADD gives: the newest form inside, every older form at the edge.

mod v0_2;
mod v0_4;
mod v1_0;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::Value;

pub use crate::config::Dns;
use crate::error::{Error, Result};
use crate::fold;
use crate::json;
use crate::version::{Number, Version};

/// The result of an attachment (specification, "Success").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// The interfaces made, on the host and in the container.
    pub interfaces: Vec<Interface>,
    /// The addresses given.
    pub ips: Vec<Ip>,
    /// The routes made.
    pub routes: Vec<Route>,
    /// The DNS settings that the runtime shall use.
    pub dns: Dns,
}

/// An interface that belongs to an attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Its MTU in bytes (since 1.1).
    pub mtu: Option<u32>,
    /// The value of `CNI_NETNS` when it is inside the container; none on the host.
    pub sandbox: Option<String>,
    /// Path of its socket, for vhost-user and the like (since 1.1).
    pub socket_path: Option<String>,
    /// Its PCI identifier (since 1.1).
    pub pci_id: Option<String>,
}

impl Interface {
    /// Whether it is on the host. Some plugins write an empty sandbox for none.
    pub fn is_on_host(&self) -> bool {
        self.sandbox.as_deref().is_none_or(str::is_empty)
    }
}

/// An address of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// The address with its prefix length; host bits are kept.
    pub address: IpNet,
    /// The default gateway of its subnet.
    pub gateway: Option<IpAddr>,
    /// Index of its interface in the result.
    pub interface: Option<usize>,
}

/// A route of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination.
    pub dst: IpNet,
    /// The next hop; none means the gateway of an address of that family.
    pub gw: Option<IpAddr>,
    /// The MTU along the path.
    pub mtu: Option<u32>,
    /// The maximal segment size to advertise.
    pub advmss: Option<u32>,
    /// The metric; smaller is preferred.
    pub priority: Option<u32>,
    /// The routing table; an explicit 0 is kept.
    pub table: Option<u32>,
    /// The scope; an explicit 0 is kept.
    pub scope: Option<u8>,
}

impl Route {
    /// A route with nothing but a destination and perhaps a next hop.
    pub fn new(dst: IpNet, gw: Option<IpAddr>) -> Route {
        Route { dst, gw, mtu: None, advmss: None, priority: None, table: None, scope: None }
    }
}

/// A result as it goes over the wire, in the form of some version.
#[derive(Serialize)]
#[serde(untagged)]
enum Wire {
    V0_2(v0_2::Wire),
    V0_4(v0_4::Wire),
    V1_0(v1_0::Wire),
}

impl Success {
    /// The result in the form of `version`.
    ///
    /// # Errors
    /// Code 999 `cannot convert: no valid IP addresses` for 0.1.0 and 0.2.0, which cannot say "no address".
    pub fn to_value(&self, version: Version) -> Result<Value> {
        Ok(serde_json::to_value(self.to_wire(version)?)?)
    }

    /// The result in the form of `version` as it is printed: members in the specification's order, 4 spaces
    /// of indent.
    ///
    /// # Errors
    /// As [`Success::to_value`].
    pub fn to_json(&self, version: Version) -> Result<Vec<u8>> {
        json::pretty(&self.to_wire(version)?)
    }

    /// Reads a result of any version; of `assumed` when it does not say which. `null` is an empty result.
    ///
    /// # Errors
    /// Code 1 for a version that is not spoken here, 6 for values that are wrong.
    pub fn from_value(value: &Value, assumed: Version) -> Result<Success> {
        if value.is_null() {
            return Ok(Success::default());
        }
        match version_of(value, assumed)? {
            Version::V0_1_0 | Version::V0_2_0 => read::<v0_2::Wire>(value).map(Success::from),
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => {
                read::<v0_4::Wire>(value).map(Success::from)
            }
            Version::V1_0_0 | Version::V1_1_0 => read::<v1_0::Wire>(value).map(Success::from),
        }
    }

    fn to_wire(&self, version: Version) -> Result<Wire> {
        Ok(match version {
            Version::V0_1_0 | Version::V0_2_0 => Wire::V0_2(v0_2::Wire::new(self, version)?),
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => Wire::V0_4(v0_4::Wire::new(self, version)),
            Version::V1_0_0 | Version::V1_1_0 => Wire::V1_0(v1_0::Wire::new(self, version)),
        })
    }
}

fn version_of(value: &Value, assumed: Version) -> Result<Version> {
    let said = value.as_object().and_then(|object| fold::member(object, "cniVersion"));
    match said.map(|version| version.as_str()) {
        None | Some(Some("")) => Ok(assumed),
        Some(Some(text)) => Number::parse(text).and_then(Number::released).ok_or_else(|| unsupported(text)),
        Some(None) => Err(Error::decoding("read CNI result: cniVersion: invalid type, expected a string")),
    }
}

fn unsupported(version: &str) -> Error {
    Error::incompatible_version(format!("unsupported CNI result version {version:?}"))
}

fn read<'de, T: serde::Deserialize<'de>>(value: &'de Value) -> Result<T> {
    fold::read(value).map_err(|cause| Error::decoding(format!("read CNI result: {cause}")))
}

#[cfg(test)]
mod tests;
