//! The numbers of the link messages: `include/uapi/linux/{rtnetlink,if_link,if_bridge}.h`.

use crate::netlink::Message;

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_SETLINK: u16 = 19;

pub(super) const AF_BRIDGE: u8 = 7;
pub(super) const AF_INET: u16 = 2;

pub(super) const IFF_UP: u32 = 0x1;
pub(super) const IFF_PROMISC: u32 = 0x100;
pub(super) const IFF_ALLMULTI: u32 = 0x200;

pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
pub(super) const IFLA_LINK: u16 = 5;
pub(super) const IFLA_MASTER: u16 = 10;
pub(super) const IFLA_PROTINFO: u16 = 12;
pub(super) const IFLA_TXQLEN: u16 = 13;
pub(super) const IFLA_OPERSTATE: u16 = 16;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_IFALIAS: u16 = 20;
pub(super) const IFLA_AF_SPEC: u16 = 26;
pub(super) const IFLA_NET_NS_FD: u16 = 28;
pub(super) const IFLA_EXT_MASK: u16 = 29;
pub(super) const IFLA_NUM_TX_QUEUES: u16 = 31;
pub(super) const IFLA_CARRIER: u16 = 33;
pub(super) const IFLA_LINK_NETNSID: u16 = 37;

/// In `IFLA_EXT_MASK`: leave the counters out, which are most of an answer.
pub(super) const RTEXT_FILTER_SKIP_STATS: u32 = 8;

pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
pub(super) const IFLA_INFO_SLAVE_KIND: u16 = 4;
pub(super) const IFLA_INFO_SLAVE_DATA: u16 = 5;

pub(super) const IFLA_BR_VLAN_FILTERING: u16 = 7;
pub(super) const IFLA_BR_MULTI_BOOLOPT: u16 = 46;
pub(super) const IFLA_BRPORT_STATE: u16 = 1;
pub(super) const IFLA_BRPORT_MODE: u16 = 4;
pub(super) const IFLA_BRPORT_ISOLATED: u16 = 33;

pub(super) const IFLA_INET_CONF: u16 = 1;
pub(super) const IPV4_DEVCONF_ARP_NOTIFY: u16 = 22;

/// Starts a message with its `ifinfomsg`: `flags` are set as far as `change` has them.
pub(super) fn message(kind: u16, nl_flags: u16, index: u32, flags: u32, change: u32) -> Message {
    family_message(kind, nl_flags, 0, index, flags, change)
}

/// The same for another address family than "none": `AF_BRIDGE`.
pub(super) fn family_message(
    kind: u16,
    nl_flags: u16,
    family: u8,
    index: u32,
    flags: u32,
    change: u32,
) -> Message {
    let mut body = [0; 16];
    body[0] = family;
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    Message::new(kind, nl_flags).body(&body)
}
