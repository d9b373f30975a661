//! Connections that the kernel tracks: listed, and forgotten one by one.
//!
//! UDP has no end of a connection. What goes to a port again and again keeps its entry, and with it the way that
//! the packet filter had chosen for its first packet, however the rules change.

use crate::addr::ip;
use crate::error::{Errno, Result};
use crate::netlink::{ACK, DUMP, Message, NESTED, REQUEST, attribute};
use crate::rtnl::{Request, Rtnl};
use crate::socket::{Protocol, Socket};
use crate::sysctl;
use std::net::IpAddr;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET`.
const GET: u16 = 0x101;
/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE`.
const DELETE: u16 = 0x102;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
/// Of the flags that say what of a tuple is to be compared (`enum ctattr_filter` and its bits): the protocol.
const BY_PROTOCOL: u32 = 1 << 3;
/// The port that it goes to.
const BY_DESTINATION_PORT: u32 = 1 << 5;
/// Bytes of `nfgenmsg`.
const BODY: usize = 4;

/// A socket to the connections of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    /// Its requests, lists and acknowledgements are those of the route family.
    link: Rtnl,
}

/// Which connections are asked for. The kernel filters within one family only (EOPNOTSUPP for both at once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of this address family.
    pub v6: bool,
    /// Of this transport protocol, by its number in the IP header.
    pub protocol: u8,
    /// To this port, as the caller sees it; to any for `None`.
    pub dport: Option<u16>,
}

/// The two ends of a connection, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Where from.
    pub src: IpAddr,
    /// From which port.
    pub sport: u16,
    /// Where to.
    pub dst: IpAddr,
    /// To which port.
    pub dport: u16,
}

/// A connection of a transport protocol with ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The number of its transport protocol in the IP header.
    pub protocol: u8,
    /// As the first packet came.
    pub original: Tuple,
    /// As the answers come: their source is where the first packet was led to.
    pub reply: Tuple,
    /// The kernel's number for this entry; another one between the same ends seldom has the same.
    pub id: u32,
    v6: bool,
    /// The attribute of the original direction as the kernel gave it: a zone may be part of it.
    tuple: Vec<u8>,
    zone: Option<Vec<u8>>,
}

impl Conntrack {
    /// Opens the connections of the calling thread's network namespace; `None` where the kernel has no netfilter
    /// netlink.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn open() -> Result<Option<Conntrack>> {
        match Socket::open(Protocol::Netfilter) {
            Ok(socket) => Ok(Some(Conntrack { link: Rtnl::over(socket) })),
            Err(error) if error.errno() == Errno::PROTONOSUPPORT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The connections that the filter lets pass; none where the kernel tracks none.
    ///
    /// The kernel goes through its whole table for each list, of all namespaces: with the usual 262144 buckets that
    /// takes it 10 to 20 ms, however few connections there are. A namespace without any is not asked.
    ///
    /// # Errors
    /// The kernel refuses the list (`EPERM`).
    pub fn list(&mut self, filter: Filter) -> Result<Vec<Flow>> {
        if tracks_nothing() {
            return Ok(Vec::new());
        }
        let family = if filter.v6 { "IPv6" } else { "IPv4" };
        let request = Request::new("list", format!("tracked {family} connections"), list_message(filter));
        let found = self.link.dump(request, |payload| Flow::read(payload).filter(|flow| filter.passes(flow)));
        forgive_no_tracking(found)
    }

    /// Forgets exactly this connection: the next packet is led as the rules say then. `false` where it is gone.
    ///
    /// # Errors
    /// The kernel refuses (`EPERM`).
    pub fn remove(&mut self, flow: &Flow) -> Result<bool> {
        let object = format!("from {} to {}", flow.original.src, flow.original.dst);
        gone(self.link.request(Request::new("forget connection", object, remove_message(flow))))
    }
}

/// Whether this namespace is known to have no connection; some kernels hide the number from user namespaces.
fn tracks_nothing() -> bool {
    sysctl::get("net/netfilter/nf_conntrack_count").is_ok_and(|count| count == "0")
}

/// Forgives EINVAL: the kernel has netfilter's netlink, but was built without connection tracking there.
fn forgive_no_tracking(found: Result<Vec<Flow>>) -> Result<Vec<Flow>> {
    match found {
        Err(error) if error.errno() == Errno::INVAL => Ok(Vec::new()),
        other => other,
    }
}

/// Forgives ENOENT: it expired since it was listed.
fn gone(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Errno::NOENT => Ok(false),
        Err(error) => Err(error),
    }
}

impl Filter {
    /// Kernels before 5.8 list all of the family, whatever they were asked.
    fn passes(&self, flow: &Flow) -> bool {
        flow.v6 == self.v6
            && flow.protocol == self.protocol
            && self.dport.is_none_or(|port| flow.original.dport == port)
    }

    fn flags(&self) -> u32 {
        BY_PROTOCOL | self.dport.map_or(0, |_| BY_DESTINATION_PORT)
    }
}

fn list_message(filter: Filter) -> Message {
    Message::new(GET, REQUEST | DUMP)
        .body(&body(filter.v6))
        .nest(CTA_TUPLE_ORIG | NESTED, |tuple| {
            tuple.nest(CTA_TUPLE_PROTO | NESTED, |protocol| {
                protocol
                    .attr(CTA_PROTO_NUM, &[filter.protocol])
                    .maybe(filter.dport, |m, port| m.attr(CTA_PROTO_DST_PORT, &port.to_be_bytes()))
            })
        })
        .nest(CTA_FILTER | NESTED, |flags| flags.attr_u32(CTA_FILTER_ORIG_FLAGS, filter.flags()))
}

fn remove_message(flow: &Flow) -> Message {
    Message::new(DELETE, REQUEST | ACK)
        .body(&body(flow.v6))
        .attr(CTA_TUPLE_ORIG | NESTED, &flow.tuple)
        .maybe(flow.zone.as_ref(), |m, zone| m.attr(CTA_ZONE, zone))
        .attr_be32(CTA_ID, flow.id)
}

/// `nfgenmsg`.
fn body(v6: bool) -> [u8; BODY] {
    [if v6 { 10 } else { 2 }, 0, 0, 0]
}

impl Flow {
    /// `None` for protocols without ports.
    fn read(payload: &[u8]) -> Option<Flow> {
        let (family, attrs) = (*payload.first()?, payload.get(BODY..)?);
        let tuple = attribute(attrs, CTA_TUPLE_ORIG)?;
        Some(Flow {
            protocol: *attribute(attribute(tuple, CTA_TUPLE_PROTO)?, CTA_PROTO_NUM)?.first()?,
            original: Tuple::read(family, tuple)?,
            reply: Tuple::read(family, attribute(attrs, CTA_TUPLE_REPLY)?)?,
            id: u32::from_be_bytes(attribute(attrs, CTA_ID)?.try_into().ok()?),
            v6: family == 10,
            tuple: tuple.to_vec(),
            zone: attribute(attrs, CTA_ZONE).map(<[u8]>::to_vec),
        })
    }
}

impl Tuple {
    fn read(family: u8, tuple: &[u8]) -> Option<Tuple> {
        let (addresses, protocol) = (attribute(tuple, CTA_TUPLE_IP)?, attribute(tuple, CTA_TUPLE_PROTO)?);
        let (src, dst) = match family {
            10 => (CTA_IP_V6_SRC, CTA_IP_V6_DST),
            _ => (CTA_IP_V4_SRC, CTA_IP_V4_DST),
        };
        Some(Tuple {
            src: ip(family, attribute(addresses, src)?)?,
            sport: port(protocol, CTA_PROTO_SRC_PORT)?,
            dst: ip(family, attribute(addresses, dst)?)?,
            dport: port(protocol, CTA_PROTO_DST_PORT)?,
        })
    }
}

fn port(protocol: &[u8], kind: u16) -> Option<u16> {
    attribute(protocol, kind)?.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
