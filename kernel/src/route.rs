//! Routes.

use crate::addr::{family, ip, octets};
use crate::error::{Errno, Result};
use crate::netlink::{ACK, CREATE, DUMP, Message, REQUEST, attribute, attributes, u16_at, u32_at};
use crate::rtnl::{Request, Rtnl};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
const RT_TABLE_MAIN: u32 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_NOWHERE: u8 = 255;
const RTNH_F_ONLINK: u8 = 4;
/// Bytes of `rtmsg`.
const BODY: usize = 12;

/// A route to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to; a prefix of length 0 is the default route.
    pub dst: IpNet,
    /// By which neighbour; none for what is on the link itself. It may be of the other address family.
    pub gw: Option<IpAddr>,
    /// Out of which link.
    pub index: u32,
    /// The lower wins; the kernel's 0 (IPv4) or 1024 (IPv6) for `None`.
    pub priority: Option<u32>,
    /// The main table for `None`.
    pub table: Option<u32>,
    /// For `None`: link where there is no gateway and IPv4, else global, as `ip` chooses.
    pub scope: Option<u8>,
    /// Largest packet on this route.
    pub mtu: Option<u32>,
    /// Largest TCP segment announced on this route.
    pub advmss: Option<u32>,
    /// The own address that is preferred.
    pub src: Option<IpAddr>,
    /// The gateway is a neighbour on the link, whatever the routes say.
    pub onlink: bool,
}

impl Route {
    /// `ip route prepend DST via GW dev IF …`: beside another route to the same place, not instead of it;
    /// exactly the same route again is `EEXIST`.
    pub fn add(&self) -> Request {
        let head = self.head(RTPROT_BOOT, self.scope.unwrap_or(self.usual_scope()), RTN_UNICAST);
        let message = self.message(RTM_NEWROUTE, REQUEST | ACK | CREATE, &head);
        Request::new("add route", self.object(), message.maybe(self.metrics(), |m, metrics| metrics(m)))
    }

    /// `ip route del DST via GW dev IF …`; `ESRCH` when there is none.
    pub fn remove(&self) -> Request {
        let head = self.head(0, self.scope.unwrap_or(SCOPE_NOWHERE), 0);
        Request::new("remove route", self.object(), self.message(RTM_DELROUTE, REQUEST | ACK, &head))
    }

    fn object(&self) -> String {
        match self.gw {
            Some(gw) => format!("{} via {gw} on link {}", self.dst, self.index),
            None => format!("{} on link {}", self.dst, self.index),
        }
    }

    fn usual_scope(&self) -> u8 {
        if self.gw.is_none() && self.dst.addr().is_ipv4() { SCOPE_LINK } else { SCOPE_UNIVERSE }
    }

    /// `rtmsg`. A table that does not fit its byte is told by the attribute alone.
    fn head(&self, protocol: u8, scope: u8, kind: u8) -> [u8; BODY] {
        let table = u8::try_from(self.table.unwrap_or(RT_TABLE_MAIN)).unwrap_or(0);
        let family = family(self.dst.addr());
        let [a, b, c, d] = u32::from(if self.onlink { RTNH_F_ONLINK } else { 0 }).to_ne_bytes();
        [family, self.dst.prefix_len(), 0, 0, table, protocol, scope, kind, a, b, c, d]
    }

    fn message(&self, kind: u16, flags: u16, head: &[u8; BODY]) -> Message {
        let dst = (self.dst.prefix_len() > 0).then(|| octets(self.dst.network()));
        let table = self.table.filter(|table| *table > 255);
        Message::new(kind, flags)
            .body(head)
            .maybe(dst, |m, dst| m.attr(RTA_DST, &dst))
            .maybe(self.gw, |m, gw| self.gateway(m, gw))
            .maybe(table, |m, table| m.attr_u32(RTA_TABLE, table))
            .maybe(self.src, |m, src| m.attr(RTA_PREFSRC, &octets(src)))
            .maybe(self.priority, |m, priority| m.attr_u32(RTA_PRIORITY, priority))
            .attr_u32(RTA_OIF, self.index)
    }

    /// `via inet6 …`: a gateway of the other family comes with its own.
    fn gateway(&self, message: Message, gw: IpAddr) -> Message {
        if gw.is_ipv6() == self.dst.addr().is_ipv6() {
            return message.attr(RTA_GATEWAY, &octets(gw));
        }
        let mut via = u16::from(family(gw)).to_ne_bytes().to_vec();
        via.extend(octets(gw));
        message.attr(RTA_VIA, &via)
    }

    fn metrics(&self) -> Option<impl FnOnce(Message) -> Message + use<>> {
        let (mtu, advmss) = (self.mtu, self.advmss);
        (mtu.is_some() || advmss.is_some()).then_some(move |message: Message| {
            message.nest(RTA_METRICS, |m| {
                m.maybe(mtu, |m, mtu| m.attr_u32(RTAX_MTU, mtu))
                    .maybe(advmss, |m, advmss| m.attr_u32(RTAX_ADVMSS, advmss))
            })
        })
    }
}

/// A route that is there; of one with several next hops, one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFound {
    /// Where to.
    pub dst: IpNet,
    /// By which neighbour.
    pub gw: Option<IpAddr>,
    /// Out of which link; `None` for routes to nowhere (`unreachable`, `blackhole`).
    pub index: Option<u32>,
    /// The lower wins.
    pub priority: u32,
    /// 254 is main, 255 is local.
    pub table: u32,
    /// 0 global, 253 link, 254 host.
    pub scope: u8,
    /// Who made it (`RTPROT_*`): 2 the kernel, 3 `ip` and we.
    pub protocol: u8,
    /// What it is (`RTN_*`): 1 unicast, 2 local, 3 broadcast.
    pub kind: u8,
    /// Largest packet on this route.
    pub mtu: Option<u32>,
    /// Largest TCP segment announced on this route.
    pub advmss: Option<u32>,
    /// The own address that is preferred.
    pub src: Option<IpAddr>,
}

/// All routes of a family, of all tables.
///
/// # Errors
/// The kernel refuses the list.
pub fn list(rtnl: &mut Rtnl, v6: bool) -> Result<Vec<RouteFound>> {
    let object = if v6 { "IPv6 routes" } else { "IPv4 routes" };
    let found = rtnl.dump(Request::new("list", object, list_message(v6)), found)?;
    Ok(found.into_iter().flatten().collect())
}

/// The route that a packet to this address would take now: its link, gateway and source. `None` where it would go
/// nowhere.
///
/// # Errors
/// The kernel refuses the question.
pub fn to(rtnl: &mut Rtnl, address: IpAddr) -> Result<Option<RouteFound>> {
    let request = Request::new("get route to", address.to_string(), to_message(address));
    let found = rtnl.query(request, found).map(|routes| routes.into_iter().next());
    forgive_nowhere(found)
}

/// `ip route get ADDRESS`.
fn to_message(address: IpAddr) -> Message {
    let mut head = [0; BODY];
    (head[0], head[1]) = (family(address), if address.is_ipv6() { 128 } else { 32 });
    Message::new(RTM_GETROUTE, REQUEST).body(&head).attr(RTA_DST, &octets(address))
}

/// Forgives what an administrator may have said of the address: no route at all, `unreachable`, `prohibit`,
/// `blackhole`.
fn forgive_nowhere(found: Result<Option<RouteFound>>) -> Result<Option<RouteFound>> {
    match found {
        Err(error)
            if [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::ACCESS, Errno::INVAL]
                .contains(&error.errno) =>
        {
            Ok(None)
        }
        other => other,
    }
}

fn list_message(v6: bool) -> Message {
    let mut head = [0; BODY];
    head[0] = if v6 { 10 } else { 2 };
    Message::new(RTM_GETROUTE, REQUEST | DUMP).body(&head)
}

fn found(payload: &[u8]) -> Option<Vec<RouteFound>> {
    let head = payload.first_chunk::<BODY>()?;
    let attrs = payload.get(BODY..)?;
    let (family, any) = (head[0], any(head[0])?);
    let dst = attribute(attrs, RTA_DST).and_then(|value| ip(family, value)).unwrap_or(any);
    let metric = |kind| attribute(attribute(attrs, RTA_METRICS)?, kind).and_then(|value| u32_at(value, 0));
    let number = |kind| attribute(attrs, kind).and_then(|value| u32_at(value, 0));
    let route = RouteFound {
        dst: IpNet::new(dst, head[1]).ok()?,
        gw: gateway(family, attrs),
        index: number(RTA_OIF),
        priority: number(RTA_PRIORITY).unwrap_or(0),
        table: number(RTA_TABLE).unwrap_or(u32::from(head[4])),
        scope: head[6],
        protocol: head[5],
        kind: head[7],
        mtu: metric(RTAX_MTU),
        advmss: metric(RTAX_ADVMSS),
        src: attribute(attrs, RTA_PREFSRC).and_then(|value| ip(family, value)),
    };
    match attribute(attrs, RTA_MULTIPATH) {
        Some(hops) => {
            Some(each_hop(family, hops).map(|(gw, index)| RouteFound { gw, index, ..route }).collect())
        }
        None => Some(vec![route]),
    }
}

/// The next hops of a route that has several: `rtnexthop`, each with attributes of its own.
fn each_hop(family: u8, mut hops: &[u8]) -> impl Iterator<Item = (Option<IpAddr>, Option<u32>)> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(hops, 0)?);
        let (index, attrs) = (u32_at(hops, 4)?, hops.get(8..length)?);
        hops = hops.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((gateway(family, attrs), Some(index)))
    })
}

fn gateway(family: u8, attrs: &[u8]) -> Option<IpAddr> {
    attributes(attrs).find_map(|(kind, value)| match kind {
        RTA_GATEWAY => ip(family, value),
        RTA_VIA => ip(*value.first()?, value.get(2..)?),
        _ => None,
    })
}

fn any(family: u8) -> Option<IpAddr> {
    match family {
        2 => Some(IpNet::V4(Ipv4Net::default()).addr()),
        10 => Some(IpNet::V6(Ipv6Net::default()).addr()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
