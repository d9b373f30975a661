//! Bytes of the requests, and the reading of what `conntrack` (conntrack-tools 1.4.7) was answered.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::netlink::{hex, replies};

const HEADER: &str = "00000000 00000000";
/// `udp src=127.0.0.1 dst=127.0.0.1 sport=40001 dport=5353`.
const ORIGINAL: &str = "34000180 14000180 08000100 7f000001 08000200 7f000001 1c000280 05000100 11000000 \
    06000200 9c410000 06000300 14e90000";
/// `src=127.0.0.1 dst=127.0.0.1 sport=9000 dport=40001`, then status, mark, id, use and timeout.
const REST: &str = "34000280 14000180 08000100 7f000001 08000200 7f000001 1c000280 05000100 11000000 06000200 \
    23280000 06000300 9c410000 08000300 000001a8 08000800 00000000 08000c00 0e68f2ef 08000b00 00000001 08000700 \
    0000001d";

fn payload(attributes: &str) -> Vec<u8> {
    let digits: Vec<u8> = format!("02000000 {attributes}").bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn list_asks_for_one_protocol_and_port() {
    // conntrack -L -f ipv4 -p udp --orig-port-dst 5353, with the kernel's filter of 5.8 (CTA_FILTER)
    let filter = Filter { v6: false, protocol: 17, dport: Some(5353) };
    let expected = format!(
        "38000000 01010103 {HEADER} 02000000 18000180 14000280 05000100 11000000 06000300 14e90000 \
         0c001980 08000100 28000000"
    );
    assert_eq!(hex(list_message(filter).as_bytes()), expected);
}

#[test]
fn list_asks_for_one_protocol() {
    // conntrack -L -f ipv6 -p udp, likewise
    let filter = Filter { v6: true, protocol: 17, dport: None };
    let expected = format!(
        "30000000 01010103 {HEADER} 0a000000 10000180 0c000280 05000100 11000000 0c001980 08000100 08000000"
    );
    assert_eq!(hex(list_message(filter).as_bytes()), expected);
}

#[test]
fn remove_names_the_entry_by_its_ends_and_its_number() {
    // conntrack -D -p udp -s 127.0.0.1 -d 127.0.0.1 --sport 40001 --dport 5353; the number is ours
    let flow = Flow::read(&payload(&format!("{ORIGINAL} {REST}"))).unwrap();
    let expected = format!("50000000 02010500 {HEADER} 02000000 {ORIGINAL} 08000c00 0e68f2ef");
    assert_eq!(hex(remove_message(&flow).as_bytes()), expected);
}

#[test]
fn remove_names_the_zone() {
    let zone = "06001200 00070000";
    let flow = Flow::read(&payload(&format!("{ORIGINAL} {REST} {zone}"))).unwrap();
    let expected = format!("58000000 02010500 {HEADER} 02000000 {ORIGINAL} {zone} 08000c00 0e68f2ef");
    assert_eq!(hex(remove_message(&flow).as_bytes()), expected);
}

#[test]
fn an_entry_is_read_in_both_directions() {
    let flow = Flow::read(&payload(&format!("{ORIGINAL} {REST}"))).unwrap();
    let here = "127.0.0.1".parse().unwrap();
    assert_eq!(flow.original, Tuple { src: here, sport: 40001, dst: here, dport: 5353 });
    assert_eq!(flow.reply, Tuple { src: here, sport: 9000, dst: here, dport: 40001 });
    assert_eq!((flow.protocol, flow.id), (17, 0x0e68_f2ef));
}

#[test]
fn what_an_old_kernel_lists_too_is_left_out() {
    let flow = Flow::read(&payload(&format!("{ORIGINAL} {REST}"))).unwrap();
    let filter = Filter { v6: false, protocol: 17, dport: Some(5353) };
    assert!(filter.passes(&flow));
    assert!(Filter { dport: None, ..filter }.passes(&flow));
    assert!(!Filter { dport: Some(9000), ..filter }.passes(&flow));
    assert!(!Filter { protocol: 6, ..filter }.passes(&flow));
    assert!(!Filter { v6: true, ..filter }.passes(&flow));
}

#[test]
fn an_entry_without_ports_is_none() {
    let icmp = Message::new(0x100, 0).body(&body(false)).nest(CTA_TUPLE_ORIG | NESTED, |tuple| {
        tuple.nest(CTA_TUPLE_PROTO | NESTED, |protocol| protocol.attr(CTA_PROTO_NUM, &[1]))
    });
    assert_eq!(Flow::read(replies(icmp.as_bytes()).next().unwrap().payload), None);
}
