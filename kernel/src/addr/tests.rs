//! Bytes of the address requests, each as `ip` (iproute2 6.1) sends them, and the reading of replies.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::netlink::{hex, replies};

const HEADER: &str = "00000000 00000000";

fn address(ip: &str, nodad: bool) -> Address {
    Address { ip: ip.parse().unwrap(), index: 7, nodad }
}

#[test]
fn add_ipv4() {
    // ip address add 10.1.0.2/24 brd + dev p0
    let expected = format!(
        "30000000 14000506 {HEADER} 02180000 07000000 08000200 0a010002 08000100 0a010002 08000400 0a0100ff"
    );
    assert_eq!(hex(address("10.1.0.2/24", false).add().as_bytes()), expected);
}

#[test]
fn add_ipv6_without_duplicate_detection() {
    // ip address add fd00::2/64 dev p0 nodad
    let ip = "fd000000 00000000 00000000 00000002";
    let expected = format!("40000000 14000506 {HEADER} 0a400200 07000000 14000200 {ip} 14000100 {ip}");
    assert_eq!(hex(address("fd00::2/64", true).add().as_bytes()), expected);
}

#[test]
fn add_without_a_route_to_the_subnet() {
    // ip address add 10.1.0.2/24 brd + dev p0 noprefixroute
    let expected = format!(
        "38000000 14000506 {HEADER} 02180000 07000000 08000200 0a010002 08000800 00020000 08000100 0a010002 \
         08000400 0a0100ff"
    );
    assert_eq!(hex(address("10.1.0.2/24", true).add_without_route().as_bytes()), expected);
    // ip address add fd00::2/64 dev p0 nodad noprefixroute
    let ip = "fd000000 00000000 00000000 00000002";
    let expected =
        format!("48000000 14000506 {HEADER} 0a400000 07000000 14000200 {ip} 08000800 02020000 14000100 {ip}");
    assert_eq!(hex(address("fd00::2/64", true).add_without_route().as_bytes()), expected);
}

#[test]
fn remove() {
    // ip address del 10.1.0.2/24 dev p0
    let expected =
        format!("28000000 15000500 {HEADER} 02180000 07000000 08000200 0a010002 08000100 0a010002");
    assert_eq!(hex(address("10.1.0.2/24", true).remove().as_bytes()), expected);
}

#[test]
fn list_asks_for_one_link() {
    // ip address show dev p0
    assert_eq!(hex(list_message(7).as_bytes()), format!("18000000 16000103 {HEADER} 00000000 07000000"));
}

#[test]
fn list_all_asks_for_any_link() {
    // ip address show
    assert_eq!(
        hex(list_message(ANY_LINK).as_bytes()),
        format!("18000000 16000103 {HEADER} 00000000 00000000")
    );
}

#[test]
fn a_subnet_of_two_has_no_broadcast() {
    assert_eq!(broadcast("10.0.0.0/31".parse().unwrap()), None);
    assert_eq!(broadcast("10.0.0.1/32".parse().unwrap()), None);
    assert_eq!(broadcast("10.0.0.1/30".parse().unwrap()), Some(Ipv4Addr::new(10, 0, 0, 3)));
}

#[test]
fn reads_the_long_flags_where_they_are() {
    let address = octets("fd00::2".parse().unwrap());
    let message = Message::new(RTM_NEWADDR, 2)
        .body(&body([10, 64, 0x80, 253], 7))
        .attr(IFA_ADDRESS, &address)
        .attr_u32(IFA_FLAGS, IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_PERMANENT);
    let payload = replies(message.as_bytes()).next().unwrap().payload;
    let read = found(payload, 7).unwrap();
    let net = "fd00::2/64".parse().unwrap();
    assert_eq!(read, AddressFound { net, tentative: true, dadfailed: true, permanent: true, scope: 253 });
    assert_eq!(found(payload, 8), None, "another link's");
}

#[test]
fn the_own_side_of_a_point_to_point_link_counts() {
    let message = Message::new(RTM_NEWADDR, 2)
        .body(&body([2, 32, 0x80, 0], 7))
        .attr(IFA_ADDRESS, &[10, 0, 0, 1])
        .attr(IFA_LOCAL, &[10, 0, 0, 2]);
    let read = found(replies(message.as_bytes()).next().unwrap().payload, 7).unwrap();
    assert_eq!(read.net.to_string(), "10.0.0.2/32");
}
