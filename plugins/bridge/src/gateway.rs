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

/// Gives the bridge (or, with a VLAN, the bridge's interface in that VLAN, which is returned) each gateway's
/// address, and switches forwarding on.
///
/// # Errors
/// The bridge has an address that conflicts and may not be replaced, or the kernel refuses.
pub(crate) fn ensure(
    host: &mut Rtnl,
    plan: &Plan,
    wish: GatewayWish,
    bridge: &Link,
    ips: &[Ip],
) -> Result<Option<Link>> {
    let vlan = plan.port.vlans.as_ref().and_then(|vlans| vlans.own);
    let own = vlan.map(|id| vlan_interface(host, plan, bridge, id)).transpose()?;
    let interface = own.as_ref().unwrap_or(bridge);
    let wanted = addresses(ips);
    let found = addr::list(host, interface.index)?;
    for address in wanted.iter().filter(|address| !has(&found, **address)) {
        let others = found.iter().filter(|other| !wanted.contains(&other.net));
        let conflicting = others.filter(|other| conflicts(other.net, *address));
        make_room(host, interface, *address, conflicting, wish.replace_address)?;
        let address = Address { ip: *address, index: interface.index, nodad: true };
        kernel::error::forgive_existing(host.request(address.add()))?;
        pin_mac(host, interface)?;
    }
    forwarding::enable(wanted.iter().map(IpNet::addr))?;
    Ok(own)
}

/// Whether the bridge has every gateway's address.
///
/// # Errors
/// The first one that is missing.
pub(crate) fn check(host: &mut Rtnl, plan: &Plan, bridge: &Link, ips: &[Ip]) -> Result<()> {
    let vlan = plan.port.vlans.as_ref().and_then(|vlans| vlans.own);
    let name = vlan.map_or_else(|| bridge.name.clone(), |id| vlan_name(bridge, id));
    let interface = link::get(host, LinkRef::Name(&name))?
        .ok_or_else(|| Error::internal(format!("gateway interface {name} not found")))?;
    let found = addr::list(host, interface.index)?;
    match addresses(ips).into_iter().find(|address| !has(&found, *address)) {
        Some(address) => Err(Error::internal(format!("gateway address {address} is not on {name}"))),
        None => Ok(()),
    }
}

/// The addresses that the bridge is to have, one for each subnet.
fn addresses(ips: &[Ip]) -> Vec<IpNet> {
    let gateways = ips.iter().filter_map(|ip| Some((ip.gateway?, ip.address)));
    gateways.map(|(gateway, subnet)| steps::gateway::with_prefix(gateway, subnet)).collect()
}

fn has(found: &[AddressFound], wanted: IpNet) -> bool {
    found.iter().any(|address| address.net == wanted)
}

/// Removes what conflicts with the wanted address, where that is allowed.
fn make_room<'a>(
    host: &mut Rtnl,
    interface: &Link,
    wanted: IpNet,
    conflicting: impl Iterator<Item = &'a AddressFound>,
    replace: bool,
) -> Result<()> {
    for other in conflicting {
        if !replace {
            return Err(Error::internal(format!(
                "{:?} already has an IP address different from {wanted}: it has {}; \
                 remove that address, or set forceAddress to have it replaced",
                interface.name, other.net
            )));
        }
        let address = Address { ip: other.net, index: interface.index, nodad: false };
        forgive_removed(host.request(address.remove()))?;
    }
    Ok(())
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

/// A bridge that somebody else made may take its MAC from its ports and change it when one leaves, and with
/// it every neighbour's cache. Set explicitly, it stays.
fn pin_mac(host: &mut Rtnl, interface: &Link) -> Result<()> {
    match interface.mac {
        Some(mac) => Ok(host.request(link::set_mac(interface.index, mac))?),
        None => Ok(()),
    }
}

fn vlan_name(bridge: &Link, id: u16) -> String {
    format!("{}.{id}", bridge.name)
}

/// The host's own interface in a VLAN of the bridge, `<bridge>.<vlan>`: one end of a veth whose other end is
/// a port in that VLAN. Whoever made it, and however far that came, it is as it should be afterwards.
fn vlan_interface(host: &mut Rtnl, plan: &Plan, bridge: &Link, id: u16) -> Result<Link> {
    let name = vlan_name(bridge, id);
    let interface = match link::get(host, LinkRef::Name(&name))? {
        Some(found) => found,
        None => create_vlan_interface(host, plan, bridge, &name)?,
    };
    let port =
        interface.peer_index.map(|index| link::get(host, LinkRef::Index(index))).transpose()?.flatten();
    let Some(port) = port.filter(|_| interface.kind.as_deref() == Some("veth")) else {
        return Err(Error::internal(format!(
            "{name:?} already exists but is not the bridge's interface in VLAN {id}"
        )));
    };
    if port.master != Some(bridge.index) {
        host.request(link::set_master(port.index, Some(bridge.index)))?;
    }
    crate::vlan::Vlans::only(id).apply(host, port.index)?;
    host.batch(vec![link::set_up(port.index), link::set_up(interface.index)])?;
    kernel::sysctl::set_if_possible(&format!("net/ipv6/conf/{name}/accept_ra"), "0")?;
    Ok(interface)
}

fn create_vlan_interface(host: &mut Rtnl, plan: &Plan, bridge: &Link, name: &str) -> Result<Link> {
    let pair = Veth {
        host_name: &format!("veth{}", steps::label::hash_prefix(name, 4)),
        host_mac: Mac::random()?,
        mtu: plan.bridge.mtu,
        master: Some(bridge.index),
        container_name: name,
        container_mac: Mac::random()?,
        netns: &NetNs::current()?,
    };
    kernel::error::forgive_existing(host.request(pair.create()))?;
    link::get(host, LinkRef::Name(name))?.ok_or_else(|| {
        Error::try_again(format!("create interface {name}: somebody removed it while it was being made"))
    })
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
