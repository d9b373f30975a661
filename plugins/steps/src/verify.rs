//! What CHECK compares: the result that ADD gave with what the kernel has now.

use crate::sockets::Sockets;
use ipnet::IpNet;
use kernel::addr;
use kernel::link::{self, Link, LinkRef};
use kernel::route::{self, RouteFound};
use spec::error::{Error, Result};
use spec::request::Check;
use spec::result::{Interface, Ip, Success};
use std::net::IpAddr;

/// The entry of `prevResult` that is the container's interface, with its position.
///
/// # Errors
/// There is none, or it stands in another namespace.
pub fn container_interface<'a>(call: &Check, result: &'a Success) -> Result<(usize, &'a Interface)> {
    let ifname = call.attachment.ifname.as_str();
    let named = |interface: &&Interface| interface.name == ifname && !interface.is_on_host();
    let Some(position) = result.interfaces.iter().position(|interface| named(&interface)) else {
        return Err(Error::internal(format!("prevResult has no interface {ifname} in a sandbox")));
    };
    let interface = &result.interfaces[position];
    let sandbox = interface.sandbox.as_deref().unwrap_or_default();
    if std::path::Path::new(sandbox) != call.netns {
        return Err(Error::internal(format!(
            "Sandbox in prevResult {sandbox} doesn't match configured netns: {}",
            call.netns.display()
        )));
    }
    Ok((position, interface))
}

/// The container's link, which must be there, of this kind, and with the MAC that was recorded.
///
/// # Errors
/// What differs.
pub fn container_link(sockets: &mut Sockets, recorded: &Interface, kind: &str) -> Result<Link> {
    let name = recorded.name.as_str();
    let link = link::get(&mut sockets.container, LinkRef::Name(name))?
        .ok_or_else(|| Error::internal(format!("interface {name} not found in the container")))?;
    if link.kind.as_deref() != Some(kind) {
        let found = link.kind.as_deref().unwrap_or("no kind");
        return Err(Error::internal(format!("interface {name} is of kind {found}, not {kind}")));
    }
    same_mac(&link, recorded)?;
    Ok(link)
}

/// The MAC of a link is the recorded one; a record without MAC asks for nothing.
///
/// # Errors
/// Both addresses.
pub fn same_mac(link: &Link, recorded: &Interface) -> Result<()> {
    let (Some(wanted), Some(found)) = (&recorded.mac, link.mac) else {
        return Ok(());
    };
    if wanted.eq_ignore_ascii_case(&found.to_string()) {
        return Ok(());
    }
    Err(Error::internal(format!("interface {} has MAC {found}, prevResult says {wanted}", recorded.name)))
}

/// Each address of the result is on the link exactly, and a route leads to its subnet.
///
/// # Errors
/// The first address that is missing.
pub fn addresses(sockets: &mut Sockets, link: &Link, position: usize, ips: &[Ip]) -> Result<()> {
    let found = addr::list(&mut sockets.container, link.index)?;
    let routes = all_routes(sockets, &ips.iter().map(|ip| ip.address).collect::<Vec<_>>())?;
    for ip in ips.iter().filter(|ip| ip.interface.is_none_or(|index| index == position)) {
        if !found.iter().any(|address| address.net == ip.address) {
            return Err(Error::internal(format!("address {} is not on {}", ip.address, link.name)));
        }
        let subnet = ip.address.trunc();
        let alone = subnet.prefix_len() == subnet.max_prefix_len();
        if !alone && !routes.iter().any(|route| route.dst == subnet) {
            return Err(Error::internal(format!(
                "route to subnet {subnet} of {} not found in the container",
                link.name
            )));
        }
    }
    Ok(())
}

/// All routes of the families that these destinations are of.
fn all_routes(sockets: &mut Sockets, of: &[IpNet]) -> Result<Vec<RouteFound>> {
    let mut found = Vec::new();
    for v6 in [false, true] {
        if of.iter().any(|net| net.addr().is_ipv6() == v6) {
            found.extend(route::list(&mut sockets.container, v6)?);
        }
    }
    Ok(found)
}

/// Each route of the result exists; of a default route only that there is one of its family.
///
/// # Errors
/// The first route that is missing.
pub fn routes(sockets: &mut Sockets, result: &Success) -> Result<()> {
    let found = all_routes(sockets, &result.routes.iter().map(|route| route.dst).collect::<Vec<_>>())?;
    for route in &result.routes {
        let default = route.dst.prefix_len() == 0;
        let matches = |have: &RouteFound| have.dst == route.dst && (default || same_gateway(have, route.gw));
        if !found.iter().any(matches) {
            return Err(Error::internal(format!("route to {} not found in the container", route.dst)));
        }
    }
    Ok(())
}

fn same_gateway(have: &RouteFound, wanted: Option<IpAddr>) -> bool {
    wanted.is_none() || have.gw == wanted
}
