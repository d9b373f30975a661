//! Bytes of the route requests, each as `ip` (iproute2 6.1) sends them, and the reading of replies.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::netlink::{hex, replies};

const HEADER: &str = "00000000 00000000";

fn route(dst: &str, gw: Option<&str>) -> Route {
    Route {
        dst: dst.parse().unwrap(),
        gw: gw.map(|gw| gw.parse().unwrap()),
        index: 7,
        priority: None,
        table: None,
        scope: None,
        mtu: None,
        advmss: None,
        src: None,
        onlink: false,
    }
}

#[test]
fn add_default_with_metrics() {
    // ip route prepend default via 10.1.0.1 dev p0 metric 5 mtu 1400 advmss 1300
    let default = route("0.0.0.0/0", Some("10.1.0.1"));
    let route = Route { priority: Some(5), mtu: Some(1400), advmss: Some(1300), ..default };
    let expected = format!(
        "48000000 18000504 {HEADER} 02000000 fe030001 00000000 08000500 0a010001 08000600 05000000 \
         08000400 07000000 14000800 08000200 78050000 08000800 14050000"
    );
    assert_eq!(hex(route.add().as_bytes()), expected);
}

#[test]
fn add_on_link_in_a_table_of_its_own() {
    // ip route prepend 10.9.0.0/16 dev p0 table 300 src 10.1.0.2
    let route = Route { table: Some(300), src: "10.1.0.2".parse().ok(), ..route("10.9.3.4/16", None) };
    let expected = format!(
        "3c000000 18000504 {HEADER} 02100000 0003fd01 00000000 08000100 0a090000 08000f00 2c010000 \
         08000700 0a010002 08000400 07000000"
    );
    assert_eq!(hex(route.add().as_bytes()), expected);
}

#[test]
fn add_to_one_neighbour() {
    // ip route prepend 10.1.0.1/32 dev p0 scope link src 10.1.0.2
    let to_gateway = Route { scope: Some(253), src: "10.1.0.2".parse().ok(), ..route("10.1.0.1/32", None) };
    let expected = format!(
        "34000000 18000504 {HEADER} 02200000 fe03fd01 00000000 08000100 0a010001 08000700 0a010002 08000400 07000000"
    );
    assert_eq!(hex(to_gateway.add().as_bytes()), expected);
    // ip route prepend 10.1.0.5/32 dev p0 scope host
    let to_container = Route { scope: Some(254), ..route("10.1.0.5/32", None) };
    let expected =
        format!("2c000000 18000504 {HEADER} 02200000 fe03fe01 00000000 08000100 0a010005 08000400 07000000");
    assert_eq!(hex(to_container.add().as_bytes()), expected);
}

#[test]
fn add_by_a_neighbour_that_no_route_leads_to() {
    // ip route prepend 10.9.0.0/16 via 10.1.0.9 dev p0 onlink
    let route = Route { onlink: true, ..route("10.9.0.0/16", Some("10.1.0.9")) };
    let expected = format!(
        "34000000 18000504 {HEADER} 02100000 fe030001 04000000 08000100 0a090000 08000500 0a010009 08000400 07000000"
    );
    assert_eq!(hex(route.add().as_bytes()), expected);
}

#[test]
fn add_ipv6() {
    // ip -6 route prepend fd01::/64 via fd00::1 dev p0
    let expected = format!(
        "4c000000 18000504 {HEADER} 0a400000 fe030001 00000000 14000100 fd010000 00000000 00000000 00000000 \
         14000500 fd000000 00000000 00000000 00000001 08000400 07000000"
    );
    assert_eq!(hex(route("fd01::/64", Some("fd00::1")).add().as_bytes()), expected);
}

#[test]
fn add_by_a_gateway_of_the_other_family() {
    // ip route prepend 10.8.0.0/16 via inet6 fe80::1 dev p0
    let expected = format!(
        "44000000 18000504 {HEADER} 02100000 fe030001 00000000 08000100 0a080000 \
         16001200 0a00fe80 00000000 00000000 00000000 00010000 08000400 07000000"
    );
    assert_eq!(hex(route("10.8.0.0/16", Some("fe80::1")).add().as_bytes()), expected);
}

#[test]
fn remove() {
    // ip route del default via 10.1.0.1 dev p0 metric 5
    let route = Route { priority: Some(5), ..route("0.0.0.0/0", Some("10.1.0.1")) };
    let expected = format!(
        "34000000 19000500 {HEADER} 02000000 fe00ff00 00000000 08000500 0a010001 08000600 05000000 08000400 07000000"
    );
    assert_eq!(hex(route.remove().as_bytes()), expected);
}

#[test]
fn list_asks_for_one_family() {
    // ip route show table all
    assert_eq!(
        hex(list_message(false).as_bytes()),
        format!("1c000000 1a000103 {HEADER} 02000000 00000000 00000000")
    );
    assert_eq!(
        hex(list_message(true).as_bytes()),
        format!("1c000000 1a000103 {HEADER} 0a000000 00000000 00000000")
    );
}

#[test]
fn get_asks_for_one_address() {
    // ip route get 10.1.0.2; ip also asks for the table, which nobody here reads (rtm_flags 00100000)
    assert_eq!(
        hex(to_message("10.1.0.2".parse().unwrap()).as_bytes()),
        format!("24000000 1a000100 {HEADER} 02200000 00000000 00000000 08000100 0a010002")
    );
    // ip route get fd00::2
    assert_eq!(
        hex(to_message("fd00::2".parse().unwrap()).as_bytes()),
        format!(
            "30000000 1a000100 {HEADER} 0a800000 00000000 00000000 14000100 fd000000 00000000 00000000 00000002"
        )
    );
}

fn read(message: &Message) -> Vec<RouteFound> {
    found(replies(message.as_bytes()).next().unwrap().payload).unwrap()
}

#[test]
fn reads_what_it_adds() {
    let wanted = Route { table: Some(300), mtu: Some(1400), ..route("10.9.0.0/16", Some("10.1.0.1")) };
    let head = wanted.head(RTPROT_BOOT, 0, RTN_UNICAST);
    let message = wanted.message(RTM_NEWROUTE, 2, &head).maybe(wanted.metrics(), |m, metrics| metrics(m));
    let [got] = read(&message)[..] else { panic_on_count() };
    assert_eq!((got.dst, got.gw, got.index), (wanted.dst, wanted.gw, Some(7)));
    assert_eq!((got.table, got.mtu, got.advmss, got.protocol), (300, Some(1400), None, 3));
}

#[test]
fn each_next_hop_is_a_route() {
    let hop = |index: u32, gw: [u8; 4]| {
        let mut bytes = vec![16, 0, 0, 0];
        bytes.extend(index.to_ne_bytes());
        bytes.extend([8, 0, 5, 0]);
        bytes.extend(gw);
        bytes
    };
    let hops = [hop(7, [10, 1, 0, 1]), hop(9, [10, 2, 0, 1])].concat();
    let message = Message::new(RTM_NEWROUTE, 2)
        .body(&[2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0])
        .attr(RTA_MULTIPATH, &hops);
    let found: Vec<_> = read(&message).iter().map(|route| (route.index, route.gw)).collect();
    let gw = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    assert_eq!(found, [(Some(7), gw("10.1.0.1")), (Some(9), gw("10.2.0.1"))]);
}

fn panic_on_count() -> ! {
    unreachable!("one message without next hops is one route")
}
