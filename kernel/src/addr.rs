//! Addresses on links.

use crate::error::Result;
use crate::netlink::{ACK, CREATE, DUMP, EXCL, Message, REQUEST, attributes, u32_at};
use crate::rtnl::{Request, Rtnl};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 0x02;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_PERMANENT: u32 = 0x80;
/// No link has this index.
const ANY_LINK: u32 = 0;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// Bytes of `ifaddrmsg`.
const BODY: usize = 8;

/// An address with its prefix length, to be on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address, host bits kept.
    pub ip: IpNet,
    /// The link.
    pub index: u32,
    /// IPv6: usable at once, without asking whether another host has it.
    pub nodad: bool,
}

impl Address {
    /// `ip address add IP brd + dev IF nodad`; `EEXIST` when the link has it.
    pub fn add(&self) -> Request {
        self.addition(0)
    }

    /// `ip address add IP brd + dev IF nodad noprefixroute`: the kernel makes no route to the address's subnet.
    /// For IPv4 since Linux 4.16.
    pub fn add_without_route(&self) -> Request {
        self.addition(IFA_F_NOPREFIXROUTE)
    }

    /// `ip address del IP dev IF`; `EADDRNOTAVAIL` when the link does not have it.
    pub fn remove(&self) -> Request {
        Request::new("remove address", self.object(), self.message(RTM_DELADDR, REQUEST | ACK, 0))
    }

    fn addition(&self, more_flags: u32) -> Request {
        let nodad = if self.nodad && self.ip.addr().is_ipv6() { IFA_F_NODAD } else { 0 };
        let message = self.message(RTM_NEWADDR, REQUEST | ACK | CREATE | EXCL, nodad | more_flags);
        let message = message.maybe(broadcast(self.ip), |m, ip| m.attr(IFA_BROADCAST, &ip.octets()));
        Request::new("add address", self.object(), message)
    }

    fn object(&self) -> String {
        format!("{} on link {}", self.ip, self.index)
    }

    /// Flags that do not fit their byte are told by the attribute alone.
    fn message(&self, kind: u16, nl_flags: u16, flags: u32) -> Message {
        let short_flags = u8::try_from(flags).unwrap_or(0);
        let long_flags = Some(flags).filter(|flags| *flags > 0xff);
        let head = [family(self.ip.addr()), self.ip.prefix_len(), short_flags, 0];
        let address = octets(self.ip.addr());
        Message::new(kind, nl_flags)
            .body(&body(head, self.index))
            .attr(IFA_LOCAL, &address)
            .maybe(long_flags, |m, flags| m.attr_u32(IFA_FLAGS, flags))
            .attr(IFA_ADDRESS, &address)
    }
}

/// An address that is on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFound {
    /// The address with its prefix length.
    pub net: IpNet,
    /// The kernel is still asking whether another host has it.
    pub tentative: bool,
    /// Another host has it.
    pub dadfailed: bool,
    /// It was set, not learnt from a router.
    pub permanent: bool,
    /// 0 global, 253 link, 254 host.
    pub scope: u8,
}

/// The addresses of one link, of both families.
///
/// # Errors
/// The kernel refuses the list: `ENODEV` when the link is gone.
pub fn list(rtnl: &mut Rtnl, index: u32) -> Result<Vec<AddressFound>> {
    let request = Request::new("list addresses of", format!("link {index}"), list_message(index));
    rtnl.dump(request, |payload| found(payload, index))
}

/// The addresses of all links, of both families.
///
/// # Errors
/// The kernel refuses the list.
pub fn list_all(rtnl: &mut Rtnl) -> Result<Vec<AddressFound>> {
    rtnl.dump(Request::new("list", "addresses of all links", list_message(ANY_LINK)), read)
}

fn list_message(index: u32) -> Message {
    Message::new(RTM_GETADDR, REQUEST | DUMP).body(&body([0; 4], index))
}

/// Kernels without strict checking list all links.
fn found(payload: &[u8], index: u32) -> Option<AddressFound> {
    if u32_at(payload, 4)? == index { read(payload) } else { None }
}

fn read(payload: &[u8]) -> Option<AddressFound> {
    let &[family, prefix, short_flags, scope] = payload.get(..4)?.first_chunk::<4>()?;
    let (mut address, mut local, mut flags) = (None, None, u32::from(short_flags));
    for (kind, value) in attributes(payload.get(BODY..)?) {
        match kind {
            IFA_ADDRESS => address = ip(family, value),
            IFA_LOCAL => local = ip(family, value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(AddressFound {
        // On a point-to-point link IFA_ADDRESS is the other side's.
        net: IpNet::new(local.or(address)?, prefix).ok()?,
        tentative: flags & IFA_F_TENTATIVE != 0,
        dadfailed: flags & IFA_F_DADFAILED != 0,
        permanent: flags & IFA_F_PERMANENT != 0,
        scope,
    })
}

/// `ifaddrmsg`.
fn body(head: [u8; 4], index: u32) -> [u8; BODY] {
    let mut body = [0; BODY];
    body[..4].copy_from_slice(&head);
    body[4..].copy_from_slice(&index.to_ne_bytes());
    body
}

/// A subnet of one or two addresses has none.
fn broadcast(net: IpNet) -> Option<Ipv4Addr> {
    match net {
        IpNet::V4(net) if net.prefix_len() < 31 => Some(net.broadcast()),
        _ => None,
    }
}

/// `AF_INET` or `AF_INET6`.
pub(crate) fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv6() { 10 } else { 2 }
}

/// The address as the kernel wants it.
pub(crate) fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The address in an attribute of a message of this family.
pub(crate) fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        2 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        10 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
