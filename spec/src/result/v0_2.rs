//! Results of 0.1.0 and 0.2.0: one address of each family, routes below it, no interfaces.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::v1_0::address_or_empty;
use super::{Dns, Ip, Success};
use crate::error::{Error, Result};
use crate::version::Version;

/// The result on the wire; an empty `dns` is written as `{}`.
#[derive(Deserialize, Serialize)]
#[serde(expecting = "an object")]
pub(super) struct Wire {
    #[serde(rename = "cniVersion", skip_deserializing)]
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<Family>,
    #[serde(default)]
    dns: Dns,
}

/// The address of one family.
#[derive(Deserialize, Serialize)]
struct Family {
    ip: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "address_or_empty")]
    gateway: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
}

#[derive(Deserialize, Serialize)]
struct Route {
    dst: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "address_or_empty")]
    gw: Option<IpAddr>,
}

impl Wire {
    pub(super) fn new(result: &Success, version: Version) -> Result<Wire> {
        let ip4 = Family::first(result, |net| matches!(net, IpNet::V4(_)));
        let ip6 = Family::first(result, |net| matches!(net, IpNet::V6(_)));
        if ip4.is_none() && ip6.is_none() {
            return Err(Error::internal("cannot convert: no valid IP addresses"));
        }
        Ok(Wire { version: version.as_str(), ip4, ip6, dns: result.dns.clone() })
    }
}

impl Family {
    /// The first address of a family with the routes of that family; routes without an address are lost.
    fn first(result: &Success, belongs: fn(&IpNet) -> bool) -> Option<Family> {
        let ip = result.ips.iter().find(|ip| belongs(&ip.address))?;
        let routes = result.routes.iter().filter(|route| belongs(&route.dst));
        let routes = routes.map(|route| Route { dst: route.dst, gw: route.gw }).collect();
        Some(Family { ip: ip.address, gateway: ip.gateway, routes })
    }
}

impl From<Wire> for Success {
    fn from(wire: Wire) -> Success {
        let mut result = Success { dns: wire.dns, ..Success::default() };
        for family in [wire.ip4, wire.ip6].into_iter().flatten() {
            result.ips.push(Ip { address: family.ip, gateway: family.gateway, interface: None });
            let routes = family.routes.into_iter();
            result.routes.extend(routes.map(|route| super::Route::new(route.dst, route.gw)));
        }
        result
    }
}
