//! Links: what the kernel knows of one, and the requests that change any kind of it.

mod attrs;
pub mod bridge;
mod change;
pub mod ifb;
mod mac;
mod parse;
pub mod removal;
pub mod veth;

pub use change::{
    LinkUp, arp_notify, removal, set_alias, set_alias_of, set_allmulti, set_down, set_mac, set_master,
    set_mtu, set_promisc, set_tx_queue_len, set_up,
};
pub use mac::{Mac, MacError};
pub use removal::remove_early;

use crate::error::{Error, Result};
use crate::netlink::{ACK, DUMP, Message, REQUEST};
use crate::rtnl::{Request, Rtnl};
use attrs::{IFLA_EXT_MASK, IFLA_IFNAME, IFLA_MASTER, RTEXT_FILTER_SKIP_STATS, RTM_DELLINK, RTM_GETLINK};
use rustix::io::Errno;
use std::fmt;

/// How a link is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRef<'a> {
    /// By its index in the socket's namespace.
    Index(u32),
    /// By its name in the socket's namespace.
    Name(&'a str),
}

impl fmt::Display for LinkRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkRef::Index(index) => write!(f, "link {index}"),
            LinkRef::Name(name) => f.write_str(name),
        }
    }
}

/// A link as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the link in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge`, …; physical links have none.
    pub kind: Option<String>,
    /// Hardware address; tunnels may have one of another length, or none.
    pub mac: Option<Mac>,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Set up by an administrator (`IFF_UP`).
    pub up: bool,
    /// Set promiscuous by an administrator (`IFF_PROMISC`).
    pub promisc: bool,
    /// Set by an administrator to receive all multicast (`IFF_ALLMULTI`).
    pub allmulti: bool,
    /// There is a line: for a veth, the other end is up.
    pub carrier: bool,
    /// State by RFC 2863.
    pub operstate: OperState,
    /// Index of the bridge that this link is a port of.
    pub master: Option<u32>,
    /// Index of the other end, in the other end's namespace (`IFLA_LINK`).
    pub peer_index: Option<u32>,
    /// Number of the other end's namespace as seen from this one; `None` when it is the same.
    pub peer_nsid: Option<i32>,
    /// Free text for people.
    pub alias: Option<String>,
    /// Length of the transmit queue, in packets.
    pub tx_queue_len: u32,
    /// What it is as a port of a bridge.
    pub port: Option<BridgePort>,
    /// Of a bridge: whether it looks at VLAN tags.
    pub vlan_filtering: Option<bool>,
}

/// A bridge's side of one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// Frames may go back out where they came in.
    pub hairpin: bool,
    /// No frames to or from other isolated ports.
    pub isolated: bool,
    /// Whether frames pass.
    pub port_state: PortState,
}

/// State of a bridge port (`BR_STATE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of IEEE 802.1D")]
pub enum PortState {
    Disabled,
    Listening,
    Learning,
    Forwarding,
    Blocking,
}

/// State of a link (`IF_OPER_*`, RFC 2863).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of RFC 2863")]
pub enum OperState {
    Unknown,
    NotPresent,
    Down,
    LowerLayerDown,
    Testing,
    Dormant,
    Up,
}

/// Looks one link up. The kernel settles carrier and port state that are still on their way before it answers
/// (`linkwatch_sync_dev`).
///
/// # Errors
/// Whatever the kernel says but "no such device", which is `None`.
pub fn get(rtnl: &mut Rtnl, link: LinkRef<'_>) -> Result<Option<Link>> {
    match rtnl.query(lookup(link), parse::link) {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.errno == Errno::NODEV => Ok(None),
        Err(error) => Err(error),
    }
}

/// All links of the socket's namespace.
///
/// # Errors
/// The kernel refuses the list.
pub fn list(rtnl: &mut Rtnl) -> Result<Vec<Link>> {
    rtnl.dump(Request::new("list", "links", dump_message()), parse::link)
}

/// All ports of a bridge.
///
/// # Errors
/// The kernel refuses the list.
pub fn ports_of(rtnl: &mut Rtnl, master: u32) -> Result<Vec<Link>> {
    let request = Request::new("list", format!("ports of link {master}"), ports_message(master));
    // The kernel filters by itself; a link that left the bridge while the list was made may still be in it.
    rtnl.dump(request, |payload| parse::link(payload).filter(|link| link.master == Some(master)))
}

/// Removes a link and, of a veth, the other end with it. `false` when somebody else had removed it already.
///
/// # Errors
/// Whatever else the kernel says.
pub fn remove(rtnl: &mut Rtnl, link: LinkRef<'_>) -> Result<bool> {
    gone_is_fine(rtnl.request(match link {
        LinkRef::Index(index) => removal(index),
        LinkRef::Name(name) => removal_by_name(name),
    }))
}

/// Forgives ENODEV: the container's namespace ended, or another DEL of the same attachment came first.
fn gone_is_fine(removed: Result<()>) -> Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(Error { errno: Errno::NODEV, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `ip link delete NAME`, which looks the index up first.
fn removal_by_name(name: &str) -> Request {
    let message = attrs::message(RTM_DELLINK, REQUEST | ACK, 0, 0, 0);
    Request::new("remove", name, message.attr_str(IFLA_IFNAME, name))
}

fn lookup(link: LinkRef<'_>) -> Request {
    let message = match link {
        LinkRef::Index(index) => attrs::message(RTM_GETLINK, REQUEST, index, 0, 0),
        LinkRef::Name(name) => attrs::message(RTM_GETLINK, REQUEST, 0, 0, 0).attr_str(IFLA_IFNAME, name),
    };
    Request::new("look up", link.to_string(), message.attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))
}

fn dump_message() -> Message {
    let message = attrs::message(RTM_GETLINK, REQUEST | DUMP, 0, 0, 0);
    message.attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
}

fn ports_message(master: u32) -> Message {
    dump_message().attr_u32(IFLA_MASTER, master)
}

#[cfg(test)]
mod tests;
