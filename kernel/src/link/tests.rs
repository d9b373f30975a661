//! Bytes of the link requests, each as `ip` and `bridge` (iproute2 6.1) send them, and the reading of
//! replies.
//!
//! Where `ip link set` sends `RTM_NEWLINK` without `NLM_F_CREATE`, we send `RTM_SETLINK`: the kernel takes
//! the same path.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::attrs::{
    IFLA_BRPORT_STATE, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINKINFO, RTM_NEWLINK,
};
use super::bridge::{Bridge, VlanSide, Vlans, port_flags, set_no_linklocal_learn, set_vlan_filtering};
use super::ifb::{self, Ifb};
use super::veth::Veth;
use super::*;
use crate::netlink::{hex, replies};
use crate::netns::NetNs;
use rustix::fd::{AsFd, AsRawFd};

const HEADER: &str = "00000000 00000000";

fn shows(request: &Request) -> String {
    hex(request.as_bytes())
}

fn set(length: &str, flags_and_change: &str, attributes: &str) -> String {
    let text = format!("{length} 13000500 {HEADER} 00000000 07000000 {flags_and_change} {attributes}");
    text.trim_end().to_owned()
}

#[test]
fn up_and_down() {
    // ip link set dev p0 up; ip link set dev p0 down
    assert_eq!(shows(&set_up(7)), set("20000000", "01000000 01000000", ""));
    assert_eq!(shows(&set_down(7)), set("20000000", "00000000 01000000", ""));
}

#[test]
fn promiscuity() {
    // ip link set dev p0 promisc on; … off
    assert_eq!(shows(&set_promisc(7, true)), set("20000000", "00010000 00010000", ""));
    assert_eq!(shows(&set_promisc(7, false)), set("20000000", "00000000 00010000", ""));
}

#[test]
fn all_multicast() {
    // ip link set dev p0 allmulticast on; … off
    assert_eq!(shows(&set_allmulti(7, true)), set("20000000", "00020000 00020000", ""));
    assert_eq!(shows(&set_allmulti(7, false)), set("20000000", "00000000 00020000", ""));
}

#[test]
fn transmit_queue_length() {
    // ip link set dev p0 txqueuelen 500
    let expected = set("28000000", "00000000 00000000", "08000d00 f4010000");
    assert_eq!(shows(&set_tx_queue_len(7, 500)), expected);
}

#[test]
fn mac_mtu_alias_master() {
    let none = "00000000 00000000";
    // ip link set dev p0 address 02:42:0a:01:00:02
    let mac = "02:42:0a:01:00:02".parse().unwrap();
    assert_eq!(shows(&set_mac(7, mac)), set("2c000000", none, "0a000100 02420a01 00020000"));
    // ip link set dev p0 mtu 1400
    assert_eq!(shows(&set_mtu(7, 1400)), set("28000000", none, "08000400 78050000"));
    // ip link set dev p0 alias hello
    assert_eq!(shows(&set_alias(7, "hello")), set("2c000000", none, "09001400 68656c6c 6f000000"));
    // ip link set dev p0 master br0; ip link set dev p0 nomaster
    assert_eq!(shows(&set_master(7, Some(5))), set("28000000", none, "08000a00 05000000"));
    assert_eq!(shows(&set_master(7, None)), set("28000000", none, "08000a00 00000000"));
}

#[test]
fn up_with_arp_notify() {
    // ip link set dev p0 up; sysctl net.ipv4.conf.p0.arp_notify=1
    let nested = "14001a80 10000280 0c000180 08001600 01000000";
    let up = LinkUp { index: 7, arp_notify: true }.request();
    assert_eq!(shows(&up), set("34000000", "01000000 01000000", nested));
    assert_eq!(shows(&arp_notify(7)), set("34000000", "00000000 00000000", nested));
    assert_eq!(shows(&LinkUp { index: 7, arp_notify: false }.request()), shows(&set_up(7)));
}

#[test]
fn removals() {
    // ip link del dev p0
    assert_eq!(shows(&removal(7)), format!("20000000 11000500 {HEADER} 00000000 07000000 00000000 00000000"));
    // The same by its name, which ip looks up first.
    let name = "00000000 00000000 00000000 00000000 07000300 70300000";
    assert_eq!(shows(&removal_by_name("p0")), format!("28000000 11000500 {HEADER} {name}"));
}

#[test]
fn lookups() {
    // ip link show dev p0, less the counters and the virtual functions
    let name = format!(
        "30000000 12000100 {HEADER} 00000000 00000000 00000000 00000000 07000300 70300000 08001d00 08000000"
    );
    assert_eq!(shows(&lookup(LinkRef::Name("p0"))), name);
    let index = format!("28000000 12000100 {HEADER} 00000000 07000000 00000000 00000000 08001d00 08000000");
    assert_eq!(shows(&lookup(LinkRef::Index(7))), index);
    // ip link show master br0
    let ports = format!(
        "30000000 12000103 {HEADER} 00000000 00000000 00000000 00000000 08001d00 08000000 08000a00 05000000"
    );
    assert_eq!(hex(ports_message(5).as_bytes()), ports);
}

#[test]
fn create_bridge() {
    // ip link add br1 up address 02:00:00:00:00:01 mtu 1400 promisc on type bridge vlan_filtering 1
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let full = Bridge { name: "br1", mac, mtu: Some(1400), vlan_filtering: true, promisc: true };
    let expected = format!(
        "58000000 10000506 {HEADER} 00000000 00000000 01010000 01010000 0a000100 02000000 00010000 \
         08000400 78050000 08000300 62723100 1c001200 0a000100 62726964 67650000 0c000200 05000700 01000000"
    );
    assert_eq!(shows(&full.create()), expected);
    // ip link add br1 up address 02:00:00:00:00:01 type bridge
    let plain = Bridge { mtu: None, vlan_filtering: false, promisc: false, ..full };
    let expected = format!(
        "44000000 10000506 {HEADER} 00000000 00000000 01000000 01000000 0a000100 02000000 00010000 \
         08000300 62723100 10001200 0a000100 62726964 67650000"
    );
    assert_eq!(shows(&plain.create()), expected);
}

#[test]
fn create_veth() {
    // ip link add vethabcd up address 02:00:00:00:00:02 mtu 1400 master br0
    //   type veth peer name eth0 address 02:00:00:00:00:03 mtu 1400 netns NS
    let netns = NetNs::current().unwrap();
    let veth = Veth {
        host_name: "vethabcd",
        host_mac: Mac([2, 0, 0, 0, 0, 2]),
        mtu: Some(1400),
        master: Some(5),
        container_name: "eth0",
        container_mac: Mac([2, 0, 0, 0, 0, 3]),
        netns: &netns,
    };
    let fd = hex(&netns.as_fd().as_raw_fd().to_ne_bytes());
    let expected = format!(
        "98000000 10000506 {HEADER} 00000000 00000000 01000000 01000000 0a000100 02000000 00020000 \
         08000400 78050000 08000a00 05000000 0d000300 76657468 61626364 00000000 4c001200 08000100 76657468 \
         40000200 3c000100 00000000 00000000 00000000 00000000 0a000100 02000000 00030000 08000400 78050000 \
         08001c00 {fd} 09000300 65746830 00000000"
    );
    assert_eq!(shows(&veth.create()), expected);
}

#[test]
fn create_ifb() {
    // ip link add bwp70 up mtu 1400 txqueuelen 0 type ifb
    let expected = format!(
        "48000000 10000506 {HEADER} 00000000 00000000 01000000 01000000 08000400 78050000 08000d00 00000000 \
         0a000300 62777037 30000000 0c001200 07000100 69666200"
    );
    assert_eq!(shows(&Ifb { name: "bwp70", mtu: 1400 }.create()), expected);
    // ip link set dev p0 alias hello, by the name
    let expected = format!(
        "34000000 13000500 {HEADER} 00000000 00000000 00000000 00000000 07000300 70300000 09001400 68656c6c 6f000000"
    );
    assert_eq!(shows(&set_alias_of("p0", "hello")), expected);
    // ip link add ifb-probe numtxqueues 0 type ifb, which ip itself does not send
    let expected = format!(
        "44000000 10000506 {HEADER} 00000000 00000000 00000000 00000000 08001f00 00000000 \
         0e000300 6966622d 70726f62 65000000 0c001200 07000100 69666200"
    );
    assert_eq!(shows(&ifb::probe()), expected);
}

#[test]
fn port_settings() {
    // bridge link set dev p0 hairpin on isolated on
    let expected = format!(
        "34000000 13000500 {HEADER} 07000000 07000000 00000000 00000000 14000c80 05000400 01000000 05002100 01000000"
    );
    assert_eq!(shows(&port_flags(7, true, true)), expected);
}

#[test]
fn vlan_filtering_is_switched_on() {
    // ip link set br0 type bridge vlan_filtering 1
    let expected = format!(
        "3c000000 10000500 {HEADER} 00000000 05000000 00000000 00000000 \
         1c001200 0a000100 62726964 67650000 0c000200 05000700 01000000"
    );
    assert_eq!(shows(&set_vlan_filtering(5)), expected);
}

/// `ip link set br0 type bridge no_linklocal_learn 1`
#[test]
fn a_bridge_that_learns_nothing_from_link_local_groups() {
    let expected = format!(
        "40000000 10000500 {HEADER} 00000000 02000000 00000000 00000000 20001200 0a000100 62726964 67650000 \
         10000200 0c002e00 01000000 01000000"
    );
    assert_eq!(shows(&set_no_linklocal_learn(2)), expected);
}

fn vlan_bytes(length: &str, kind: &str, index: &str, attributes: &str) -> String {
    format!("{length} {kind} {HEADER} 07000000 {index} 00000000 00000000 {attributes}")
}

#[test]
fn vlans_on_a_port() {
    // bridge vlan add dev p0 vid 5 pvid untagged
    let one = Vlans { index: 7, side: VlanSide::Port, ids: 5..=5, pvid: true, untagged: true };
    let expected = vlan_bytes("2c000000", "13000500", "07000000", "0c001a00 08000200 06000500");
    assert_eq!(shows(&one.add()), expected);
    // bridge vlan add dev p0 vid 10-20; bridge vlan del dev p0 vid 10-20
    let range = Vlans { ids: 10..=20, pvid: false, untagged: false, ..one };
    let attributes = "14001a00 08000200 08000a00 08000200 10001400";
    assert_eq!(shows(&range.add()), vlan_bytes("34000000", "13000500", "07000000", attributes));
    assert_eq!(shows(&range.remove()), vlan_bytes("34000000", "11000500", "07000000", attributes));
}

#[test]
fn vlans_on_the_bridge_itself() {
    // bridge vlan add dev br0 vid 10 self
    let vlans = Vlans { index: 5, side: VlanSide::Bridge, ids: 10..=10, pvid: false, untagged: false };
    let expected =
        vlan_bytes("34000000", "13000500", "05000000", "14001a00 06000000 02000000 08000200 00000a00");
    assert_eq!(shows(&vlans.add()), expected);
}

#[test]
fn reads_a_port_with_its_bridge_s_settings() {
    let message = attrs::message(RTM_NEWLINK, 2, 7, 1, 0)
        .attr_str(IFLA_IFNAME, "p0")
        .attr_u32(IFLA_MASTER, 5)
        .nest(IFLA_LINKINFO, |m| {
            m.attr_str(IFLA_INFO_KIND, "veth")
                .attr_str(IFLA_INFO_SLAVE_KIND, "bridge")
                .nest(IFLA_INFO_SLAVE_DATA, |m| {
                    m.attr(IFLA_BRPORT_STATE, &[3]).attr(attrs::IFLA_BRPORT_MODE, &[1])
                })
        });
    let link = parse::link(replies(message.as_bytes()).next().unwrap().payload).unwrap();
    let port = BridgePort { hairpin: true, isolated: false, port_state: PortState::Forwarding };
    assert_eq!((link.index, link.name.as_str(), link.up), (7, "p0", true));
    assert_eq!((link.kind.as_deref(), link.master, link.port), (Some("veth"), Some(5), Some(port)));
}

#[test]
fn a_reply_that_is_cut_short_is_no_link() {
    assert_eq!(parse::link(&[0; 15]), None);
    assert_eq!(parse::link(&[]), None);
}
