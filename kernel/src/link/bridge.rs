//! Bridges, their ports, and the VLANs on them.

use super::Mac;
use super::attrs::{
    AF_BRIDGE, IFF_PROMISC, IFF_UP, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_BR_MULTI_BOOLOPT,
    IFLA_BR_VLAN_FILTERING, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_MODE, IFLA_IFNAME, IFLA_INFO_DATA,
    IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU, IFLA_PROTINFO, RTM_DELLINK, RTM_NEWLINK, RTM_SETLINK,
    family_message, message,
};
use crate::error::Result;
use crate::netlink::{
    ACK, CREATE, DUMP, EXCL, Message, NESTED, REQUEST, attribute, attributes, u16_at, u32_at,
};
use crate::rtnl::{Request, Rtnl};
use std::ops::RangeInclusive;

/// Bit of the option `no_linklocal_learn` (`1 << BR_BOOLOPT_NO_LL_LEARN`).
const BR_BOOLOPT_NO_LL_LEARN: u32 = 1;

const RTM_GETVLAN: u16 = 114;
const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const BRIDGE_FLAGS_SELF: u16 = 2;
const VLAN_PVID: u16 = 1 << 1;
const VLAN_UNTAGGED: u16 = 1 << 2;
const VLAN_RANGE_BEGIN: u16 = 1 << 3;
const VLAN_RANGE_END: u16 = 1 << 4;
const BRIDGE_VLANDB_ENTRY: u16 = 1;
const BRIDGE_VLANDB_ENTRY_INFO: u16 = 1;
const BRIDGE_VLANDB_ENTRY_RANGE: u16 = 2;

/// A bridge to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its MAC. A bridge that is given none takes the lowest of its ports' and changes it as they come and
    /// go.
    pub mac: Mac,
    /// Its MTU; the least of its ports' for `None`.
    pub mtu: Option<u32>,
    /// Whether it looks at VLAN tags.
    pub vlan_filtering: bool,
    /// Whether it takes in frames for any address.
    pub promisc: bool,
}

impl Bridge<'_> {
    /// `ip link add BRIDGE up address MAC mtu MTU promisc on type bridge vlan_filtering 1`; `EEXIST` when it
    /// is there.
    pub fn create(&self) -> Request {
        let flags = if self.promisc { IFF_UP | IFF_PROMISC } else { IFF_UP };
        let message = message(RTM_NEWLINK, REQUEST | ACK | CREATE | EXCL, 0, flags, flags)
            .attr(IFLA_ADDRESS, &self.mac.0)
            .maybe(self.mtu, |m, mtu| m.attr_u32(IFLA_MTU, mtu))
            .attr_str(IFLA_IFNAME, self.name)
            .nest(IFLA_LINKINFO, |m| {
                let kind = m.attr(IFLA_INFO_KIND, b"bridge");
                kind.maybe(self.vlan_filtering.then_some(1), filtering)
            });
        Request::new("create bridge", self.name, message)
    }
}

fn filtering(message: Message, on: u8) -> Message {
    message.nest(IFLA_INFO_DATA, |m| m.attr(IFLA_BR_VLAN_FILTERING, &[on]))
}

/// `ip link set BRIDGE type bridge vlan_filtering 1`.
pub fn set_vlan_filtering(index: u32) -> Request {
    let message = message(RTM_NEWLINK, REQUEST | ACK, index, 0, 0)
        .nest(IFLA_LINKINFO, |m| filtering(m.attr(IFLA_INFO_KIND, b"bridge"), 1));
    Request::new("set VLAN filtering of", format!("link {index}"), message)
}

/// `ip link set BRIDGE type bridge no_linklocal_learn 1`: what is sent to the groups of IEEE 802.1Q, which no rule of a
/// bridge sees, does not tell the bridge where a MAC is.
pub fn set_no_linklocal_learn(index: u32) -> Request {
    let option = |m: Message| {
        let (value, mask) = (BR_BOOLOPT_NO_LL_LEARN.to_ne_bytes(), BR_BOOLOPT_NO_LL_LEARN.to_ne_bytes());
        m.attr(IFLA_BR_MULTI_BOOLOPT, &[value, mask].concat())
    };
    let message = message(RTM_NEWLINK, REQUEST | ACK, index, 0, 0)
        .nest(IFLA_LINKINFO, |m| m.attr(IFLA_INFO_KIND, b"bridge").nest(IFLA_INFO_DATA, option));
    Request::new("set no_linklocal_learn of", format!("link {index}"), message)
}

/// `bridge link set dev PORT hairpin on|off isolated on|off`.
pub fn port_flags(index: u32, hairpin: bool, isolated: bool) -> Request {
    let message = bridge_message(RTM_SETLINK, index).nest(IFLA_PROTINFO | NESTED, |m| {
        m.attr(IFLA_BRPORT_MODE, &[u8::from(hairpin)]).attr(IFLA_BRPORT_ISOLATED, &[u8::from(isolated)])
    });
    Request::new("set hairpin and isolation of", format!("port {index}"), message)
}

/// On which side of a bridge a VLAN is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanSide {
    /// On a port, told to its bridge (`master`).
    Port,
    /// On the bridge link itself (`self`).
    Bridge,
}

/// VLANs to be on a port or a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vlans {
    /// The port, or the bridge.
    pub index: u32,
    /// Which of the two.
    pub side: VlanSide,
    /// 1 to 4094.
    pub ids: RangeInclusive<u16>,
    /// Frames without tag come in as this VLAN; one number only.
    pub pvid: bool,
    /// Frames of this VLAN go out without tag.
    pub untagged: bool,
}

impl Vlans {
    /// `bridge vlan add dev PORT vid FIRST-LAST pvid untagged master|self`.
    pub fn add(&self) -> Request {
        Request::new("add", self.object(), self.message(RTM_SETLINK, self.flags()))
    }

    /// `bridge vlan del dev PORT vid FIRST-LAST master|self`.
    pub fn remove(&self) -> Request {
        Request::new("remove", self.object(), self.message(RTM_DELLINK, 0))
    }

    fn object(&self) -> String {
        format!("VLAN {}-{} on link {}", self.ids.start(), self.ids.end(), self.index)
    }

    fn flags(&self) -> u16 {
        let pvid = if self.pvid { VLAN_PVID } else { 0 };
        let untagged = if self.untagged { VLAN_UNTAGGED } else { 0 };
        pvid | untagged
    }

    /// `bridge` names the side only where it is `self`; the kernel takes none for `master`.
    fn message(&self, kind: u16, flags: u16) -> Message {
        bridge_message(kind, self.index).nest(IFLA_AF_SPEC, |m| {
            let own = (self.side == VlanSide::Bridge).then_some(BRIDGE_FLAGS_SELF);
            let m = m.maybe(own, |m, flags| m.attr(IFLA_BRIDGE_FLAGS, &flags.to_ne_bytes()));
            if self.ids.start() == self.ids.end() {
                return vlan_info(m, flags, *self.ids.start());
            }
            let m = vlan_info(m, flags | VLAN_RANGE_BEGIN, *self.ids.start());
            vlan_info(m, flags | VLAN_RANGE_END, *self.ids.end())
        })
    }
}

/// One VLAN that is on a port or bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanInfo {
    /// 1 to 4094.
    pub id: u16,
    /// Frames without tag come in as this VLAN.
    pub pvid: bool,
    /// Frames of this VLAN go out without tag.
    pub untagged: bool,
}

/// The VLANs on a port or bridge: `bridge -d vlan show dev PORT`. Needs Linux 5.6.
///
/// # Errors
/// `EOPNOTSUPP` when the kernel was built without VLAN filtering.
pub fn vlans(rtnl: &mut Rtnl, index: u32) -> Result<Vec<VlanInfo>> {
    let request = Request::new("list VLANs of", format!("link {index}"), vlans_message(index));
    let found = rtnl.dump(request, |payload| Some(vlans_in(payload, index)))?;
    Ok(found.into_iter().flatten().collect())
}

/// A `br_vlan_msg` that asks for one link.
fn vlans_message(index: u32) -> Message {
    let mut body = [0; 8];
    body[0] = AF_BRIDGE;
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    Message::new(RTM_GETVLAN, REQUEST | DUMP).body(&body)
}

/// The entries of one reply; one entry may stand for a range.
fn vlans_in(payload: &[u8], index: u32) -> Vec<VlanInfo> {
    if u32_at(payload, 4) != Some(index) {
        return Vec::new();
    }
    let entries = attributes(payload.get(8..).unwrap_or_default());
    let entries = entries.filter(|(kind, _)| *kind == BRIDGE_VLANDB_ENTRY);
    entries.filter_map(|(_, entry)| vlans_of_entry(entry)).flatten().collect()
}

fn vlans_of_entry(entry: &[u8]) -> Option<impl Iterator<Item = VlanInfo> + use<>> {
    let vlan = attribute(entry, BRIDGE_VLANDB_ENTRY_INFO)?;
    let (flags, first) = (u16_at(vlan, 0)?, u16_at(vlan, 2)?);
    let last =
        attribute(entry, BRIDGE_VLANDB_ENTRY_RANGE).and_then(|range| u16_at(range, 0)).unwrap_or(first);
    let (pvid, untagged) = (flags & VLAN_PVID != 0, flags & VLAN_UNTAGGED != 0);
    Some((first..=last).map(move |id| VlanInfo { id, pvid, untagged }))
}

fn bridge_message(kind: u16, index: u32) -> Message {
    family_message(kind, REQUEST | ACK, AF_BRIDGE, index, 0, 0)
}

fn vlan_info(message: Message, flags: u16, id: u16) -> Message {
    let mut value = [0; 4];
    value[..2].copy_from_slice(&flags.to_ne_bytes());
    value[2..].copy_from_slice(&id.to_ne_bytes());
    message.attr(IFLA_BRIDGE_VLAN_INFO, &value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::netlink::{hex, replies};

    #[test]
    fn vlans_are_asked_for_by_link() {
        // bridge -d vlan show dev PORT, as far as RTM_GETVLAN goes
        let expected = "18000000 72000103 00000000 00000000 07000000 07000000";
        assert_eq!(hex(vlans_message(7).as_bytes()), expected);
    }

    #[test]
    fn a_range_of_vlans_is_each_of_them() {
        let entry = |m: Message, flags: u16, id: u16, last: Option<u16>| {
            m.nest(BRIDGE_VLANDB_ENTRY | NESTED, |m| {
                let vlan = [flags.to_ne_bytes(), id.to_ne_bytes()].concat();
                m.attr(BRIDGE_VLANDB_ENTRY_INFO, &vlan)
                    .maybe(last, |m, last| m.attr(BRIDGE_VLANDB_ENTRY_RANGE, &last.to_ne_bytes()))
            })
        };
        let message = Message::new(112, 2).body(&[7, 0, 0, 0, 7, 0, 0, 0]);
        let message = entry(entry(message, 6, 1, None), 0, 10, Some(12));
        let payload = replies(message.as_bytes()).next().unwrap().payload;
        let tagged = |id| VlanInfo { id, pvid: false, untagged: false };
        let first = VlanInfo { id: 1, pvid: true, untagged: true };
        assert_eq!(vlans_in(payload, 7), [first, tagged(10), tagged(11), tagged(12)]);
        assert_eq!(vlans_in(payload, 8), []);
    }
}
