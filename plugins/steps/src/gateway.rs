//! Gateways of a result: the address that a network's gateway has when IPAM names none, and the default
//! route.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use spec::result::{Ip, Route, Success};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Gives each address without a gateway the first host address of its subnet, as the reference bridge does.
pub fn fill_missing(ips: &mut [Ip]) {
    for ip in ips {
        ip.gateway = ip.gateway.or_else(|| Some(first_host(ip.address)));
    }
}

/// Adds a default route for each family that has a gateway, unless a default route with a gateway is there.
pub fn add_default_routes(result: &mut Success) {
    for gateway in result.ips.iter().filter_map(|ip| ip.gateway).collect::<Vec<_>>() {
        let dst = everything(gateway);
        let present = result.routes.iter().any(|route| route.dst == dst && route.gw.is_some());
        if !present {
            result.routes.push(Route::new(dst, Some(gateway)));
        }
    }
}

/// The gateway that a route without one uses: the first of the route's family.
pub fn for_route(route: &Route, ips: &[Ip]) -> Option<IpAddr> {
    let of_family = |gateway: &IpAddr| gateway.is_ipv4() == route.dst.addr().is_ipv4();
    route.gw.or_else(|| ips.iter().filter_map(|ip| ip.gateway).find(of_family))
}

/// The gateway's address with the prefix length of the subnet that it serves.
pub fn with_prefix(gateway: IpAddr, subnet: IpNet) -> IpNet {
    match gateway {
        IpAddr::V4(ip) => Ipv4Net::new(ip, subnet.prefix_len()).map_or_else(|_| gateway.into(), IpNet::V4),
        IpAddr::V6(ip) => Ipv6Net::new(ip, subnet.prefix_len()).map_or_else(|_| gateway.into(), IpNet::V6),
    }
}

fn first_host(address: IpNet) -> IpAddr {
    match address.network() {
        IpAddr::V4(network) => Ipv4Addr::from(u32::from(network).wrapping_add(1)).into(),
        IpAddr::V6(network) => Ipv6Addr::from(u128::from(network).wrapping_add(1)).into(),
    }
}

fn everything(family_of: IpAddr) -> IpNet {
    match family_of {
        IpAddr::V4(_) => IpNet::V4(Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::default()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn result() -> Success {
        let ip = |address: &str| Ip { address: address.parse().unwrap(), gateway: None, interface: None };
        let ips = vec![ip("10.1.2.3/16"), ip("fd00:1::5/64")];
        let mut success = Success { ips, ..Success::default() };
        fill_missing(&mut success.ips);
        success
    }

    #[test]
    fn a_missing_gateway_is_the_first_host_of_the_subnet() {
        let gateways: Vec<_> = result().ips.iter().map(|ip| ip.gateway.unwrap().to_string()).collect();
        assert_eq!(gateways, ["10.1.0.1", "fd00:1::1"]);
    }

    #[test]
    fn default_routes_are_added_once_for_each_family() {
        let mut success = result();
        add_default_routes(&mut success);
        add_default_routes(&mut success);
        let routes: Vec<_> =
            success.routes.iter().map(|r| format!("{} via {}", r.dst, r.gw.unwrap())).collect();
        assert_eq!(routes, ["0.0.0.0/0 via 10.1.0.1", "::/0 via fd00:1::1"]);
    }
}
