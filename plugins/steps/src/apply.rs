//! An IPAM result becomes addresses and routes on the container's interface.

use crate::gateway;
use crate::sockets::Sockets;
use kernel::addr::{self, Address};
use kernel::link::{self, Link, LinkRef, LinkUp, OperState, PortState};
use kernel::route::Route;
use kernel::rtnl::Rtnl;
use kernel::sysctl;
use spec::error::{Error, Result};
use spec::names::IfName;
use spec::result::{Ip, Success};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Longest wait for duplicate address detection, where it was asked for: the reference plugins' own.
const DAD_LIMIT: Duration = Duration::from_secs(5);
/// How often an address in detection is looked at again. Detection takes a second or more.
const DAD_POLL: Duration = Duration::from_millis(20);

/// Longest wait for a bridge port to forward: the reference bridge's own.
const PORT_LIMIT: Duration = Duration::from_secs(3);
/// How often a port that does not forward yet is looked at again.
const PORT_POLL: Duration = Duration::from_millis(1);

/// Whether an IPv6 address is used at once or only after the kernel asked whether somebody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateDetection {
    /// Used at once: IPAM hands no address out twice.
    Off,
    /// The kernel asks first, and the ADD waits for its verdict.
    Wait,
}

/// Whom the interface reaches without a gateway.
#[derive(Clone, Copy, Debug)]
pub enum OnLink<'a> {
    /// The subnets of its addresses, by the routes that the kernel makes.
    Subnets,
    /// Nobody but for these routes, which stand before those of the result.
    Only(&'a [Route]),
}

impl OnLink<'_> {
    /// Whether the gateway is on one of the subnets that no route leads to: the kernel would not take it for a
    /// neighbour by itself.
    fn leaves_out(&self, gw: Option<IpAddr>, ips: &[Ip]) -> bool {
        let (OnLink::Only(routes), Some(gw)) = (self, gw) else { return false };
        let has_route = routes.iter().any(|route| route.dst == gw.into());
        !has_route && ips.iter().any(|ip| ip.address.contains(&gw))
    }
}

/// The interface in the container that a result is applied to.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its name, for sysctls and errors.
    pub name: &'a IfName,
    /// Its index in the container's namespace.
    pub index: u32,
    /// What happens to IPv6 addresses.
    pub detection: DuplicateDetection,
    /// Whom it reaches without a gateway.
    pub on_link: OnLink<'a>,
}

/// Brings the interface up with the result's addresses and routes, in one netlink batch.
///
/// # Errors
/// The sysctl, address or route that the kernel refused; an IPv6 address that somebody else has.
pub fn apply(sockets: &mut Sockets, target: &Target<'_>, result: &Success) -> Result<()> {
    let has_v6 = result.ips.iter().any(|ip| ip.address.addr().is_ipv6());
    if has_v6 || target.detection == DuplicateDetection::Wait {
        sockets.netns.run(|| prepare_ipv6(target, has_v6))??;
    }
    let mut batch = vec![LinkUp { index: target.index, arp_notify: true }.request()];
    batch.extend(result.ips.iter().map(|ip| {
        let nodad = target.detection == DuplicateDetection::Off;
        let address = Address { ip: ip.address, index: target.index, nodad };
        match target.on_link {
            OnLink::Subnets => address.add(),
            OnLink::Only(_) => address.add_without_route(),
        }
    }));
    if let OnLink::Only(routes) = target.on_link {
        batch.extend(routes.iter().map(Route::add));
    }
    batch.extend(result.routes.iter().map(|route| {
        let gw = gateway::for_route(route, &result.ips);
        to_kernel(route, gw, target, &result.ips).add()
    }));
    sockets
        .container
        .batch(batch)
        .map_err(|error| Error::from(error).context(format!("set up {} in the container", target.name)))?;
    if has_v6 && target.detection == DuplicateDetection::Wait {
        wait_for_detection(sockets, target)?;
    }
    Ok(())
}

/// Tells the neighbours who has the addresses now (gratuitous ARP, unsolicited neighbour advertisement).
///
/// Setting the MAC that the link has makes the kernel announce it; it is done last, because frames sent
/// before the bridge port forwards are lost.
///
/// # Errors
/// The kernel refused the address.
pub fn announce(sockets: &mut Sockets, target: &Target<'_>, mac: link::Mac) -> Result<()> {
    Ok(sockets.container.request(link::set_mac(target.index, mac))?)
}

fn to_kernel(route: &spec::result::Route, gw: Option<IpAddr>, target: &Target<'_>, ips: &[Ip]) -> Route {
    Route {
        dst: route.dst,
        gw,
        index: target.index,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
        mtu: route.mtu,
        advmss: route.advmss,
        src: None,
        onlink: target.on_link.leaves_out(gw, ips),
    }
}

/// Runs inside the container's namespace: `/proc/sys/net` shows the namespace of whoever opens it.
fn prepare_ipv6(target: &Target<'_>, has_v6: bool) -> Result<()> {
    let of = |ifname: &str, key: &str| format!("net/ipv6/conf/{ifname}/{key}");
    let name = target.name.as_str();
    if has_v6 {
        sysctl::set(&of("lo", "disable_ipv6"), "0")?;
        sysctl::set(&of(name, "disable_ipv6"), "0")?;
        sysctl::set(&of(name, "keep_addr_on_down"), "1")?;
        sysctl::set(&of(name, "ndisc_notify"), "1")?;
    }
    match target.detection {
        DuplicateDetection::Off => sysctl::set(&of(name, "accept_dad"), "0")?,
        DuplicateDetection::Wait => {
            sysctl::set(&of(name, "enhanced_dad"), "1")?;
            sysctl::set(&of(name, "accept_dad"), "1")?;
        }
    }
    Ok(())
}

fn wait_for_detection(sockets: &mut Sockets, target: &Target<'_>) -> Result<()> {
    let deadline = Instant::now() + DAD_LIMIT;
    loop {
        let found = addr::list(&mut sockets.container, target.index)?;
        if let Some(duplicate) = found.iter().find(|address| address.dadfailed) {
            return Err(Error::internal(format!(
                "address {} on {}: another host on the link has it (duplicate address detection)",
                duplicate.net, target.name
            )));
        }
        if !found.iter().any(|address| address.tentative) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return give_up_on_detection(sockets, target);
        }
        std::thread::sleep(DAD_POLL);
    }
}

/// A link without carrier cannot finish detection; that is no error of the attachment.
fn give_up_on_detection(sockets: &mut Sockets, target: &Target<'_>) -> Result<()> {
    let link = link::get(&mut sockets.container, LinkRef::Index(target.index))?;
    match link {
        Some(link) if link.carrier => Err(Error::try_again(format!(
            "duplicate address detection on {} took longer than {} s",
            target.name,
            DAD_LIMIT.as_secs()
        ))),
        _ => Ok(()),
    }
}

/// Waits until the host's end is up and its bridge, if any, has taken it into use, and tells how it is. Without
/// STP frames pass then; the container's end is in use since it came up.
///
/// Asking for a link makes the kernel settle its carrier on the spot, so the first look is enough; kernels
/// before 6.9 do that by themselves a moment later.
///
/// # Errors
/// The end is gone, or the bridge port stays disabled for [`PORT_LIMIT`].
pub fn settle(host: &mut Rtnl, name: &str) -> Result<Link> {
    let deadline = Instant::now() + PORT_LIMIT;
    loop {
        let port = host_end(host, name)?;
        // With STP on, the bridge listens and learns for half a minute before it forwards: that is its business.
        let enabled = port.port.is_none_or(|port| port.port_state != PortState::Disabled);
        if enabled && port.operstate == OperState::Up {
            return Ok(port);
        }
        if Instant::now() > deadline {
            return Err(unsettled(&port));
        }
        std::thread::sleep(PORT_POLL);
    }
}

fn unsettled(end: &Link) -> Error {
    let (name, state, limit) = (&end.name, end.operstate, PORT_LIMIT.as_secs());
    Error::internal(match end.port {
        Some(port) => format!(
            "bridge port in error state: {name} is {state:?} with its port {:?} after {limit} s",
            port.port_state
        ),
        None => format!("set up {name} on the host: it is {state:?} after {limit} s"),
    })
}

/// The host's end of a pair as it is now.
///
/// # Errors
/// It is gone.
pub fn host_end(host: &mut Rtnl, name: &str) -> Result<Link> {
    link::get(host, LinkRef::Name(name))?
        .ok_or_else(|| Error::try_again(format!("set up interface {name}: somebody removed it meanwhile")))
}

/// Whether the namespace has an interface of this name.
///
/// # Errors
/// The kernel does not answer.
pub fn has_interface(sockets: &mut Sockets, name: &IfName) -> Result<bool> {
    Ok(link::get(&mut sockets.container, LinkRef::Name(name.as_str()))?.is_some())
}
