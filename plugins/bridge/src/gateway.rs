//! The bridge as the containers' gateway: its addresses, and forwarding.

use crate::config::{GatewayWish, Plan};
use ipnet::IpNet;
use kernel::addr::{self, Address, AddressFound};
use kernel::error::Errno;
use kernel::link::veth::Veth;
use kernel::link::{self, Link, LinkRef, Mac};
use kernel::netns::NetNs;
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::result::Ip;
use steps::forwarding;

/// Gives the bridge (or, with a VLAN, the bridge's interface in that VLAN) each gateway's address, and switches
/// forwarding on.
///
/// # Errors
/// The bridge has an address that conflicts and may not be replaced, or the kernel refuses.
pub(crate) fn ensure(
    host: &mut Rtnl,
    plan: &Plan,
    wish: GatewayWish,
    bridge: &Link,
    ips: &[Ip],
) -> Result<()> {
    let gateways = || ips.iter().filter_map(|ip| Some((ip.gateway?, ip.address)));
    let vlan = plan.port.vlans.as_ref().and_then(|vlans| vlans.own);
    let interface = match vlan {
        Some(id) => &vlan_interface(host, plan, bridge, id)?,
        None => bridge,
    };
    let mut found = None;
    for (gateway, subnet) in gateways() {
        let address = steps::gateway::with_prefix(gateway, subnet);
        let found = match &mut found {
            Some(found) => found,
            None => found.insert(addr::list(host, interface.index)?),
        };
        ensure_address(host, interface, address, found, wish.replace_address)?;
    }
    forwarding::enable(gateways().map(|(gateway, _)| gateway))
}

fn ensure_address(
    host: &mut Rtnl,
    interface: &Link,
    wanted: IpNet,
    found: &[AddressFound],
    replace: bool,
) -> Result<()> {
    if found.iter().any(|address| address.net == wanted) {
        return Ok(());
    }
    for address in found.iter().filter(|address| conflicts(address.net, wanted)) {
        if !replace {
            return Err(Error::internal(format!(
                "{:?} already has an IP address different from {wanted}: it has {}; \
                 remove that address, or set forceAddress to have it replaced",
                interface.name, address.net
            )));
        }
        let address = Address { ip: address.net, index: interface.index, nodad: false };
        forgive_removed(host.request(address.remove()))?;
    }
    let address = Address { ip: wanted, index: interface.index, nodad: true };
    kernel::error::forgive_existing(host.request(address.add()))?;
    pin_mac(host, interface)
}

/// Forgives EADDRNOTAVAIL: another ADD on the same bridge replaced the address first.
fn forgive_removed(outcome: kernel::error::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.errno() == Errno::ADDRNOTAVAIL => Ok(()),
        other => Ok(other?),
    }
}

/// IPv4: one address only. IPv6: several, as long as their subnets are apart.
fn conflicts(have: IpNet, wanted: IpNet) -> bool {
    let same_family = have.addr().is_ipv4() == wanted.addr().is_ipv4();
    same_family && (wanted.addr().is_ipv4() || have.contains(&wanted.addr()) || wanted.contains(&have.addr()))
}

/// A bridge that somebody else made may take its MAC from its ports and change it when one leaves, and with it
/// every neighbour's cache. Set explicitly, it stays.
fn pin_mac(host: &mut Rtnl, interface: &Link) -> Result<()> {
    match interface.mac {
        Some(mac) => Ok(host.request(link::set_mac(interface.index, mac))?),
        None => Ok(()),
    }
}

/// The host's own interface in a VLAN of the bridge, `<bridge>.<vlan>`: one end of a veth whose other end is a
/// port in that VLAN.
fn vlan_interface(host: &mut Rtnl, plan: &Plan, bridge: &Link, id: u16) -> Result<Link> {
    let name = format!("{}.{id}", bridge.name);
    if let Some(found) = link::get(host, LinkRef::Name(&name))? {
        return Ok(found);
    }
    let port = format!("veth{}", steps::label::hash_prefix(&name, 4));
    let pair = Veth {
        host_name: &port,
        host_mac: Mac::random()?,
        mtu: plan.bridge.mtu,
        master: Some(bridge.index),
        container_name: &name,
        container_mac: Mac::random()?,
        netns: &NetNs::current()?,
    };
    kernel::error::forgive_existing(host.request(pair.create()))?;
    let port_link = link::get(host, LinkRef::Name(&port))?
        .ok_or_else(|| Error::try_again(format!("port {port} of {name} vanished while it was being made")))?;
    crate::vlan::Vlans::only(id).apply(host, port_link.index)?;
    let interface = link::get(host, LinkRef::Name(&name))?
        .ok_or_else(|| Error::try_again(format!("interface {name} vanished while it was being made")))?;
    host.request(link::set_up(interface.index))?;
    Ok(interface)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::conflicts;

    #[test]
    fn any_other_ipv4_address_conflicts_but_only_overlapping_ipv6_does() {
        let conflict = |have: &str, wanted: &str| conflicts(have.parse().unwrap(), wanted.parse().unwrap());
        assert!(conflict("10.1.0.1/16", "10.2.0.1/16"));
        assert!(!conflict("10.1.0.1/16", "fd00::1/64"));
        assert!(conflict("fd00::1/64", "fd00::2/64"));
        assert!(!conflict("fe80::1/64", "fd00::1/64"));
    }
}
