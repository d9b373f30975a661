//! What leads where. The container reaches its gateway as a single neighbour and everything else, its own subnet
//! included, through it; the host has the gateway's address on its end and a route to each of the container's.

use ipnet::IpNet;
use kernel::addr::Address;
use kernel::route::Route;
use kernel::rtnl::Request;
use spec::error::{Error, Result};
use spec::result::{Ip, Success};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// `RT_SCOPE_LINK`.
const SCOPE_LINK: u8 = 253;
/// `RT_SCOPE_HOST`: the reference plugin's choice for the host's routes.
const SCOPE_HOST: u8 = 254;

/// An address of the container with the gateway that it has to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    /// With the prefix length of its subnet.
    pub address: IpNet,
    /// The host's end.
    pub gateway: IpAddr,
}

/// The legs of a result.
///
/// # Errors
/// IPAM gave an address without a gateway.
pub(crate) fn legs(result: &Success) -> Result<Vec<Leg>> {
    result.ips.iter().map(leg).collect()
}

fn leg(ip: &Ip) -> Result<Leg> {
    let gateway = ip.gateway.ok_or_else(|| {
        Error::internal(format!(
            "route {}: the IPAM plugin named no gateway for it, which is what ptp gives the host's end; \
             configure one in ipam",
            ip.address
        ))
    })?;
    Ok(Leg { address: ip.address, gateway })
}

impl Leg {
    /// In the container, in this order: what a route goes by has to be there first.
    pub(crate) fn inside(&self, index: u32) -> Vec<Route> {
        let source = |route: Route| Route { src: Some(self.address.addr()), ..route };
        let to_gateway = source(Route { scope: Some(SCOPE_LINK), ..route(alone(self.gateway), index) });
        let subnet = self.address.trunc();
        let to_subnet = source(Route { gw: Some(self.gateway), ..route(subnet, index) });
        // An address alone has no subnet to lead to.
        let has_subnet = subnet.prefix_len() < subnet.max_prefix_len();
        [to_gateway].into_iter().chain(has_subnet.then_some(to_subnet)).collect()
    }

    /// On the host.
    pub(crate) fn outside(&self, index: u32) -> Route {
        Route { scope: Some(SCOPE_HOST), ..route(alone(self.address.addr()), index) }
    }
}

/// What makes the host's end the gateway of all legs: two of them may share an address of it.
pub(crate) fn on_the_host(legs: &[Leg], index: u32) -> Vec<Request> {
    let gateways: BTreeSet<IpAddr> = legs.iter().map(|leg| leg.gateway).collect();
    let addresses =
        gateways.into_iter().map(|gateway| Address { ip: alone(gateway), index, nodad: true }.add());
    addresses.chain(legs.iter().map(|leg| leg.outside(index).add())).collect()
}

/// The address without its subnet.
pub(crate) fn alone(ip: IpAddr) -> IpNet {
    ip.into()
}

fn route(dst: IpNet, index: u32) -> Route {
    Route {
        dst,
        gw: None,
        index,
        priority: None,
        table: None,
        scope: None,
        mtu: None,
        advmss: None,
        src: None,
        onlink: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn leg(address: &str, gateway: &str) -> Leg {
        Leg { address: address.parse().unwrap(), gateway: gateway.parse().unwrap() }
    }

    fn words(route: &Route) -> String {
        let gw = route.gw.map_or_else(String::new, |gw| format!(" via {gw}"));
        let src = route.src.map_or_else(String::new, |src| format!(" src {src}"));
        format!("{}{gw}{src} scope {:?}", route.dst, route.scope)
    }

    #[test]
    fn the_gateway_comes_first_and_the_subnet_goes_by_it() {
        for (leg, expected) in [
            (
                leg("10.1.0.2/24", "10.1.0.1"),
                [
                    "10.1.0.1/32 src 10.1.0.2 scope Some(253)",
                    "10.1.0.0/24 via 10.1.0.1 src 10.1.0.2 scope None",
                ],
            ),
            (
                leg("fd00::2/64", "fd00::1"),
                ["fd00::1/128 src fd00::2 scope Some(253)", "fd00::/64 via fd00::1 src fd00::2 scope None"],
            ),
        ] {
            assert_eq!(leg.inside(7).iter().map(words).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn an_address_alone_has_no_subnet() {
        assert_eq!(leg("10.1.0.2/32", "192.0.2.1").inside(7).len(), 1);
    }

    #[test]
    fn a_gateway_of_two_addresses_is_one_address_of_the_host() {
        let legs = [leg("10.1.0.2/24", "10.1.0.1"), leg("10.1.0.3/24", "10.1.0.1")];
        assert_eq!(on_the_host(&legs, 7).len(), 3);
    }
}
