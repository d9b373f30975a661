//! The requests that change or remove a link of any kind.

use super::Mac;
use super::attrs::{
    AF_INET, IFF_ALLMULTI, IFF_PROMISC, IFF_UP, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_IFALIAS, IFLA_IFNAME,
    IFLA_INET_CONF, IFLA_MASTER, IFLA_MTU, IFLA_TXQLEN, IPV4_DEVCONF_ARP_NOTIFY, RTM_DELLINK, RTM_SETLINK,
    message,
};
use crate::netlink::{ACK, Message, NESTED, REQUEST};
use crate::rtnl::Request;

/// `ip link set IF up`.
pub fn set_up(index: u32) -> Request {
    Request::new("set up", link(index), flags(index, IFF_UP, IFF_UP))
}

/// `ip link set IF down`.
pub fn set_down(index: u32) -> Request {
    Request::new("set down", link(index), flags(index, 0, IFF_UP))
}

/// `ip link set IF promisc on|off`.
pub fn set_promisc(index: u32, on: bool) -> Request {
    Request::new("set promiscuity of", switched(index, on), switch(index, on, IFF_PROMISC))
}

/// `ip link set IF allmulticast on|off`.
pub fn set_allmulti(index: u32, on: bool) -> Request {
    Request::new("set all-multicast mode of", switched(index, on), switch(index, on, IFF_ALLMULTI))
}

/// `ip link set IF address MAC`.
///
/// The kernel announces the addresses of a link whose MAC is set, the same one again too, where `arp_notify`
/// (IPv4) and `ndisc_notify` (IPv6) are on.
pub fn set_mac(index: u32, mac: Mac) -> Request {
    let message = flags(index, 0, 0).attr(IFLA_ADDRESS, &mac.0);
    Request::new("set MAC of", format!("{} to {mac}", link(index)), message)
}

/// `ip link set IF mtu MTU`.
pub fn set_mtu(index: u32, mtu: u32) -> Request {
    let message = flags(index, 0, 0).attr_u32(IFLA_MTU, mtu);
    Request::new("set MTU of", format!("{} to {mtu}", link(index)), message)
}

/// `ip link set IF txqueuelen PACKETS`.
pub fn set_tx_queue_len(index: u32, packets: u32) -> Request {
    let message = flags(index, 0, 0).attr_u32(IFLA_TXQLEN, packets);
    Request::new("set transmit queue length of", format!("{} to {packets}", link(index)), message)
}

/// `ip link set IF alias TEXT`; an empty text takes the alias away.
pub fn set_alias(index: u32, alias: &str) -> Request {
    // No closing NUL, which would count as text: an alias of length 0 is how one is removed.
    let message = flags(index, 0, 0).attr(IFLA_IFALIAS, alias.as_bytes());
    Request::new("set alias of", format!("{} to {alias:?}", link(index)), message)
}

/// `ip link set NAME alias TEXT`, by name, so that it can go in one send with what makes the link: the kernel
/// carries out a send in one system call, and a link without its mark cannot be left behind by a kill.
pub fn set_alias_of(name: &str, alias: &str) -> Request {
    let message = message(RTM_SETLINK, REQUEST | ACK, 0, 0, 0)
        .attr_str(IFLA_IFNAME, name)
        .attr(IFLA_IFALIAS, alias.as_bytes());
    Request::new("set alias of", format!("{name} to {alias:?}"), message)
}

/// `ip link set IF master BRIDGE`, or `nomaster` for `None`.
pub fn set_master(index: u32, master: Option<u32>) -> Request {
    let message = flags(index, 0, 0).attr_u32(IFLA_MASTER, master.unwrap_or(0));
    let object = match master {
        Some(master) => format!("{} to link {master}", link(index)),
        None => format!("{} to none", link(index)),
    };
    Request::new("set master of", object, message)
}

/// `ip link delete IF`. The kernel answers after a grace period of some 15 ms: see [`super::remove_early`].
pub fn removal(index: u32) -> Request {
    Request::new("remove", link(index), message(RTM_DELLINK, REQUEST | ACK, index, 0, 0))
}

/// Sets a link up, with the setting that is best made in the same message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkUp {
    /// The link.
    pub index: u32,
    /// Let the kernel announce the link's IPv4 addresses when it comes up or its MAC is set: the sysctl
    /// `net.ipv4.conf.IF.arp_notify`, through `IFLA_AF_SPEC`, so that nobody has to go to the namespace's
    /// `/proc`.
    pub arp_notify: bool,
}

impl LinkUp {
    /// The request: `ip link set IF up`. The kernel sets the flags first and `arp_notify` after.
    pub fn request(&self) -> Request {
        let message = flags(self.index, IFF_UP, IFF_UP);
        let message = if self.arp_notify { with_arp_notify(message) } else { message };
        Request::new("set up", link(self.index), message)
    }
}

/// `sysctl net.ipv4.conf.IF.arp_notify=1`, without going to `/proc`.
pub fn arp_notify(index: u32) -> Request {
    Request::new("set arp_notify of", link(index), with_arp_notify(flags(index, 0, 0)))
}

fn with_arp_notify(message: Message) -> Message {
    message.nest(IFLA_AF_SPEC | NESTED, |m| {
        m.nest(AF_INET | NESTED, |m| {
            m.nest(IFLA_INET_CONF | NESTED, |m| m.attr_u32(IPV4_DEVCONF_ARP_NOTIFY, 1))
        })
    })
}

fn flags(index: u32, flags: u32, change: u32) -> Message {
    message(RTM_SETLINK, REQUEST | ACK, index, flags, change)
}

fn switch(index: u32, on: bool, flag: u32) -> Message {
    flags(index, if on { flag } else { 0 }, flag)
}

fn switched(index: u32, on: bool) -> String {
    format!("{} to {}", link(index), if on { "on" } else { "off" })
}

fn link(index: u32) -> String {
    format!("link {index}")
}
