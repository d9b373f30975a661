//! A pair of virtual Ethernet links, each end born where it is to live.

use super::attrs::{
    IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
    IFLA_NET_NS_FD, RTM_NEWLINK, message,
};
use super::{LinkRef, Mac, get, set_alias_of};
use crate::error::Result;
use crate::netlink::{ACK, CREATE, EXCL, Message, REQUEST};
use crate::netns::NetNs;
use crate::rtnl::{Request, Rtnl};
use rustix::fd::{AsFd, AsRawFd};

/// In `IFLA_INFO_DATA` of a veth: the other end, as `ifinfomsg` and attributes.
const VETH_INFO_PEER: u16 = 1;

/// A pair to be: one end with the socket's namespace, the other in the container's.
#[derive(Debug)]
pub struct Veth<'a> {
    /// Name of the host's end.
    pub host_name: &'a str,
    /// MAC of the host's end.
    pub host_mac: Mac,
    /// MTU of both ends; the kernel's 1500 for `None`.
    pub mtu: Option<u32>,
    /// Bridge that the host's end becomes a port of.
    pub master: Option<u32>,
    /// Name of the container's end.
    pub container_name: &'a str,
    /// MAC of the container's end.
    pub container_mac: Mac,
    /// Namespace of the container's end; open until the request is sent.
    pub netns: &'a NetNs,
}

impl Veth<'_> {
    /// One request for both ends: host's end up and on its bridge, container's end down (the kernel refuses
    /// one that is born up: `ENOTCONN`). A name that is taken, on either side, is `EEXIST`; [`clash`] tells
    /// which.
    ///
    /// `ip link add HOST up address MAC mtu MTU master BRIDGE type veth peer name IF address MAC mtu MTU
    /// netns NS`
    pub fn create(&self) -> Request {
        let message = message(RTM_NEWLINK, REQUEST | ACK | CREATE | EXCL, 0, IFF_UP, IFF_UP)
            .attr(IFLA_ADDRESS, &self.host_mac.0)
            .maybe(self.mtu, |m, mtu| m.attr_u32(IFLA_MTU, mtu))
            .maybe(self.master, |m, master| m.attr_u32(IFLA_MASTER, master))
            .attr_str(IFLA_IFNAME, self.host_name)
            .nest(IFLA_LINKINFO, |m| m.attr(IFLA_INFO_KIND, b"veth").nest(IFLA_INFO_DATA, |m| self.peer(m)));
        let object = format!("{} with {} in its peer namespace", self.host_name, self.container_name);
        Request::new("create veth", object, message)
    }

    /// `ip link set HOST alias TEXT`, to go in one send with [`Veth::create`].
    pub fn mark(&self, alias: &str) -> Request {
        set_alias_of(self.host_name, alias)
    }

    /// Makes the pair and marks it, in one send. Gives the index of the container's end, in its own
    /// namespace, where the kernel tells it with the answer (since 6.2); else it has to be looked up.
    ///
    /// # Errors
    /// As [`Veth::create`].
    pub fn create_marked(&self, host: &mut Rtnl, alias: &str) -> Result<Option<u32>> {
        let requests = vec![self.create().echoed(), self.mark(alias)];
        host.batch_echoed(requests, |payload| super::parse::link(payload)?.peer_index)
    }

    fn peer(&self, message: Message) -> Message {
        let netns = self.netns.as_fd().as_raw_fd().cast_unsigned();
        message.nest(VETH_INFO_PEER, |m| {
            m.body(&[0; 16])
                .attr(IFLA_ADDRESS, &self.container_mac.0)
                .maybe(self.mtu, |m, mtu| m.attr_u32(IFLA_MTU, mtu))
                .attr_u32(IFLA_NET_NS_FD, netns)
                .attr_str(IFLA_IFNAME, self.container_name)
        })
    }
}

/// Whose name was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// The host's end: another name will do.
    Host,
    /// The container's end: the interface exists already.
    Container,
}

/// Finds out which name an `EEXIST` was about, which the kernel does not say. Asks the container first: a
/// clash there is the caller's to report, while a host name can be drawn anew.
///
/// # Errors
/// The kernel does not answer.
pub fn clash(container: &mut Rtnl, container_name: &str) -> Result<Clash> {
    let there = get(container, LinkRef::Name(container_name))?;
    Ok(if there.is_some() { Clash::Container } else { Clash::Host })
}
