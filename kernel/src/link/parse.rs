//! From an `RTM_NEWLINK` message to a [`Link`].

use super::attrs::{
    IFF_ALLMULTI, IFF_PROMISC, IFF_UP, IFLA_ADDRESS, IFLA_BR_VLAN_FILTERING, IFLA_BRPORT_ISOLATED,
    IFLA_BRPORT_MODE, IFLA_BRPORT_STATE, IFLA_CARRIER, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA,
    IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_MTU, IFLA_OPERSTATE, IFLA_TXQLEN,
};
use super::{BridgePort, Link, Mac, OperState, PortState};
use crate::netlink::{attribute, attributes, text, u32_at};

/// Bytes of `ifinfomsg`.
const BODY: usize = 16;

/// Reads the payload; `None` when it is too short to be one.
pub(super) fn link(payload: &[u8]) -> Option<Link> {
    let flags = u32_at(payload, 8)?;
    let mut link = blank(u32_at(payload, 4)?, flags);
    for (kind, value) in attributes(payload.get(BODY..)?) {
        take(&mut link, kind, value);
    }
    Some(link)
}

fn blank(index: u32, flags: u32) -> Link {
    Link {
        index,
        name: String::new(),
        kind: None,
        mac: None,
        mtu: 0,
        up: flags & IFF_UP != 0,
        promisc: flags & IFF_PROMISC != 0,
        allmulti: flags & IFF_ALLMULTI != 0,
        carrier: false,
        operstate: OperState::Unknown,
        master: None,
        peer_index: None,
        peer_nsid: None,
        alias: None,
        tx_queue_len: 0,
        port: None,
        vlan_filtering: None,
    }
}

fn take(link: &mut Link, kind: u16, value: &[u8]) {
    match kind {
        IFLA_IFNAME => link.name = text(value),
        IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(value).ok().map(Mac),
        IFLA_MTU => link.mtu = u32_at(value, 0).unwrap_or(0),
        IFLA_CARRIER => link.carrier = flag(value),
        IFLA_OPERSTATE => link.operstate = operstate(value),
        IFLA_MASTER => link.master = u32_at(value, 0),
        // Zero is a device's word for "none", as of a veth whose other end is going away.
        IFLA_LINK => link.peer_index = u32_at(value, 0).filter(|index| *index != 0),
        IFLA_LINK_NETNSID => link.peer_nsid = u32_at(value, 0).map(u32::cast_signed),
        IFLA_IFALIAS => link.alias = Some(text(value)),
        IFLA_TXQLEN => link.tx_queue_len = u32_at(value, 0).unwrap_or(0),
        IFLA_LINKINFO => take_info(link, value),
        _ => {}
    }
}

fn take_info(link: &mut Link, info: &[u8]) {
    link.kind = attribute(info, IFLA_INFO_KIND).map(text);
    if link.kind.as_deref() == Some("bridge") {
        let data = attribute(info, IFLA_INFO_DATA).unwrap_or_default();
        link.vlan_filtering = attribute(data, IFLA_BR_VLAN_FILTERING).map(flag);
    }
    if attribute(info, IFLA_INFO_SLAVE_KIND).map(text).as_deref() == Some("bridge") {
        link.port = attribute(info, IFLA_INFO_SLAVE_DATA).map(port);
    }
}

fn port(data: &[u8]) -> BridgePort {
    BridgePort {
        hairpin: attribute(data, IFLA_BRPORT_MODE).is_some_and(flag),
        isolated: attribute(data, IFLA_BRPORT_ISOLATED).is_some_and(flag),
        port_state: attribute(data, IFLA_BRPORT_STATE).map_or(PortState::Disabled, port_state),
    }
}

fn flag(value: &[u8]) -> bool {
    value.first().is_some_and(|byte| *byte != 0)
}

fn port_state(value: &[u8]) -> PortState {
    match value.first() {
        Some(1) => PortState::Listening,
        Some(2) => PortState::Learning,
        Some(3) => PortState::Forwarding,
        Some(4) => PortState::Blocking,
        _ => PortState::Disabled,
    }
}

fn operstate(value: &[u8]) -> OperState {
    match value.first() {
        Some(1) => OperState::NotPresent,
        Some(2) => OperState::Down,
        Some(3) => OperState::LowerLayerDown,
        Some(4) => OperState::Testing,
        Some(5) => OperState::Dormant,
        Some(6) => OperState::Up,
        _ => OperState::Unknown,
    }
}
